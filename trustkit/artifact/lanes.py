"""A few threads over one list of work: the only place that starts them for bytes.

The law of this file: the first failure, or Ctrl-C, ends all work soon; nothing
runs on behind an exception; each thread has a state of its own (its buffers),
made once and reused for everything that the thread does.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TypeVar

from trustkit.errors import UnavailableError

T = TypeVar("T")
S = TypeVar("S")

_WAITING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM}
"""What programs of ours, and Python itself, turn into an exception."""


class Lanes:
    """Hands out every item once, to any thread, until stopped."""

    def __init__(self, count: int) -> None:
        self._numbers = iter(range(count))
        self._lock = threading.Lock()
        self._stopped = False

    def __iter__(self) -> Iterator[int]:
        while True:
            with self._lock:
                number = None if self._stopped else next(self._numbers, None)
            if number is None:
                return
            yield number

    @property
    def stopped(self) -> bool:
        """Whether work in progress should end without a result."""
        return self._stopped

    def stop(self) -> None:
        """Hand out nothing more."""
        self._stopped = True


def run_lanes(
    items: Sequence[T], work: Callable[[T, S, Lanes], None], *, state: Callable[[], S], workers: int
) -> None:
    """Do the work of every item in at most *workers* threads and return when all of it is done.

    Args:
        items: What there is to do; start with what takes longest.
        work: Does one item with the thread's state; long work asks `Lanes.stopped` now and then.
        state: Makes one thread's state.
        workers: Most threads; never more than there are items.

    Raises:
        BaseException: The first that any item raised; what other threads do is ended and waited for.
    """
    lanes = Lanes(len(items))
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def lane() -> None:
        try:
            own = state()
            for number in lanes:
                work(items[number], own, lanes)
        except BaseException as failure:  # noqa: BLE001 - raised again below, by the thread that waits
            lanes.stop()
            ended.put(failure)
        else:
            ended.put(None)

    threads: list[threading.Thread] = []
    try:
        with _uninterrupted():
            _start(threads, lane, max(1, min(workers, len(items))))
        failures = [failure for _ in threads if (failure := ended.get()) is not None]
    finally:
        lanes.stop()
        with _uninterrupted():  # told to stop, they are a read away from their end
            for thread in threads:
                thread.join()
    if failures:
        raise failures[0]


def _start(threads: list[threading.Thread], lane: Callable[[], None], count: int) -> None:
    """Start as many threads as the system gives; one is enough."""
    for number in range(count):
        thread = threading.Thread(target=lane, name=f"trustkit-lane-{number}")
        try:
            thread.start()
        except RuntimeError:  # a limit on processes, as containers have it
            if not threads:
                raise UnavailableError(
                    "out-of-threads", "no thread could be started; raise the limit on processes and try again"
                ) from None
            return
        threads.append(thread)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let signals wait: a thread that was just starting when one came would be nobody's, and run on.

    No future and no pool either: their locks are left locked by an interruption that comes between
    taking one and the line after, and then everything waits for ever. A queue in C has no such line.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WAITING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
