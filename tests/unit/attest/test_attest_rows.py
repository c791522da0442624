"""Long arrays, read in pieces: what strict JSON would read at once, or nothing."""

import json

import pytest

from trustkit import strictjson
from trustkit.attest import rows
from trustkit.attest.rows import Rows, parse_in_pieces, quoted
from trustkit.attest.statement import Statement, Subject, parse_statement, statement_to_bytes
from trustkit.errors import TrustkitError

ROW = {"algorithm": "sha256", "digest": "ab", "name": "a"}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(rows, "LARGE", 0)
    monkeypatch.setattr(rows, "_PIECE", 150)
    monkeypatch.setattr(rows, "_AT_ONCE", 7)


def document(resources, **more):
    return {"predicate": {"resources": resources, **more}, "subject": []}


def numbered(count, **more):
    return [{"digest": f"{number:04}", "name": f"folder/{number}", **more} for number in range(count)]


def read(raw, **caps):
    return parse_in_pieces(raw, max_bytes=caps.get("max_bytes", 1 << 24), what="it")


SPACED = {"indent": 3, "separators": (" , ", "\r\n:\t")}


@pytest.mark.parametrize("form", [{}, SPACED, {"ensure_ascii": False}, {"separators": (",", ":")}])
@pytest.mark.parametrize("count", [1, 2, 3, 50])
def test_rows_in_any_spelling(count, form):
    texts = [
        '}, {"',
        "}]",
        "}\n ,",
        "\n",
        "\\",
        '"',
        "é",
        "\U0001f600",
        "resources",
        '"resources":[',
        "}" * 40,
    ]
    listed = [
        row | {"name": row["name"] + texts[place % len(texts)]} for place, row in enumerate(numbered(count))
    ]
    if count > 3:
        listed = [row for row in listed if "\n" not in row["name"]]
    raw = json.dumps(document(listed, after={"x": [1, {}]}), **form).encode()
    found = read(raw)
    if any("\n" in row["name"] for row in listed):
        assert found is None
        return
    value, kept = found
    assert value["predicate"].pop("resources") is strictjson.HOLE
    assert value == {"predicate": {"after": {"x": [1, {}]}}, "subject": []}
    assert (list(kept), len(kept)) == (listed, len(listed))
    assert (kept[0], kept[-1], kept[1:]) == (listed[0], listed[-1], listed[1:])


def test_it_is_read_in_pieces_and_again():
    _, kept = read(json.dumps(document(numbered(50))).encode())
    pieces = list(kept.pieces())
    assert len(pieces) > 5
    assert [name for piece in pieces for name in piece["name"]] == [row["name"] for row in numbered(50)]
    assert list(kept.pieces()) == pieces
    assert [*kept.kept["name"]] == [row["name"] for row in numbered(50)]
    assert kept.pieces.__self__._raw == b""  # of the document nothing is kept
    assert Rows(0, lambda: iter(())).kept == {}


def test_only_so_many_places_are_tried_as_the_end_of_a_piece(monkeypatch):
    tried = []
    parse = strictjson.parse
    monkeypatch.setattr(strictjson, "parse", lambda raw, **caps: tried.append(raw) or parse(raw, **caps))
    assert read(json.dumps(document([{"name": "}," * 70, "digest": "0"}])).encode()) is None
    assert len(tried) == 8


@pytest.mark.parametrize(
    "resources",
    [
        [],
        {},
        "x",
        [1],
        ["}"],
        ["a}", "b}"],
        [["x"], ["x"]],
        [[0], [0]],
        [{}],
        [{}, {}],
        [{"a": 1}],
        [{"a": None}],
        [{"a": ["b"]}],
        [{"a": {"b": "c"}}],
        [{"a": "b"}, {"a": "b", "c": "d"}],
        [{"a": "b", "c": "d"}, {"a": "b"}],
        [{"a": "b"}, {"c": "d"}],
        [{"a": "b"}, 1],
        [{"a": "b"}, ["a"]],
        [{"a": "b"}, "a}"],
        [{"a": "b\nc"}],
        [{"a": "x" * 400}],
        [*numbered(20), {"digest": "0"}],
        [*numbered(20), {"digest": 1, "name": "x"}],
    ],
)
def test_what_is_not_plain_rows_is_left_to_the_strict_parser(resources):
    raw = json.dumps(document(resources)).encode()
    assert read(raw) is None
    assert strictjson.parse(raw, max_bytes=len(raw), what="it") == document(resources)


@pytest.mark.parametrize(
    "value",
    [
        {"resources": numbered(3)},
        {"predicate": {"inner": {"resources": numbered(3)}}},
        {"predicate": [{"resources": numbered(3)}]},
        {"subject": [{"resources": numbered(3)}], "predicate": {"resources": numbered(9)}},
        {"predicate": {"other": numbered(3)}},
        {"predicate": {'a"resources': numbered(3)}},
        [{"predicate": {"resources": numbered(3)}}],
    ],
)
def test_an_array_elsewhere_is_left_to_the_strict_parser(value):
    assert read(json.dumps(value).encode()) is None


GOOD = json.dumps(document(numbered(20))).encode()


@pytest.mark.parametrize(
    "raw",
    [
        GOOD[:-1],
        GOOD[:200],
        GOOD + b"x",
        GOOD + GOOD,
        b"\xef\xbb\xbf" + GOOD,
        GOOD.replace(b'"subject": []', b'"subject": NaN'),
        GOOD.replace(b'"subject": []', b'"subject": Infinity'),
        GOOD.replace(b'{"predicate"', b'{"x": NaN, "predicate"'),
        GOOD.replace(b'{"predicate"', b'{"predicate": {"resources": NaN}, "predicate"'),
        GOOD.replace(b'"subject": []', b'"subject": [], "subject": []'),
        GOOD.replace(b'"name": "folder/7"', b'"name": "folder/7", "name": "x"'),
        GOOD.replace(b"folder/7", b"folder/\xff"),
        GOOD.replace(b"folder/7", b"folder/\\ud800"),
        GOOD.replace(b"folder/7", b"folder/\n"),
        GOOD.replace(b"folder/7", b"folder/\\q"),
        GOOD.replace(b"}, {", b"},, {", 1),
        GOOD.replace(b"}, {", b"} {", 1),
        GOOD.replace(b"}]", b"},]", 1),
        GOOD.replace(b"}]", b"}}", 1),
        GOOD.replace(b"}]", b"}]1", 1),
        GOOD.replace(b'"resources": [', b'"resources": 1[', 1),
        GOOD.replace(b'"resources": [', b'"resources": [,', 1),
        b"[" * 100 + GOOD + b"]" * 100,
    ],
)
def test_what_is_not_strict_json_is_left_to_the_strict_parser_which_refuses_it(raw):
    assert read(raw) is None
    with pytest.raises(TrustkitError):
        strictjson.parse(raw, max_bytes=len(raw), what="it")


def test_what_is_over_a_cap_is_left_to_the_strict_parser(monkeypatch):
    assert read(GOOD, max_bytes=len(GOOD)) is not None
    assert read(GOOD, max_bytes=len(GOOD) - 1) is None
    monkeypatch.setattr(strictjson, "MAX_VALUES", 20 * 5)
    assert read(GOOD) is not None
    monkeypatch.setattr(strictjson, "MAX_VALUES", 20 * 5 - 1)
    assert read(GOOD) is None


def test_short_documents_are_not_taken_to_pieces(monkeypatch):
    monkeypatch.setattr(rows, "LARGE", len(GOOD) + 1)
    assert read(GOOD) is None


def test_documents_of_a_mebibyte_and_more_are_taken_to_pieces(monkeypatch):
    monkeypatch.undo()
    raw = json.dumps(document(numbered(20_000))).encode()
    assert len(raw) < 1 << 20
    assert read(raw.ljust((1 << 20) - 1)) is None
    _, kept = read(raw.ljust(1 << 20))
    assert list(kept) == numbered(20_000)


STATEMENT = {"serialization": {"z": 1, "a": "é"}, "zz": []}


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_rows_are_written_as_strict_json_would_write_them(count):
    listed = [{"name": f'"{number}\\é\n', "digest": "\U0001f600", "b": "\x01\x7f"} for number in range(count)]

    def pieces():
        for start in range(0, count, 2):
            some = listed[start : start + 2]
            yield {member: [row[member] for row in some] for member in ("name", "digest", "b")}

    subjects = (Subject("m", {"sha256": "ab"}),)
    in_columns = Statement(subjects, "type", STATEMENT, Rows(count, pieces))
    at_once = Statement(subjects, "type", STATEMENT | {"resources": listed})
    assert statement_to_bytes(in_columns) == statement_to_bytes(at_once)


def test_a_statement_survives_reading_and_writing_in_columns():
    raw = statement_to_bytes(
        Statement((Subject("m", {"sha256": "ab"}),), "type", {"resources": numbered(30), "z": 1})
    )
    found = parse_statement(raw, max_bytes=len(raw))
    assert (found.predicate, len(found.resources)) == ({"z": 1}, 30)
    assert statement_to_bytes(found) == raw


def test_nothing_is_quoted_as_nothing():
    assert (quoted([]), quoted(["a", '"\n'])) == ([], ['"a"', '"\\"\\n"'])


EDITS = ("{", "}", '"', ":", ",", " ", "[", "]", "\\", "a", "0", "\t", "\n", "\x00", "\x7f", "é")


@pytest.mark.parametrize("form", [{"separators": (",", ":")}, {}, {"separators": (" , ", " : ")}])
@pytest.mark.parametrize("count", [1, 3])
def test_what_is_cut_at_its_quotes_is_what_strict_json_reads(form, count):
    """Every edit of one character, anywhere; what is no JSON is never cut."""
    good = json.dumps(numbered(count), ensure_ascii=False, **form)[1:-1]
    assert rows._cut(good.encode()) == rows._parsed(good.encode()) != {}
    edited = [
        f"{good[:place]}{edit}{good[place + kept :]}".encode()
        for place in range(len(good) + 1)
        for edit in ("", *EDITS)
        for kept in (0, 1, 2)
    ]
    cut = [(raw, found) for raw in edited if (found := rows._cut(raw))]
    assert [raw for raw, found in cut if found != rows._parsed(raw)] == []
    assert 0 < len(cut) < len(edited) // 2


@pytest.mark.parametrize(
    "raw",
    [
        '{"a":"b","a":"c"}',
        '{"a":"b"},{"b":"a"}',
        '{"a":"b"},{"a" :"b"}',
        '{"a":"b"} {"a":"b"}',
        '{"a":"b","c":"d"},{"a":"b"},{"c":"d"}',
        '{"a":"b"},{"a":"b","a":"b"}',
        '{"a":"b","n":1,"m":"c"}',
        '{"a":"b","n":1,"m":2,"o":"c"}',
        '{"a":"b"}]}',
        '{"a":{"b":"c"}}',
        '"a":"b"',
        "{}",
        "",
    ],
)
def test_what_is_not_plainly_rows_is_not_cut(raw):
    assert rows._cut(raw.encode()) == {}
