"""Bytes of requests that are held at once, counted over all requests of one face.

The law of this file: a byte counts from its arrival until nobody needs it any
more, the thread that judges it included; and who would go beyond the budget is
told to come again, before anything of it is kept. One event loop's thread
counts; there are no locks.
"""

from __future__ import annotations

from dataclasses import dataclass

from trustkit.errors import UnavailableError


@dataclass(slots=True)
class Budget:
    """Bytes that may still be held."""

    left: int


class Lease:
    """The part of a budget that one request holds."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._size = 0

    def take(self, size: int) -> None:
        """Hold so many bytes more.

        Raises:
            UnavailableError: ``overloaded``.
        """
        if size > self._budget.left:
            raise UnavailableError("overloaded", "too much is asked for at once; try again")
        self._budget.left -= size
        self._size += size

    def give_back(self) -> None:
        """Let all of them go; a second time does nothing."""
        self._budget.left += self._size
        self._size = 0

    def pass_on(self) -> Lease:
        """Return a lease of what this one holds; this one holds nothing then."""
        other = Lease(self._budget)
        other._size, self._size = self._size, 0
        return other
