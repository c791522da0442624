"""Manifests as users of the reference see them: items in its order, under its names for hashes.

Read-only: a manifest here is the result of hashing, and nothing is signed from
what a caller could have put together by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trustkit.artifact.manifest import SINGLE, Resource
from trustkit.artifact.manifest import Manifest as Hashed
from trustkit.attest.predicates.reference import suffix_for


@dataclass(frozen=True)
class Digest:
    """A digest and the name of what made it, such as ``sha256`` or ``sha256-sharded-1000000000``."""

    algorithm: str
    digest_value: bytes

    @property
    def digest_hex(self) -> str:
        """The digest as lower-case hexadecimal text."""
        return self.digest_value.hex()

    @property
    def digest_size(self) -> int:
        """Length of the digest in bytes."""
        return len(self.digest_value)


@dataclass(frozen=True)
class ResourceDescriptor:
    """One item: ``path`` or ``path:start:end``, and its digest."""

    identifier: str
    digest: Digest


class Manifest:
    """Every item of a model with its digest; manifests with the same items are equal."""

    def __init__(self, model_name: str, hashed: Hashed) -> None:
        suffix = suffix_for("1.1", hashed)
        self._name = model_name
        self._hashed = hashed
        self._items = {
            part.name: Digest(f"{part.digest.algorithm}{suffix}", part.digest.value)
            for part in sorted(hashed.resources, key=_by_components)
        }

    def __eq__(self, other: object) -> bool:
        return self._items == other._items if isinstance(other, Manifest) else NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return f"<Manifest of {self._name!r}: {len(self._items)} items>"

    def resource_descriptors(self) -> Iterator[ResourceDescriptor]:
        """Yield each item, ordered by the components of its path and then by offset."""
        for name, digest in self._items.items():
            yield ResourceDescriptor(name, digest)

    @property
    def model_name(self) -> str:
        """Last component of the model's path; informative only."""
        return self._name

    @property
    def serialization_type(self) -> dict[str, object]:
        """How the model was hashed, as a signature records it."""
        hashed = self._hashed
        found: dict[str, object] = {"method": hashed.method, "hash_type": hashed.algorithm}
        if hashed.shard_size is not None:
            found["shard_size"] = hashed.shard_size
        found["allow_symlinks"] = hashed.allow_symlinks
        found["ignore_paths"] = list(hashed.ignore_paths)
        return found


def _by_components(part: Resource) -> tuple[list[str], int]:
    return [] if part.path == SINGLE else part.path.split("/"), part.start or 0
