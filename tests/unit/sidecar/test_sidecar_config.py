"""The arguments: exactly those the webhook writes, each once, each checked; nothing from anywhere else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustkit.digest import digest_of
from trustkit.errors import UsageError
from trustkit.sidecar.config import Address, Config, Pinned, Question, load
from trustkit.spiffe.names import SpiffeID

DIGEST = str(digest_of(b"x"))
GOOD = {
    "--reference": f"trust://store.ml:8443/acme/tiny-llm/1@{DIGEST}",
    "--descriptor-digest": str(digest_of(b"descriptor")),
    "--output": "/trustkit/models/0123/model",
    "--policy": "/trustkit/policy/policy.yaml",
    "--policy-digest": str(digest_of(b"policy")),
    "--trust-bundle": "/trustkit/svid/bundle.pem",
    "--trust-bundle-digest": str(digest_of(b"bundle")),
    "--store-id": "spiffe://demo.test/store",
    "--broker": "broker.trustkit:8443",
    "--broker-id": "spiffe://demo.test/broker",
    "--svid-directory": "/trustkit/svid",
    "--health": "0.0.0.0:8090",
}
OPTIONAL = {
    "--timeout-seconds": "5",
    "--budget-seconds": "7",
    "--workers": "3",
    "--plain-max-bytes": "9",
}


def words(verb="run", **changes):
    """Return the arguments with some changed; None takes a flag out."""
    flags = {**GOOD, **{f"--{name.replace('_', '-')}": value for name, value in changes.items()}}
    return [verb, *(word for flag, value in flags.items() if value is not None for word in (flag, value))]


def refused(argv):
    with pytest.raises(UsageError) as caught:
        load(argv)
    return caught.value


def test_a_question_is_about_an_output_and_nothing_else():
    asked = load(["published", "--output", "/models/0123/model", "--json", "--debug"])
    assert asked == Question(Path("/models/0123/model"))
    for wrong in ([], ["--output", "/a", "--output", "/b"], ["--output", "/"], ["--output", ""]):
        assert refused(["published", *wrong]).code == "bad-arguments"
    assert refused(words("published")).code == "bad-arguments"


def test_every_flag_arrives():
    config = load([*words(), *(word for pair in OPTIONAL.items() for word in pair), "--json", "--debug"])
    assert config == Config(
        verb="run",
        reference=config.reference,
        manifest_digest=digest_of(b"x"),
        descriptor_digest=digest_of(b"descriptor"),
        output=Path("/trustkit/models/0123/model"),
        policy=Pinned(Path("/trustkit/policy/policy.yaml"), digest_of(b"policy")),
        trust_bundle=Pinned(Path("/trustkit/svid/bundle.pem"), digest_of(b"bundle")),
        store_id=SpiffeID("demo.test", "/store"),
        broker=Address("broker.trustkit", 8443),
        broker_id=SpiffeID("demo.test", "/broker"),
        svid_directory=Path("/trustkit/svid"),
        health=Address("0.0.0.0", 8090),
        timeout_seconds=5.0,
        budget_seconds=7.0,
        workers=3,
        plain_max_bytes=9,
        without_svid=False,
    )
    assert str(config.reference) == GOOD["--reference"]


def test_what_has_a_default_is_about_time_and_room():
    config = load(words("check-config", descriptor_digest=None))
    assert config.verb == "check-config"
    assert config.descriptor_digest is None
    assert (config.timeout_seconds, config.budget_seconds, config.plain_max_bytes) == (30.0, 120.0, None)
    assert 1 <= config.workers <= 4
    assert not config.without_svid
    assert load([*words("check-config"), "--without-svid"]).without_svid
    assert refused([*words("run"), "--without-svid"]).code == "bad-arguments"


def test_the_webhooks_arguments_are_these(estate, model):
    argv, output = estate.arguments(model, store="127.0.0.1:1", broker="127.0.0.1:2", budget_seconds=None)
    config = load(argv)
    assert config.output == output
    assert config.manifest_digest == model.manifest_digest
    assert config.descriptor_digest == model.descriptor_digest
    assert {word for word in argv if word.startswith("--")} == set(GOOD)


@pytest.mark.parametrize("flag", sorted(set(GOOD) - {"--descriptor-digest"}))
def test_each_of_them_is_needed(flag):
    error = refused(words(**{flag[2:].replace("-", "_"): None}))
    assert error.code == "bad-arguments"
    assert flag in error.message


@pytest.mark.parametrize("flag", sorted({**GOOD, **OPTIONAL}))
def test_each_of_them_may_be_given_once(flag):
    value = {**GOOD, **OPTIONAL}[flag]
    rest = words() if flag in GOOD else [*words(), flag, value]
    error = refused([*rest, flag, value])
    assert (error.code, f"argument {flag}: may be given only once" in error.message) == (
        "bad-arguments",
        True,
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"reference": "trust://store.ml/x"}, "bad-arguments"),
        ({"reference": "trust://store.ml/x:latest"}, "bad-arguments"),
        ({"reference": f"https://store.ml/x@{DIGEST}"}, "bad-reference"),
        ({"reference": f"trust://store.ml/../x@{DIGEST}"}, "bad-reference"),
        ({"reference": ""}, "bad-arguments"),
        ({"reference": "a\0b"}, "bad-arguments"),
        ({"descriptor_digest": DIGEST.upper()}, "bad-arguments"),
        ({"descriptor_digest": f"blake3:{'0' * 64}"}, "bad-arguments"),
        ({"descriptor_digest": ""}, "bad-arguments"),
        ({"policy_digest": "sha256:0"}, "bad-arguments"),
        ({"trust_bundle_digest": digest_of(b"x").hex}, "bad-arguments"),
        ({"output": ""}, "bad-arguments"),
        ({"output": "/"}, "bad-arguments"),
        ({"output": ".."}, "bad-arguments"),
        ({"output": "/models/.."}, "bad-arguments"),
        ({"policy": "a\0b"}, "bad-arguments"),
        ({"store_id": ""}, "bad-arguments"),
        ({"store_id": "spiffe://demo.test"}, "bad-arguments"),
        ({"store_id": "spiffe://Demo.test/store"}, "bad-arguments"),
        ({"broker_id": "https://demo.test/broker"}, "bad-arguments"),
        ({"broker_id": "spiffe://demo.test/*"}, "bad-arguments"),
        ({"broker": "broker"}, "bad-arguments"),
        ({"broker": "broker:0"}, "bad-arguments"),
        ({"broker": "broker:65536"}, "bad-arguments"),
        ({"broker": "https://broker:1"}, "bad-arguments"),
        ({"health": "8090"}, "bad-arguments"),
        ({"health": ":8090"}, "bad-arguments"),
        ({"timeout_seconds": "0"}, "bad-arguments"),
        ({"timeout_seconds": "1e9"}, "bad-arguments"),
        ({"budget_seconds": "-1"}, "bad-arguments"),
        ({"budget_seconds": "86401"}, "bad-arguments"),
        ({"workers": "65"}, "bad-arguments"),
        ({"workers": "\u0663"}, "bad-arguments"),
        ({"plain_max_bytes": "1" * 17}, "bad-arguments"),
    ],
)
def test_what_is_wrong_is_refused(changes, code):
    assert refused(words(**changes)).code == code


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["serve"],
        ["run"],
        [*words(), "extra"],
        [*words(), "--insecure"],
        [*words(), "--no-verify"],
        [*words()[1:], "run"],
        [word.replace("--policy-digest", "--policy-dig") for word in words()],
        [word.replace("--health", "--heal") for word in words()],
    ],
)
def test_nothing_is_guessed_and_nothing_unknown_passes(argv):
    assert refused(argv).code == "bad-arguments"


def test_port_0_and_ipv6_are_addresses():
    config = load(words(health="[::]:0", broker="[2001:db8::1]:443"))
    assert config.health == Address("::", 0)
    assert config.broker == Address("2001:db8::1", 443)


@given(
    st.lists(st.sampled_from([*words(), *OPTIONAL, "x", "", "=", "--"]) | st.text(max_size=6), max_size=30)
)
def test_any_words_are_refused_by_the_tree_or_whole(argv):
    try:
        config = load([word for word in argv if word not in {"-h", "--help", "--version"}])
    except UsageError:
        return
    assert config.manifest_digest == config.reference.digest
