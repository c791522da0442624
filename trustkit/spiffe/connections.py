"""One connection of a port that speaks HTTP/1.1, and what its peer may take of us.

The law of this file: the peer has a time for each head and each body, a size
for a head, a time to take an answer; and while it is the peer that has to move,
its place may go to a newcomer (`trustkit.spiffe.places`). Who a peer is, is not
known here.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from trustkit.errors import LimitError
from trustkit.spiffe.listening import Limits
from trustkit.spiffe.places import Line, Place


@dataclass(frozen=True, slots=True)
class Terms:
    """On which a connection is accepted.

    Attributes:
        context: The TLS context of this connection; None on a plain port.
        limits: What its peer may take.
        place: Its place.
        gone: Set once it is over.
    """

    context: ssl.SSLContext | None
    limits: Limits
    place: Place
    gone: asyncio.Event


MAX_OWED = 3
"""Most requests of one connection that are whole and not answered yet."""


class Connection(HttpToolsProtocol):
    """One peer's connection: how long its requests may take to come, how large they may be."""

    def __init__(self, engine: uvicorn.Config, state: ServerState, terms: Terms) -> None:
        super().__init__(engine, state, {})
        self._terms = terms
        self._in_head = True
        self._head_bytes = self._heads = 0
        self._owed = 0  # requests that are whole and not answered yet
        self._arrival: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Give the first request its time."""
        super().connection_made(transport)
        self._terms.place.give_up = self._give_up
        self._expect()
        self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers and make room."""
        self._terms.place.leave()
        self._cancel()
        self.resume_writing()
        super().connection_lost(exc)
        self._terms.gone.set()

    def data_received(self, data: bytes) -> None:
        """Read what came, unless the peer was refused; heads only up to their limit."""
        if self.transport.is_closing():
            return
        if self._arrival is None and self._in_head:
            self._expect()
        before = (self._heads, self._in_head)
        super().data_received(data)
        same_head = self._in_head and before == (self._heads, True)
        self._head_bytes = self._head_bytes + len(data) if same_head else 0
        if self._head_bytes > self._terms.limits.head_bytes:
            self.send_400_response("the head of the request is too large")

    def on_message_begin(self) -> None:
        """A request begins; whoever sent on and on before he is answered would keep his place for ever."""
        if self._owed >= MAX_OWED:
            raise LimitError("too-large", "read the answers first")
        super().on_message_begin()
        self._settle()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header of the head; nobody here needs trailers, and nothing would bound them."""
        if not self._in_head:
            raise LimitError("too-large", "trailers are not read")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is here; the body has its own time to come."""
        self._in_head = False
        self._heads += 1
        limits = self._terms.limits
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > limits.head_bytes or len(self.headers) > limits.headers:
            raise LimitError("too-large", "the head of the request is too large")
        self._expect()
        super().on_headers_complete()
        self._settle()

    def on_message_complete(self) -> None:
        """The request is here; the next one may take its time to begin."""
        self._in_head = True
        self._cancel()
        self._owed += not self.cycle.response_complete
        super().on_message_complete()
        self._settle()

    def on_response_complete(self) -> None:
        """The answer is given, maybe before all of the request was here."""
        self._owed = max(self._owed - 1, 0)
        super().on_response_complete()
        self._settle()

    def send_400_response(self, msg: str) -> None:
        """Say why a request is not read, and close; once."""
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def pause_writing(self) -> None:
        """The peer does not read: wait for it, but not for ever."""
        super().pause_writing()
        self._stall = self.loop.call_later(self._terms.limits.stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The peer reads again."""
        if self._stall is not None:
            self._stall.cancel()
        super().resume_writing()

    def _give_up(self) -> None:
        """End it: at once in the middle of a request, else once what was answered is taken, for a moment."""
        if self._in_head and self._heads:
            self.transport.close()
            self.loop.call_later(self._terms.limits.leave_seconds, self.transport.abort)
        else:
            self.transport.abort()

    def _settle(self) -> None:
        """Take the place of who has to move next."""
        place = self._terms.place
        if self._owed:
            place.works()
        else:
            place.waits(Line.REQUEST if self._in_head else Line.BODY)

    def _expect(self) -> None:
        """Give the peer its time for the next part of a request, from now on."""
        self._cancel()
        self._arrival = self.loop.call_later(self._terms.limits.arrival_seconds, self._late)

    def _late(self) -> None:
        if self.flow.read_paused:  # the wait is ours
            self._expect()
        else:
            self.transport.abort()

    def _cancel(self) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None


def engine_of(app: object, limits: Limits) -> uvicorn.Config:
    """Configure the engine to believe nothing and say nothing of its own."""
    engine = uvicorn.Config(
        app,  # type: ignore[arg-type] # an ASGI application, which has many types
        interface="asgi3",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=limits.idle_seconds,  # type: ignore[arg-type] # goes to call_later, which takes floats
    )
    engine.load()
    return engine
