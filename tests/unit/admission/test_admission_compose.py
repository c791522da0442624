"""What the webhook is built from: wrong parts fail at start, right ones judge real models in a real store."""

import dataclasses
import json
import os
import socket
import time

import pytest
import yaml

from admission.compose import MAX_RECORDED, compose, entry_of
from admission.config import load
from admission.deadline import Clocks, deadline_in
from admission.decide import Verdict
from admission.review import parse_review
from trustkit import strictjson
from trustkit.deciding.decision import Violation
from trustkit.deciding.record import verify_records
from trustkit.deciding.wasm import packaged_bundle
from trustkit.digest import digest_of
from trustkit.errors import TrustkitError
from trustkit.spiffe.authority import Authority
from trustkit.workloads.table import default_table

CLOCKS = Clocks(monotonic=time.monotonic, now=time.time)


def composed(webhook, *, clocks=CLOCKS, alarm=print, **members):
    raw = yaml.safe_dump(webhook.document(**members)).encode()
    return compose(load(raw, base=webhook.folder, environ={}), clocks=clocks, alarm=alarm)


def judged(judge, tools, obj, hook="mutate", **request):
    review = parse_review(strictjson.to_bytes(tools.review(obj, **request)))
    return judge.judge(review, hook, deadline_in(20, time.monotonic))


def codes(verdict):
    return [violation.code for violation in verdict.violations]


@pytest.fixture
def judge(webhook):
    return composed(webhook).judge


# Parts that do not fit --------------------------------------------------------------------------


def policy_with_a_file(webhook):
    document = webhook.estate.policy_document()
    document["spec"]["authorities"][0]["key"] = {"file": "author.pub"}
    path = webhook.folder / "policy.json"
    path.write_text(json.dumps(document))
    return {"policy": str(path)}


def rules_that_are_none(webhook):
    (webhook.folder / "rules").write_bytes(b"allow = true")
    return {"rules": "rules"}


def rules_that_allow_nothing_at_all(webhook, case="open_fail"):
    vectors = os.path.join(os.path.dirname(__file__), "..", "..", "vectors", "rules")  # noqa: PTH118,PTH120
    return {"rules": os.path.abspath(os.path.join(vectors, case, "rules.tar.gz"))}  # noqa: PTH100,PTH118


def rules_of_something_else(webhook):
    return rules_that_allow_nothing_at_all(webhook, "odd")


def bundle_that_is_none(webhook):
    (webhook.folder / "bundle.pem").write_bytes(
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    )
    return {"trust_bundle": "bundle.pem"}


def bundle_of_another_domain(webhook):
    other = Authority("other.test", now=time.time(), lifetime_seconds=3600)
    (webhook.folder / "bundle.pem").write_bytes(other.bundle_pem)
    return {"trust_bundle": "bundle.pem"}


def store_of_another_domain(webhook):
    return {"stores": [{"host": webhook.store, "spiffe_id": "spiffe://other.test/store"}]}


def broker_of_another_domain(webhook):
    return {"sidecar": {**webhook.document()["sidecar"], "broker_id": "spiffe://other.test/broker"}}


def svid_that_has_expired(webhook):
    folder = webhook.estate.fresh("svid")
    then = time.time() - 7200
    for name, content in (
        Authority("demo.test", now=then, lifetime_seconds=3600)
        .files("/webhook", now=then, lifetime_seconds=60)
        .items()
    ):
        (folder / name).write_bytes(content)
    return {"svid_directory": str(folder)}


def record_that_is_none(webhook):
    (webhook.folder / "record").write_text("a diary\n")
    return {"record": "record"}


WRONG = [
    (lambda w: {"policy": "nowhere"}, "no-such-file"),
    (policy_with_a_file, "policy-not-self-contained"),
    (lambda w: {"rules": "nowhere"}, "no-such-file"),
    (rules_that_are_none, "bad-rules"),
    (rules_that_allow_nothing_at_all, "bad-rules"),
    (rules_of_something_else, "bad-rules"),
    (lambda w: {"svid_directory": "nowhere"}, "no-such-file"),
    (svid_that_has_expired, "bad-svid"),
    (lambda w: {"trust_bundle": "nowhere"}, "no-such-file"),
    (bundle_that_is_none, "bad-svid"),
    (bundle_of_another_domain, "bad-svid"),
    (store_of_another_domain, "foreign-trust-domain"),
    (broker_of_another_domain, "foreign-trust-domain"),
    (record_that_is_none, "bad-record"),
    (lambda w: {"record": "nowhere/record"}, "record-failed"),
]


@pytest.mark.parametrize(("make", "code"), WRONG)
def test_a_part_that_does_not_fit_shows_at_start(webhook, make, code):
    with pytest.raises(TrustkitError) as caught:
        composed(webhook, **make(webhook))
    assert caught.value.code == code


def test_the_summary_says_what_is_trusted(webhook):
    summary = composed(webhook).summary
    assert summary == {
        "spiffe_id": "spiffe://demo.test/webhook",
        "policy_digest": str(webhook.estate.policy.digest),
        "rules_digest": str(digest_of(packaged_bundle())),
        "table_digest": str(default_table().digest),
        "bases_digest": "",
        "trust_bundle_digest": str(digest_of(webhook.estate.trust_bundle.read_bytes())),
    }


def test_rules_of_the_operator_s_own_are_used(webhook):
    path = webhook.folder / "own.tar.gz"
    path.write_bytes(packaged_bundle())
    assert composed(webhook, rules="own.tar.gz").summary["rules_digest"] == str(digest_of(packaged_bundle()))


# Judging real models ----------------------------------------------------------------------------


def test_a_sealed_model_in_the_store_is_allowed_and_pinned(webhook, judge, tools, model):
    pod = tools.pod("--model", webhook.reference(model))
    verdict = judged(judge, tools, pod)
    assert (codes(verdict), verdict.allowed) == ([], True)
    after = tools.applied(pod, verdict.patch)
    (sidecar,) = after["spec"]["initContainers"]
    words = sidecar["args"]
    flags = dict(zip(words[1::2], words[2::2], strict=True))
    assert flags["--descriptor-digest"] == str(model.descriptor_digest)
    assert flags["--policy-digest"] == str(webhook.estate.policy.digest)
    assert flags["--trust-bundle-digest"] == str(digest_of(webhook.estate.trust_bundle.read_bytes()))
    assert flags["--store-id"] == "spiffe://demo.test/store"
    size = sum(path.stat().st_size for path in model.source.rglob("*") if path.is_file())
    limit = next(v["emptyDir"]["sizeLimit"] for v in after["spec"]["volumes"] if "model" in v["name"])
    assert int(limit.removesuffix("Mi")) << 20 > size
    assert judged(judge, tools, after, "validate").allowed


def test_a_plain_model_has_no_line_that_the_policy_could_speak_for(webhook, judge, tools, estate):
    plain = estate.plain(f"acme/plain-{time.monotonic_ns()}/1", size=10_000)
    verdict = judged(judge, tools, tools.pod("--model", webhook.reference(plain)))
    assert (codes(verdict), verdict.patch) == (["line-not-in-policy"], ())


@pytest.fixture
def spoiled(estate, model):
    """A copy of the model that nobody else looks at."""
    return estate.copied(model, f"acme/spoiled-{time.monotonic_ns()}/1")


def no_signature(estate, spoiled):
    (spoiled.folder / "model.sig").unlink()


def no_file_at_all(estate, spoiled):
    for name in ("model.sig", "descriptor.sigstore.json"):
        (spoiled.folder / name).unlink()


def garbage(estate, spoiled):
    (spoiled.folder / "descriptor.sigstore.json").write_bytes(b"{")


def edited(estate, spoiled):
    path = spoiled.folder / "descriptor.sigstore.json"
    document = json.loads(path.read_bytes())
    payload = document["dsseEnvelope"]["payload"]
    document["dsseEnvelope"]["payload"] = (
        payload[:100] + ("A" if payload[100] != "A" else "B") + payload[101:]
    )
    path.write_text(json.dumps(document))


def large(estate, spoiled):
    (spoiled.folder / "model.sig").write_bytes(b" " * 3_000_000)


SPOILED = [
    (no_signature, "unsigned"),
    (no_file_at_all, "unsigned"),
    (garbage, "bad-json"),
    (edited, "wrong-signer"),
    (large, "too-large"),
]


@pytest.mark.parametrize(("spoil", "code"), SPOILED)
def test_a_spoiled_model_is_denied(webhook, tools, estate, spoiled, spoil, code):
    spoil(estate, spoiled)
    judge = composed(webhook, document_max_bytes=1 << 20).judge
    verdict = judged(judge, tools, tools.pod("--model", webhook.reference(spoiled)))
    assert (verdict.allowed, codes(verdict), verdict.patch) == (False, [code], ())


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(no_signature, "the model carries no signature of its author"), (no_file_at_all, "nothing lies there")],
)
def test_a_path_that_leads_to_nothing_is_told_from_a_model_that_nobody_signed(
    webhook, tools, estate, spoiled, spoil, said
):
    spoil(estate, spoiled)
    verdict = judged(composed(webhook).judge, tools, tools.pod("--model", webhook.reference(spoiled)))
    [violation] = verdict.violations
    assert said in violation.message
    assert violation.remedy.startswith("check path and version")


def test_a_model_of_other_people_is_denied(webhook, judge, tools, estate):
    for who, people in (
        ("author", {"author": estate.stranger}),
        ("publisher", {"publisher": estate.stranger}),
    ):
        other = estate.sealed(f"acme/{who}-{time.monotonic_ns()}/1", size=5_000, **people)
        verdict = judged(judge, tools, tools.pod("--model", webhook.reference(other)))
        assert codes(verdict) == ["wrong-signer"]


def test_a_line_that_the_policy_does_not_speak_for_is_denied(webhook, judge, tools, estate):
    document = estate.policy_document(lines=["acme/something-else"])
    (webhook.folder / "other-policy.json").write_text(json.dumps(document))
    other = composed(webhook, policy="other-policy.json").judge
    model = estate.sealed(f"acme/line-{time.monotonic_ns()}/1", size=5_000)
    pod = tools.pod("--model", webhook.reference(model))
    assert judged(judge, tools, pod).allowed
    assert codes(judged(other, tools, pod)) == ["line-not-in-policy"]


def test_another_machine_in_the_place_of_the_store_is_denied(webhook, tools, model):
    stores = [{"host": webhook.store, "spiffe_id": "spiffe://demo.test/another-store"}]
    judge = composed(webhook, stores=stores).judge
    assert codes(judged(judge, tools, tools.pod("--model", webhook.reference(model)))) == ["peer-mismatch"]


def test_a_store_that_does_not_answer_is_denied_as_such(webhook, tools, model):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"127.0.0.1:{gone.getsockname()[1]}"
    stores = [{"host": address, "spiffe_id": "spiffe://demo.test/store"}]
    judge = composed(webhook, stores=stores).judge
    reference = webhook.reference(model).replace(webhook.store, address)
    verdict = judged(judge, tools, tools.pod("--model", reference))
    assert (codes(verdict), verdict.violations[0].remedy[:9]) == (["store-unreachable"], "try again")


def test_a_store_that_is_slow_is_given_up_in_time(webhook, tools, model, estates):
    with estates.Tap(webhook.store, hold_after=0) as tap:
        stores = [{"host": tap.address, "spiffe_id": "spiffe://demo.test/store"}]
        judge = composed(webhook, stores=stores, fetch_timeout_seconds=0.2).judge
        reference = webhook.reference(model).replace(webhook.store, tap.address)
        verdict = judged(judge, tools, tools.pod("--model", reference))
    assert codes(verdict) == ["store-unreachable"]


def test_an_svid_that_expires_while_we_run_ends_every_fetch(webhook, tools, model):
    now = [time.time()]
    judge = composed(webhook, clocks=Clocks(time.monotonic, lambda: now[0])).judge
    now[0] += 7 * 86400
    assert codes(judged(judge, tools, tools.pod("--model", webhook.reference(model)))) == [
        "store-unreachable"
    ]


def test_a_new_svid_is_taken_and_a_broken_one_is_not(webhook, tools, estate, model):
    folder = estate.svid("/webhook")
    alarms = []
    judge = composed(webhook, svid_directory=str(folder), alarm=alarms.append, cache_seconds=0.001).judge
    pod = tools.pod("--model", webhook.reference(model))
    assert judged(judge, tools, pod).allowed
    fresh = estate.authority.files("/webhook", now=time.time(), lifetime_seconds=1800)
    (folder / "svid.pem").write_bytes(fresh["svid.pem"])
    assert judged(judge, tools, pod, namespace="half").allowed
    assert [alarm.code for alarm in alarms] == ["bad-svid"]
    (folder / "svid_key.pem").write_bytes(fresh["svid_key.pem"])
    assert judged(judge, tools, pod, namespace="whole").allowed
    assert len(alarms) == 1


# The record -------------------------------------------------------------------------------------


def test_decisions_are_recorded_before_they_are_answered(webhook, judge, tools, model):
    pod = tools.pod("--model", webhook.reference(model))
    after = tools.applied(pod, judged(judge, tools, pod).patch)
    judged(judge, tools, after, "validate")
    judged(judge, tools, tools.pod("--model", "hf://org/name"))
    judged(judge, tools, pod, dryRun=True)
    judged(judge, tools, pod, "validate", operation="DELETE")
    lines = webhook.record.read_bytes().splitlines(keepends=True)
    assert verify_records(lines) == 2
    allowed, denied = (json.loads(line)["entry"] for line in lines)
    assert allowed == {
        "kind": "admission",
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "operation": "CREATE",
        "subresource": "",
        "object": {"kind": "Pod", "namespace": "ml", "name": "p"},
        "allowed": True,
        "reason": "judged",
        "models": [webhook.reference(model)],
        "violations": [],
        "violation_count": 0,
        "policy_digest": str(webhook.estate.policy.digest),
        "rules_digest": str(digest_of(packaged_bundle())),
        "table_digest": str(default_table().digest),
        "bases_digest": "",
    }
    assert (denied["allowed"], [v["code"] for v in denied["violations"]]) == (False, ["unsupported-scheme"])


def test_a_record_that_breaks_while_we_run_denies_everything_but_a_farewell(webhook, judge, tools):
    pod = tools.pod()
    pod["spec"]["containers"][0]["image"] = "nginx:1"
    assert judged(judge, tools, pod, "validate").allowed
    webhook.record.unlink()
    webhook.record.mkdir()
    assert codes(judged(judge, tools, pod, "validate")) == ["special-file"]
    assert judged(judge, tools, pod, "validate", operation="DELETE").allowed


def test_without_a_record_nothing_is_written(webhook, tools):
    judge = composed(webhook, record=None).judge
    assert not judged(judge, tools, tools.pod("--model", "hf://org/name")).allowed
    assert not webhook.record.exists()


def test_an_entry_is_bounded(tools):
    review = parse_review(strictjson.to_bytes(tools.review(tools.pod())))
    violations = tuple(Violation("a-b", f"{n} " + "x" * 5_000) for n in range(2_000))
    entry = entry_of(review, Verdict(allowed=False, violations=violations))
    assert (len(entry["violations"]), entry["violation_count"]) == (MAX_RECORDED, 2_000)
    assert len(strictjson.to_bytes(entry)) < 100_000


def test_what_only_fails_is_recorded_too(webhook, judge, tools):
    """A denial that no rule had to speak is as final as any other."""
    pod = tools.pod(*(f"hf://org/m{n}" for n in range(1_001)))
    assert codes(judged(judge, tools, pod)) == ["too-many-references"]
    (line,) = webhook.record.read_bytes().splitlines()
    entry = json.loads(line)["entry"]
    assert (entry["reason"], entry["violations"][0]["code"]) == ("error", "too-many-references")


def test_the_parts_are_values(webhook):
    with pytest.raises(dataclasses.FrozenInstanceError):
        composed(webhook).judge = None
