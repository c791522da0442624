"""How many connections there may be, and which of them goes when one more comes.

The law of this file: whoever comes is let in as long as anybody waits for his
peer. Of those, the one that has waited longest loses its place: first who has
not ended its handshake, then who is between two requests, then whose body is
still on its way, and last who does not take its answer. A request that is whole
is answered, whatever comes, if its peer takes the answer; but what was sent
before the answer to the last request was read may be left unanswered, so nobody
keeps a place by having one more request here at every moment. Where nobody
waits for his peer, the next that is answered goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import IntEnum

_SPARE = 8
"""Of each so many places, one is kept from those that send requests before they are answered."""


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

    def yields(self) -> bool:
        """Leave, if places are scarce, and say so: its peer was just answered, and had sent more before."""
        return self._places.yielded(self)

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
        self._freed = asyncio.Event()  # set, unless somebody waits and a place has to be found
        self._freed.set()

    @property
    def free_now(self) -> bool:
        """Whether there is a place for which nobody has to go."""
        return len(self._taken) < self._most

    async def take(self) -> Place:
        """Return a place: a free one, else the one that has waited longest; where none waits, the next."""
        while not self.free_now and not self.make_room():
            await self._freed.wait()
        self._freed.set()
        place = Place(self)
        self._taken.add(place)
        place.waits(Line.HANDSHAKE)
        return place

    def make_room(self) -> bool:
        """End the connection that has waited longest, and say so; where none waits, whoever does so next."""
        if self.evict():
            return True
        self._freed.clear()
        return False

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
            if not self._freed.is_set():
                self.evict()

    def yielded(self, place: Place) -> bool:
        """Take back the place of who could be answered on and on, if it is wanted or few are left."""
        scarce = len(self._taken) > self._most - self._most // _SPARE
        if scarce or not self._freed.is_set():
            self.free(place)
            return True
        return False

    def free(self, place: Place) -> None:
        """Take a place back."""
        self.line_up(place, None)
        self._taken.discard(place)
        self._freed.set()
