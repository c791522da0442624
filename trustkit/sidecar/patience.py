"""Asking again: only for what was unavailable, with growing jittered pauses, within a budget.

The law of this file: what was refused is never asked for twice, and what is not
there is not waited for. The pauses are ours; nothing that a peer sends makes
them longer (facts: threats, G10 and G11). Whoever waits says so: at once, then
at growing distance however often it comes and goes, and when all have what they
waited for.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from trustkit.errors import UnavailableError

T = TypeVar("T")

FIRST_SECONDS = 0.2
MOST_SECONDS = 5.0
SAID_AGAIN_SECONDS = 5.0
"""When waiting is said for the second time; every later time, after as long as it has taken by then."""
ABSENT = "not-found"
"""The code of what a source does not have: an answer, not the lack of one."""


class Waiting:
    """Says that something is waited for, however many threads do. Safe to use from several threads.

    Args:
        monotonic: A monotonic clock.
        note: Told a line for people and the code of what it is about.
    """

    def __init__(self, monotonic: Callable[[], float], note: Callable[[str, str], None]) -> None:
        self._monotonic = monotonic
        self._note = note
        self._lock = threading.Lock()
        self._waiting = 0
        self._since = 0.0
        self._next = -math.inf
        self._said: str | None = None

    def begin(self) -> None:
        """Hear that somebody begins to wait."""
        with self._lock:
            if self._waiting == 0:
                self._since = self._monotonic()
            self._waiting += 1

    def failed(self, error: UnavailableError, left_seconds: float) -> None:
        """Hear of an attempt that failed, and of how long more will be made."""
        with self._lock:
            now = self._monotonic()
            if now < self._next:
                return
            self._next = now + max(SAID_AGAIN_SECONDS, now - self._since)
            self._said = error.code
            self._note(f"waiting: {error.message}; asked again, for {left_seconds:.0f} s at most", error.code)

    def end(self, *, answered: bool) -> None:
        """Hear that somebody waits no more, and whether there was an answer; the last one's is said."""
        with self._lock:
            self._waiting -= 1
            if self._waiting == 0 and self._said is not None:
                if answered:
                    self._note(f"going on after {self._monotonic() - self._since:.0f} s", self._said)
                self._said = None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long something unavailable is asked for.

    Attributes:
        budget_seconds: From the first attempt on; no pause is begun that would end later.
        monotonic: A monotonic clock.
        sleep: Waits (seconds), in any thread, or raises because the run was stopped.
        chance: A random number from 0 up to 1, so that a thousand pods do not ask in step.
        waiting: Says that we wait.
    """

    budget_seconds: float
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    chance: Callable[[], float]
    waiting: Waiting

    def insist(self, attempt: Callable[[], T]) -> T:
        """Return what an attempt returns, the first or a later one.

        Raises:
            TrustkitError: The attempt's own: any but `UnavailableError` at once, that one when time is up.
        """
        give_up_at = self.monotonic() + self.budget_seconds
        pause, waited, answered = FIRST_SECONDS, False, False
        try:
            while True:
                try:
                    found = attempt()
                except UnavailableError as error:
                    wait = pause * (0.5 + self.chance() / 2)
                    now = self.monotonic()
                    if error.code == ABSENT or now + wait >= give_up_at:
                        raise
                    if not waited:
                        self.waiting.begin()
                        waited = True
                    self.waiting.failed(error, give_up_at - now)
                else:
                    answered = True
                    return found
                self.sleep(wait)
                pause = min(2 * pause, MOST_SECONDS)
        finally:
            if waited:
                self.waiting.end(answered=answered)
