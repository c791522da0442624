"""Models of signers with certificates: admitted for no longer than they are certified."""

import time

import pytest

from admission.deadline import deadline_in
from trustkit.signing.certificate import certified
from trustkit.signing.key import LocalSigner
from trustkit.verifying.policy import policy_from_roots

NOW = 1_800_000_000.0


@pytest.fixture
def root(forger):
    return forger.Issuer(NOW, name="root", uris=())


@pytest.fixture
def certified_world(world, root):
    world.policy = policy_from_roots(root.pem, ["email:ml@example.com"])
    world.now = NOW
    return world


def signer(forger, root, **how):
    how = {"uris": (), "emails": ("ml@example.com",), "extended": None, "not_after": 30, **how}
    leaf, key = root.leaf(**how)
    return certified(LocalSigner(key), forger.pem(leaf))


def found(world, reference):
    return world.room().finding(reference, namespace="ml", deadline=deadline_in(5, time.monotonic))


def test_a_plain_model_with_a_certificate_is_admitted(certified_world, forger, root, tools):
    reference = certified_world.publish("acme/llm/1", signer=signer(forger, root))
    assert certified_world.ask(tools.pod("--model", reference)).allowed
    [author] = found(certified_world, reference).proven.proof.signers
    assert (author.authority, author.identity) == ("ca", "email:ml@example.com")


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"emails": ("other@example.com",)}, "identity-mismatch"),
        ({"not_after": -1}, "certificate-expired"),
        ({"not_before": 10}, "certificate-not-yet-valid"),
        ({"extended": ()}, "certificate-not-for-signing"),
    ],
)
def test_one_that_is_not_believed_is_refused(certified_world, forger, root, tools, how, code):
    if "extended" in how:
        from cryptography.x509.oid import ExtendedKeyUsageOID

        how = {"extended": (ExtendedKeyUsageOID.SERVER_AUTH,)}
    reference = certified_world.publish("acme/llm/1", signer=signer(forger, root, **how))
    verdict = certified_world.ask(tools.pod("--model", reference))
    assert not verdict.allowed
    assert [violation.code for violation in verdict.violations] == [code]


def test_strangers_and_keys_are_refused(certified_world, forger, root, tools):
    stranger = forger.Issuer(NOW, name="root", uris=())
    reference = certified_world.publish("acme/llm/1", signer=signer(forger, stranger))
    assert found(certified_world, reference).code == "certificate-untrusted"
    reference = certified_world.publish("acme/llm/2")
    assert found(certified_world, reference).code == "unsupported-material"


def test_a_cached_success_ends_with_its_certificate(certified_world, forger, root):
    """The cache holds for 60 seconds, the certificate for 30."""
    reference = certified_world.publish("acme/llm/1", signer=signer(forger, root))
    assert found(certified_world, reference).outcome == "verified"
    asked = len(certified_world.store.asked)
    certified_world.now = NOW + 30
    assert found(certified_world, reference).outcome == "verified"
    assert len(certified_world.store.asked) == asked, "answered from the cache"
    certified_world.now = NOW + 31
    assert found(certified_world, reference).code == "certificate-expired"
