"""The strict front of argparse: nothing shortened, nothing doubled, nothing empty, nothing guessed."""

import argparse

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trustkit.cli.dispatch import parser_of
from trustkit.cli.parser import Parser, path_of, text_of, whole
from trustkit.cli.verbs import VERBS
from trustkit.errors import UsageError

FILLED = {
    "sign": ["m", "--key", "k"],
    "verify": ["m", "--key", "k"],
    "manifest": ["m"],
    "inspect": ["f"],
    "seal": ["m", "--key", "k", "--recipient", "r", "--line", "a/b", "--version", "1", "--output", "o"],
    "open": ["m", "--opener", "k", "--output", "o"],
    "rewrap": ["d", "--opener", "k", "--add", "r"],
    "shred": ["d"],
    "kserve seal": ["m", "--jwk", "k", "--output", "o"],
    "kserve open": ["m", "--jwk", "k", "--output", "o"],
    "key generate": ["--output", "o"],
    "key public": ["f"],
    "policy check": ["f"],
    "check": ["f"],
    "pin": ["f", "--from", "s3://b/m=p"],
    "demo": [],
    "completion": ["bash"],
}
MANY_PATHS = {"check", "pin"}
SINGLE = [
    (name, flag.name) for name in VERBS for flag in parser_of(name).flags if flag.metavar or flag.choices
]


def refused(name, words):
    with pytest.raises(UsageError) as caught:
        parser_of(name).parse_args(words)
    assert caught.value.code == "bad-arguments"
    assert caught.value.message.endswith(f"; see trustkit {name} --help")
    return caught.value.message


def test_every_verb_is_tried_here():
    assert FILLED.keys() == VERBS.keys()


@pytest.mark.parametrize("name", VERBS)
def test_what_is_needed_is_enough(name):
    parser_of(name).parse_args(FILLED[name])


@pytest.mark.parametrize(
    ("name", "flag", "near"),
    [
        ("sign", "--kye", "--key"),
        ("sign", "--passphrase", "--passphrase-file"),
        ("verify", "--identiy=email:a@b", "--identity"),
        ("key generate", "--ouput", "--output"),
        ("seal", "--recipent", "--recipient"),
    ],
)
def test_a_misspelt_flag_suggests_the_near_one_before_all_that_is_missing(name, flag, near):
    said = f"there is no flag {flag.partition('=')[0]!r}, did you mean {near!r}?"
    assert refused(name, [flag, "x"]).startswith(said)
    assert refused(name, [*FILLED[name], flag, "x"]).startswith(said)


def test_a_flag_far_from_all_suggests_none():
    assert refused("sign", ["--singer", "x"]) == "there is no flag '--sing...'; see trustkit sign --help"


@pytest.mark.parametrize("name", VERBS)
def test_an_unknown_flag_is_refused(name):
    assert "there is no flag '--nons" in refused(name, [*FILLED[name], "--nonsense"])
    if name not in MANY_PATHS:
        assert "extra" in refused(name, [*FILLED[name], "extra"])


@pytest.mark.parametrize("name", VERBS)
def test_a_shortened_flag_is_refused(name):
    for flag in parser_of(name).flags:
        if flag.name.startswith("--"):
            value = ["1"] if flag.metavar or flag.choices else []
            refused(name, [*FILLED[name], flag.name[:-1], *value])


@pytest.mark.parametrize(("name", "flag"), [pair for pair in SINGLE if pair[1].startswith("--")])
def test_a_flag_needs_a_value_that_is_not_empty(name, flag):
    words = [word for word in FILLED[name] if word != flag]
    refused(name, [*words, flag])
    refused(name, [*words, f"{flag}="])
    refused(name, [*words, flag, ""])
    refused(name, [*words, flag, "a\0b"])


REPEATABLE = {
    "--add",
    "--allow",
    "--delete-key",
    "--exclude",
    "--from",
    "--identity",
    "--ignore",
    "--only",
    "--recipient",
    "--remove",
}


VALUES = {
    "--allow": "not-pinned",
    "--delete-key": "awskms:///arn:aws:kms:eu-west-1:123456789012:key/12345678-1234-1234-1234-123456789012",
    "--from": "s3://b/m=p",
    "--pending-days": "7",
}
"""Flags that do not take just any word."""


@pytest.mark.parametrize(("name", "flag"), [pair for pair in SINGLE if pair[1].startswith("--")])
def test_a_flag_with_one_value_is_not_given_twice(name, flag):
    known = {known.name: known for known in parser_of(name).flags}[flag]
    value = known.choices[0] if known.choices else VALUES.get(flag, "1")
    words = [*FILLED[name], *([] if flag in FILLED[name] else [flag, value]), flag, value]
    if flag in REPEATABLE:
        parser_of(name).parse_args(words)
    else:
        assert "may be given only once" in refused(name, words)


@pytest.mark.parametrize(
    "name", [name for name in VERBS if FILLED[name] and not FILLED[name][0].startswith("-")]
)
def test_a_path_may_start_with_a_dash_after_two(name):
    word = FILLED[name][0]
    rest = FILLED[name][1:]
    if name != "completion":
        found = vars(parser_of(name).parse_args([*rest, "--", "--json"]))
        given = [
            value for values in found.values() for value in (values if type(values) is list else [values])
        ]
        assert "--json" in map(str, given)
        assert found["json"] is False
    if name not in MANY_PATHS:
        refused(name, [*rest, "--", word, word])


@pytest.mark.parametrize(
    "words",
    [
        ["--method", "lines"],
        ["--hash", "md5"],
        ["--shard-size", "0"],
        ["--shard-size", "-1"],
        ["--shard-size", "1e9"],
    ],
)
def test_values_out_of_a_set_are_refused(words):
    refused("sign", [*FILLED["sign"], *words])


@pytest.mark.parametrize("name", ["../x", "/x", "a//b", "a\\b", "a\nb", ".", "/", "x" * 5000])
def test_names_to_ignore_are_names(name):
    refused("sign", [*FILLED["sign"], "--ignore", name])


def test_a_folder_to_ignore_may_end_in_a_slash():
    found = parser_of("sign").parse_args([*FILLED["sign"], "--ignore", "cache/", "--ignore", "b"])
    assert found.ignore == ["cache", "b"]


@pytest.mark.parametrize("line", ["", "A/b", "a//b", "/a", "a/", "a b", "é", "a" * 256])
def test_lines_are_lines(line):
    words = FILLED["seal"][:]
    words[words.index("a/b")] = line
    refused("seal", words)


@given(st.text(max_size=30) | st.from_regex(r"[0-9]{1,17}", fullmatch=True))
@example("1")
@example("007")
@example(str(2**53 - 1))
@example(str(2**53))
def test_numbers_are_plain_digits_within_bounds(text):
    kind = whole(1, 2**53 - 1)
    try:
        number = kind(text)
    except argparse.ArgumentTypeError:
        assert not (text.isascii() and text.isdigit() and 1 <= int(text) < 2**53 and len(text) <= 16)
    else:
        assert text.isascii()
        assert int(text) == number
        assert 1 <= number < 2**53


@pytest.mark.parametrize(
    "text", ["", "1_000", "+1", " 1", "\uff11", "9" * 5000, "0x10", "1.0", "9007199254740992"]
)
def test_other_spellings_of_numbers_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        whole(1, 2**53 - 1)(text)


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=300))
def test_paths_are_what_the_system_can_look_up(text):
    try:
        path = path_of(text)
    except argparse.ArgumentTypeError:
        return
    assert path.exists() in {True, False}
    assert "\0" not in text
    assert text


@pytest.mark.parametrize("text", ["", "a\0", "x" * 256, "x/" * 2048, "\ud800"])
def test_what_is_no_path(text):
    with pytest.raises(argparse.ArgumentTypeError):
        path_of(text)


def test_paths_as_long_as_they_can_be():
    assert len(str(path_of("/".join(["x" * 255] * 15)))) == 255 * 15 + 14
    assert str(path_of("\udcff" * 255)) == "\udcff" * 255
    with pytest.raises(argparse.ArgumentTypeError):
        path_of("é" * 128)


def test_text_is_anything_that_is_there():
    assert text_of("*.bin") == "*.bin"


def test_errors_are_raised_and_never_leave_the_process():
    with pytest.raises(UsageError, match="bad-arguments"):
        Parser("trustkit test").error("nothing fits")


CHOICES = [(verb, flag) for verb in VERBS for flag in parser_of(verb).flags if flag.choices]


@pytest.mark.parametrize(("verb", "flag"), CHOICES, ids=lambda it: it if isinstance(it, str) else it.name)
def test_a_value_that_is_none_of_the_choices_is_told_with_the_one_that_is_near(cli, verb, flag):
    meant = max(flag.choices, key=len)
    before = (flag.name,) if flag.name.startswith("--") else ()
    ran = cli(*verb.split(), *before, f"{meant}x")
    assert (ran.status, ran.code) == (2, "bad-arguments")
    assert (
        f"unknown value '{meant}x'; did you mean '{meant}'? choose from {', '.join(flag.choices)}" in ran.err
    )


def test_there_are_choices():
    assert len(CHOICES) >= 6


def test_codes_that_may_be_allowed_are_choices_too(cli):
    ran = cli("check", "x", "--allow", "not-pined")
    assert "unknown value 'not-pined'; did you mean 'not-pinned'? choose from lock-mismatch, " in ran.err


def test_a_value_that_is_like_none_is_told_without_a_guess(cli):
    ran = cli("check", "x", "--format", "Q" * 500)
    assert f"unknown value '{'Q' * 64}'; choose from text, sarif, markdown" in ran.err
