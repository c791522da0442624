"""What has an order, done by whoever is there: nobody waits for a turn, who is early hands over what he has.

The law of this file: what was handed in is dealt with once, in order and by one
thread at a time, or dropped; either way the memory that it lies in is free
again. Who hands in what is due deals with all that is due by then. A thread
takes a number only while it holds memory of its own for it, so the lowest one
that is missing is never in the hands of somebody who waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Ring:
    """One thread's memory in several pieces: while one is filled, others lie with who deals with them.

    The thread holds one piece from the start, and another one after each `Ring.pass_on`.

    Args:
        pieces: At least one, of one size.
    """

    def __init__(self, pieces: Sequence[memoryview]) -> None:
        self._pieces = pieces
        self._taken = [threading.Lock() for _ in pieces]
        self._held = 0
        self._taken[0].acquire()

    @property
    def piece(self) -> memoryview:
        """The piece that the thread holds."""
        return self._pieces[self._held]

    def free(self) -> Callable[[], None]:
        """Return what frees the piece that is held now; called once, by any thread."""
        return self._taken[self._held].release

    def pass_on(self) -> None:
        """Go on to the next piece, once it is free."""
        self._held = (self._held + 1) % len(self._pieces)
        self._taken[self._held].acquire()


class InOrder(Generic[T]):
    """A point that numbers pass one after the other, from 0, with what was handed in for each.

    Args:
        deal: Deals with what was handed in for a number.
    """

    def __init__(self, deal: Callable[[int, T], None]) -> None:
        self._deal = deal
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[T, Callable[[], None]]] = {}
        self._next = 0
        self._over = False

    def is_due(self, number: int) -> bool:
        """Say whether a number is the next; then nobody deals before it is handed in by whoever has it."""
        return self._next == number and not self._over

    def hand_in(self, number: int, what: T, free: Callable[[], None]) -> bool:
        """Hand in what there is for a number, and deal with all that is due.

        Args:
            number: Each once.
            what: What is dealt with.
            free: Called once, when nobody needs it any more, if it is taken.

        Returns:
            Whether it was taken; what was given up takes nothing.

        Raises:
            BaseException: What dealing with any number raised; whoever gets it gives up.
        """
        with self._lock:
            if self._over:
                return False
            self._waiting[number] = (what, free)
        while (due := self._due()) is not None:
            try:
                self._deal(self._next, due[0])
            finally:
                due[1]()
            self._next += 1  # only now may the next one be dealt with, by whoever looks first
        return True

    def give_up(self) -> None:
        """Drop what was handed in and what will be."""
        with self._lock:
            self._over = True
            left, self._waiting = self._waiting, {}
        for _, free in left.values():
            free()

    def _due(self) -> tuple[T, Callable[[], None]] | None:
        with self._lock:
            return self._waiting.pop(self._next, None)
