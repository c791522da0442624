"""Sealing: the files of a signed artifact become blobs of ciphertext in a staging folder, in one pass.

The law of this file: what is sealed is what was signed. Every byte is read once,
into a buffer that goes into the cipher and into the author's digest, so there
is no moment between verifying and sealing in which a file could be swapped. A
digest that is wrong ends the work, and the caller wipes the staging. Plaintext
is written nowhere; a blob gets its name, the digest of its ciphertext, when it
is complete.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from trustkit.artifact.files import TreeFile, changed, unreadable
from trustkit.artifact.lanes import Lanes
from trustkit.artifact.manifest import Manifest
from trustkit.artifact.tree import Tree
from trustkit.digest import Digest, digest_of, new_hasher
from trustkit.sealing.descriptor import Part, part_aad
from trustkit.sealing.documents import BLOBS, blob_name
from trustkit.sealing.floe import (
    HEADER_LENGTH,
    Entropy,
    Parameters,
    PartSealer,
    ciphertext_length,
    segments_of,
)
from trustkit.sealing.keys import Dek
from trustkit.storage.arriving import Progress, write_at
from trustkit.storage.checker import Checker, by_file
from trustkit.storage.handover import InOrder, Ring, hand_over, ring_of
from trustkit.storage.shared import Shared, run_shared
from trustkit.storage.staging import Staging


@dataclass(frozen=True, slots=True)
class Terms:
    """What every part of one sealed version is bound to."""

    line: str
    version: int
    dek_id: str
    manifest_digest: Digest
    parameters: Parameters = field(default_factory=Parameters)

    def aad_of(self, name: str, length: int) -> bytes:
        """Return the AAD of a part, as its descriptor will say."""
        return part_aad(
            name,
            length,
            line=self.line,
            version=self.version,
            dek_id=self.dek_id,
            manifest_digest=self.manifest_digest,
        )


def seal_parts(
    tree: Tree,
    manifest: Manifest,
    staging: Staging,
    *,
    terms: Terms,
    dek: Dek,
    entropy: Entropy,
    workers: int,
    progress: Progress | None = None,
) -> tuple[Part, ...]:
    """Seal every file into ``blobs/`` of a staging folder and return the parts, sorted by name.

    Args:
        tree: The artifact, names and lengths as signed; the caller looks at it again when this is done.
        manifest: Verified; what the author signed.
        staging: Where the blobs go; the caller publishes or wipes it.
        terms: What the parts are bound to.
        dek: The data key.
        entropy: Where nonces come from; called from any worker thread.
        workers: Threads; each needs four segments of memory, and several may work on one file.
        progress: Told of every chunk that was sealed and checked.

    Raises:
        VerificationError: ``digest-mismatch`` or ``file-changed``: not what was signed.
        UnavailableError: ``unreadable`` or ``unwritable``.
    """
    signed = by_file(manifest, single=tree.files[0].name)
    numbers = {file.name: number for number, file in enumerate(tree.files)}
    found: dict[str, Part] = {}

    def make(file: TreeFile) -> _Departing:
        length = file.stamp.size
        job = _Job(
            file,
            draft=f"{BLOBS}/draft-{numbers[file.name]}",
            checker=Checker(signed[file.name], manifest.algorithm, length),
            seal=lambda: PartSealer(
                dek.key, terms.aad_of(file.name, length), parameters=terms.parameters, entropy=entropy
            ),
            parameters=terms.parameters,
            progress=progress,
        )
        return _Departing(tree, staging, job, found)

    run_shared(
        sorted(tree.files, key=lambda file: -file.stamp.size),
        make,
        batches=lambda file: segments_of(file.stamp.size, terms.parameters),
        state=lambda: _Buffers(
            ring_of(terms.parameters.plaintext_length), ring_of(terms.parameters.segment_length)
        ),
        workers=workers,
    )
    return tuple(found[name] for name in sorted(found))


@dataclass(slots=True)
class _Buffers:
    """One thread's memory: segments before and after, until they were hashed."""

    plain: Ring
    sealed: Ring


@dataclass(frozen=True, slots=True)
class _Job:
    """What one file is, and what is to become of it."""

    file: TreeFile
    draft: str
    checker: Checker
    seal: Callable[[], PartSealer]
    parameters: Parameters
    progress: Progress | None


class _Departing(Shared[_Buffers]):
    """One file on its way into ciphertext: a batch is a segment, hashed in order before and after."""

    def __init__(self, tree: Tree, staging: Staging, job: _Job, found: dict[str, Part]) -> None:
        self._before, self._after = InOrder(self._check), InOrder(self._digest)
        super().__init__(segments_of(job.file.stamp.size, job.parameters), self._before, self._after)
        self._tree = tree
        self._staging = staging
        self._job = job
        self._found = found
        self._hasher = new_hasher("sha256")
        self._source = self._sink = -1
        self._sealer: PartSealer

    def begin(self) -> None:
        """Open the file, and write the header of its part."""
        self._source = self._tree.open(self._job.file)
        self._sealer = self._job.seal()
        self._sink = self._staging.create(self._job.draft)
        write_at(self._sink, memoryview(self._sealer.header), 0)
        self._hasher.update(self._sealer.header)

    def work(self, number: int, own: _Buffers, lanes: Lanes) -> bool:
        """Seal one segment; the bytes that are hashed are the bytes that were sealed."""
        file, parameters = self._job.file, self._job.parameters
        start = number * parameters.plaintext_length
        chunk = read_signed(file.name, self._source, own.plain.piece[: file.stamp.size - start], start)
        out = own.sealed.piece
        sealed = out[: self._sealer.seal_into(chunk, number, final=self._is_last(number), out=out)]
        write_at(self._sink, sealed, HEADER_LENGTH + number * parameters.segment_length)
        return not lanes.stopped and hand_over(
            number, (self._before, chunk, own.plain), (self._after, sealed, own.sealed)
        )

    def end(self) -> None:
        """Close both files."""
        for descriptor in (self._source, self._sink):
            if descriptor >= 0:
                os.close(descriptor)

    def _check(self, number: int, chunk: memoryview) -> None:
        self._job.checker.update(chunk)
        if self._is_last(number):
            self._job.checker.finish()
        if self._job.progress is not None:
            self._job.progress(len(chunk))

    def _digest(self, number: int, sealed: memoryview) -> None:
        self._hasher.update(sealed)
        if self._is_last(number):
            self._name()

    def _is_last(self, number: int) -> bool:
        return number == self.batches - 1

    def _name(self) -> None:
        file, blob = self._job.file, Digest("sha256", self._hasher.digest())
        self._staging.rename(self._job.draft, blob_name(blob))
        length = file.stamp.size
        self._found[file.name] = Part(
            file.name,
            length,
            ciphertext_length(length, self._job.parameters),
            blob,
            digest_of(self._sealer.header),
        )


def read_signed(name: str, source: int, into: memoryview, start: int) -> memoryview:
    """Fill *into* from an open file whose length was signed, and return it.

    Raises:
        VerificationError: ``file-changed``: it ends before that.
        UnavailableError: ``unreadable``.
    """
    done = 0
    try:
        while done < len(into):
            read = os.preadv(source, [into[done:]], start + done)
            if read == 0:
                raise changed(name)
            done += read
    except OSError as error:
        raise unreadable(name, error) from None
    return into
