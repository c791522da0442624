"""How fast a peer takes its answers: bytes counted where they leave the application.

The law of this file: a peer may be slow, but not slower, on the average, than a
least rate. Only the time counts in which we wait for the peer, never the time
our own disk takes; what lies in the buffers of the system counts as taken, so
only an answer that is larger than those is ever measured.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import cast

_BYTES_ACKED = 120
"""Where ``tcpi_bytes_acked`` lies in Linux's ``struct tcp_info`` (linux/tcp.h)."""


def taken_by_peer(transport: asyncio.BaseTransport) -> int:
    """Return how much the peer has taken since the connection began (bytes, TLS's own among them).

    The kernel knows it; buffers of a transport, or of the TLS above it, say nothing while one large
    write drains. Where it does not know, nothing was taken.
    """
    size = _BYTES_ACKED + 8
    info = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size)
    return cast("int", struct.unpack_from("=Q", info.ljust(size, b"\0"), _BYTES_ACKED)[0])


class Pace:
    """The time that a peer still has to take what it was given; pure arithmetic.

    Each byte that is written buys the peer its time at the least rate; waiting spends it. What is
    not spent is kept, but never more than the lag, so nobody saves up for a rest of hours.

    Args:
        bytes_per_second: The least rate.
        lag_seconds: How far a peer may fall behind it.
    """

    def __init__(self, bytes_per_second: float, lag_seconds: float) -> None:
        self._rate = bytes_per_second
        self._lag = self._kept = lag_seconds
        self._written = 0
        self._late_at: float | None = None

    def wrote(self, size: int) -> None:
        """So many bytes more were given to the transport."""
        self._written += size

    def wait(self, now: float) -> float:
        """The transport takes no more: return how long the peer may keep us waiting (seconds)."""
        allowed = max(self._kept, 0.0) + self._written / self._rate
        self._written = 0
        self._late_at = now + allowed
        return allowed

    def go_on(self, now: float) -> None:
        """The peer has taken what it was owed, or enough of it."""
        if self._late_at is not None:
            self._kept = min(self._lag, self._late_at - now)
            self._late_at = None


class _Watched:
    """A transport whose writes are counted and whose end is told; everything else is the transport's own."""

    def __init__(self, transport: asyncio.Transport, pace: Pace, closing: Callable[[], None]) -> None:
        self._transport = transport
        self._pace = pace
        self._closing = closing
        self.abort, self.is_closing = transport.abort, transport.is_closing
        self.pause_reading, self.resume_reading = transport.pause_reading, transport.resume_reading
        self.get_extra_info = transport.get_extra_info

    def write(self, data: bytes) -> None:
        self._pace.wrote(len(data))
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()
        self._closing()


def watched(transport: asyncio.Transport, pace: Pace, closing: Callable[[], None]) -> asyncio.Transport:
    """Return a transport, as far as an HTTP engine uses one, that tells what is done with it.

    Args:
        transport: The connection's own.
        pace: Told of every byte that is written.
        closing: Called when it is closed, which waits for the peer; an abort does not.
    """
    return cast("asyncio.Transport", _Watched(transport, pace, closing))
