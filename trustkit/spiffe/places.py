"""How many connections there may be, and which of them goes when one more comes.

The law of this file: whoever comes is let in as long as anybody waits for his
peer. Of those, the one that has waited longest loses its place: first who has
not ended its handshake, then who is between two requests, then whose body is
still on its way, and last who does not take its answer. A request that is whole
is answered, whatever comes, if its peer takes the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import IntEnum


class Line(IntEnum):
    """What a connection waits for, in the order in which places are taken back."""

    HANDSHAKE = 0
    REQUEST = 1
    BODY = 2
    ANSWER = 3


def _nothing() -> None:
    """Give up nothing: there is no connection yet."""


class Place:
    """One connection's place. It is on a line while its peer has to move, on none while we have to.

    Attributes:
        give_up: Ends the connection at once.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self.give_up: Callable[[], object] = _nothing

    def waits(self, line: Line) -> None:
        """Go to the end of a line: the peer has just moved, and has to move again."""
        self._places.line_up(self, line)

    def works(self) -> None:
        """Leave the lines: what comes next is ours to do."""
        self._places.line_up(self, None)

    def leave(self) -> None:
        """Give the place back; a second time does nothing."""
        self._places.free(self)


class Places:
    """The places of one port; used by one event loop.

    Args:
        most: How many there are.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: set[Place] = set()
        self._lines: dict[Line, dict[Place, None]] = {line: {} for line in Line}
        self._changed = asyncio.Event()

    async def take(self) -> Place:
        """Return a place: a free one, else the one that has waited longest; where none waits, the next."""
        while len(self._taken) >= self._most and not self.evict():
            self._changed.clear()
            await self._changed.wait()
        place = Place(self)
        self._taken.add(place)
        place.waits(Line.HANDSHAKE)
        return place

    def evict(self, *lines: Line) -> bool:
        """End the connection that has waited longest, of these lines or of any; say whether there was one."""
        for line in lines or Line:
            for place in self._lines[line]:
                place.leave()
                place.give_up()
                return True
        return False

    def line_up(self, place: Place, line: Line | None) -> None:
        """Put a place that is still taken at the end of a line, or on none."""
        for other in self._lines.values():
            other.pop(place, None)
        if line is not None and place in self._taken:
            self._lines[line][place] = None
            self._changed.set()

    def free(self, place: Place) -> None:
        """Take a place back."""
        self.line_up(place, None)
        self._taken.discard(place)
        self._changed.set()
