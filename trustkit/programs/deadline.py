"""One deadline for one request: asked before every step that costs something, handed down as what is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trustkit.errors import UnavailableError


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in monotonic time.

    Attributes:
        at: When it passes (seconds on the clock's scale).
        clock: A monotonic clock.
        message: What those are told for whom it has passed.
    """

    at: float
    clock: Callable[[], float]
    message: str = "the request could not be answered in time; try again"

    @property
    def left(self) -> float:
        """Seconds that are left; never negative."""
        return max(0.0, self.at - self.clock())

    def check(self) -> None:
        """Go on only if there is time left.

        Raises:
            UnavailableError: ``deadline``.
        """
        if self.left <= 0:
            raise self.late()

    def late(self) -> UnavailableError:
        """Return the error of a deadline that has passed."""
        return UnavailableError("deadline", self.message)
