"""Whether a bundle claims a key for its first signer: by its hint, or by the key in its certificate."""

import hashlib

import pytest
from cryptography.hazmat.primitives import serialization

from trustkit.attest.bundle import CertificateChain, PublicKeyHint
from trustkit.digest import digest_of
from trustkit.verifying.presenting import presents_key

NOW = 1_800_000_000.0


def names_of(key):
    """Return the text of a key, and its fingerprint."""
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    der = key.public_bytes(serialization.Encoding.DER, kind)
    return key.public_bytes(serialization.Encoding.PEM, kind), digest_of(der)


def test_a_key_by_its_hint(people):
    alice, bob = (people[name] for name in ("alice", "bob"))
    for claimed in (alice, bob):
        hint = PublicKeyHint(hashlib.sha256(claimed.pem).hexdigest())
        assert presents_key(hint, *names_of(alice.key.public_key())) is (claimed is alice)
    assert not presents_key(PublicKeyHint(""), *names_of(alice.key.public_key()))


@pytest.mark.parametrize("keyless", [False, True])
def test_a_key_by_the_first_certificate(forger, people, keyless):
    issuer = forger.Issuer(NOW, name="root", uris=())
    leaf, key = issuer.leaf(uris=())
    ders = tuple(one.public_bytes(serialization.Encoding.DER) for one in (leaf, issuer.certificate))
    chain = CertificateChain(ders, keyless)
    assert presents_key(chain, *names_of(key.public_key())) is True
    for other in (people["alice"].key.public_key(), issuer.certificate.public_key()):
        assert presents_key(chain, *names_of(other)) is False
