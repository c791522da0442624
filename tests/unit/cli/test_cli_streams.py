"""The real program with its streams closed, full or broken; always a status, never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def shell(environment, line, **values):
    """Run one line of sh in which ``$tk`` is the program."""
    done = subprocess.run(
        ["bash", "-c", f'tk="{sys.executable} -m trustkit"; {line}'],
        env={**environment, **{name: str(value) for name, value in values.items()}},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("$tk --help >&-", 5),
        ("$tk --help >/dev/full", 5),
        ("$tk --version --json >/dev/full", 5),
        ("$tk sign --help >&-", 5),
        ("$tk verify --json >&-", 5),
        ("$tk verify --json --nonsense >/dev/full", 5),
        ("$tk completion bash >&- 2>&-", 5),
        ("$tk --help <&- >&- 2>&-", 5),
        ("$tk --help 0<&- >/dev/null", 0),
        ("$tk --help 2>&- >/dev/null", 0),
        ("$tk nonsense 2>&-", 2),
        ("$tk nonsense 2>/dev/full", 2),
        ("$tk nonsense >&-", 2),
        ("$tk verify $model --key $key >&-", 5),
        ("$tk verify $model --key $key --json >/dev/full", 5),
        ("$tk verify $model --key $key --quiet >&-", 0),
        ("$tk verify $model --key $key --quiet >/dev/full", 0),
        ("$tk verify $model --key $other >/dev/full", 1),
        ("$tk verify $model --key $other 2>&- >&-", 1),
        ("$tk verify $model --key $other --json 2>&- >&-", 5),
    ],
)
def test_streams_that_cannot_be_written(environment, world, line, status):
    done = shell(
        environment,
        line,
        model=world.model,
        key=world.public(world.author),
        other=world.public(world.stranger),
    )
    assert done.returncode == status, done.stderr
    assert len(done.stderr.splitlines()) <= 1


LATE = """
import sys
from trustkit.cli.main import run
sys.stdout.write("what somebody left in the buffer")
run()
"""


@pytest.mark.parametrize(("words", "status"), [(("--version",), 5), (("sign",), 2)])
def test_what_is_left_in_a_buffer_fails_nobody_at_the_end(environment, words, status):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", LATE, *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(writer)
    assert done.returncode == status
    assert "Exception ignored" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [("completion", "bash"), ("--version",), ("--version", "--json")])
def test_a_reader_that_went_away(environment, words):
    """What the stream still holds must not be tried again when the interpreter ends: that is exit 120."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "trustkit", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(writer)
    assert done.returncode == 5
    assert done.stderr == "trustkit: standard output cannot be written: Broken pipe [unwritable]\n"


LEAVING = """
import atexit, gc, sys
from trustkit.cli.main import run

atexit.register(lambda: print(gc.get_freeze_count() > 1000, file=sys.stderr))
sys.argv = ["trustkit", "--version"]
run()
"""


def test_who_leaves_has_nobody_search_what_he_leaves_behind(environment):
    done = subprocess.run(
        [sys.executable, "-c", LEAVING],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (done.stdout[:8], done.stderr) == ("trustkit", "True\n")


COMPLAINING = """
import os, sys, types
from pathlib import Path
from trustkit.cli import verbs
from trustkit.cli.main import run

def work(arguments, terminal):
    with Path(os.environ["PRECIOUS"]).open("wb") as file:
        for number in (0, 1, 2):
            os.write(number, b"what a library written in C complains about")
        file.write(b"precious")

verbs.VERBS["work"] = verbs.Verb("work", "", "")
sys.modules["trustkit.cli.verbs.work"] = types.SimpleNamespace(configure=lambda parser: None, run=work)
run()
"""


@pytest.mark.parametrize("closed", ["2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"])
def test_no_file_of_ours_becomes_a_stream(environment, tmp_path, closed):
    """With a stream closed, the first file that is opened gets its number, and then what is meant for it."""
    closed = closed if "0" in closed else f"0<>/dev/null {closed}"
    closed = closed if "1" in closed else f"1>/dev/null {closed}"
    bare = {name: value for name, value in environment.items() if not name.startswith("COVERAGE")}
    subprocess.run(
        ["bash", "-c", f'exec "$0" -c "$WORK" work {closed}', sys.executable],
        env={**bare, "WORK": COMPLAINING, "PRECIOUS": str(tmp_path / "precious")},
        check=False,
        timeout=60,
    )
    assert (tmp_path / "precious").read_bytes() == b"precious"


@pytest.mark.parametrize(
    "locale", [{"LC_ALL": "POSIX"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "latin-1"}]
)
def test_text_that_an_encoding_lacks_is_spelled_out(program, tmp_path, locale):
    plain = {"PYTHONCOERCECLOCALE": "0", **locale}
    name = "modèle-模型"
    (tmp_path / name).mkdir()
    for words in (("verify", tmp_path / name), ("verify", tmp_path / name, "--json")):
        ran = program(*words, "--key", "absent", environ=plain)
        assert (ran.status, ran.code) == (2, "no-such-file")
    key = tmp_path / f"{name}.pem"
    made = program("key", "generate", "--output", key, environ=plain)
    assert made.status == 0, made.err
    assert key.exists()
    assert program("key", "generate", "--output", f"{key}2", "--json", environ=plain).document["ok"] is True


def test_arguments_that_are_no_text(program, tmp_path):
    raw = os.fsencode(tmp_path) + b"/a\xff\xfe\x1b[31m"
    ran = program("verify", raw, "--key", raw, "--json")
    assert ran.status == 2
    assert "\\udcff" in ran.document["message"]
    assert ran.out.isascii()
    Path(os.fsdecode(raw)).mkdir()
    made = program("key", "generate", "--output", raw + b"/key", "--json")
    assert made.document["private_key"].endswith("\\x1b[31m/key")
    assert sorted(path.name for path in Path(os.fsdecode(raw)).iterdir()) == ["key", "key.pub"]


def test_the_module_and_the_command_are_one(program, environment):
    command = Path(sys.executable).with_name("trustkit")
    if not command.exists():
        pytest.skip("the project is not installed in this environment")
    done = subprocess.run([command, "--help"], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == program("--help").out
