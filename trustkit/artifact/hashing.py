"""The hashing engine: one queue of (file, range) units over all files, a few threads.

The law of this file: a digest is of bytes that nobody changed meanwhile. Every
file is opened by descriptor, its stamp compared before the first and after the
last byte, and read with `preadv` into a reused buffer; nothing is mapped, so a
truncated file is an error and not a crash. A file ends where its size says, or
it is none that can be signed. A unit that holds more than its share of all bytes
would be alone at the end: it is read ahead by other threads while it is hashed.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import overload

from trustkit.artifact.files import Files, TreeFile, changed, stamp_of, unreadable
from trustkit.artifact.lanes import Lanes, run_lanes
from trustkit.artifact.manifest import Manifest, Method, Resource, Resources, resources_of
from trustkit.artifact.reading import READERS, READS_IN_FLIGHT, Ahead, Stream, blocks
from trustkit.artifact.tree import Tree
from trustkit.digest import SIZES, Algorithm, Hasher, new_hasher
from trustkit.errors import FormatError, LimitError, UsageError, VerificationError
from trustkit.records import dataclass

BUFFER = 512 << 10
"""Most bytes read at once: large enough to leave the interpreter alone, small enough to stay in cache."""
WIDE_BUFFER = 2 << 20
"""The same where several threads of one hash share a buffer."""
MEMORY = 32 << 20
"""Bytes of all buffers together, on however many cores."""
LARGE = 16 << 20
"""From how many bytes on a unit is worth threads of its own."""
MAX_UNITS = 2_000_000
"""Most units of one artifact, and so resources of its manifest."""

Progress = Callable[[int], None]
"""Called with the number of bytes just hashed, from any worker thread."""
Engine = Callable[..., bytes]
"""Hashes units as `hash_values` does, called as that is; `trustkit.artifact.executors` makes another."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One stream of bytes to hash: a whole file, or one range of it (bytes, end exclusive)."""

    file: TreeFile
    start: int
    end: int

    @property
    def size(self) -> int:
        """How many bytes there are to hash."""
        return self.end - self.start


class MadeUnits(Sequence[Unit]):
    """Units of which each is made when it is asked for: there may be millions."""

    @abstractmethod
    def unit(self, index: int) -> Unit:
        """Make one unit."""

    @overload
    def __getitem__(self, index: int) -> Unit: ...
    @overload
    def __getitem__(self, index: slice) -> list[Unit]: ...
    def __getitem__(self, index: int | slice) -> Unit | list[Unit]:
        places = range(len(self))[index]
        return [self.unit(place) for place in places] if isinstance(places, range) else self.unit(places)


class _Whole(MadeUnits):
    """One unit for every file."""

    def __init__(self, files: Sequence[TreeFile]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def unit(self, index: int) -> Unit:
        """Make the unit of one file."""
        file = self.files[index]
        return Unit(file, 0, file.stamp.size)


def units_of(files: Sequence[TreeFile], *, method: Method, shard_size: int | None) -> Sequence[Unit]:
    """Cut files into units: one a file, or one a shard (an empty file is one empty shard).

    Raises:
        UsageError: ``bad-shard-size``.
        LimitError: ``too-many-resources``.
    """
    if method == "files":
        return _Whole(files)
    if not shard_size or shard_size <= 0:
        raise UsageError("bad-shard-size", "the shard size must be a positive number of bytes")
    if sum(max(1, -(-file.stamp.size // shard_size)) for file in files) > MAX_UNITS:
        raise LimitError(
            "too-many-resources",
            f"this would be more than {MAX_UNITS} shards; use larger ones",
            limit=MAX_UNITS,
        )
    return [
        Unit(file, start, min(start + shard_size, file.stamp.size))
        for file in files
        for start in range(0, max(file.stamp.size, 1), shard_size)
    ]


def hash_values(
    tree: Tree,
    units: Sequence[Unit],
    *,
    algorithm: Algorithm,
    workers: int,
    sizes: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> bytes:
    """Hash every unit and return the digests' bytes in the order of the units, one behind the other.

    Args:
        tree: The open artifact the units belong to.
        units: What to hash.
        algorithm: The hash.
        workers: Cores to use; hashing and reading both release the interpreter lock.
        sizes: The units' sizes, where the caller knows them already.
        progress: Told about every buffer hashed.

    Raises:
        VerificationError: ``file-changed``.
        UnavailableError: ``unreadable``.
    """
    length = SIZES[algorithm]
    found = bytearray(length * len(units))
    sizes = _sizes(units) if sizes is None else sizes
    total = sum(sizes)
    # More threads than cores: whoever waits for a disk leaves the core to another.
    count = max(1, min(len(units), max(workers, READS_IN_FLIGHT)))

    def work(index: int, buffer: memoryview, lanes: Lanes) -> None:
        unit = units[index]
        threads = -(-unit.size * workers // total) if unit.size >= LARGE else 1
        hasher = new_hasher(algorithm, threads=threads)
        wide = _fitting(WIDE_BUFFER, READERS * count) if threads > 1 else 0
        _feed(tree, unit, hasher, buffer, wide=wide, lanes=lanes, progress=progress)
        if not lanes.stopped:
            found[index * length : (index + 1) * length] = hasher.digest()

    # Large units first, so that the last worker is not left alone with the largest file.
    order: Sequence[int] = range(len(units))
    if max(sizes, default=0) > BUFFER:
        order = sorted(order, key=sizes.__getitem__, reverse=True)
    run_lanes(order, work, state=lambda: memoryview(bytearray(_fitting(BUFFER, count))), workers=count)
    return bytes(found)


def _sizes(units: Sequence[Unit]) -> Sequence[int]:
    if isinstance(units, _Whole) and isinstance(units.files, Files):
        return units.files.sizes()
    return [unit.size for unit in units]


def manifest_of(
    tree: Tree,
    *,
    method: Method = "files",
    algorithm: Algorithm = "sha256",
    shard_size: int | None = None,
    allow_symlinks: bool = False,
    ignore_paths: tuple[str, ...] = (),
    only: frozenset[str] | None = None,
    known: Mapping[str, Sequence[Resource]] = MappingProxyType({}),
    workers: int = 2,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Hash a scanned tree, or *only* these files of it, into a manifest sorted by name (OMS v1.0 order).

    Parts that are *known* are taken over without a look at the bytes: see `trustkit.artifact.incremental`.
    Another *engine* than `hash_values` is made by `trustkit.artifact.executors`.

    Raises:
        FormatError: ``empty-model`` if there is nothing to sign.
        VerificationError: ``file-changed``.
    """
    files = tree.files if only is None else [file for file in tree.files if file.name in only]
    if not files:
        raise FormatError("empty-model", "there is no file to sign here; an empty model proves nothing")
    rest = [file for file in files if file.name not in known] if known else files
    units = units_of(rest, method=method, shard_size=shard_size)
    hashing = engine or hash_values
    values = hashing(tree, units, algorithm=algorithm, workers=workers, progress=progress)
    tree.check_unchanged()
    resources = _resources(units, values, algorithm)
    if known:
        parts = (part for file in files for part in known.get(file.name, ()))
        resources = resources_of([*resources, *parts], algorithm)
    return Manifest(
        resources=resources.sorted(),
        method=method,
        algorithm=algorithm,
        shard_size=shard_size if method == "shards" else None,
        allow_symlinks=allow_symlinks,
        ignore_paths=ignore_paths,
    )


def _resources(units: Sequence[Unit], values: bytes, algorithm: Algorithm) -> Resources:
    if isinstance(units, _Whole):
        files = units.files
        names = files.names if isinstance(files, Files) else [file.name for file in files]
        return Resources(algorithm, names, values, ranged=False)
    names = [f"{unit.file.name}:{unit.start}:{unit.end}" for unit in units]
    return Resources(algorithm, names, values, ranged=True)


def _fitting(most: int, buffers: int) -> int:
    """Return the size of one of so many buffers (bytes)."""
    return min(most, max(MEMORY // buffers, 64 << 10))


def _feed(
    tree: Tree,
    unit: Unit,
    hasher: Hasher,
    buffer: memoryview,
    *,
    wide: int,
    lanes: Lanes,
    progress: Progress | None,
) -> None:
    """Feed the bytes of one unit to a hasher, or fewer once *lanes* are stopped; read ahead where *wide*."""
    descriptor = tree.open(unit.file)
    try:
        stream = Stream(descriptor, unit.file.name, unit.start, unit.end)
        if wide:
            with Ahead(stream, block=wide) as chunks:
                _update(hasher, chunks, lanes, progress)
        else:
            _update(hasher, blocks(stream, buffer), lanes, progress)
        _check_end(descriptor, unit)
    finally:
        os.close(descriptor)


def _update(hasher: Hasher, chunks: Iterable[memoryview], lanes: Lanes, progress: Progress | None) -> None:
    for chunk in chunks:
        if lanes.stopped:
            return
        hasher.update(chunk)
        if progress is not None:
            progress(len(chunk))


def _check_end(descriptor: int, unit: Unit) -> None:
    """Demand that the file is as it was, and nothing lies beyond its size, as in files a kernel makes up."""
    size = unit.file.stamp.size
    try:
        same = stamp_of(os.fstat(descriptor)) == unit.file.stamp
        more = unit.end == size and os.pread(descriptor, 1, size)
    except OSError as error:
        raise unreadable(unit.file.name, error) from None
    if not same:
        raise changed(unit.file.name)
    if more:
        name = unit.file.name
        raise VerificationError(
            "file-changed",
            f"{name!r} holds more than its size says; only files at rest can be signed",
            name=name,
        )
