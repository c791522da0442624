"""A file that arrives in pieces, from several threads: written at its place, hashed in its order.

The law of this file: what is written was authenticated before, as far as its
source is sealed, and what counts as there was hashed and compared. It lies in a
staging folder, which the caller publishes or wipes.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from trustkit.artifact.lanes import Lanes
from trustkit.errors import UnavailableError
from trustkit.storage.checker import Checker
from trustkit.storage.handover import InOrder, Ring, hand_over
from trustkit.storage.shared import Shared
from trustkit.storage.staging import Staging

Progress = Callable[[int], None]
"""Called with the number of plaintext bytes just checked off, from any worker thread."""


@dataclass(slots=True)
class Buffers:
    """One thread's memory: a range as the source sends it, and what was opened of it, until it was hashed."""

    range: memoryview
    opened: Ring


@dataclass(frozen=True, slots=True)
class Sink:
    """Where the bytes of one file go, and what they are held against."""

    name: str
    checker: Checker
    staging: Staging
    progress: Progress | None

    def check(self, chunk: memoryview) -> None:
        """Hash the next bytes, and tell that it was done."""
        self.checker.update(chunk)
        if self.progress is not None:
            self.progress(len(chunk))


class Arriving(Shared[Buffers]):
    """One file on its way from a source into a staging folder."""

    def __init__(self, batches: int, sink: Sink) -> None:
        self._hashing = InOrder(self._hashed)
        super().__init__(batches, self._hashing)
        self.sink = sink
        self._file = -1

    @abstractmethod
    def chunks(self, number: int, own: Buffers) -> Iterator[tuple[int, memoryview]]:
        """Yield places and bytes of a batch, authenticated where sealed; in `own.opened`, or made anew."""

    def begin(self) -> None:
        """Make the file."""
        self._file = self.sink.staging.create(self.sink.name)

    def work(self, number: int, own: Buffers, lanes: Lanes) -> bool:
        """Write a batch, and hash it while it is hot where it is due, or hand it over to who hashes."""
        waiting: list[memoryview] = []
        for place, chunk in self.chunks(number, own):
            if lanes.stopped:
                return False
            write_at(self._file, chunk, place)
            waiting.append(chunk)
            if self._hashing.is_due(number):
                self._check(waiting)
        return hand_over(number, (self._hashing, waiting, own.opened))

    def end(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)

    def _hashed(self, number: int, waiting: list[memoryview]) -> None:
        self._check(waiting)
        if number == self.batches - 1:
            self.sink.checker.finish()

    def _check(self, waiting: list[memoryview]) -> None:
        for chunk in waiting:
            self.sink.check(chunk)
        waiting.clear()


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
