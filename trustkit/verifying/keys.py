"""Public keys of authorities: read from PEM, compared by fingerprint, asked about signatures.

A public key here is trusted because a policy or the caller named it; the
signatures it is asked about are not. One key has one fingerprint, however its
file spells it, so that nobody counts twice.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from trustkit.digest import Digest, digest_of
from trustkit.errors import UsageError

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
_BLOCK = re.compile(rb"-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]*)-----END PUBLIC KEY-----")


class Message:
    """What signatures cover, hashed once for each hash that is asked for.

    A payload may be large, and every authority of a policy is asked about every
    signature: hashing anew each time would be the attacker's lever.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._digests: dict[str, bytes] = {}

    def digest(self, algorithm: hashes.HashAlgorithm) -> bytes:
        """Return the digest of the content."""
        found = self._digests.get(algorithm.name)
        if found is None:
            hasher = hashes.Hash(algorithm)
            hasher.update(self._content)
            found = self._digests[algorithm.name] = hasher.finalize()
        return found


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An EC public key with its fingerprint (SHA-256 of the DER SubjectPublicKeyInfo) and OMS hint."""

    key: ec.EllipticCurvePublicKey
    fingerprint: Digest
    hint: str

    def signed(self, message: Message, untrusted_signature: bytes) -> bool:
        """Say whether this key made the signature, with the hash OMS pairs with its curve.

        A boolean is safe here because its only caller counts authorities; nothing is trusted by it alone.
        """
        algorithm = _HASHES[self.key.curve.name]
        try:
            self.key.verify(untrusted_signature, message.digest(algorithm), ec.ECDSA(Prehashed(algorithm)))
        except InvalidSignature:
            return False
        return True


def public_key_from_pem(pem: bytes, *, what: str) -> PublicKey:
    """Read a PEM public key of P-256, P-384 or P-521.

    Args:
        pem: The file's bytes: one public key, and nothing else that looks like PEM.
        what: Its name in messages, such as ``spec.authorities[0].key``.

    Raises:
        UsageError: ``private-key-given``, ``bad-public-key`` or ``unsupported-key``.
    """
    if b"PRIVATE KEY-----" in pem:
        raise UsageError(
            "private-key-given",
            f"{what} is a private key; give the public one (trustkit key public prints it)",
        )
    blocks = _BLOCK.findall(pem)
    if len(blocks) != 1 or pem.count(b"-----BEGIN ") != 1:
        raise UsageError("bad-public-key", f"{what} must hold exactly one PEM public key")
    try:
        key = serialization.load_pem_public_key(pem)
        given = base64.b64decode(b"".join(blocks[0].split()), validate=True)
    except UnsupportedAlgorithm:
        raise _unsupported(what) from None
    except ValueError:
        raise UsageError("bad-public-key", f"{what} is not a PEM public key") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HASHES:
        raise _unsupported(what)
    text = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    # Explicit curve parameters and hybrid points are longer or other spellings of the key; only a
    # compressed point is shorter (RFC 5480, 2.1.1 and 2.2). Parameters that somebody chose are CVE-2020-0601.
    if given != der and len(given) >= len(der):
        raise UsageError(
            "unsupported-key", f"{what} must name its curve (openssl: -ec_param_enc named_curve)"
        )
    return PublicKey(key, digest_of(der), digest_of(text).hex)


def _unsupported(what: str) -> UsageError:
    return UsageError("unsupported-key", f"{what} must be an EC public key on P-256, P-384 or P-521")
