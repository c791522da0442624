"""The HTTP face, driven as an ASGI application: statuses, deadlines, the full queue, the uid."""

import asyncio
import json
import threading
import time

import pytest

from admission import app as room
from admission.app import BUDGET_BYTES, LARGE_BYTES, LARGE_WORKERS, Limits, health_app, webhook_app
from admission.decide import Verdict, denial
from admission.review import MAX_BYTES
from trustkit import strictjson


class Judge:
    """Answers with what it is told, when it is told."""

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.deadlines = []
        self.started = threading.Semaphore(0)

    def judge(self, review, hook, deadline, answer):
        self.deadlines.append(deadline.left)
        self.started.release()
        self.gate.wait(10)
        return Verdict(allowed=True) if hook == "mutate" else denial("unsigned", "no signature")


LIMITS = Limits(deadline_seconds=4.5, body_timeout_seconds=5.0, workers=2, queue=2)


@pytest.fixture
def judge():
    return Judge()


async def post(
    app, chunks, path="/mutate", content_type=b"application/json", query=b"", method="POST", headers=()
):
    sent = []
    pending = [*chunks]

    async def receive():
        if not pending:
            await asyncio.Event().wait()  # a client that sends nothing more
        body = pending.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(pending) or body == b"forever"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": query, "root_path": "", "scheme": "https",
        "headers": [(b"content-type", content_type), *headers], "client": None, "server": None,
    }  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def ask(app, *chunks, **more):
    return asyncio.run(post(app, chunks, **more))


@pytest.fixture
def raw(tools):
    return strictjson.to_bytes(tools.review(tools.pod("--model", "x")))


def test_allowed_and_denied(judge, raw):
    app = webhook_app(judge, LIMITS, clock=time.monotonic, alarm=print)
    status, body = ask(app, raw)
    assert (status, json.loads(body)["response"]["allowed"]) == (200, True)
    status, body = ask(app, raw, path="/validate")
    response = json.loads(body)["response"]
    assert (status, response["allowed"], response["status"]["code"]) == (200, False, 403)
    assert response["status"]["message"].startswith("[unsigned] no signature; ")


@pytest.mark.parametrize(
    ("chunks", "more", "status"),
    [
        ([b""], {}, 400),
        ([b"{"], {}, 400),
        ([b"{}"], {}, 400),
        ([b"{}"], {"content_type": b"text/plain"}, 415),
        ([b"{}"], {"content_type": b""}, 415),
        ([b" " * (MAX_BYTES + 1)], {}, 413),
        ([b" " * 1_000_000] * 7, {}, 413),
        ([b"[" * 100_000], {}, 413),
        ([b"{}"], {"path": "/"}, 404),
        ([b"{}"], {"path": "/docs", "method": "GET"}, 404),
        ([b""], {"method": "GET"}, 405),
    ],
)
def test_what_is_no_request_is_never_a_200(judge, chunks, more, status):
    assert ask(webhook_app(judge, LIMITS, clock=time.monotonic, alarm=print), *chunks, **more)[0] == status


def test_a_body_that_never_ends_times_out(judge):
    limits = Limits(4.5, 0.05, 2, 2)
    assert ask(webhook_app(judge, limits, clock=time.monotonic, alarm=print), b"forever")[0] == 408


@pytest.mark.parametrize(
    ("query", "most"),
    [(b"", 4.5), (b"timeout=10s", 4.5), (b"timeout=2s", 1.5), (b"timeout=1s", 0.5), (b"timeout=0s", 0.5),
     (b"timeout=x", 4.5), (b"timeout=-5s", 0.5), (b"timeout=nan", 4.5), (b"timeout=" + b"9" * 99, 0.5)],
)  # fmt: skip
def test_our_deadline_is_below_the_api_servers(judge, raw, query, most):
    ask(webhook_app(judge, LIMITS, clock=time.monotonic, alarm=print), raw, query=query)
    assert most - 0.2 <= judge.deadlines[0] <= most


def test_late_is_denied(judge, raw):
    judge.gate.clear()
    _, body = ask(webhook_app(judge, Limits(0.05, 5, 1, 1), clock=time.monotonic, alarm=print), raw)
    judge.gate.set()
    assert "[deadline]" in json.loads(body)["response"]["status"]["message"]


def test_a_full_queue_is_denied_at_once_and_frees_itself(judge, raw):
    judge.gate.clear()

    async def crowd():
        app = webhook_app(judge, LIMITS, clock=time.monotonic, alarm=print)
        held = [asyncio.create_task(post(app, [raw])) for _ in range(4)]
        for _ in range(LIMITS.workers):
            await asyncio.to_thread(judge.started.acquire)
        begun = time.monotonic()
        shed = [await post(app, [raw]) for _ in range(20)]
        took = time.monotonic() - begun
        judge.gate.set()
        answered = await asyncio.gather(*held)
        return shed, took, answered, await post(app, [raw])

    shed, took, answered, after = asyncio.run(crowd())
    for status, body in shed:
        response = json.loads(body)["response"]
        assert (status, response["allowed"], response["status"]["code"]) == (200, False, 429)
        assert response["status"]["reason"] == "TooManyRequests"
    assert took < 1
    assert all(json.loads(body)["response"]["allowed"] for _, body in [*answered, after])


def test_who_is_turned_away_is_counted_and_told_at_once(judge, raw):
    """No record is written of them, so somebody must hear of it: one line, and the rest in a minute."""
    judge.gate.clear()
    heard = []

    async def crowd():
        app = webhook_app(judge, LIMITS, clock=time.monotonic, alarm=heard.append)
        held = [asyncio.create_task(post(app, [raw])) for _ in range(4)]
        for _ in range(LIMITS.workers):
            await asyncio.to_thread(judge.started.acquire)
        for _ in range(20):
            await post(app, [raw])
        judge.gate.set()
        await asyncio.gather(*held)

    asyncio.run(crowd())
    [line] = heard
    assert (line.code, line.evidence) == ("overloaded", {"count": 1})
    assert line.message.startswith("too many reviews at once: 1 were denied unjudged")


def test_bodies_in_flight_share_a_budget(judge, raw):
    """Thousands of large bodies at once are an HTTP error, not memory; what is done makes room again."""
    judge.gate.clear()
    large = [raw + b" " * (MAX_BYTES - len(raw))]

    heard = []

    async def crowd():
        app = webhook_app(judge, Limits(20, 20, 2, 100), clock=time.monotonic, alarm=heard.append)
        held = [asyncio.create_task(post(app, large)) for _ in range(BUDGET_BYTES // MAX_BYTES)]
        for _ in range(LARGE_WORKERS):
            await asyncio.to_thread(judge.started.acquire)
        for _ in range(200):
            await asyncio.sleep(0)  # turns of the loop: each task that can go on does
        shed = await post(app, large)
        judge.gate.set()
        answered = await asyncio.gather(*held)
        return shed, answered, await post(app, large)

    (status, body), answered, after = asyncio.run(crowd())
    assert (status, body.startswith(b"[overloaded]")) == (503, True)
    assert [error.code for error in heard] == ["overloaded"]
    assert all(json.loads(body)["response"]["allowed"] for _, body in [*answered, after])


def says(raw):
    return [(b"content-length", str(len(raw)).encode())]


@pytest.mark.parametrize(
    ("headers", "served"),
    [
        (says, True),
        (lambda _: [], False),
        (lambda _: [(b"content-length", b"x")], False),
        (lambda _: [(b"content-length", b"9" * 99)], False),
        (lambda raw: [*says(raw), (b"transfer-encoding", b"chunked")], False),
    ],
    ids=["small", "silent", "no number", "huge", "chunked, whatever it says"],
)
def test_large_bodies_leave_room_for_those_that_say_they_are_small(judge, raw, headers, served, monkeypatch):
    """The server holds a body to its content-length; what has none is counted among the large."""
    judge.gate.clear()
    large = raw + b" " * (LARGE_BYTES + 1 - len(raw))
    monkeypatch.setattr(room, "BUDGET_BYTES", 2 * len(large))

    async def crowd():
        app = webhook_app(judge, Limits(20, 20, 2, 2), clock=time.monotonic, alarm=print)
        held = [asyncio.create_task(post(app, [large], headers=says(large))) for _ in range(2)]
        await asyncio.to_thread(judge.started.acquire)
        asked = asyncio.create_task(post(app, [raw], headers=headers(raw)))
        if served:
            await asyncio.to_thread(judge.started.acquire)
        else:
            await asked
        judge.gate.set()
        await asyncio.gather(*held)
        return await asked

    status, body = asyncio.run(crowd())
    assert (status, body.startswith(b"[overloaded]")) == ((200, False) if served else (503, True))


def test_those_that_say_they_are_small_share_a_budget_too(judge, raw, monkeypatch):
    monkeypatch.setattr(room, "SMALL_BUDGET_BYTES", len(raw))
    judge.gate.clear()

    async def crowd():
        app = webhook_app(judge, LIMITS, clock=time.monotonic, alarm=print)
        held = asyncio.create_task(post(app, [raw], headers=says(raw)))
        await asyncio.to_thread(judge.started.acquire)
        shed = await post(app, [raw], headers=says(raw))
        judge.gate.set()
        return shed, await held, await post(app, [raw], headers=says(raw))

    (status, body), *served = asyncio.run(crowd())
    assert (status, body.startswith(b"[overloaded]")) == (503, True)
    assert [status for status, _ in served] == [200, 200]


def test_what_was_refused_or_late_makes_room_as_well(judge, raw):
    async def many():
        app = webhook_app(judge, Limits(2.0, 20, 1, 1), clock=time.monotonic, alarm=print)
        for _ in range(12):
            assert (await post(app, [b"{" + b" " * (MAX_BYTES - 1)]))[0] == 400
            assert (await post(app, [b" " * MAX_BYTES, b" "]))[0] == 413
        judge.gate.clear()
        late = await post(app, [raw + b" " * (MAX_BYTES - len(raw))])
        judge.gate.set()
        return late, await post(app, [raw])

    late, after = asyncio.run(many())
    assert "[deadline]" in json.loads(late[1])["response"]["status"]["message"]
    assert after[0] == 200


def test_a_judge_that_fails_is_no_answer_that_allows(raw):
    class Broken:
        def judge(self, review, hook, deadline, answer):
            raise RuntimeError("secret")

    status, body = ask(webhook_app(Broken(), LIMITS, clock=time.monotonic, alarm=print), raw)
    assert (status, body) == (500, b"[internal-error] the webhook failed with RuntimeError\n")


def test_every_answer_bears_the_uid_of_its_request(judge, tools):
    async def many():
        app = webhook_app(judge, Limits(4.5, 5, 8, 100), clock=time.monotonic, alarm=print)
        uids = [f"uid-{n}" for n in range(60)]
        bodies = [strictjson.to_bytes(tools.review(tools.pod(), uid=uid)) for uid in uids]
        return uids, await asyncio.gather(*(post(app, [body]) for body in bodies))

    uids, answers = asyncio.run(many())
    assert [json.loads(body)["response"]["uid"] for _, body in answers] == uids


def test_health():
    for ready, status in ((True, 200), (False, 503)):
        app = health_app(lambda ready=ready: ready)
        assert ask(app, b"", path="/readyz", method="GET")[0] == status
        assert ask(app, b"", path="/healthz", method="GET")[0] == 200
        assert ask(app, b"{}", path="/mutate")[0] == 404
