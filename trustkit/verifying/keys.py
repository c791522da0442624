"""Public keys of authorities: read from PEM, compared by fingerprint, asked about signatures.

A public key here is trusted because a policy or the caller named it; the
signatures it is asked about are not. One key has one fingerprint, however its
file spells it, so that nobody counts twice. A key has the two spellings in DER that
`trustkit.curves` reads; what reads all others takes long to load, and only says why
they are refused.
"""

from __future__ import annotations

import base64
import re

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from trustkit.curves import CURVES, ECDSA, HASHES, pem_of, public_der, public_key_from_der
from trustkit.digest import Digest, digest_of
from trustkit.errors import UsageError
from trustkit.records import dataclass

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
        return self._always or HASHES[curve]

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
            self.key.verify(untrusted_signature, message.digest(algorithm), ECDSA(Prehashed(algorithm)))
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
        der = base64.b64decode(b"".join(blocks[0].split()), validate=True)
    except ValueError:
        raise _bad(what) from None
    try:
        key = public_key_from_der(der)
    except ValueError:
        raise _refusal(pem, what) from None
    return _public_key(key)


def public_key_from(key: ec.EllipticCurvePublicKey) -> PublicKey | None:
    """Return the key with its names, or None for a curve that OMS does not have."""
    return _public_key(key) if key.curve.name in CURVES else None


def _public_key(key: ec.EllipticCurvePublicKey) -> PublicKey:
    der = public_der(key)
    return PublicKey(key, digest_of(der), digest_of(pem_of(der, "PUBLIC KEY")).hex)


def _refusal(pem: bytes, what: str) -> UsageError:
    """Say why a key is refused that is spelled in no way of ours."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except UnsupportedAlgorithm:
        return _unsupported(what)
    except ValueError:
        return _bad(what)
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVES:
        # Explicit parameters, which somebody may have chosen (CVE-2020-0601), or a hybrid point.
        return UsageError(
            "unsupported-key", f"{what} must name its curve (openssl: -ec_param_enc named_curve)"
        )
    return _unsupported(what)


def _bad(what: str) -> UsageError:
    return UsageError("bad-public-key", f"{what} is not a PEM public key")


def _unsupported(what: str) -> UsageError:
    return UsageError("unsupported-key", f"{what} must be an EC public key on P-256, P-384 or P-521")
