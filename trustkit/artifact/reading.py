"""Reading one stream of a file: block by block, or several blocks ahead of whoever hashes them.

The law of this file: bytes come in order and whole, or an error comes in their
place; a file that ends before its size says was changed. Threads are started
here only from a thread of `lanes`, where no signal is ever handled, and none
outlives the `with` around it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Self

from trustkit.artifact.files import changed, unreadable
from trustkit.records import dataclass

READS_IN_FLIGHT = 4
"""How many reads are under way where the data is not in memory yet: one after the other, a disk idles."""
READERS = 3
"""Threads that read one stream ahead. Each announces its next block, so twice as many reads are under way."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Bytes of an open file, from *start* up to *end* (exclusive)."""

    descriptor: int
    name: str
    start: int
    end: int


def blocks(stream: Stream, buffer: memoryview) -> Iterator[memoryview]:
    """Yield a stream through one reused buffer, with the system told what will be wanted next.

    Raises:
        VerificationError: ``file-changed`` if it ends too early.
        UnavailableError: ``unreadable``.
    """
    step = len(buffer)
    ahead = READS_IN_FLIGHT * step
    for offset in range(stream.start, stream.end, step):
        announce(stream, offset + ahead, step)
        yield read_whole(stream, offset, buffer)


def announce(stream: Stream, offset: int, length: int) -> None:
    """Tell the system what will be read soon; beyond the end there is nothing, and advice may be useless."""
    if offset < stream.end:
        with contextlib.suppress(OSError):
            os.posix_fadvise(stream.descriptor, offset, length, os.POSIX_FADV_WILLNEED)


def read_whole(stream: Stream, offset: int, buffer: memoryview) -> memoryview:
    """Fill a buffer from *offset* on, or as much of it as the stream has, and return that part.

    Raises:
        VerificationError: ``file-changed`` if the file ends before.
        UnavailableError: ``unreadable``.
    """
    wanted = buffer[: min(len(buffer), stream.end - offset)]
    done = 0
    while done < len(wanted):
        try:
            count = os.preadv(stream.descriptor, [wanted[done:]], offset + done)
        except OSError as error:
            raise unreadable(stream.name, error) from None
        if count == 0:
            raise changed(stream.name)
        done += count
    return wanted


class Ahead:
    """Reads a stream in threads of its own, each every so many blocks, while earlier blocks are hashed.

    Use it as a context manager, and iterate once: a block is gone when the next is asked for.

    Args:
        stream: What to read.
        block: Bytes of a block; each thread has one buffer of that size.
        readers: Most threads; where the system gives none, the caller's own reads.
    """

    def __init__(self, stream: Stream, *, block: int, readers: int = READERS) -> None:
        self._stream = stream
        self._block = block
        self._readers = readers
        self._free: list[SimpleQueue[memoryview | None]] = []
        self._full: list[SimpleQueue[memoryview | Exception]] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        for number in range(self._readers):
            self._free.append(SimpleQueue())
            self._full.append(SimpleQueue())
            thread = threading.Thread(target=self._read, args=(number,), name=f"trustkit-reader-{number}")
            try:
                thread.start()
            except RuntimeError:  # a limit on processes: what has started is enough
                break
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        for free in self._free:
            free.put(None)
        for thread in self._threads:
            thread.join()

    def __iter__(self) -> Iterator[memoryview]:
        count = len(self._threads)
        if not count:
            yield from blocks(self._stream, memoryview(bytearray(self._block)))
            return
        buffers = [memoryview(bytearray(self._block)) for _ in range(count)]
        for number, buffer in enumerate(buffers):  # only now do they know how many they are
            self._free[number].put(buffer)
        for index, _ in enumerate(range(self._stream.start, self._stream.end, self._block)):
            found = self._full[index % count].get()
            if isinstance(found, Exception):
                raise found
            yield found
            self._free[index % count].put(buffers[index % count])

    def _read(self, number: int) -> None:
        """Fill this thread's blocks as often as its buffer comes back; None instead of it is the end."""
        free, full, block = self._free[number], self._full[number], self._block
        buffer = free.get()
        if buffer is None:
            return
        stride = len(self._threads) * block
        for offset in range(self._stream.start + number * block, self._stream.end, stride):
            announce(self._stream, offset + stride, block)
            try:
                full.put(read_whole(self._stream, offset, buffer))
            except Exception as failure:  # noqa: BLE001 - raised again by the thread that hashes
                full.put(failure)
                return
            if free.get() is None:
                return
