"""Signing with a certificate: any signer, and the certificates that say whose key it holds.

The law of this file: a certificate is public, and carried as bytes. It is read
only to make sure that it speaks of the key that signs; whether it may sign, and
who vouches for it, is for whoever verifies to say.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding

from trustkit.attest.bundle import MAX_CERTIFICATES, CertificateChain
from trustkit.digest import Digest
from trustkit.errors import LimitError, UsageError
from trustkit.signing.key import Signer
from trustkit.spiffe.certificates import certificates_from_pem, key_digest

MAX_CHAIN_BYTES = 1 << 20
"""Largest file of certificates that is read (bytes)."""


class CertifiedSigner:
    """A signer that brings a certificate chain in place of a key hint. Made by `certified`."""

    def __init__(self, signer: Signer, chain: CertificateChain) -> None:
        self._signer = signer
        self._chain = chain

    @property
    def material(self) -> CertificateChain:
        """The certificates, leaf first."""
        return self._chain

    @property
    def fingerprint(self) -> Digest:
        """SHA-256 of the public key's DER SubjectPublicKeyInfo."""
        return self._signer.fingerprint

    def public_pem(self) -> bytes:
        """Return the public key as PEM text."""
        return self._signer.public_pem()

    def sign(self, message: bytes) -> bytes:
        """Return an ECDSA signature (ASN.1 DER) over *message*."""
        return self._signer.sign(message)


def certified(signer: Signer, leaf_pem: bytes, chain_pem: bytes | None = None) -> CertifiedSigner:
    """Join a signer and the certificate of its key.

    Args:
        signer: Holder of the key.
        leaf_pem: The signer's certificate; what follows it in the file belongs to the chain.
        chain_pem: The certificates between it and the root, in any order; None where there are none.

    Raises:
        UsageError: ``certificate-key-mismatch`` or ``private-key-given``.
        FormatError: ``bad-certificate``.
        LimitError: ``chain-too-long`` or ``too-large``.
    """
    found = certificates_from_pem(leaf_pem, "the certificate", most=MAX_CERTIFICATES)
    if chain_pem is not None:
        found += certificates_from_pem(chain_pem, "the chain", most=MAX_CERTIFICATES)
    if len(found) > MAX_CERTIFICATES:
        raise LimitError(
            "chain-too-long", f"more than {MAX_CERTIFICATES} certificates in all", limit=MAX_CERTIFICATES
        )
    if key_digest(found[0]) != signer.fingerprint:
        raise UsageError(
            "certificate-key-mismatch",
            "the certificate is of another key than the one that signs; give the two that belong together",
        )
    return CertifiedSigner(
        signer, CertificateChain(tuple(certificate.public_bytes(Encoding.DER) for certificate in found))
    )
