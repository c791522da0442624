"""What a signer presents: nothing but the hint of a key, or certificates, parsed and believed by nobody yet.

The law of this file: whoever signs with a bare key waits for nothing that reads
certificates, nor for what verifies signatures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trustkit.attest.bundle import CertificateChain, Material
from trustkit.digest import Digest, digest_of
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
        VerificationError: As `trustkit.verifying.certificates.check_signs`; of what stands above it,
            ``certificate-expired`` or ``certificate-not-yet-valid``.
    """
    if not isinstance(material, CertificateChain):
        return None
    from trustkit.verifying.certificates import check_signs, check_time, identities_in
    from trustkit.verifying.chains import called

    presented = presented_by(material)
    anew = "get a new one from its issuer"
    check_time(presented.leaf, at=at, what="your certificate", advice=anew)
    for other in presented.others:
        check_time(other, at=at, what=f"{called(other)} above your certificate", advice=anew)
    check_signs(presented.leaf, at=at)
    return next(iter(identities_in(presented.leaf)), None)


def unvouched(material: Material) -> str | None:
    """Say what is missing above the certificate of a signer; None for nothing that can be known here.

    Which roots a verifier believes is not known here, so a line that ends with an issuer who is not there may
    be whole; one that does not even begin seldom is.

    Args:
        material: Of the signer, whom `check_signer` let pass.
    """
    if not isinstance(material, CertificateChain):
        return None
    from trustkit.verifying.chains import missing_above

    presented = presented_by(material)
    missing = None if presented.others else missing_above(presented.leaf, ())
    if missing is None:
        return None
    last, issuer = missing
    return (
        f"{last} was issued by {issuer}, which --chain does not hold: only who names that very issuer as a "
        "root will believe it; give in --chain all certificates up to the root"
    )


def presents_key(untrusted: Material, public_pem: bytes, fingerprint: Digest) -> bool:
    """Say whether a bundle claims this key for its first signer; advice for who signs again, never trust.

    Args:
        untrusted: Of the bundle.
        public_pem: The key as text, which hints are made of.
        fingerprint: SHA-256 of the key (DER SubjectPublicKeyInfo).

    Raises:
        FormatError: ``bad-certificate``.
        LimitError: ``too-large``.
    """
    if not isinstance(untrusted, CertificateChain):
        return untrusted.hint == digest_of(public_pem).hex
    from trustkit.spiffe.certificates import key_digest

    return key_digest(presented_by(untrusted).leaf) == fingerprint
