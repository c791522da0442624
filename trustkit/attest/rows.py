"""The long array of a statement, held in columns: its resources, of which there may be millions.

The law of this file: what is read here in pieces is exactly what strict JSON
would read at once, and whatever is not plainly so is left to it. An array is
read in pieces only if all its elements are flat objects of texts with the same
members. A piece of printable ASCII without escapes is cut at its quotes, and
what stands between the texts must be the same in every row; any other piece
passes the strict parser. What is left of the document around the array passes it
too, with a hole where the array belongs. A dictionary for each element would
cost five times the memory of its text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast, overload

from trustkit import strictjson
from trustkit.artifact.names import Names
from trustkit.errors import TrustkitError

Columns = dict[str, list[str]]
"""Some rows: what each member holds, row by row."""

LARGE = 1 << 20
"""Smallest document that is read in pieces (bytes)."""
_PIECE = 1 << 18
_AT_ONCE = 4096
_BACK = 1 << 14
"""How far before the end of a window the last row of a piece is looked for (bytes)."""
_TRIES = 8
"""Places at which a piece is tried to end; in texts and nested objects may stand what looks like its end."""
_PLAIN = bytes(range(0x20, 0x7F)).replace(b"\\", b"")
"""What texts hold that mean what they say; and no white space between them but blanks."""
_START = re.compile(rb'"resources"[ \t\r\n]*:[ \t\r\n]*\[')
_BETWEEN = re.compile(rb"\}[ \t\r\n]*,")
_END = re.compile(rb"\}[ \t\r\n]*\]")


class Rows(Sequence[strictjson.Value]):
    """An array of flat objects of texts that all have the same members, made or kept in pieces.

    Args:
        length: How many rows there are.
        pieces: Makes the pieces, each time anew.
        kept: Whole columns, where they are kept.
    """

    def __init__(
        self, length: int, pieces: Callable[[], Iterator[Columns]], kept: Mapping[str, Names] | None = None
    ) -> None:
        self._length = length
        self.pieces = pieces
        self.kept = kept or {}

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[strictjson.Value]:
        for columns in self.pieces():
            yield from rows_of(columns)

    @overload
    def __getitem__(self, index: int) -> strictjson.Value: ...
    @overload
    def __getitem__(self, index: slice) -> list[strictjson.Value]: ...
    def __getitem__(self, index: int | slice) -> strictjson.Value | list[strictjson.Value]:
        return list(self)[index]

    def to_bytes(self) -> Iterator[bytes]:
        """Serialise as `strictjson.to_bytes` would, piece by piece."""
        comma = b"["
        for columns in self.pieces():
            members = sorted(columns)
            form = ",".join(f"{quoted([member])[0]}:%s" for member in members)
            texts = zip(*(quoted(columns[member]) for member in members), strict=True)
            yield comma + ",".join([f"{{{form % row}}}" for row in texts]).encode("utf-8")
            comma = b","
        yield b"]" if self._length else b"[]"


def rows_of(columns: Columns) -> Iterator[strictjson.Value]:
    """Return the rows of one piece as objects."""
    members = tuple(columns)
    return (dict(zip(members, row, strict=True)) for row in zip(*columns.values(), strict=True))


def quoted(texts: Sequence[str]) -> list[str]:
    """Write each text as a JSON string, at C speed; in such strings no line ends."""
    return json.dumps(texts, ensure_ascii=False, separators=("\n", ":"))[1:-1].split("\n") if texts else []


def parse_in_pieces(untrusted: bytes, *, max_bytes: int, what: str) -> tuple[strictjson.Value, Rows] | None:
    """Parse a document whose ``predicate.resources`` are plain rows; `strictjson.HOLE` stands for them.

    Returns:
        The document and the rows, or None where it is not plainly such a document: then whatever it is, or
        is wrong with it, `strictjson.parse` says.
    """
    start = _START.search(untrusted) if LARGE <= len(untrusted) <= max_bytes else None
    if start is None:
        return None
    found = _Reading(untrusted, start.end())
    try:
        end = found.read()
        if end is None or found.values > strictjson.MAX_VALUES:
            return None
        around = strictjson.parse_around(
            untrusted[: start.end() - 1], untrusted[end:], max_bytes=max_bytes, what=what
        )
    except TrustkitError:
        return None
    predicate = around.get("predicate") if isinstance(around, dict) else None
    if not isinstance(predicate, dict) or predicate.get("resources") is not strictjson.HOLE:
        return None
    return around, Rows(found.length, found.columns, found.kept())


class _Reading:
    """One reading of an array: where it has come to, and the columns so far, each one text."""

    def __init__(self, untrusted: bytes, place: int) -> None:
        self._raw = untrusted
        self._place = place
        self._members: tuple[str, ...] = ()
        self._columns: list[Names] = []
        self.length = 0

    @property
    def values(self) -> int:
        """How many values and keys a parser would have met."""
        return self.length * (2 * len(self._members) + 1)

    def columns(self) -> Iterator[Columns]:
        for start in range(0, self.length, _AT_ONCE):
            some = (column[start : start + _AT_ONCE] for column in self._columns)
            yield dict(zip(self._members, some, strict=True))

    def kept(self) -> dict[str, Names]:
        """Return the columns by member."""
        return dict(zip(self._members, self._columns, strict=True))

    def read(self) -> int | None:
        """Read to the end of the array, and return the place after it, or None."""
        last = False
        while not last:
            stop = self._place + _PIECE
            tried = (end for end in self._ends(stop) if self._took(end[0]))
            found = next(tried, None)
            if found is None:
                return None
            _, self._place, last = found
        self._raw = b""  # whoever keeps the rows need not keep the document
        return self._place

    def _ends(self, stop: int) -> Iterator[tuple[int, int, bool]]:
        """Yield where the piece may end, where the next begins, and whether the array ends there."""
        window = self._raw[self._place : stop]
        commas = [match.end() for match in _BETWEEN.finditer(window, max(0, len(window) - _BACK))]
        ends = [match.end() for _, match in zip(range(_TRIES), _END.finditer(window), strict=False)]
        for end in ends:
            yield self._place + end - 1, self._place + end, True
        for end in commas[: -_TRIES - 1 : -1]:
            yield self._place + end - 1, self._place + end, False

    def _took(self, end: int) -> bool:
        """Read one piece, strictly, and keep its columns; say whether it was one of plain rows."""
        piece = self._raw[self._place : end]
        columns = _cut(piece) or _parsed(piece)
        members = self._members or tuple(columns)
        if not members or columns.keys() != set(members):
            return False
        self._members = members
        self._columns = self._columns or [Names() for _ in members]
        for member, kept in zip(members, self._columns, strict=True):
            kept.extend(columns[member])
        self.length += len(columns[members[0]])
        return True


def _cut(untrusted: bytes) -> Columns:
    """Cut rows at their quotes; return nothing where they are not plainly rows.

    Without escapes every second part is a text, whatever it holds. Of the others each must be the
    punctuation that JSON has at its place, and the same in every row: so only the first row's are looked at.
    """
    if untrusted.translate(None, _PLAIN):
        return {}
    parts = untrusted.decode("ascii").split('"')
    width = next((place for place in range(4, len(parts), 4) if "}" in parts[place]), len(parts))
    rows, rest = divmod(len(parts) - 1, width)
    members = parts[1:width:4]
    plain = (
        not rest
        and len(set(members)) == len(members)
        and [part.replace(" ", "") for part in (parts[0], parts[-1])] == ["{", "}"]
        and _same(parts[width:-1:width], "},{", rows - 1)
        and all(_same(parts[place::width], ":", rows) for place in range(2, width, 4))
        and all(_same(parts[place::width], ",", rows) for place in range(4, width, 4))
        and all(parts[place::width].count(parts[place]) == rows for place in range(1, width, 4))
    )
    return {member: parts[4 * place + 3 :: width] for place, member in enumerate(members)} if plain else {}


def _same(parts: list[str], punctuation: str, count: int) -> bool:
    """Say whether all parts are spelled alike, and are this punctuation."""
    return not parts or (parts.count(parts[0]) == count and parts[0].replace(" ", "") == punctuation)


def _parsed(untrusted: bytes) -> Columns:
    """Parse rows; return nothing where they are not flat objects of one-line texts with the same members."""
    piece = b"[%b]" % untrusted
    try:
        rows = cast("list[strictjson.Object]", strictjson.parse(piece, max_bytes=len(piece), what="piece"))
        members = tuple(rows[0])
        columns = {member: [cast("str", row[member]) for row in rows] for member in members}
        lines = ["\n".join(column) for column in columns.values()]
    except (TrustkitError, KeyError, TypeError, AttributeError):
        return {}
    same = all(len(row) == len(members) for row in rows)
    return columns if same and all(text.count("\n") == len(rows) - 1 for text in lines) else {}
