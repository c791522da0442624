"""The record says what was answered, whoever answered; and what is large keeps nobody waiting."""

import asyncio
import json
import threading
import time

import pytest

from admission import app as room
from admission.app import LARGE_BYTES, LARGE_QUEUE, LARGE_WORKERS, Limits, webhook_app
from admission.decide import denial
from admission.review import MAX_BYTES, parse_review
from trustkit import strictjson
from trustkit.errors import UnavailableError
from trustkit.programs.answer import Answer

PATIENT = Limits(20.0, 20.0, 2, 2)
HASTY = Limits(0.05, 5.0, 2, 2)


async def post(app, body, path="/validate"):
    """Ask an application as a server would and return status and body."""
    sent, pending = [], [body]

    async def receive():
        if not pending:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": pending.pop(), "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "https",
        "headers": [(b"content-type", b"application/json")], "client": None, "server": None,
    }  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.fixture
def pod(world, tools):
    """A pod that the last hook allows."""
    named = tools.pod("--model", world.publish("acme/llm/1"))
    return tools.applied(named, world.ask(named).patch)


def padded(raw, size=LARGE_BYTES + 1):
    return raw + b" " * (size - len(raw))


def message_of(body):
    return json.loads(body)["response"]["status"]["message"]


class Gate:
    """Holds whoever calls until it is opened, and says when that happens."""

    def __init__(self):
        self.reached, self.open = threading.Semaphore(0), threading.Event()

    def __call__(self):
        self.reached.release()
        assert self.open.wait(20)


class Records(list):
    """What was recorded; may be slow, and says when it is done."""

    def __init__(self, slow=None):
        super().__init__()
        self.slow, self.written = slow, threading.Semaphore(0)

    def append(self, entry):
        if self.slow is not None and not self:
            super().append(entry)
            self.slow()
        else:
            super().append(entry)
        self.written.release()

    @property
    def said(self):
        return [(verdict.allowed, [v.code for v in verdict.violations]) for _, verdict in self]


DENIED = (False, ["deadline"])
ALLOWED = (True, [])


def test_an_answer_in_time_is_the_judges_and_is_recorded_once(world, tools, pod):
    world.recorded = records = Records()
    app = webhook_app(world.judge(), PATIENT, clock=time.monotonic, alarm=print)
    _, body = asyncio.run(post(app, strictjson.to_bytes(tools.review(pod))))
    assert json.loads(body)["response"]["allowed"] is True
    assert records.said == [ALLOWED]


@pytest.mark.parametrize("hook", ["validate", "mutate"])
def test_a_denial_for_lateness_is_recorded_and_the_verdict_that_nobody_heard_is_not(world, tools, pod, hook):
    gate, rules, records = Gate(), world.rules, Records()
    world.recorded = records

    def slow(facts):
        gate()
        return rules(facts)

    async def late():
        world.rules = slow
        app = webhook_app(world.judge(), HASTY, clock=time.monotonic, alarm=print)
        answer = await post(app, strictjson.to_bytes(tools.review(pod)), f"/{hook}")
        gate.open.set()
        await asyncio.to_thread(records.written.acquire)
        return answer

    status, body = asyncio.run(late())
    assert (status, message_of(body)[:10]) == (200, "[deadline]")
    assert records.said == [DENIED]


def test_a_verdict_that_is_overtaken_while_it_is_recorded_is_not_the_last_word(world, tools, pod):
    """The disk takes too long: the denial was answered, so it follows, and is what holds."""
    gate = Gate()
    world.recorded = records = Records(slow=gate)

    async def late():
        app = webhook_app(world.judge(), Limits(3.0, 20.0, 2, 2), clock=time.monotonic, alarm=print)
        answer = await post(app, strictjson.to_bytes(tools.review(pod)))
        gate.open.set()
        for _ in range(2):
            await asyncio.to_thread(records.written.acquire)
        return answer

    status, body = asyncio.run(late())
    assert (status, message_of(body)[:10]) == (200, "[deadline]")
    assert records.said == [ALLOWED, DENIED]


def test_what_is_recorded_is_answered_even_when_the_time_ran_out_just_then(world, tools, pod):
    """Nobody takes the place of a verdict that is recorded."""
    answer = Answer()
    review = parse_review(strictjson.to_bytes(tools.review(pod)))
    deadline = room.deadline_in(20, time.monotonic)
    assert world.judge().judge(review, "validate", deadline, answer).allowed
    assert answer.overrule(denial("deadline", "late")) is False
    assert answer.late is None


class Disk(list):
    """A record that has no room for an entry of one code, or for any denial."""

    def __init__(self, *full):
        super().__init__()
        self.full = set(full)

    def append(self, entry):
        codes = {violation.code for violation in entry[1].violations}
        if codes & self.full:
            raise UnavailableError("record-failed", "no space left on device")
        super().append(entry)


class Overtaken(Answer):
    """Lateness takes the judge's place at the instant when his verdict was recorded, or before."""

    def __init__(self, late, *, at_once=False):
        super().__init__()
        self.denial = late
        if at_once:
            self.overrule(late)

    def give(self):
        self.overrule(self.denial)
        return super().give()


@pytest.mark.parametrize("at_once", [True, False])
def test_a_record_whose_last_word_is_not_what_was_answered_raises_an_alarm(world, tools, pod, at_once):
    """The disk takes the allowance that nobody heard, and not the denial that was answered."""
    world.recorded = Disk("deadline")
    review, deadline = world.review(pod), room.deadline_in(20, time.monotonic)
    answer = Overtaken(denial("deadline", "late"), at_once=at_once)
    verdict = world.judge().judge(review, "validate", deadline, answer)
    assert [violation.code for violation in verdict.violations] == ["record-failed"]
    assert [verdict.allowed for _, verdict in world.recorded] == ([] if at_once else [True])
    [alarm] = world.alarms
    assert (alarm.code, alarm.evidence) == ("record-failed", {"uid": review.uid})
    assert "no space left on device" in alarm.message


def test_a_record_that_says_what_was_answered_raises_none(world, tools, pod):
    review, deadline = world.review(pod), room.deadline_in(20, time.monotonic)
    late = denial("deadline", "late")
    for answer in (Answer(), Overtaken(late), Overtaken(late, at_once=True)):
        world.judge().judge(review, "validate", deadline, answer)
    assert [verdict.allowed for _, verdict in world.recorded] == [True, True, False, False]
    assert world.alarms == []


def test_who_was_overruled_before_he_began_records_only_that(world, tools, pod):
    answer, late = Answer(), denial("deadline", "late")
    assert answer.overrule(late) is True
    review = parse_review(strictjson.to_bytes(tools.review(pod)))
    verdict = world.judge().judge(review, "validate", room.deadline_in(20, time.monotonic), answer)
    assert verdict is late
    assert [entry[1] for entry in world.recorded] == [late]


@pytest.fixture
def reading(monkeypatch):
    """Hold every large review while it is parsed; small ones are parsed as always."""
    gate = Gate()

    def held(raw):
        if len(raw) > LARGE_BYTES:
            gate()
        return parse_review(raw)

    monkeypatch.setattr(room, "parse_review", held)
    yield gate
    gate.open.set()


def test_a_large_review_keeps_nobody_else_waiting(world, tools, pod, reading):
    small = strictjson.to_bytes(tools.review(pod))

    async def crowd():
        app = webhook_app(world.judge(), PATIENT, clock=time.monotonic, alarm=print)
        large = [asyncio.create_task(post(app, padded(small))) for _ in range(3)]
        await asyncio.to_thread(reading.reached.acquire)
        answered = await post(app, small)
        assert not any(task.done() for task in large)
        reading.open.set()
        return [answered, *await asyncio.gather(*large)]

    for status, body in asyncio.run(crowd()):
        assert (status, json.loads(body)["response"]["allowed"]) == (200, True)


def test_a_review_that_was_not_read_in_time_is_no_answer_that_allows(world, tools, pod, reading):
    async def late():
        app = webhook_app(world.judge(), HASTY, clock=time.monotonic, alarm=print)
        return await post(app, padded(strictjson.to_bytes(tools.review(pod))))

    status, body = asyncio.run(late())
    assert (status, body[:10]) == (503, b"[deadline]")
    reading.open.set()


def test_a_large_review_that_finds_no_place_is_not_read(world, tools, pod, reading):
    large = padded(strictjson.to_bytes(tools.review(pod)))

    heard = []

    async def crowd():
        app = webhook_app(world.judge(), PATIENT, clock=time.monotonic, alarm=heard.append)
        held = [asyncio.create_task(post(app, large)) for _ in range(LARGE_WORKERS + LARGE_QUEUE)]
        await asyncio.to_thread(reading.reached.acquire)
        shed, small = await post(app, large), await post(app, strictjson.to_bytes(tools.review(pod)))
        reading.open.set()
        return shed, small, await asyncio.gather(*held)

    (status, body), (_, small), held = asyncio.run(crowd())
    assert (status, body[:12]) == (503, b"[overloaded]")
    assert [error.code for error in heard] == ["overloaded"]
    assert json.loads(small)["response"]["allowed"]
    assert all(json.loads(body)["response"]["allowed"] for _, body in held)


@pytest.mark.parametrize(
    ("body", "status"),
    [(padded(b"{}"), 400), (padded(b'{"a": 1, "a": 2}'), 400), (b"[" * (LARGE_BYTES + 1), 413)],
)
def test_what_is_large_and_no_review_is_refused_as_what_is_small(world, body, status):
    app = webhook_app(world.judge(), PATIENT, clock=time.monotonic, alarm=print)
    assert asyncio.run(post(app, body))[0] == status


@pytest.mark.parametrize("size", [LARGE_BYTES, LARGE_BYTES + 1, MAX_BYTES])
def test_verdicts_do_not_depend_on_size(world, tools, pod, size):
    app = webhook_app(world.judge(), PATIENT, clock=time.monotonic, alarm=print)
    _, body = asyncio.run(post(app, padded(strictjson.to_bytes(tools.review(pod)), size)))
    response = json.loads(body)["response"]
    assert (response["allowed"], response["uid"]) == (True, tools.review(pod)["request"]["uid"])
