"""Several threads at one file: what may be done in any order is, what has an order keeps it.

The law of this file: batches of a file are handed out in order, so that the
lowest one that is not done is in the hands of somebody who waits for nobody.
Who gives a batch up ends all waiting for it. A file is begun by the first
thread that comes and let go by the last one that leaves. Locks are taken by
lanes only, where no signal interrupts between taking one and the line after.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from trustkit.artifact.lanes import Lanes, run_lanes

T = TypeVar("T")
S = TypeVar("S")


class Point(Protocol):
    """Somewhere that batches pass in order."""

    def give_up(self) -> None:
        """Let nobody pass any more, and everybody who waits go."""


class Shared(ABC, Generic[S]):
    """One file that several threads may work on.

    Args:
        batches: How many pieces it is worked on in.
        points: What the pieces pass in order.
    """

    def __init__(self, batches: int, *points: Point) -> None:
        self.batches = batches
        self.points = points
        self._lock = threading.Lock()
        self._taken = self._inside = 0
        self._begun = self._ended = False

    @property
    def left(self) -> int:
        """How many batches nobody has taken yet."""
        return 0 if self._ended else self.batches - self._taken

    def run(self, own: S, lanes: Lanes) -> None:
        """Work on batches until none is left; any number of threads may be in here.

        Args:
            own: The thread's buffers.
            lanes: Asked now and then whether work in progress should end.
        """
        if not self._enter():
            return
        try:
            while not lanes.stopped and (number := self._take()) is not None:
                if not self.work(number, own, lanes):
                    self._give_up()
        except BaseException:
            self._give_up()
            raise
        finally:
            self._leave()

    @abstractmethod
    def begin(self) -> None:
        """Open what is needed; called once, by the first thread."""

    @abstractmethod
    def work(self, number: int, own: S, lanes: Lanes) -> bool:
        """Do one batch, passing every one of `points`; False where it was given up."""

    @abstractmethod
    def end(self) -> None:
        """Close what was opened, whatever happened; called once, by the last thread."""

    def _enter(self) -> bool:
        with self._lock:
            if self._ended:
                return False
            if not self._begun:
                try:
                    self.begin()
                except BaseException:
                    self._ended = True
                    self.end()
                    raise
                self._begun = True
            self._inside += 1
            return True

    def _take(self) -> int | None:
        with self._lock:
            if self._ended or self._taken == self.batches:
                return None
            self._taken += 1
            return self._taken - 1

    def _give_up(self) -> None:
        for point in self.points:
            point.give_up()
        with self._lock:
            self._taken = self.batches

    def _leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._ended = True
                self.end()


def run_shared(
    items: Sequence[T],
    make: Callable[[T], Shared[S]],
    *,
    batches: Callable[[T], int],
    state: Callable[[], S],
    workers: int,
) -> None:
    """Work on every item; who finds none left helps with the one that has most left.

    Args:
        items: Files; start with the largest.
        make: Makes the work of one.
        batches: How many pieces one has; only what has several can be helped with.
        state: Makes one thread's buffers.
        workers: Most threads.

    Raises:
        BaseException: The first that any thread raised.
    """
    large = {number: make(item) for number, item in enumerate(items) if batches(item) > 1}

    def work(number: int, own: S, lanes: Lanes) -> None:
        if number < len(items):
            (large.get(number) or make(items[number])).run(own, lanes)
            return
        while not lanes.stopped and large:
            busiest = max(large.values(), key=lambda shared: shared.left)
            if not busiest.left:
                return
            busiest.run(own, lanes)

    helpers = range(len(items), len(items) + workers - 1)
    run_lanes([*range(len(items)), *helpers], work, state=state, workers=workers)
