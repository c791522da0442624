"""Signals: whichever thread the kernel gives them to, the main thread hears of them, once, when it may."""

import os
import signal
import threading
import time

import pytest

from trustkit.sidecar.main import _Stop


def in_thread(work):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def wait():
    threading.Event().wait(60)
    pytest.fail("nobody interrupted the waiting")


def interrupted(work):
    with pytest.raises(KeyboardInterrupt):
        work()


def tell(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_another_thread_gets_wakes_a_waiting_main_thread(number):
    """Left alone, a main thread that waits for a lock sleeps on: the handler only runs when it wakes."""

    def work():
        with _Stop().installed():
            in_thread(lambda: (time.sleep(0.2), signal.pthread_kill(threading.get_ident(), number)))
            wait()

    interrupted(work)


def test_a_signal_that_comes_on_the_way_into_a_wait_is_not_lost():
    def work():
        with _Stop().installed():
            in_thread(tell)
            wait()

    for _ in range(50):
        interrupted(work)


def test_a_held_block_ends_before_the_exception_comes():
    done = []

    def work():
        with stop.held():
            tell()
            time.sleep(0.1)
            done.append("the block")

    with _Stop().installed() as stop:
        interrupted(work)
        with stop.held():
            done.append("another, undisturbed")
    assert done == ["the block", "another, undisturbed"]


def test_an_exception_of_a_held_block_is_its_own():
    def work():
        with stop.held():
            tell()
            time.sleep(0.1)
            raise ZeroDivisionError

    with _Stop().installed() as stop, pytest.raises(ZeroDivisionError):
        work()


def test_only_the_first_signal_interrupts():
    with _Stop().installed():
        interrupted(lambda: (tell(), wait()))
        tell()
        tell(signal.SIGINT)
        time.sleep(0.1)


def test_threads_that_sleep_or_wait_for_a_peer_are_told():
    ended = threading.Event()
    closed = threading.Event()

    def sleeper():
        try:
            stop.sleep(60)
        except KeyboardInterrupt:
            ended.set()

    with _Stop().installed() as stop:
        stop.let_go_of(closed.set)
        thread = in_thread(sleeper)
        interrupted(lambda: (tell(), wait()))
        thread.join(60)
    assert ended.is_set()
    assert closed.is_set()


def test_without_a_signal_nobody_is_told_and_sleep_sleeps():
    closed = []
    with _Stop().installed() as stop:
        stop.let_go_of(lambda: closed.append(1))
        stop.sleep(0.01)
    assert closed == []


def test_what_was_there_before_is_there_again():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with _Stop().installed():
        assert signal.getsignal(signal.SIGTERM) != before[signal.SIGTERM]
    assert {number: signal.getsignal(number) for number in before} == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_signal_that_comes_when_all_is_over_is_forgotten():
    """Neither an exception where nothing is left to interrupt, nor the default, which would kill us."""
    for _ in range(20):
        with _Stop().installed() as stop:
            stop._held = True  # as it is from the end of the block on
            tell()
