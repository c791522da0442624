"""The probes: ``/healthz`` while the process lives, ``/readyz`` once the model lies under its name.

Plain HTTP for the kubelet, on a port that anybody near may reach. So nothing is
said but a word, requests are read with a time limit, and a caller who dribbles
cannot keep the kubelet out: when all places are taken, the oldest connection
loses its own to the newest.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections import OrderedDict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Self

from trustkit.sidecar.config import Address
from trustkit.spiffe.listening import cannot_listen

PLACES = 16
"""Connections at the same time."""
TIMEOUT_SECONDS = 2.0
"""How long a caller may be silent."""


class Health:
    """The server of the probes; answers from a thread of its own once entered, until left."""

    def __init__(self, listen: Address, *, ready: Callable[[], bool]) -> None:
        """Bind the address.

        Raises:
            UnavailableError: ``cannot-listen``.
        """
        try:
            self._server = _server_of(listen, ready)
        except OSError as error:
            raise cannot_listen(f"{listen.host}:{listen.port}", error) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="health", daemon=True
        )

    @property
    def address(self) -> str:
        """Where it answers, as ``HOST:PORT``; the port is the real one where 0 was asked for."""
        host, port = self._server.server_address[:2]
        text = str(host)
        return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _server_of(listen: Address, ready: Callable[[], bool]) -> _Server:
    kind = _Server6 if ":" in listen.host else _Server
    return kind((listen.host, listen.port), ready)


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """One short-lived thread a connection. Not `http.server.HTTPServer`, which asks DNS for its own name."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], ready: Callable[[], bool]) -> None:
        self.ready = ready
        self._places = threading.Lock()
        self._open: OrderedDict[socket.socket, None] = OrderedDict()
        super().__init__(address, _Answers)

    def process_request(self, request: object, client_address: object) -> None:
        """Give the newest connection a place, the oldest one's where all are taken."""
        assert isinstance(request, socket.socket)  # noqa: S101 - what TCPServer accepts
        with self._places:
            self._open[request] = None
            crowded = len(self._open) > PLACES
            oldest = self._open.popitem(last=False)[0] if crowded else None
        if oldest is not None:
            with contextlib.suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)  # its thread reads an end, and closes it
        super().process_request(request, client_address)

    def shutdown_request(self, request: object) -> None:
        """Free the place and close the connection."""
        assert isinstance(request, socket.socket)  # noqa: S101 - what TCPServer accepts
        with self._places:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a caller who hangs up is no event."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Answers(BaseHTTPRequestHandler):
    """Answers one request and closes."""

    timeout = TIMEOUT_SECONDS
    server: _Server

    def do_GET(self) -> None:
        """Answer a probe."""
        if self.path == "/healthz":
            self._say(200, "ok")
        elif self.path != "/readyz":
            self._say(404, "no such probe")
        elif self.server.ready():
            self._say(200, "ready")
        else:
            self._say(503, "not ready")

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def send_error(self, code: int, *_: str | None) -> None:
        """Answer what is no probe, without quoting it as the library would."""
        self._say(code, "not a probe")

    def log_message(self, *_: object) -> None:
        """Log no probes."""

    def _say(self, status: int, word: str) -> None:
        body = f"{word}\n".encode("ascii")
        self.close_connection = True
        self.request_version = "HTTP/1.0"  # one that does not parse would leave the status out
        self.send_response_only(status)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        self.send_header("cache-control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
