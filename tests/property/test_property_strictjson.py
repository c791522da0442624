"""strictjson against a reader written for this test, from the grammar of RFC 8259 alone."""

import json
import math
import re
from contextlib import contextmanager

from hypothesis import example, given, settings
from hypothesis import strategies as st

from trustkit import strictjson
from trustkit.errors import FormatError, LimitError

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
LITERALS = {"true": True, "false": False, "null": None}


class Reader:
    """Recursive descent, one character at a time; ValueError for whatever is not strict."""

    def __init__(self, text):
        self.text = text
        self.at = 0

    def document(self):
        value = self.value()
        self.space()
        if self.at != len(self.text):
            raise ValueError("trailing")
        return value

    def space(self):
        while self.peek() in {" ", "\t", "\n", "\r"}:
            self.at += 1

    def peek(self):
        return self.text[self.at : self.at + 1]

    def expect(self, character):
        if self.peek() != character:
            raise ValueError(character)
        self.at += 1

    def value(self):
        self.space()
        match self.peek():
            case '"':
                return self.string()
            case "[":
                return self.sequence("]", self.value)
            case "{":
                pairs = self.sequence("}", self.member)
                if len({key for key, _ in pairs}) != len(pairs):
                    raise ValueError("repeated")
                return dict(pairs)
        for word, value in LITERALS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        return self.number()

    def sequence(self, end, read):
        self.at += 1
        found = []
        self.space()
        if self.peek() == end:
            self.at += 1
            return found
        while True:
            found.append(read())
            self.space()
            if self.peek() == end:
                self.at += 1
                return found
            self.expect(",")

    def member(self):
        self.space()
        key = self.string()
        self.space()
        self.expect(":")
        return key, self.value()

    def string(self):
        self.expect('"')
        units = []
        while (character := self.peek()) != '"':
            if character < " ":  # the end of the text, too
                raise ValueError("control")
            self.at += 1
            units.append(self.escape() if character == "\\" else character)
        self.at += 1
        # Halves of surrogates must meet their other half; UTF-16 knows which do.
        return "".join(units).encode("utf-16-le", "surrogatepass").decode("utf-16-le")

    def escape(self):
        character = self.peek()
        self.at += 1
        if character == "u":
            digits = self.text[self.at : self.at + 4]
            if not re.fullmatch("[0-9a-fA-F]{4}", digits):
                raise ValueError("escape")
            self.at += 4
            return chr(int(digits, 16))
        if character not in ESCAPES:
            raise ValueError("escape")
        return ESCAPES[character]

    def number(self):
        found = NUMBER.match(self.text, self.at)
        if found is None or len(found[0]) > 400:
            raise ValueError("number")
        self.at = found.end()
        if found[1] is None and found[2] is None:
            return int(found[0])
        if math.isinf(float(found[0])):
            raise ValueError("range")
        return float(found[0])


def independently(raw):
    try:
        return True, Reader(raw.decode("utf-8")).document()
    except ValueError:
        return False, None


def ours(raw, max_depth=64):
    try:
        return True, strictjson.parse(raw, max_bytes=1 << 20, what="document", max_depth=max_depth)
    except FormatError:
        return False, None


def too_deep(raw, max_depth):
    try:
        ours(raw, max_depth)
    except LimitError as error:
        return error.code == "too-deep"
    return False


def same(one, other):
    """Equal, types included: 1 is not 1.0 and not true."""
    return repr(one) == repr(other) and one == other


@contextmanager
def chunks_of(size):
    before, strictjson._CHUNK = strictjson._CHUNK, size
    try:
        yield
    finally:
        strictjson._CHUNK = before


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)
PIECES = st.lists(
    st.sampled_from(
        [
            *('"', "\\", '\\"', "\\\\", "\\u", "\\n", "\\ud83d", "\\ude00", "d83d", "0061"),
            *("[", "]", "{", "}", ",", ":", " ", "\n", "\ufeff", "é", "\0"),
            *("0", "1", "-", "+", ".", "e5", "E400", "01", "true", "null", "NaN", "Infinity", "nul"),
            *('"a"', '"a":', '"b":1', "[]", "{}", "[[", "]]", '"]"', '"{"'),
        ]
    ),
    max_size=14,
).map("".join)


@given(VALUES, st.sampled_from([None, 0, 2]), st.booleans())
def test_what_is_written_is_read_back(value, indent, ascii_only):
    raw = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    assert same(ours(raw)[1], value)
    assert same(ours(strictjson.to_bytes(value))[1], json.loads(json.dumps(value, sort_keys=True)))


@settings(max_examples=1500)
@given(PIECES, st.integers(1, 5))
@example('["\\\\",[["]]', 1)
@example('"\\ud83d\\ude00"', 1)
@example('{"\\u0061":0,"a":0}', 1)
def test_text_of_pieces_is_judged_alike(text, size):
    raw = text.encode()
    with chunks_of(size):
        accepted, value = ours(raw)
    expected, wanted = independently(raw)
    assert accepted == expected
    assert same(value, wanted)


@settings(max_examples=500)
@given(VALUES, st.integers(0), st.integers(0, 255))
def test_one_changed_byte_is_judged_alike(value, place, byte):
    raw = bytearray(json.dumps(value).encode())
    raw[place % len(raw)] = byte
    accepted, found = ours(bytes(raw))
    expected, wanted = independently(bytes(raw))
    assert accepted == expected
    assert same(found, wanted)


@settings(max_examples=500)
@given(VALUES, st.integers(1, 7))
def test_depth_is_measured_exactly(value, size):
    def depth_of(value):
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)

    raw = json.dumps(value).encode()
    with chunks_of(size):
        assert [too_deep(raw, limit) for limit in range(1, 12)] == [
            depth_of(value) > limit for limit in range(1, 12)
        ]


@settings(max_examples=500)
@given(st.binary(max_size=60) | PIECES.map(str.encode))
def test_whatever_comes_it_is_a_value_or_an_error_of_ours(raw):
    for limit in (1, 3, 64):
        deep = too_deep(raw, limit)
        assert deep or ours(raw, limit)[0] == independently(raw)[0]
