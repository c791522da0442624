"""A digest knows its algorithm, and hashing is streamed.

Here live the value `Digest` and the hashers behind it, nothing that reads
files. A digest is never a bare string elsewhere in trustkit.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Literal, Protocol, cast

from trustkit.errors import FormatError
from trustkit.records import dataclass

Algorithm = Literal["sha256", "blake2b", "blake3"]

SIZES: dict[Algorithm, int] = {"sha256": 32, "blake2b": 64, "blake3": 32}
"""Length of each algorithm's digest in bytes (OMS v1.0, `hash_type`)."""

_TEXT = r"(sha256|blake2b|blake3):([0-9a-f]+)"  # compiled when first needed, as many commands read no digest
_HEX = r"[0-9a-f]+"


class Hasher(Protocol):
    """What hashlib and blake3 objects have in common, as far as we use it."""

    def update(self, chunk: bytes | bytearray | memoryview, /) -> object:
        """Feed bytes; the interpreter lock is released for large chunks."""

    def digest(self) -> bytes:
        """Return the digest of all bytes fed so far."""


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """An algorithm and its digest bytes.

    Serialised as ``sha256:9274…``; see `parse` and ``str()``.
    """

    algorithm: Algorithm
    value: bytes

    def __post_init__(self) -> None:
        if SIZES.get(self.algorithm) != len(self.value):
            raise FormatError(
                "bad-digest",
                f"a {self.algorithm} digest has {SIZES.get(self.algorithm)} bytes, not {len(self.value)}",
            )

    @property
    def hex(self) -> str:
        """The digest bytes as lower-case hexadecimal text."""
        return self.value.hex()

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    def __repr__(self) -> str:
        return f"Digest({str(self)!r})"

    def matches(self, other: Digest) -> bool:
        """Compare in constant time; digests of different algorithms never match."""
        return self.algorithm == other.algorithm and hmac.compare_digest(self.value, other.value)


def parse_digest(untrusted: str) -> Digest:
    """Parse ``algorithm:hex`` exactly as `Digest` writes it.

    Raises:
        FormatError: ``bad-digest`` for an unknown algorithm, upper-case hex or a wrong length.
    """
    found = re.fullmatch(_TEXT, untrusted)
    if found is None:
        raise FormatError("bad-digest", "a digest is written as sha256:<64 lower-case hex digits>")
    return digest_from_hex(found[1], found[2])


def digest_from_hex(algorithm: str, untrusted_hex: str) -> Digest:
    """Build a digest from an algorithm name and lower-case hex, both untrusted.

    Raises:
        FormatError: ``unknown-algorithm`` or ``bad-digest``.
    """
    if algorithm not in SIZES:
        raise FormatError("unknown-algorithm", "the hash algorithm must be sha256, blake2b or blake3")
    if len(untrusted_hex) != 2 * SIZES[algorithm] or re.fullmatch(_HEX, untrusted_hex) is None:
        raise FormatError(
            "bad-digest", f"a {algorithm} digest is {2 * SIZES[algorithm]} lower-case hex digits"
        )
    return Digest(algorithm, bytes.fromhex(untrusted_hex))


def new_hasher(algorithm: Algorithm, *, threads: int = 1) -> Hasher:
    """Return a fresh streaming hasher; blake3 is imported only when asked for.

    Args:
        algorithm: The hash.
        threads: How many may work on one large update, where the hash is a tree: blake3.
    """
    if algorithm == "sha256":
        return hashlib.sha256()
    if algorithm == "blake2b":
        return hashlib.blake2b()
    from blake3 import blake3

    return cast("Hasher", blake3(max_threads=threads))


def digest_of(chunk: bytes | bytearray | memoryview, algorithm: Algorithm = "sha256") -> Digest:
    """Hash one buffer."""
    hasher = new_hasher(algorithm)
    hasher.update(chunk)
    return Digest(algorithm, hasher.digest())
