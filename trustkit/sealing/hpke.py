"""Recipients and openers that are HPKE key pairs: X25519, P-256, and a hybrid (RFC 9180, base mode).

Suites: DHKEM(X25519, HKDF-SHA256), DHKEM(P-256, HKDF-SHA256) or MLKEM768-X25519
(`trustkit.sealing.hybrid`), with HKDF-SHA256 and AES-256-GCM; info is the wrap
context, there is no AAD. A wrapped key is the encapsulated key followed by the
ciphertext of the data key.

The law of this file: an opener says that something opened or that it did not,
never why. A wrong context, a flipped bit, a low-order share, a point off the
curve and a wrong length are one error, so that nobody learns from asking.
Private keys are PKCS#8 PEM and stay inside the objects that were made of them.
"""

from __future__ import annotations

from typing import Literal, TypeGuard

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from trustkit.digest import Digest, digest_of
from trustkit.errors import FormatError, SealError, UsageError
from trustkit.sealing import hybrid
from trustkit.sealing.keys import Dek
from trustkit.sealing.pem import load_private, load_public, public_pem

X25519 = "hpke-x25519"
P256 = "hpke-p256"
MLKEM768_X25519 = "hpke-mlkem768-x25519"
WRAPPED_LENGTHS = {X25519: 80, P256: 113, MLKEM768_X25519: 1168}
"""Length of a wrapped data key (bytes): encapsulated key, 32 bytes, tag."""
MAX_PASSPHRASE = 1023
"""Longest passphrase of a key file (bytes): what readers of encrypted PEM take."""

_HALVES = 2
"""PEM blocks in a key file of the hybrid kind."""
_SUITES = {
    X25519: Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
    P256: Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
    MLKEM768_X25519: Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
}
_Public = x25519.X25519PublicKey | ec.EllipticCurvePublicKey
_Private = x25519.X25519PrivateKey | ec.EllipticCurvePrivateKey
Kind = Literal["x25519", "p256", "mlkem768-x25519"]
"""What a key pair to wrap for can be, as callers name it."""


class HPKERecipient:
    """A recipient that is an HPKE public key."""

    _key: _Public | MLKEM768X25519PublicKey

    def __init__(self, key: _Public) -> None:
        self._key = key
        self.kind = _kind_of(key)
        self.key_id = _fingerprint(key)

    def wrap(self, dek: Dek, info: bytes) -> bytes:
        """Wrap a data key, bound to *info*.

        Raises:
            FormatError: ``bad-recipient-key``: the public key is a point of low order, which would make
                the secret one that everybody knows.
        """
        secret = dek.key
        try:
            return _SUITES[self.kind].encrypt(secret, self._key, info)
        except ValueError:
            raise FormatError(
                "bad-recipient-key", "the recipient's public key is not a usable point"
            ) from None

    def __repr__(self) -> str:
        return f"<HPKERecipient {self.kind} {self.key_id}>"


class HPKEOpener:
    """An opener that is an HPKE private key, held in memory."""

    _key: _Private | MLKEM768X25519PrivateKey

    def __init__(self, key: _Private) -> None:
        self._key = key
        self._public = public_pem(key.public_key())
        self.kind = _kind_of(key.public_key())
        self.key_id = _fingerprint(key.public_key())

    def unwrap(self, untrusted_wrapped: bytes, info: bytes) -> bytearray:
        """Unwrap a data key that was bound to *info*; the caller owns and wipes what it gets.

        Raises:
            SealError: ``wrong-context``, whatever was wrong.
        """
        try:
            return bytearray(_SUITES[self.kind].decrypt(untrusted_wrapped, self._key, info))
        except InvalidTag:
            raise SealError(
                "wrong-context",
                "the wrapped key was made for another artifact, or altered; get the recipients again",
            ) from None

    def public_pem(self) -> bytes:
        """Return the public half as PEM text, to make a recipient of."""
        return self._public

    def __repr__(self) -> str:
        return f"<HPKEOpener {self.kind} {self.key_id}>"


class HybridRecipient(HPKERecipient):
    """A recipient that is an ML-KEM-768 and an X25519 public key."""

    def __init__(self, key: MLKEM768X25519PublicKey, key_id: Digest) -> None:
        self._key = key
        self.kind = MLKEM768_X25519
        self.key_id = key_id


class HybridOpener(HPKEOpener):
    """An opener that is an ML-KEM-768 and an X25519 private key, held in memory."""

    def __init__(self, key: MLKEM768X25519PrivateKey, key_id: Digest, public: bytes) -> None:
        self._key = key
        self._public = public
        self.kind = MLKEM768_X25519
        self.key_id = key_id


def recipient_from_pem(pem: bytes) -> HPKERecipient:
    """Make a recipient of a PEM public key: X25519, P-256, or both halves of the hybrid kind.

    Raises:
        UsageError: ``private-key-given``, ``bad-public-key`` or ``unsupported-key``.
    """
    if b"PRIVATE KEY-----" in pem:
        raise UsageError(
            "private-key-given",
            "the recipient is a private key; give the public one (trustkit key public prints it)",
        )
    marks = pem.count(b"PUBLIC KEY-----")
    if marks == 2 * _HALVES:
        return HybridRecipient(*hybrid.public_pair(pem))
    if pem.count(b"-----BEGIN ") != 1 or marks > 2:  # of a damaged pair, no half may be taken for a key
        raise UsageError("bad-public-key", "the recipient must be exactly one PEM public key")
    key = load_public(pem)
    if not isinstance(key, x25519.X25519PublicKey) and not _is_p256(key):
        raise _unsupported("recipient")
    return HPKERecipient(key)


def recipient_from_raw(untrusted: bytes) -> HPKERecipient:
    """Make a recipient of a raw X25519 public key: the ephemeral key of a request.

    A point of low order passes here and fails in `HPKERecipient.wrap`, where its secret would be made.

    Raises:
        FormatError: ``bad-recipient-key`` for another length than 32 bytes.
    """
    try:
        return HPKERecipient(x25519.X25519PublicKey.from_public_bytes(untrusted))
    except ValueError:
        raise FormatError("bad-recipient-key", "an X25519 public key has 32 bytes") from None


def opener_from_pem(pem: bytes, *, passphrase: bytes | None) -> HPKEOpener:
    """Make an opener of a PEM private key: X25519, P-256, or both halves of the hybrid kind.

    Args:
        pem: The key file's bytes.
        passphrase: For an encrypted key; refused for a key that is not encrypted.

    Raises:
        UsageError: ``passphrase-needed``, ``passphrase-unused``, ``wrong-passphrase`` or ``unsupported-key``.
        FormatError: ``bad-key``.
    """
    if pem.count(b"PRIVATE KEY-----") == 2 * _HALVES:
        return HybridOpener(*hybrid.private_pair(pem, passphrase))
    if pem.count(b"PRIVATE KEY-----") != 2:  # one beginning and one end; of two keys, which would it be?
        raise FormatError("bad-key", "the opener must be exactly one PEM private key")
    key = load_private(pem, passphrase)
    if isinstance(key, x25519.X25519PrivateKey):
        return HPKEOpener(key)
    if isinstance(key, ec.EllipticCurvePrivateKey) and _is_p256(key.public_key()):
        return HPKEOpener(key)
    raise _unsupported("opener")


def generate_opener(kind: Kind, *, passphrase: bytes | None) -> tuple[bytes, bytes]:
    """Make a new key pair to wrap for and return (private PEM, public PEM); the private one is PKCS#8.

    Raises:
        UsageError: ``unsupported-key`` for an unknown kind; ``bad-passphrase`` for one no reader would take.
    """
    halves: tuple[_Private | mlkem.MLKEM768PrivateKey, ...]
    if kind == "x25519":
        halves = (x25519.X25519PrivateKey.generate(),)
    elif kind == "p256":
        halves = (ec.generate_private_key(ec.SECP256R1()),)
    elif kind == "mlkem768-x25519":
        halves = (mlkem.MLKEM768PrivateKey.generate(), x25519.X25519PrivateKey.generate())
    else:
        raise UsageError("unsupported-key", "the type must be x25519, p256 or mlkem768-x25519")
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        if not 0 < len(passphrase) <= MAX_PASSPHRASE:
            raise UsageError("bad-passphrase", f"a passphrase has from 1 to {MAX_PASSPHRASE} bytes")
        protection = serialization.BestAvailableEncryption(passphrase)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private = b"".join(half.private_bytes(*form, protection) for half in halves)
    return private, b"".join(public_pem(half.public_key()) for half in halves)


def ephemeral_opener() -> tuple[HPKEOpener, bytes]:
    """Make an X25519 pair for one request: the opener, and the raw public key that travels (32 bytes)."""
    key = x25519.X25519PrivateKey.generate()
    return HPKEOpener(key), key.public_key().public_bytes_raw()


def _kind_of(key: _Public) -> str:
    return X25519 if isinstance(key, x25519.X25519PublicKey) else P256


def _is_p256(key: object) -> TypeGuard[ec.EllipticCurvePublicKey]:
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)


def _fingerprint(key: _Public) -> Digest:
    return digest_of(
        key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _unsupported(what: str) -> UsageError:
    return UsageError("unsupported-key", f"the {what} must be an X25519 key, or an EC key on P-256")
