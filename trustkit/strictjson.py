"""JSON as a security boundary wants it: one value, read one way, within caps.

The law of this file: bytes are untrusted, and every reader of trustkit sees the
same value in them. So: UTF-8 only, no byte-order mark, no duplicate keys, no
NaN or infinities, no lone surrogates, no trailing bytes; size, count of values
and depth are checked before a parser sees them, in time linear in the bytes
(RFC 8259, sections 4, 6, 8 and 9). Writing is deterministic: sorted keys, fixed
separators.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Collection
from itertools import accumulate
from typing import NoReturn, TypeVar

from trustkit.errors import FormatError, LimitError, nearest

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]
Object = dict[str, Value]
T = TypeVar("T")

MAX_DEPTH = 64
"""Deepest nesting of arrays and objects that is parsed (levels)."""
MAX_VALUES = 1 << 24
"""Most values and keys in one document; a manifest of two million resources has fourteen million.
Without it a cap on bytes is no cap on memory: an empty array is three bytes of text and sixty of Python."""


class _Hole(str):
    """No text of any document, and no `Fields.take` gives it out as one."""

    __slots__ = ()


HOLE = _Hole("a value that was cut out")
"""Stands in what `parse_around` returns for the value that was cut out; compare with ``is``."""

_MAX_NUMBER = 400
_SHOWN = 200

_STRUCTURE = b'[]{}",:'
_NOT_STRUCTURE = bytes(byte for byte in range(256) if byte not in _STRUCTURE)
_CHUNK = 1 << 16
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # one up, one down, as signed bytes
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

_WORDS = {
    str: "a string",
    int: "a whole number",
    float: "a number with a fraction or exponent",
    bool: "true or false",
    list: "an array",
    dict: "an object",
}


def parse(
    untrusted: bytes, *, max_bytes: int, what: str, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES
) -> Value:
    """Parse one JSON document.

    Args:
        untrusted: The document's bytes.
        max_bytes: Largest document accepted (bytes).
        what: The document's name in messages, such as ``bundle``.
        max_depth: Deepest nesting accepted (levels).
        max_values: Most values and keys accepted; an empty array or object counts as two.

    Raises:
        LimitError: ``too-large``, ``too-many-values`` or ``too-deep``, before anything is parsed.
        FormatError: ``bad-json`` or ``duplicate-key``.
    """
    if len(untrusted) > max_bytes:
        raise LimitError(
            "too-large", f"the {what} is larger than {max_bytes} bytes", limit=max_bytes, size=len(untrusted)
        )
    _check_shape(untrusted, what, max_depth, max_values)
    return _value(untrusted, what, _no_constant)


def parse_around(before: bytes, after: bytes, *, max_bytes: int, what: str) -> Value:
    """Parse a document one value of which was cut out, as `parse` does; `HOLE` stands where it was.

    Whoever cuts a large value out reads it apart, in pieces or as bytes, and must see `HOLE` at the very
    place where such a value belongs: that alone shows that what was cut out is the value of that place.

    Args:
        before: What stands before the value.
        after: What stands after it.
        max_bytes: Most bytes of both together.
        what: The document's name in messages.

    Raises:
        LimitError, FormatError: As `parse`.
    """
    # The hole is spelled as what JSON cannot hold, so that no document can spell one.
    whole = b"NaN".join((before, after))
    if len(whole) > max_bytes:
        raise LimitError("too-large", f"the {what} is larger than {max_bytes} bytes", limit=max_bytes)
    _check_shape(whole, what, MAX_DEPTH, MAX_VALUES)
    holes = iter((HOLE,))

    def hole(name: str) -> Value:
        return next(holes, None) or _no_constant(name)

    return _value(whole, what, hole)


def _value(untrusted: bytes, what: str, constant: Callable[[str], Value]) -> Value:
    try:
        return _parsed(untrusted, constant)
    except _RepeatedKeyError as error:
        key = error.args[0][:_SHOWN]
        raise FormatError("duplicate-key", f"the {what} names {key!r} twice in one object", key=key) from None
    except (ValueError, RecursionError) as error:
        raise FormatError("bad-json", f"the {what} is not strict JSON: {_reason(error)}") from None


def parse_object(
    untrusted: bytes, *, max_bytes: int, what: str, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES
) -> Object:
    """As `parse`, for documents whose top level must be an object."""
    value = parse(untrusted, max_bytes=max_bytes, what=what, max_depth=max_depth, max_values=max_values)
    if not isinstance(value, dict):
        raise FormatError("bad-json", f"the {what} must be a JSON object")
    return value


def to_bytes(value: object, *, indent: int | None = None) -> bytes:
    """Serialise deterministically: sorted keys, UTF-8, no NaN; a final newline only when indented."""
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(
        value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=separators, indent=indent
    )
    return (text if indent is None else text + "\n").encode("utf-8")


class Fields:
    """Reads the members of one untrusted object by name and type, and refuses the unknown ones.

    Call `done` after the last read: a member that nobody asked for is an error. Where every member that there
    can be is *known* beforehand, another one is refused before anything is read, since otherwise a required
    member that is misspelt would only be said to be missing.
    """

    def __init__(self, value: Value, what: str, known: Collection[str] = ()) -> None:
        if not isinstance(value, dict):
            raise FormatError("bad-field", f"{what} must be an object", field=what)
        self._object = value
        self._what = what
        self._seen: set[str] = set()
        if known:
            self._refuse(value.keys() - set(known), known)

    def take(self, name: str, kind: type[T]) -> T:
        """Return a required member of exactly this JSON type (``bool`` is not an ``int``)."""
        if name not in self._object:
            raise FormatError("missing-field", f"{self._what} lacks {name!r}", field=f"{self._what}.{name}")
        return self._typed(name, kind)

    def maybe(self, name: str, kind: type[T]) -> T | None:
        """Return a member of this type, or None where it is absent (a null is not absent)."""
        return self._typed(name, kind) if name in self._object else None

    def raw(self, name: str) -> Value:
        """Return a member whatever its type, or None where it is absent."""
        self._seen.add(name)
        return self._object.get(name)

    def has(self, name: str) -> bool:
        """Say whether the member is present."""
        return name in self._object

    def done(self) -> None:
        """Refuse members that were never read: what we do not know may weaken what we do."""
        self._refuse(self._object.keys() - self._seen)

    def _refuse(self, unknown: Collection[str], known: Collection[str] = ()) -> None:
        name = min(unknown, default=None)
        if name is not None:
            shown, field = name[:_SHOWN], f"{self._what}.{name[:_SHOWN]}"
            meant = nearest(shown, set(known) - self._object.keys())
            why = f"{self._what} has an unknown member {shown!r}"
            why += "" if meant is None else f", did you mean {meant!r}?"
            raise FormatError("unknown-field", why, field=field)

    def _typed(self, name: str, kind: type[T]) -> T:
        self._seen.add(name)
        value = self._object[name]
        if type(value) is not kind:
            raise FormatError(
                "bad-field",
                f"{self._what}.{name} must be {_WORDS.get(kind, kind.__name__)}",
                field=f"{self._what}.{name}",
            )
        return value


class _RepeatedKeyError(Exception):
    """One object names this key twice."""


def _parsed(untrusted: bytes, constant: Callable[[str], Value]) -> Value:
    if untrusted.startswith(codecs.BOM_UTF8):
        raise ValueError("it starts with a byte-order mark")
    value: Value = json.loads(
        untrusted.decode("utf-8"),
        object_pairs_hook=_unique,
        parse_constant=constant,
        parse_float=_finite,
        parse_int=_bounded,
    )
    if _SURROGATE.search(untrusted):  # halves may be paired, or escaped backslashes: let the encoder judge
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _check_shape(raw: bytes, what: str, max_depth: int, max_values: int) -> None:
    """Refuse bombs by their shape alone: what lies outside strings, counted and added up at C speed.

    On bytes that are not JSON the measure is right up to the first fault, and no parser comes further.
    """
    openers = raw.count(b"[") + raw.count(b"{")
    if openers <= max_depth and openers + raw.count(b",") + raw.count(b":") < max_values:
        return  # too few outside and inside strings together
    # A run of backslashes escapes in pairs from its left; what then stands before a quote escapes it.
    bare = raw.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in raw else raw
    bare = bare.translate(None, _NOT_STRUCTURE)
    many = bare.count(b'"') // 2 > max_values
    bare = b"" if many else _outside_strings(bare)
    openers = bare.count(b"[") + bare.count(b"{")
    if many or openers + bare.count(b",") + bare.count(b":") >= max_values:
        raise LimitError(
            "too-many-values", f"the {what} holds more than {max_values} values", limit=max_values
        )
    if openers > max_depth and _depth(bare, openers) > max_depth:
        raise LimitError("too-deep", f"the {what} nests deeper than {max_depth} levels", limit=max_depth)


def _outside_strings(bare: bytes) -> bytes:
    # Strings without structure inside go first, for speed: quotes vanish in pairs, so outside stays outside.
    bare = bare.replace(b'""', b"")
    outside = []
    inside = 0
    for start in range(
        0, len(bare), _CHUNK
    ):  # in chunks, for the pieces of one fit into the processor's cache
        pieces = bare[start : start + _CHUNK].split(b'"')
        outside.append(b"".join(pieces[inside::2]))
        inside ^= (len(pieces) - 1) & 1
    return b"".join(outside)


def _depth(bare: bytes, openers: int) -> int:
    # Of more brackets than this, more close than open, and a parser has stopped before.
    brackets = bare.translate(None, b",:")[: 2 * openers + 1]
    return max(accumulate(memoryview(brackets.translate(_STEPS)).cast("b")))


def _unique(pairs: list[tuple[str, Value]]) -> Object:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RepeatedKeyError(Counter(key for key, _ in pairs).most_common(1)[0][0])
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text) if len(text) <= _MAX_NUMBER else math.inf
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


def _bounded(text: str) -> int:
    if len(text) > _MAX_NUMBER:
        raise ValueError("a number is out of range")
    return int(text)


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.removesuffix(' at')} at character {error.pos}"
    if isinstance(error, UnicodeError):
        return "it is not well-formed UTF-8"
    return str(error)
