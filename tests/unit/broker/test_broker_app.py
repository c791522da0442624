"""The HTTP face of the broker, driven as an ASGI application: statuses, caps, deadlines, the full queue."""

import asyncio
import json
import threading
import time
from dataclasses import replace

import pytest

from trustkit.broker import app as app_room
from trustkit.broker.app import broker_app
from trustkit.broker.config import Limits
from trustkit.errors import (
    DeniedError,
    FormatError,
    LimitError,
    SealError,
    UnavailableError,
    UsageError,
    VerificationError,
)
from trustkit.spiffe.names import SpiffeID

PEER = SpiffeID("demo.test", "/sidecar")
LIMITS = Limits(
    body_max_bytes=1000,
    body_timeout_seconds=5.0,
    deadline_seconds=5.0,
    workers=2,
    queue=2,
    requests_per_peer=4,
    body_budget_bytes=4000,
)
STRANGER = SpiffeID("demo.test", "/stranger")
OTHER = SpiffeID("demo.test", "/other")


class Stub:
    """Says what it is told, when it is told: what the HTTP face needs of a broker, and no more."""

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Semaphore(0)
        self.raises = None
        self.asked = []
        self.away = []
        self.caught_up = threading.Semaphore(0)
        self.more = iter(())
        self.fails = False

    def knows(self, peer):
        return peer != STRANGER

    def turned_away(self, peer):
        self.away.append(peer)
        self.started.release()
        assert self.gate.wait(20)
        if self.raises is not None:
            raise self.raises
        return DeniedError("no-grant", "nobody knows you")

    def catch_up(self, *, everything):
        assert not everything
        self.caught_up.release()
        if self.fails:
            raise UnavailableError("record-failed", "m")
        return next(self.more)

    def release(self, peer, body, deadline, answer):
        self.asked.append((peer, body, deadline.left))
        self.started.release()
        assert self.gate.wait(20)
        if answer.give() is not None:
            raise answer.late
        if self.raises is not None:
            raise self.raises
        return b'{"answer":true}'


@pytest.fixture
def stub():
    made = Stub()
    yield made
    made.gate.set()


async def post(
    app, chunks, *, path="/v1/release", method="POST", headers=(), peer=PEER, content_type=b"application/json"
):
    sent = []
    pending = [*chunks]

    async def receive():
        if not pending:
            await asyncio.Event().wait()  # a client that sends nothing more
        chunk = pending.pop(0)
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": bool(pending) or chunk == b"forever"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "https",
        "headers": [(b"content-type", content_type), *headers],
        "client": None,
        "server": None,
        "extensions": {"trustkit": {"peer": peer}} if peer is not None else {},
    }
    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), json.loads(body)


def app_of(stub, **limits):
    return broker_app(stub, replace(LIMITS, **limits), clock=time.monotonic)


def ask(app, *chunks, **more):
    return asyncio.run(post(app, chunks or (b"{}",), **more))


def test_an_answer_and_who_asked(stub):
    status, headers, body = ask(app_of(stub), b"a", b"b")
    assert (status, body) == (200, {"answer": True})
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"content-type"] == b"application/json"
    [(peer, sent, left)] = stub.asked
    assert (peer, sent) == (PEER, b"ab")
    assert 0 < left <= 5.0


def test_headers_name_nobody(stub):
    other = (b"x-forwarded-client-cert", b"URI=spiffe://demo.test/other")
    assert ask(app_of(stub), headers=[other, (b"x-spiffe-id", b"spiffe://demo.test/other")])[0] == 200
    assert stub.asked[0][0] == PEER


def test_without_an_identity_there_is_no_answer(stub):
    status, _, body = ask(app_of(stub), peer=None)
    assert (status, body["code"]) == (403, "no-peer")
    assert ask(app_of(stub), peer="spiffe://demo.test/sidecar")[0] == 403
    assert stub.asked == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (FormatError("bad-json", "m"), 400),
        (VerificationError("wrong-signer", "m"), 403),
        (DeniedError("no-grant", "m"), 403),
        (SealError("no-matching-opener", "m"), 403),
        (LimitError("too-large", "m"), 413),
        (UnavailableError("record-failed", "m"), 503),
        (UsageError("bad-config", "m"), 500),
    ],
)
def test_each_class_has_its_status_and_keeps_its_code(stub, error, status):
    stub.raises = error
    assert ask(app_of(stub))[::2] == (status, {"code": error.code, "message": "m"})


def test_a_bug_says_its_class_alone(stub):
    stub.raises = RuntimeError("the secret")
    status, _, body = ask(app_of(stub))
    assert (status, body["code"]) == (500, "internal-error")
    assert "RuntimeError" in body["message"]
    assert "secret" not in json.dumps(body)


def test_messages_hold_one_harmless_line(stub):
    stub.raises = DeniedError("no-grant", "a\x1b[2J\nb")
    assert ask(app_of(stub))[2]["message"] == "a?[2J?b"


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/", "GET", 404), ("/v1/release", "GET", 405), ("/v1/release/", "POST", 404), ("/docs", "GET", 404)],
)
def test_there_is_one_endpoint(stub, path, method, status):
    found, _, body = ask(app_of(stub), path=path, method=method)
    assert (found, body["code"]) == (status, "no-such-endpoint")


@pytest.mark.parametrize("kind", [b"", b"text/plain", b"application/jsonx"])
def test_other_content_is_not_read(stub, kind):
    status, _, body = ask(app_of(stub), content_type=kind)
    assert (status, body["code"]) == (400, "bad-content-type")
    assert stub.asked == []


@pytest.mark.parametrize(
    ("chunks", "headers"),
    [
        ([b"x" * 1001], []),
        ([b"x" * 600, b"x" * 600], []),
        ([b"forever"], [(b"content-length", b"1001")]),
        ([b"forever"], [(b"content-length", b"9" * 5000)]),
    ],
)
def test_a_body_above_the_cap_is_not_taken(stub, chunks, headers):
    status, _, body = ask(app_of(stub), *chunks, headers=headers)
    assert (status, body["code"]) == (413, "too-large")
    assert stub.asked == []


def test_a_body_at_the_cap_is_taken(stub):
    assert ask(app_of(stub), b"x" * 1000, headers=[(b"content-length", b"1000")])[0] == 200


def test_a_body_that_does_not_arrive_is_given_up(stub):
    status, _, body = ask(app_of(stub, body_timeout_seconds=0.05), b"forever")
    assert (status, body["code"]) == (408, "deadline")
    assert stub.asked == []


def test_a_client_that_leaves_gives_its_place_back(stub):
    app = app_of(stub, workers=1, queue=1)
    for _ in range(5):
        status, _, body = ask(app, b"forever", None)
        assert (status, body["code"]) == (400, "incomplete-request")
    assert ask(app)[0] == 200


def test_an_answer_that_comes_too_late_is_unavailable(stub):
    stub.gate.clear()
    status, _, body = ask(app_of(stub, deadline_seconds=0.05))
    assert (status, body["code"]) == (503, "deadline")


def test_a_full_queue_is_told_at_once_and_frees_itself(stub):
    async def crowd():
        app = app_of(stub, deadline_seconds=20.0)
        stub.gate.clear()
        waiting = [asyncio.create_task(post(app, [b"{}"])) for _ in range(4)]
        for _ in range(2):
            await asyncio.to_thread(stub.started.acquire)
        status, headers, body = await post(app, [b"{}"])
        assert (status, body["code"]) == (429, "busy")
        assert headers[b"retry-after"] == b"1"
        stub.gate.set()
        assert [status for status, _, _ in await asyncio.gather(*waiting)] == [200] * 4
        assert (await post(app, [b"{}"]))[0] == 200

    asyncio.run(crowd())


def test_a_place_is_free_only_when_its_thread_has_ended(stub):
    """Who was told *too late* still costs a thread; else a slow disk would let the queue grow without end."""

    async def crowd():
        app = app_of(stub, workers=1, queue=1, deadline_seconds=0.05)
        stub.gate.clear()
        late = await asyncio.gather(post(app, [b"{}"]), post(app, [b"{}"]))
        assert [status for status, _, _ in late] == [503, 503]
        assert (await post(app, [b"{}"]))[0] == 429
        stub.raises = DeniedError("no-grant", "nobody hears this")
        stub.gate.set()
        while (await post(app, [b"{}"]))[0] == 429:  # noqa: ASYNC110 - places are freed without a word
            await asyncio.sleep(0.01)

    asyncio.run(crowd())


def test_bodies_that_wait_take_places_too(stub):
    async def crowd():
        app = app_of(stub, workers=1, queue=1, body_timeout_seconds=1.0)
        slow = [asyncio.create_task(post(app, [b"forever"])) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (await post(app, [b"{}"]))[0] == 429
        assert [status for status, _, _ in await asyncio.gather(*slow)] == [408, 408]
        assert (await post(app, [b"{}"]))[0] == 200

    asyncio.run(crowd())


def test_who_has_no_grant_is_turned_away_before_anything_is_read(stub):
    for content_type in (b"application/json", b"text/plain"):
        status, _, body = ask(app_of(stub), b"forever", peer=STRANGER, content_type=content_type)
        assert (status, body) == (403, {"code": "no-grant", "message": "nobody knows you"})
    assert (stub.away, stub.asked) == ([STRANGER] * 2, [])


def test_a_refusal_that_cannot_be_recorded_is_none(stub):
    stub.raises = UnavailableError("record-failed", "m")
    status, headers, body = ask(app_of(stub), b"forever", peer=STRANGER)
    assert (status, body["code"]) == (503, "record-failed")
    assert headers[b"retry-after"] == b"1"


def test_turning_away_takes_a_place_until_it_is_recorded(stub):
    async def crowd():
        app = app_of(stub, deadline_seconds=0.05)
        stub.gate.clear()
        assert (await post(app, [], peer=STRANGER))[2]["code"] == "deadline"
        status, headers, body = await post(app, [], peer=STRANGER)
        assert (status, body["code"], headers[b"retry-after"]) == (429, "busy", b"1")
        stub.gate.set()
        while (await post(app, [], peer=STRANGER))[0] == 429:  # noqa: ASYNC110 - freed without a word
            await asyncio.sleep(0.01)

    asyncio.run(crowd())


def test_strangers_take_neither_a_place_nor_a_thread_from_those_that_have_a_grant(stub):
    """A record that hangs holds all that strangers have; of the others, as many get in as before."""

    async def crowd():
        app = app_of(stub, workers=4, queue=4, deadline_seconds=20.0, requests_per_peer=8)
        hanging, stub.turned_away = threading.Event(), lambda peer: hanging.wait(20) and LATE
        strangers = [asyncio.create_task(post(app, [], peer=STRANGER)) for _ in range(9)]
        refused = [(await strangers.pop())[0] for _ in range(7)]
        assert refused == [429] * 7  # nine came, and there is a quarter of eight places
        stub.gate.clear()
        waiting = [asyncio.create_task(post(app, [b"{}"])) for _ in range(8)]
        for _ in range(4):
            assert await asyncio.to_thread(stub.started.acquire, timeout=10)
        assert (await post(app, [b"{}"]))[0] == 429
        stub.gate.set()
        assert [status for status, _, _ in await asyncio.gather(*waiting)] == [200] * 8
        hanging.set()
        assert [status for status, _, _ in await asyncio.gather(*strangers)] == [403, 403]

    asyncio.run(crowd())


LATE = DeniedError("no-grant", "at last")


def test_what_was_counted_is_written_a_while_later_and_as_long_as_there_is_more(stub, monkeypatch):
    monkeypatch.setattr(app_room, "INTERVAL_SECONDS", 0.02)

    async def while_they_come():
        app = app_of(stub)
        stub.more = iter([True, True, False])
        for _ in range(3):
            assert (await post(app, [], peer=STRANGER))[0] == 403
        for _ in range(3):
            assert await asyncio.to_thread(stub.caught_up.acquire, timeout=10)
        await asyncio.sleep(0.1)
        assert not stub.caught_up.acquire(blocking=False)
        stub.fails = True
        assert (await post(app, [], peer=STRANGER))[0] == 403
        for _ in range(2):  # a record that fails is tried again
            assert await asyncio.to_thread(stub.caught_up.acquire, timeout=10)
        stub.more, stub.fails = iter([False]), False

    asyncio.run(while_they_come())


def test_who_has_a_grant_never_makes_it_catch_up(stub, monkeypatch):
    monkeypatch.setattr(app_room, "INTERVAL_SECONDS", 0.0)

    async def calm():
        assert (await post(app_of(stub), [b"{}"]))[0] == 200
        await asyncio.sleep(0.05)
        assert not stub.caught_up.acquire(blocking=False)

    asyncio.run(calm())


def test_one_peer_cannot_take_the_places_of_all(stub):
    async def crowd():
        app = app_of(stub, requests_per_peer=2, body_timeout_seconds=1.0)
        slow = [asyncio.create_task(post(app, [b"forever"])) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        status, headers, body = await post(app, [b"{}"])
        assert (status, body["code"], headers[b"retry-after"]) == (429, "busy", b"1")
        assert str(PEER) in body["message"]
        assert (await post(app, [b"{}"], peer=OTHER))[0] == 200
        assert [status for status, _, _ in await asyncio.gather(*slow)] == [408, 408]
        assert (await post(app, [b"{}"]))[0] == 200

    asyncio.run(crowd())


def test_bodies_share_a_budget_that_comes_back(stub):
    third = SpiffeID("demo.test", "/third")

    async def crowd():
        app = app_of(stub, body_budget_bytes=2000, deadline_seconds=20.0, workers=3)
        stub.gate.clear()
        first = [asyncio.create_task(post(app, [b"x" * 900], peer=peer)) for peer in (PEER, OTHER)]
        for _ in first:
            await asyncio.to_thread(stub.started.acquire)
        status, headers, body = await post(app, [b"x" * 201], peer=third)
        assert (status, body["code"], headers[b"retry-after"]) == (503, "overloaded", b"1")
        second = asyncio.create_task(post(app, [b"x" * 200], peer=third))
        await asyncio.to_thread(stub.started.acquire)
        stub.gate.set()
        assert [status for status, _, _ in await asyncio.gather(*first, second)] == [200] * 3
        assert (await post(app, [b"x" * 1000]))[0] == 200

    asyncio.run(crowd())


def test_one_peer_never_holds_more_than_half_so_another_always_gets_on(stub):
    """Four large requests of one peer that never end once kept everybody out for as long as they lasted."""

    async def crowd():
        app = app_of(stub, body_budget_bytes=2000, body_timeout_seconds=20.0)
        greedy = [asyncio.create_task(post(app, [b"x" * 493, b"forever"])) for _ in range(2)]
        for _ in range(20):
            await asyncio.sleep(0)
        status, _, body = await post(app, [b"x"])
        assert (status, body["code"]) == (503, "overloaded")
        assert (await post(app, [b"x" * 1000], peer=OTHER))[0] == 200
        for task in greedy:
            task.cancel()
        await asyncio.gather(*greedy, return_exceptions=True)
        assert (await post(app, [b"x" * 1000]))[0] == 200

    asyncio.run(crowd())


def test_bytes_are_held_until_the_thread_has_ended(stub):
    async def crowd():
        app = app_of(stub, body_budget_bytes=2000, deadline_seconds=0.05)
        stub.gate.clear()
        assert (await post(app, [b"x" * 600]))[0] == 503
        assert (await post(app, [b"x" * 600]))[2]["code"] == "overloaded"
        stub.gate.set()
        while (await post(app, [b"x" * 600]))[0] == 503:  # noqa: ASYNC110 - freed without a word
            await asyncio.sleep(0.01)

    asyncio.run(crowd())
