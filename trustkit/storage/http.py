"""A store across the network: documents and ranges by HTTP/1.1 over mutual TLS, misplaced bytes never.

The law of this file: a request goes out only after the store has proven the
exact SPIFFE ID that was expected, and a byte is taken only from an answer that
is, to the letter, the one that was asked for. Only what is unavailable is asked
for again, a bounded number of times. Standard library (design: adr 0033).
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from trustkit.artifact.names import check_name
from trustkit.artifact.reference import Reference
from trustkit.errors import LimitError, UnavailableError, VerificationError
from trustkit.spiffe.mtls import connect
from trustkit.spiffe.names import SpiffeID
from trustkit.spiffe.svid import identity_of
from trustkit.storage import answers
from trustkit.storage.wire import MAX_DRAINED, Head, Wire, translated
from trustkit.version import __version__

DEFAULT_PORT = 443
T = TypeVar("T")

_HEADERS = {"Accept-Encoding": "identity", "User-Agent": f"trustkit/{__version__}"}
_MAX_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Retry:
    """How often, and after which pauses, what is unavailable is asked for again.

    Attributes:
        sleep: Waits (seconds).
        chance: A random number from 0 up to 1, so that a thousand clients do not come back in step.
        attempts: Most attempts in all.
        first_seconds: The first pause; each is twice the one before.
        most_seconds: Longest pause, whatever the store asks for.
    """

    sleep: Callable[[float], None]
    chance: Callable[[], float]
    attempts: int = 4
    first_seconds: float = 0.2
    most_seconds: float = 5.0


class HTTPSource:
    """The artifact of one reference on one store. Safe to use from several threads.

    Connections are kept, one for each thread that reads at a time.

    Args:
        reference: Host and path; where it is pinned to is the caller's to check.
        context_of: Returns today's `trustkit.spiffe.mtls.client_context`, for a new connection.
        expected: The SPIFFE ID that the store must prove.
        timeout_seconds: Longest that one request may take, connecting included.
        clock_now: The time (seconds since the epoch).
        monotonic: A monotonic clock (seconds).
        retry: Whether to ask again; once and no more where absent.
    """

    def __init__(
        self,
        reference: Reference,
        *,
        context_of: Callable[[], ssl.SSLContext],
        expected: SpiffeID,
        timeout_seconds: float,
        clock_now: Callable[[], float],
        monotonic: Callable[[], float],
        retry: Retry | None = None,
    ) -> None:
        name, _, port = reference.host.partition(":")
        self._reference = reference
        self._address = (name, int(port or DEFAULT_PORT))
        self._context_of = context_of
        self._expected = expected
        self._timeout = timeout_seconds
        self._now = clock_now
        self._monotonic = monotonic
        self._retry = retry
        self._lock = threading.Lock()
        self._idle: list[Wire] = []
        self._live: weakref.WeakSet[ssl.SSLSocket] = weakref.WeakSet()
        self._closed = False
        self._versions: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def document(self, name: str, *, max_bytes: int) -> bytes:
        """Return a whole document; see `trustkit.storage.source.Source`."""

        def take(wire: Wire, head: Head) -> bytes:
            length = answers.body_length(head.headers, name)
            if length > max_bytes:
                raise LimitError("too-large", f"{name!r} is larger than {max_bytes} bytes", limit=max_bytes)
            raw = bytearray(length)
            wire.fill(memoryview(raw))
            return bytes(raw)

        return self._asked(_Request("GET", name, 200), take)

    def read_range(self, name: str, start: int, into: memoryview) -> None:
        """Fill *into* from *start* on; see `trustkit.storage.source.Source`.

        Raises:
            VerificationError: ``source-changed``: the blob was replaced since it was first read.
        """

        def take(wire: Wire, head: Head) -> None:
            total = answers.check_range(head.headers, name, start, len(into))
            self._demand_same(name, head, total)
            wire.fill(into)

        if len(into):
            self._asked(_Request("GET", name, 206, (start, start + len(into))), take)

    def length(self, name: str) -> int:
        """Return the length the store claims; see `trustkit.storage.source.Source`."""

        def take(_: Wire, head: Head) -> int:
            return answers.body_length(head.headers, name)

        return self._asked(_Request("HEAD", name, 200), take)

    def close(self) -> None:
        """Close the connections; whoever waits for an answer waits no longer, and none is made anew."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            live = list(self._live)
        for tls in live:
            with contextlib.suppress(OSError):
                # The plain socket's own: that of a TLS socket would let its reader see ciphertext.
                socket.socket.shutdown(tls, socket.SHUT_RDWR)
        for wire in idle:
            wire.close()

    def _asked(self, request: _Request, take: Callable[[Wire, Head], T]) -> T:
        """Ask, and ask again what was unavailable: within the attempts, with growing jittered pauses."""
        retry = self._retry
        pause, left = (retry.first_seconds, retry.attempts) if retry is not None else (0.0, 1)
        while True:
            left -= 1
            try:
                with translated(request.name):
                    return self._exchange(request, take)
            except UnavailableError as error:
                if retry is None or left < 1 or self._closed or error.code == "not-found":
                    raise
                asked = error.evidence.get("retry_after_seconds")
                wait = max(pause * (0.5 + retry.chance() / 2), asked if isinstance(asked, int) else 0)
            retry.sleep(min(wait, retry.most_seconds))
            pause = min(2 * pause, retry.most_seconds)

    def _exchange(self, request: _Request, take: Callable[[Wire, Head], T]) -> T:
        deadline = self._monotonic() + self._timeout
        wire, settled = self._kept() or self._connected(deadline), False
        try:
            try:
                head = self._sent(wire, request, deadline)
            except OSError as error:
                # A kept connection may have been closed at its other end while nobody looked.
                if not wire.used or wire.answered or isinstance(error, TimeoutError):
                    raise
                wire.close()
                wire = self._connected(deadline)
                head = self._sent(wire, request, deadline)
            if head.status != request.wanted:
                settled = self._drained(wire, head, request)
                raise answers.refused(head.status, head.headers, request.name, needed=request.range[1])
            result = take(wire, head)
            settled = self._keep(wire, head, request.name)
        finally:
            if not settled:
                wire.close()
        return result

    def _drained(self, wire: Wire, head: Head, request: _Request) -> bool:
        """Read a short body that nobody needs, so that the connection can be kept; say whether it was."""
        with contextlib.suppress(UnavailableError):
            length = 0 if request.method == "HEAD" else answers.body_length(head.headers, request.name)
            if length <= MAX_DRAINED:
                wire.fill(memoryview(bytearray(length)))
                return self._keep(wire, head, request.name)
        return False

    def _sent(self, wire: Wire, request: _Request, deadline: float) -> Head:
        headers = dict(_HEADERS)
        if request.range[1]:
            headers["Range"] = f"bytes={request.range[0]}-{request.range[1] - 1}"
        return wire.ask(request.method, self._path(request.name), headers, deadline=deadline)

    def _path(self, name: str) -> str:
        segments = (*self._reference.path.split("/"), *check_name(name).split("/"))
        return "".join(f"/{quote(segment, safe='')}" for segment in segments)

    def _kept(self) -> Wire | None:
        """Take a kept connection that is as we left it, and whose peer's SVID is still good, or none."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                wire = self._idle.pop()
            with contextlib.suppress(VerificationError):
                identity_of(wire.leaf, now=self._now())
                if wire.idle():
                    return wire
            wire.close()

    def _connected(self, deadline: float) -> Wire:
        host, port = self._address
        context = self._context_of()
        tls = connect(
            host,
            port,
            context,
            expected=self._expected,
            timeout_seconds=self._left(deadline),
            now=self._now(),
            begun=lambda tls: self._begun(tls, deadline),
        )
        return Wire(tls, self._reference.host, monotonic=self._monotonic)

    def _left(self, deadline: float) -> float:
        left = deadline - self._monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _begun(self, tls: ssl.SSLSocket, deadline: float) -> None:
        """Take a connection among those that `close` ends, and leave its handshake the time that is left."""
        tls.settimeout(self._left(deadline))
        with self._lock:
            if self._closed:
                raise ConnectionAbortedError(errno.ECONNABORTED, "the source was closed")
            self._live.add(tls)

    def _keep(self, wire: Wire, head: Head, name: str) -> bool:
        """Keep a connection for the next request, unless the store closes it; say whether it is kept."""
        if wire.surplus():
            raise answers.bad_answer(name, "it is longer than it says")
        with self._lock:
            if head.closes or self._closed:
                return False
            wire.used = True
            self._idle.append(wire)
        return True

    def _demand_same(self, name: str, head: Head, total: int) -> None:
        """Ranges of one blob come from one version of it (threats G02)."""
        tags = [str(tag).strip() for tag in head.headers.get_all("ETag", [])]
        version = (" ".join(tags), total)
        with self._lock:
            before = self._versions.setdefault(name, version)
            self._versions.move_to_end(name)
            while len(self._versions) > _MAX_REMEMBERED:
                self._versions.popitem(last=False)
        if version != before:
            raise VerificationError(
                "source-changed",
                f"{name!r} was replaced in the store while it was read; begin again",
                name=name,
            )


@dataclass(frozen=True, slots=True)
class _Request:
    """One question, and the status that would answer it; a range is half-open, (0, 0) the whole."""

    method: str
    name: str
    wanted: int
    range: tuple[int, int] = (0, 0)
