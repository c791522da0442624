"""Handing over: in order, once, by one at a time, without waiting; and memory that is free exactly once."""

import random
import sys
import threading

import pytest

from trustkit.storage.handover import InOrder, Ring, hand_over, ring_of


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
        taken = self.queue.put(number, f"what of {number}", lambda: self.freed.append(number))
        self.queue.deal()
        return taken


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
    ring, point, went = Ring(pieces), InOrder(lambda number, what: None), threading.Event()
    assert ring.piece is pieces[0]
    assert hand_over(1, (point, "early", ring))
    assert ring.piece is pieces[1]

    def goes_on():
        assert hand_over(2, (point, "early", ring))
        went.set()

    thread = threading.Thread(target=goes_on)
    thread.start()
    assert not went.wait(0.2)
    assert hand_over(0, (point, "due", ring_of(1)))
    thread.join(20)
    assert went.is_set()
    assert ring.piece is pieces[0]


def test_what_is_not_taken_leaves_its_piece_with_the_thread():
    ring, given_up, other = ring_of(1), InOrder(lambda number, what: None), InOrder(lambda number, what: None)
    given_up.give_up()
    held = ring.piece
    assert not hand_over(0, (given_up, "late", ring))
    assert ring.piece is held
    assert hand_over(1, (other, "early", ring))
    assert ring.piece is not held


def test_a_piece_that_was_dealt_with_at_once_is_filled_again():
    """It is still in the core's cache; with several pieces in turns, memory would be touched that is not."""
    ring, dealt = ring_of(1), []
    point, held = InOrder(lambda number, what: dealt.append(number)), ring.piece
    for number in range(3):
        assert hand_over(number, (point, "due", ring))
        assert ring.piece is held
    assert dealt == [0, 1, 2]


def test_all_is_left_to_others_before_any_is_dealt_with():
    """Who deals at the first point may be long at it; at the second one nobody waits for him."""
    log = []

    def deals(number, what):
        if what == "first":
            second.deal()  # as another thread would meanwhile
        log.append((what, number))

    first, second = InOrder(deals), InOrder(deals)
    assert hand_over(0, (first, "first", ring_of(1)), (second, "second", ring_of(1)))
    assert log == [("second", 0), ("first", 0)]


def test_what_one_point_took_and_the_next_did_not_leaves_rings_that_are_whole():
    first, second = InOrder(lambda number, what: None), InOrder(lambda number, what: None)
    rings = [ring_of(1), ring_of(1)]
    second.give_up()
    assert not hand_over(0, (first, "x", rings[0]), (second, "x", rings[1]))
    other = InOrder(lambda number, what: None)
    for number in range(3):  # a piece that is freed twice would raise
        assert hand_over(2 * number, (other, "x", rings[0]))
        assert hand_over(2 * number + 1, (other, "x", rings[1]))
