"""A port that speaks HTTP/1.1 to whoever reaches it: lets peers in, sees them out, ends when it is told to.

The law of this file: a newcomer is let in as long as anybody keeps us waiting
(`trustkit.spiffe.places`). Every connection gets the TLS context of the moment
it is made, so rotation needs no restart and breaks no transfer. Who a peer is,
is not known here; `trustkit.spiffe.serving` asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import itertools
import logging
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Sequence

import uvicorn
import uvloop
from uvicorn.server import ServerState

from trustkit.errors import TrustkitError
from trustkit.spiffe.connections import Connection, Terms, engine_of
from trustkit.spiffe.listening import Limits
from trustkit.spiffe.places import Line, Place, Places

_POLL_SECONDS = 0.05
_AT_ONCE = 64
"""Most newcomers that are let in before those who are here have their turn."""
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class Door:
    """Lets the peers of one port in, and sees each of them out.

    Args:
        app: ASGI application.
        context_of: The TLS context of today, for each new connection; None on a plain port.
        limits: What peers may take.
        kind: Makes the protocol of a connection.
    """

    def __init__(
        self,
        app: object,
        context_of: Callable[[], ssl.SSLContext | None],
        limits: Limits,
        *,
        kind: Callable[[uvicorn.Config, ServerState, Terms], Connection] = Connection,
    ) -> None:
        self._engine = engine_of(app, limits)
        self._context_of = context_of
        self._limits = limits
        self._kind = kind
        self._state = ServerState()
        self._places = Places(limits.connections)
        self.guests: set[asyncio.Task[None]] = set()
        self.open = False

    async def accept(self, listener: socket.socket) -> None:
        """Let in whoever comes, until cancelled."""
        loop = asyncio.get_running_loop()
        for number in itertools.count():
            try:
                client = await self._newcomer(listener, at_once=number % _AT_ONCE > 0)
            except OSError as error:
                await self._excused(error)
                continue
            try:
                place = await self._places.take()
            except BaseException:
                client.close()
                raise
            guest = loop.create_task(self._admit(client, place))
            place.give_up = guest.cancel
            self.guests.add(guest)
            guest.add_done_callback(functools.partial(self._seen_out, client, place))

    async def _newcomer(self, listener: socket.socket, *, at_once: bool) -> socket.socket:
        """Return who comes next: at once, if he is here and nobody has to go for him; else in his turn.

        Who is let in needs a turn to begin; else of many that come together each would push out the last.
        """
        if at_once and self._places.free_now:
            with contextlib.suppress(BlockingIOError):
                client, _ = listener.accept()
                client.settimeout(0)
                return client
        client, _ = await asyncio.get_running_loop().sock_accept(listener)
        return client

    async def _excused(self, error: OSError) -> None:
        """Out of descriptors: take one back and wait for it. The rest is one peer's own trouble."""
        exhausted = error.errno in _EXHAUSTED
        if exhausted:
            self._places.make_room()
        await asyncio.sleep(_POLL_SECONDS if exhausted else 0)

    async def _admit(self, client: socket.socket, place: Place) -> None:
        """Shake hands with one peer and wait until it is gone; who fails here never meets the application."""
        loop, gone = asyncio.get_running_loop(), asyncio.Event()
        with contextlib.suppress(OSError, TrustkitError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            context = self._context_of()
            terms = Terms(context, self._limits, place, gone)
            await loop.connect_accepted_socket(
                lambda: self._kind(self._engine, self._state, terms),
                client,
                ssl=context,
                ssl_handshake_timeout=None if context is None else self._limits.handshake_seconds,
                ssl_shutdown_timeout=None if context is None else self._limits.stall_seconds,
            )
            await gone.wait()

    def _seen_out(self, client: socket.socket, place: Place, guest: asyncio.Task[None]) -> None:
        """Leave nothing of a guest, not even of one that was sent away before it was let in."""
        self.guests.discard(guest)
        place.leave()
        client.close()

    def close(self) -> float:
        """End handshakes and what is idle, ask the others to end, and return how long they may take."""
        self.open = False
        while self._places.evict(Line.HANDSHAKE):
            pass
        for connection in list(self._state.connections):
            connection.shutdown()
        return self._limits.grace_seconds

    def abort(self) -> None:
        """End every connection."""
        for connection in list(self._state.connections):
            connection.transport.abort()


def keep_open(
    doors: Sequence[tuple[Door, socket.socket]],
    announce: Callable[[], None],
    stop: threading.Event | None = None,
) -> None:
    """Let peers in until SIGTERM, SIGINT or *stop*; then let requests in flight end, and return."""
    # The engine logs what peers send and what applications raise, and the loop that peers have gone;
    # nothing that a peer does belongs on anybody's stderr.
    for name in ("uvicorn", "asyncio"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_kept_open(doors, announce, stop))


async def _kept_open(
    doors: Sequence[tuple[Door, socket.socket]], announce: Callable[[], None], stop: threading.Event | None
) -> None:
    """Accept until told to stop, then end gracefully, or at once if told twice."""
    loop = asyncio.get_running_loop()
    told: asyncio.Queue[None] = asyncio.Queue()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told.put_nowait, None)
    watching = loop.create_task(_watch(stop, told))
    accepting = [loop.create_task(door.accept(listener)) for door, listener in doors]
    first = loop.create_task(told.get())
    for door, _ in doors:
        door.open = True
    announce()
    await asyncio.wait((first, *accepting), return_when=asyncio.FIRST_COMPLETED)
    for task in accepting:
        if task.done():
            task.result()
    for task in (watching, *accepting):
        task.cancel()
    for _, listener in doors:
        listener.close()
    grace = max(door.close() for door, _ in doors)
    leaving = asyncio.gather(*(guest for door, _ in doors for guest in door.guests), return_exceptions=True)
    again = loop.create_task(told.get())
    await asyncio.wait((leaving, again), timeout=grace, return_when=asyncio.FIRST_COMPLETED)
    for door, _ in doors:
        door.abort()


async def _watch(stop: threading.Event | None, told: asyncio.Queue[None]) -> None:
    """Say so once the event of another thread is set."""
    while stop is not None and not stop.is_set():  # noqa: ASYNC110 - a thread's event cannot be awaited
        await asyncio.sleep(_POLL_SECONDS)
    if stop is not None:
        told.put_nowait(None)
