"""What a signer presents: nothing but the hint of a key, or certificates, parsed and believed by nobody yet.

The law of this file: whoever signs with a bare key waits for nothing that reads
certificates, nor for what verifies signatures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trustkit.attest.bundle import CertificateChain, Material
from trustkit.digest import digest_of
from trustkit.errors import FormatError
from trustkit.records import dataclass

if TYPE_CHECKING:
    from cryptography import x509


@dataclass(frozen=True, slots=True)
class Presented:
    """The certificates that a bundle brought, parsed and untrusted: its leaf, and the line above it."""

    leaf: x509.Certificate
    others: tuple[x509.Certificate, ...]


def presented_by(untrusted: CertificateChain) -> Presented:
    """Parse the certificates of a bundle, and keep those above the leaf: work that is done once for all.

    Raises:
        FormatError: ``bad-certificate``: one that does not parse, or a leaf of an unusable key.
        LimitError: ``too-large``.
    """
    from trustkit.spiffe.certificates import certificate_from_der, has_usable_key
    from trustkit.verifying.chains import line_above

    leaf, *others = (
        certificate_from_der(raw, "a certificate of the bundle") for raw in untrusted.certificates
    )
    if not has_usable_key(leaf):
        raise FormatError(
            "bad-certificate",
            "the signer's certificate has a key of a kind or size that is not accepted; use one on P-256",
        )
    return Presented(leaf, line_above(leaf, others))


def check_signer(material: Material, *, at: float) -> str | None:
    """Refuse to sign with a certificate that nobody could verify; who vouches for it is not asked.

    Args:
        material: Of the signer; a key hint is always good.
        at: The time of signing (seconds since the epoch).

    Returns:
        Whom the certificate names first, or None.

    Raises:
        FormatError: ``bad-certificate``.
        LimitError: ``too-large``.
        VerificationError: As `trustkit.verifying.certificates.check_signs`.
    """
    if not isinstance(material, CertificateChain):
        return None
    from trustkit.verifying.certificates import check_signs, identities_in

    leaf = presented_by(material).leaf
    check_signs(leaf, at=at)
    return next(iter(identities_in(leaf)), None)


def presents_key(untrusted: Material, public_pem: bytes) -> bool:
    """Say whether a bundle claims this key for its first signer; advice for who signs again, never trust.

    Raises:
        FormatError: ``bad-certificate``.
        LimitError: ``too-large``.
    """
    if not isinstance(untrusted, CertificateChain):
        return untrusted.hint == digest_of(public_pem).hex
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = presented_by(untrusted).leaf.public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) == public_pem
