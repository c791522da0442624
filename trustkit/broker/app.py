"""The HTTP face of the broker: one endpoint, ``POST /v1/release``, for peers that mutual TLS has named.

A peer that has no grant is turned away before its body is read, and takes neither
a place nor a thread from those that have one: there are few for all such peers.
Bodies are read within a cap, a time and a budget that all requests in flight
share; verification, rules and unwrapping run in a bounded pool of threads under
one deadline, and who answers is agreed with them, so that the record says what
was answered; when every place, or every place that one peer may take, is taken,
the answer is 429 at once, not a wait. Who is turned away, or asks for what is
not here, gets no second answer on the connection. Each refusal is ``{"code", "message"}`` with
the status of its class, and nothing else: no traceback, no quoted exception, no
header that names the server. The peer is what the connection proved, never what
a header says (facts: sealing-and-fetch, section 3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from trustkit.broker.config import Limits
from trustkit.broker.shares import Place, Shares
from trustkit.broker.strangers import INTERVAL_SECONDS
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
from trustkit.programs.answer import Answer
from trustkit.programs.budget import Lease
from trustkit.programs.deadline import Deadline
from trustkit.sealing.release import PATH, Refusal, refusal_to_bytes
from trustkit.spiffe.names import SpiffeID

T = TypeVar("T")

_JSON = "application/json"
_DOORSTEP = 4
"""For each so many places of peers that have a grant there is one for those that have none."""
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
        """Record or count that a peer came that is not known, and return why it is refused; or raise."""

    def catch_up(self, *, everything: bool) -> bool:
        """Record what was counted, as far as it is time or all; say whether more is to come, or raise."""

    def release(
        self, peer: SpiffeID, untrusted_body: bytes, deadline: Deadline, answer: Answer[TrustkitError], /
    ) -> bytes:
        """Return the body of the answer, or raise; what the two sides agree on is recorded last."""


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
        why = UsageError("no-such-endpoint", f"there is only POST {PATH} here")
        return _last(_refusal(why, error.status_code))

    return app


class _Desk:
    """Takes requests one by one and answers each under its own deadline."""

    def __init__(self, broker: Releases, limits: Limits, clock: Callable[[], float]) -> None:
        self._broker = broker
        self._limits = limits
        self._clock = clock
        self._pool = ThreadPoolExecutor(limits.workers, thread_name_prefix="release")
        places, per_peer = limits.workers + limits.queue, limits.requests_per_peer
        self._shares = Shares(places, per_peer, limits.body_budget_bytes)
        self._doorstep = _Doorstep(broker, Shares(max(1, places // _DOORSTEP), per_peer, 0))

    async def answer(self, request: Request) -> Response:
        """Answer one request; of a peer without a grant, the last one on its connection."""
        try:
            peer = _peer_of(request)
            known = self._broker.knows(peer)
        except TrustkitError as error:
            return _last(_refusal(error, _status_of(error)))
        if known:
            return await self._placed(request, peer, self._shares, self._answered)
        return _last(await self._placed(request, peer, self._doorstep.shares, self._turned_away))

    async def _placed(
        self,
        request: Request,
        peer: SpiffeID,
        shares: Shares,
        answered: Callable[[Request, Place], Awaitable[Response]],
    ) -> Response:
        """Answer in a place of these, or say that there is none."""
        try:
            place = shares.place_of(peer)
        except UnavailableError as error:
            return _refusal(error, 429)
        try:
            return await answered(request, place)
        except TrustkitError as error:
            return _refusal(error, _status_of(error))
        except ClientDisconnect:
            return _refusal(FormatError("incomplete-request", "the request ended early"), 400)
        except Exception as error:  # noqa: BLE001 - the class alone: an exception's text may quote a document
            why = f"the broker failed with {type(error).__name__}; report this"
            return _answer(refusal_to_bytes(Refusal("internal-error", why)), 500)
        finally:
            place.leave()

    async def _turned_away(self, _: Request, place: Place) -> Response:
        raise await _worked(self._doorstep.turned_away(place), self._deadline(), Answer())

    async def _answered(self, request: Request, place: Place) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
            raise FormatError("bad-content-type", f"send {_JSON}")
        try:
            async with asyncio.timeout(self._limits.body_timeout_seconds):
                body = await _body(request, self._limits.body_max_bytes, place.lease)
        except TimeoutError:
            return _refusal(UnavailableError("deadline", "the request did not arrive in time"), 408)
        deadline, answer = self._deadline(), Answer[TrustkitError]()
        work = asyncio.get_running_loop().run_in_executor(
            self._pool, self._broker.release, place.peer, body, deadline, answer
        )
        place.until(work)  # a thread cannot be cancelled, so its place is free only when it ends
        return _answer(await _worked(work, deadline, answer), 200)

    def _deadline(self) -> Deadline:
        return Deadline(self._clock() + self._limits.deadline_seconds, self._clock)


class _Doorstep:
    """Where peers without a grant are turned away, and their record is brought up to date a minute later.

    Attributes:
        shares: Their places.
    """

    def __init__(self, broker: Releases, shares: Shares) -> None:
        self.shares = shares
        self._broker = broker
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="turn-away")
        self._due = False

    def turned_away(self, place: Place) -> asyncio.Future[TrustkitError]:
        """Turn a peer away, in a thread: there is a disk to wait for."""
        work = asyncio.get_running_loop().run_in_executor(self._pool, self._broker.turned_away, place.peer)
        place.until(work)
        self._plan()
        return work

    def _plan(self) -> None:
        """Catch up when the minute is over."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(INTERVAL_SECONDS, self._catch_up)

    def _catch_up(self) -> None:
        work = asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: self._broker.catch_up(everything=False)
        )
        work.add_done_callback(self._caught_up)

    def _caught_up(self, work: asyncio.Future[bool]) -> None:
        """Plan the next time; after a failure too, of which the operator has heard: the counts are kept."""
        self._due = False
        if work.exception() is not None or work.result():
            self._plan()


async def _worked(work: asyncio.Future[T], deadline: Deadline, answer: Answer[TrustkitError]) -> T:
    """Wait for work until its deadline, and for what it has given as the answer by then."""
    done, _ = await asyncio.wait((work,), timeout=deadline.left)
    late = deadline.late()
    if not done and answer.overrule(late):
        raise late
    return await work


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


def _last(response: Response) -> Response:
    """Make it the last answer of its connection: a peer that gets nothing here needs none."""
    response.headers["connection"] = "close"
    return response


def _answer(body: bytes, status: int) -> Response:
    headers = {"cache-control": "no-store"}
    if status in {429, 503}:
        headers["retry-after"] = "1"
    return Response(body, status, media_type=_JSON, headers=headers)
