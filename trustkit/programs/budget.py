"""Bytes of requests that are held at once, counted over all requests of one face.

The law of this file: a byte counts from its arrival until nobody needs it any
more, the thread that judges it included; and who would go beyond the budget, or
beyond a part of it that is its own, is told to come again, before anything of it
is kept. One event loop's thread counts; there are no locks.
"""

from __future__ import annotations

from dataclasses import dataclass

from trustkit.errors import UnavailableError


@dataclass(slots=True)
class Budget:
    """Bytes that may still be held."""

    left: int


class Lease:
    """The part of a budget that one request holds.

    Args:
        budgets: All of which must have room: that of everybody, and maybe that of who asks.
    """

    def __init__(self, *budgets: Budget) -> None:
        self._budgets = budgets
        self._size = 0

    def take(self, size: int) -> None:
        """Hold so many bytes more.

        Raises:
            UnavailableError: ``overloaded``.
        """
        if any(size > budget.left for budget in self._budgets):
            raise UnavailableError("overloaded", "too much is asked for at once; try again")
        self._add(size)

    def give_back(self) -> None:
        """Let all of them go; a second time does nothing."""
        self._add(-self._size)

    def pass_on(self) -> Lease:
        """Return a lease of what this one holds; this one holds nothing then."""
        other = Lease(*self._budgets)
        other._size, self._size = self._size, 0
        return other

    def _add(self, size: int) -> None:
        self._size += size
        for budget in self._budgets:
            budget.left -= size
