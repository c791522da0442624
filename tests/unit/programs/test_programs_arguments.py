"""Command lines: one reading each, one error with a code for those that have none, and help of one style."""

import re
import shlex
from pathlib import Path

import pytest

import admission.main
import trustkit.broker.main
import trustkit.sidecar.config
import trustkit.store.main
from trustkit.cli.dispatch import help_text, parser_of, perform
from trustkit.errors import UsageError
from trustkit.programs import arguments
from trustkit.programs.arguments import Program
from trustkit.programs.helping import shown_flag
from trustkit.version import __version__

PROGRAMS = {
    "trustkit-admission": (admission.main._parser, ("serve", "decide", "check-config")),
    "trustkit-broker": (trustkit.broker.main._parser, ("serve", "check-config")),
    "trustkit-store": (trustkit.store.main._parser, ("serve", "check-config")),
    "trustkit-sidecar": (trustkit.sidecar.config.parser, ("run", "check-config", "published")),
}
VERBS = [(name, verb) for name, (_, verbs) in PROGRAMS.items() for verb in verbs]
SIDECAR = " ".join(
    f"--{name} {value}"
    for name, value in {
        "reference": f"trust://store:8443/acme/tiny-llm/1@sha256:{'0' * 64}",
        "output": "model",
        "policy": "policy.yaml",
        "policy-digest": f"sha256:{'0' * 64}",
        "trust-bundle": "bundle.pem",
        "trust-bundle-digest": f"sha256:{'0' * 64}",
        "store-id": "spiffe://example.org/store",
        "broker": "broker:8443",
        "broker-id": "spiffe://example.org/broker",
        "svid-directory": "svid",
        "health": "127.0.0.1:0",
    }.items()
)


@pytest.fixture
def parser():
    whole = Program("trustkit-test", does="Tests.", names="go|stay")
    for name, does in (("go", "leave this place"), ("stay", "do not")):
        verb = whole.verb(name, does)
        verb.story("It goes.\n\nOr not.", f"trustkit-test {name} --config a.yaml", done="gone", refused="no")
        arguments.add_config_flag(verb)
        arguments.add_flag(verb, "--word", "said", kind=arguments.text, metavar="WORD")
    arguments.add_listen_flag(verb)
    return whole


def test_what_is_given_is_found(parser):
    found = parser.parse_args(["stay", "--config", "a/b.yaml", "--listen", "a:1", "--json"])
    assert (found.verb, found.config, found.listen) == ("stay", Path("a/b.yaml"), "a:1")
    assert (found.word, found.json, found.debug) == (None, True, False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: go|stay; see trustkit-test --help"),
        (["run"], "there is no verb 'run'; see trustkit-test --help"),
        (["sty", "--config", "a"], "there is no verb 'sty', did you mean 'stay'?; see trustkit-test --help"),
        (["--json", "go"], "flags come after the verb, and '--json' comes before it"),
        (["--config=a", "go"], "flags come after the verb, and '--config' comes before it"),
        (["go"], "required: --config; see trustkit-test go --help"),
        (["go", "--config", ""], "argument --config: is empty, or holds a NUL character"),
        (["go", "--config", "a\0b"], "argument --config: is empty, or holds a NUL character"),
        (["go", "--config", "a", "--word", ""], "argument --word: is empty"),
        (["go", "--config", "a", "--config", "a"], "argument --config: may be given only once"),
        (["go", "--conf", "a"], "there is no flag '--conf', did you mean '--config'?; see trustkit-test go"),
        (
            ["go", "--confg=s3cret"],
            "there is no flag '--confg', did you mean '--config'?; see trustkit-test go",
        ),
        (["go", "-config", "a"], "there is no flag '-config', did you mean '--config'?"),
        (["go", "-x"], "there is no flag '-x'; see trustkit-test go --help"),
        (["go", "--config", "a", "--listen", "b:1"], "there is no flag '--list...'; see trustkit-test go"),
        (["go", "--config", "--wrd"], "argument --config: expected one argument"),
        (["go", "--config=a", "--", "--wrd"], "--wrd; see"),
        (["go", "--config=a", "-"], "unrecognized arguments: -"),
        (["go", "--config=a", "-5"], "unrecognized arguments: -5"),
    ],
)
def test_what_is_wrong_is_one_error_with_a_code(parser, words, message):
    with pytest.raises(UsageError) as caught:
        parser.parse_args(words)
    assert caught.value.code == "bad-arguments"
    assert message in caught.value.message


def said(parser, words, capsys):
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(words)
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_help_and_version_end_the_program_well(parser, capsys):
    for words, text in (
        (["--help"], "\n  go               leave this place\n  stay             do not\n"),
        (["go", "-h"], "\nIt goes.\n\nOr not.\n\nflags:\n  --config FILE"),
        (["go", "--help"], "\nexit status:\n  0 gone\n  1 no\n  2 a flag, path or configuration is wrong"),
        (["--version"], f"trustkit-test {__version__}\n"),
    ):
        assert text in said(parser, words, capsys)


def shape(text):
    """Return what the help of every program has in common: its titles in order, and how it writes them."""
    return re.findall(r"^(usage: |[a-z][a-z ]*:?$)", text, re.MULTILINE)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_help_of_every_program_is_written_as_that_of_trustkit(name, capsys):
    make, verbs = PROGRAMS[name]
    text = said(make(), ["--help"], capsys)
    assert text == said(make(), ["-h"], capsys)
    assert text.startswith(f"usage: {name} VERB [ARGUMENTS]\n       {name} VERB --help\n\n")
    ours = help_text().replace("--quiet (nothing but warnings on success), ", "")
    assert text[text.index("\nflags\n") :] == ours[ours.index("\nflags\n") :]
    assert re.findall(r"^  (\S+) {3,}[a-z/]", text[: text.index("\nflags\n")], re.MULTILINE) == list(verbs)
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(("name", "verb"), VERBS)
def test_the_help_of_every_verb_is_written_as_that_of_trustkits_verbs(name, verb, capsys):
    text = said(PROGRAMS[name][0](), [verb, "--help"], capsys)
    assert text == said(PROGRAMS[name][0](), [verb, "-h"], capsys)
    assert text.startswith(f"usage: {name} {verb} --")
    model = parser_of("key generate").format_help()
    assert (
        shape(text) == shape(model) == ["usage: ", "flags:", "after every verb:", "examples:", "exit status:"]
    )
    assert text[text.index("  2 a flag") :] == model[model.index("  2 a flag") :]
    assert re.search(r"^exit status:\n  0 \w", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 100
    for flag, says in re.findall(r"^  (-[^ ].*?)(?: {2,}|\n +)(\S.*)$", text, re.MULTILINE):
        assert not says[0].isupper() or says.split()[0].isupper() or says.startswith("Admission"), flag
        assert not says.endswith("."), flag


@pytest.mark.parametrize(("name", "verb"), VERBS)
def test_examples_are_command_lines_that_are_read(name, verb, capsys):
    make = PROGRAMS[name][0]
    text = said(make(), [verb, "--help"], capsys)
    examples = text.split("\nexamples:\n")[1].split("\n\n")[0].splitlines()
    assert examples
    for example in examples:
        program, *words = shlex.split(example.replace("$(cat sidecar.arguments)", SIDECAR))
        assert (program, words[0]) == (name, verb)
        make().parse_args(words)


def test_flags_that_override_are_picked_from_a_whole_command_line():
    line = ["serve", "--config", "x", "--listen", "a:1", "--debug", "--health-listen", ""]
    assert arguments.given(line, "--listen", "--health-listen") == {"listen": "a:1"}
    assert arguments.given(["--health-listen=b:2"], "--listen", "--health-listen") == {"health_listen": "b:2"}
    assert arguments.given(["--lis", "a:1"], "--listen") == {}


GLUED = (
    "--passphraseSECRET",
    "--passphrase=SECRET",
    "--passphrase-fileSECRET",
    "--passphrase-SECRET",
    "--passphraseSECRET=SECRET",
    "-pSECRET",
    "-passphraseSECRET",
    "--keySECRET",
    "--configSECRET",
    "--listen-SECRET",
    "--tokSECRET",
    "--passwordSECRET",
)
PARSERS = [*PROGRAMS, "trustkit sign", "trustkit open", "trustkit key generate", "trustkit kserve seal"]


@pytest.mark.parametrize("word", GLUED)
@pytest.mark.parametrize("name", PARSERS)
def test_a_secret_glued_to_a_flag_is_never_shown(name, word):
    """In every place of a line, before the verb, too."""
    if name in PROGRAMS:
        make, verbs = PROGRAMS[name]
        lines = [[word, verbs[0]], *([verb, word] for verb in verbs), [verbs[-1], "--output", "x", word]]
        parse = make().parse_args
    else:
        lines, parse = [[word], ["model", word]], parser_of(name.partition(" ")[2]).parse_args
    for line in lines:
        with pytest.raises(UsageError) as caught:
            parse(line)
        assert "SECRET" not in str(caught.value)


def test_a_secret_before_the_verb_of_trustkit_is_not_shown_either():
    for word in GLUED:
        with pytest.raises(UsageError) as caught:
            perform([word, "sign", "model"], None)
        assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("flag", "shown"),
    [
        ("--passphraseSECRET", "--passphrase..."),
        ("--passphrase-fiSECRET", "--passphrase-fi..."),
        ("--passphrase-file", "--passphrase-file"),
        ("--passphrase-fi", "--passphrase-fi"),
        ("--passSECRET", "--pass..."),
        ("--keyring", "--key..."),
        ("--SECRETS", "--SECR..."),
        ("--abcd", "--abcd"),
        ("-pSECRET", "-p..."),
        ("-p", "-p"),
        ("-keySECRET", "-key..."),
    ],
)
def test_of_an_unknown_flag_as_much_is_shown_as_is_like_one_that_there_is(flag, shown):
    assert shown_flag(flag, ["--passphrase-file", "--key", "-h"]) == shown


def test_a_misspelt_flag_is_shown_whole():
    assert shown_flag("--passprase-file", ["--passphrase-file"], near="passphrase-file") == "--passprase-file"
    assert shown_flag("--author-key", ["--key"], near="--key") == "--author-key"
    assert (
        shown_flag("--passphraseSECRET", ["--passphrase-file"], near="passphrase-file") == "--passphrase..."
    )


@pytest.mark.parametrize(
    "flag", ["--passphrse-file-hunter2", "--pass-phrase-hunter2", "--passphase-filhunter2", "--hunter2-key"]
)
def test_a_misspelt_flag_with_a_secret_is_not(flag):
    known = ["--passphrase-file", "--key"]
    near = "--key" if flag.endswith("key") else "--passphrase-file"
    assert "hunter2" not in shown_flag(flag, known, near=near)
