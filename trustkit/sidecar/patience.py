"""Asking again: only for what was unavailable, with growing jittered pauses, within a budget.

The law of this file: what was refused is never asked for twice, and what is not
there is not waited for. The pauses are ours; nothing that a peer sends makes
them longer (facts: threats, G10 and G11). Whoever waits says so: at once, then
at growing distance, and when it is over.
"""

from __future__ import annotations

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
        self._since: float | None = None
        self._next = 0.0
        self._code = ""

    def failed(self, error: UnavailableError, left_seconds: float) -> None:
        """Hear of an attempt that failed, and of how long more will be made."""
        with self._lock:
            now = self._monotonic()
            if self._since is None:
                self._since, self._next = now, now + SAID_AGAIN_SECONDS
            elif now >= self._next:
                self._next = now + (now - self._since)
            else:
                return
            self._code = error.code
            self._note(f"waiting: {error.message}; asked again, for {left_seconds:.0f} s at most", error.code)

    def over(self) -> None:
        """Hear that an attempt after a failed one had its answer; of several, the first is said."""
        with self._lock:
            if self._since is not None:
                took, self._since = self._monotonic() - self._since, None
                self._note(f"going on after {took:.0f} s", self._code)


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
        pause, waited = FIRST_SECONDS, False
        while True:
            try:
                found = attempt()
            except UnavailableError as error:
                wait = pause * (0.5 + self.chance() / 2)
                now = self.monotonic()
                if error.code == ABSENT or now + wait >= give_up_at:
                    raise
                self.waiting.failed(error, give_up_at - now)
            else:
                if waited:
                    self.waiting.over()
                return found
            waited = True
            self.sleep(wait)
            pause = min(2 * pause, MOST_SECONDS)
