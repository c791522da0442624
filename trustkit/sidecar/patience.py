"""Asking again: only for what was unavailable, with growing jittered pauses, within a budget.

The law of this file: what was refused is never asked for twice, and what is not
there is not waited for. The pauses are ours; nothing that a peer sends makes
them longer (facts: threats, G10 and G11).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from trustkit.errors import UnavailableError

T = TypeVar("T")

FIRST_SECONDS = 0.2
MOST_SECONDS = 5.0
ABSENT = "not-found"
"""The code of what a source does not have: an answer, not the lack of one."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long something unavailable is asked for.

    Attributes:
        budget_seconds: From the first attempt on; no pause is begun that would end later.
        monotonic: A monotonic clock.
        sleep: Waits (seconds), in any thread, or raises because the run was stopped.
        chance: A random number from 0 up to 1, so that a thousand pods do not ask in step.
    """

    budget_seconds: float
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    chance: Callable[[], float]

    def insist(self, attempt: Callable[[], T]) -> T:
        """Return what an attempt returns, the first or a later one.

        Raises:
            TrustkitError: The attempt's own: any but `UnavailableError` at once, that one when time is up.
        """
        give_up_at = self.monotonic() + self.budget_seconds
        pause = FIRST_SECONDS
        while True:
            try:
                return attempt()
            except UnavailableError as error:
                wait = pause * (0.5 + self.chance() / 2)
                if error.code == ABSENT or self.monotonic() + wait >= give_up_at:
                    raise
            self.sleep(wait)
            pause = min(2 * pause, MOST_SECONDS)
