"""One document, one reading: what is accepted, what is refused, and that caps come before the parser."""

import json

import pytest

from trustkit import strictjson
from trustkit.errors import FormatError, LimitError
from trustkit.strictjson import HOLE, Fields, parse_around


def parse(raw, **caps):
    return strictjson.parse(raw, **{"max_bytes": 1 << 20, "what": "document", **caps})


def refusal(raw, **caps):
    """Return the class and code of a refusal."""
    with pytest.raises((FormatError, LimitError)) as caught:
        parse(raw, **caps)
    assert "document" in caught.value.message
    return type(caught.value), caught.value.code


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"null", None),
        (b"true", True),
        (b' \t\r\n{"a" : [1, 2.5, "x"]}\n', {"a": [1, 2.5, "x"]}),
        (b'""', ""),
        (b"-0", 0),
        (b"1e2", 100.0),
        (b'"\\u0000"', "\0"),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        (b'"\\\\ud800"', "\\ud800"),  # a backslash and five letters, no surrogate
        ('"\N{ZERO WIDTH NO-BREAK SPACE}"'.encode(), "\N{ZERO WIDTH NO-BREAK SPACE}"),
        (b'{"":{"":{}}}', {"": {"": {}}}),
        (b"9" * 400, int("9" * 400)),
        (b"[" * 64 + b"]" * 64, json.loads("[" * 64 + "]" * 64)),
    ],
)
def test_accepted(raw, value):
    found = parse(raw)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b'{"a": nan}',
        b"{} {}",
        b"{}x",
        b"{}\x00",
        b"[1,]",
        b'{"a":1,}',
        b"{'a':1}",
        b"{a:1}",
        b"[1 2]",
        b"// a comment\n{}",
        b"01",
        b"+1",
        b".5",
        b"1.",
        b"0x1",
        b"1e999",
        b"-1e999",
        b"9" * 401,
        b"0." + b"1" * 399,
        b'"a\nb"',
        b'"\x00"',
        b'"\\x41"',
        b'"\\u12g4"',
        b'"unterminated',
        b'"\\',
        b"[}",
        b"{]",
        b"]",
        b"\\",
        b"\xef\xbb\xbf{}",
        b'"\xff"',
        b'"\xc0\xaf"',  # an overlong slash
        b'"\xed\xa0\x80"',  # a surrogate, encoded
        b'"\\ud800"',
        b'"\\udc00"',
        b'"\\ude00\\ud83d"',
        b'{"\\ud800": 1}',
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-32-le"),
    ],
)
def test_not_strict_json(raw):
    assert refusal(raw) == (FormatError, "bad-json")


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        (b'{"a":1,"a":2}', "a"),
        (b'{"a":1,"\\u0061":1}', "a"),
        (b'[{"b":{"k":[],"x":0,"k":[]}}]', "k"),
        (b'{"":0,"":0}', ""),
        (b'{"%b":0,"%b":1}' % (b"k" * 500, b"k" * 500), "k" * 200),
    ],
)
def test_a_key_named_twice(raw, key):
    with pytest.raises(FormatError) as caught:
        parse(raw)
    assert caught.value.code == "duplicate-key"
    assert caught.value.evidence == {"key": key}


def test_the_byte_cap_is_exact():
    assert parse(b'"abc"', max_bytes=5) == "abc"
    assert refusal(b'"abc"', max_bytes=4) == (LimitError, "too-large")


@pytest.mark.parametrize(
    ("opening", "closing"), [(b"[", b"]"), (b'{"":', b"}"), (b'[{"[[":', b"}]"), (b'[ "\\"[", [', b"]]")]
)
def test_the_depth_cap_is_exact(opening, closing):
    levels = 1 + (opening.count(b"[{") or opening.count(b", ["))
    deep = 64 // levels
    assert parse(opening * deep + b"0" + closing * deep)
    assert refusal(opening * (deep + 1) + b"0" + closing * (deep + 1)) == (LimitError, "too-deep")
    assert refusal(b"[[0]]", max_depth=1) == (LimitError, "too-deep")


def test_a_hundred_thousand_brackets():
    assert refusal(b"[" * 100_000) == (LimitError, "too-deep")
    assert refusal(b'{"a":' * 100_000) == (LimitError, "too-deep")
    assert refusal(b"[" * 100_000 + b"]" * 100_000) == (LimitError, "too-deep")
    assert refusal(b"[{}" * 100_000) == (LimitError, "too-deep")


@pytest.mark.parametrize("content", [b"[" * 5000, b"{" * 5000 + b"}" * 5000, b'\\"[\\\\' * 3000, b"]" * 5000])
def test_brackets_inside_strings_are_no_depth(content):
    assert parse(b'["' + content + b'"]') == [json.loads(b'"' + content + b'"')]
    assert refusal(b'["' + content + b'",' + b"[" * 65) == (LimitError, "too-deep")


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 60 + b"]" * 5000 + b"[" * 5000,  # closed too often: a parser stops there
        b"[}" * 5000,
        b'"' + b"[" * 5000,  # a string that never ends
        b"\\" + b"[" * 50 + b'\\"' + b"[" * 14,
    ],
)
def test_depth_of_what_is_no_json_is_not_held_against_it(raw):
    assert refusal(raw)[0] in {FormatError, LimitError}


def test_a_deep_document_that_ends_in_a_fault_is_deep():
    assert refusal(b"[" * 65 + b'"') == (LimitError, "too-deep")
    assert refusal(b"[" * 65 + b'"\\') == (LimitError, "too-deep")


@pytest.mark.parametrize(
    ("within", "beyond"),
    [
        (b"[" + b"0," * 98 + b"0]", b"[" + b"0," * 99 + b"0]"),
        (b"[" + b"[]," * 49 + b"0]", b"[" + b"[]," * 99 + b"0]"),
        (b"{" + b",".join(b'"%d":0' % n for n in range(49)) + b"}", None),
        (b'["' + b",:[{" * 500 + b'"]', b"[" + b'",",' * 100 + b"0]"),
        (None, b"," * 100 + b'"' * 204),  # no JSON, and no reason to count its pieces one by one
    ],
)
def test_values_are_capped_before_a_parser_makes_them(within, beyond):
    if within is not None:
        assert parse(within, max_values=100)
    if beyond is not None:
        assert refusal(beyond, max_values=100) == (LimitError, "too-many-values")


def test_there_is_a_cap_without_asking():
    """A hundred megabytes of text would be gigabytes of lists."""
    assert refusal(b"[" + b"0," * (1 << 24) + b"0]", max_bytes=1 << 30) == (LimitError, "too-many-values")


def test_strings_are_told_apart_across_chunks(monkeypatch):
    raw = b'[["[[","]","{{{"],["[[[[[["]]'
    for size in range(1, len(raw)):
        monkeypatch.setattr(strictjson, "_CHUNK", size)
        assert parse(raw, max_depth=2) == [["[[", "]", "{{{"], ["[[[[[["]]
        assert refusal(raw, max_depth=1) == (LimitError, "too-deep")


def test_the_reason_says_where():
    with pytest.raises(FormatError, match=r"strict JSON: Expecting value at character 3 \[bad-json\]"):
        parse(b"[1,]")
    with pytest.raises(FormatError, match="Invalid control character at character 1"):
        parse(b'"\n"')
    with pytest.raises(FormatError, match="byte-order mark"):
        parse(b"\xef\xbb\xbf1")
    with pytest.raises(FormatError, match="NaN is not a JSON number"):
        parse(b"NaN")
    with pytest.raises(FormatError, match="not well-formed UTF-8"):
        parse(b"\xff")


def test_an_object_may_be_demanded():
    assert strictjson.parse_object(b'{"a":1}', max_bytes=10, what="document") == {"a": 1}
    with pytest.raises(FormatError) as caught:
        strictjson.parse_object(b"[]", max_bytes=10, what="document")
    assert caught.value.code == "bad-json"


def test_writing_is_deterministic():
    value = {"b": [1, "é\n"], "a": {}}
    assert strictjson.to_bytes(value) == '{"a":{},"b":[1,"é\\n"]}'.encode()
    assert (
        strictjson.to_bytes(value, indent=2)
        == '{\n  "a": {},\n  "b": [\n    1,\n    "é\\n"\n  ]\n}\n'.encode()
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_what_no_reader_would_take_is_not_written(value):
    with pytest.raises(ValueError, match=r"Out of range|surrogates not allowed"):
        strictjson.to_bytes([value])


# -- around a value that was cut out ---------------------------------------------------------------------


def around(before, after, **caps):
    return parse_around(before, after, max_bytes=caps.get("max_bytes", 1000), what="it")


def test_a_hole_stands_where_a_value_was():
    found = around(b'{"a": [1, ', b'], "b": {}}')
    assert found == {"a": [1, HOLE], "b": {}}
    assert found["a"][1] is HOLE
    assert around(b" ", b" ") is HOLE


def test_a_hole_is_no_text():
    fields = Fields(around(b'{"a": ', b"}"), "it")
    with pytest.raises(FormatError) as caught:
        fields.take("a", str)
    assert caught.value.code == "bad-field"
    assert fields.raw("a") is HOLE
    assert parse(json.dumps(HOLE).encode(), max_bytes=100, what="it") is not HOLE


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"[NaN, ", b"]"),
        (b"[", b", NaN]"),
        (b"[Infinity, ", b"]"),
        (b"[", b", -Infinity]"),
        (b"[", b"1]"),
        (b"[1", b"]"),
        (b"[-", b"]"),
        (b"[", b"NaN]"),
        (b"[", b"] x"),
        (b"{", b": 1}"),
        (b'["', b'", \xff]'),
        (b"\xef\xbb\xbf[", b"]"),
        (b'["\\ud800", ', b"]"),
    ],
)
def test_what_stands_around_a_hole_is_strict_json(before, after):
    with pytest.raises(FormatError) as caught:
        around(before, after)
    assert caught.value.code == "bad-json"


def test_what_stands_around_a_hole_is_capped():
    assert around(b"[", b"]", max_bytes=5) == [HOLE]
    for before, after, code, cap in (
        (b"[ ", b"]", "too-large", 5),
        (b"[" * 65, b"]" * 65, "too-deep", 1000),
    ):
        with pytest.raises(LimitError) as caught:
            around(before, after, max_bytes=cap)
        assert caught.value.code == code
    with pytest.raises(FormatError) as caught:
        around(b'{"a": 1, "a": ', b"}")
    assert caught.value.code == "duplicate-key"
