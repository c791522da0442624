"""The clocks of the webhook, and the deadline that its requests are under."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trustkit.programs.deadline import Deadline


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks of the face, handed down from its composition root.

    Attributes:
        monotonic: For deadlines and the age of evidence.
        now: Seconds since the epoch, for SVIDs and records.
    """

    monotonic: Callable[[], float]
    now: Callable[[], float]


def deadline_in(seconds: float, clock: Callable[[], float]) -> Deadline:
    """Return the deadline of a request that may take this long from now; *clock* is a monotonic one."""
    return Deadline(clock() + seconds, clock, "the evidence could not be gathered in time")
