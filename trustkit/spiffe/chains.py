"""Certificates in PEM files: read exactly, linked one to the next, led to an anchor of one trust domain.

The law of this file: a file is certificates and nothing else, so that two
readers cannot see two chains. What is checked here is our own SVID and trust
bundle, before anything is started with them; the chains of peers are built by
the TLS library, from the bundle that passed here. A bundle speaks for one
trust domain: an anchor that names another does not belong in it.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from trustkit.errors import FormatError, LimitError, VerificationError
from trustkit.spiffe.certificates import UNREADABLE, issued, moment, whole
from trustkit.spiffe.names import SpiffeID, parse_spiffe_id

MAX_BYTES = 1 << 20
"""Largest file of an SVID directory (bytes)."""
MAX_CHAIN = 10
"""Most certificates in a chain."""
MAX_ANCHORS = 100
"""Most certificates in a trust bundle."""

_PEM = re.compile(
    rb"(?:-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/=]{1,76}\n)+-----END CERTIFICATE-----\n)+"
)
_CURVES = frozenset(("secp256r1", "secp384r1", "secp521r1"))
_HASHES = frozenset(("sha256", "sha384", "sha512"))


def parse_certificates(untrusted: bytes, what: str, *, most: int) -> list[x509.Certificate]:
    """Parse a PEM file of certificates, in its order.

    Raises:
        FormatError: ``bad-svid``.
        LimitError: ``too-large`` or ``chain-too-long``.
    """
    if len(untrusted) > MAX_BYTES:
        raise LimitError("too-large", f"{what} is larger than {MAX_BYTES} bytes", limit=MAX_BYTES)
    pem = untrusted if untrusted.endswith(b"\n") else untrusted + b"\n"
    if pem.count(b"-----BEGIN") > most:
        raise LimitError("chain-too-long", f"{what} has more than {most} certificates", limit=most)
    if _PEM.fullmatch(pem) is None:
        raise FormatError("bad-svid", f"{what} must hold PEM certificates and nothing else")
    try:
        return [whole(certificate) for certificate in x509.load_pem_x509_certificates(pem)]
    except UNREADABLE:
        raise FormatError("bad-svid", f"{what} holds a certificate that does not parse") from None


def parse_certificate(untrusted_der: bytes) -> x509.Certificate:
    """Parse one certificate of a peer, with all its extensions.

    Raises:
        VerificationError: ``bad-svid``.
    """
    if len(untrusted_der) > MAX_BYTES:
        raise bad("the certificate is too large")
    try:
        return whole(x509.load_der_x509_certificate(untrusted_der))
    except UNREADABLE:
        raise bad("the certificate does not parse") from None


def check_sane(certificate: x509.Certificate, *, now: float, what: str = "it") -> None:
    """Refuse weak or odd certificates of any kind, and those outside their time.

    Args:
        certificate: Of the SVID, or above it.
        now: The time (seconds since the epoch).
        what: Which certificate it is, for whoever has to renew it.

    Raises:
        VerificationError: ``bad-svid``.
    """
    try:
        key, hashed = certificate.public_key(), certificate.signature_hash_algorithm
    except UNREADABLE:
        raise bad("its key or signature is of a kind that is not accepted") from None
    strong = (
        (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES)
        or (isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048)
        or isinstance(key, ed25519.Ed25519PublicKey)
    )
    if not strong or (hashed is not None and hashed.name not in _HASHES):
        raise bad("its key or signature is too weak; use P-256 and SHA-256 or stronger")
    if certificate.version is not x509.Version.v3 or certificate.serial_number <= 0:
        raise bad("it is no version 3 certificate with a positive serial number")
    at = dt.datetime.fromtimestamp(now, dt.UTC)
    if at < certificate.not_valid_before_utc:
        begins = certificate.not_valid_before_utc
        raise bad(f"{what} is not valid yet, but from {moment(begins)} on; look at the clocks")
    if at > certificate.not_valid_after_utc:
        ended = certificate.not_valid_after_utc
        raise bad(f"{what} expired at {moment(ended)}; have a new one issued")


def check_anchors(anchors: Sequence[x509.Certificate], domain: str) -> None:
    """Refuse a trust bundle with anything in it that is no CA of this trust domain.

    Raises:
        VerificationError: ``bad-svid`` or ``unsupported-constraint``.
    """
    for anchor in anchors:
        _check_authority(anchor, below=0)
        for name in _uris(anchor):
            try:
                other = parse_spiffe_id(name, allow_trust_domain=True)
            except FormatError:
                raise bad("the trust bundle has an anchor with a URI that is no SPIFFE ID") from None
            if other.trust_domain != domain:
                theirs, ours = SpiffeID(other.trust_domain, ""), SpiffeID(domain, "")
                raise bad(f"the trust bundle has an anchor of {theirs}, and our trust domain is {ours}")


def check_chain(
    chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], *, now: float
) -> None:
    """Refuse a chain (leaf first) that does not lead, link by link, to an anchor that is valid now.

    Raises:
        VerificationError: ``bad-svid`` or ``unsupported-constraint``.
    """
    for below, (child, parent) in enumerate(itertools.pairwise(chain)):
        check_sane(parent, now=now, what="a CA of its chain")
        _check_authority(parent, below=below)
        if not issued(child, parent):
            raise bad("the chain is out of order, or has a certificate that does not belong to it")
    for anchor in anchors:
        if issued(chain[-1], anchor):
            check_sane(anchor, now=now, what="its anchor in the trust bundle")
            _check_authority(anchor, below=len(chain) - 1)
            return
    raise bad("the chain does not lead to the trust bundle")


def bad(why: str) -> VerificationError:
    """Build the error for an SVID that was examined and rejected."""
    return VerificationError("bad-svid", f"the SVID is refused: {why}")


def _check_authority(certificate: x509.Certificate, *, below: int) -> None:
    basic = usage = None
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.BasicConstraints):
            basic = extension.value
        elif isinstance(extension.value, x509.KeyUsage):
            usage = extension.value
        elif isinstance(extension.value, x509.NameConstraints):
            raise VerificationError(
                "unsupported-constraint", "a CA certificate carries name constraints, which are not supported"
            )
    if basic is None or not basic.ca or (usage is not None and not usage.key_cert_sign):
        raise bad("a certificate that may not issue others stands in the place of a CA")
    if basic.path_length is not None and basic.path_length < below:
        raise bad("a CA has more certificates below it than it allows")


def _uris(certificate: x509.Certificate) -> list[str]:
    return [
        name
        for extension in certificate.extensions
        if isinstance(extension.value, x509.SubjectAlternativeName)
        for name in extension.value.get_values_for_type(x509.UniformResourceIdentifier)
    ]
