"""One HTTP/1.1 connection over a TLS socket, every wait of it under one deadline.

The law of this file: a peer that drips a byte a second does not outlast the
deadline, because every receive is measured against it, not only against a
timeout of its own. Heads are read by the standard library within its caps;
bodies go from the socket into the caller's buffer. What a peer sends beyond an
answer is noticed, and such a connection is never used again.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import re
import select
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import TYPE_CHECKING, cast

from trustkit.errors import DeniedError, UnavailableError
from trustkit.spiffe.mtls import reason
from trustkit.storage.answers import bad_answer

if TYPE_CHECKING:
    import socket

MAX_DRAINED = 1 << 16
"""Longest body of an answer we have no use for that is read to keep the connection (bytes)."""

_REFUSED_US = re.compile(
    "ALERT_(BAD_CERTIFICATE|CERTIFICATE|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)"
)
_BUFFER = 1 << 16
_SLACK = 0.9


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of an answer, untrusted; the body is still on the wire."""

    status: int
    headers: Message
    closes: bool


class Wire:
    """A connection that carries one exchange after the other; used by one thread at a time.

    Every method raises `OSError` (`TimeoutError` at the deadline) or `http.client.HTTPException`
    as they come; after either the connection is good for nothing but `close`.

    Args:
        tls: A connected socket whose peer has been checked.
        host: What the ``Host`` header says.
        monotonic: A monotonic clock (seconds).

    Attributes:
        leaf: The peer's certificate (DER), to be looked at again when the connection is used again.
        used: Whether it has carried an exchange.
    """

    def __init__(self, tls: ssl.SSLSocket, host: str, *, monotonic: Callable[[], float]) -> None:
        self.leaf = tls.getpeercert(binary_form=True) or b""
        self.used = False
        self._tls = tls
        self._host = host
        self._timed = _Timed(tls, monotonic)
        self._reader = _Reader(self._timed, _BUFFER)

    @property
    def answered(self) -> bool:
        """Whether any byte came since the last request was sent."""
        return self._timed.received > 0

    def ask(self, method: str, path: str, headers: Mapping[str, str], *, deadline: float) -> Head:
        """Send one request without a body and read the head of its answer.

        Args:
            method: ``GET`` or ``HEAD``.
            path: Percent-encoded.
            headers: Beside ``Host``.
            deadline: On the monotonic clock; holds for the body too.
        """
        self._timed.begin(deadline)
        connection = http.client.HTTPConnection(self._host)
        connection.sock = cast("socket.socket", _Socket(self._timed, self._reader))
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", self._host)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        if self._timed.ended:  # the library takes a head that was cut off for a complete one
            raise http.client.RemoteDisconnected("the connection was closed within the head")
        return Head(answer.status, answer.headers, answer.will_close)

    def fill(self, into: memoryview) -> None:
        """Read the next bytes of the body, exactly as many as fit."""
        if self._reader.readinto(into) != len(into):
            raise http.client.RemoteDisconnected("the connection was closed within the body")

    def surplus(self) -> bool:
        """Say whether bytes came that belong to no answer; waits for none."""
        return self._timed.dry_peek(self._reader) or self._tls.pending() > 0

    def idle(self) -> bool:
        """Say whether nothing came since the last answer: no end of the connection, no answer to nobody."""
        poll = select.poll()
        poll.register(self._tls, select.POLLIN)
        return not poll.poll(0) and not self.surplus()

    def close(self) -> None:
        """Close the socket at once; there is nobody to say goodbye to."""
        self._tls.close()


class _Timed(io.RawIOBase):
    """The socket's two directions under one deadline."""

    def __init__(self, tls: ssl.SSLSocket, monotonic: Callable[[], float]) -> None:
        self._tls = tls
        self._monotonic = monotonic
        self._deadline = self._timeout = 0.0
        self._dry = False
        self.received = 0
        self.ended = False

    def begin(self, deadline: float) -> None:
        """Start an exchange that must be over at *deadline*."""
        self._deadline = deadline
        self._timeout = 0.0
        self.received = 0

    def readable(self) -> bool:
        """Tell the buffer above that it may read."""
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override] # all that a reader gives
        """Receive what is there, once."""
        if self._dry:
            return None
        self._renew()
        count = self._tls.recv_into(buffer)
        self.received += count
        self.ended = self.ended or count == 0
        return count

    def send(self, chunk: bytes) -> None:
        """Send all of a request; where the peer has closed, what it said before that is the reason."""
        self._renew()
        try:
            self._tls.sendall(chunk)
        except OSError as error:
            if not isinstance(error, TimeoutError):
                self._tls.recv(1)
            raise

    def dry_peek(self, reader: io.BufferedReader) -> bool:
        """Look into the buffer above without receiving anything."""
        self._dry = True
        try:
            return bool(reader.peek(1))
        finally:
            self._dry = False

    def _renew(self) -> None:
        """Keep the socket's own timeout near what is left; setting it is a system call, so not every time."""
        left = self._deadline - self._monotonic()
        if left <= 0:
            raise TimeoutError
        if not _SLACK * self._timeout < left <= self._timeout:
            self._timeout = left
            self._tls.settimeout(left)


class _Reader(io.BufferedReader):
    """A buffer that outlives the answers read through it: `http.client` closes it after each."""

    def close(self) -> None:
        """Do nothing; `Wire.close` closes the socket."""


class _Socket:
    """As much of a socket as `http.client` needs."""

    def __init__(self, timed: _Timed, reader: _Reader) -> None:
        self._timed = timed
        self._reader = reader

    def makefile(self, _mode: str) -> _Reader:
        """Return the one buffer of this connection."""
        return self._reader

    def sendall(self, chunk: bytes) -> None:
        """Send."""
        self._timed.send(chunk)

    def close(self) -> None:
        """Do nothing; `Wire.close` closes the socket."""


@contextlib.contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn what sockets and the library raise into our errors."""
    try:
        yield
    except TimeoutError:
        raise UnavailableError(
            "store-timeout", f"the store did not give {name!r} in time; try again", name=name
        ) from None
    except ssl.SSLError as error:
        if _REFUSED_US.search(str(error.reason)):
            raise DeniedError(
                "store-refused", "the store does not accept our SVID; look at both trust bundles", name=name
            ) from None
        raise _broken(name, error) from None
    except OSError as error:
        raise _broken(name, error) from None
    except http.client.HTTPException as error:
        raise bad_answer(name, f"it is not HTTP as we read it ({type(error).__name__})") from None


def _broken(name: str, error: OSError) -> UnavailableError:
    return UnavailableError(
        "store-failed", f"the connection broke while {name!r} was read: {reason(error)}", name=name
    )
