"""X.509 certificates from bytes: parsed whole, within caps, or refused.

The law of this file: bytes become certificates here and nothing is believed.
Every field is read at once, because the library puts that off until a field is
asked for, and raises there; so whoever holds a certificate can read all of it.
Warnings of the library decide nothing: who may see them is said once for a process,
and what they are about is checked here. A PEM file holds certificates and, as
RFC 7468 (section 2) has it, text around them; a block of anything else makes it
another file.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from trustkit.digest import Digest, digest_of
from trustkit.errors import FormatError, LimitError, UsageError

MAX_CERTIFICATE_BYTES = 64 << 10
"""Largest single certificate that is read (bytes)."""

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    UserWarning,  # of odd serial numbers and names, where somebody made errors of warnings
)
"""What the library raises for certificates that it, or we, cannot read."""

_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_RSA_BITS = range(2048, 4096 + 1)
_RSA_EXPONENT_BITS = 32
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----")


def certificate_from_der(untrusted: bytes, what: str) -> x509.Certificate:
    """Parse one certificate, with all its extensions.

    Raises:
        FormatError: ``bad-certificate``.
        LimitError: ``too-large``.
    """
    if len(untrusted) > MAX_CERTIFICATE_BYTES:
        raise LimitError(
            "too-large", f"{what} is larger than {MAX_CERTIFICATE_BYTES} bytes", limit=MAX_CERTIFICATE_BYTES
        )
    try:
        certificate = whole(x509.load_der_x509_certificate(untrusted))
        serial, signature = certificate.serial_number, certificate.signature
    except UNREADABLE:
        raise _bad(f"{what} does not parse as an X.509 certificate") from None
    if not untrusted.endswith(b"\0" + signature):  # nobody signs how many bits of it count, all do
        raise _bad(f"{what} has a signature that is no whole number of bytes")
    if serial <= 0:  # the library only warns
        raise _bad(f"{what} has a serial number that is not positive")
    return certificate


def certificates_from_pem(raw: bytes, what: str, *, most: int) -> list[x509.Certificate]:
    """Parse the certificates of a PEM file, in its order.

    Args:
        raw: The file's bytes.
        what: Its name in messages.
        most: Most certificates accepted.

    Raises:
        UsageError: ``private-key-given`` or ``public-key-given``.
        FormatError: ``bad-certificate``: none, something beside them, or one that does not parse.
        LimitError: ``chain-too-long`` or ``too-large``.
    """
    if b"PRIVATE KEY-----" in raw:
        raise UsageError("private-key-given", f"{what} holds a private key; give certificates alone")
    if b"-----BEGIN PUBLIC KEY-----" in raw and b"-----BEGIN CERTIFICATE-----" not in raw:
        raise UsageError("public-key-given", f"{what} is a public key; give certificates")
    begun = raw.count(b"-----BEGIN ")
    if begun > most:
        raise LimitError("chain-too-long", f"{what} has more than {most} certificates", limit=most)
    blocks = _BLOCK.findall(raw)
    if not blocks or len(blocks) != begun:
        raise _bad(f"{what} must hold PEM certificates, and no block of another kind")
    return [certificate_from_der(_decoded(block, what), what) for block in blocks]


def whole(certificate: x509.Certificate) -> x509.Certificate:
    """Read every field now; raises one of `UNREADABLE`."""
    for name in (
        "version",
        "serial_number",
        "issuer",
        "subject",
        "not_valid_before_utc",
        "not_valid_after_utc",
    ):
        getattr(certificate, name)
    list(certificate.extensions)
    return certificate


def has_usable_key(certificate: x509.Certificate) -> bool:
    """Say whether its key is of a kind and size whose signatures are worth, and cheap, checking."""
    try:
        key = certificate.public_key()
    except UNREADABLE:
        return False
    if isinstance(key, rsa.RSAPublicKey):
        exponent = key.public_numbers().e
        return key.key_size in _RSA_BITS and exponent.bit_length() <= _RSA_EXPONENT_BITS
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, _CURVES)
    return isinstance(key, ed25519.Ed25519PublicKey)


def key_digest(certificate: x509.Certificate) -> Digest | None:
    """Return the SHA-256 of its key (DER SubjectPublicKeyInfo), or None for one that cannot be read."""
    try:
        key = certificate.public_key()
    except UNREADABLE:
        return None
    return digest_of(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def issued(child: x509.Certificate, parent: x509.Certificate) -> bool:
    """Say whether a certificate bears the name and a signature of another; not whether that may sign."""
    try:
        child.verify_directly_issued_by(parent)
    except (*UNREADABLE, InvalidSignature):
        return False
    return True


def moment(at: dt.datetime) -> str:
    """Return a time of a certificate as messages show it: in UTC, to the second."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _decoded(block: bytes, what: str) -> bytes:
    try:
        return base64.b64decode(b"".join(block.split()), validate=True)
    except binascii.Error:
        raise _bad(f"{what} holds a certificate that is not base64") from None


def _bad(message: str) -> FormatError:
    return FormatError("bad-certificate", f"{message}; get it from its issuer again")
