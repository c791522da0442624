"""Local signing keys: EC P-256, P-384 and P-521 in PEM files, encrypted or not.

Private keys live here and nowhere else; they are never logged, never shown,
and read from files that hold nothing else. Signatures are ECDSA with the hash
that OMS pairs with each curve, DER encoded (OMS v1.0, signature algorithms).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from trustkit.artifact.inputs import read_input
from trustkit.attest.bundle import Material, PublicKeyHint
from trustkit.digest import Digest, digest_of
from trustkit.errors import FormatError, UsageError

MAX_KEY_BYTES = 64 << 10
"""Largest key file that is read (bytes)."""
MAX_PASSPHRASE = 1023
"""Longest passphrase of a key file (bytes): what readers of encrypted PEM take."""

CURVES: dict[str, ec.EllipticCurve] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
# SEC1 files may open with a block of EC PARAMETERS, so other blocks are no fault; two keys are.
_PRIVATE = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")
_ENCRYPTED = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)


class Signer(Protocol):
    """Makes signatures; whatever holds the key (file, token, service) looks like this.

    What a bundle says of its signer comes from the signer: the hint of a key, or the
    certificates of one. The public key is known before anything is signed.
    """

    @property
    def material(self) -> Material:
        """What the bundle carries to find the signer by."""

    @property
    def fingerprint(self) -> Digest:
        """SHA-256 of the public key's DER SubjectPublicKeyInfo."""

    def public_pem(self) -> bytes:
        """Return the public key as PEM text."""

    def sign(self, message: bytes) -> bytes:
        """Return an ECDSA signature (ASN.1 DER) over *message*, with the hash of the key's curve."""


class LocalSigner:
    """A signer whose private key was read from a file.

    Raises:
        UsageError: ``unsupported-key`` for a curve that OMS does not have.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        if key.curve.name not in _HASHES:
            raise _unsupported("the key")
        self._key = key

    @property
    def hint(self) -> str:
        """Hex SHA-256 of the public key's PEM text."""
        return digest_of(self.public_pem()).hex

    @property
    def material(self) -> PublicKeyHint:
        """The hint of the key, as OMS bundles carry it."""
        return PublicKeyHint(self.hint)

    @property
    def fingerprint(self) -> Digest:
        """SHA-256 of the public key's DER SubjectPublicKeyInfo."""
        return digest_of(
            self._key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    def public_pem(self) -> bytes:
        """Return the public key as PEM text."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, message: bytes) -> bytes:
        """Return an ECDSA signature (ASN.1 DER) with the hash of the key's curve."""
        return self._key.sign(message, ec.ECDSA(_HASHES[self._key.curve.name]))


def load_signer(path: Path, *, passphrase: bytes | None) -> LocalSigner:
    """Read a private key file.

    Args:
        path: A PEM file with one EC private key: PKCS#8 or SEC1, encrypted or not.
        passphrase: For an encrypted key; refused for a key that is not encrypted.

    Raises:
        UsageError: ``no-such-file``, ``passphrase-needed``, ``passphrase-unused``, ``wrong-passphrase``,
            ``public-key-given`` or ``unsupported-key``.
        FormatError: ``bad-key``, ``special-file``.
        LimitError: ``too-large``.
        UnavailableError: ``unreadable``.
    """
    shown = repr(str(path))
    raw = read_input(path, max_bytes=MAX_KEY_BYTES, what="key")
    refuse_public(raw, shown)
    if len(_PRIVATE.findall(raw)) != 1:
        raise FormatError("bad-key", f"{shown} must hold exactly one PEM private key")
    encrypted = _ENCRYPTED.search(raw) is not None
    try:
        key = serialization.load_pem_private_key(raw, passphrase)
    except TypeError:
        if encrypted:
            raise UsageError(
                "passphrase-needed", f"{shown} is encrypted; give the file with its passphrase"
            ) from None
        raise UsageError("passphrase-unused", f"{shown} is not encrypted; leave its passphrase out") from None
    except UnsupportedAlgorithm:
        raise _unsupported(shown) from None
    except ValueError:
        if encrypted:
            raise UsageError("wrong-passphrase", f"the passphrase does not open {shown}") from None
        raise FormatError("bad-key", f"{shown} is not a PEM private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _HASHES:
        raise _unsupported(shown)
    return LocalSigner(key)


def refuse_public(raw: bytes, what: str) -> None:
    """Refuse the public half of a key where the private one belongs.

    Raises:
        UsageError: ``public-key-given``.
    """
    if b"-----BEGIN PUBLIC KEY-----" in raw and not _PRIVATE.search(raw):
        raise UsageError("public-key-given", f"{what} is a public key; give the private one")


def generate_key(curve: str, *, passphrase: bytes | None) -> tuple[bytes, bytes]:
    """Make a new signing key and return (private PEM, public PEM); the private one is PKCS#8.

    Args:
        curve: ``p256``, ``p384`` or ``p521``.
        passphrase: Encrypts the private key; None leaves it in the clear.

    Raises:
        UsageError: ``unsupported-key`` for an unknown curve; ``bad-passphrase`` for one no reader would take.
    """
    if curve not in CURVES:
        raise UsageError("unsupported-key", f"the curve must be one of {', '.join(CURVES)}")
    key = ec.generate_private_key(CURVES[curve])
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        if not 0 < len(passphrase) <= MAX_PASSPHRASE:
            raise UsageError("bad-passphrase", f"a passphrase has from 1 to {MAX_PASSPHRASE} bytes")
        protection = serialization.BestAvailableEncryption(passphrase)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    return private, LocalSigner(key).public_pem()


def _unsupported(what: str) -> UsageError:
    return UsageError("unsupported-key", f"{what} must be an EC key on P-256, P-384 or P-521 to sign with")
