"""Local signing keys: EC P-256, P-384 and P-521 in PEM files, encrypted or not.

Private keys live here and nowhere else; they are never logged, never shown,
and read from files that hold nothing else. Signatures are ECDSA with the hash
that OMS pairs with each curve, DER encoded (OMS v1.0, signature algorithms).
A file that `generate_key` writes is read here, byte for byte; what reads all
others takes longer to load than a small model to sign.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from trustkit.artifact.inputs import read_input
from trustkit.attest.bundle import Material, PublicKeyHint
from trustkit.curves import ECDSA, HASHES, coordinate_size, pem_of, point_of, public_der
from trustkit.digest import Digest, digest_of
from trustkit.errors import FormatError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

MAX_KEY_BYTES = 64 << 10
"""Largest key file that is read (bytes)."""
MAX_PASSPHRASE = 1023
"""Longest passphrase of a key file (bytes): what readers of encrypted PEM take."""

CURVES: dict[str, ec.EllipticCurve] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
_AROUND = {  # PrivateKeyInfo (RFC 5208) with ECPrivateKey (RFC 5915) in it: before the number, and after it
    "secp256r1": (
        bytes.fromhex("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420"),
        bytes.fromhex("a144034200"),
    ),
    "secp384r1": (
        bytes.fromhex("3081b6020100301006072a8648ce3d020106052b8104002204819e30819b0201010430"),
        bytes.fromhex("a164036200"),
    ),
    "secp521r1": (
        bytes.fromhex("3081ee020100301006072a8648ce3d020106052b810400230481d63081d30201010442"),
        bytes.fromhex("a1818903818600"),
    ),
}
# SEC1 files may open with a block of EC PARAMETERS, so other blocks are no fault; two keys are.
_PRIVATE = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")
_LABEL = "PRIVATE KEY"
_ENCRYPTED = rb"(?m)-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED"


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
        if key.curve.name not in HASHES:
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
        return digest_of(public_der(self._key.public_key()))

    def public_pem(self) -> bytes:
        """Return the public key as PEM text."""
        return pem_of(public_der(self._key.public_key()), "PUBLIC KEY")

    def sign(self, message: bytes) -> bytes:
        """Return an ECDSA signature (ASN.1 DER) with the hash of the key's curve."""
        return self._key.sign(message, ECDSA(HASHES[self._key.curve.name]))


def load_signer(path: Path, *, passphrase: bytes | None) -> LocalSigner:
    """Read a private key file.

    Args:
        path: A PEM file with one EC private key: PKCS#8 or SEC1, encrypted or not.
        passphrase: For an encrypted key; refused for a key that is not encrypted.

    Raises:
        UsageError: ``no-such-file``, ``special-file``, ``passphrase-needed``, ``passphrase-unused``,
            ``wrong-passphrase``, ``public-key-given`` or ``unsupported-key``.
        FormatError: ``bad-key``.
        LimitError: ``too-large``.
        UnavailableError: ``unreadable``.
    """
    shown = repr(str(path))
    raw = read_input(path, max_bytes=MAX_KEY_BYTES, what="key")
    refuse_public(raw, shown)
    if len(_PRIVATE.findall(raw)) != 1:
        raise FormatError("bad-key", f"{shown} must hold exactly one PEM private key")
    key = (_plain(raw) if passphrase is None else None) or _loaded(raw, passphrase, shown)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in HASHES:
        raise _unsupported(shown)
    return LocalSigner(key)


def _plain(raw: bytes) -> ec.EllipticCurvePrivateKey | None:
    """Take a key from its place in the file, and write it again: the file must be the same to the byte."""
    try:
        der = base64.b64decode(b"".join(raw.splitlines()[1:-1]), validate=True)
    except ValueError:
        return None
    for curve in CURVES.values():
        head, between = _AROUND[curve.name]
        size = coordinate_size(curve)
        number = der[len(head) : len(head) + size]
        if der.startswith(head) and 0 < int.from_bytes(number, "big") < curve.group_order:
            key = ec.derive_private_key(int.from_bytes(number, "big"), curve)
            written = pem_of(head + number + between + point_of(key.public_key()), _LABEL)
            return key if written == raw else None
    return None


def _loaded(raw: bytes, passphrase: bytes | None, shown: str) -> PrivateKeyTypes:
    """Read a private key in whatever way it is spelled."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    encrypted = re.search(_ENCRYPTED, raw) is not None
    try:
        return load_pem_private_key(raw, passphrase)
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


def refuse_public(raw: bytes, what: str) -> None:
    """Refuse what may be public where the private key belongs: the other half, or a certificate of it.

    Raises:
        UsageError: ``public-key-given``.
    """
    if _PRIVATE.search(raw):
        return
    if b"-----BEGIN PUBLIC KEY-----" in raw:
        raise UsageError("public-key-given", f"{what} is a public key; give the private one")
    if b"-----BEGIN CERTIFICATE-----" in raw:
        raise UsageError(
            "public-key-given", f"{what} is a certificate; give the private key that goes with it"
        )


def generate_key(curve: str, *, passphrase: bytes | None) -> tuple[bytes, bytes]:
    """Make a new signing key and return (private PEM, public PEM); the private one is PKCS#8.

    Args:
        curve: ``p256``, ``p384`` or ``p521``.
        passphrase: Encrypts the private key; None leaves it in the clear.

    Raises:
        UsageError: ``unsupported-key`` for an unknown curve; ``bad-passphrase`` for one no reader would take.
    """
    from cryptography.hazmat.primitives import serialization

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
