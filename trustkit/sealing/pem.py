"""Key files of recipients as PEM: one block read or written, whatever key is in it.

The law of this file: a file that cannot be read is one of few errors, and none
of them quotes it.
"""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

from trustkit.errors import FormatError, UsageError

Public = x25519.X25519PublicKey | ec.EllipticCurvePublicKey | mlkem.MLKEM768PublicKey


def load_public(pem: bytes) -> PublicKeyTypes:
    """Load one PEM public key of any type.

    Raises:
        UsageError: ``bad-public-key``.
    """
    try:
        return serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError("bad-public-key", "the recipient is not a PEM public key") from None


def load_private(pem: bytes, passphrase: bytes | None) -> PrivateKeyTypes:
    """Load one PEM private key of any type.

    Raises:
        UsageError: ``passphrase-needed``, ``passphrase-unused`` or ``wrong-passphrase``.
        FormatError: ``bad-key``.
    """
    try:
        return serialization.load_pem_private_key(pem, passphrase)
    except TypeError:
        if b"ENCRYPTED" in pem:
            raise UsageError(
                "passphrase-needed", "the opener is encrypted; give the file with its passphrase"
            ) from None
        raise UsageError(
            "passphrase-unused", "the opener is not encrypted; leave its passphrase out"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        if b"ENCRYPTED" in pem:
            raise UsageError("wrong-passphrase", "the passphrase does not open the opener") from None
        raise FormatError("bad-key", "the opener is not a PEM private key") from None


def public_pem(key: Public) -> bytes:
    """Write a public key as one PEM block."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
