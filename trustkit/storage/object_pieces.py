"""Objects hashed where they are read: on the workers of an executor, range by range.

The law of this file: what travels to a worker is a key, a pin and a range, never
a credential; what travels back is a digest. A worker reads ahead over the ends
of objects, so that small ones do not each wait for the store.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import NamedTuple

from trustkit.artifact.executors import spread
from trustkit.artifact.hashing import Engine, Progress, Unit
from trustkit.digest import SIZES, Algorithm, new_hasher
from trustkit.storage.objects import ObjectTree
from trustkit.storage.schemes import store_of
from trustkit.storage.stores import Pin

BLOCK = 8 << 20
"""Bytes asked for at once."""
READS = 4
"""Reads in flight for each load; with one, a worker would wait for the store most of the time."""


class ObjectPiece(NamedTuple):
    """A range of an object, as it travels to a worker, which has credentials of its own."""

    scheme: str
    bucket: str
    key: str
    pin: Pin
    start: int
    end: int
    algorithm: Algorithm


def objects_engine(executor: Executor) -> Engine:
    """Return what hashes an `ObjectTree` on an executor whose workers can read the store."""

    def engine(
        tree: ObjectTree,
        units: Sequence[Unit],
        *,
        algorithm: Algorithm,
        workers: int,  # noqa: ARG001 - how many there are is the executor's business
        progress: Progress | None,
    ) -> bytes:
        listing = tree.listing

        def piece(unit: Unit) -> ObjectPiece:
            name, pin = listing.entries[bisect_left(listing.entries, (unit.file.name,))]
            place = listing.address
            key = place.key_of("" if listing.single else name)
            return ObjectPiece(place.scheme, place.bucket, key, pin, unit.start, unit.end, algorithm)

        return spread(executor, hash_objects, piece, units, length=SIZES[algorithm], progress=progress)

    return engine


def hash_objects(pieces: Sequence[ObjectPiece]) -> bytes:
    """Hash a load, on a worker, and return the digests' bytes, one behind the other.

    Raises:
        VerificationError: ``file-changed``.
        UnavailableError: ``unreadable``, ``bad-answer``.
        UsageError: ``extra-needed``, ``store-unencrypted``, as the worker sees it.
    """
    stores = {scheme: store_of(scheme) for scheme in {piece.scheme for piece in pieces}}
    hashers = [new_hasher(piece.algorithm, threads=1) for piece in pieces]
    waiting: deque[tuple[int, Future[bytes]]] = deque()

    def feed() -> None:
        number, block = waiting.popleft()
        hashers[number].update(block.result())

    with ThreadPoolExecutor(READS) as pool:
        for number, (scheme, bucket, key, pin, start, end, _) in enumerate(pieces):
            for first in range(start, max(end, start + 1), BLOCK):
                if len(waiting) == READS:
                    feed()
                last = min(first + BLOCK, end)
                block = pool.submit(stores[scheme].read, bucket, key, pin, start=first, end=last)
                waiting.append((number, block))
        while waiting:
            feed()
    return b"".join([hasher.digest() for hasher in hashers])
