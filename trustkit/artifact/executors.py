"""Hashing on an executor that the caller brings: processes, or a cluster whose workers have the same disk.

The law of this file: a piece of work pickles, and whoever does it opens the file
anew by the same rules and holds it against the stamp of the walk, so that all
hash the same file or say that it changed. The executor stays the caller's: it is
not shut down, and what was not begun when something fails is taken back.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from trustkit.artifact.files import PLACE, TreeFile, changed
from trustkit.artifact.hashing import Engine, Progress, Unit, hash_values
from trustkit.artifact.tree import Tree
from trustkit.digest import Algorithm
from trustkit.errors import UnavailableError

WAITING = 256
"""Most pieces an executor holds at a time: a dataset has millions, and their futures would fill memory."""


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


def hash_piece(piece: Piece) -> bytes:
    """Hash one range, in whatever process this runs, and return the digest's bytes.

    Raises:
        VerificationError: ``file-changed``, also where this machine has no such file.
        UnavailableError: ``unreadable``.
    """
    try:
        base = os.open(piece.folder, PLACE)
    except OSError:
        raise changed(piece.file.name) from None
    with Tree(Path(piece.folder), single=False, bases=[base]) as tree:
        unit = Unit(piece.file, piece.start, piece.end)
        return hash_values(tree, [unit], algorithm=piece.algorithm, workers=1)


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
        progress: Told the size of every unit that is done.

    Raises:
        VerificationError: ``file-changed``.
        UnavailableError: ``unreadable``; ``worker-lost`` where the executor gave up.
    """
    folders = [str(Path(f"/proc/self/fd/{base}").readlink()) for base in tree.bases]
    found: dict[int, bytes] = {}
    waiting: deque[tuple[int, Future[bytes]]] = deque()

    def collect() -> None:
        index, future = waiting.popleft()
        found[index] = _result(future)
        if progress is not None:
            progress(units[index].size)

    try:
        for index in sorted(range(len(units)), key=lambda index: -units[index].size):
            if len(waiting) == WAITING:
                collect()
            file = units[index].file
            piece = Piece(
                folders[file.base], replace(file, base=0), units[index].start, units[index].end, algorithm
            )
            waiting.append((index, _submitted(executor, piece)))
        while waiting:
            collect()
    finally:
        for _, future in waiting:
            future.cancel()
    return b"".join([found[index] for index in range(len(units))])


def _submitted(executor: Executor, piece: Piece) -> Future[bytes]:
    try:
        return executor.submit(hash_piece, piece)
    except BrokenExecutor:
        raise _lost() from None


def _result(future: Future[bytes]) -> bytes:
    try:
        return future.result()
    except (BrokenExecutor, CancelledError):
        raise _lost() from None


def _lost() -> UnavailableError:
    return UnavailableError("worker-lost", "the executor lost a worker and gave up; run again")
