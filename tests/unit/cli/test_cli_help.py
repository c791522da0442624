"""Help is worth reading, quick, and complete."""

import re
import subprocess
import sys

import pytest

from trustkit.cli.dispatch import help_text, parser_of
from trustkit.cli.verbs import VERBS

HEAVY = (
    "cryptography",
    "yaml",
    "blake3",
    "numpy",
    "pyarrow",
    "fastapi",
    "concurrent.futures",
    "ssl",
    "asyncio",
    "trustkit.workflows",
)


@pytest.mark.parametrize("words", [("--help",), ("-h",), ("--help", "sign"), ("--help", "--quiet")])
def test_the_program_lists_every_verb(cli, words):
    ran = cli(*words)
    assert (ran.status, ran.err, ran.out) == (0, "", help_text())
    for name, verb in VERBS.items():
        assert re.search(rf"^  {name} +{re.escape(verb.summary)}$", ran.out, re.MULTILINE)
    for status in ("0", "1", "2", "3", "4", "5", "70", "130"):
        assert re.search(rf"(^|  ){status} \w", ran.out, re.MULTILINE)


@pytest.mark.parametrize("name", [*VERBS, "key", "policy", ""])
def test_help_is_a_word_too(cli, name):
    ran = cli("help", *name.split())
    assert (ran.status, ran.err, ran.out) == (0, "", cli(*name.split(), "--help").out)
    assert cli("help", *name.split(), "--json").document["help"] == ran.out


def test_help_on_what_there_is_not(cli):
    ran = cli("help", "sing")
    assert (ran.status, ran.code) == (2, "unknown-verb")
    assert "did you mean 'sign'?" in ran.err


@pytest.mark.parametrize("group", ["key", "policy"])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_a_group_lists_its_verbs(cli, group, flag):
    ran = cli(group, flag)
    assert ran.status == 0
    assert ran.out.startswith(f"usage: trustkit {group} VERB")
    assert [name in ran.out for name in VERBS if name.startswith(f"{group} ")]
    assert "trustkit sign" not in ran.out


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_says_what_it_does_how_and_how_it_ends(cli, name):
    ran = cli(*name.split(), "--help", environ={"COLUMNS": "100"})
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(f"usage: trustkit {name}")
    for section in ("arguments:", "flags:", "after every verb:", "examples:", "exit status:"):
        assert section in ran.out or section in {"arguments:", "flags:"}
    assert f"trustkit {name}" in ran.out.split("examples:")[1]
    assert re.search(r"^  0 \w.*\n(  1 \w.*\n)?  2 a flag", ran.out, re.MULTILINE)
    for flag in parser_of(name).flags:
        assert flag.name.upper() in ran.out.upper()
    assert max(map(len, ran.out.splitlines())) <= 100


@pytest.mark.parametrize("name", ["sign", "verify"])
@pytest.mark.parametrize("store", ["s3", "gs"])
def test_each_store_that_is_read_has_an_example(cli, name, store):
    assert f"\n  trustkit {name} {store}://bucket/model --" in cli(name, "--help").out.split("examples:")[1]


@pytest.mark.parametrize("name", VERBS)
def test_help_answers_whatever_else_is_wrong(cli, name):
    ran = cli(*name.split(), "--nonsense", "-h", "--key", "--key")
    assert (ran.status, ran.err) == (0, "")
    assert cli(*name.split(), "--help", "--json").document["help"].startswith("usage: trustkit")
    assert cli(*name.split(), "--", "--help").status == 2 or name in {
        "manifest",
        "inspect",
        "key public",
        "verify",
        "policy check",
        "check",
    }


@pytest.mark.parametrize(
    ("columns", "widest"),
    [("60", 100), ("1", 100), ("nonsense", 100), ("99999999999", 100), ("", 100), ("-5", 100), ("200", 100)],
)
def test_help_fits_any_terminal(cli, columns, widest):
    ran = cli("sign", "--help", environ={"COLUMNS": columns})
    assert ran.status == 0
    assert max(map(len, ran.out.splitlines())) <= widest


@pytest.mark.parametrize("name", VERBS)
def test_help_loads_nothing_heavy(name):
    code = (
        "import sys; from trustkit.cli.main import main; status = main(sys.argv[1:], {}); "
        f"print(status, *[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *name.split(), "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr.split() == ["0"]
