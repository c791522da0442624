"""Exactly one of two answers; how it is used is in the tests of the webhook and of the broker."""

import threading

import pytest

from trustkit.programs.answer import Answer


def test_what_is_given_in_time_is_the_answer():
    answer = Answer()
    assert answer.give() is None
    assert answer.overrule("late") is False
    assert answer.late is None


def test_who_was_overruled_is_told():
    answer = Answer()
    assert answer.overrule("late") is True
    assert (answer.late, answer.give()) == ("late", "late")


@pytest.mark.parametrize("_", range(50))
def test_both_sides_agree_whoever_is_first(_):
    answer, start, said = Answer(), threading.Barrier(2), {}

    def worker():
        start.wait(10)
        said["given"] = answer.give()

    thread = threading.Thread(target=worker)
    thread.start()
    start.wait(10)
    overruled = answer.overrule("late")
    thread.join(10)
    assert said["given"] == ("late" if overruled else None)
