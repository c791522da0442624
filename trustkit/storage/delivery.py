"""Delivery: ranges of a source to checked files in a staging folder. Sealed or plain.

The law of this file: nothing is written that was not authenticated, and nothing
counts as delivered that is not what the author signed. A segment is opened into
a private buffer; hash and file see it only after its tag was verified; position
and end come from signed lengths, never from what the source says. Every byte is
hashed while it is hot, in order whichever thread opened it, and held against the
author's digests before the caller may publish. The digest of the ciphertext is
for whoever has no key; here the author's is the one that counts (architecture,
section 8; sealing-and-fetch 2).

The caller owns the staging folder: on any error it is wiped, never published.
"""

from __future__ import annotations

from collections.abc import Iterator

from trustkit.artifact.manifest import Manifest
from trustkit.digest import digest_of
from trustkit.errors import LimitError, SealError
from trustkit.sealing.descriptor import Descriptor, Part
from trustkit.sealing.documents import blob_name
from trustkit.sealing.floe import HEADER_LENGTH, PartOpener, segments_of
from trustkit.sealing.keys import Dek
from trustkit.storage.arriving import Arriving, Buffers, Progress, Sink
from trustkit.storage.checker import Checker, by_file
from trustkit.storage.ciphertext import check_length
from trustkit.storage.handover import ring_of
from trustkit.storage.shared import run_shared
from trustkit.storage.source import Source
from trustkit.storage.staging import Staging

RANGE = 8 << 20
"""Bytes of one file asked for at once, from a source far away; each segment is opened while it is hot."""
NEAR = 1 << 20
"""The same from a disk of this machine, where asking costs nothing: what stays in a core's cache."""


def deliver_sealed(
    source: Source,
    descriptor: Descriptor,
    manifest: Manifest,
    staging: Staging,
    *,
    dek: Dek,
    workers: int,
    range_bytes: int = RANGE,
    progress: Progress | None = None,
) -> int:
    """Open every part of a sealed artifact into a staging folder and return the plaintext bytes.

    Args:
        source: Ciphertext, untrusted; asked for exact ranges only.
        descriptor: Verified; its parts are the manifest's files.
        manifest: Verified; what the author signed.
        staging: Where the files go; the caller publishes or wipes it.
        dek: The data key, whose commitment was checked.
        workers: Threads; each needs three ranges of memory, and several may work on one file.
        range_bytes: Most bytes asked for at once; a single segment may be longer.
        progress: Told of every chunk that was opened and hashed.

    Raises:
        SealError: ``tampered``, ``truncated`` or ``trailing-bytes``.
        VerificationError: ``digest-mismatch``.
        UnavailableError: The source did not answer, or the disk is full.
    """
    signed = by_file(manifest, single=descriptor.parts[0].name)
    parameters = descriptor.parameters
    group = max(1, range_bytes // parameters.segment_length)

    def buffers() -> Buffers:
        return Buffers(
            memoryview(bytearray(parameters.segment_length * group)),
            ring_of(parameters.plaintext_length * group),
        )

    def make(part: Part) -> _SealedPart:
        checker = Checker(signed[part.name], manifest.algorithm, part.plaintext_length)
        sink = Sink(part.name, checker, staging, progress)
        return _SealedPart(source, descriptor, part, dek=dek, group=group, sink=sink)

    largest_first = sorted(descriptor.parts, key=lambda part: -part.plaintext_length)
    for part in largest_first:  # before any work, and in one order: the same fault is always the same error
        check_length(part, source.length(blob_name(part.blob)))
    run_shared(
        largest_first,
        make,
        batches=lambda part: -(-segments_of(part.plaintext_length, parameters) // group),
        state=buffers,
        workers=workers,
    )
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
        workers: Threads; several may work on one file.
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

    def make(name: str) -> _PlainFile:
        checker = Checker(signed[name], manifest.algorithm, lengths[name])
        return _PlainFile(source, lengths[name], Sink(name, checker, staging, progress))

    run_shared(
        sorted(lengths, key=lambda name: -lengths[name]),
        make,
        batches=lambda name: _ranges(lengths[name]),
        state=lambda: Buffers(memoryview(b""), ring_of(RANGE)),
        workers=workers,
    )
    return total


def _ranges(length: int) -> int:
    return max(1, -(-length // RANGE))


class _PlainFile(Arriving):
    """One plain file of a source."""

    def __init__(self, source: Source, length: int, sink: Sink) -> None:
        super().__init__(_ranges(length), sink)
        self._source = source
        self._length = length

    def chunks(self, number: int, own: Buffers) -> Iterator[tuple[int, memoryview]]:
        """Read one range."""
        start = number * RANGE
        view = own.opened.piece[: min(RANGE, self._length - start)]
        self._source.read_range(self.sink.name, start, view)
        yield start, view


class _SealedPart(Arriving):
    """One sealed file of a source: its header read and checked, its segments opened by position."""

    def __init__(
        self, source: Source, descriptor: Descriptor, part: Part, *, dek: Dek, group: int, sink: Sink
    ) -> None:
        self._count = segments_of(part.plaintext_length, descriptor.parameters)
        super().__init__(-(-self._count // group), sink)
        self._source = source
        self._descriptor = descriptor
        self._part = part
        self._dek = dek
        self._group = group
        self._blob = blob_name(part.blob)
        self._opener: PartOpener

    def begin(self) -> None:
        """Read and check the header, then make the file."""
        header = bytearray(HEADER_LENGTH)
        self._source.read_range(self._blob, 0, memoryview(header))
        if not digest_of(header).matches(self._part.header):
            raise SealError("tampered", f"the header of {self._part.name!r} is not the one that was signed")
        self._opener = PartOpener(
            self._dek.key,
            self._descriptor.aad_of(self._part),
            bytes(header),
            parameters=self._descriptor.parameters,
        )
        super().begin()

    def chunks(self, number: int, own: Buffers) -> Iterator[tuple[int, memoryview]]:
        """Read the ciphertext of some segments, and open one after the other into private memory."""
        segment, whole = self._descriptor.segment_length, self._descriptor.parameters.plaintext_length
        first = number * self._group
        last = min(first + self._group, self._count)
        start = HEADER_LENGTH + first * segment
        untrusted = own.range[: min(last * segment + HEADER_LENGTH, self._part.ciphertext_length) - start]
        self._source.read_range(self._blob, start, untrusted)
        for position in range(first, last):
            place = position - first
            into = own.opened.piece[place * whole : (place + 1) * whole]
            size = self._opener.open_into(
                untrusted[place * segment : (place + 1) * segment],
                position,
                final=position == self._count - 1,
                out=into,
            )
            yield position * whole, into[:size]
