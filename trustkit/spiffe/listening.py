"""Where a server listens, and how much it lets its peers take.

The law of this file: an address is written in one way, every bound is a number
with its unit in its name, and a port that cannot be had is an error with a
code, not a traceback.
"""

from __future__ import annotations

import errno
import os
import re
import socket
from dataclasses import dataclass

from trustkit.errors import UnavailableError, UsageError

_LISTEN = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9.-]{1,253})):([0-9]{1,5})")
_BACKLOG = 512
_ADVICE = {
    errno.EADDRINUSE: "; another process listens there: end it, or choose another port",
    errno.EADDRNOTAVAIL: "; this machine has no such address",
    errno.EACCES: "; ports below 1024 are for those with the right to them: choose a higher one",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer, and all of them together, may take.

    Attributes:
        connections: Most connections, handshakes included; one more takes the place of who waits longest.
        handshake_seconds: Longest handshake.
        arrival_seconds: Longest that a request's head, and then its body, may take to arrive.
        idle_seconds: How long a connection without a request is kept.
        stall_seconds: How long a peer may take nothing at all of an answer that waits for it; and how long it
            has, however much it takes, for what is left of the last answer and for its goodbye.
        answer_bytes_per_second: Slowest that an answer may be taken, once it is more than buffers hold.
        answer_lag_seconds: How far behind that rate a peer may fall.
        patience_seconds: How long an answer waits for its peer before its place may go to a newcomer.
        leave_seconds: The same where it is we who end the connection.
        head_bytes: Longest head of a request (bytes).
        headers: Most headers.
        grace_seconds: How long requests in flight may go on after the signal to stop.
    """

    connections: int = 512
    handshake_seconds: float = 10.0
    arrival_seconds: float = 30.0
    idle_seconds: float = 75.0
    stall_seconds: float = 60.0
    answer_bytes_per_second: int = 1 << 16
    answer_lag_seconds: float = 30.0
    patience_seconds: float = 2.0
    leave_seconds: float = 1.0
    head_bytes: int = 1 << 16
    headers: int = 100
    grace_seconds: float = 10.0


DEFAULT_LIMITS = Limits()


def split_listen(text: str) -> tuple[str, int]:
    """Split ``HOST:PORT``; an IPv6 address stands in brackets.

    Raises:
        UsageError: ``bad-config``.
    """
    found = _LISTEN.fullmatch(text)
    if found is None or int(found[3]) > 65535:
        raise UsageError(
            "bad-config", "listen must be HOST:PORT, with an IPv6 address in brackets", field="listen"
        )
    return found[1] or found[2], int(found[3])


def bound(listen: str) -> socket.socket:
    """Open the socket to listen on, not blocking.

    Raises:
        UsageError: ``bad-config``.
        UnavailableError: ``cannot-listen``.
    """
    host, port = split_listen(listen)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as error:
        raise cannot_listen(listen, error) from None
    listener.settimeout(0)
    return listener


def cannot_listen(listen: str, error: OSError | UnicodeError) -> UnavailableError:
    """Build the error of an address that cannot be had; the library says it twice, and gives no advice.

    Args:
        listen: Where to.
        error: What the system said.
    """
    number = getattr(error, "errno", None)
    if number is None or number < 0 or isinstance(error, socket.gaierror):
        why = getattr(error, "strerror", None) or "the host is no name or address"
    else:
        why = os.strerror(number)
    advice = _ADVICE.get(number or 0, "")
    return UnavailableError("cannot-listen", f"cannot listen on {listen}: {why}{advice}")


def address_of(listener: socket.socket) -> str:
    """Return where a socket listens, as ``HOST:PORT``: its own port, since the wanted one may have been 0."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
