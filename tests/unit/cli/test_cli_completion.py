"""Completion scripts know what the parsers know; each is loaded by its own shell, where there is one."""

import shutil
import subprocess

import pytest

from trustkit.cli.completion import first_words, second_words
from trustkit.cli.dispatch import parser_of
from trustkit.cli.verbs import VERBS

ASK = """
source <(printf %s "$SCRIPT")
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_trustkit
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def bash(cli):
    if shutil.which("bash") is None:
        pytest.skip("there is no bash here")
    script = cli("completion", "bash").out

    def complete(*words):
        done = subprocess.run(
            ["bash", "--norc", "-eu", "-c", ASK, "bash", "trustkit", *words],
            env={"SCRIPT": script, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stderr == ""
        return [word for word in done.stdout.splitlines() if word]

    return complete


def test_bash_completes_verbs(bash):
    assert bash("") == [*first_words(), "--help", "--version"]
    assert bash("si") == ["sign"]
    assert bash("key", "") == ["generate", "public"]
    assert bash("policy", "c") == ["check"]
    assert bash("nothing", "") == []


@pytest.mark.parametrize("name", VERBS)
def test_bash_completes_every_flag_of_every_verb(bash, name):
    dashed = [flag.name for flag in parser_of(name).flags if flag.name.startswith("--")]
    assert bash(*name.split(), "--") == dashed
    assert bash(*name.split(), "--json", "x", "--") == dashed
    assert bash(*name.split(), "--", "--") == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("sign", "--hash", ""), ["sha256", "blake3", "blake2b"]),
        (("sign", "--hash", "b"), ["blake3", "blake2b"]),
        (("sign", "model", "--method", "s"), ["shards"]),
        (("key", "generate", "--type", "x"), ["x25519"]),
        (("completion", ""), ["bash", "zsh", "fish"]),
        (("completion", "z"), ["zsh"]),
        (("sign", "--key", ""), []),
        (("sign", "--key", "--"), []),
        (("sign", "mod"), []),
    ],
)
def test_bash_completes_values_and_leaves_files_to_the_shell(bash, words, found):
    assert bash(*words) == found


def test_bash_takes_the_script_as_it_is_documented(cli):
    if shutil.which("bash") is None:
        pytest.skip("there is no bash here")
    script = cli("completion", "bash").out
    done = subprocess.run(
        ["bash", "--norc", "-c", 'eval "$SCRIPT"; complete -p trustkit'],
        env={"SCRIPT": script, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (done.stderr, done.stdout) == ("", "complete -o bashdefault -o default -F _trustkit trustkit\n")


ZSH = """
autoload -Uz compinit; compinit -u -D
eval "$SCRIPT"
whence -w _trustkit
print -r -- ${_comps[trustkit]}
"""


def test_zsh_takes_the_script(cli, tmp_path):
    if shutil.which("zsh") is None:
        pytest.skip("there is no zsh here")
    done = subprocess.run(
        ["zsh", "-f", "-c", ZSH],
        env={"SCRIPT": cli("completion", "zsh").out, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (done.stderr, done.stdout) == ("", "_trustkit: function\n_trustkit\n")


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("trustkit si", {"sign"}),
        ("trustkit key ", {"generate", "public"}),
        ("trustkit sign --met", {"--method"}),
        ("trustkit sign --hash bl", {"blake3", "blake2b"}),
        ("trustkit completion z", {"zsh"}),
        ("trustkit key generate --type x", {"x25519"}),
    ],
)
def test_fish_completes(cli, tmp_path, typed, found):
    if shutil.which("fish") is None:
        pytest.skip("there is no fish here")
    script = tmp_path / "trustkit.fish"
    script.write_text(cli("completion", "fish").out)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {script}; complete -C '{typed}'"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert {line.split("\t")[0] for line in done.stdout.splitlines()} == found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_script_names_every_flag(cli, shell):
    ran = cli("completion", shell)
    assert (ran.status, ran.err) == (0, "")
    assert cli("completion", shell, "--quiet").out == ran.out
    assert cli("completion", shell, "--json").document["script"] == ran.out
    for name in VERBS:
        for flag in parser_of(name).flags:
            wanted = flag.name[2:] if flag.name.startswith("--") else ""
            assert wanted in ran.out
    assert set(second_words("key")) == {"generate", "public"}


def test_another_shell_is_refused(cli):
    ran = cli("completion", "powershell")
    assert (ran.status, ran.code) == (2, "bad-arguments")
