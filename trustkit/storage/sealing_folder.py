"""Sealing: the files of a verified artifact become blobs of ciphertext in a staging folder.

The law of this file: what is sealed is what was signed. Every byte is hashed on
its way into the cipher and held against the author's manifest, so a file that
was swapped between verification and sealing ends the work. Plaintext is written
nowhere; a blob gets its name, the digest of its ciphertext, when it is complete.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from trustkit.artifact.files import changed
from trustkit.artifact.lanes import Lanes, run_lanes
from trustkit.artifact.manifest import Manifest
from trustkit.digest import Digest, Hasher, digest_of, new_hasher
from trustkit.errors import UnavailableError
from trustkit.sealing.descriptor import Part, part_aad
from trustkit.sealing.documents import BLOBS, blob_name
from trustkit.sealing.floe import SEGMENT_OVERHEAD, Entropy, Parameters, PartSealer, segments_of
from trustkit.sealing.keys import Dek
from trustkit.storage.checker import Checker, by_file
from trustkit.storage.delivery import Progress, write_at
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
    open_file: Callable[[str], int],
    lengths: dict[str, int],
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
        open_file: Opens a verified file for reading by its name; the descriptor is closed here.
        lengths: Every file by name, with its length (bytes).
        manifest: Verified; what the author signed.
        staging: Where the blobs go; the caller publishes or wipes it.
        terms: What the parts are bound to.
        dek: The data key.
        entropy: Where nonces come from.
        workers: Threads; each needs two segments of memory.
        progress: Told of every chunk that was sealed.

    Raises:
        VerificationError: ``digest-mismatch`` or ``file-changed``: not what was signed.
        UnavailableError: ``unreadable`` or ``unwritable``.
    """
    signed = by_file(manifest, single=next(iter(lengths)))
    found: dict[str, Part] = {}
    numbers = {name: number for number, name in enumerate(lengths)}

    def seal(name: str, own: tuple[memoryview, memoryview], lanes: Lanes) -> None:
        length = lengths[name]
        sealer = PartSealer(dek.key, terms.aad_of(name, length), parameters=terms.parameters, entropy=entropy)
        job = _Job(name, length, sealer, Checker(signed[name], manifest.algorithm, length), terms.parameters)
        draft = f"{BLOBS}/draft-{numbers[name]}"
        source, sink = open_file(name), staging.create(draft)
        try:
            blob = _seal_file(job, source, sink, own, lanes=lanes, progress=progress)
        finally:
            os.close(source)
            os.close(sink)
        if blob is not None:
            staging.rename(draft, blob_name(blob))
            found[name] = Part(name, length, job.written, blob, digest_of(sealer.header))

    def buffers() -> tuple[memoryview, memoryview]:
        plain, sealed = terms.parameters.plaintext_length, terms.parameters.segment_length
        return memoryview(bytearray(plain)), memoryview(bytearray(sealed))

    run_lanes(sorted(lengths, key=lambda name: -lengths[name]), seal, state=buffers, workers=workers)
    return tuple(found[name] for name in sorted(found))


@dataclass(slots=True)
class _Job:
    """One file on its way into ciphertext."""

    name: str
    length: int
    sealer: PartSealer
    checker: Checker
    parameters: Parameters
    written: int = 0


def _seal_file(
    job: _Job,
    source: int,
    sink: int,
    own: tuple[memoryview, memoryview],
    *,
    lanes: Lanes,
    progress: Progress | None,
) -> Digest | None:
    """Return the digest of the ciphertext, or None where other work failed and this was left."""
    plain, sealed = own
    hasher = new_hasher("sha256")
    _put(job, sink, memoryview(job.sealer.header), hasher)
    count = segments_of(job.length, job.parameters)
    for position in range(count):
        if lanes.stopped:
            return None
        start = position * len(plain)
        chunk = _read(job.name, source, plain[: min(len(plain), job.length - start)], start)
        job.checker.update(chunk)
        size = job.sealer.seal_into(chunk, position, final=position == count - 1, out=sealed)
        _put(job, sink, sealed[:size], hasher)
        if progress is not None:
            progress(size - SEGMENT_OVERHEAD)
    job.checker.finish()
    return Digest("sha256", hasher.digest())


def _put(job: _Job, sink: int, chunk: memoryview, hasher: Hasher) -> None:
    hasher.update(chunk)
    write_at(sink, chunk, job.written)
    job.written += len(chunk)


def _read(name: str, source: int, into: memoryview, start: int) -> memoryview:
    done = 0
    try:
        while done < len(into):
            read = os.preadv(source, [into[done:]], start + done)
            if read == 0:
                raise changed(name)
            done += read
    except OSError as error:
        raise UnavailableError("unreadable", f"cannot read {name!r}: {error.strerror}", name=name) from None
    return into
