"""README shows what is: help texts are what `--help` prints, and every command shown is run.

Marks in README, each on the line before a fenced block:

    <!-- help: trustkit sign -->     the block is the output of `trustkit sign --help` at 100 columns
    <!-- run: publisher -->          sh runs the block in a fresh folder, which blocks of one name share
    <!-- make -->                    every line is a make target that exists
    <!-- shown by: `tests/…::…` -->  another test runs it
"""

import os
import re
import subprocess
import sysconfig
import tomllib
from pathlib import Path

import pytest

HELP = re.compile(r"<!-- help: ([a-z -]+?) -->\n+```\w*\n(.*?)\n```", re.DOTALL)
RUN = re.compile(r"<!-- run: ([a-z-]+) -->\n+```sh\n(.*?)\n```", re.DOTALL)
MAKE = re.compile(r"<!-- make -->\n+```sh\n(.*?)\n```", re.DOTALL)
SHOWN = re.compile(r"<!-- shown by: `(tests/[\w./-]+\.py)::(\w+)` -->\n+```sh\n")
BLOCK = re.compile(r"^```(?:sh|bash|console|shell)\n", re.MULTILINE)


@pytest.fixture(scope="module")
def readme(root):
    return (root / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def surroundings(tmp_path):
    """An environment as a newcomer has it: the installed commands, an empty home, a narrow terminal."""
    scripts = sysconfig.get_path("scripts")
    home = tmp_path / "home"
    home.mkdir()
    kept = {
        name: os.environ[name] for name in ("LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV") if name in os.environ
    }
    path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "HOME": str(home), "COLUMNS": "100", "NO_COLOR": "1"}


def test_help_texts_are_what_help_prints(readme, surroundings, demand_none):
    shown = HELP.findall(readme)
    assert "trustkit" in [command for command, _ in shown], "README shows the help of trustkit itself"
    offences = {}
    for command, text in shown:
        program, *verbs = command.split()
        arguments = [str(Path(sysconfig.get_path("scripts"), program)), *verbs, "--help"]
        done = subprocess.run(
            arguments, env=surroundings, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode or done.stdout.rstrip() != text.rstrip():
            offences[command] = f"exit {done.returncode}; --help prints\n{done.stdout}{done.stderr}"
    demand_none(offences)


def test_every_command_shown_is_marked_with_what_runs_it(readme):
    marked = len(RUN.findall(readme)) + len(MAKE.findall(readme)) + len(SHOWN.findall(readme))
    helped = len(re.findall(r"<!-- help: [a-z -]+ -->\n+```(?:sh|bash|console|shell)\n", readme))
    assert len(BLOCK.findall(readme)) == marked + helped


def test_the_commands_shown_run(readme, surroundings, tmp_path):
    blocks = RUN.findall(readme)
    assert blocks, "README shows no command that is run"
    for name, script in blocks:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        done = subprocess.run(
            ["sh", "-eu", "-c", script],
            cwd=folder,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, f"{name}:\n{script}\n{done.stdout}{done.stderr}"


def test_make_targets_shown_exist(readme, root, demand_none):
    targets = set(
        re.findall(r"^([a-z-]+):.*##", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    lines = [line.split("#")[0].split() for block in MAKE.findall(readme) for line in block.splitlines()]
    words = [word for line in lines if line[:1] == ["make"] for word in line[1:]]
    demand_none(word for word in words if word not in targets)


def test_tests_that_are_said_to_run_a_command_exist(readme, root, demand_none):
    demand_none(
        f"{file}::{name}"
        for file, name in SHOWN.findall(readme)
        if not (root / file).is_file() or f"def {name}(" not in (root / file).read_text(encoding="utf-8")
    )


def test_every_program_is_shown_or_at_least_named(readme, root, demand_none):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    demand_none(script for script in project["scripts"] if script not in readme)


def test_the_picture_is_in_the_repository_and_shown(readme, root):
    assert "trustkit/design/picture.svg" in readme
    assert (root / "trustkit/design/picture.svg").read_text(encoding="utf-8").startswith("<svg")
