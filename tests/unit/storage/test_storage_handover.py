"""Handing over: in order, once, by one at a time, without waiting; and memory that is free exactly once."""

import random
import sys
import threading

import pytest

from trustkit.storage.handover import InOrder, Ring


@pytest.fixture
def nervous():
    """Let threads take turns after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Point:
    """A point that notes what it deals with, and how often each number's memory was freed."""

    def __init__(self, deal=None):
        self.dealt, self.freed, self.inside = [], [], 0
        self._also = deal
        self.queue = InOrder(self._deal)

    def _deal(self, number, what):
        assert what == f"what of {number}"
        self.inside += 1
        assert self.inside == 1
        if self._also:
            self._also(number)
        self.dealt.append(number)
        self.inside -= 1

    def hand_in(self, number):
        return self.queue.hand_in(number, f"what of {number}", lambda: self.freed.append(number))


@pytest.mark.parametrize("seed", range(5))
def test_everything_once_in_order_by_one_at_a_time(nervous, seed):
    draw, point, count = random.Random(seed), Point(), 400
    numbers = list(range(count))
    draw.shuffle(numbers)
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                if not numbers:
                    return
                number = numbers.pop()
            assert point.hand_in(number)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert point.dealt == list(range(count))
    assert sorted(point.freed) == list(range(count))


def test_who_is_early_leaves_it_to_who_comes_last():
    point = Point()
    for number in (2, 1, 4):
        assert point.hand_in(number)
        assert (point.dealt, point.freed) == ([], [])
    assert point.hand_in(0)
    assert point.dealt == point.freed == [0, 1, 2]
    assert point.hand_in(3)
    assert point.dealt == [0, 1, 2, 3, 4]


def test_nobody_deals_before_the_one_who_is_due_hands_in():
    point = Point()
    assert point.queue.is_due(0)
    assert not point.queue.is_due(1)
    assert point.hand_in(1)
    assert point.dealt == []
    assert point.hand_in(0)
    assert point.dealt == [0, 1]
    assert point.queue.is_due(2)


def test_what_is_handed_in_meanwhile_is_not_forgotten():
    """Number 1 comes while 0 is dealt with: whoever deals finds it, and whoever brings it does not wait."""
    point = Point(lambda number: number or point.hand_in(1))
    assert point.hand_in(0)
    assert (point.dealt, point.freed) == ([0, 1], [0, 1])


def test_what_is_given_up_is_freed_once_and_takes_nothing_more():
    point = Point()
    assert point.hand_in(1)
    point.queue.give_up()
    point.queue.give_up()
    assert point.freed == [1]
    assert not point.queue.is_due(0)
    assert not point.hand_in(0)
    assert (point.dealt, point.freed) == ([], [1])


def test_giving_up_while_somebody_deals_ends_with_what_is_in_hand():
    point = Point(lambda number: number or point.queue.give_up())
    assert point.hand_in(1)
    assert point.hand_in(0)
    assert point.dealt == [0]
    assert sorted(point.freed) == [0, 1]


def test_a_failure_frees_its_memory_and_deals_with_nothing_more():
    def fails(number):
        raise LookupError(number)

    point = Point(fails)
    assert point.hand_in(1)
    with pytest.raises(LookupError):
        point.hand_in(0)
    assert point.freed == [0]
    assert point.hand_in(2)  # before whoever got the error gives up
    point.queue.give_up()
    assert sorted(point.freed) == [0, 1, 2]
    assert point.dealt == []


def test_a_piece_is_filled_again_only_when_it_is_free():
    pieces = [memoryview(bytearray(1)), memoryview(bytearray(1))]
    ring = Ring(pieces)
    assert ring.piece is pieces[0]
    free = ring.free()
    ring.pass_on()
    assert ring.piece is pieces[1]
    went = threading.Event()

    def goes_on():
        ring.pass_on()
        went.set()

    thread = threading.Thread(target=goes_on)
    thread.start()
    assert not went.wait(0.2)
    free()
    thread.join(20)
    assert went.is_set()
    assert ring.piece is pieces[0]
