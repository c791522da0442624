"""The hybrid post-quantum key pair: ML-KEM-768 and X25519, both of which must fall before a key does.

HPKE base mode with the KEM MLKEM768-X25519 (X-Wing), HKDF-SHA256 and AES-256-GCM,
as the library has it. Its two halves have no common file format yet, so a key
file holds both, each in the standard form of its own: first ML-KEM-768, then
X25519, two PEM blocks and nothing else. The key ID is the SHA-256 of both DER
SubjectPublicKeyInfo, joined in that order.

The law of this file: two halves, in this order, or no key; one half alone is
never used for what the pair was made for.
"""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey

from trustkit.digest import Digest, digest_of
from trustkit.errors import FormatError, UsageError
from trustkit.sealing.pem import load_private, load_public, public_pem

_BEGIN = b"-----BEGIN "
_BOTH = "an ML-KEM-768 key and an X25519 key, in this order"


def public_pair(pem: bytes) -> tuple[MLKEM768X25519PublicKey, Digest]:
    """Read two PEM public keys, ML-KEM-768 and X25519; return the pair and its key ID.

    Raises:
        UsageError: ``bad-public-key``.
    """
    post_quantum, classic = (load_public(block) for block in _blocks(pem))
    if isinstance(post_quantum, mlkem.MLKEM768PublicKey) and isinstance(classic, x25519.X25519PublicKey):
        return MLKEM768X25519PublicKey(post_quantum, classic), _fingerprint(post_quantum, classic)
    raise UsageError("bad-public-key", f"the recipient must be one PEM public key, or {_BOTH}")


def private_pair(pem: bytes, passphrase: bytes | None) -> tuple[MLKEM768X25519PrivateKey, Digest, bytes]:
    """Read two PEM private keys, encrypted with one passphrase or none; return pair, key ID and public PEM.

    Raises:
        UsageError: ``passphrase-needed``, ``passphrase-unused`` or ``wrong-passphrase``.
        FormatError: ``bad-key``.
    """
    post_quantum, classic = (load_private(block, passphrase) for block in _blocks(pem))
    if isinstance(post_quantum, mlkem.MLKEM768PrivateKey) and isinstance(classic, x25519.X25519PrivateKey):
        halves = post_quantum.public_key(), classic.public_key()
        public = b"".join(public_pem(half) for half in halves)
        return MLKEM768X25519PrivateKey(post_quantum, classic), _fingerprint(*halves), public
    raise FormatError("bad-key", f"the opener must be one PEM private key, or {_BOTH}")


def _blocks(pem: bytes) -> tuple[bytes, bytes]:
    """Cut a file before its second beginning; what stands around blocks means nothing to a reader of PEM."""
    first, *rest = pem.split(_BEGIN)
    return _BEGIN.join((first, *rest[:1])), b"".join(_BEGIN + block for block in rest[1:])


def _fingerprint(post_quantum: mlkem.MLKEM768PublicKey, classic: x25519.X25519PublicKey) -> Digest:
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return digest_of(post_quantum.public_bytes(*form) + classic.public_bytes(*form))
