"""Sealed bytes held against a verified descriptor by whoever has no key: their lengths and their digests.

The law of this file: it proves that a folder holds what its publisher signed, and nothing of what that opens
to; for that a key is needed (`trustkit.storage.delivery`).
"""

from __future__ import annotations

from collections.abc import Callable

from trustkit.artifact.lanes import Lanes, run_lanes
from trustkit.digest import Digest, new_hasher
from trustkit.errors import SealError
from trustkit.sealing.descriptor import Descriptor, Part
from trustkit.sealing.documents import blob_name
from trustkit.storage.source import Source

_CHUNK = 1 << 20


def check_ciphertext(
    source: Source, descriptor: Descriptor, *, workers: int, progress: Callable[[int], None] | None = None
) -> None:
    """Hash every part, and demand what the descriptor says of it.

    Args:
        source: Ciphertext, untrusted.
        descriptor: Verified.
        workers: Threads, each over parts of its own.
        progress: Told of every chunk that was hashed.

    Raises:
        SealError: ``tampered``, ``truncated`` or ``trailing-bytes``.
        UnavailableError: The source did not answer, or a part is missing.
    """

    def work(part: Part, own: memoryview, lanes: Lanes) -> None:
        name, hasher = blob_name(part.blob), new_hasher("sha256")
        for start in range(0, part.ciphertext_length, len(own)):
            if lanes.stopped:
                return
            view = own[: min(len(own), part.ciphertext_length - start)]
            source.read_range(name, start, view)
            hasher.update(view)
            if progress is not None:
                progress(len(view))
        if not Digest("sha256", hasher.digest()).matches(part.blob):
            raise SealError(
                "tampered", f"the sealed {part.name!r} is not what its publisher signed; fetch it again"
            )

    largest_first = sorted(descriptor.parts, key=lambda part: -part.ciphertext_length)
    for part in largest_first:
        check_length(part, source.length(blob_name(part.blob)))
    run_lanes(largest_first, work, state=lambda: memoryview(bytearray(_CHUNK)), workers=workers)


def check_length(part: Part, untrusted: int) -> None:
    """Demand that a part has the length that was signed.

    Raises:
        SealError: ``truncated`` or ``trailing-bytes``.
    """
    if untrusted < part.ciphertext_length:
        raise SealError("truncated", f"the sealed bytes of {part.name!r} end too early; fetch them again")
    if untrusted > part.ciphertext_length:
        raise SealError("trailing-bytes", f"bytes were appended to the sealed {part.name!r}; fetch it again")
