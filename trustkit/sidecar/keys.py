"""The broker's client: one request, one answer, one data key. The only place where a sidecar gets a key.

    1. A key pair is made for this request alone; its private half never leaves this memory.
    2. The connection is mutual TLS, and the peer is the one broker that the arguments name,
       checked after the handshake and before the first byte.
    3. 200 is an answer, 400, 403 and 413 are a refusal, everything else is a broker that
       cannot answer now. A refusal is final; only *unavailable* is ever asked again.
    4. The answer is unwrapped in the context of our own proof, and the key must fit the
       commitment that the publisher signed.

One deadline covers an attempt from the first byte to the last, however slowly
they come. Nothing of a request or an answer is ever logged or quoted, but the
code and the line of a refusal (facts: threats, D11).
"""

from __future__ import annotations

import contextlib
import http.client
import io
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from trustkit.errors import (
    DeniedError,
    FormatError,
    LimitError,
    TrustkitError,
    UnavailableError,
)
from trustkit.sealing.descriptor import WrapContext
from trustkit.sealing.documents import SealedDocuments
from trustkit.sealing.keys import Dek
from trustkit.sealing.recipients import ephemeral_opener, unwrap_dek
from trustkit.sealing.release import (
    MAX_ANSWER_BYTES,
    PATH,
    ReleaseAnswer,
    ReleaseRequest,
    parse_answer,
    parse_refusal,
    request_to_bytes,
)
from trustkit.sidecar.config import Address
from trustkit.spiffe.mtls import connect
from trustkit.spiffe.names import SpiffeID

if TYPE_CHECKING:
    import socket

_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class KeyService:
    """Where keys come from, and how long one attempt to get one may take.

    Attributes:
        address: Where the broker answers.
        expected: Who it must prove to be.
        context_of: Makes a TLS context of our current SVID.
        timeout_seconds: For one attempt, whole.
        now: Seconds since the epoch, for certificates.
        monotonic: A monotonic clock.
    """

    address: Address
    expected: SpiffeID
    context_of: Callable[[], ssl.SSLContext]
    timeout_seconds: float
    now: Callable[[], float]
    monotonic: Callable[[], float]

    def key_for(self, documents: SealedDocuments, context: WrapContext) -> Dek:
        """Ask once for the key of an artifact.

        Args:
            documents: As the store holds them; the broker verifies them for itself.
            context: From our own proof.

        Raises:
            DeniedError: ``key-denied``: the broker said no, and why.
            FormatError, LimitError: ``key-request-refused``: the broker cannot read the documents.
            VerificationError: The peer is not the broker.
            SealError: The answer does not open, or is another key.
            UnavailableError: ``broker-unavailable`` or ``connect-failed``; may be asked again.
        """
        opener, ephemeral_key = ephemeral_opener()  # step 1
        request = ReleaseRequest(documents, ephemeral_key, context.manifest_digest)
        answer = self._asked(request_to_bytes(request))  # steps 2 and 3
        return unwrap_dek(answer.wrapped, context, opener)  # step 4

    def _asked(self, body: bytes) -> ReleaseAnswer:
        ends_at = self.monotonic() + self.timeout_seconds
        connection = connect(
            self.address.host,
            self.address.port,
            self.context_of(),
            expected=self.expected,
            timeout_seconds=self.timeout_seconds,
            now=self.now(),
        )
        with contextlib.closing(_Timed(connection, lambda: ends_at - self.monotonic())) as timed:
            try:
                status, raw = _exchange(self.address, timed, body)
            except (OSError, http.client.HTTPException) as error:
                raise _unavailable(f"did not answer ({type(error).__name__})") from None
        return _answer_of(status, raw)


def _exchange(address: Address, timed: _Timed, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address.host, address.port)
    connection.sock = cast("socket.socket", timed)  # as much of one as http.client needs
    headers = {"content-type": "application/json", "connection": "close", "accept-encoding": "identity"}
    # A broker may refuse before it has read all of a request; its answer counts, not our broken pipe.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
        connection.request("POST", PATH, body=body, headers=headers)
    response = http.client.HTTPResponse(connection.sock, method="POST")
    try:
        response.begin()
        if response.getheader("content-encoding") is not None:
            raise _unavailable("answered in an encoding that was not asked for")
        raw = response.read(MAX_ANSWER_BYTES + 1)
    finally:
        response.close()
    if len(raw) > MAX_ANSWER_BYTES:
        raise _unavailable("answered with more than an answer holds")
    return response.status, raw


def _answer_of(status: int, raw: bytes) -> ReleaseAnswer:
    if status == 200:
        try:
            return parse_answer(raw)
        except (FormatError, LimitError) as error:
            raise _unavailable(f"gave an answer that cannot be read: {error.message}") from None
    raise _refused(status, raw)


def _refused(status: int, raw: bytes) -> TrustkitError:
    try:
        refusal = parse_refusal(raw)
    except (FormatError, LimitError):
        return _unavailable(f"answered with the status {status}")
    code, named = refusal.code, f"[{refusal.code}] "
    why = named + refusal.message.removeprefix(named)  # a denial by rules names its codes itself
    if status == 403:
        return DeniedError("key-denied", f"the broker said no: {why}", broker_code=code)
    said = f"the broker did not accept the documents: {why}"
    if status == 400:
        return FormatError("key-request-refused", said, broker_code=code)
    if status == 413:
        return LimitError("key-request-refused", said, broker_code=code)
    return _unavailable(f"answered with the status {status}: {why}")


def _unavailable(what: str) -> UnavailableError:
    return UnavailableError("broker-unavailable", f"the broker {what}; try again, or look at the broker")


class _Timed:
    """A connection on which every call gets what is left of one deadline."""

    def __init__(self, connection: ssl.SSLSocket, left: Callable[[], float]) -> None:
        self._connection = connection
        self._left = left

    def sendall(self, untimed: bytes) -> None:
        """Send everything, piece by piece, so that a peer who takes little at a time is noticed."""
        view = memoryview(untimed)
        for start in range(0, len(view), _CHUNK):
            self._limit()
            self._connection.sendall(view[start : start + _CHUNK])

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a reader, as `http.client` asks for it."""
        return io.BufferedReader(_Reader(self))

    def receive_into(self, buffer: memoryview) -> int:
        """Receive some bytes."""
        self._limit()
        return self._connection.recv_into(buffer)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _limit(self) -> None:
        left = self._left()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        self._connection.settimeout(left)


class _Reader(io.RawIOBase):
    """The raw side of a reader over a `_Timed` connection."""

    def __init__(self, timed: _Timed) -> None:
        self._timed = timed

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override] # typeshed: any buffer
        """Receive some bytes."""
        return self._timed.receive_into(buffer)
