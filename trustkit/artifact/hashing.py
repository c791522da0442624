"""The hashing engine: one queue of (file, range) units over all files, a few threads.

The law of this file: a digest is of bytes that nobody changed meanwhile. Every
file is opened by descriptor, its stamp compared before the first and after the
last byte, and read with `preadv` into a reused buffer; nothing is mapped, so a
truncated file is an error and not a crash (signing-performance, design 2). A
file ends where its size says, or it is none that can be signed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trustkit.artifact.files import TreeFile, changed, stamp_of, unreadable
from trustkit.artifact.lanes import Lanes, run_lanes
from trustkit.artifact.manifest import Manifest, Method, Resource
from trustkit.artifact.tree import Tree
from trustkit.digest import Algorithm, Digest, Hasher, new_hasher
from trustkit.errors import FormatError, LimitError, UsageError, VerificationError

BUFFER = 1 << 20
"""Bytes read at once: large enough to leave the interpreter alone, small enough to stay in cache."""
MAX_UNITS = 2_000_000
"""Most units of one artifact, and so resources of its manifest."""

Progress = Callable[[int], None]
"""Called with the number of bytes just hashed, from any worker thread."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One stream of bytes to hash: a whole file, or one range of it (bytes, end exclusive)."""

    file: TreeFile
    start: int
    end: int
    whole: bool

    def resource(self, digest: Digest) -> Resource:
        """Name the digest of this unit."""
        return (
            Resource(self.file.name, digest)
            if self.whole
            else Resource(self.file.name, digest, self.start, self.end)
        )


def units_of(files: Sequence[TreeFile], *, method: Method, shard_size: int | None) -> list[Unit]:
    """Cut files into units: one a file, or one a shard (an empty file is one empty shard).

    Raises:
        UsageError: ``bad-shard-size``.
        LimitError: ``too-many-resources``.
    """
    if method == "files":
        return [Unit(file, 0, file.stamp.size, whole=True) for file in files]
    if not shard_size or shard_size <= 0:
        raise UsageError("bad-shard-size", "the shard size must be a positive number of bytes")
    if sum(max(1, -(-file.stamp.size // shard_size)) for file in files) > MAX_UNITS:
        raise LimitError(
            "too-many-resources",
            f"this would be more than {MAX_UNITS} shards; use larger ones",
            limit=MAX_UNITS,
        )
    return [
        Unit(file, start, min(start + shard_size, file.stamp.size), whole=False)
        for file in files
        for start in range(0, max(file.stamp.size, 1), shard_size)
    ]


def hash_units(
    tree: Tree, units: Sequence[Unit], *, algorithm: Algorithm, workers: int, progress: Progress | None = None
) -> list[Digest]:
    """Hash every unit and return the digests in the order of the units.

    Args:
        tree: The open artifact the units belong to.
        units: What to hash.
        algorithm: The hash.
        workers: Threads; hashing and reading both release the interpreter lock.
        progress: Told about every buffer hashed.

    Raises:
        VerificationError: ``file-changed``.
        UnavailableError: ``unreadable``.
    """
    found: dict[int, Digest] = {}

    def work(index: int, buffer: memoryview, lanes: Lanes) -> None:
        hasher = new_hasher(algorithm)
        _feed(tree, units[index], hasher, buffer, lanes=lanes, progress=progress)
        if not lanes.stopped:
            found[index] = Digest(algorithm, hasher.digest())

    # Large units first, so that the last worker is not left alone with the largest file.
    order = sorted(range(len(units)), key=lambda index: units[index].start - units[index].end)
    run_lanes(order, work, state=lambda: memoryview(bytearray(BUFFER)), workers=workers)
    return [found[index] for index in range(len(units))]


def manifest_of(
    tree: Tree,
    *,
    method: Method = "files",
    algorithm: Algorithm = "sha256",
    shard_size: int | None = None,
    allow_symlinks: bool = False,
    ignore_paths: tuple[str, ...] = (),
    workers: int = 2,
    progress: Progress | None = None,
) -> Manifest:
    """Hash a scanned tree into a manifest with resources sorted by name (OMS v1.0 order).

    Raises:
        FormatError: ``empty-model`` if there is nothing to sign.
        VerificationError: ``file-changed``.
    """
    if not tree.files:
        raise FormatError("empty-model", "there is no file to sign here; an empty model proves nothing")
    units = units_of(tree.files, method=method, shard_size=shard_size)
    digests = hash_units(tree, units, algorithm=algorithm, workers=workers, progress=progress)
    tree.check_unchanged()
    resources = [unit.resource(digest) for unit, digest in zip(units, digests, strict=True)]
    resources.sort(key=lambda resource: resource.name)
    return Manifest(
        resources=tuple(resources),
        method=method,
        algorithm=algorithm,
        shard_size=shard_size if method == "shards" else None,
        allow_symlinks=allow_symlinks,
        ignore_paths=ignore_paths,
    )


def _feed(
    tree: Tree, unit: Unit, hasher: Hasher, buffer: memoryview, *, lanes: Lanes, progress: Progress | None
) -> None:
    """Feed the bytes of one unit to a hasher, or fewer once *lanes* are stopped."""
    descriptor = tree.open(unit.file)
    try:
        offset = unit.start
        while offset < unit.end and not lanes.stopped:
            left = unit.end - offset
            chunk = _read(descriptor, unit, offset, buffer if left >= BUFFER else buffer[:left])
            hasher.update(chunk)
            offset += len(chunk)
            if progress is not None:
                progress(len(chunk))
        _check_end(descriptor, unit)
    finally:
        os.close(descriptor)


def _read(descriptor: int, unit: Unit, offset: int, into: memoryview) -> memoryview:
    try:
        count = os.preadv(descriptor, [into], offset)
    except OSError as error:
        raise unreadable(unit.file.name, error) from None
    if count == 0:
        raise changed(unit.file.name)
    return into if count == len(into) else into[:count]


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
