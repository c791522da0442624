"""Work that is found while other work is done, and is done after it: each piece once, and not without end.

The law of this file: what was ever added under a key is not added again, so whatever
leads back to itself ends.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """A queue that remembers what it held.

    Args:
        most: How many pieces it ever takes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[Hashable] = set()
        self._waiting: list[T] = []

    def add(self, key: Hashable, piece: T) -> bool:
        """Add a piece, unless its key was there before; say whether there was room for it."""
        if key in self._known:
            return True
        if len(self._known) >= self._most:
            return False
        self._known.add(key)
        self._waiting.append(piece)
        return True

    def __iter__(self) -> Iterator[T]:
        """Take out what waits, oldest first, and what is added meanwhile."""
        while self._waiting:
            yield self._waiting.pop(0)
