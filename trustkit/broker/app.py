"""The HTTP face of the broker: one endpoint, ``POST /v1/release``, for peers that mutual TLS has named.

A peer that has no grant is turned away before its body is read. Bodies are read
within a cap, a time and a budget that all requests in flight share; verification,
rules and unwrapping run in a bounded pool of threads under one deadline; when
every place, or every place that one peer may take, is taken, the answer is 429
at once, not a wait. Each refusal is ``{"code", "message"}`` with
the status of its class, and nothing else: no traceback, no quoted exception, no
header that names the server. The peer is what the connection proved, never what
a header says (facts: sealing-and-fetch, section 3).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from trustkit.broker.config import Limits
from trustkit.errors import (
    DeniedError,
    FormatError,
    LimitError,
    SealError,
    TrustkitError,
    UnavailableError,
    UsageError,
    VerificationError,
)
from trustkit.programs.budget import Budget, Lease
from trustkit.programs.deadline import Deadline
from trustkit.sealing.release import PATH, Refusal, refusal_to_bytes
from trustkit.spiffe.names import SpiffeID

T = TypeVar("T")

_JSON = "application/json"
_STATUS: tuple[tuple[type[TrustkitError], int], ...] = (
    (FormatError, 400),
    (VerificationError, 403),
    (DeniedError, 403),
    (SealError, 403),
    (LimitError, 413),
    (UnavailableError, 503),
)
"""What a class of errors is in HTTP; any other class is a mistake of the broker's own."""


class Releases(Protocol):
    """What answers requests; `trustkit.broker.release.Broker` does."""

    def knows(self, peer: SpiffeID, /) -> bool:
        """Say at once whether this peer's requests are read."""

    def turned_away(self, peer: SpiffeID, /) -> TrustkitError:
        """Record that a peer came that is not known, and return why it is refused; or raise."""

    def release(self, peer: SpiffeID, untrusted_body: bytes, deadline: Deadline, /) -> bytes:
        """Return the body of the answer, or raise."""


def broker_app(broker: Releases, limits: Limits, *, clock: Callable[[], float]) -> FastAPI:
    """Build the application.

    Args:
        broker: Decides and releases; must be safe to call from several threads.
        limits: Cap, times, and the size of pool and queue.
        clock: A monotonic clock.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    desk = _Desk(broker, limits, clock)

    @app.post(PATH)
    async def release(request: Request) -> Response:
        """Answer one request for a key."""
        return await desk.answer(request)

    @app.exception_handler(HTTPException)
    async def elsewhere(_: Request, error: HTTPException) -> Response:
        """Answer whatever is asked at another address."""
        return _refusal(UsageError("no-such-endpoint", f"there is only POST {PATH} here"), error.status_code)

    return app


class _Desk:
    """Takes requests one by one and answers each under its own deadline."""

    def __init__(self, broker: Releases, limits: Limits, clock: Callable[[], float]) -> None:
        self._broker = broker
        self._limits = limits
        self._clock = clock
        self._pool = ThreadPoolExecutor(limits.workers, thread_name_prefix="release")
        self._taken: Counter[SpiffeID] = Counter()
        self._budget = Budget(limits.body_budget_bytes)

    async def answer(self, request: Request) -> Response:
        """Answer one request, or say that there is no place for it."""
        try:
            peer = _peer_of(request)
            # Places are counted from the first byte of a body: bodies that wait are what fills the memory.
            if self._taken.total() >= self._limits.workers + self._limits.queue:
                return _refusal(UnavailableError("busy", "the broker is busy; try again"), 429)
            if self._taken[peer] >= self._limits.requests_per_peer:
                return _refusal(UnavailableError("busy", f"{peer} asks for too much at once; try again"), 429)
            place = _Place(self._taken, peer, Lease(self._budget))
            try:
                return await self._answered(request, place)
            finally:
                place.leave()
        except TrustkitError as error:
            return _refusal(error, _status_of(error))
        except ClientDisconnect:
            return _refusal(FormatError("incomplete-request", "the request ended early"), 400)
        except Exception as error:  # noqa: BLE001 - the class alone: an exception's text may quote a document
            why = f"the broker failed with {type(error).__name__}; report this"
            return _answer(refusal_to_bytes(Refusal("internal-error", why)), 500)

    async def _answered(self, request: Request, place: _Place) -> Response:
        if not self._broker.knows(place.peer):
            raise await self._worked(place, lambda: self._broker.turned_away(place.peer), self._deadline())
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
            raise FormatError("bad-content-type", f"send {_JSON}")
        try:
            async with asyncio.timeout(self._limits.body_timeout_seconds):
                body = await _body(request, self._limits.body_max_bytes, place.lease)
        except TimeoutError:
            return _refusal(UnavailableError("deadline", "the request did not arrive in time"), 408)
        deadline = self._deadline()
        answer = await self._worked(place, lambda: self._broker.release(place.peer, body, deadline), deadline)
        return _answer(answer, 200)

    def _deadline(self) -> Deadline:
        return Deadline(self._clock() + self._limits.deadline_seconds, self._clock)

    async def _worked(self, place: _Place, work: Callable[[], T], deadline: Deadline) -> T:
        working = asyncio.get_running_loop().run_in_executor(self._pool, work)
        place.until(working)  # a thread cannot be cancelled, so its place is free only when it ends
        done, _ = await asyncio.wait((working,), timeout=deadline.left)
        if not done:
            raise deadline.late()
        return working.result()


class _Place:
    """A place among the requests in flight: left when one is answered and its thread has ended.

    Attributes:
        peer: Whose it is.
        lease: The bytes it holds.
    """

    def __init__(self, taken: Counter[SpiffeID], peer: SpiffeID, lease: Lease) -> None:
        self.peer = peer
        self.lease = lease
        self._taken = taken
        self._taken[peer] += 1
        self._work: asyncio.Future[Any] | None = None

    def until(self, work: asyncio.Future[Any]) -> None:
        """Keep the place until this work ends."""
        self._work = work

    def leave(self) -> None:
        """Leave the place, now or when the work ends."""
        if self._work is None or self._work.done():
            self._free()
        else:
            self._work.add_done_callback(self._ended)

    def _ended(self, work: asyncio.Future[Any]) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            work.exception()  # nobody waits for it any more, and asyncio must not report it
        self._free()

    def _free(self) -> None:
        self.lease.give_back()
        self._taken[self.peer] -= 1
        if not self._taken[self.peer]:
            del self._taken[self.peer]


def _peer_of(request: Request) -> SpiffeID:
    """The identity that the server put there after the handshake; without one there is nothing to decide."""
    peer = request.scope.get("extensions", {}).get("trustkit", {}).get("peer")
    if not isinstance(peer, SpiffeID):
        raise VerificationError("no-peer", "the connection proved no SPIFFE ID; use mutual TLS")
    return peer


async def _body(request: Request, max_bytes: int, lease: Lease) -> bytes:
    """Read the body within the cap, whatever length it claims; one that claims more is not read at all."""
    claimed = request.headers.get("content-length", "")
    if claimed.isdecimal() and (len(claimed) > 18 or int(claimed) > max_bytes):
        raise _too_large(max_bytes)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        lease.take(len(chunk))
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(max_bytes: int) -> LimitError:
    return LimitError("too-large", f"the release request is larger than {max_bytes} bytes", limit=max_bytes)


def _status_of(error: TrustkitError) -> int:
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def _refusal(error: TrustkitError, status: int) -> Response:
    return _answer(refusal_to_bytes(Refusal(error.code, error.message)), status)


def _answer(body: bytes, status: int) -> Response:
    headers = {"cache-control": "no-store"}
    if status in {429, 503}:
        headers["retry-after"] = "1"
    return Response(body, status, media_type=_JSON, headers=headers)
