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

    Args:
        content: What signatures cover, perhaps in pieces, so that nobody joins them.
        always_sha256: Whether its writer hashed with SHA-256 whatever the curve (model-signing 0.2.0).
    """

    def __init__(self, *content: bytes, always_sha256: bool = False) -> None:
        self._content = content
        self._digests: dict[str, bytes] = {}
        self._always = hashes.SHA256() if always_sha256 else None

    def algorithm_for(self, curve: str) -> hashes.HashAlgorithm:
        """Return the hash that signatures of this curve have over the content."""
        return self._always or _HASHES[curve]

    def digest(self, algorithm: hashes.HashAlgorithm) -> bytes:
        """Return the digest of the content."""
        found = self._digests.get(algorithm.name)
        if found is None:
            hasher = hashes.Hash(algorithm)
            for piece in self._content:
                hasher.update(piece)
            found = self._digests[algorithm.name] = hasher.finalize()
        return found


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An EC public key with its fingerprint (SHA-256 of the DER SubjectPublicKeyInfo) and OMS hint."""

    key: ec.EllipticCurvePublicKey
    fingerprint: Digest
    hint: str

    def signed(self, message: Message, untrusted_signature: bytes) -> bool:
        """Say whether this key made the signature, with the hash that goes with message and curve.

        A boolean is safe here because its only caller counts authorities; nothing is trusted by it alone.
        """
        algorithm = message.algorithm_for(self.key.curve.name)
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
    found = public_key_from(key) if isinstance(key, ec.EllipticCurvePublicKey) else None
    if found is None:
        raise _unsupported(what)
    der = _der(found.key)
    # Explicit curve parameters and hybrid points are longer or other spellings of the key; only a
    # compressed point is shorter (RFC 5480, 2.1.1 and 2.2). Parameters that somebody chose are CVE-2020-0601.
    if given != der and len(given) >= len(der):
        raise UsageError(
            "unsupported-key", f"{what} must name its curve (openssl: -ec_param_enc named_curve)"
        )
    return found


def public_key_from(key: ec.EllipticCurvePublicKey) -> PublicKey | None:
    """Return the key with its names, or None for a curve that OMS does not have."""
    if key.curve.name not in _HASHES:
        return None
    text = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(key, digest_of(_der(key)), digest_of(text).hex)


def _der(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _unsupported(what: str) -> UsageError:
    return UsageError("unsupported-key", f"{what} must be an EC public key on P-256, P-384 or P-521")
