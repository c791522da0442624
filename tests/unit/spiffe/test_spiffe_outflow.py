"""How long a peer may keep us waiting; over real sockets in `test_spiffe_serving.py`."""

import asyncio
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustkit.spiffe.outflow import Pace, taken_by_peer, watched

RATE, LAG = 100, 30.0


def test_what_was_written_buys_its_time_and_the_lag_comes_on_top():
    pace = Pace(RATE, LAG)
    assert pace.wait(0.0) == LAG
    pace.go_on(10.0)
    pace.wrote(300)
    pace.wrote(700)
    assert pace.wait(1000.0) == 20.0 + 10.0


def test_time_that_is_not_needed_is_kept_up_to_the_lag():
    pace = Pace(RATE, LAG)
    pace.wrote(1_000_000)
    assert pace.wait(0.0) == LAG + 10_000.0
    pace.go_on(1.0)
    assert pace.wait(1.0) == LAG


def test_only_waiting_costs_time():
    pace = Pace(RATE, LAG)
    pace.wait(0.0)
    pace.go_on(25.0)
    pace.go_on(1_000_000.0)
    assert pace.wait(2_000_000.0) == 5.0


def test_who_is_late_owes_nothing_beyond_the_lag():
    pace = Pace(RATE, LAG)
    pace.wait(0.0)
    pace.go_on(LAG + 5.0)  # the timer ran late, not the peer alone
    pace.wrote(100)
    assert pace.wait(40.0) == 1.0


@given(st.lists(st.tuples(st.integers(0, 10_000), st.floats(0.0, 1.0)), max_size=30))
def test_waiting_never_takes_longer_than_the_least_rate_and_the_lag(rounds):
    """Whatever a peer takes of the time that it has: in the sum it is at least as fast as it must be."""
    pace, now, waited, size = Pace(RATE, LAG), 0.0, 0.0, 0
    for written, share in rounds:
        pace.wrote(written)
        size += written
        taken = pace.wait(now) * share
        now += taken
        waited += taken
        pace.go_on(now)
        now += 3600.0
    assert waited <= LAG + size / RATE + 1e-6


class Transport:
    """What an engine asks of a transport, written down."""

    def __init__(self):
        self.done = []

    def __getattr__(self, name):
        return lambda *words: self.done.append((name, *words))


@pytest.mark.parametrize("name", ["abort", "is_closing", "pause_reading", "resume_reading"])
def test_a_watched_transport_does_what_the_transport_does(name):
    below, ended = Transport(), []
    getattr(watched(below, Pace(RATE, LAG), lambda: ended.append(1)), name)()
    assert (below.done, ended) == ([(name,)], [])


def test_writes_are_counted_and_an_end_is_told():
    below, pace, ended = Transport(), Pace(RATE, LAG), []
    transport: asyncio.Transport = watched(below, pace, lambda: ended.append(1))
    transport.write(b"x" * 200)
    transport.get_extra_info("socket")
    assert not ended
    transport.close()
    assert below.done == [("write", b"x" * 200), ("get_extra_info", "socket"), ("close",)]
    assert ended == [1]
    assert pace.wait(0.0) == LAG + 2.0


class Socketed:
    """A transport, as far as it says what lies below."""

    def __init__(self, sock):
        self.sock = sock

    def get_extra_info(self, name):
        return {"socket": self.sock}[name]


def test_what_a_peer_has_taken_is_what_the_kernel_says():
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as ours,
    ):
        theirs, _ = listener.accept()
        with theirs:
            before = taken_by_peer(Socketed(ours))
            ours.sendall(b"x" * 1000)
            for _ in range(100):
                if taken_by_peer(Socketed(ours)) == before + 1000:
                    break
                time.sleep(0.01)
            assert taken_by_peer(Socketed(ours)) == before + 1000
            ours.setblocking(False)
            while True:
                try:
                    ours.send(bytes(1 << 20))
                except BlockingIOError:
                    break
            time.sleep(0.2)
            full = taken_by_peer(Socketed(ours))
            time.sleep(0.2)
            assert taken_by_peer(Socketed(ours)) == full  # who reads nothing takes nothing


def test_where_the_kernel_does_not_say_nothing_was_taken():
    class Old:
        def getsockopt(self, *_):
            return b"\x01" * 104

    assert taken_by_peer(Socketed(Old())) == 0
