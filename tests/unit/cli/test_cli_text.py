"""Pure text: escaping, sizes, counts, lists, durations."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustkit import strictjson
from trustkit.cli.answer import counted, size, some
from trustkit.cli.escape import MAX_LINE, harmless, line, shown
from trustkit.cli.progress import clock

anything = st.text(st.characters(codec=None, exclude_categories=()))


@given(anything)
def test_nothing_unprintable_is_shown(text):
    result = shown(text)
    assert result.isprintable()
    assert shown(result) == result
    assert not {unicodedata.category(char) for char in result} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    result.encode("utf-8")


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"])))
def test_plain_text_is_left_alone(text):
    assert shown(text) == text


@pytest.mark.parametrize(
    ("untrusted", "safe"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\rc\td", "a\\nb\\rc\\td"),
        ("\x7f\x80\x9b", "\\x7f\\x80\\x9b"),
        ("\u202e\u2066\u200b\ufeff", "\\u202e\\u2066\\u200b\\ufeff"),
        ("\u2028\u2029\xa0", "\\u2028\\u2029\\xa0"),
        ("\udcff\ud800", "\\udcff\\ud800"),
        ("\U000e0001", "\\U000e0001"),
        ("modèle 模型", "modèle 模型"),
        ("back\\slash", "back\\slash"),
    ],
)
def test_what_is_spelled_out(untrusted, safe):
    assert shown(untrusted) == safe


@given(anything)
def test_a_line_is_one_line_of_bearable_length(text):
    assert line(text).isprintable()
    assert len(line(text * 3000)) <= MAX_LINE * 10


def test_a_long_line_keeps_both_ends():
    found = line("a" + "x" * 5000 + "z")
    assert found[0] == "a"
    assert found[-1] == "z"
    assert len(found) < MAX_LINE


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | anything,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(anything, inner, max_size=3),
    max_leaves=10,
)


@given(values)
def test_every_value_becomes_a_document_that_anybody_can_show(value):
    raw = strictjson.to_bytes(harmless(value))
    assert raw.decode("utf-8").isprintable()
    strictjson.parse(raw, max_bytes=len(raw), what="document")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (67_108_864, "67.1 MB"),
        (4_290_000_000, "4.3 GB"),
        (10**13, "10.0 TB"),
        (10**16, "10.0 PB"),
    ],
)
def test_sizes(number, text):
    assert size(number) == text


def test_counts_and_lists():
    assert (counted(1, "file"), counted(0, "file")) == ("1 file", "0 files")
    assert counted(2, "entry", "entries") == "2 entries"
    assert some(["a"]) == "a"
    assert some(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (12_000, "3 h 20 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_durations(seconds, text):
    assert clock(seconds) == text


def test_one_of_a_thing_is_never_told_in_the_plural(cli, world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").mkdir()
    (tmp_path / "one/x").write_bytes(b"x")
    manifests = tmp_path / "deploy"
    manifests.mkdir()
    (manifests / "pod.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n"
        "  - {name: a, image: vllm/vllm-openai, args: [--model, trust://s/m]}\n"
    )
    key, public, to = world.author, world.public(world.author), world.public(world.opener)
    for words in (
        ("sign", "one", "--key", key),
        ("verify", "one", "--key", public),
        ("verify", "one", "--key", public, "--only", "x"),
        ("manifest", "one"),
        ("inspect", "one/model.sig"),
        (
            *("seal", "one", "--key", key, "--author-key", public, "--recipient", to),
            *("--line", "a/b", "--version", "1", "--output", "sealed"),
        ),
        ("inspect", "sealed/descriptor.sigstore.json"),
        ("inspect", "sealed/recipients.json"),
        ("open", "sealed", "--opener", world.opener, "--key", public, "--output", "open"),
        ("check", "deploy"),
        ("pin", "deploy", "--from", "trust://s/m=one", "--key", public),
        ("check", "deploy"),
        ("policy", "check", world.policy),
        ("shred", "sealed"),
    ):
        ran = cli(*words)
        assert ran.status == 0 or words == ("check", "deploy")
        assert not re.search(r"(?<!\d)(?<!of )1 (?:more )?[a-z]+s\b(?! of)", ran.out + ran.err), ran
        assert "they are" not in ran.err
