"""Expressions of code, as far as they are read: the arguments of a call, and the texts that stand in one.

The law of this file: nothing is computed. An expression that is one plain text is
*exact*; of any other one the texts and the names in it are said, and no more. Every
pattern is linear, and what is longer than the limits, or never ends, has no end.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator
from string import ascii_letters
from typing import NamedTuple

LONGEST = 2048
"""Longest arguments of a call, or longest expression, that is read (characters)."""
NO_END = "**..."
"""Stands for what is longer, or has no end: nobody knows what it says."""

_TOKEN = re.compile(
    r"(?P<text>[A-Za-z]{0,2}(?:"
    r"\"\"\"(?:[^\"\\]|\\.|\"(?!\"\"))*+\"\"\"|'''(?:[^'\\]|\\.|'(?!''))*+'''"
    r"|\"(?:[^\"\\\n]|\\.)*+\"|'(?:[^'\\\n]|\\.)*+')"
    r"|\\\"[^\"'\\\n]*+\\\"|\\'[^\"'\\\n]*+\\')"
    r"|(?P<blank>[^\S\n]+|\\\n|\#[^\n]*+)"
    r"|(?P<word>[A-Za-z0-9_.]+)"
    r"|(?P<mark>[\n\"'()\[\]{},;+%/*=])"
    r"|(?P<marks>[^\n\"'()\[\]{},;+%/*=A-Za-z0-9_.\\\#\s]+|.)",
    re.DOTALL,
)
_LONG_QUOTES = frozenset(('"""', "'''"))
_PLAIN = frozenset(("", "r", "u"))
"""Prefixes of a text that is read as it is written."""
_HOLES = re.compile(r"[{%]")
_SAYS = re.compile(r"[A-Za-z0-9]")
_JOINS = frozenset("+%/")
_BEFORE = frozenset("([*")
"""What may stand before the text that an expression starts with."""


_CALL = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,63}(?:\s?\.\s?[A-Za-z_][A-Za-z0-9_]{0,63}){0,8})\s?\(")
_BLANKS = re.compile(r"\s")
_MOVES = frozenset((".to", ".cuda", ".cpu", ".eval", ".half", ".float", ".bfloat16"))
"""Methods of a model that leave it what it is."""
_DEEPEST = 8
"""Brackets around an expression that are taken off (levels)."""
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")
_ENDS = _CLOSE | {",", ";", "\n"}
_QUOTES = frozenset("\"'")

Piece = tuple[str, str]
"""A token: what it is (``text``, ``blank``, ``word``, ``mark``, ``marks``), and its source."""


class Token(NamedTuple):
    """A piece of code: ``text``, ``word``, ``mark`` or ``marks``; its source, and where it starts."""

    kind: str
    source: str
    start: int


class Texts(NamedTuple):
    """What stands in an expression.

    Attributes:
        texts: Its texts, those that are joined as one; each with whether the expression starts with it.
        names: Names in it, each once, but for those that are called, and keywords.
        exact: Whether the expression is nothing but its one text.
    """

    texts: tuple[tuple[str, bool], ...]
    names: tuple[str, ...]
    exact: bool


def arguments(untrusted: str, at: int, most: int = LONGEST) -> Iterator[str]:
    """Yield the arguments of a call whose bracket is open, without notes; `NO_END` if it never closes.

    Args:
        untrusted: The code.
        at: Where they start.
        most: How much of it is read (characters).
    """
    open_ones = 0
    parts: list[str] = []
    for kind, source in _pieces(untrusted[at : at + most]):
        if kind == "mark":
            if source in _QUOTES:
                break
            if open_ones == 0 and source in {",", ")"}:
                yield "".join(parts).strip()
                parts = []
                if source == ")":
                    return
                continue
            open_ones += (source in _OPEN) - (source in _CLOSE)
        parts.append(" " if kind == "blank" else source)
    yield "".join(parts).strip()
    yield NO_END


def expression(untrusted: str, at: int, most: int = LONGEST) -> str:
    """Return the expression that starts somewhere: up to the end of its line, or to what is beside it.

    Args:
        untrusted: The code.
        at: Where it starts.
        most: How much of it is read (characters).
    """
    open_ones = 0
    parts: list[str] = []
    for kind, source in _pieces(untrusted[at : at + most]):
        if kind == "mark":
            if source in _QUOTES:
                return NO_END
            if open_ones == 0 and source in _ENDS:
                return "".join(parts).strip()
            open_ones += (source in _OPEN) - (source in _CLOSE)
        parts.append(" " if kind == "blank" else source)
    return NO_END if open_ones or at + most < len(untrusted) else "".join(parts).strip()


def texts_in(untrusted: str) -> Texts:
    """Return the texts and names of an expression, for example ``'org/' + which``."""
    pieces = _bare(
        [piece for piece in _pieces(untrusted[:LONGEST]) if piece[0] != "blank" and piece[1] != "\n"]
    )
    if len(pieces) == 1 and pieces[0][0] == "text":
        text, plain = _text(pieces[0][1])
        return Texts(((text, True),) if plain or _may_say(text) else (), (), exact=plain)
    texts: list[tuple[str, bool]] = []
    names: list[str] = []
    starts = True
    for index, (kind, source) in enumerate(pieces):
        if kind == "text":
            _put(_text(source)[0], pieces[max(0, index - 2) : index], texts, starts=starts)
        elif kind == "word":
            name, dot, _ = source.partition(".")
            called = not dot and index + 1 < len(pieces) and pieces[index + 1][1] in {"(", "="}
            names += [] if called or not name.isidentifier() or keyword.iskeyword(name) else [name]
        starts = starts and source in _BEFORE
    return Texts(tuple(pair for pair in texts if _may_say(pair[0])), tuple(dict.fromkeys(names)), exact=False)


def tokens_of(untrusted: str, find: Callable[[re.Pattern[str], str], Iterator[re.Match[str]]]) -> list[Token]:
    """Return the tokens of a text of code, without blanks and notes, and without ends of lines in brackets.

    Args:
        untrusted: The code.
        find: Finds a pattern in it.
    """
    tokens: list[Token] = []
    open_ones = 0
    for match in find(_TOKEN, untrusted):
        kind, source = match.lastgroup or "", match[0]
        if kind == "mark":
            open_ones = max(0, open_ones + (source in _OPEN) - (source in _CLOSE))
        if kind != "blank" and not (source == "\n" and open_ones):
            tokens.append(Token(kind, source, match.start()))
    return tokens


def told_in(untrusted: str, unknown: str) -> list[str]:
    """Return the texts of an expression as they are written, with a text for each name in it.

    Args:
        untrusted: The expression, such as ``'serve ' + name``.
        unknown: What stands for a name.
    """
    told: list[str] = []
    for kind, source in _pieces(untrusted[:LONGEST]):
        if kind == "text":
            told.append(_text(source)[0])
        elif (
            kind == "word" and source[0] != "." and not keyword.iskeyword(source) and source != "shlex.split"
        ):
            told.append(unknown)
    return told


def called_in(untrusted: str) -> tuple[str, int]:
    """Return what an expression calls that is nothing but one call, and where its arguments start.

    What only moves the result somewhere else may follow: ``.to('cuda')``. An empty name: it is no such one.
    """
    match = _CALL.match(untrusted)
    if match is None:
        return "", 0
    pieces = [piece for piece in _pieces(untrusted[match.end() - 1 : LONGEST]) if piece[0] != "blank"]
    while (end := _closes(pieces)) >= 0:
        pieces = pieces[end + 1 :]
        if not pieces:
            return _BLANKS.sub("", match[1]), match.end()
        if pieces[0][1] not in _MOVES:
            break
        pieces = pieces[1:]
    return "", 0


def _put(text: str, before: list[Piece], texts: list[tuple[str, bool]], *, starts: bool) -> None:
    """Add a text to the one before, if nothing but ``+`` stands between them, or as one of its own."""
    last = before[-1] if before else ("", "")
    added = last[1] == "+" and len(before) > 1 and before[0][0] == "text"
    if texts and (last[0] == "text" or added):
        texts[-1] = (texts[-1][0] + text, texts[-1][1])
    elif not (last[1] in _JOINS and text.startswith("/")):  # the end of a path says nothing
        texts.append((text, starts))


def _bare(pieces: list[Piece]) -> list[Piece]:
    """Take off the brackets around an expression."""
    for _ in range(_DEEPEST):
        if len(pieces) < len("()") or pieces[0][1] != "(" or _closes(pieces) != len(pieces) - 1:
            break
        pieces = pieces[1:-1]
    return pieces


def _closes(pieces: list[Piece]) -> int:
    """Where the bracket ends that stands first; negative if none does."""
    open_ones = 0
    if not pieces or pieces[0][1] not in _OPEN:
        return -1
    for index, (kind, source) in enumerate(pieces):
        if kind == "mark":
            open_ones += (source in _OPEN) - (source in _CLOSE)
            if open_ones == 0:
                return index
    return -1


def _text(source: str) -> tuple[str, bool]:
    """Return a text without its quotes, and whether it is read as it is written."""
    escaped = source[0] == "\\"
    quoted = source[1:].lstrip(ascii_letters) if escaped else source.lstrip(ascii_letters)
    prefix = "" if escaped else source[: len(source) - len(quoted)].lower()
    wide = len('"""') if quoted[:3] in _LONG_QUOTES else 1
    text = quoted[wide : -wide - escaped]
    return text, prefix in _PLAIN and ("\\" not in text or prefix == "r")


def _may_say(text: str) -> bool:
    """Say whether a text may name something: not what others are only put into, or joined by."""
    hole = _HOLES.search(text)
    return _SAYS.search(text) is not None if hole is None else "/" in text[: hole.start()]


def _pieces(text: str) -> Iterator[Piece]:
    for match in _TOKEN.finditer(text):
        yield match.lastgroup or "", match[0]
