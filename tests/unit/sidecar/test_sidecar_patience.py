"""Asking again: what, how long, with which pauses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustkit.errors import DeniedError, SealError, TrustkitError, UnavailableError, VerificationError
from trustkit.sidecar.patience import FIRST_SECONDS, MOST_SECONDS, Patience


class Time:
    """A clock that sleeping moves."""

    def __init__(self, chance=1.0):
        self.now = 100.0
        self.pauses = []
        self.chance = chance

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds

    def patience(self, budget):
        return Patience(budget, lambda: self.now, self.sleep, lambda: self.chance)


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
        Patience(10, lambda: 0.0, stopped, lambda: 0.0).insist(attempt)
    assert attempt.made == 1
