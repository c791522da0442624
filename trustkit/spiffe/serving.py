"""A server that machines must prove themselves to: HTTP/1.1 over mutual TLS 1.3, until it is told to stop.

The law of this file: the application sees a request only together with the
SPIFFE ID of the machine that made it. The ID is read from the certificate of
the TLS connection itself, when the connection begins and again with every
request on it, and from nothing that was sent. Every connection gets the context
of the newest good SVID and bundle, so rotation needs no restart and breaks no
transfer. Everything a peer may take is bounded (`trustkit.spiffe.listening`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from trustkit.errors import LimitError, TrustkitError
from trustkit.spiffe.listening import DEFAULT_LIMITS, Limits, address_of, bound
from trustkit.spiffe.mtls import ServerContexts, TrustContext, check_peer
from trustkit.spiffe.svid import SVIDSource

EXTENSION = "trustkit"
"""Key in a request's ``scope["extensions"]``, under which ``peer`` is the `SpiffeID` of who asks."""

_POLL_SECONDS = 0.05
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


def serve_mtls(
    app: object,
    *,
    listen: str,
    source: SVIDSource,
    clock: Callable[[], float],
    announce: Callable[[str], None],
    stop: threading.Event | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> None:
    """Serve until SIGTERM, SIGINT or *stop*; then let requests in flight end, and return.

    Args:
        app: ASGI application. ``scope["extensions"]["trustkit"]["peer"]`` is the peer's `SpiffeID`.
        listen: ``HOST:PORT``; an IPv6 address in brackets; port 0 takes any that is free.
        source: Our SVID; read again for every connection.
        clock: The time (seconds since the epoch).
        announce: Told ``HOST:PORT`` once connections are accepted.
        stop: Ends the server as a signal would; for servers in threads, which signals do not reach.
        limits: What peers may take.

    Raises:
        TrustkitError: What is wrong with our SVID at the start.
        UsageError: ``bad-config``: *listen* is not ``HOST:PORT``.
        UnavailableError: ``cannot-listen``.
    """
    # The engine logs what peers send and what applications raise; neither belongs on anybody's stderr.
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())
    contexts = ServerContexts(source)
    contexts.current()
    door = _Door(_engine(app, limits), contexts, clock, limits)
    with (
        contextlib.closing(bound(listen)) as listener,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(door.serve(listener, announce, stop))


class _Door:
    """Accepts connections while there is room, and sees each of them out."""

    def __init__(
        self, engine: uvicorn.Config, contexts: ServerContexts, clock: Callable[[], float], limits: Limits
    ) -> None:
        self._engine = engine
        self._contexts = contexts
        self._clock = clock
        self._limits = limits
        self._state = ServerState()
        self._guests: set[asyncio.Task[None]] = set()
        self._shaking: set[asyncio.Task[None]] = set()

    async def serve(
        self, listener: socket.socket, announce: Callable[[str], None], stop: threading.Event | None
    ) -> None:
        """Accept until told to stop, then end gracefully, or at once if told twice."""
        loop = asyncio.get_running_loop()
        told: asyncio.Queue[None] = asyncio.Queue()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, told.put_nowait, None)
        watching = loop.create_task(_watch(stop, told))
        accepting = loop.create_task(self._accept(listener))
        first = loop.create_task(told.get())
        announce(address_of(listener))
        await asyncio.wait((first, accepting), return_when=asyncio.FIRST_COMPLETED)
        if accepting.done():
            accepting.result()
        for task in (watching, accepting, *self._shaking):
            task.cancel()
        listener.close()
        await self._end(loop.create_task(told.get()))

    async def _end(self, again: asyncio.Task[None]) -> None:
        """Let requests in flight end within the grace, and those of nobody begin."""
        for connection in list(self._state.connections):
            connection.shutdown()
        leaving = asyncio.gather(*self._guests, return_exceptions=True)
        await asyncio.wait(
            (leaving, again), timeout=self._limits.grace_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        for connection in list(self._state.connections):
            connection.transport.abort()

    async def _accept(self, listener: socket.socket) -> None:
        loop, room = asyncio.get_running_loop(), asyncio.Semaphore(self._limits.connections)
        while True:
            await room.acquire()
            try:
                client, _ = await loop.sock_accept(listener)
            except OSError as error:
                room.release()
                # Out of descriptors: wait for some to come back. The rest is one peer's own trouble.
                await asyncio.sleep(_POLL_SECONDS if error.errno in _EXHAUSTED else 0)
                continue
            guest = loop.create_task(self._admit(client))
            self._guests.add(guest)
            self._shaking.add(guest)
            for leave in (self._guests.discard, self._shaking.discard, lambda _: room.release()):
                guest.add_done_callback(leave)

    async def _admit(self, client: socket.socket) -> None:
        """Shake hands with one peer and wait until it is gone; who fails here never meets the application."""
        loop, gone = asyncio.get_running_loop(), asyncio.Event()
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            terms = _Terms(self._contexts.current(), self._clock, self._limits, gone)
            await loop.connect_accepted_socket(
                lambda: _Connection(self._engine, self._state, terms),
                client,
                ssl=terms.context,
                ssl_handshake_timeout=self._limits.handshake_seconds,
                ssl_shutdown_timeout=1.0,
            )
        except (OSError, TrustkitError):
            client.close()
        else:
            self._shaking.discard(cast("asyncio.Task[None]", asyncio.current_task()))
            await gone.wait()


@dataclass(frozen=True, slots=True)
class _Terms:
    """On which a connection was accepted."""

    context: TrustContext
    clock: Callable[[], float]
    limits: Limits
    gone: asyncio.Event


class _Connection(HttpToolsProtocol):
    """One peer's connection: who it is, how long its requests may take to come, how large they may be."""

    def __init__(self, engine: uvicorn.Config, state: ServerState, terms: _Terms) -> None:
        super().__init__(engine, state, {})
        self._terms = terms
        self._in_head = True
        self._head_bytes = self._heads = 0
        self._arrival: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Let a peer in whose certificate is an SVID of our trust domain, and nobody else."""
        super().connection_made(transport)
        try:
            self._peer()
        except TrustkitError:
            transport.abort()
        else:
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers and make room."""
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
        """Name the peer in the scope; one whose SVID has expired meanwhile is refused."""
        super().on_message_begin()
        try:
            peer = self._peer()
        except TrustkitError:
            self.transport.abort()
            raise
        self.scope["extensions"] = {EXTENSION: {"peer": peer}}

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

    def on_message_complete(self) -> None:
        """The request is here; the next one may take its time to begin."""
        self._in_head = True
        self._cancel()
        super().on_message_complete()

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

    def _peer(self) -> object:
        tls, terms = self.transport.get_extra_info("ssl_object"), self._terms
        return check_peer(tls, terms.context, now=terms.clock())

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


def _engine(app: object, limits: Limits) -> uvicorn.Config:
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


async def _watch(stop: threading.Event | None, told: asyncio.Queue[None]) -> None:
    """Say so once the event of another thread is set."""
    while stop is not None and not stop.is_set():  # noqa: ASYNC110 - a thread's event cannot be awaited
        await asyncio.sleep(_POLL_SECONDS)
    if stop is not None:
        told.put_nowait(None)
