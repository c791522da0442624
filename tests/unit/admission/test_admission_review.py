"""E01 and E02: what is no request is refused; the uid comes back; messages are safe to print."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admission.review import MAX_BYTES, MAX_MESSAGE, parse_review, response_to_bytes, shown
from trustkit import strictjson
from trustkit.errors import FormatError, LimitError, TrustkitError


def good(tools):
    return tools.review(tools.pod("--model", "x"))


def test_a_request_is_read(tools):
    review = parse_review(strictjson.to_bytes(good(tools)))
    assert (review.kind, review.operation, review.namespace, review.dry_run) == ("Pod", "CREATE", "ml", False)
    assert review.object["kind"] == "Pod"
    assert review.old_object is None


def test_members_we_do_not_know_are_left_alone(tools):
    body = good(tools)
    body["request"]["novelty"] = {"x": 1}
    assert parse_review(strictjson.to_bytes(body)).uid


BAD = {
    "v1beta1": lambda r: r.update(apiVersion="admission.k8s.io/v1beta1"),
    "unknown version": lambda r: r.update(apiVersion="admission.k8s.io/v9"),
    "another kind": lambda r: r.update(kind="Pod"),
    "no request": lambda r: r.pop("request"),
    "request that is none": lambda r: r.update(request=[]),
    "both request and response": lambda r: r.update(response={"uid": "x", "allowed": True}),
    "uid missing": lambda r: r["request"].pop("uid"),
    "uid empty": lambda r: r["request"].update(uid=""),
    "uid long": lambda r: r["request"].update(uid="x" * 129),
    "uid with a line end": lambda r: r["request"].update(uid="x\n"),
    "uid that is a number": lambda r: r["request"].update(uid=1),
    "operation missing": lambda r: r["request"].pop("operation"),
    "operation unknown": lambda r: r["request"].update(operation="PATCH"),
    "kind missing": lambda r: r["request"].pop("kind"),
    "kind empty": lambda r: r["request"].update(kind={"kind": ""}),
    "kind with a number": lambda r: r["request"].update(kind={"group": 1, "version": "v1", "kind": "Pod"}),
    "kinds that differ": lambda r: r["request"]["object"].update(kind="Binding"),
    "versions that differ": lambda r: r["request"]["object"].update(apiVersion="v2"),
    "object that is none": lambda r: r["request"].update(object=[]),
    "old object that is none": lambda r: r["request"].update(oldObject="x"),
    "dryRun that is none": lambda r: r["request"].update(dryRun="false"),
    "namespace that is none": lambda r: r["request"].update(namespace=1),
    "name too long": lambda r: r["request"].update(name="x" * 600),
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD.keys())
def test_what_is_no_request(tools, change):
    body = good(tools)
    change(body)
    with pytest.raises(FormatError) as caught:
        parse_review(strictjson.to_bytes(body))
    assert caught.value.code == "bad-review"


@pytest.mark.parametrize("raw", [b"", b"{", b"null", b"[]", b"\xff", b'{"a":1,"a":2}', b'{"a":NaN}', b"{} x"])
def test_what_is_no_json(raw):
    with pytest.raises(FormatError):
        parse_review(raw)


def test_caps_come_before_parsing():
    for raw, code in ((b" " * (MAX_BYTES + 1), "too-large"), (b"[" * 200_000, "too-deep")):
        with pytest.raises(LimitError) as caught:
            parse_review(raw)
        assert caught.value.code == code


def answer(**more):
    return json.loads(response_to_bytes("the-uid", **more))["response"]


def test_an_allowance_carries_its_patch():
    operations = [{"op": "add", "path": "/x", "value": 1}]
    response = answer(allowed=True, patch=operations, warnings=["careful"], audit={"k": "v"})
    assert response["uid"] == "the-uid"
    assert response["allowed"] is True
    assert response["patchType"] == "JSONPatch"
    assert json.loads(base64.b64decode(response["patch"])) == operations
    assert response["warnings"] == ["careful"]
    assert response["auditAnnotations"] == {"k": "v"}


def test_an_allowance_without_a_patch_names_no_patch_type():
    assert answer(allowed=True) == {"uid": "the-uid", "allowed": True}


def test_a_denial_carries_no_patch():
    response = answer(allowed=False, message="[x] why; what", patch=[{"op": "add"}])
    assert "patch" not in response
    assert response["status"] == {
        "status": "Failure", "code": 403, "reason": "Forbidden", "message": "[x] why; what",
    }  # fmt: skip


def test_messages_are_cut_and_harmless():
    assert len(shown("x" * 10_000)) == MAX_MESSAGE
    assert shown("a\x1b[31m\u202eb\nc") == "a?[31m?b\nc"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(raw):
    with pytest.raises(TrustkitError):
        parse_review(raw)


@settings(max_examples=60, deadline=None)
@given(st.text("abcdef0123456789-", min_size=1, max_size=128), st.booleans(), st.text(max_size=50))
def test_the_uid_comes_back(uid, allowed, message):
    assert json.loads(response_to_bytes(uid, allowed=allowed, message=message))["response"]["uid"] == uid
