"""The messages between sidecar and broker: one spelling each, caps first, nothing unknown."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustkit.digest import digest_of
from trustkit.errors import FormatError, LimitError, TrustkitError
from trustkit.sealing.documents import SealedDocuments
from trustkit.sealing.release import (
    MAX_ANSWER_BYTES,
    Refusal,
    ReleaseAnswer,
    ReleaseRequest,
    answer_to_bytes,
    parse_answer,
    parse_refusal,
    parse_request,
    refusal_to_bytes,
    request_to_bytes,
)

DOCUMENTS = SealedDocuments(descriptor=b"descriptor", author_bundle=b"author's", recipients=b"")
REQUEST = ReleaseRequest(DOCUMENTS, bytes(range(32)), digest_of(b"manifest"))
ANSWER = ReleaseAnswer(b"wrapped", digest_of(b"record"))


def edited(raw, **members):
    document = {**json.loads(raw), **members}
    return json.dumps({name: value for name, value in document.items() if value is not ...}).encode()


def code_of(parse, raw):
    with pytest.raises(TrustkitError) as caught:
        parse(raw)
    return type(caught.value), caught.value.code


def test_a_request_round_trips_and_is_what_the_document_shows():
    raw = request_to_bytes(REQUEST)
    assert parse_request(raw) == REQUEST
    assert json.loads(raw) == {
        "version": "trustkit.dev/release/v1",
        "descriptor": base64.b64encode(b"descriptor").decode(),
        "author_bundle": base64.b64encode(b"author's").decode(),
        "recipients": "",
        "ephemeral_key": base64.b64encode(bytes(range(32))).decode(),
        "manifest_digest": str(digest_of(b"manifest")),
    }


def test_an_answer_round_trips():
    assert parse_answer(answer_to_bytes(ANSWER)) == ANSWER


def test_a_refusal_round_trips_and_is_one_harmless_line():
    assert parse_refusal(refusal_to_bytes(Refusal("no-grant", "no"))) == Refusal("no-grant", "no")
    sent = parse_refusal(refusal_to_bytes(Refusal("no-grant", "a\x1b[31m\nb" + "c" * 5000)))
    assert sent.message.startswith("a?[31m?bccc")
    assert len(sent.message) == 4096


@given(
    st.binary(max_size=200),
    st.binary(max_size=200),
    st.binary(max_size=50),
    st.binary(min_size=32, max_size=32),
)
def test_whatever_the_documents_are_they_arrive(descriptor, author, recipients, key):
    documents = SealedDocuments(descriptor=descriptor, author_bundle=author, recipients=recipients)
    request = ReleaseRequest(documents, key, digest_of(descriptor))
    assert parse_request(request_to_bytes(request)) == request


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"version": "trustkit.dev/release/v2"}, "bad-release-version"),
        ({"version": 1}, "bad-field"),
        ({"version": ...}, "missing-field"),
        ({"descriptor": ...}, "missing-field"),
        ({"author_bundle": None}, "bad-field"),
        ({"recipients": ["x"]}, "bad-field"),
        ({"descriptor": "a"}, "bad-base64"),
        ({"descriptor": "ZB=="}, "bad-base64"),
        ({"descriptor": "ZA"}, "bad-base64"),
        ({"descriptor": "===="}, "bad-base64"),
        ({"descriptor": "ZA==ZA=="}, "bad-base64"),
        ({"descriptor": "Z A="}, "bad-base64"),
        ({"descriptor": "\u00e4\u00e4=="}, "bad-base64"),
        ({"descriptor": "-_8="}, "bad-base64"),
        ({"ephemeral_key": ""}, "bad-ephemeral-key"),
        ({"ephemeral_key": base64.b64encode(bytes(31)).decode()}, "bad-ephemeral-key"),
        ({"ephemeral_key": base64.b64encode(bytes(33)).decode()}, "bad-ephemeral-key"),
        ({"manifest_digest": "sha256:00"}, "bad-digest"),
        ({"manifest_digest": f"blake3:{'0' * 64}"}, "bad-digest"),
        ({"manifest_digest": digest_of(b"x").hex}, "bad-digest"),
        ({"dek": "x"}, "unknown-field"),
        ({"insecure": True}, "unknown-field"),
    ],
)
def test_a_request_with_one_fault_is_refused(members, code):
    assert code_of(parse_request, edited(request_to_bytes(REQUEST), **members)) == (FormatError, code)


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"version": "x"}, "bad-release-version"),
        ({"wrapped": "a"}, "bad-base64"),
        ({"record": "sha256:0"}, "bad-digest"),
        ({"record": f"blake2b:{'0' * 128}"}, "bad-digest"),
        ({"key": "x"}, "unknown-field"),
    ],
)
def test_an_answer_with_one_fault_is_refused(members, code):
    assert code_of(parse_answer, edited(answer_to_bytes(ANSWER), **members)) == (FormatError, code)


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"code": ""}, "bad-refusal"),
        ({"code": "No Grant"}, "bad-refusal"),
        ({"code": "a" * 65}, "bad-refusal"),
        ({"code": "a-\u202e"}, "bad-refusal"),
        ({"message": "two\nlines"}, "bad-refusal"),
        ({"message": "\x1b[2J"}, "bad-refusal"),
        ({"message": "m" * 4097}, "bad-refusal"),
        ({"message": ...}, "missing-field"),
        ({"detail": "x"}, "unknown-field"),
    ],
)
def test_a_refusal_with_one_fault_is_refused(members, code):
    assert code_of(parse_refusal, edited(b'{"code":"no","message":"m"}', **members)) == (FormatError, code)


@pytest.mark.parametrize("parse", [parse_request, parse_answer, parse_refusal])
@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", FormatError),
        (b"[]", FormatError),
        (b"nul", FormatError),
        (b'{"version":"trustkit.dev/release/v1","version":"trustkit.dev/release/v1"}', FormatError),
        (b'{"version":NaN}', FormatError),
        (b"{}{}", FormatError),
        (b"\xff", FormatError),
        (b'{"a":' + b"[" * 3 + b"]" * 3 + b"}", LimitError),
        (b"[" * 100_000, LimitError),
    ],
)
def test_what_is_no_such_document_is_refused(parse, raw, error):
    assert code_of(parse, raw)[0] is error


def test_caps_come_before_parsing():
    assert code_of(lambda raw: parse_request(raw, max_bytes=10), b"x" * 11) == (LimitError, "too-large")
    for parse in (parse_answer, parse_refusal):
        assert code_of(parse, b"x" * (MAX_ANSWER_BYTES + 1)) == (LimitError, "too-large")


@given(st.binary(max_size=400))
def test_bytes_that_are_no_request_are_refused_by_the_tree(raw):
    for parse in (parse_request, parse_answer, parse_refusal):
        assert issubclass(code_of(parse, raw)[0], (FormatError, LimitError))


_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=40) | st.floats(allow_nan=False)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_NAMES = st.sampled_from([*json.loads(request_to_bytes(REQUEST)), "record", "wrapped", "x"])


@given(st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=4))
def test_an_edited_request_is_refused_by_the_tree_or_means_what_it_says(members):
    raw = edited(request_to_bytes(REQUEST), **members)
    try:
        request = parse_request(raw)
    except (FormatError, LimitError):
        return
    assert json.loads(request_to_bytes(request)) == json.loads(raw)
