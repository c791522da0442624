"""Identities as policies spell them: how long one may be, how many there may be, to the character."""

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from trustkit.attest.bundle import CertificateChain
from trustkit.errors import UsageError
from trustkit.verifying import authorities
from trustkit.verifying.certificates import identity_of
from trustkit.verifying.policy import policy_from_roots
from trustkit.verifying.presenting import presented_by

NOW = 1_800_000_000.0


def test_an_identity_has_at_most_2048_characters():
    longest = "email:".ljust(2048, "a")
    assert identity_of(longest) == longest
    with pytest.raises(UsageError, match="bad-identity"):
        identity_of(longest + "a")


def test_as_many_identities_as_the_cap(forger, monkeypatch):
    root = forger.Issuer(NOW, name="root", uris=())
    monkeypatch.setattr(authorities, "MAX_IDENTITIES", 2)
    [authority] = policy_from_roots(root.pem, ["cn:a", "cn:b"]).authorities
    assert authority.identities == ("cn:a", "cn:b")
    with pytest.raises(UsageError, match="bad-identity"):
        policy_from_roots(root.pem, ["cn:a", "cn:b", "cn:c"])


def test_a_constraint_binds_what_lies_below_and_not_who_carries_it(forger):
    root = forger.Issuer(NOW, name="root", uris=())
    said = ((x509.NameConstraints([x509.DNSName("a.example")], None), False),)
    signing = (ExtendedKeyUsageOID.CODE_SIGNING,)
    leaf, _ = root.leaf(uris=(), subject="boss", extended=signing, extensions=said)
    [authority] = policy_from_roots(root.pem, ["cn:boss"]).authorities
    presented = presented_by(CertificateChain((forger.der(leaf),)))
    assert authority.believed(presented, at=NOW).identity == "cn:boss"
