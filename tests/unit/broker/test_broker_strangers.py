"""Refusals of peers without a grant: a line in a minute for each, and none of them uncounted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustkit.broker import strangers as room
from trustkit.broker.strangers import INTERVAL_SECONDS, Strangers
from trustkit.errors import UnavailableError
from trustkit.spiffe.names import SpiffeID

A, B, C = (SpiffeID("demo.test", path) for path in ("/a", "/b", "/c"))


class Book:
    """What was written, a clock, and a disk that can be full."""

    def __init__(self):
        self.lines = []
        self.now = 1000.0
        self.full = False
        self.strangers = Strangers(self.write, lambda: self.now)

    def write(self, peer, left_out):
        if self.full:
            raise UnavailableError("record-failed", "full")
        self.lines.append((peer, left_out))


@pytest.fixture
def book():
    return Book()


def test_the_first_refusal_of_each_is_written_at_once_and_the_next_ones_are_counted(book):
    for peer in (A, B, A, A, B, C):
        book.strangers.refuse(peer)
    assert book.lines == [(A, 0), (B, 0), (C, 0)]
    assert not book.strangers.catch_up(everything=True)
    assert book.lines[3:] == [(A, 1), (B, 0)]


def test_after_a_minute_the_next_refusal_carries_the_count(book):
    for _ in range(5):
        book.strangers.refuse(A)
    book.now += INTERVAL_SECONDS - 0.1
    book.strangers.refuse(A)
    assert book.lines == [(A, 0)]
    book.now += 0.1
    book.strangers.refuse(A)
    assert book.lines == [(A, 0), (A, 5)]
    book.strangers.refuse(A)
    assert len(book.lines) == 2


def test_a_minute_that_is_over_is_written_without_a_refusal_and_forgotten(book):
    book.strangers.refuse(A)
    book.strangers.refuse(A)
    book.now += INTERVAL_SECONDS / 2
    book.strangers.refuse(B)
    assert book.strangers.catch_up(everything=False)
    assert book.lines == [(A, 0), (B, 0)]
    book.now += INTERVAL_SECONDS / 2
    assert book.strangers.catch_up(everything=False)
    assert book.lines[2:] == [(A, 0)]
    book.now += INTERVAL_SECONDS / 2
    assert not book.strangers.catch_up(everything=False)
    assert len(book.lines) == 3


def test_a_clock_that_goes_back_silences_nobody(book):
    book.strangers.refuse(A)
    book.now -= 3600.0
    book.strangers.refuse(A)
    assert book.lines == [(A, 0), (A, 0)]


def test_memory_is_bounded_and_whoever_makes_room_is_written(book, monkeypatch):
    monkeypatch.setattr(room, "MAX_STRANGERS", 2)
    for peer in (A, B, B, A, A):
        book.strangers.refuse(peer)
    book.strangers.refuse(C)  # B was silent longer than A
    assert book.lines == [(A, 0), (B, 0), (B, 0), (C, 0)]
    book.strangers.refuse(A)
    assert len(book.lines) == 4
    book.strangers.refuse(B)  # of C nothing was left out
    assert book.lines[4:] == [(B, 0)]
    assert not book.strangers.catch_up(everything=True)
    assert book.lines[5:] == [(A, 2)]


def test_what_cannot_be_written_is_raised_and_nothing_that_was_counted_is_lost(book, monkeypatch):
    monkeypatch.setattr(room, "MAX_STRANGERS", 1)
    book.strangers.refuse(A)
    book.strangers.refuse(A)
    book.full = True
    with pytest.raises(UnavailableError):
        book.strangers.refuse(B)
    with pytest.raises(UnavailableError):
        book.strangers.catch_up(everything=True)
    book.now += INTERVAL_SECONDS
    with pytest.raises(UnavailableError):
        book.strangers.refuse(A)
    book.full = False
    book.strangers.refuse(B)
    assert book.lines == [(A, 0), (A, 0), (B, 0)]


def test_a_first_refusal_that_could_not_be_written_is_not_taken_for_written(book):
    book.full = True
    with pytest.raises(UnavailableError):
        book.strangers.refuse(A)
    book.full = False
    book.strangers.refuse(A)
    assert book.lines == [(A, 0)]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0.0, 90.0), st.booleans()), max_size=60))
def test_the_lines_and_their_counts_are_the_number_of_refusals(steps):
    book = Book()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "MAX_STRANGERS", 3)
        for letter, seconds, catch_up in steps:
            book.now += seconds
            book.strangers.refuse(SpiffeID("demo.test", f"/{letter}"))
            if catch_up:
                book.strangers.catch_up(everything=False)
        book.strangers.catch_up(everything=True)
    for letter in "abcdef":
        of_one = [left_out for peer, left_out in book.lines if peer.path == f"/{letter}"]
        assert sum(of_one) + len(of_one) == sum(step[0] == letter for step in steps)
