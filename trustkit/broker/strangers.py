"""What peers without a grant may write into the record: a line for each of them in a minute, and a count.

    {"event":"key-release","peer":"spiffe://…","decision":"denied","codes":["no-grant"],…,"left_out":41}

The law of this file: every refusal is recorded or counted, and no stranger
fills a disk or makes it sync for each of his requests. A line of a stranger
stands for one refusal and the ``left_out`` before it, since his line before, so
that the sum of them all is the number of refusals; lines of peers that have a
grant have no such member, and none of those is ever left out. A count is
written once its minute is over, when its peer has to make room for another, and
when the broker ends; a broker that is killed loses the counts of one minute,
never the first refusal of a peer. Where a line cannot be written, there is no
answer, and what was counted is kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from trustkit.spiffe.names import SpiffeID

INTERVAL_SECONDS = 60.0
"""How long the refusals of a peer without a grant are counted after one was recorded."""
MAX_STRANGERS = 1_024
"""Most peers without a grant whose refusals are counted; one more, and who was silent longest is written."""

Write = Callable[[SpiffeID, int], object]
"""Records a refusal of a peer, and how many others the line stands for; or raises."""


@dataclass(slots=True)
class _Seen:
    """When a peer's last line was written (seconds), and how many refusals were left out since."""

    at: float
    left_out: int = 0


class Strangers:
    """Counts the refusals of peers without a grant; safe to use from several threads.

    Args:
        write: Records.
        clock: The time (seconds); where it goes back, a minute is over.
    """

    def __init__(self, write: Write, clock: Callable[[], float]) -> None:
        self._write = write
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[SpiffeID, _Seen] = OrderedDict()

    def refuse(self, peer: SpiffeID) -> None:
        """Record a refusal, or count it; raises what writing raises, and then it was neither."""
        with self._lock:
            seen = self._seen.get(peer)
            if seen is not None and not self._is_over(seen):
                seen.left_out += 1
            else:
                if seen is None and len(self._seen) >= MAX_STRANGERS:
                    self._forget(next(iter(self._seen)))
                self._write(peer, 0 if seen is None else seen.left_out)
                self._seen[peer] = _Seen(self._clock())
            self._seen.move_to_end(peer)

    def catch_up(self, *, everything: bool) -> bool:
        """Write the counts whose minute is over, or all of them; say whether any peer is still counted."""
        with self._lock:
            for peer, seen in list(self._seen.items()):
                if everything or self._is_over(seen):
                    self._forget(peer)
            return bool(self._seen)

    def _is_over(self, seen: _Seen) -> bool:
        return not 0 <= self._clock() - seen.at < INTERVAL_SECONDS

    def _forget(self, peer: SpiffeID) -> None:
        """Write what was left out, if anything was: one of them is the line's own."""
        left_out = self._seen[peer].left_out
        if left_out:
            self._write(peer, left_out - 1)
        del self._seen[peer]
