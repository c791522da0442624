"""Bytes that pass by, held against an author's digests.

The law of this file: a file is right only if every signed range of it was seen
whole, in order, and hashed to its digest. Whoever moves bytes (opening, copying,
sealing) feeds them here while they are hot, so that no byte is read twice and
none moves on unchecked. Pure but for the hash functions.
"""

from __future__ import annotations

from collections.abc import Sequence

from trustkit.artifact.manifest import SINGLE, Manifest, Resource
from trustkit.digest import Algorithm, Digest, Hasher, new_hasher
from trustkit.errors import VerificationError


class Checker:
    """Hashes one file front to back and holds it against all its signed digests, ranges or whole."""

    def __init__(self, resources: Sequence[Resource], algorithm: Algorithm, length: int) -> None:
        self._name = resources[0].path
        self._algorithm = algorithm
        self._ranges = sorted(
            (resource.start or 0, length if resource.end is None else resource.end, resource.digest)
            for resource in resources
        )
        self._place = 0
        self._index = 0
        self._hasher: Hasher = new_hasher(algorithm)

    def update(self, chunk: memoryview) -> None:
        """Feed the next authenticated bytes of the file.

        Raises:
            VerificationError: ``digest-mismatch``, as soon as a range is complete and wrong.
        """
        while len(chunk):
            if self._index == len(self._ranges):
                raise self._wrong()
            end = self._ranges[self._index][1]
            taken = chunk[: end - self._place]
            self._hasher.update(taken)
            self._place += len(taken)
            chunk = chunk[len(taken) :]
            if self._place == end and len(chunk):
                self._close_range()

    def finish(self) -> None:
        """Compare what is left to compare; every signed range must have been seen whole.

        Raises:
            VerificationError: ``digest-mismatch``.
        """
        while self._index < len(self._ranges):
            if self._place != self._ranges[self._index][1]:
                raise self._wrong()
            self._close_range()

    def _close_range(self) -> None:
        found = Digest(self._algorithm, self._hasher.digest())
        if not found.matches(self._ranges[self._index][2]):
            raise self._wrong()
        self._index += 1
        self._hasher = new_hasher(self._algorithm)

    def _wrong(self) -> VerificationError:
        return VerificationError(
            "digest-mismatch",
            f"{self._name!r} is not what its author signed; fetch it again from a source you trust",
            mismatched=[self._name],
        )


def by_file(manifest: Manifest, *, single: str | None = None) -> dict[str, list[Resource]]:
    """Group the resources of a manifest by the file they are of.

    Args:
        manifest: Verified.
        single: What the one file is called that the reference signs as ``.``, or None.
    """
    found: dict[str, list[Resource]] = {}
    for resource in manifest.resources:
        name = single if resource.path == SINGLE and single is not None else resource.path
        found.setdefault(name, []).append(resource)
    return found
