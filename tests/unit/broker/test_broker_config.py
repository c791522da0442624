"""Configuration of the broker: defaults < file < environment < flags; the unknown is an error with a path."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustkit.broker.config import BODY_BUDGET_BYTES, MAX_GRANTS, MAX_NAMES, OpenerConfig, check_grants, load
from trustkit.errors import UsageError
from trustkit.programs.settings import MAX_BYTES
from trustkit.sealing.awskms import KmsKey
from trustkit.signing.key import generate_key
from trustkit.spiffe.names import SpiffeID
from trustkit.verifying.policy import policy_from_keys

ARN = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
KMS = f"awskms:///{ARN}"
GRANT = {
    "spiffe_id": "spiffe://demo.test/sidecar",
    "lines": ["acme/tiny-llm"],
    "publishers": ["publisher-key"],
    "authors": ["author-key"],
}
GOOD = {
    "svid_directory": "svid",
    "policy": "policy.yaml",
    "openers": [{"file": "kek.pem", "passphrase_file": "kek.pass"}, {"file": "/etc/old.pem"}],
    "record": "record.jsonl",
    "grants": [GRANT],
}


def loaded(document=GOOD, environ=None, argv=()):
    return load(json.dumps(document).encode(), base=Path("/etc/x"), environ=environ or {}, argv=argv)


def refused(document, **more):
    with pytest.raises(UsageError) as caught:
        loaded(document, **more)
    assert caught.value.code == "bad-config"
    assert caught.value.message.startswith("the configuration is not valid: ")
    return caught.value


def test_defaults_and_paths_relative_to_the_file():
    config = loaded()
    assert config.listen == "0.0.0.0:8443"
    assert config.svid_directory == Path("/etc/x/svid")
    assert config.policy == Path("/etc/x/policy.yaml")
    assert config.record == Path("/etc/x/record.jsonl")
    assert config.rules is None
    assert config.openers == (
        OpenerConfig(Path("/etc/x/kek.pem"), Path("/etc/x/kek.pass")),
        OpenerConfig(Path("/etc/old.pem"), None),
    )
    assert config.grants[0].to_object() == GRANT
    assert config.grants[0].spiffe_id == SpiffeID("demo.test", "/sidecar")
    assert config.limits.body_max_bytes == 64 * 1024 * 1024
    assert (config.limits.workers, config.limits.queue) == (4, 12)


def test_an_opener_may_be_a_key_in_a_service():
    config = loaded(
        {**GOOD, "openers": [{"file": "kek.pem"}, {"kms": KMS}, {"kms": f"awskms://kms.test/{ARN}"}]}
    )
    assert config.openers == (
        OpenerConfig(Path("/etc/x/kek.pem"), None),
        KmsKey(ARN, "eu-west-1"),
        KmsKey(ARN, "eu-west-1", "kms.test"),
    )


def test_every_limit_can_be_set_and_rules_named():
    limits = {
        "body_max_bytes": 1,
        "body_timeout_seconds": 0.5,
        "deadline_seconds": 2,
        "workers": 64,
        "queue": 1000,
    }
    config = loaded({**GOOD, "limits": limits, "rules": "rules.tar.gz", "grants": []})
    assert {name: getattr(config.limits, name) for name in limits} == limits
    assert config.rules == Path("/etc/x/rules.tar.gz")
    assert config.grants == ()


def test_file_then_environment_then_flags():
    document = {**GOOD, "listen": "127.0.0.1:1"}
    environ = {"TRUSTKIT_BROKER_LISTEN": "127.0.0.1:2"}
    assert loaded(document).listen == "127.0.0.1:1"
    assert loaded(document, environ).listen == "127.0.0.1:2"
    assert loaded(document, environ, ["serve", "--listen", "[::1]:0"]).listen == "[::1]:0"
    variable = "TRUSTKIT_BROKER_LISTEN"
    assert refused(document, environ={variable: "nowhere"}).evidence == {"field": variable}
    with pytest.raises(UsageError, match="--listen must be HOST:PORT"):
        loaded(document, environ, ["serve", "--listen", "nowhere"])


def test_no_variable_weakens_anything():
    environ = {
        f"TRUSTKIT_BROKER_{n}": "x" for n in ("POLICY", "RECORD", "GRANTS", "VERIFY", "INSECURE", "RULES")
    }
    assert loaded(GOOD, environ) == loaded()


def without(name):
    return {key: value for key, value in GOOD.items() if key != name}


def grant(**members):
    return {**GOOD, "grants": [{k: v for k, v in {**GRANT, **members}.items() if v is not ...}]}


def opener(**members):
    return {**GOOD, "openers": [members]}


def limit(**members):
    return {**GOOD, "limits": members}


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (without("svid_directory"), "config lacks 'svid_directory'"),
        (without("policy"), "config lacks 'policy'"),
        (without("openers"), "config lacks 'openers'"),
        (without("record"), "config lacks 'record'"),
        (without("grants"), "config lacks 'grants'"),
        ({**GOOD, "polices": "x"}, "unknown member 'polices'"),
        ({**GOOD, "insecure_skip_verification": True}, "unknown member"),
        ({**GOOD, "record": ""}, "config.record must be a non-empty text"),
        ({**GOOD, "record": None}, "config.record must be a str"),
        ({**GOOD, "rules": ""}, "config.rules must be a non-empty text"),
        ({**GOOD, "listen": "localhost"}, "config.listen must be HOST:PORT"),
        ({**GOOD, "listen": "localhost:65536"}, "config.listen must be HOST:PORT"),
        ({**GOOD, "listen": "a b:1"}, "config.listen must be HOST:PORT"),
        ({**GOOD, "openers": []}, "config.openers needs 1 to 100 entries"),
        ({**GOOD, "openers": [{"file": "x"}] * 101}, "config.openers needs 1 to 100 entries"),
        ({**GOOD, "openers": ["kek.pem"]}, "config.openers[0] must be an object"),
        (opener(file="kek.pem", passphrase="secret"), "config.openers[0] has an unknown member 'passphrase'"),
        (opener(file=""), "config.openers[0].file must be a non-empty text"),
        (opener(file="a\0b"), "config.openers[0].file must be a non-empty text"),
        (opener(file="a", passphrase_file=""), "config.openers[0].passphrase_file"),
        (
            opener(passphrase_file="x"),
            "config.openers[0] needs file, a private key, or kms, a key in AWS KMS",
        ),
        (opener(), "config.openers[0] needs file, a private key, or kms, a key in AWS KMS"),
        (opener(kms=KMS, file="a"), "config.openers[0] needs file or kms, not both"),
        (opener(kms=KMS, passphrase_file="a"), "config.openers[0] needs file or kms, not both"),
        (opener(kms=7), "config.openers[0].kms must be a string"),
        (opener(kms="kek.pem"), "config.openers[0].kms: name the key as awskms:///arn:aws:kms:"),
        (
            opener(kms="awskms:///alias/models"),
            "config.openers[0].kms: name the key as awskms:///arn:aws:kms:",
        ),
        (opener(file=KMS, passphrase=""), "did you mean 'passphrase_file'?"),
        ({**GOOD, "grants": [GRANT] * (MAX_GRANTS + 1)}, "config.grants needs 0 to 1000 entries"),
        (grant(spiffe_id=...), "config.grants[0] lacks 'spiffe_id'"),
        (grant(spiffe_id="spiffe://demo.test"), "config.grants[0]: "),
        (grant(spiffe_id="spiffe://demo.test/*"), "config.grants[0]: "),
        (grant(spiffe_id="spiffe://DEMO.test/sidecar"), "config.grants[0]: "),
        (grant(spiffe_id="spiffe://demo.test/../sidecar"), "config.grants[0]: "),
        (grant(lines=[]), "config.grants[0].lines needs 1 to 1000 entries"),
        (grant(lines=["Acme/x"]), "config.grants[0]: a line is"),
        (grant(lines=["*"]), "config.grants[0]: a line is"),
        (grant(lines=[7]), "config.grants[0].lines must be a non-empty text"),
        (grant(lines="acme"), "config.grants[0].lines must be "),
        (grant(publishers=[]), "config.grants[0].publishers needs 1 to 1000 entries"),
        (grant(authors=["a"] * (MAX_NAMES + 1)), "config.grants[0].authors needs 1 to 1000 entries"),
        (grant(authors=[""]), "config.grants[0].authors must be a non-empty text"),
        (grant(audience="x"), "config.grants[0] has an unknown member 'audience'"),
        (limit(workers=0), "config.limits.workers must be from 1 to 64"),
        (limit(workers=True), "config.limits.workers must be a"),
        (limit(queue=1001), "config.limits.queue must be from 1 to 1000"),
        (limit(body_max_bytes=2**31), "config.limits.body_max_bytes must be from 1"),
        (limit(deadline_seconds=0), "config.limits.deadline_seconds must be more than 0"),
        (limit(deadline_seconds=False), "config.limits.deadline_seconds must be more than 0"),
        (limit(deadline_seconds=float("inf")), "config.limits.deadline_seconds must be more than 0"),
        (limit(body_timeout_seconds="1"), "config.limits.body_timeout_seconds must be more than 0"),
        (limit(requests_per_peer=0), "config.limits.requests_per_peer must be from 1"),
        (limit(body_budget_bytes=2**37), "config.limits.body_budget_bytes must be from 1"),
        (limit(body_budget_bytes=2**27 - 1), "config.limits.body_budget_bytes must be at least 2 times body"),
        (limit(body_max_bytes=9, body_budget_bytes=17), "config.limits.body_budget_bytes must be at least"),
        (limit(verify=False), "config.limits has an unknown member 'verify'"),
    ],
)
def test_what_is_wrong_is_named(document, named):
    assert named in refused(document).message


def test_the_budget_holds_the_largest_request_in_the_half_that_one_peer_may_have():
    assert loaded(GOOD).limits.body_budget_bytes == BODY_BUDGET_BYTES
    assert loaded(limit(body_max_bytes=2**30)).limits.body_budget_bytes == 2**31
    least = loaded(limit(body_max_bytes=9, body_budget_bytes=18, requests_per_peer=7)).limits
    assert (least.body_budget_bytes, least.requests_per_peer) == (18, 7)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"a: b: c",
        b"policy: x\npolicy: y\n",
        b"a: &x [1]\nb: *x\n",
        b"!!python/object:os.system {}",
        b"\xff",
        b"1: 2\n",
        b"[" * 5000,
        b"#" * (MAX_BYTES + 1),
    ],
)
def test_what_is_no_configuration_is_refused(raw):
    with pytest.raises(UsageError) as caught:
        load(raw, base=Path("/"), environ={})
    assert caught.value.code == "bad-config"


@given(st.binary(max_size=300))
@settings(max_examples=200)
def test_bytes_that_are_no_configuration_are_refused_by_the_tree(raw):
    with pytest.raises(UsageError):
        load(raw, base=Path("/"), environ={})


_VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=9)
    | st.lists(st.text(max_size=3), max_size=2)
)


@given(st.sampled_from([*GOOD, "limits", "listen", "x"]), _VALUES)
def test_an_edited_configuration_is_refused_or_is_still_whole(name, value):
    document = copy.deepcopy(GOOD)
    document[name] = value
    try:
        config = load(json.dumps(document).encode(), base=Path("/b"), environ={})
    except UsageError:
        return
    assert config.openers
    assert all(grant.lines and grant.publishers and grant.authors for grant in config.grants)


@pytest.fixture(scope="module")
def policy():
    (_, author), (_, publisher) = (generate_key("p256", passphrase=None) for _ in range(2))
    return policy_from_keys(author, publisher)


def checked(policy, **members):
    check_grants(loaded(grant(**members)).grants, policy)


def test_a_grant_that_fits_the_policy_passes(policy):
    checked(policy)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"publishers": ["author-key"]}, "config.grants[0].publishers: 'author-key' is no publisher"),
        ({"authors": ["publisher-key"]}, "config.grants[0].authors: 'publisher-key' is no author"),
        ({"authors": ["author-key", "nobody"]}, "config.grants[0].authors: 'nobody' is no author"),
    ],
)
def test_a_grant_that_names_what_the_policy_does_not_know_is_refused(policy, members, said):
    with pytest.raises(UsageError) as caught:
        checked(policy, **members)
    assert said in caught.value.message


def test_a_grant_for_a_line_that_the_policy_does_not_speak_for_is_refused(policy):
    narrow = replace(policy, lines=("acme/other",))
    with pytest.raises(UsageError) as caught:
        checked(narrow)
    assert "config.grants[0].lines: 'acme/tiny-llm' is no line the policy speaks for" in caught.value.message
    checked(replace(policy, lines=("acme/tiny-llm",)))
