"""Command lines: one reading each, and one error with a code for those that have none."""

from pathlib import Path

import pytest

from trustkit.errors import UsageError
from trustkit.programs import arguments
from trustkit.programs.arguments import Once, Parser
from trustkit.version import __version__


@pytest.fixture
def parser():
    whole = arguments.program("trustkit-test", does="Tests.", ends="0 good, 1 bad")
    common = Parser(add_help=False)
    arguments.add_config_flag(common)
    common.add_argument("--word", action=Once, type=arguments.text)
    arguments.add_voice_flags(common)
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="go|stay")
    arguments.add_verb(verbs, common, "go", "leave this place")
    arguments.add_verb(verbs, common, "stay", "do not").add_argument("--here", action="store_true")
    return whole


def test_what_is_given_is_found(parser):
    found = parser.parse_args(["stay", "--config", "a/b.yaml", "--here", "--json"])
    assert (found.verb, found.config, found.here) == ("stay", Path("a/b.yaml"), True)
    assert (found.word, found.json, found.debug) == (None, True, False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: go|stay; see trustkit-test --help"),
        (["run"], "invalid choice"),
        (["go"], "required: --config; see trustkit-test go --help"),
        (["go", "--config", ""], "argument --config: is empty, or holds a NUL character"),
        (["go", "--config", "a\0b"], "argument --config: is empty, or holds a NUL character"),
        (["go", "--config", "a", "--word", ""], "argument --word: is empty"),
        (["go", "--config", "a", "--config", "a"], "argument --config: may be given only once"),
        (["go", "--conf", "a"], "required: --config"),
        (["go", "--config", "a", "--here"], "unrecognized arguments: --here"),
    ],
)
def test_what_is_wrong_is_one_error_with_a_code(parser, words, message):
    with pytest.raises(UsageError) as caught:
        parser.parse_args(words)
    assert caught.value.code == "bad-arguments"
    assert message in caught.value.message


def test_help_and_version_end_the_program_well(parser, capsys):
    for words, said in (
        (["--help"], "Exit status: 0 good, 1 bad."),
        (["go", "--help"], "Leave this place."),
        (["--version"], f"trustkit-test {__version__}\n"),
    ):
        with pytest.raises(SystemExit) as caught:
            parser.parse_args(words)
        assert caught.value.code == 0
        assert said in capsys.readouterr().out


def test_flags_that_override_are_picked_from_a_whole_command_line():
    line = ["serve", "--config", "x", "--listen", "a:1", "--debug", "--health-listen", ""]
    assert arguments.given(line, "--listen", "--health-listen") == {"listen": "a:1"}
    assert arguments.given(["--health-listen=b:2"], "--listen", "--health-listen") == {"health_listen": "b:2"}
    assert arguments.given(["--lis", "a:1"], "--listen") == {}
