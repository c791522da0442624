"""A few threads over one list: everything once, and the first failure or Ctrl-C ends it all."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from trustkit.artifact import lanes as lanes_room
from trustkit.artifact.lanes import run_lanes
from trustkit.errors import UnavailableError


@pytest.mark.parametrize("workers", [0, 1, 2, 7, 100])
def test_every_item_once(workers):
    done = []
    run_lanes(range(50), lambda item, own, lanes: done.append(item), state=object, workers=workers)
    assert sorted(done) == list(range(50))


def test_nothing_to_do():
    run_lanes([], lambda item, own, lanes: pytest.fail("there is nothing"), state=object, workers=3)


def test_each_thread_has_one_state_of_its_own():
    made, met = [], {}
    barrier = threading.Barrier(3)

    def state():
        made.append(object())
        return made[-1]

    def work(item, own, lanes):
        if item < 3:
            barrier.wait(60)  # three threads are at work at once
        met.setdefault(threading.get_ident(), set()).add(own)

    run_lanes(range(30), work, state=state, workers=3)
    assert len(made) == 3
    assert all(len(owns) == 1 for owns in met.values())
    assert set().union(*met.values()) == set(made)


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_one_failure_ends_what_the_others_do(failure):
    """The others would work for ever: only their being told lets this test end."""
    ended = []
    begun = threading.Barrier(3)

    def work(item, own, lanes):
        begun.wait(60)
        if item == 1:
            raise failure("told")
        while not lanes.stopped:
            time.sleep(0.001)
        ended.append(item)

    with pytest.raises(failure, match="told"):
        run_lanes(range(100), work, state=object, workers=3)
    assert sorted(ended) == [0, 2]
    assert not any(thread.name.startswith("trustkit-lane") for thread in threading.enumerate())


def test_a_state_that_cannot_be_made():
    with pytest.raises(MemoryError):
        run_lanes([1], lambda item, own, lanes: None, state=_no_memory, workers=2)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_ctrl_c_ends_all_work(workers):
    """It comes at once, while threads are still being started: none may be left behind."""
    ended = []

    def work(item, own, lanes):
        if item == 0:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        while not lanes.stopped:
            time.sleep(0.001)
        ended.append(item)

    with pytest.raises(KeyboardInterrupt):
        run_lanes(range(100), work, state=object, workers=workers)
    assert len(ended) <= workers
    assert not any(thread.name.startswith("trustkit-lane") for thread in threading.enumerate())


def _no_memory():
    raise MemoryError


@pytest.fixture
def threads_left(monkeypatch):
    """Set how many threads may still be started."""
    real, left = threading.Thread.start, [0]

    def limited(self):
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        real(self)

    def limit(count):
        left[0] = count
        monkeypatch.setattr(threading.Thread, "start", limited)

    return limit


def test_one_thread_is_enough(threads_left):
    """A limit on processes, as containers have it, may come at any thread."""
    done = []
    threads_left(2)  # the one that waits for the others, and one that works
    run_lanes([1, 2, 3], lambda item, _state, _lanes: done.append(item), state=lambda: None, workers=3)
    assert done == [1, 2, 3]


@pytest.mark.parametrize("count", [0, 1])
def test_no_thread_is_an_answer(threads_left, count):
    threads_left(count)
    with pytest.raises(UnavailableError) as caught:
        run_lanes([1], lambda *_: None, state=lambda: None, workers=1)
    assert caught.value.code == "out-of-threads"


def test_not_even_the_thread_that_starts_threads(monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(lanes_room, "start_new_thread", refuse)
    with pytest.raises(UnavailableError) as caught:
        run_lanes([1], lambda *_: None, state=lambda: None, workers=1)
    assert caught.value.code == "out-of-threads"


def test_what_goes_wrong_between_the_threads_is_raised(monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(lanes_room, "_crew", fail)
    with pytest.raises(MemoryError):
        run_lanes([1], lambda *_: None, state=lambda: None, workers=1)


def test_whatever_keeps_the_first_thread_from_starting_is_raised(monkeypatch):
    def refuse(_self):
        raise MemoryError

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(MemoryError):
        run_lanes([1], lambda *_: None, state=lambda: None, workers=1)


IMPATIENT = """
import os, signal, sys, threading, time
from trustkit.artifact.lanes import run_lanes

def work(item, own, lanes):
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    time.sleep(3600)  # a disk that does not answer

try:
    run_lanes([1], work, state=object, workers=1)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_second_interruption_waits_for_nobody():
    done = subprocess.run(
        [sys.executable, "-c", IMPATIENT], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n")


def test_in_another_thread_than_the_main_one():
    done = []

    def run():
        run_lanes(range(50), lambda item, *_: done.append(item), state=object, workers=3)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert sorted(done) == list(range(50))


AT_EVERY_MOMENT = """
import os, signal, sys, threading, time
from trustkit.artifact import lanes as room
from trustkit.artifact.lanes import run_lanes

class Stopped(BaseException):
    pass

def interrupt(number, frame):
    signal.signal(signal.SIGALRM, signal.SIG_IGN)  # the second is swallowed, as the command line does it
    raise Stopped

def work(item, own, lanes):
    while not lanes.stopped:
        time.sleep(0.0005)

def interrupted_at(moment):
    \"""Send a signal at this instruction of the main thread; false if all were over, and it was waiting.\"""
    left, waited = moment, False

    def trace(frame, event, value):
        nonlocal left
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGALRM)  # to the process: any thread of it may get it
                for _ in range(200):
                    pass
        return trace

    def late():
        nonlocal waited
        waited = left > 0
        signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)

    signal.signal(signal.SIGALRM, interrupt)
    timer = threading.Timer(1.4 * room._MOMENT_SECONDS, late)  # it has waited once, and goes to wait again
    timer.start()
    sys.settrace(trace)
    try:
        run_lanes([1, 2], work, state=object, workers=2)
    except Stopped:
        pass
    finally:
        sys.settrace(None)
        timer.cancel()
        timer.join()
    return not waited

threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()  # as a server of probes is
sys.setswitchinterval(0.0005)
moment = 1
while interrupted_at(moment):
    lanes = [thread for thread in threading.enumerate() if thread.name.startswith("trustkit-lane")]
    assert not any(thread.is_alive() for thread in lanes), moment
    moment += 1
print(moment)
"""


def test_an_interruption_at_any_instruction_never_hangs_and_leaves_no_thread():
    """Every instruction from the call to the wait for the threads, each once, by a real signal."""
    done = subprocess.run(
        [sys.executable, "-c", AT_EVERY_MOMENT], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
