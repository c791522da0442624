"""Hashing on an executor that the caller brings: processes, or a cluster whose workers have the same disk.

The law of this file: a piece of work pickles, and whoever does it opens the file
anew by the same rules and holds it against the stamp of the walk, so that all
hash the same file or say that it changed. Pieces travel in loads, since a
cluster takes longer to hand out work than to hash a small file; what comes back
is held against the length it must have. The executor stays the caller's: it is
not shut down, and what was not begun when something fails is taken back.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from pathlib import Path
from typing import NamedTuple, TypeVar

from trustkit.artifact.files import PLACE, TreeFile, changed, open_file
from trustkit.artifact.hashing import Engine, Progress, Unit, hash_values
from trustkit.artifact.tree import Tree
from trustkit.digest import SIZES, Algorithm
from trustkit.errors import TrustkitError, UnavailableError
from trustkit.records import replace

WAITING = 1024
"""Most loads an executor holds at a time: a dataset has millions, and their futures would fill memory."""
LOAD_BYTES = 4 << 20
"""A load is full with so many bytes: a few milliseconds of hashing, more than handing it out takes."""
LOAD_PIECES = 256
"""Most pieces in a load."""
LOOK_SECONDS = 2.0
"""How long a result is waited for before somebody looks whether there is still a worker."""

P = TypeVar("P")


class Watched(Executor):
    """An executor of machines that may all go away: it can be asked, and knows its own errors."""

    @abstractmethod
    def check(self) -> None:
        """Look whether anybody works; called every `LOOK_SECONDS` while a result is waited for.

        Raises:
            UnavailableError: ``worker-lost``: for too long, nobody did.
        """

    @abstractmethod
    def explain(self, failure: BaseException) -> TrustkitError | None:
        """Say in our words why a piece of work failed; None where that is not for the cluster to say."""


class Piece(NamedTuple):
    """A range of a file, as it travels.

    Attributes:
        folder: Real path of the folder that the file is opened below.
        file: What the walk saw.
        start: First byte.
        end: First byte after the range.
        algorithm: The hash.
    """

    folder: str
    file: TreeFile
    start: int
    end: int
    algorithm: Algorithm


def hash_pieces(pieces: Sequence[Piece]) -> bytes:
    """Hash a load, in whatever process this runs, and return the digests' bytes, one behind the other.

    Raises:
        VerificationError: ``file-changed``, also where this machine has no such file.
        UnavailableError: ``unreadable``.
    """
    return b"".join([_hashed(piece) for piece in pieces])


def _hashed(piece: Piece) -> bytes:
    try:
        base = os.open(piece.folder, PLACE)
    except OSError:
        raise changed(piece.file.name) from None
    with Tree(Path(piece.folder), single=False, bases=[base]) as tree:
        unit = Unit(_here(base, piece.file), piece.start, piece.end)
        return hash_values(tree, [unit], algorithm=piece.algorithm, workers=1)


def _here(base: int, file: TreeFile) -> TreeFile:
    """Return the file with this machine's number of its device: every machine counts its mounts anew.

    All else in the stamp comes from the file system, and is the same wherever that is mounted.
    """
    descriptor = open_file(base, file.path)
    try:
        device = os.fstat(descriptor).st_dev
    finally:
        os.close(descriptor)
    return replace(file, stamp=replace(file.stamp, device=device))


def engine_on(executor: Executor) -> Engine:
    """Return what hashes on an executor, for `trustkit.artifact.hashing.manifest_of`."""

    def engine(
        tree: Tree,
        units: Sequence[Unit],
        *,
        algorithm: Algorithm,
        workers: int,  # noqa: ARG001 - how many there are is the executor's business
        progress: Progress | None,
    ) -> bytes:
        return hash_on(executor, tree, units, algorithm=algorithm, progress=progress)

    return engine


def hash_on(
    executor: Executor,
    tree: Tree,
    units: Sequence[Unit],
    *,
    algorithm: Algorithm,
    progress: Progress | None = None,
) -> bytes:
    """Hash every unit on an executor, with the same result as `trustkit.artifact.hashing.hash_values`.

    Args:
        executor: The caller's; its workers must see the artifact under the same path.
        tree: The open artifact.
        units: What to hash; shards are what spreads one large file.
        algorithm: The hash.
        progress: Told the size of every load that is done.

    Raises:
        VerificationError: ``file-changed``.
        UnavailableError: ``unreadable``, ``worker-lost`` or ``bad-answer``, as `spread`.
    """
    folders = [str(Path(f"/proc/self/fd/{base}").readlink()) for base in tree.bases]

    def piece(unit: Unit) -> Piece:
        file = unit.file
        return Piece(folders[file.base], replace(file, base=0), unit.start, unit.end, algorithm)

    return spread(executor, hash_pieces, piece, units, length=SIZES[algorithm], progress=progress)


def spread(
    executor: Executor,
    work: Callable[[Sequence[P]], bytes],
    piece: Callable[[Unit], P],
    units: Sequence[Unit],
    *,
    length: int,
    progress: Progress | None = None,
) -> bytes:
    """Have an executor do work on pieces made of units, and return what it found, in the order of the units.

    Args:
        executor: The caller's.
        work: Hashes a load of pieces; it pickles, as they do.
        piece: Makes the piece of a unit.
        units: What to hash.
        length: Bytes that each piece becomes: what a worker sends is untrusted until it has that form.
        progress: Told the size of every load that is done.

    Raises:
        UnavailableError: ``worker-lost`` where the executor gave up, ``bad-answer`` for what is no digest.
        TrustkitError: Whatever the work raised.
    """
    found = bytearray(length * len(units))
    waiting: deque[tuple[list[int], Future[bytes]]] = deque()

    def collect() -> None:
        indexes, future = waiting[0]
        raw = _demand_form(_result(executor, future), length * len(indexes))
        for place, index in enumerate(indexes):
            found[index * length : (index + 1) * length] = raw[place * length : (place + 1) * length]
        waiting.popleft()
        if progress is not None:
            progress(sum(units[index].size for index in indexes))

    try:
        for load in _loads(units):
            if len(waiting) == WAITING:
                collect()
            pieces = tuple([piece(units[index]) for index in load])
            waiting.append((load, _submitted(executor, work, pieces)))
        while waiting:
            collect()
    finally:
        for _, future in waiting:
            future.cancel()
    return bytes(found)


def _loads(units: Sequence[Unit]) -> Iterator[list[int]]:
    """Yield the places of units that travel together, the largest first."""
    load: list[int] = []
    size = 0
    for index in sorted(range(len(units)), key=lambda index: -units[index].size):
        load.append(index)
        size += units[index].size
        if size >= LOAD_BYTES or len(load) == LOAD_PIECES:
            yield load
            load, size = [], 0
    if load:
        yield load


def _submitted(
    executor: Executor, work: Callable[[Sequence[P]], bytes], pieces: tuple[P, ...]
) -> Future[bytes]:
    try:
        return executor.submit(work, pieces)
    except BrokenExecutor:
        raise _lost() from None


def _result(executor: Executor, future: Future[bytes]) -> bytes:
    watched = executor if isinstance(executor, Watched) else None
    while True:
        try:
            failure = future.exception(timeout=LOOK_SECONDS)
        except CancelledError:
            raise _lost() from None
        except TimeoutError:  # ours: what the work raised is returned
            if watched is not None:
                watched.check()
            continue
        break
    if failure is None:
        return future.result()
    if isinstance(failure, BrokenExecutor | CancelledError):
        raise _lost() from None
    raise (watched.explain(failure) if watched is not None else None) or failure


def _demand_form(untrusted: object, length: int) -> bytes:
    if not isinstance(untrusted, bytes) or len(untrusted) != length:
        raise UnavailableError(
            "bad-answer", "a worker answered with something that is no digest; look after the cluster"
        )
    return untrusted


def _lost() -> UnavailableError:
    return UnavailableError("worker-lost", "the executor lost a worker and gave up; run again")
