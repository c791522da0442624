"""Who is turned away is counted, and the count is said once a minute: none is lost, none is said twice."""

import asyncio

import pytest

from admission.overload import INTERVAL_SECONDS, TurnedAway


class Loop:
    """An event loop's timers, which end when a test says so."""

    def __init__(self):
        self.timers = []

    def call_later(self, seconds, call):
        self.timers.append((seconds, call))
        return object()

    def pass_a_minute(self):
        [(seconds, call)] = self.timers
        assert seconds == INTERVAL_SECONDS
        self.timers.clear()
        call()


@pytest.fixture
def loop(monkeypatch):
    loop = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    return loop


def test_the_first_is_said_at_once_and_the_others_when_the_minute_is_over(loop):
    heard = []
    away = TurnedAway(lambda error: heard.append(error.evidence["count"]))
    for _ in range(5):
        away.count()
    assert heard == [1]
    loop.pass_a_minute()
    assert heard == [1, 4]
    away.count()
    assert heard == [1, 4]
    loop.pass_a_minute()
    assert heard == [1, 4, 1]


def test_after_a_quiet_minute_the_next_one_is_said_at_once(loop):
    heard = []
    away = TurnedAway(lambda error: heard.append(error.code))
    away.count()
    loop.pass_a_minute()
    assert (heard, loop.timers) == (["overloaded"], [])
    away.count()
    assert heard == ["overloaded"] * 2
