"""One connection of a port that speaks HTTP/1.1, and what its peer may take of us.

The law of this file: the peer has a time for each head and each body, a size
for a head, a least rate to take an answer at (`trustkit.spiffe.outflow`); and
while it is the peer that has to move, its place may go to a newcomer
(`trustkit.spiffe.places`). No state of a connection is without a timer, unless
it is the application that works. Who a peer is, is not known here.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from trustkit.errors import LimitError
from trustkit.spiffe.listening import Limits
from trustkit.spiffe.outflow import Pace, taken_by_peer, watched
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
"""Most requests of one connection that are whole and not answered yet; one more is refused, in its turn."""


class Connection(HttpToolsProtocol):
    """One peer's connection: how long its requests may take to come, how large they may be."""

    def __init__(self, engine: uvicorn.Config, state: ServerState, terms: Terms) -> None:
        super().__init__(engine, state, {})
        self._terms = terms
        self._in_head = True
        self._head_bytes = self._heads = 0
        self._owed = 0  # requests that are whole and not answered yet
        self._begun: list[RequestResponseCycle] = []
        self._arrival: asyncio.TimerHandle | None = None
        self._pace = Pace(terms.limits.answer_bytes_per_second, terms.limits.answer_lag_seconds)
        self._stalled: tuple[asyncio.TimerHandle, ...] = ()
        self._taken = 0
        self._keeps_us_waiting = False
        self._refusal = ""
        self._parting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Give the first request its time."""
        super().connection_made(watched(transport, self._pace, self._closing))
        self._terms.place.give_up = self._give_up
        self._expect()
        self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers and make room."""
        self._terms.gone.set()
        self._terms.place.leave()
        self._cancel()
        self.resume_writing()
        self._tell()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # the engine does so only where nothing went wrong
        if self._parting is not None:
            self._parting.cancel()

    def eof_received(self) -> None:
        """The peer ends it, and takes nothing more."""
        self._tell()
        self._closing()

    def data_received(self, data: bytes) -> None:
        """Read what came, unless the peer was refused; heads only up to their limit."""
        if self.transport.is_closing() or self._refusal:
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
        """A request begins; nobody may send on and on before he is answered, nor after he lost his place."""
        if self._owed >= MAX_OWED or self.transport.is_closing():
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
        self._begun = [cycle for cycle in self._begun if not cycle.response_complete]
        self._begun.append(self.cycle)
        self._settle()

    def on_message_complete(self) -> None:
        """The request is here; the next one may take its time to begin."""
        self._in_head = True
        self._cancel()
        early = self.cycle.response_complete
        self._owed += not early
        super().on_message_complete()
        if early:  # the engine's timer ran from the answer on, and ended when more of the request came
            self._unset_keepalive_if_required()
            idle = self._terms.limits.idle_seconds
            self.timeout_keep_alive_task = self.loop.call_later(idle, self.timeout_keep_alive_handler)
        self._settle()

    def on_response_complete(self) -> None:
        """The answer is given, maybe before all of the request was here."""
        self._owed = max(self._owed - 1, 0)
        if self._owed and self._terms.place.yields():
            self._part(self._terms.limits.leave_seconds)
        elif self._refusal and not self._owed:
            self.send_400_response(self._refusal)
        super().on_response_complete()
        self._settle()

    def send_400_response(self, msg: str) -> None:
        """Say why a request is not read, and close; once, and after the answers that are owed."""
        if self.transport.is_closing():
            return
        if self._owed:
            self._refuse_later(msg)
        else:
            super().send_400_response(msg)
            self._part(self._terms.limits.leave_seconds)

    def _refuse_later(self, why: str) -> None:
        """Read nothing more; once nothing is owed, it is said and the connection ends."""
        self._refusal, self._in_head = why, True
        self._cancel()
        self._settle()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing more came."""
        self._part(self._terms.limits.leave_seconds)

    def pause_writing(self) -> None:
        """The peer is behind: wait for it, but not for ever, and soon no longer if somebody else comes."""
        super().pause_writing()
        limits, later = self._terms.limits, self.loop.call_later
        self._taken = taken_by_peer(self.transport)
        self._stalled = (
            later(limits.stall_seconds, self._look),
            later(self._pace.wait(self.loop.time()), self.transport.abort),
            later(limits.patience_seconds, self._tire),
        )

    def resume_writing(self) -> None:
        """The peer has taken what it was owed."""
        for timer in self._stalled:
            timer.cancel()
        self._stalled, self._keeps_us_waiting = (), False
        self._pace.go_on(self.loop.time())
        super().resume_writing()
        self._settle()

    def _look(self) -> None:
        """Leave a peer that has taken nothing since the last look."""
        before, self._taken = self._taken, taken_by_peer(self.transport)
        if self._taken > before:
            again = self.loop.call_later(self._terms.limits.stall_seconds, self._look)
            self._stalled = (again, *self._stalled[1:])
        else:
            self.transport.abort()

    def _tire(self) -> None:
        """The peer has kept us waiting: its place may go."""
        self._keeps_us_waiting = True
        self._settle()

    def _give_up(self) -> None:
        """End it: at once in the middle of anything, else once what was answered is taken, for a moment."""
        if self._in_head and self._heads and not self._owed:
            self._part(self._terms.limits.leave_seconds)
        else:
            self.transport.abort()

    def _part(self, seconds: float) -> None:
        """Close, and wait so long for the peer to take what is left and to say goodbye."""
        self._end_within(seconds)
        self.transport.close()

    def _closing(self) -> None:
        """Whoever closed it: the peer has to move now, and has a time for it."""
        if self._parting is None:
            self._end_within(self._terms.limits.stall_seconds)

    def _end_within(self, seconds: float) -> None:
        if self._terms.gone.is_set():
            return
        if self._parting is not None:
            self._parting.cancel()
        self._parting = self.loop.call_later(seconds, self.transport.abort)
        self._settle()

    def _settle(self) -> None:
        """Take the place of who has to move next."""
        place = self._terms.place
        if not self._owed or self._parting is not None:
            place.waits(Line.REQUEST if self._in_head else Line.BODY)
        elif self._keeps_us_waiting:
            place.waits(Line.ANSWER)
        else:
            place.works()

    def _tell(self) -> None:
        """Tell every request that is not answered that its peer has gone; the engine tells the last one."""
        self.pipeline.clear()
        for cycle in self._begun:
            cycle.disconnected = cycle.disconnected or not cycle.response_complete
            cycle.message_event.set()
        self.flow.resume_writing()  # who waits to write need not

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
