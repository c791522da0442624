"""What one peer may have of the broker at once: places, and bytes of requests that are held.

The law of this file: a place counts from the first byte of a body until its
thread has ended, for bodies that wait are what fills the memory. No peer holds
more than half of the bytes, so while one of them holds its half there is room
for the largest request of another. Who would go beyond is told to come again.
One event loop's thread counts; there are no locks.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from trustkit.errors import UnavailableError
from trustkit.programs.budget import Budget, Lease
from trustkit.spiffe.names import SpiffeID

SHARE = 2
"""Into how many parts the bytes are split, of which a peer may hold one."""


@dataclass(slots=True)
class _Share:
    """What one peer has now, and the bytes that it may still hold."""

    places: int
    budget: Budget


class Shares:
    """The places of one group of peers.

    Args:
        places: How many there are.
        per_peer: How many of them one peer may take.
        budget_bytes: Bytes of requests that all of them may hold.
    """

    def __init__(self, places: int, per_peer: int, budget_bytes: int) -> None:
        self._places = places
        self._per_peer = per_peer
        self._budget = Budget(budget_bytes)
        self._share_bytes = budget_bytes // SHARE
        self._taken = 0
        self._shares: dict[SpiffeID, _Share] = {}

    def place_of(self, peer: SpiffeID) -> Place:
        """Return a place for a request of this peer.

        Raises:
            UnavailableError: ``busy``.
        """
        if self._taken >= self._places:
            raise UnavailableError("busy", "the broker is busy; try again")
        share = self._shares.setdefault(peer, _Share(0, Budget(self._share_bytes)))
        if share.places >= self._per_peer:
            raise UnavailableError("busy", f"{peer} asks for too much at once; try again")
        self._taken += 1
        share.places += 1
        return Place(self, peer, Lease(self._budget, share.budget))

    def leave(self, peer: SpiffeID) -> None:
        """Take a place of this peer back."""
        self._taken -= 1
        share = self._shares[peer]
        share.places -= 1
        if not share.places:
            del self._shares[peer]


class Place:
    """A place among the requests in flight: left when one is answered and its thread has ended.

    Attributes:
        peer: Whose it is.
        lease: The bytes it holds.
    """

    def __init__(self, shares: Shares, peer: SpiffeID, lease: Lease) -> None:
        self.peer = peer
        self.lease = lease
        self._shares = shares
        self._work: asyncio.Future[Any] | None = None

    def until(self, work: asyncio.Future[Any]) -> None:
        """Keep the place until this work ends."""
        self._work = work

    def leave(self) -> None:
        """Leave the place, now or when the work ends."""
        if self._work is None or self._work.done():
            self._free()
        else:
            self._work.add_done_callback(self._ended)

    def _ended(self, work: asyncio.Future[Any]) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            work.exception()  # nobody waits for it any more, and asyncio must not report it
        self._free()

    def _free(self) -> None:
        self.lease.give_back()
        self._shares.leave(self.peer)
