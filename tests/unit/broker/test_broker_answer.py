"""The record says what was answered, whoever did: the thread that releases, or who waits no longer."""

import asyncio
import json
import threading
import time

import pytest

from trustkit.broker.app import broker_app
from trustkit.broker.config import Limits
from trustkit.deciding.decision import Decision, Violation
from trustkit.digest import digest_of
from trustkit.errors import DeniedError, UnavailableError
from trustkit.programs.answer import Answer
from trustkit.programs.deadline import Deadline
from trustkit.sealing.release import request_to_bytes

DENIED = Decision(False, (Violation("at-night", "not at night", ""),), digest_of(b"rules"))
LATE = UnavailableError("deadline", "late")


class Gate:
    """Holds whoever calls until it is opened."""

    def __init__(self):
        self.reached, self.open = threading.Event(), threading.Event()

    def hold(self, then):
        def held(*words):
            self.reached.set()
            assert self.open.wait(20)
            return then(*words)

        return held


class Asked:
    """What a peer was answered by the application, with a deadline that may be short."""

    def __init__(self, counter, seconds):
        self.counter = counter
        self.limits = Limits(1 << 26, 5.0, seconds, 2, 2, 4, 1 << 28)
        self.status, self.body = 0, {}

    async def ask(self):
        counter, sent = self.counter, []
        chunks = [request_to_bytes(counter.request())]

        async def receive():
            return {"type": "http.request", "body": chunks.pop(), "more_body": False}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
            "path": "/v1/release", "raw_path": b"/v1/release", "query_string": b"", "root_path": "",
            "scheme": "https", "headers": [(b"content-type", b"application/json")], "client": None,
            "server": None, "extensions": {"trustkit": {"peer": counter.peer}},
        }  # fmt: skip
        await broker_app(counter.broker, self.limits, clock=time.monotonic)(scope, receive, send)
        self.status, self.body = sent[0]["status"], json.loads(sent[1]["body"])


def said(counter):
    return [(entry["decision"], entry["codes"]) for entry in counter.entries()]


def chained(counter):
    """Say whether each entry names the one before it."""
    lines = counter.record.read_bytes().splitlines()
    after = [entry.get("after") for entry in counter.entries()]
    return after == [None, *(str(digest_of(line)) for line in lines[:-1])]


def finished(counter, count):
    """Wait until so many entries are there; there must not be more."""
    for _ in range(500):
        if len(counter.entries()) >= count:
            break
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(counter.entries()) == count


def test_an_answer_in_time_is_recorded_once(counter):
    asked = Asked(counter, 20.0)
    asyncio.run(asked.ask())
    assert asked.status == 200
    assert said(counter) == [("allowed", [])]


@pytest.mark.parametrize(
    ("decision", "first"), [(None, ("allowed", [])), (DENIED, ("denied", ["at-night"]))], ids=["yes", "no"]
)
def test_a_decision_that_nobody_heard_is_not_the_last_word(counter, decision, first):
    """The rules took too long: the peer was told so, and the record says it last."""
    gate, rules = Gate(), counter.broker._terms.rules
    counter.change(rules=gate.hold(rules if decision is None else lambda _: decision))
    asked = Asked(counter, 0.5)
    asyncio.run(_late(asked, gate))
    assert (asked.status, asked.body["code"]) == (503, "deadline")
    finished(counter, 2)
    assert said(counter) == [first, ("unavailable", ["deadline"])]
    assert chained(counter)


async def _late(asked, gate):
    await asked.ask()
    assert gate.reached.is_set()
    gate.open.set()


def test_a_key_that_is_wrapped_too_late_is_not_released_in_the_record(counter, monkeypatch):
    gate = Gate()
    monkeypatch.setattr(counter.broker, "_wrapped", gate.hold(counter.broker._wrapped))
    asked = Asked(counter, 2.0)
    asyncio.run(_late(asked, gate))
    assert (asked.status, asked.body["code"]) == (503, "deadline")
    finished(counter, 2)
    assert said(counter) == [("allowed", []), ("unavailable", ["deadline"])]
    assert chained(counter)


def released(counter, answer, seconds=20.0):
    body = request_to_bytes(counter.request())
    return counter.broker.release(counter.peer, body, Deadline(seconds, lambda: 0.0), answer)


def test_what_is_given_is_answered_even_if_the_time_ran_out_just_then(counter):
    answer = Answer()
    counter.opened(released(counter, answer)).wipe()
    assert answer.overrule(LATE) is False
    assert said(counter) == [("allowed", [])]


def test_a_denial_that_is_given_stays_one(counter):
    counter.change(rules=lambda _: DENIED)
    answer = Answer()
    with pytest.raises(DeniedError):
        released(counter, answer)
    assert answer.overrule(LATE) is False
    assert said(counter) == [("denied", ["at-night"])]


def test_lateness_is_recorded_once_if_both_sides_see_it(counter):
    answer = Answer()
    answer.overrule(LATE)
    with pytest.raises(UnavailableError) as caught:
        released(counter, answer, seconds=0.0)
    assert caught.value is LATE
    assert said(counter) == [("unavailable", ["deadline"])]


class LastMoment:
    """Gives its answer in time, and is slow to hand it over."""

    def knows(self, _):
        return True

    def release(self, peer, body, deadline, answer):
        assert answer.give() is None
        time.sleep(0.5)
        return b'{"answer":true}'


def test_who_has_given_an_answer_is_waited_for(counter):
    """The time is over, but the record holds the answer already: so it is the one."""
    counter.broker = LastMoment()
    asked = Asked(counter, 0.2)
    asyncio.run(asked.ask())
    assert (asked.status, asked.body) == (200, {"answer": True})
