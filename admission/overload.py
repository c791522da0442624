"""How many reviews were turned away because we were busy: counted, and said once a minute.

The law of this file: nothing is written to a disk and nothing waits, because this is
what happens when there is too much to do already. The first of a minute is said at
once, the others of it when it is over. A process that is killed loses the count of one
minute. Of such a denial there is no entry in the record; every allowance has one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trustkit.errors import TrustkitError, UnavailableError

INTERVAL_SECONDS = 60.0
"""How long reviews that are turned away are counted after that was said."""


class TurnedAway:
    """Counts on the event loop's thread.

    Args:
        alarm: Told how many there were.
    """

    def __init__(self, alarm: Callable[[TrustkitError], None]) -> None:
        self._alarm = alarm
        self._counted = 0
        self._minute: asyncio.TimerHandle | None = None

    def count(self) -> None:
        """Count one; called from the event loop."""
        self._counted += 1
        if self._minute is None:
            self._say()

    def _say(self) -> None:
        """Say what was counted and begin a new minute; where nothing was, wait for the next one."""
        self._minute = None
        if self._counted:
            count, self._counted = self._counted, 0
            self._minute = asyncio.get_running_loop().call_later(INTERVAL_SECONDS, self._say)
            self._alarm(
                UnavailableError(
                    "overloaded",
                    f"too many reviews at once: {count} were denied unjudged, and are not in the record; "
                    "give the webhook more replicas",
                    count=count,
                )
            )
