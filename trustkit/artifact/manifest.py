"""The manifest: sorted parts of an artifact with their digests, and the two digests over it.

Pure values, no files. `Manifest.manifest_digest` is what pins, caches and our
attestations rest on; `Manifest.root_digest` is OMS's digest over all resources,
which covers no names and is reported only (architecture, section 11).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Literal, cast, overload

from trustkit.artifact.names import in_order
from trustkit.digest import SIZES, Algorithm, Digest, digest_of
from trustkit.records import dataclass

Method = Literal["files", "shards"]

SINGLE = "."
"""How the reference names the one file of a single-file model."""
DEFAULT_SHARD_SIZE = 1_000_000_000
"""Shard size of the reference (bytes), used where a caller names none; a document must name its own."""
_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Resource:
    """One part of an artifact: a whole file, or a range of one.

    Attributes:
        path: Name of the file.
        digest: Digest of the file or range.
        start: First byte of the range, or None for a whole file.
        end: First byte after the range, or None for a whole file.
    """

    path: str
    digest: Digest
    start: int | None = None
    end: int | None = None

    @property
    def name(self) -> str:
        """The name as OMS writes it: ``path`` or ``path:start:end``."""
        return self.path if self.start is None else f"{self.path}:{self.start}:{self.end}"


class Resources(Sequence[Resource]):
    """Parts of an artifact in columns: millions of names and digests, each a `Resource` only while in use.

    Attributes:
        algorithm: Hash of every part.
        names: Names as OMS writes them, in the order of the document.
        values: The digests' bytes, one behind the other.
        ranged: Whether every part is a range of a file, and none of them a whole file.
    """

    __slots__ = ("algorithm", "names", "ranged", "values")

    def __init__(self, algorithm: Algorithm, names: Sequence[str], values: bytes, *, ranged: bool) -> None:
        if len(values) != len(names) * SIZES[algorithm]:
            raise ValueError("a digest for every name, and a name for every digest")
        self.algorithm = algorithm
        self.names = names
        self.values = values
        self.ranged = ranged

    def paths(self) -> Sequence[str]:
        """Return the names of the files, as often as each has parts."""
        return [name.rsplit(":", 2)[0] for name in self.names] if self.ranged else self.names

    def values_at(self, indexes: Sequence[int]) -> bytes:
        """Return the digests' bytes of some parts, one behind the other."""
        if indexes == range(len(self.names)):
            return self.values
        size = SIZES[self.algorithm]
        return b"".join([self.values[index * size : (index + 1) * size] for index in indexes])

    def lines(self) -> Iterator[tuple[Sequence[str], list[str]]]:
        """Yield names and digests (hexadecimal), some thousand of them at a time."""
        size = SIZES[self.algorithm]
        for start in range(0, len(self.names), _AT_ONCE):
            names = self.names[start : start + _AT_ONCE]
            digests = self.values[start * size : (start + len(names)) * size]
            yield names, digests.hex("\n", size).split("\n")

    def sorted(self) -> Resources:
        """Return the same parts sorted by name, in code points."""
        if in_order(self.names):
            return self
        names = list(self.names)
        order, size = sorted(range(len(names)), key=names.__getitem__), SIZES[self.algorithm]
        values = b"".join([self.values[index * size : (index + 1) * size] for index in order])
        return Resources(self.algorithm, [names[place] for place in order], values, ranged=self.ranged)

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Resource: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Resource, ...]: ...
    def __getitem__(self, index: int | slice) -> Resource | tuple[Resource, ...]:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(*index.indices(len(self))))
        place, size = range(len(self))[index], SIZES[self.algorithm]
        digest = Digest(self.algorithm, self.values[place * size : (place + 1) * size])
        if not self.ranged:
            return Resource(self.names[place], digest)
        path, start, end = self.names[place].rsplit(":", 2)
        return Resource(path, digest, int(start), int(end))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Resources):
            return (self.algorithm, self.ranged, self.values, list(self.names)) == (
                other.algorithm,
                other.ranged,
                other.values,
                list(other.names),
            )
        return tuple(self) == other

    def __hash__(self) -> int:
        return hash(tuple(self))  # as of the tuple that is equal

    def __repr__(self) -> str:
        return f"<{len(self)} resources, {self.algorithm}>"


def resources_of(parts: Iterable[Resource], algorithm: Algorithm) -> Resources:
    """Put parts into columns.

    Raises:
        ValueError: They are not all of this hash, or not all whole files, or all ranges.
    """
    listed = list(parts)
    ranged = bool(listed) and listed[0].start is not None
    if any(part.digest.algorithm != algorithm or (part.start is not None) != ranged for part in listed):
        raise ValueError("the parts of one manifest are of one hash, and all whole files, or all ranges")
    values = b"".join([part.digest.value for part in listed])
    return Resources(algorithm, [part.name for part in listed], values, ranged=ranged)


@dataclass(frozen=True)
class Manifest:
    """What was signed: resources in the order of the document, and how they were made.

    Attributes:
        resources: In the order of the document; a writer of ours sorts by name. Held in columns.
        method: ``files`` or ``shards``.
        algorithm: Hash of every resource.
        shard_size: Bytes per shard, or None for files.
        allow_symlinks: Whether links were followed when signing.
        ignore_paths: Relative names that were left out; each covers all below it.
    """

    resources: Sequence[Resource]
    method: Method = "files"
    algorithm: Algorithm = "sha256"
    shard_size: int | None = None
    allow_symlinks: bool = False
    ignore_paths: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.resources, Resources):
            object.__setattr__(self, "resources", resources_of(self.resources, self.algorithm))
        if self.columns.algorithm != self.algorithm or (self.columns.ranged and self.method == "files"):
            raise ValueError("resources are of the manifest's own hash and method")

    @property
    def columns(self) -> Resources:
        """The resources, as they are held."""
        return cast("Resources", self.resources)

    @cached_property
    def root_digest(self) -> Digest:
        """SHA-256 over the raw digests in document order (OMS v1.0, root digest). Covers no names."""
        return digest_of(self.columns.values)

    @cached_property
    def manifest_digest(self) -> Digest:
        """SHA-256 over ``algorithm:hex "name"`` lines sorted by name (architecture, section 11)."""
        hasher = hashlib.sha256()
        for names, digests in self.columns.sorted().lines():
            # All at once, for speed; a JSON string has no end of line in it.
            quoted = json.dumps(names, ensure_ascii=False, separators=("\n", ":"))[1:-1].split("\n")
            lines = [
                f"{self.algorithm}:{digest} {name}\n" for digest, name in zip(digests, quoted, strict=True)
            ]
            hasher.update("".join(lines).encode("utf-8"))
        return Digest("sha256", hasher.digest())

    @cached_property
    def file_count(self) -> int:
        """How many files there are."""
        return len(self.file_names) if self.columns.ranged else len(self.columns)

    @cached_property
    def file_names(self) -> tuple[str, ...]:
        """The distinct file names, in the order of the document."""
        return tuple(dict.fromkeys(self.columns.paths()))
