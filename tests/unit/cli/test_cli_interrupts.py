"""Signals at any moment: 130, one line, one document, and nothing left behind."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SIZE = 64 << 30
"""Bytes of a sparse file: longer to hash than any test waits."""


@pytest.fixture
def endless(world, tmp_path):
    """A model that takes minutes to hash, and no room on the disk."""
    folder = tmp_path / "endless"
    folder.mkdir()
    with (folder / "weights.bin").open("wb") as file:
        file.truncate(SIZE)
    return folder


@pytest.fixture
def start(environment):
    """Start the program in a session of its own; whatever is still there at the end is killed."""
    started = []

    def run(*words, ignoring="", bare=False):
        command = [sys.executable, "-m", "trustkit", *map(str, words)]
        if ignoring:
            command = ["sh", "-c", f'trap "" {ignoring}; exec "$@"', "sh", *command]
        process = subprocess.Popen(
            command,
            env=without_coverage(environment) if bare else environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def without_coverage(environment):
    """Measuring takes its time, and does not like to be interrupted either."""
    return {name: value for name, value in environment.items() if not name.startswith("COVERAGE")}


def busy(process):
    """Wait until the process works: it has used more time than it needs to start, or runs threads."""
    while process.poll() is None:
        lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
        threads = next(int(line.split()[1]) for line in lines if line.startswith("Threads:"))
        if threads > 1:
            return
        time.sleep(0.005)


def ended(process):
    out, err = process.communicate(timeout=60)
    assert b"Traceback" not in err, err
    assert b"Exception ignored" not in err, err
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("json_asked", [(), ("--json",)])
def test_a_signal_ends_hashing_at_once(start, endless, world, snapshot, number, json_asked):
    process = start("sign", endless, "--key", world.author, *json_asked)
    busy(process)
    process.send_signal(number)
    status, out, err = ended(process)
    assert (status, err) == (130, "trustkit: interrupted; nothing is left half-written [interrupted]\n")
    assert (json.loads(out)["code"] == "interrupted") if json_asked else out == ""
    assert [path.name for path in endless.iterdir()] == ["weights.bin"]


def test_the_impatient_get_the_same(start, endless, world):
    process = start("sign", endless, "--key", world.author, "--json")
    busy(process)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    status, out, _ = ended(process)
    assert status == 130
    assert json.loads(out)["code"] == "interrupted"
    assert [path.name for path in endless.iterdir()] == ["weights.bin"]


CLEANING = """
import os, signal, sys, time, types
from pathlib import Path
from trustkit.cli import verbs
from trustkit.cli.main import run

def work(arguments, terminal):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        Path(os.environ["MARK"]).touch()

verbs.VERBS["work"] = verbs.Verb("work", "", "")
sys.modules["trustkit.cli.verbs.work"] = types.SimpleNamespace(configure=lambda parser: None, run=work)
run()
"""


def test_a_second_signal_does_not_interrupt_the_cleaning_up(environment, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CLEANING, "work", "--json"],
        env={**environment, "MARK": str(tmp_path / "clean")},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 130, done.stderr
    assert json.loads(done.stdout)["code"] == "interrupted"
    assert (tmp_path / "clean").exists()


def test_an_opening_that_is_interrupted_leaves_no_plaintext(start, tmp_path, world, cli, seal_words):
    big = tmp_path / "big"
    big.mkdir()
    with (big / "weights.bin").open("wb") as file:
        file.truncate(384 << 20)
    assert cli("sign", big, "--key", world.author).status == 0
    output = tmp_path / "sealed"
    process = start(*seal_words(world, big, output))
    busy(process)
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big"]

    assert cli(*seal_words(world, big, output)).status == 0
    opening = ("--opener", world.opener, "--key", world.public(world.author))
    opening += ("--publisher-key", world.public(world.publisher), "--output", tmp_path / "opened")
    process = start("open", output, *opening)
    busy(process)
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big", "sealed"]


def test_what_the_caller_ignores_stays_ignored(start, endless, world):
    """`nohup` and background jobs: a signal that was ignored before us is ignored by us."""
    process = start("sign", endless, "--key", world.author, ignoring="HUP INT")
    busy(process)
    for number in (signal.SIGHUP, signal.SIGINT):
        process.send_signal(number)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 130


def test_an_interruption_at_any_moment_after_the_interpreter_started(start, model, world, snapshot):
    """Before that the signal is the interpreter's: it dies of it, and a shell calls that 130 as well."""
    before = snapshot(model)
    draw = random.Random(7)
    seen = set()
    for _ in range(25):
        process = start("verify", model, "--key", world.public(world.author), "--json", bare=True)
        time.sleep(draw.uniform(0.0, 0.25))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        seen.add(process.returncode)
        if process.returncode in {0, 130}:
            assert b"Traceback" not in err
            assert json.loads(out)["ok"] is (process.returncode == 0)
        else:
            assert b"trustkit/cli/dispatch" not in err
        assert process.returncode in {0, 130, 1, -signal.SIGINT}
    assert 130 in seen
    assert snapshot(model) == before


def test_a_prompt_that_is_interrupted(environment, world):
    pty = pytest.importorskip("pty")
    pid, terminal = pty.fork()
    if pid == 0:
        words = [sys.executable, "-m", "trustkit", "key", "public", str(world.locked)]
        os.execve(words[0], words, {**environment, "TERM": "xterm"})
    seen = b""
    while b"passphrase of" not in seen:
        seen += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    try:
        while True:
            seen += os.read(terminal, 1000)
    except OSError:
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    assert b"[interrupted]" in seen
    assert b"Traceback" not in seen
    os.close(terminal)
