"""One request to AWS KMS and its answer: at the address that the key's name says, up to a cap and a deadline.

The law of this file: the library of the service builds a request and reads an
answer; what lies between is done here in its place. A request to any other
address is not sent. One deadline covers all of it, from the search for the
address to the last byte: name servers, proxies and the service can each be slow
in a way that no time limit of a socket sees. Whatever comes late is never used.

Known to import the service's library (extra ``aws``): import this file late.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

from botocore.awsrequest import AWSHTTPSConnection, AWSHTTPSConnectionPool, AWSPreparedRequest, AWSResponse
from botocore.exceptions import ReadTimeoutError
from botocore.httpsession import URLLib3Session
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from trustkit import strictjson
from trustkit.errors import FormatError, LimitError, UsageError

MAX_ANSWER_BYTES = 64 * 1024
"""Largest answer that is read (bytes); that of a wrapped key has less than one KiB."""

_DEPTH = 8
_OK = 200


@dataclass(frozen=True, slots=True)
class Wire:
    """Sends in the library's place, which would send anywhere and read whatever comes.

    Attributes:
        host: Host, or host and port, of the key; the only one that is asked.
        verify: Whom to believe about its certificate: a file, or True for the library's own list.
        proxies: The way out, by scheme.
        connect_seconds: Longest wait for a connection.
        silent_seconds: Longest wait for the next byte.
        seconds: Longest that the whole may take.
        monotonic: A monotonic clock (seconds), asked while a body is read.
    """

    host: str
    verify: str | bool
    proxies: Mapping[str, str]
    connect_seconds: float
    silent_seconds: float
    seconds: float
    monotonic: Callable[[], float]

    def __call__(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """Send a request and return its answer: bounded, and strict JSON; what it says is untrusted.

        Raises:
            UsageError: ``wrong-kms-address``; nothing was sent.
            HTTPClientError: Of the library: no answer, or none in time.
            FormatError, LimitError: The answer is too large, or no strict JSON.
        """
        if request.url != f"https://{self.host}/":
            raise UsageError(
                "wrong-kms-address",
                f"the AWS library here would ask somebody else than {self.host}; nothing was sent. Look for "
                "settings of this machine that move AWS KMS, and name another host in the key: "
                "awskms://HOST/ARN",
            )
        response, body = self._in_time(request)
        if response.status_code == _OK:
            _parse(body)
        else:
            body = _harmless(body)
        return AWSResponse(response.url, response.status_code, response.headers, _Read(body))

    def _in_time(self, request: AWSPreparedRequest) -> tuple[AWSResponse, bytes]:
        """Let a thread ask, and wait for it up to the deadline: nothing else ends all that can be slow."""
        sockets, answered = Sockets(), Future[tuple[AWSResponse, bytes]]()

        def ask() -> None:
            try:
                answered.set_result(self._ask(request, sockets))
            except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
                answered.set_exception(error)

        threading.Thread(target=ask, name="trustkit-awskms", daemon=True).start()
        try:
            return answered.result(self.seconds)
        except TimeoutError:
            raise ReadTimeoutError(endpoint_url=request.url) from None
        finally:
            sockets.shut()

    def _ask(self, request: AWSPreparedRequest, sockets: Sockets) -> tuple[AWSResponse, bytes]:
        deadline = self.monotonic() + self.seconds
        request.stream_output = True
        http = _Http(
            sockets,
            verify=self.verify,
            proxies=self.proxies,
            timeout=(self.connect_seconds, self.silent_seconds),
        )
        try:
            response = http.send(request)
            return response, self._body(response, deadline)
        finally:
            http.close()  # there is one request

    def _body(self, response: AWSResponse, deadline: float) -> bytes:
        """Read byte by byte, which costs little for so few: so what drips meets the deadline."""
        body = bytearray()
        try:
            while byte := response.raw.read(1):
                body += byte
                if len(body) > MAX_ANSWER_BYTES:
                    raise LimitError("too-large", "the answer is too large", limit=MAX_ANSWER_BYTES)
                if self.monotonic() >= deadline:
                    raise ReadTimeoutError(endpoint_url=response.url)
        except (HTTPError, OSError):
            raise ReadTimeoutError(endpoint_url=response.url) from None
        finally:
            response.raw.close()
        return bytes(body)


class Sockets:
    """The sockets of one request, so that whoever waits can end them in the hands of who reads.

    They are held by descriptors of our own: TLS takes the first ones over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: list[socket.socket] = []
        self._over = False

    def hold(self, made: socket.socket) -> None:
        """Hold a socket; one that comes late is shut at once."""
        with self._lock:
            self._held.append(made.dup())
            if self._over:
                self._shut()

    def shut(self) -> None:
        """Shut all of them for everybody, those to come too: who reads sees an end."""
        with self._lock:
            self._over = True
            self._shut()

    def _shut(self) -> None:
        for held in self._held:
            with contextlib.suppress(OSError), held:
                held.shutdown(socket.SHUT_RDWR)
        self._held.clear()


class _Http(URLLib3Session):  # type: ignore[misc]  # the library has no types
    """The library's own way to send, with its sockets in our hands.

    It has no public place for that. Were one of the two names below to go, the deadline would hold all
    the same, but threads would stay until their peers are tired; a test looks at that.
    """

    def __init__(
        self,
        sockets: Sockets,
        *,
        verify: str | bool,
        proxies: Mapping[str, str],
        timeout: tuple[float, float],
    ) -> None:
        self._made: list[AWSHTTPSConnection] = []
        made = self._made

        class Connection(AWSHTTPSConnection):  # type: ignore[misc]  # as above
            def _new_conn(self) -> socket.socket:
                made.append(self)
                found: socket.socket = super()._new_conn()
                sockets.hold(found)
                return found

        class Pool(AWSHTTPSConnectionPool):  # type: ignore[misc]  # as above
            ConnectionCls = Connection

        super().__init__(verify=verify, proxies=dict(proxies), timeout=timeout)
        self._pool = Pool

    def _get_connection_manager(self, url: str, proxy_url: str | None = None) -> PoolManager:
        manager: PoolManager = super()._get_connection_manager(url, proxy_url)
        manager.pool_classes_by_scheme = {"https": self._pool}
        return manager

    def close(self) -> None:
        """Close every connection now; the library would leave those that wait for more to the collector."""
        super().close()
        for connection in self._made:
            connection.close()


class _Read:
    """A body that was read, as the library takes one."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


def _parse(untrusted: bytes) -> None:
    strictjson.parse_object(untrusted, max_bytes=MAX_ANSWER_BYTES, what="answer of AWS KMS", max_depth=_DEPTH)


def _harmless(untrusted: bytes) -> bytes:
    """Return the body of an error, or nothing where it is none of the service's: a page of a proxy."""
    try:
        _parse(untrusted)
    except (FormatError, LimitError):
        return b""
    return untrusted
