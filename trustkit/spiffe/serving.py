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
import ssl
import threading
from collections.abc import Callable
from typing import cast

import uvicorn
from uvicorn.server import ServerState

from trustkit.errors import TrustkitError
from trustkit.spiffe.connections import Connection, Terms
from trustkit.spiffe.door import Door, keep_open
from trustkit.spiffe.listening import DEFAULT_LIMITS, Limits, address_of, bound
from trustkit.spiffe.mtls import ServerContexts, TrustContext, check_peer
from trustkit.spiffe.svid import SVIDSource

EXTENSION = "trustkit"
"""Key in a request's ``scope["extensions"]``, under which ``peer`` is the `SpiffeID` of who asks."""


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
    contexts = ServerContexts(source)
    contexts.current()

    def kind(engine: uvicorn.Config, state: ServerState, terms: Terms) -> Connection:
        return _Named(engine, state, terms, clock)

    door = Door(app, contexts.current, limits, kind=kind)
    with contextlib.closing(bound(listen)) as listener:
        keep_open([(door, listener)], lambda: announce(address_of(listener)), stop)


class _Named(Connection):
    """A connection whose peer has proved its SPIFFE ID, and proves it again with every request."""

    def __init__(
        self, engine: uvicorn.Config, state: ServerState, terms: Terms, clock: Callable[[], float]
    ) -> None:
        super().__init__(engine, state, terms)
        self._clock = clock

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Let a peer in whose certificate is an SVID of our trust domain, and nobody else."""
        super().connection_made(transport)
        try:
            self._peer()
        except TrustkitError:
            transport.abort()

    def on_message_begin(self) -> None:
        """Name the peer in the scope; one whose SVID has expired meanwhile is refused."""
        super().on_message_begin()
        try:
            peer = self._peer()
        except TrustkitError:
            self.transport.abort()
            raise
        self.scope["extensions"] = {EXTENSION: {"peer": peer}}

    def _peer(self) -> object:
        tls = cast("ssl.SSLObject", self.transport.get_extra_info("ssl_object"))
        return check_peer(tls, cast("TrustContext", self._terms.context), now=self._clock())
