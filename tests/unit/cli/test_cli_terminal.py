"""On a terminal: colour, progress and questions; nowhere else, and never when told not to."""

import io
import os
import re
import select
import sys
import time

import pytest

from trustkit.cli.parser import path_of
from trustkit.cli.passphrase import MAX_BYTES, choose_passphrase, read_passphrase
from trustkit.cli.progress import EVERY_SECONDS, MAX_COUNTED, Meter, total_of
from trustkit.cli.terminal import Terminal
from trustkit.errors import LimitError, UsageError

pty = pytest.importorskip("pty")


class Person:
    """Somebody at a terminal: sees everything, answers questions."""

    def __init__(self, words, environment):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            words = [sys.executable, "-m", "trustkit", *map(str, words)]
            os.execve(words[0], words, environment)
        self.seen = b""

    def wait_for(self, text):
        deadline = time.monotonic() + 60
        while text not in self.seen:
            ready, _, _ = select.select([self.terminal], [], [], deadline - time.monotonic())
            assert ready, self.seen
            self.seen += os.read(self.terminal, 4096)

    def type(self, text):
        os.write(self.terminal, text)

    def end(self):
        try:
            while chunk := os.read(self.terminal, 4096):
                self.seen += chunk
        except OSError:
            pass
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def person(environment):
    def sit(*words, **more):
        return Person(words, {**environment, "TERM": "xterm", **more})

    return sit


@pytest.fixture
def large(tmp_path, world, cli):
    """A model that takes long enough to hash for its progress to be seen."""
    folder = tmp_path / "large"
    folder.mkdir()
    with (folder / "weights.bin").open("wb") as file:
        file.truncate(768 << 20)
    return folder


def test_a_terminal_sees_progress_and_colour(person, large, world):
    somebody = person("sign", large, "--key", world.author)
    assert somebody.end() == 0
    seen = somebody.seen.decode()
    assert re.search(r"\r\x1b\[Ksigning [\d.]+ \w+ of 805\.3 MB", seen)
    assert "\x1b[32msigned\x1b[0m: " in seen
    assert seen.index("signing") < seen.index("signed\x1b")


def test_no_colour_means_no_escape_at_all(person, large, world):
    somebody = person("sign", large, "--key", world.author, NO_COLOR="1")
    assert somebody.end() == 0
    assert b"\x1b" not in somebody.seen
    assert b"signing " in somebody.seen


@pytest.mark.parametrize(("more", "environ"), [(("--quiet",), {}), ((), {"TERM": "dumb"})])
def test_no_progress_where_it_is_not_wanted(person, large, world, more, environ):
    somebody = person("sign", large, "--key", world.author, *more, **environ)
    assert somebody.end() == 0
    assert b"\x1b" not in somebody.seen
    assert b"signing" not in somebody.seen
    assert (somebody.seen == b"") == bool(more)


def test_nobody_at_a_pipe_sees_any_of_it(program, large, world):
    ran = program("sign", large, "--key", world.author, environ={"TERM": "xterm"})
    assert (ran.status, ran.err) == (0, "")
    assert "\x1b" not in ran.out


def test_a_refusal_is_red_and_what_is_unverified_is_yellow(person, world):
    somebody = person("verify", world.model, "--key", world.public(world.stranger))
    assert somebody.end() == 1
    assert b"\x1b[31mtrustkit\x1b[0m: no author" in somebody.seen
    somebody = person("inspect", world.author)
    assert somebody.end() == 0
    assert b"\x1b[33mUNVERIFIED\x1b[0m: a private key" in somebody.seen


def test_a_passphrase_is_asked_for_and_never_shown(person, world, tmp_path):
    somebody = person("key", "public", world.locked)
    somebody.wait_for(b"passphrase of")
    somebody.type(b"correct horse\n")
    assert somebody.end() == 0
    assert b"-----BEGIN PUBLIC KEY-----" in somebody.seen
    assert b"correct horse" not in somebody.seen


@pytest.mark.parametrize(
    ("typed", "code"),
    [(b"wrong\n", "wrong-passphrase"), (b"\n", "empty-passphrase"), (b"\x04", "passphrase-needed")],
)
def test_a_wrong_answer_is_the_callers_mistake(person, world, typed, code):
    somebody = person("key", "public", world.locked, "--json")
    somebody.wait_for(b"passphrase of")
    somebody.type(typed)
    assert somebody.end() == 2
    assert f"[{code}]".encode() in somebody.seen


def test_a_new_key_is_asked_for_twice(person, tmp_path):
    somebody = person("key", "generate", "--output", tmp_path / "key.pem")
    for question in (b"passphrase for the new key", b"the same again"):
        somebody.wait_for(question)
        somebody.type(b"s3cret\n")
    assert somebody.end() == 0
    assert b"ENCRYPTED" in (tmp_path / "key.pem").read_bytes()


def test_two_answers_that_differ_make_no_key(person, tmp_path):
    somebody = person("key", "generate", "--output", tmp_path / "key.pem")
    for question, answer in ((b"passphrase for the new key", b"one\n"), (b"the same again", b"two\n")):
        somebody.wait_for(question)
        somebody.type(answer)
    assert somebody.end() == 2
    assert b"[passphrases-differ]" in somebody.seen
    assert list(tmp_path.iterdir()) == []


def test_no_answer_is_no_encryption_and_said_aloud(person, tmp_path):
    somebody = person("key", "generate", "--output", tmp_path / "key.pem")
    somebody.wait_for(b"passphrase for the new key")
    somebody.type(b"\n")
    assert somebody.end() == 0
    assert b"is not encrypted" in somebody.seen


def test_nobody_is_asked_where_nobody_sits(program, world):
    ran = program("key", "public", world.locked)
    assert (ran.status, ran.code) == (2, "passphrase-needed")


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def meter(stream, path, clock, erase="\r\x1b[K"):
    return Meter(stream, "hashing", [path], erase=erase, now=clock)


def test_the_meter_draws_now_and_then_and_cleans_up(tmp_path):
    (tmp_path / "file").write_bytes(bytes(4000))
    stream, clock = io.StringIO(), Clock()
    with meter(stream, tmp_path, clock) as advance:
        advance(1000)
        assert stream.getvalue() == ""
        clock.seconds = 0.9
        advance(0)
        clock.seconds = 2.0
        advance(1000)
        clock.seconds += EVERY_SECONDS / 2
        advance(1000)
    assert stream.getvalue() == (
        "\r\x1b[Khashing 1.0 kB of 4.0 kB\r\x1b[Khashing 2.0 kB of 4.0 kB, 1.0 kB/s, 2 s left\r\x1b[K\r"
    )


def test_the_meter_promises_no_end_it_does_not_know(tmp_path):
    (tmp_path / "file").write_bytes(bytes(10))
    stream, clock = io.StringIO(), Clock()
    with meter(stream, tmp_path / "file", clock) as advance:
        clock.seconds = 1.0
        advance(2000)
        clock.seconds = 2.0
        advance(0)
    assert "hashing 2.0 kB, 2.0 kB/s" in stream.getvalue()
    assert "left" not in stream.getvalue()
    stream = io.StringIO()
    with meter(stream, tmp_path / "absent", Clock()) as advance:
        advance(0)
    assert stream.getvalue() == ""


def test_the_meter_at_its_start_divides_by_nothing(tmp_path):
    (tmp_path / "file").write_bytes(bytes(10))
    stream, clock = io.StringIO(), Clock()
    with meter(stream, tmp_path, clock) as advance:
        clock.seconds = 1.0
        advance(0)
    assert "0 bytes of 10 bytes, 0 bytes/s, 0 s left" in stream.getvalue()


def test_the_meter_without_escapes_paints_over_itself(tmp_path):
    (tmp_path / "file").write_bytes(bytes(10_000))
    stream, clock = io.StringIO(), Clock()
    with meter(stream, tmp_path, clock, erase="\r") as advance:
        for seconds, count in ((1.0, 1), (2.0, 9_999)):
            clock.seconds = seconds
            advance(count)
    assert "\x1b" not in stream.getvalue()
    first, second, blank = stream.getvalue().split("\r")[1:4]
    assert len(second.rstrip()) <= len(first) <= len(second) or len(first) <= len(second)
    assert blank == " " * len(second.rstrip())


def test_the_meter_gives_up_a_stream_and_not_the_work(tmp_path):
    (tmp_path / "file").write_bytes(bytes(10))
    stream, clock = io.StringIO(), Clock()
    with meter(stream, tmp_path, clock) as advance:
        stream.close()
        clock.seconds = 1.0
        advance(5)
        clock.seconds = 2.0
        advance(5)


def test_nobody_watching_costs_nothing(tmp_path):
    with Meter(None, "hashing", [tmp_path / "absent"], erase="\r") as advance:
        assert advance is None


def test_the_total_counts_what_is_there(tmp_path, monkeypatch):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/one").write_bytes(bytes(100))
    (tmp_path / "a/b/two").write_bytes(bytes(20))
    (tmp_path / "link").symlink_to(tmp_path / "a")
    os.mkfifo(tmp_path / "fifo")
    assert total_of([tmp_path]) == 120
    assert total_of([tmp_path / "a/one", tmp_path / "absent", tmp_path / "a/b"]) == 120
    assert total_of([tmp_path / "a/one/below"]) == 0
    monkeypatch.setattr("trustkit.cli.progress.MAX_COUNTED", 2)
    assert total_of([tmp_path]) is None
    assert MAX_COUNTED > 100_000


def test_a_file_that_vanishes_while_it_is_counted_counts_nothing(tmp_path, monkeypatch):
    def gone(path):
        raise NotADirectoryError

    monkeypatch.setattr("os.scandir", gone)
    assert total_of([tmp_path / "gone"]) == 0


def terminal(**environ):
    return Terminal(environ, out=io.StringIO(), err=io.StringIO())


def test_somebody_who_closed_the_terminal_is_not_asked_for_ever(monkeypatch):
    monkeypatch.setattr("getpass.getpass", lambda prompt: (_ for _ in ()).throw(EOFError))
    with pytest.raises(UsageError, match="passphrase-needed"):
        terminal().ask("passphrase")


def test_a_person_without_a_terminal_is_none():
    assert not terminal().interactive()
    assert not Terminal({}, out=None, err=None).interactive()
    assert choose_passphrase(None, terminal()) is None
    assert not terminal().colour


@pytest.mark.parametrize(
    ("raw", "passphrase"),
    [
        (b"secret", b"secret"),
        (b"secret\n", b"secret"),
        (b"secret\r\n", b"secret"),
        (b"secret\nsecond line\n", b"secret"),
        (b" spaces stay \n", b" spaces stay "),
        (b"\xff\x00\x01\n", b"\xff\x00\x01"),
        (b"x" * MAX_BYTES, b"x" * MAX_BYTES),
    ],
)
def test_a_passphrase_is_the_first_line(tmp_path, raw, passphrase):
    (tmp_path / "file").write_bytes(raw)
    assert read_passphrase(tmp_path / "file") == passphrase


@pytest.mark.parametrize(
    ("raw", "kind", "code"),
    [
        (b"", UsageError, "empty-passphrase"),
        (b"\nsecret", UsageError, "empty-passphrase"),
        (b"\r\n", UsageError, "empty-passphrase"),
        (b"x" * (MAX_BYTES + 1), LimitError, "passphrase-too-long"),
        (b"x\n" * 40_000, LimitError, "too-large"),
    ],
)
def test_what_is_no_passphrase(tmp_path, raw, kind, code):
    (tmp_path / "file").write_bytes(raw)
    with pytest.raises(kind) as caught:
        read_passphrase(path_of(str(tmp_path / "file")))
    assert caught.value.code == code
    assert "x" * 20 not in caught.value.message
