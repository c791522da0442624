"""What a name may be, and which names cannot live side by side."""

import pytest

from trustkit.artifact.names import (
    MAX_BYTES,
    MAX_LEVELS,
    Names,
    check_distinct,
    check_name,
    check_names,
    folded,
    in_order,
)
from trustkit.errors import FormatError, LimitError, TrustkitError

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


def test_names_that_nobody_checked_are_told_apart_all_the_same(refused):
    check_distinct(["a\nb", "a", "b"])
    with refused(FormatError, "name-twins"):
        check_distinct(["a\nB", "A\nb"])


def test_folding_is_a_projection():
    for name in ("AbC", E_ACUTE, COMBINING, "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", "\N{KELVIN SIGN}"):
        assert folded(folded(name)) == folded(name)


GOOD = [
    "a",
    "a/b",
    "d.e/f",
    "...",
    "..a",
    "x" * 600,
    "x" * 601,
    E_ACUTE,
    "a b",
    "/".join("d" * MAX_LEVELS),
    "~",
]


def test_many_good_names_are_good():
    check_names(GOOD)
    for name in GOOD:
        check_names([name, "z"])


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "./a",
        "../a",
        "a/.",
        "a/..",
        "a/./b",
        "a/../b",
        "a\\b",
        "a\nb",
        "a\tb",
        "a\x7fb",
        "\x00",
        "a\x85b",
        "\ud800",
        "a\N{RIGHT-TO-LEFT OVERRIDE}b",
        "x" * (MAX_BYTES + 1),
        "/".join("d" * (MAX_LEVELS + 1)),
    ],
)
def test_one_bad_name_among_many_is_refused_as_alone(name):
    with pytest.raises(TrustkitError) as alone:
        check_name(name)
    for names in ([name], [name, "a"], ["a", name], ["a", name, "b"], [E_ACUTE, name, "b"]):
        with pytest.raises(TrustkitError) as among:
            check_names(names)
        assert (among.value.code, among.value.evidence) == (alone.value.code, alone.value.evidence)


def test_no_names_are_good():
    check_names([])


def test_twins_are_found_among_thousands(refused):
    names = [f"d{number % 100}/{number:05}.bin" for number in range(10_000)]
    check_distinct(names)
    check_distinct([name.upper() for name in names])
    for odd in ("D7/00007.bin", "d7/00007.BIN", "d7/00007.bin/x", "D7/new", "d7"):
        for place in (0, 5000, 10_000):
            with refused(FormatError, "name-twins"):
                check_distinct([*names[:place], odd, *names[place:]])
    with refused(FormatError, "duplicate-name"):
        check_distinct([*names, names[0]])


def test_twins_are_named_as_far_as_they_clash(refused):
    for names, twins in (
        (["A/b/x", "A/B/y"], {"A/b", "A/B"}),
        (["a/x", "A/x/y"], {"a/x", "A/x/"}),
        (["a/x", "a/X"], {"a/x", "a/X"}),
    ):
        with refused(FormatError, "name-twins") as caught:
            check_distinct(names)
        assert {caught.value.evidence["name"], caught.value.evidence["twin"]} == twins


MANY = [f"d/{number}{E_ACUTE if number % 3 else ''}" for number in range(9000)]


@pytest.mark.parametrize("listed", [[], ["a"], ["b", "a", "a"], ["", ""], MANY, [name[:3] for name in MANY]])
def test_names_in_one_text_are_a_sequence_of_names(listed):
    found = Names(listed)
    assert (list(found), len(found)) == (listed, len(listed))
    for part in (
        slice(None),
        slice(1, 3),
        slice(-2, None),
        slice(5, 1),
        slice(None, None, -1),
        slice(4000, 5000),
    ):
        assert found[part] == listed[part]
    for place in (0, 1, -1, len(listed) // 2):
        if -len(listed) <= place < len(listed):
            assert found[place] == listed[place]
    for place in (len(listed), -len(listed) - 1):
        with pytest.raises(IndexError):
            found[place]
    assert in_order(found) == (listed == sorted(listed))


@pytest.mark.parametrize("more", [["c"], ["c", "d"], [E_ACUTE, "c"], MANY, [""], ["", "x", ""]])
def test_names_are_added_one_by_one_or_together(more):
    for start in ([], ["a"], ["a", "b"]):
        together, one_by_one = Names(start), Names(start)
        together.extend(more)
        for name in more:
            one_by_one.append(name)
        assert list(together) == list(one_by_one) == [*start, *more]
        assert [together[place] for place in range(len(together))] == [*start, *more]


def test_nothing_is_added_as_nothing():
    found = Names(["a"])
    found.extend([])
    assert list(found) == ["a"]


def test_names_that_nobody_checked_are_not_taken():
    with pytest.raises(ValueError, match="checked"):
        Names(["a\nb"])
    with pytest.raises(ValueError, match="checked"):
        Names().extend(["a", "b\nc"])


@pytest.mark.parametrize("size", [1, 2, 3, 4096])
@pytest.mark.parametrize(
    ("listed", "code"),
    [
        (["a", "b", "b", "c"], "duplicate-name"),
        (["a", "b", "b/c", "d"], "name-twins"),
        (["a", "b", "B/c", "d"], "name-twins"),
        (["a/x", "A/y", "b"], "name-twins"),
        (["0", "a/x", "A/y/z"], "name-twins"),
        (["z", "a/x", "0", "A/y/z"], "name-twins"),
        (["c", "b", "a", "b"], "duplicate-name"),
        (["a", "ab", "a.b", "a-b/c", "ab.c/d"], None),
        (["B", "a", "c"], None),
        (["\u200b"], None),  # nobody sees it, and so it folds to nothing
        (["\u200b", "\u200c"], "name-twins"),
    ],
)
def test_clashes_are_found_wherever_the_pieces_end(monkeypatch, size, listed, code):
    monkeypatch.setattr("trustkit.artifact.names._AT_ONCE", size)
    for given in (listed, Names(listed), iter(listed)):
        if code is None:
            check_distinct(given)
            continue
        with pytest.raises(FormatError) as caught:
            check_distinct(given)
        assert caught.value.code == code


def test_what_is_among_many_names():
    listed = ["", "a", "bc", "d/é", "e"]
    found = Names(listed)
    assert [name for name in ("", "a", "bc", "d/é", "e") if name not in found] == []
    for name in ("b", "c", "d", "a\nbc", "\n", "é", "\ud800", b"a", None):
        assert name not in found
    assert "" not in Names(["a", "b"])
    assert "a" not in Names()


@pytest.mark.parametrize("size", [1, 2, 3, 4096])
def test_order_is_seen_across_pieces(monkeypatch, size):
    monkeypatch.setattr("trustkit.artifact.names._AT_ONCE", size)
    for listed in ([], ["a"], ["a", "a", "b", "c"], ["b", "a"], ["a", "c", "b"], ["a", "b", "d", "c"]):
        assert in_order(listed) == in_order(Names(listed)) == (listed == sorted(listed))
