"""A deadline is asked before every step, and says in the program's words that it has passed."""

import pytest

from trustkit.errors import UnavailableError
from trustkit.programs.deadline import Deadline


def test_there_is_time_until_there_is_none():
    now = [10.0]
    deadline = Deadline(12.0, lambda: now[0])
    assert deadline.left == 2.0
    deadline.check()
    now[0] = 12.0
    assert deadline.left == 0.0
    with pytest.raises(UnavailableError, match="try again") as caught:
        deadline.check()
    assert caught.value.code == "deadline"
    now[0] = 99.0
    assert deadline.left == 0.0


def test_a_program_says_so_in_its_own_words():
    error = Deadline(1.0, lambda: 2.0, "too late").late()
    assert (error.code, error.message, error.exit_code) == ("deadline", "too late", 5)
