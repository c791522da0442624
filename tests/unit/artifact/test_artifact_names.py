"""What a name may be, and which names cannot live side by side."""

import pytest

from trustkit.artifact.names import MAX_BYTES, MAX_LEVELS, check_distinct, check_name, folded
from trustkit.errors import FormatError, LimitError

E_ACUTE = "\N{LATIN SMALL LETTER E WITH ACUTE}"
COMBINING = "e\N{COMBINING ACUTE ACCENT}"


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "model-00001-of-00002.safetensors",
        "a/b/c",
        ".gitattributes",
        "...",
        "..a/b..",
        "a:0:5",
        "a b",
        " ",
        "~",
        "-rf",
        "*?[x]",
        E_ACUTE,
        "\N{CJK UNIFIED IDEOGRAPH-6A21}/\N{GRINNING FACE}",
        "x" * 255,
        "/".join("d" * 300),
        "/".join(["n" * 255] * 16),
    ],
)
def test_plain_names_are_returned_as_they_are(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "/etc/passwd",
        "a/",
        "a//b",
        ".",
        "./a",
        "a/./b",
        "..",
        "../a",
        "a/..",
        "a/../b",
        "a\\b",
        "..\\a",
        "C:\\a",
        "a\0",
        "a\nb",
        "\x1b[31mred",
        "a\x7f",
        "a\x85b",
        "a\N{LINE SEPARATOR}b",
        "a\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe",
        "a\N{FIRST STRONG ISOLATE}b",
        "\ud800",
        "a\udcff",
    ],
)
def test_names_that_climb_hide_or_are_no_text(name, refused):
    with refused(FormatError, "unsafe-name") as caught:
        check_name(name)
    assert caught.value.message.isascii()
    assert caught.value.message.isprintable()


def test_a_refused_name_is_shown_short_and_escaped(refused):
    with refused(FormatError, "unsafe-name") as caught:
        check_name("\x1b" * 4096)
    assert len(caught.value.message) < 1000


def test_lengths_are_of_bytes(refused):
    assert check_name("/".join([E_ACUTE * 127] * 16)[: MAX_BYTES // 2])
    with refused(LimitError, "name-too-long"):
        check_name("x" * (MAX_BYTES + 1))
    with refused(LimitError, "name-too-long"):
        check_name(E_ACUTE * (MAX_BYTES // 2 + 1))


def test_levels_are_counted(refused):
    assert check_name("/".join("d" * MAX_LEVELS))
    with refused(LimitError, "name-too-deep"):
        check_name("/".join("d" * (MAX_LEVELS + 1)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("README", "readme"),
        ("a/B", "A/b"),
        (E_ACUTE, COMBINING),
        (E_ACUTE.upper(), COMBINING),
        ("stra\N{LATIN SMALL LETTER SHARP S}e", "STRASSE"),
        ("\N{KELVIN SIGN}", "k"),
        ("\N{LATIN SMALL LIGATURE FI}", "fi"),
        ("\N{GREEK SMALL LETTER FINAL SIGMA}", "\N{GREEK SMALL LETTER SIGMA}"),
        ("to\N{ZERO WIDTH JOINER}kenizer.json", "tokenizer.json"),
        ("\N{GREEK SMALL LETTER ALPHA}\u0345\u0313", "\N{GREEK SMALL LETTER ALPHA}\u0313\u0345"),
        ("A/x", "a/y"),  # the folders meet
        ("a/b/C/x", "a/b/c/y"),
        ("a", "A/x"),  # a file where another needs a folder
        ("a", "a/x"),
    ],
)
def test_twins(one, other, refused):
    for names in ([one, other], [other, one], ["0", one, "zz", other]):
        with refused(FormatError, "name-twins") as caught:
            check_distinct(names)
        assert "twin" in caught.value.evidence


def test_a_name_twice(refused):
    with refused(FormatError, "duplicate-name"):
        check_distinct(["a", "b", "a"])


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["a", "b"],
        ["a/x", "b/x", "a/y"],
        ["a/a", "aa", "a.a", "a-a"],
        [E_ACUTE, "e", E_ACUTE + "x"],
        ["a/b/c/d", "a/b/c/e", "a/b/x", "a/y"],
    ],
)
def test_names_that_can_live_together(names):
    check_distinct(names)


def test_folding_is_a_projection():
    for name in ("AbC", E_ACUTE, COMBINING, "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", "\N{KELVIN SIGN}"):
        assert folded(folded(name)) == folded(name)
