"""Blocks in order, read here or ahead by threads; errors in their place, and no thread left behind."""

import os
import threading

import pytest

from trustkit.artifact import reading
from trustkit.artifact.reading import Ahead, Stream, blocks
from trustkit.errors import UnavailableError, VerificationError

BLOCK = 64


@pytest.fixture
def stream(tmp_path):
    """Open a file with these bytes; a descriptor that is closed at the end."""
    opened = []

    def make(raw, start=0, end=None):
        (tmp_path / "f").write_bytes(raw)
        opened.append(os.open(tmp_path / "f", os.O_RDONLY))
        return Stream(opened[-1], "f", start, len(raw) if end is None else end)

    yield make
    for descriptor in opened:
        os.close(descriptor)


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("trustkit-reader")]


def ahead(stream, count):
    with Ahead(stream, block=BLOCK, readers=count) as chunks:
        return [bytes(chunk) for chunk in chunks]


def here(stream, _count):
    return [bytes(chunk) for chunk in blocks(stream, memoryview(bytearray(BLOCK)))]


@pytest.mark.parametrize("way", [here, ahead])
@pytest.mark.parametrize("count", [1, 2, 4, 7])
@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 40 * BLOCK + 5])
def test_every_block_once_and_in_order(way, count, size, stream):
    raw = os.urandom(size)
    assert way(stream(raw), count) == [raw[start : start + BLOCK] for start in range(0, size, BLOCK)]
    assert readers() == []


@pytest.mark.parametrize("way", [here, ahead])
def test_a_range_of_a_file(way, stream):
    raw = os.urandom(1000)
    assert b"".join(way(stream(raw, 70, 900), 3)) == raw[70:900]


@pytest.mark.parametrize("way", [here, ahead])
def test_a_file_that_ends_too_early(way, stream, refused):
    with refused(VerificationError, "file-changed") as caught:
        way(stream(b"x" * 5 * BLOCK, end=6 * BLOCK), 3)
    assert caught.value.evidence == {"name": "f"}
    assert readers() == []


@pytest.mark.parametrize("way", [here, ahead])
def test_a_disk_that_fails(way, stream, refused, monkeypatch):
    real = os.preadv

    def broken(descriptor, into, offset):
        if offset >= 3 * BLOCK:
            raise OSError(5, "Input/output error")
        return real(descriptor, into, offset)

    monkeypatch.setattr(os, "preadv", broken)
    with refused(UnavailableError, "unreadable"):
        way(stream(b"x" * 10 * BLOCK), 2)
    assert readers() == []


@pytest.mark.parametrize("way", [here, ahead])
def test_a_system_that_gives_a_few_bytes_at_a_time(way, stream, monkeypatch):
    real = os.preadv
    monkeypatch.setattr(os, "preadv", lambda descriptor, into, at: real(descriptor, [into[0][:7]], at))
    raw = os.urandom(5 * BLOCK + 3)
    assert b"".join(way(stream(raw), 3)) == raw


def test_a_bug_in_a_reader_is_raised_and_not_waited_for(stream, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(reading, "read_whole", broken)
    with pytest.raises(ZeroDivisionError):
        ahead(stream(b"x" * 10 * BLOCK), 2)
    assert readers() == []


def test_whoever_stops_early_leaves_no_thread(stream):
    with Ahead(stream(b"x" * 100 * BLOCK), block=BLOCK) as chunks:
        assert len(readers()) == reading.READERS
        for _ in chunks:
            break
    assert readers() == []


def test_a_context_that_is_never_read_ends_too(stream):
    with Ahead(stream(b"x" * 100 * BLOCK), block=BLOCK):
        pass
    assert readers() == []


def test_so_many_reads_are_under_way_at_once(stream, monkeypatch):
    """None of them returns before all have been asked for."""
    together = threading.Barrier(reading.READS_IN_FLIGHT, timeout=60)
    real = os.preadv

    def waiting(descriptor, into, offset):
        if offset < reading.READS_IN_FLIGHT * BLOCK:
            together.wait()
        return real(descriptor, into, offset)

    monkeypatch.setattr(os, "preadv", waiting)
    assert len(ahead(stream(b"x" * 9 * BLOCK), reading.READS_IN_FLIGHT)) == 9


def test_one_stream_tells_the_system_what_comes_next(stream, monkeypatch):
    told = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _, *what: told.append(what))
    here(stream(b"x" * 7 * BLOCK), 1)
    assert told == [(n * BLOCK, BLOCK, os.POSIX_FADV_WILLNEED) for n in range(4, 7)]


def test_readers_tell_the_system_their_next_blocks(stream, monkeypatch):
    told = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _, *what: told.append(what))
    ahead(stream(b"x" * 7 * BLOCK), 3)
    assert sorted(told) == [(n * BLOCK, BLOCK, os.POSIX_FADV_WILLNEED) for n in range(3, 7)]
    assert 2 * reading.READERS >= reading.READS_IN_FLIGHT


def test_a_file_system_that_takes_no_advice(stream, monkeypatch):
    def refusing(*_):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "posix_fadvise", refusing)
    assert len(here(stream(b"x" * 7 * BLOCK), 1)) == 7


@pytest.mark.parametrize("given", [0, 1])
def test_a_limit_on_threads(given, stream, monkeypatch):
    real, left = threading.Thread.start, [given]

    def limited(self):
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        real(self)

    monkeypatch.setattr(threading.Thread, "start", limited)
    raw = os.urandom(10 * BLOCK)
    assert b"".join(ahead(stream(raw), 4)) == raw
