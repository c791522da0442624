"""What one request is answered, where two may answer it: the worker, or who waits for him no longer.

The law of this file: exactly one of them answers, both sides agree which, and it
is what the record says. The worker's answer is the answer only once it is
recorded; until then lateness may take its place, and is recorded instead, or
after it: of two entries for one request the last one holds.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
"""What is said for lateness."""


@dataclass(slots=True)
class Answer(Generic[T]):
    """The answer to one request; used by two threads."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _late: T | None = None
    _given: bool = False

    @property
    def late(self) -> T | None:
        """What took the place of the worker's answer, if anything has."""
        with self._lock:
            return self._late

    def overrule(self, late: T) -> bool:
        """Take the place of the worker's answer; False where that is recorded, and so is the answer."""
        with self._lock:
            if not self._given:
                self._late = late
            return not self._given

    def give(self) -> T | None:
        """Let the worker's answer be the answer, or return what has taken its place."""
        with self._lock:
            self._given = self._late is None
            return self._late
