"""Release of keys: every step, in order, with what it writes down."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trustkit.broker import release as room
from trustkit.deciding.decision import Decision, Violation
from trustkit.deciding.record import verify_records
from trustkit.digest import digest_of
from trustkit.errors import (
    DeniedError,
    FormatError,
    LimitError,
    SealError,
    TrustkitError,
    UnavailableError,
    VerificationError,
)
from trustkit.sealing.recipients import generate_opener, opener_from_pem, recipient_from_pem, unwrap_document
from trustkit.sealing.release import parse_answer, request_to_bytes
from trustkit.signing.certificate import certified
from trustkit.signing.key import load_signer
from trustkit.spiffe.names import SpiffeID
from trustkit.verifying.policy import parse_policy, policy_from_keys


def refused(counter, request=None, **more):
    with pytest.raises(TrustkitError) as caught:
        counter.ask(request, **more)
    return type(caught.value), caught.value.code


def ruled(counter, decision):
    """The same broker with rules that say this."""
    counter.change(rules=lambda _facts: decision)


def test_the_key_comes_wrapped_to_the_asker_and_is_the_one_that_sealed(counter, estate, model):
    opener = opener_from_pem(estate.kek.read_bytes(), passphrase=b"of the broker")
    context = estate.proof(model).descriptor.context
    with (
        counter.opened(counter.ask()) as released,
        unwrap_document(estate.documents(model).recipients, context, [opener]) as sealed,
    ):
        assert released.key == sealed.key


def test_a_release_is_recorded_with_everything_that_it_rests_on(counter, model, estate):
    answer = counter.ask()
    [entry] = counter.entries()
    assert entry == {
        "event": "key-release",
        "peer": "spiffe://demo.test/sidecar",
        "line": "acme/tiny-llm",
        "version": 1,
        "manifest_digest": str(model.manifest_digest),
        "descriptor_digest": str(model.descriptor_digest),
        "policy_digest": str(estate.policy.digest),
        "rules_digest": counter.composed.summary["rules_digest"],
        "decision": "allowed",
        "codes": [],
    }
    raw = counter.record.read_bytes()
    assert parse_answer(answer).record == digest_of(raw.rstrip(b"\n"))
    assert verify_records(raw.splitlines(keepends=True)) == 1


def test_no_record_holds_a_key_wrapped_or_not(counter, estate, model):
    answer = counter.ask()
    raw = counter.record.read_bytes()
    wrapped = parse_answer(answer).wrapped
    with counter.opened(answer) as dek:
        for secret in (bytes(dek.key), dek.key.hex().encode(), wrapped, wrapped.hex().encode()):
            assert secret not in raw
    assert json.loads(estate.documents(model).recipients)["recipients"][0]["wrapped"].encode() not in raw


def test_who_has_no_grant_is_denied_and_recorded(counter):
    kind, code = refused(counter, peer=SpiffeID("demo.test", "/stranger"))
    assert kind is DeniedError
    [entry] = counter.entries()
    assert (entry["decision"], entry["peer"]) == ("denied", "spiffe://demo.test/stranger")
    assert entry["codes"][0] == code
    assert entry["rules_digest"] == counter.composed.summary["rules_digest"]


def test_who_has_no_grant_is_turned_away_with_a_record(counter):
    stranger = SpiffeID("demo.test", "/stranger")
    assert (counter.broker.knows(counter.peer), counter.broker.knows(stranger)) == (True, False)
    error = counter.broker.turned_away(stranger)
    assert (type(error), error.code) == (DeniedError, "no-grant")
    assert str(stranger) in error.message
    [entry] = counter.entries()
    assert {name: entry[name] for name in ("event", "peer", "decision", "codes")} == {
        "event": "key-release",
        "peer": str(stranger),
        "decision": "denied",
        "codes": ["no-grant"],
    }
    assert entry["policy_digest"] == counter.composed.summary["policy_digest"]
    counter.change()
    assert entry.pop("left_out") == 0
    assert entry.keys() == _refused_entry(counter).keys()


def test_more_refusals_of_who_has_no_grant_are_counted_and_those_of_others_are_not(counter):
    strangers = [SpiffeID("demo.test", path) for path in ("/stranger", "/other")]
    for peer in (*strangers, strangers[0], strangers[0]):
        assert counter.broker.turned_away(peer).code == "no-grant"
    for _ in range(3):
        refused(counter, counter.request(descriptor=b"{}"))
    assert [(entry["peer"], entry.get("left_out")) for entry in counter.entries()] == [
        (str(strangers[0]), 0),
        (str(strangers[1]), 0),
        *[(str(counter.peer), None)] * 3,
    ]
    assert counter.broker.catch_up(everything=False)
    assert not counter.broker.catch_up(everything=True)
    [last] = counter.entries()[5:]
    assert (last["peer"], last["left_out"], last["codes"]) == (str(strangers[0]), 1, ["no-grant"])


def _refused_entry(counter):
    refused(counter, peer=SpiffeID("demo.test", "/stranger"))
    return counter.entries()[-1]


def test_without_a_record_nobody_is_told_why(counter):
    counter.record.mkdir()
    with pytest.raises(UnavailableError) as caught:
        counter.broker.turned_away(SpiffeID("demo.test", "/stranger"))
    assert caught.value.code == "record-failed"
    assert len(counter.alarms) == 1


@pytest.mark.parametrize(
    "members",
    [
        {"lines": ["acme/other"]},
        {"publishers": ["acme-other"]},
        {"authors": ["acme-other"]},
        {"path": "/sidecar/more"},
        {"path": "/Sidecar"},
    ],
)
def test_a_grant_of_something_else_is_no_grant(counter_with, estate, members):
    document = estate.policy_document(lines=("acme/tiny-llm", "acme/other"))
    key = {"pem": estate.stranger_pem.decode()}
    document["spec"]["authorities"].append(
        {"name": "acme-other", "roles": ["author", "publisher"], "key": key}
    )
    policy = estate.write(f"wide-{len(str(members))}.json", json.dumps(document).encode())
    counter = counter_with(policy=str(policy), grants=[estate.grant(**members)])
    assert refused(counter)[0] is DeniedError
    assert counter.entries()[0]["decision"] == "denied"


def test_a_grant_beside_others_counts(counter_with, estate):
    counter = counter_with(grants=[estate.grant("/other"), estate.grant()])
    counter.opened(counter.ask()).wipe()


def test_rules_of_the_operators_own_may_deny(counter):
    reasons = (Violation("at-night", "not at night", "wait"), Violation("no-fun", "no", ""))
    ruled(counter, Decision(False, reasons, digest_of(b"rules")))
    with pytest.raises(DeniedError) as caught:
        counter.ask()
    assert caught.value.code == "at-night"
    assert caught.value.message == "[at-night] not at night; wait [no-fun] no"
    assert counter.entries()[0]["codes"] == ["at-night", "no-fun"]


def test_a_denial_without_a_reason_is_a_denial(counter):
    ruled(counter, Decision(False, (), digest_of(b"rules")))
    assert refused(counter) == (DeniedError, "denied")
    assert counter.entries()[0]["decision"] == "denied"


def test_rules_that_decide_nothing_are_told_apart_from_a_no(counter):
    ruled(counter, Decision(False, (Violation("no-decision", "late", ""),), digest_of(b"rules")))
    assert refused(counter) == (UnavailableError, "no-decision")
    assert counter.entries()[0]["decision"] == "unavailable"


def test_rules_see_the_grants_of_the_peer_alone(counter, estate):
    seen = []
    grants = counter.config.grants
    other = dataclasses.replace(grants[0], spiffe_id=SpiffeID("demo.test", "/other"))
    counter.change(
        grants=(other, *grants),
        rules=lambda facts: seen.append(facts) or Decision(True, (), digest_of(b"rules")),
    )
    counter.ask()
    assert seen[0]["grants"] == [estate.grant()]
    assert seen[0]["peer"] == {"spiffe_id": "spiffe://demo.test/sidecar", "trust_domain": "demo.test"}
    assert seen[0]["artifact"]["publishers"] == ["acme-publisher"]


def test_documents_by_a_publisher_nobody_believes_are_refused_and_recorded(counter, estate):
    model = estate.sealed("broker/strange-publisher", publisher=estate.stranger)
    assert refused(counter, counter.request(model)) == (VerificationError, "wrong-signer")
    [entry] = counter.entries()
    assert (entry["decision"], entry["codes"], entry["line"]) == ("refused", ["wrong-signer"], "")
    assert entry["descriptor_digest"] == str(model.descriptor_digest)


def test_documents_by_an_author_nobody_believes_are_refused(counter, estate):
    model = estate.sealed("broker/strange-author", author=estate.stranger)
    assert refused(counter, counter.request(model)) == (VerificationError, "wrong-signer")


def test_an_asker_pinned_to_another_artifact_is_refused_and_recorded(counter, estate):
    other = estate.sealed("broker/other", seed=9)
    request = counter.request(manifest_digest=other.manifest_digest)
    assert refused(counter, request) == (VerificationError, "digest-mismatch")
    [entry] = counter.entries()
    assert (entry["decision"], entry["codes"]) == ("refused", ["digest-mismatch"])
    assert entry["manifest_digest"] == str(other.manifest_digest)


def test_a_key_wrapped_for_somebody_else_is_refused_after_the_decision(counter, estate):
    other = estate.sealed("broker/elsewhere", recipients=[_recipient()])
    assert refused(counter, counter.request(other)) == (SealError, "no-matching-opener")
    first, second = counter.entries()
    assert (first["decision"], second["decision"], second["codes"]) == (
        "allowed",
        "refused",
        ["no-matching-opener"],
    )
    assert second["after"] == str(digest_of(counter.record.read_bytes().splitlines()[0]))


@pytest.mark.parametrize("role", ["author", "publisher"])
def test_a_key_that_signed_what_is_asked_for_opens_nothing(counter_with, estate, forger, role):
    """The policy holds the root alone: that this key signs is known with what it signed."""
    root = forger.Issuer(estate.now, name="root", uris=())
    leaf, key = root.leaf(uris=(), emails=("ml@example.com",), extended=None)
    both = estate.fresh("both")
    (both / "key.pem").write_bytes(forger.key_pem(key))
    signer = certified(load_signer(both / "key.pem", passphrase=None), forger.pem(leaf))
    document = estate.policy_document()
    [given] = (one for one in document["spec"]["authorities"] if one["roles"] == [role])
    del given["key"]
    given["certificate"] = {"roots": {"pem": root.pem.decode()}, "identities": ["email:ml@example.com"]}
    (both / "policy.json").write_text(json.dumps(document))
    policy = parse_policy((both / "policy.json").read_bytes(), read_file=Path.read_bytes)
    model = estate.sealed(f"broker/{both.name}", size=1000, policy=policy, **{role: signer})
    openers = [
        {"file": str(estate.kek), "passphrase_file": str(estate.kek_passphrase)},
        {"file": str(both / "key.pem")},
    ]
    counter = counter_with(policy=str(both / "policy.json"), openers=openers)
    assert refused(counter, counter.request(model)) == (UnavailableError, "opener-failed")
    assert [(one["decision"], one["codes"]) for one in counter.entries()] == [
        ("allowed", []),
        ("unavailable", ["opener-failed"]),
    ]
    [told] = counter.alarms
    assert (told.code, told.evidence["field"]) == ("recipient-signs", "config.openers[1]")
    counter = counter_with(policy=str(both / "policy.json"), openers=openers[:1])
    assert counter.ask(counter.request(model))


def test_recipients_that_do_not_parse_are_refused_and_recorded(counter):
    assert refused(counter, counter.request(recipients=b"{")) == (FormatError, "bad-json")
    assert counter.entries()[-1]["codes"] == ["bad-json"]


@pytest.mark.parametrize("point", [bytes(32), bytes([1]) + bytes(31)])
def test_an_ephemeral_key_that_everybody_could_open_is_refused(counter, point):
    assert refused(counter, counter.request(ephemeral_key=point)) == (FormatError, "bad-recipient-key")
    assert counter.entries()[-1]["decision"] == "refused"


def test_what_is_no_request_is_refused_and_is_no_event(counter):
    assert refused(counter, b"{}")[0] is FormatError
    assert counter.entries() == []


def test_a_request_larger_than_the_cap_is_refused_before_it_is_parsed(counter_with):
    counter = counter_with(limits={"body_max_bytes": 1000})
    assert refused(counter, b"x" * 1001) == (LimitError, "too-large")


class Clock:
    """Runs out of time at the n-th look."""

    def __init__(self, looks):
        self.looks = looks

    def __call__(self):
        self.looks -= 1
        return 0.0 if self.looks >= 0 else 100.0


@pytest.mark.parametrize(
    ("looks", "decisions"), [(0, ["unavailable"]), (1, ["unavailable"]), (2, ["allowed", "unavailable"])]
)
def test_the_deadline_is_kept_before_every_step_and_leaves_a_record(counter, looks, decisions, monkeypatch):
    touched = []
    monkeypatch.setattr(room, "unwrap_document", lambda *_: touched.append(1))
    assert refused(counter, clock=Clock(looks)) == (UnavailableError, "deadline")
    assert [entry["decision"] for entry in counter.entries()] == decisions
    assert touched == []


def test_the_data_key_is_wiped_once_it_is_wrapped(counter, monkeypatch):
    seen = []

    def watched(*arguments):
        seen.append(unwrap_document(*arguments))
        return seen[-1]

    monkeypatch.setattr(room, "unwrap_document", watched)
    counter.ask()
    with pytest.raises(ValueError, match="wiped"):
        _ = seen[0].key


@pytest.mark.parametrize(
    "trouble",
    [
        lambda record: record.write_text("this is no record\n"),
        lambda record: record.symlink_to("elsewhere"),
        lambda record: record.mkdir(),
        lambda record: record.parent.rename(record.parent.with_name(f"{record.parent.name}-gone")),
    ],
)
def test_a_record_that_fails_is_unavailable_whatever_was_decided(counter, trouble, monkeypatch):
    touched = []
    monkeypatch.setattr(room, "unwrap_document", lambda *_: touched.append(1))
    trouble(counter.record)
    for request, peer in (
        (None, None),
        (None, SpiffeID("demo.test", "/x")),
        (counter.request(descriptor=b"{}"), None),
    ):
        with pytest.raises(UnavailableError) as caught:
            counter.ask(request, peer=peer)
        assert caught.value.code == "record-failed"
        assert str(counter.record) not in caught.value.message
    assert touched == []
    assert len(counter.alarms) == 3
    assert all(str(counter.record) in alarm.message for alarm in counter.alarms)


def test_a_policy_that_was_narrowed_refuses_what_it_no_longer_speaks_for(counter, estate):
    counter.change(policy=policy_from_keys(estate.stranger_pem))
    assert refused(counter) == (VerificationError, "wrong-signer")


@given(st.integers(0, 10**6), st.integers(0, 7))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_flipped_bit_of_a_request_gives_no_other_key(counter, place, bit):
    raw = bytearray(request_to_bytes(counter.request()))
    raw[place % len(raw)] ^= 1 << bit
    try:
        answer = counter.ask(bytes(raw))
    except TrustkitError:
        return
    # What still verifies was flipped in a hint that nobody believes, or in the ephemeral key, whose owner
    # nobody is. Either way: the right key, or none.
    try:
        released = counter.opened(answer)
    except SealError:
        return
    with released, counter.opened(counter.ask()) as right:
        assert released.key == right.key


def _recipient():
    return recipient_from_pem(generate_opener("p256", passphrase=None)[1])
