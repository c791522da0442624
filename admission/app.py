"""The HTTP face of the webhook: ``/mutate`` and ``/validate`` over TLS, health on a plain port of its own.

Bodies are read raw, within a cap, a deadline and a budget that all requests in
flight share; judging runs in a bounded pool of threads, and when its queue is
full the answer is a denial at once, not a wait. What is large is read and judged
in a small pool of its own, with a queue and a budget of its own, so that it keeps
neither probes nor others waiting, nor takes their places; Python runs one thread
at a time, and few of them take turns. Whatever cannot be read as a request gets an
HTTP error, never a 200 that allows (facts: threats, E01, E02, E15, E20).

What is turned away because we are busy is counted and not recorded: a disk that
had to sync each of them would keep us busier (`admission.overload`, T15 of the threat model).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from fastapi import FastAPI, Request, Response

from admission.deadline import deadline_in
from admission.decide import Hook, Judge, Verdict, denial
from admission.overload import TurnedAway
from admission.review import MAX_BYTES, Review, parse_review, response_to_bytes, shown
from trustkit.errors import FormatError, LimitError, TrustkitError, UnavailableError
from trustkit.programs.answer import Answer
from trustkit.programs.budget import Budget, Lease
from trustkit.programs.deadline import Deadline

_JSON = "application/json"
_MARGIN_SECONDS = 0.5
"""What is kept of the API server's own timeout for the way back."""
BUDGET_BYTES = 8 * MAX_BYTES
"""Most bytes of large bodies that are held at once; a parsed object takes several times its bytes."""
SMALL_BUDGET_BYTES = MAX_BYTES
"""Most bytes of bodies that say that they are small, which no large one can take."""

LARGE_BYTES = 64 * 1024
"""Beyond this a review is read by a thread; hardly any object is so large."""
LARGE_WORKERS = 1
"""Threads for large reviews: a second one would take time from all others, and answer none sooner."""
LARGE_QUEUE = 8
"""Most large reviews that wait for it; what stands further back would be late, and only hold memory."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request, and all of them together, may take."""

    deadline_seconds: float
    body_timeout_seconds: float
    workers: int
    queue: int


def webhook_app(
    judge: Judge, limits: Limits, *, clock: Callable[[], float], alarm: Callable[[TrustkitError], None]
) -> FastAPI:
    """Build the application that the API server calls.

    Args:
        judge: Decides; must be safe to call from several threads.
        limits: Deadlines and the size of pool and queue.
        clock: A monotonic clock.
        alarm: Told how many reviews were turned away.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    desk = _Desk(judge, limits, clock, TurnedAway(alarm))

    @app.post("/mutate")
    async def mutate(request: Request) -> Response:
        """Judge as the mutating hook."""
        return await desk.answer(request, "mutate")

    @app.post("/validate")
    async def validate(request: Request) -> Response:
        """Judge as the validating hook, which has the last word."""
        return await desk.answer(request, "validate")

    return app


def health_app(ready: Callable[[], bool]) -> FastAPI:
    """Build the application of the plain health port: it says whether we live and whether we can judge."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/healthz")
    async def healthz() -> Response:
        """Say that the process lives."""
        return Response("ok\n", media_type="text/plain")

    @app.get("/readyz")
    async def readyz() -> Response:
        """Say whether requests are judged."""
        return Response("ready\n", media_type="text/plain") if ready() else Response("not ready\n", 503)

    return app


@dataclass(slots=True)
class _Case:
    """One request on its way: its bytes until they are read, then the review in them."""

    raw: bytes
    hook: Hook
    deadline: Deadline
    review: Review | None = None
    answer: Answer[Verdict] = field(default_factory=Answer)

    def read(self) -> Review:
        """Return the review; raises as `parse_review` does."""
        if self.review is None:
            self.review, self.raw = parse_review(self.raw), b""
        return self.review


class _Pool:
    """Threads, and so many places to be judged or to wait; the event loop's thread alone counts them."""

    def __init__(self, workers: int, queue: int, budget_bytes: int, name: str) -> None:
        self.threads = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self.left = workers + queue
        self.budget = Budget(budget_bytes)


class _Desk:
    """Takes requests one by one and answers each under its own deadline."""

    def __init__(
        self, judge: Judge, limits: Limits, clock: Callable[[], float], turned_away: TurnedAway
    ) -> None:
        self._judge = judge
        self._limits = limits
        self._clock = clock
        self._turned_away = turned_away
        self._small = _Pool(limits.workers, limits.queue, SMALL_BUDGET_BYTES, "judge")
        self._large = _Pool(LARGE_WORKERS, LARGE_QUEUE, BUDGET_BYTES, "judge-large")

    async def answer(self, request: Request, hook: Hook) -> Response:
        """Answer one request of the API server, or refuse to read it."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
            return _error(415, "bad-review", f"send {_JSON}")
        deadline = deadline_in(self._seconds(request), self._clock)
        lease = Lease((self._small if _says_it_is_small(request) else self._large).budget)
        try:
            async with asyncio.timeout(self._limits.body_timeout_seconds):
                case = _Case(await _body(request, lease), hook, deadline)
            return await self._answer(case, lease)
        except TimeoutError:
            return _error(408, "deadline", "the request did not arrive in time")
        except UnavailableError as error:
            if error.code == "overloaded":
                self._turned_away.count()
            return _error(503, error.code, error.message)
        except LimitError as error:
            return _error(413, error.code, error.message)
        except FormatError as error:
            return _error(400, error.code, error.message)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no answer that allows
            return _error(500, "internal-error", f"the webhook failed with {type(error).__name__}")
        finally:
            lease.give_back()

    def _seconds(self, request: Request) -> float:
        """Ours, or the API server's (it sends ``?timeout=10s``) less the way back, whichever is shorter."""
        sent = request.query_params.get("timeout", "")
        try:
            theirs = float(sent.removesuffix("s")) - _MARGIN_SECONDS if len(sent) < 16 else 0.0
        except ValueError:
            return self._limits.deadline_seconds
        return min(self._limits.deadline_seconds, max(theirs, _MARGIN_SECONDS))

    async def _answer(self, case: _Case, lease: Lease) -> Response:
        """Read what is small here, and leave the rest to a thread: nobody else waits for it then."""
        large = len(case.raw) > LARGE_BYTES
        pool = self._large if large else self._small
        if pool.left <= 0:
            if large:
                raise UnavailableError("overloaded", "the webhook is busy; try again")
            self._turned_away.count()
            return _answered(case.read(), denial("overloaded", "the webhook is busy"))
        if not large:
            case.read()
        verdict = await self._verdict(case, pool, lease)
        return _answered(case.read(), verdict)

    async def _verdict(self, case: _Case, pool: _Pool, lease: Lease) -> Verdict:
        pool.left -= 1
        # A thread cannot be cancelled: its place in the queue and its bytes are free only when it ends.
        kept = lease.pass_on()
        work = asyncio.get_running_loop().run_in_executor(pool.threads, self._judged, case)
        work.add_done_callback(lambda _: _done(pool, kept))
        try:
            return await asyncio.wait_for(asyncio.shield(work), case.deadline.left)
        except TimeoutError:
            late = denial("deadline", "the evidence could not be gathered in time")
            if not case.answer.overrule(late):
                return await work  # it is over: the verdict is recorded
            if case.review is None:
                raise case.deadline.late() from None  # there is no uid yet to answer to
            return late

    def _judged(self, case: _Case) -> Verdict:
        return self._judge.judge(case.read(), case.hook, case.deadline, case.answer)


def _done(pool: _Pool, kept: Lease) -> None:
    pool.left += 1
    kept.give_back()


def _says_it_is_small(request: Request) -> bool:
    """Read what the server holds a body to; one that says nothing of its length may be large."""
    claimed = request.headers.get("content-length", "")
    if "transfer-encoding" in request.headers:
        return False
    return claimed.isascii() and claimed.isdigit() and len(claimed) < 16 and int(claimed) <= LARGE_BYTES


async def _body(request: Request, lease: Lease) -> bytes:
    """Read the body within the cap, whatever length it claims."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BYTES:
            raise LimitError(
                "too-large", f"the AdmissionReview is larger than {MAX_BYTES} bytes", limit=MAX_BYTES
            )
        lease.take(len(chunk))
        chunks.append(chunk)
    return b"".join(chunks)


def _answered(review: Review, verdict: Verdict) -> Response:
    busy = any(violation.code == "overloaded" for violation in verdict.violations)
    body = response_to_bytes(
        review.uid,
        allowed=verdict.allowed,
        status_code=429 if busy else 403,
        message=verdict.message,
        patch=verdict.patch,
        warnings=verdict.warnings,
        audit=dict(verdict.audit),
    )
    return Response(body, media_type=_JSON)


def _error(status: int, code: str, message: str) -> Response:
    return Response(f"[{code}] {shown(message)}\n", status, media_type="text/plain")
