"""The three curves of OMS, and keys on them as they are commonly spelled.

The law of this file: nothing of `cryptography` is loaded but elliptic curves and hashes. What reads and
writes all kinds of keys there brings SSH, every cipher and `dataclasses`, and takes longer to load than a
small model to sign. So the commonest spellings are known here byte for byte; whatever is spelled otherwise
is somebody else's to read, or to refuse.
"""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
"""The hash that goes with each curve (OMS v1.0, signature algorithms)."""
CURVES: dict[str, ec.EllipticCurve] = {
    curve.name: curve for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())
}
_HEADS = {  # SubjectPublicKeyInfo as far as the point: before a whole one, and before a compressed one
    "secp256r1": (
        bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"),
        bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200"),
    ),
    "secp384r1": (
        bytes.fromhex("3076301006072a8648ce3d020106052b81040022036200"),
        bytes.fromhex("3046301006072a8648ce3d020106052b81040022033200"),
    ),
    "secp521r1": (
        bytes.fromhex("30819b301006072a8648ce3d020106052b8104002303818600"),
        bytes.fromhex("3058301006072a8648ce3d020106052b81040023034400"),
    ),
}
_LINE = 64
"""Length of a line of PEM (characters; RFC 7468, section 2)."""


class ECDSA(ec.ECDSA):
    """ECDSA with random nonces; the constructor of `cryptography` loads all it has, to ask about others."""

    def __init__(self, algorithm: Prehashed | hashes.HashAlgorithm) -> None:
        self._hash = algorithm

    @property
    def algorithm(self) -> Prehashed | hashes.HashAlgorithm:
        """The hash, or that the message is a digest of it."""
        return self._hash

    @property
    def deterministic_signing(self) -> bool:
        """Never: a nonce is drawn for each signature."""
        return False


def public_key_from_der(untrusted: bytes) -> ec.EllipticCurvePublicKey:
    """Read a public key that names its curve, with its point whole or compressed.

    Raises:
        ValueError: For any other spelling or curve, or for no point of its curve.

    Spec: RFC 5480, sections 2.1.1 and 2.2.
    """
    for name, (before_whole, before_compressed) in _HEADS.items():
        curve = CURVES[name]
        size = coordinate_size(curve)
        for head, coordinates in ((before_whole, 2), (before_compressed, 1)):
            if untrusted.startswith(head) and len(untrusted) == len(head) + 1 + coordinates * size:
                return ec.EllipticCurvePublicKey.from_encoded_point(curve, untrusted[len(head) :])
    raise ValueError("a key that is spelled otherwise")


def public_der(key: ec.EllipticCurvePublicKey) -> bytes:
    """Write a key on one of the three curves as SubjectPublicKeyInfo (DER), its point whole."""
    return _HEADS[key.curve.name][0] + point_of(key)


def point_of(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the point of a key, whole (SEC 1, section 2.3.3)."""
    numbers, size = key.public_numbers(), coordinate_size(key.curve)
    return b"\x04" + numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")


def coordinate_size(curve: ec.EllipticCurve) -> int:
    """Return the length of a coordinate, and of a private number (bytes)."""
    return (curve.key_size + 7) // 8


def pem_of(der: bytes, label: str) -> bytes:
    """Write a key as PEM text.

    Args:
        der: The key.
        label: Its kind, such as ``PUBLIC KEY``.
    """
    text, words = base64.b64encode(der), label.encode("ascii")
    lines = b"".join(text[start : start + _LINE] + b"\n" for start in range(0, len(text), _LINE))
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (words, lines, words)
