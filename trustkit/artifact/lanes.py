"""A few threads over one list of work: the only place that starts them for bytes.

The law of this file: the first failure, or Ctrl-C, ends all work soon; nothing
runs on behind an exception; each thread has a state of its own (its buffers),
made once and reused for everything that the thread does.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

from trustkit.errors import UnavailableError

T = TypeVar("T")
S = TypeVar("S")


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
        with self._lock:
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
    count = max(1, min(workers, len(items)))

    def lane() -> None:
        own = state()
        for number in lanes:
            work(items[number], own, lanes)

    with ThreadPoolExecutor(count, thread_name_prefix="trustkit-lane") as pool:
        try:
            with _uninterrupted():
                futures = _started(pool, lane, count)
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            lanes.stop()
        for future in sorted(done, key=futures.index):
            future.result()


def _started(pool: ThreadPoolExecutor, lane: Callable[[], None], count: int) -> list[Future[None]]:
    """Start as many threads as the system gives; one is enough."""
    futures: list[Future[None]] = []
    for _ in range(count):
        try:
            futures.append(pool.submit(lane))
        except RuntimeError:  # a limit on processes, as containers have it
            if not futures:
                raise UnavailableError(
                    "out-of-threads", "no thread could be started; raise the limit on processes and try again"
                ) from None
            break
    return futures


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait: a thread that was just starting when it came would be nobody's, and run on."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
