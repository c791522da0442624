"""What has an order, done by whoever is there: nobody waits for a turn, who is early hands over what he has.

The law of this file: what was handed over is dealt with once, in order and by
one thread at a time, or dropped; either way the memory that it lies in is free
again. Who hands over what is due deals with all that is due by then. A thread
takes a number only while it holds a piece of each of its rings, and waits for
another piece only when it has handed over all that it had; so the lowest number
that is missing is never in the hands of somebody who waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

PIECES = 2
"""Pieces of a thread's ring."""


class Ring:
    """One thread's memory in several pieces: while one is filled, others lie with who deals with them.

    The thread holds one piece at any time.

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

    def go_on(self) -> None:
        """Hold a free piece, once there is one, after the one that was held was given to somebody to free.

        The same one where it is free already, since it is still in the core's cache.
        """
        if not self._taken[self._held].acquire(blocking=False):
            self._held = (self._held + 1) % len(self._pieces)
            self._taken[self._held].acquire()


def ring_of(length: int) -> Ring:
    """Return a thread's memory for one point: one piece is filled while others are dealt with, by anybody.

    Args:
        length: Of one piece (bytes).
    """
    return Ring([memoryview(bytearray(length)) for _ in range(PIECES)])


class InOrder(Generic[T]):
    """A point that numbers pass one after the other, from 0, with what was handed over for each.

    Args:
        deal: Deals with what was handed over for a number.
    """

    def __init__(self, deal: Callable[[int, T], None]) -> None:
        self._deal = deal
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[T, Callable[[], None]]] = {}
        self._next = 0
        self._over = False

    def is_due(self, number: int) -> bool:
        """Say whether a number is the next; then nobody deals before it is put here by whoever has it."""
        return self._next == number and not self._over

    def put(self, number: int, what: T, free: Callable[[], None]) -> bool:
        """Leave what there is for a number to whoever deals next.

        Args:
            number: Each once.
            what: What is dealt with.
            free: Called once, when nobody needs it any more, if it is taken.

        Returns:
            Whether it was taken; what was given up takes nothing.
        """
        with self._lock:
            if self._over:
                return False
            self._waiting[number] = (what, free)
            return True

    def deal(self) -> None:
        """Deal with all that is due and that nobody deals with.

        Raises:
            BaseException: What dealing with any number raised; whoever gets it gives up.
        """
        while (due := self._due()) is not None:
            try:
                self._deal(self._next, due[0])
            finally:
                due[1]()
            self._next += 1  # only now may the next one be dealt with, by whoever looks first

    def give_up(self) -> None:
        """Drop what was handed over and what will be."""
        with self._lock:
            self._over = True
            left, self._waiting = self._waiting, {}
        for _, free in left.values():
            free()

    def _due(self) -> tuple[T, Callable[[], None]] | None:
        with self._lock:
            return self._waiting.pop(self._next, None)


def hand_over(number: int, *handed: tuple[InOrder[T], T, Ring]) -> bool:
    """Hand over what a thread has for a number, deal with all that is due, and go on with free pieces.

    Args:
        number: Each once.
        handed: Where, what, and the ring in whose held piece it lies. All of it is left to others before
            any is dealt with: who has long to deal at one point holds nobody up at another.

    Returns:
        Whether all was taken; if not, it was given up.

    Raises:
        BaseException: As `InOrder.deal`.
    """
    taken: list[tuple[InOrder[T], Ring]] = []
    for point, what, ring in handed:
        if not point.put(number, what, ring.free()):
            break
        taken.append((point, ring))
    for point, _ in taken:
        point.deal()
    for _, ring in taken:
        ring.go_on()
    return len(taken) == len(handed)
