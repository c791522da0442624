"""X.509 certificates from bytes: parsed whole, within caps, or refused.

The law of this file: bytes become certificates here and nothing is believed.
Every field is read at once, because the library puts that off until a field is
asked for, and raises there; so whoever holds a certificate can read all of it.
A PEM file holds certificates and, as RFC 7468 (section 2) has it, text around
them; a block of anything else makes it another file.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
import warnings

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.utils import CryptographyDeprecationWarning

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
)
"""What the library raises for certificates that it, or we, cannot read."""

_ALONE = threading.Lock()
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
        # The library warns of what it is going to refuse, such as a serial number that is not positive.
        # Filters belong to the process, so one thread at a time changes them.
        with _ALONE, warnings.catch_warnings():
            warnings.simplefilter("error", CryptographyDeprecationWarning)
            return whole(x509.load_der_x509_certificate(untrusted))
    except (*UNREADABLE, CryptographyDeprecationWarning):
        raise _bad(f"{what} does not parse as an X.509 certificate") from None


def certificates_from_pem(raw: bytes, what: str, *, most: int) -> list[x509.Certificate]:
    """Parse the certificates of a PEM file, in its order.

    Args:
        raw: The file's bytes.
        what: Its name in messages.
        most: Most certificates accepted.

    Raises:
        UsageError: ``private-key-given``.
        FormatError: ``bad-certificate``: none, something beside them, or one that does not parse.
        LimitError: ``chain-too-long`` or ``too-large``.
    """
    if b"PRIVATE KEY-----" in raw:
        raise UsageError("private-key-given", f"{what} holds a private key; give certificates alone")
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


def _decoded(block: bytes, what: str) -> bytes:
    try:
        return base64.b64decode(b"".join(block.split()), validate=True)
    except binascii.Error:
        raise _bad(f"{what} holds a certificate that is not base64") from None


def _bad(message: str) -> FormatError:
    return FormatError("bad-certificate", f"{message}; get it from its issuer again")
