"""Two servers in one process until SIGTERM: the webhook over TLS, health in the clear.

HTTP/1.1 only, because the API server speaks nothing else through a Service
(facts: admission, 0.1); connections are kept longer than the API server does.
Whoever can reach the port may connect: heads are bounded in bytes, number and
time, connections in number, and what the engine would log goes nowhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from admission.app import Limits, health_app, webhook_app
from admission.config import Config
from admission.decide import Judge
from admission.tls import RenewedContext
from trustkit.errors import LimitError, TrustkitError
from trustkit.spiffe.listening import address_of, bound

KEEP_ALIVE_SECONDS = 120
"""Above the API server's idle time of 90 s: a new TLS connection costs three times a kept one."""
HEALTH_KEEP_ALIVE_SECONDS = 2
GRACE_SECONDS = 10
"""How long requests in flight may take after SIGTERM."""
MAX_CONNECTIONS = 1_000
"""Most connections of one port, idle ones included; one more is answered 503."""
MAX_HEAD_BYTES = 64 << 10
"""Longest head of a request (bytes)."""
MAX_HEADERS = 100
"""Most headers of a request."""
HEAD_SECONDS = 10.0
"""How long the head of a request may take to arrive."""


class _Server(uvicorn.Server):
    """A server that leaves signals to `serve` (two share the process) and says when it accepts."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept, then say so."""
        await super().startup(sockets)
        self.accepting.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class _Connection(HttpToolsProtocol):
    """A connection whose heads are bounded; bodies are the application's business."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_head = True
        self._head_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Give the first head its time."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came; a head that goes on and on is refused."""
        if self._in_head:
            self._expect_head()
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("the head of the request is too large")

    def on_message_begin(self) -> None:
        """A head begins, maybe in the same breath as the request before ended."""
        self._expect_head()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one more header, up to the limit."""
        if len(self.headers) >= MAX_HEADERS:
            raise LimitError("too-large", "the request has too many headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._head_is_here()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is here, and another may follow."""
        self._in_head = True
        super().on_message_complete()

    def _expect_head(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _head_is_here(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the composition root hands down.

    Attributes:
        clock: A monotonic clock.
        announce: Told both addresses once requests are accepted: the webhook's and the health port's.
        alarm: Told what is wrong and does not end the process.
    """

    clock: Callable[[], float]
    announce: Callable[[str, str], None]
    alarm: Callable[[TrustkitError], None]


def serve(judge: Judge, config: Config, surroundings: Surroundings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        UsageError: ``bad-tls``: the certificate, key or client CA cannot be used.
        UnavailableError: ``cannot-listen``.
    """
    # The engine logs what callers send and what applications raise; neither belongs on anybody's stderr.
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())
    limits = Limits(config.deadline_seconds, config.body_timeout_seconds, config.workers, config.queue)
    context = RenewedContext(config.tls, surroundings.alarm).listening()
    with (
        contextlib.closing(bound(config.listen)) as main_socket,
        contextlib.closing(bound(config.health_listen)) as health_socket,
    ):
        webhook = _server(webhook_app(judge, limits, clock=surroundings.clock), context)
        health = _server(health_app(lambda: webhook.started and not webhook.should_exit), None)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve((webhook, health), (main_socket, health_socket), surroundings.announce))


def _server(app: object, context: ssl.SSLContext | None) -> _Server:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type] # FastAPI is an ASGI application
        http=_Connection,
        interface="asgi3",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        # The plain port is open to all of the cluster: nobody keeps a place there by saying nothing.
        timeout_keep_alive=HEALTH_KEEP_ALIVE_SECONDS if context is None else KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws="none",
        ssl_context_factory=None if context is None else (lambda _config, _default: context),
    )
    return _Server(config)


async def _serve(
    servers: tuple[_Server, _Server],
    sockets: tuple[socket.socket, socket.socket],
    announce: Callable[[str, str], None],
) -> None:
    """Run both until a signal, or until one of them ends; then end the other."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    running = [
        loop.create_task(server.serve([listener])) for server, listener in zip(servers, sockets, strict=True)
    ]
    announcing = loop.create_task(_announce(servers, sockets, announce))
    await asyncio.wait([*running, announcing], return_when=asyncio.FIRST_EXCEPTION)
    stop()
    announcing.cancel()  # it may wait for what will not come
    await asyncio.gather(*running)
    with contextlib.suppress(asyncio.CancelledError):
        await announcing


async def _announce(
    servers: tuple[_Server, _Server],
    sockets: tuple[socket.socket, socket.socket],
    announce: Callable[[str, str], None],
) -> None:
    """Say where, once both accept: the sockets' own ports, since the configured ones may be 0."""
    for server in servers:
        await server.accepting.wait()
    announce(address_of(sockets[0]), address_of(sockets[1]))
