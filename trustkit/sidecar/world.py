"""What a sidecar takes from outside itself: one value, made by the composition root, and by tests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from trustkit.errors import TrustkitError
from trustkit.sidecar.patience import Patience, Waiting


@dataclass(frozen=True, slots=True)
class World:
    """What a run takes from outside: clocks, chance, and a way not to be interrupted.

    Attributes:
        now: Seconds since the epoch.
        monotonic: A monotonic clock.
        sleep: Waits (seconds) in any thread, or raises because the run was stopped.
        chance: A random number from 0 up to 1.
        entropy: Random bytes.
        unbroken: A block that a signal interrupts only after its end.
        on_stop: Takes what a signal must let go of, so that threads which wait for it end.
        alarm: Told of what is wrong and ends nothing.
        note: Told what goes on, in a line for people, and the code of what it is about.
    """

    now: Callable[[], float]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    chance: Callable[[], float]
    entropy: Callable[[int], bytes]
    unbroken: Callable[[], AbstractContextManager[None]]
    on_stop: Callable[[Callable[[], None]], None]
    alarm: Callable[[TrustkitError], None]
    note: Callable[[str, str], None]

    def patience(self, budget_seconds: float) -> Patience:
        """Return how long something is asked for in this world."""
        waiting = Waiting(self.monotonic, self.note)
        return Patience(budget_seconds, self.monotonic, self.sleep, self.chance, waiting)
