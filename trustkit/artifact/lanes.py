"""A few threads over one list of work: the only place that starts them for bytes.

The law of this file: the first failure, or Ctrl-C, ends all work soon; nothing
runs on behind an exception; each thread has a state of its own (its buffers),
made once and reused for everything that the thread does.

Python runs signal handlers in the main thread alone, between any two lines, even
of `threading`: an exception of theirs can leave its locks locked for ever, or a
thread that nobody knows of. So the main thread starts one thread with a single
call of C, waits with another, and leaves all the rest to threads.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from _thread import start_new_thread
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

from trustkit.errors import UnavailableError

T = TypeVar("T")
S = TypeVar("S")

_FOR_THE_MAIN_THREAD = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM}
"""What programs of ours, and Python itself, turn into an exception: no other thread may take them from it."""
_MOMENT_SECONDS = 0.1
"""How late an interruption may be heard."""


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

    def lane(ended: SimpleQueue[BaseException | None]) -> None:
        try:
            own = state()
            for number in lanes:
                work(items[number], own, lanes)
        except BaseException as failure:  # noqa: BLE001 - raised again by the thread that waits
            lanes.stop()
            ended.put(failure)
        else:
            ended.put(None)

    def crew() -> BaseException | None:
        return _crew(lane, max(1, min(workers, len(items))))

    failure = _apart(crew, lanes) if threading.current_thread() is threading.main_thread() else crew()
    if failure is not None:
        raise failure


def _crew(lane: Callable[[SimpleQueue[BaseException | None]], None], count: int) -> BaseException | None:
    """Start as many threads as the system gives, one is enough; return the first failure when all ended."""
    ended: SimpleQueue[BaseException | None] = SimpleQueue()
    threads: list[threading.Thread] = []
    for number in range(count):
        thread = threading.Thread(target=lane, args=(ended,), name=f"trustkit-lane-{number}")
        try:
            thread.start()
        except RuntimeError:  # a limit on processes, as containers have it
            break
        threads.append(thread)
    if not threads:
        return _out_of_threads()
    failures = [failure for _ in threads if (failure := ended.get()) is not None]
    for thread in threads:
        thread.join()
    return failures[0] if failures else None


def _apart(crew: Callable[[], BaseException | None], lanes: Lanes) -> BaseException | None:
    """Let another thread do it; an exception of a signal handler comes out when that has ended.

    Each `extend` is one call of C: no handler runs between a thread's start and its being noted, nor
    between taking the result out of the queue and its being kept. A second exception, while the threads
    are waited for, comes out at once: a dead disk may hold them for ever.
    """
    result: SimpleQueue[BaseException | None] = SimpleQueue()

    def apart() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_THE_MAIN_THREAD)  # those that it starts inherit it
        try:
            result.put(crew())
        except BaseException as failure:  # noqa: BLE001 - returned
            result.put(failure)

    boss = threading.Thread(target=apart, name="trustkit-crew", daemon=True)
    started: list[int] = []
    results: list[BaseException | None] = []
    try:
        started.extend(map(start_new_thread, (_start,), ((boss, result),)))
        while not results:  # a signal that comes just before a wait does not end it
            with contextlib.suppress(Empty):
                results.extend(map(result.get, (True,), (_MOMENT_SECONDS,)))
    except RuntimeError:
        return _out_of_threads()
    finally:
        lanes.stop()
        while len(results) < len(started):  # who interrupts even this means it: the threads are left behind
            results.extend(map(result.get, (True,)))
    return results[0]


def _start(boss: threading.Thread, result: SimpleQueue[BaseException | None]) -> None:
    try:
        boss.start()
    except RuntimeError:
        result.put(_out_of_threads())
    except BaseException as failure:  # noqa: BLE001 - returned
        result.put(failure)


def _out_of_threads() -> UnavailableError:
    return UnavailableError(
        "out-of-threads", "no thread could be started; raise the limit on processes and try again"
    )
