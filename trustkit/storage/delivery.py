"""Delivery: ranges of a source to checked files in a staging folder. Sealed or plain.

The law of this file: nothing is written that was not authenticated, and nothing
counts as delivered that is not what the author signed. A segment is opened into
a private buffer; hash and file see it only after its tag was verified; position
and end come from signed lengths, never from what the source says. Every byte is
hashed while it is hot, and held against the author's digests before the caller
may publish. The digest of the ciphertext is for whoever has no key; here the
author's is the one that counts (architecture, section 8; sealing-and-fetch 2).

The caller owns the staging folder: on any error it is wiped, never published.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from trustkit.artifact.lanes import Lanes, run_lanes
from trustkit.artifact.manifest import Manifest
from trustkit.digest import digest_of
from trustkit.errors import LimitError, SealError, UnavailableError
from trustkit.sealing.descriptor import Descriptor, Part
from trustkit.sealing.documents import blob_name
from trustkit.sealing.floe import HEADER_LENGTH, PartOpener, segments_of
from trustkit.sealing.keys import Dek
from trustkit.storage.checker import Checker, by_file
from trustkit.storage.source import Source
from trustkit.storage.staging import Staging

SEGMENTS = 8
"""Segments asked for at once: one request, but each is opened and hashed while it is hot."""
CHUNK = 1 << 20
"""Bytes of a plain file asked for at once, times `SEGMENTS`."""

Progress = Callable[[int], None]
"""Called with the number of plaintext bytes just checked off, from any worker thread."""


@dataclass(slots=True)
class _Buffers:
    """One thread's memory: a range as the source sends it, and one opened segment."""

    range: memoryview
    opened: memoryview


def deliver_sealed(
    source: Source,
    descriptor: Descriptor,
    manifest: Manifest,
    staging: Staging,
    *,
    dek: Dek,
    workers: int,
    progress: Progress | None = None,
) -> int:
    """Open every part of a sealed artifact into a staging folder and return the plaintext bytes.

    Args:
        source: Ciphertext, untrusted; asked for exact ranges only.
        descriptor: Verified; its parts are the manifest's files.
        manifest: Verified; what the author signed.
        staging: Where the files go; the caller publishes or wipes it.
        dek: The data key, whose commitment was checked.
        workers: Threads; each needs `SEGMENTS` + 1 segments of memory.
        progress: Told of every chunk that was opened.

    Raises:
        SealError: ``tampered``, ``truncated`` or ``trailing-bytes``.
        VerificationError: ``digest-mismatch``.
        UnavailableError: The source did not answer, or the disk is full.
    """
    signed = by_file(manifest, single=descriptor.parts[0].name)
    segment = descriptor.parameters.segment_length

    def buffers() -> _Buffers:
        return _Buffers(
            memoryview(bytearray(segment * SEGMENTS)),
            memoryview(bytearray(descriptor.parameters.plaintext_length)),
        )

    def deliver(part: Part, own: _Buffers, lanes: Lanes) -> None:
        checker = Checker(signed[part.name], manifest.algorithm, part.plaintext_length)
        sealed = _SealedPart(source, descriptor, part, dek)
        _open_part(sealed, checker, staging, own, lanes=lanes, progress=progress)

    largest_first = sorted(descriptor.parts, key=lambda part: -part.plaintext_length)
    for part in largest_first:  # before any work, and in one order: the same fault is always the same error
        _check_length(part, source.length(blob_name(part.blob)))
    run_lanes(largest_first, deliver, state=buffers, workers=workers)
    return sum(part.plaintext_length for part in descriptor.parts)


def deliver_plain(
    source: Source,
    manifest: Manifest,
    staging: Staging,
    *,
    max_bytes: int,
    workers: int,
    progress: Progress | None = None,
) -> int:
    """Copy every signed file of a plain artifact into a staging folder and return the bytes.

    Args:
        source: Untrusted; lengths are asked for, capped, and proven by the digests.
        manifest: Verified; what the author signed.
        staging: Where the files go; the caller publishes or wipes it.
        max_bytes: Most bytes of all files together; nothing signs their sizes.
        workers: Threads.
        progress: Told of every chunk that was hashed.

    Raises:
        LimitError: ``too-large``, before anything is fetched.
        VerificationError: ``digest-mismatch``.
        UnavailableError: The source did not answer, or the disk is full.
    """
    signed = by_file(manifest)
    lengths = {name: source.length(name) for name in signed}
    total = sum(lengths.values())
    if total > max_bytes:
        raise LimitError(
            "too-large", f"the artifact is larger than {max_bytes} bytes", limit=max_bytes, size=total
        )

    def deliver(name: str, own: memoryview, lanes: Lanes) -> None:
        checker = Checker(signed[name], manifest.algorithm, lengths[name])
        descriptor = staging.create(name)
        try:
            for start in range(0, lengths[name], len(own)):
                if lanes.stopped:
                    return
                view = own[: min(len(own), lengths[name] - start)]
                source.read_range(name, start, view)
                checker.update(view)
                write_at(descriptor, view, start)
                _tell(progress, len(view))
            checker.finish()
        finally:
            os.close(descriptor)

    run_lanes(
        sorted(lengths, key=lambda name: -lengths[name]),
        deliver,
        state=lambda: memoryview(bytearray(CHUNK * SEGMENTS)),
        workers=workers,
    )
    return total


class _SealedPart:
    """One sealed file of a source: its header read and checked, its segments opened by position."""

    def __init__(self, source: Source, descriptor: Descriptor, part: Part, dek: Dek) -> None:
        self.part = part
        self.count = segments_of(part.plaintext_length, descriptor.parameters)
        self.plain = descriptor.parameters.plaintext_length
        self._segment = descriptor.parameters.segment_length
        self._source = source
        self._blob = blob_name(part.blob)
        header = bytearray(HEADER_LENGTH)
        source.read_range(self._blob, 0, memoryview(header))
        if not digest_of(header).matches(part.header):
            raise SealError("tampered", f"the header of {part.name!r} is not the one that was signed")
        self._opener = PartOpener(
            dek.key, descriptor.aad_of(part), bytes(header), parameters=descriptor.parameters
        )

    def read(self, first: int, last: int, into: memoryview) -> memoryview:
        """Read the ciphertext of segments *first* to *last* (exclusive)."""
        start = HEADER_LENGTH + first * self._segment
        end = min(HEADER_LENGTH + last * self._segment, self.part.ciphertext_length)
        self._source.read_range(self._blob, start, into[: end - start])
        return into[: end - start]

    def open(self, position: int, untrusted: memoryview, into: memoryview) -> memoryview:
        """Open one segment into a private buffer and return the plaintext in it."""
        size = self._opener.open_into(untrusted, position, final=position == self.count - 1, out=into)
        return into[:size]


def _check_length(part: Part, found: int) -> None:
    if found < part.ciphertext_length:
        raise SealError("truncated", f"the sealed bytes of {part.name!r} end too early; fetch them again")
    if found > part.ciphertext_length:
        raise SealError("trailing-bytes", f"bytes were appended to the sealed {part.name!r}; fetch it again")


def _open_part(
    sealed: _SealedPart,
    checker: Checker,
    staging: Staging,
    own: _Buffers,
    *,
    lanes: Lanes,
    progress: Progress | None,
) -> None:
    descriptor = staging.create(sealed.part.name)
    try:
        for first in range(0, sealed.count, SEGMENTS):
            last = min(first + SEGMENTS, sealed.count)
            ciphertext = sealed.read(first, last, own.range)
            size = len(own.range) // SEGMENTS
            for position in range(first, last):
                if lanes.stopped:
                    return
                segment = ciphertext[(position - first) * size : (position - first + 1) * size]
                opened = sealed.open(position, segment, own.opened)
                checker.update(opened)
                write_at(descriptor, opened, position * sealed.plain)
                _tell(progress, len(opened))
        checker.finish()
    finally:
        os.close(descriptor)


def write_at(descriptor: int, chunk: memoryview, offset: int) -> None:
    """Write all of a chunk at its place.

    Raises:
        UnavailableError: ``unwritable``: the disk is full, or gone.
    """
    try:
        while len(chunk):
            written = os.pwrite(descriptor, chunk, offset)
            chunk, offset = chunk[written:], offset + written
    except OSError as error:
        raise UnavailableError(
            "unwritable", f"the disk does not take what is written: {error.strerror}; make room and try again"
        ) from None


def _tell(progress: Progress | None, size: int) -> None:
    if progress is not None:
        progress(size)
