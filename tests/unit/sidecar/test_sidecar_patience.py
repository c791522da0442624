"""Asking again: what, how long, with which pauses."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustkit.errors import DeniedError, SealError, TrustkitError, UnavailableError, VerificationError
from trustkit.sidecar.patience import FIRST_SECONDS, MOST_SECONDS, SAID_AGAIN_SECONDS, Patience, Waiting


class Time:
    """A clock that sleeping moves."""

    def __init__(self, chance=1.0):
        self.now = 100.0
        self.pauses = []
        self.notes = []
        self.chance = chance

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds

    def patience(self, budget):
        return Patience(budget, lambda: self.now, self.sleep, lambda: self.chance, self.waiting())

    def waiting(self):
        return Waiting(lambda: self.now, lambda line, code: self.notes.append((self.now - 100, line, code)))


class Attempt:
    """Fails a number of times, then gives its answer."""

    def __init__(self, failures, error=None):
        self.left = failures
        self.made = 0
        self.error = error or UnavailableError("broker-unavailable", "away")

    def __call__(self):
        self.made += 1
        if self.left:
            self.left -= 1
            raise self.error
        return "key"


def test_what_works_is_asked_once():
    time, attempt = Time(), Attempt(0)
    assert time.patience(10).insist(attempt) == "key"
    assert (attempt.made, time.pauses) == (1, [])


def test_what_is_unavailable_is_asked_again_with_growing_pauses():
    time, attempt = Time(), Attempt(8)
    assert time.patience(60).insist(attempt) == "key"
    assert attempt.made == 9
    assert time.pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


@pytest.mark.parametrize(
    "error",
    [
        DeniedError("key-denied", "no"),
        VerificationError("peer-mismatch", "another"),
        SealError("wrong-context", "no"),
        UnavailableError("not-found", "nothing there"),
        KeyError("a bug"),
    ],
)
def test_what_was_refused_is_final(error):
    time, attempt = Time(), Attempt(5, error)
    with pytest.raises(type(error)):
        time.patience(1000).insist(attempt)
    assert (attempt.made, time.pauses) == (1, [])


@given(st.floats(0.01, 500), st.floats(0, 1, exclude_max=True))
def test_the_budget_is_kept_and_the_last_error_is_the_attempts_own(budget, chance):
    time, attempt = Time(chance), Attempt(10**6)
    with pytest.raises(TrustkitError) as caught:
        time.patience(budget).insist(attempt)
    assert caught.value is attempt.error
    assert time.now - 100.0 < budget
    assert attempt.made == len(time.pauses) + 1
    assert all(FIRST_SECONDS / 2 <= pause <= MOST_SECONDS for pause in time.pauses)
    assert budget < MOST_SECONDS or attempt.made > budget / MOST_SECONDS / 2


def test_a_stop_ends_the_waiting():
    def stopped(_seconds):
        raise KeyboardInterrupt

    attempt = Attempt(5)
    with pytest.raises(KeyboardInterrupt):
        Patience(10, lambda: 0.0, stopped, lambda: 0.0, Time().waiting()).insist(attempt)
    assert attempt.made == 1


def test_waiting_is_said_at_once_then_at_growing_distance_and_when_it_is_over():
    time, attempt = Time(), Attempt(20)
    assert time.patience(120).insist(attempt) == "key"
    assert [round(at, 1) for at, _, _ in time.notes] == [0.0, 6.2, 16.2, 36.2, 76.2, 81.2]
    assert {code for _, _, code in time.notes} == {"broker-unavailable"}
    lines = [line for _, line, _ in time.notes]
    assert lines[0] == "waiting: away; asked again, for 120 s at most"
    assert lines[1] == "waiting: away; asked again, for 114 s at most"
    assert lines[-1] == "going on after 81 s"


def test_who_need_not_wait_says_nothing():
    time = Time()
    time.patience(10).insist(Attempt(0))
    for error in (UnavailableError("not-found", "nothing there"), DeniedError("key-denied", "no")):
        with pytest.raises(TrustkitError):
            time.patience(10).insist(Attempt(1, error))
    with pytest.raises(UnavailableError):
        time.patience(0.1).insist(Attempt(1))
    assert time.notes == []


def test_what_comes_and_goes_is_not_said_each_time():
    time = Time()
    patience = time.patience(60)
    for _ in range(200):
        patience.insist(Attempt(1))
    said = [at for at, line, _ in time.notes if line.startswith("waiting:")]
    assert said[0] == 0
    assert all(later - at >= SAID_AGAIN_SECONDS for at, later in itertools.pairwise(said))
    assert 2 * len(said) == len(time.notes) < 50


def test_several_threads_that_wait_for_one_thing_say_it_once():
    time = Time()
    waiting = time.waiting()
    error = UnavailableError("store-timeout", "the store did not answer")
    for _ in range(8):
        waiting.begin()
        waiting.failed(error, 20.0)
    for _ in range(8):
        assert len(time.notes) == 1
        waiting.end(answered=True)
    assert [line for _, line, _ in time.notes] == [
        "waiting: the store did not answer; asked again, for 20 s at most",
        "going on after 0 s",
    ]


def test_who_gives_up_does_not_go_on():
    time = Time()
    with pytest.raises(UnavailableError):
        time.patience(2).insist(Attempt(50))
    assert [line.partition(" ")[0] for _, line, _ in time.notes] == ["waiting:"]
