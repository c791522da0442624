"""What one review is answered, where two may answer it: the judge, or who waits for him no longer.

The law of this file: exactly one verdict is the answer, both sides agree which,
and it is what the record says. The judge's verdict becomes the answer only once
it is recorded; until then a denial for lateness may take its place, and is
recorded instead, or after it: of two entries for one review the last one holds.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
"""A verdict."""


@dataclass(slots=True)
class Answer(Generic[T]):
    """The answer to one review; used by two threads."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _late: T | None = None
    _given: bool = False

    @property
    def late(self) -> T | None:
        """The denial that took the judge's place, if one has."""
        with self._lock:
            return self._late

    def overrule(self, late: T) -> bool:
        """Take the judge's place; False where his verdict is recorded, and so is the answer."""
        with self._lock:
            if not self._given:
                self._late = late
            return not self._given

    def give(self) -> T | None:
        """Let the judge's verdict be the answer, or return the denial that has taken its place."""
        with self._lock:
            self._given = self._late is None
            return self._late
