"""A folder as KServe's confidential serving reads it: each file a JWE, beside the author's bundle.

    weights/model.safetensors.jwe    what KServe decrypts in its place, and calls as it was called before
    weights/__init__.py              an empty file, as it is: KServe's library calls a JWE of nothing broken
    model.sig                        the author's bundle over the plaintext, which KServe leaves alone

The law of this file: what is sealed is what was signed, as in `sealing_folder`.
What is opened is asked for by the names that the author signed, and must be
sealed unless it is empty: a plaintext in its place is refused, never passed
through. A JWE is authenticated at its end, so what is opened lies in a staging folder until every
tag and every digest is right; the caller wipes it otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NoReturn

from trustkit.artifact.files import TreeFile
from trustkit.artifact.lanes import Lanes
from trustkit.artifact.leaving_out import SIGNATURE
from trustkit.artifact.manifest import Manifest, Resource
from trustkit.artifact.tree import Tree
from trustkit.errors import FormatError, SealError, UnavailableError
from trustkit.sealing.floe import Entropy
from trustkit.sealing.jwe import (
    CHUNK,
    MAX_HEAD,
    TAIL,
    TEXT_CHUNK,
    JweKey,
    JweOpener,
    JweSealer,
    check_length,
    plaintext_length,
)
from trustkit.storage.arriving import Arriving, Buffers, Progress, Sink, write_at
from trustkit.storage.checker import Checker, by_file
from trustkit.storage.handover import Ring
from trustkit.storage.sealing_folder import read_signed
from trustkit.storage.shared import Shared, run_shared
from trustkit.storage.source import Source
from trustkit.storage.staging import Staging

SUFFIX = ".jwe"

_MAX_NAME = 255


def seal_files(
    tree: Tree,
    manifest: Manifest,
    staging: Staging,
    *,
    key: JweKey,
    entropy: Entropy,
    workers: int,
    progress: Progress | None = None,
) -> int:
    """Seal every file into a staging folder, under its name and ``.jwe``, and return the plaintext bytes.

    Args:
        tree: The artifact, names and lengths as signed; the caller looks at it again when this is done.
        manifest: Verified; what the author signed.
        staging: Where the files go; the caller publishes or wipes it.
        key: What KServe will have.
        entropy: Where keys and IVs of files come from; called from any worker thread.
        workers: Threads, one for each file at a time.
        progress: Told of every chunk that was sealed and checked.

    Raises:
        FormatError: ``unsafe-name``: KServe could not tell the file from a sealed one, or nobody could find
            or write it under that name.
        LimitError: ``too-large``: more than one JWE holds.
        VerificationError: ``digest-mismatch`` or ``file-changed``: not what was signed.
        UnavailableError: ``unreadable`` or ``unwritable``.
    """
    signed = by_file(manifest, single=tree.files[0].name)
    _check_names([file.name for file in tree.files], signed)
    for file in tree.files:
        check_length(file.stamp.size)

    def make(file: TreeFile) -> _Departing:
        checker = Checker(signed[file.name], manifest.algorithm, file.stamp.size)
        sealer = JweSealer(key, entropy=entropy) if file.stamp.size else None
        return _Departing(tree, file, Sink(file.name, checker, staging, progress), sealer)

    run_shared(
        sorted(tree.files, key=lambda file: -file.stamp.size),
        make,
        batches=lambda _: 1,
        state=lambda: memoryview(bytearray(CHUNK)),
        workers=workers,
    )
    return sum(file.stamp.size for file in tree.files)


def open_files(
    source: Source,
    manifest: Manifest,
    staging: Staging,
    *,
    key: JweKey,
    workers: int,
    progress: Progress | None = None,
) -> int:
    """Open every signed file of a folder into a staging folder and return the plaintext bytes.

    Args:
        source: The folder, untrusted; asked for signed names only, with ``.jwe`` or else without.
        manifest: Verified; what the author signed.
        staging: Where the files go; the caller publishes or wipes it.
        key: What the files were sealed with.
        workers: Threads, one for each file at a time.
        progress: Told of every chunk that was opened and hashed.

    Raises:
        SealError: ``not-encrypted``, ``wrong-context``, ``tampered`` or ``truncated``.
        FormatError: ``unknown-suite``, ``bad-jwe``, ``bad-base64``, or what is wrong with a header.
        LimitError: ``too-large``.
        VerificationError: ``digest-mismatch``.
        UnavailableError: ``not-found``; a file cannot be read, or the disk is full.
    """
    lengths: list[int] = []

    def make(entry: tuple[str, list[Resource]]) -> Arriving:
        name, resources = entry
        sealed, size = _place(source, name)
        if not size:
            return _Empty(1, Sink(name, Checker(resources, manifest.algorithm, 0), staging, progress))
        start = bytearray(min(size, MAX_HEAD))
        source.read_range(sealed, 0, memoryview(start))
        opener = JweOpener(key, bytes(start))
        length = plaintext_length(size - opener.head - TAIL)
        lengths.append(length)
        sink = Sink(name, Checker(resources, manifest.algorithm, length), staging, progress)
        return _JweFile(source.read_range, (sealed, size), opener, sink)

    run_shared(
        sorted(by_file(manifest).items(), key=lambda entry: -(entry[1][-1].end or 0)),
        make,
        batches=lambda _: 1,
        state=lambda: Buffers(memoryview(bytearray(TEXT_CHUNK)), Ring((memoryview(b""),))),
        workers=workers,
    )
    return sum(lengths)


class _Departing(Shared[memoryview]):
    """One file on its way into a JWE, front to back."""

    def __init__(self, tree: Tree, file: TreeFile, sink: Sink, sealer: JweSealer | None) -> None:
        super().__init__(1)
        self._tree = tree
        self._file = file
        self._sink = sink
        self._sealer = sealer
        self._source = self._target = -1

    def begin(self) -> None:
        """Open the file, and make the sealed one."""
        self._source = self._tree.open(self._file)
        self._target = self._sink.staging.create(self._file.name + (SUFFIX if self._sealer else ""))

    def work(self, number: int, own: memoryview, lanes: Lanes) -> bool:  # noqa: ARG002 - there is one batch
        """Seal all of it; the bytes that are hashed are the bytes that were sealed."""
        if self._sealer is not None and not self._sealed(self._sealer, own, lanes):
            return False
        self._sink.checker.finish()
        return True

    def _sealed(self, sealer: JweSealer, own: memoryview, lanes: Lanes) -> bool:
        length, place = self._file.stamp.size, self._written(sealer.head, 0)
        for start in range(0, length, CHUNK):
            chunk = read_signed(self._file.name, self._source, own[: length - start], start)
            place = self._written(sealer.seal(chunk), place)
            self._sink.check(chunk)
            if lanes.stopped:
                return False
        self._written(sealer.finish(), place)
        return True

    def end(self) -> None:
        """Close both files."""
        for descriptor in (self._source, self._target):
            if descriptor >= 0:
                os.close(descriptor)

    def _written(self, text: bytes, place: int) -> int:
        write_at(self._target, memoryview(text), place)
        return place + len(text)


class _JweFile(Arriving):
    """One JWE of a source, opened front to back."""

    def __init__(
        self,
        read: Callable[[str, int, memoryview], None],
        sealed: tuple[str, int],
        opener: JweOpener,
        sink: Sink,
    ) -> None:
        super().__init__(1, sink)
        self._read = read
        self._sealed, self._size = sealed
        self._opener = opener

    def chunks(self, number: int, own: Buffers) -> Iterator[tuple[int, memoryview]]:  # noqa: ARG002 - as above
        """Read and open one chunk after the other; the last act is to compare the tag."""
        start, place, end = self._opener.head, 0, self._size - TAIL
        while start < end:
            text = own.range[: end - start]
            self._read(self._sealed, start, text)
            chunk = self._opener.open(bytes(text))
            yield place, memoryview(chunk)
            start, place = start + len(text), place + len(chunk)
        tail = bytearray(TAIL)
        self._read(self._sealed, end, memoryview(tail))
        self._opener.finish(bytes(tail))


class _Empty(Arriving):
    """A file of no bytes, which nobody seals; the author signed that there are none."""

    def chunks(self, number: int, own: Buffers) -> Iterator[tuple[int, memoryview]]:  # noqa: ARG002 - as above
        """Yield nothing."""
        return iter(())


def _place(source: Source, name: str) -> tuple[str, int]:
    """Return under which name a file lies sealed, and its length: none for an empty one that is not."""
    try:
        return name + SUFFIX, source.length(name + SUFFIX) or _nothing(name)
    except UnavailableError as error:
        if error.code != "not-found":
            raise
    return name, source.length(name)


def _nothing(name: str) -> NoReturn:
    raise SealError("not-encrypted", f"{name + SUFFIX!r} is empty, which no JWE is")


def _check_names(names: Sequence[str], signed: Mapping[str, Sequence[Resource]]) -> None:
    """Refuse, before anything is written, what could not be found, or would be taken for something else.

    What is read is asked for by its signed name and ``.jwe`` first, empty files too.
    """
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    for name in names:
        if name.lower().endswith(SUFFIX) or name == SIGNATURE or name + SUFFIX in folders:
            raise FormatError(
                "unsafe-name", f"{name!r} has a name that KServe's layout gives to something else"
            )
        if len(os.fsencode(PurePosixPath(name).name)) + len(SUFFIX) > _MAX_NAME:
            raise FormatError("unsafe-name", f"{name!r} has no room for {SUFFIX} behind it; rename it")
        if signed[name][0].path != name:
            raise FormatError(
                "unsafe-name",
                f"{name!r} is signed without its name, by which this layout is read; sign it again",
            )
