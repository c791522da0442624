"""Several threads at one file: order where there is one, help for the largest, an end for everybody."""

import threading
import time

import pytest

from trustkit.storage.handover import InOrder, hand_over, ring_of
from trustkit.storage.shared import Shared, run_shared


class Noted(Shared):
    """Notes what is done to it; each batch does something in any order, and something in order, twice."""

    def __init__(self, name, batches, log, *, at=None, how=None):
        places = [
            InOrder(lambda number, place: self.log.append((self.name, place, number))) for _ in range(2)
        ]
        super().__init__(batches, *places)
        self.name, self.log, self.at, self.how = name, log, at, how
        self.threads = set()

    def begin(self):
        self.log.append((self.name, "begin"))
        if self.at == "begin":
            raise self.how

    def work(self, number, own, lanes):
        self.threads.add(threading.get_ident())
        if number == self.at:
            return self.how(lanes)
        if lanes.stopped:
            return False
        return hand_over(number, *zip(self.points, range(2), own, strict=True))

    def end(self):
        self.log.append((self.name, "end"))

    def _note(self, number, place):
        self.log.append((self.name, place, number))


def run(shared, workers):
    run_shared(
        shared,
        lambda one: one,
        batches=lambda one: one.batches,
        state=lambda: (ring_of(1), ring_of(1)),
        workers=workers,
    )


@pytest.mark.parametrize("workers", [1, 2, 7])
@pytest.mark.parametrize("sizes", [[1], [9], [40, 1, 1], [3, 3, 3], [1] * 30])
def test_every_batch_once_and_in_order(workers, sizes):
    log = []
    run([Noted(name, size, log) for name, size in enumerate(sizes)], workers)
    for name, size in enumerate(sizes):
        mine = [entry[1:] for entry in log if entry[0] == name]
        assert mine[0] == ("begin",)
        assert mine[-1] == ("end",)
        assert (mine.count(("begin",)), mine.count(("end",))) == (1, 1)
        for place in (0, 1):
            assert [entry[1] for entry in mine if entry[0] == place] == list(range(size))


def test_one_large_file_has_several_threads():
    """A batch waits for another one to be there too: alone, a thread would wait for ever."""
    both = threading.Barrier(2)

    class Together(Noted):
        def work(self, number, own, lanes):
            both.wait(20)
            return super().work(number, own, lanes)

    large = Together("large", 8, [])
    run([large], 2)
    assert len(large.threads) == 2


def test_who_finds_nothing_left_helps_where_most_is_left():
    """The second worker does the small file, then comes to help with the large one."""
    arrived = threading.Event()

    class Slow(Noted):
        def work(self, number, own, lanes):
            if number == 0:
                assert arrived.wait(20)
            else:
                arrived.set()
            return super().work(number, own, lanes)

    large, small = Slow("large", 4, []), Noted("small", 2, [])
    run([large, small], 2)
    assert large.left == small.left == 0
    assert len(large.threads) == 2


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("at", ["begin", 0, 3, 9])
def test_a_failure_ends_all_of_it_and_everybody_goes_home(workers, at):
    log = []

    def fails(lanes):
        time.sleep(0.01)  # the others come to wait for this one
        raise LookupError("here")

    files = [
        Noted("first", 10, log, at=at, how=LookupError("here") if at == "begin" else fails),
        Noted("second", 4, log),
    ]
    with pytest.raises(LookupError):
        run(files, workers)
    for name in ("first", "second"):
        assert log.count((name, "begin")) == log.count((name, "end")) <= 1
    assert ("first", 1, 9) not in log
    assert not any(thread.name.startswith("trustkit-lane") for thread in threading.enumerate())


def test_a_batch_that_was_given_up_lets_the_others_go():
    """Work elsewhere failed: no exception here, and nobody waits for the batch that was left."""
    log = []

    def left(lanes):
        time.sleep(0.01)
        return False

    shared = Noted("one", 6, log, at=2, how=left)
    run([shared], 3)
    assert [entry for entry in log if len(entry) == 3] == [
        entry for entry in log if len(entry) == 3 and entry[2] < 2
    ]
    assert log[-1] == ("one", "end")
    assert shared.left == 0


def test_who_comes_too_late_touches_nothing():
    log = []
    shared = Noted("one", 1, log)
    run([shared], 1)
    before = list(log)
    run([shared], 1)
    assert log == before
