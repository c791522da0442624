"""Where quoted parts of a shell script end: brackets, quotes, parameters, each inside the others.

The law of this file: positions in, positions out; nothing is kept. What never
ends, or nests deeper than `MAX_NESTED`, ends *beyond* the text: at a position
larger than its length.
"""

from __future__ import annotations

import re

MAX_NESTED = 16
"""Deepest nesting of substitutions and parameters that is followed (levels)."""

_CODE = re.compile(r"[^'\"\\`$()#]+")
_DOUBLE = re.compile(r"[^\"\\`$]+")
_BRACES = re.compile(r"[^'\"\\`${}]+")
_BEFORE_COMMENT = " \t\n;|&("


def end_of_single(text: str, at: int) -> int:
    """Return the position after the quote that closes the one before *at*."""
    end = text.find("'", at)
    return len(text) + 1 if end < 0 else end + 1


def end_of_backquote(text: str, at: int) -> int:
    """Return the position after the backquote that closes the one before *at*."""
    while at < len(text) and text[at] != "`":
        at += 2 if text[at] == "\\" else 1
    return min(at, len(text)) + 1


def end_of_parens(text: str, at: int, depth: int = 0) -> int:
    """Return the position after the bracket that closes the one before *at*."""
    return _end(text, at, ")", depth)


def end_of_braces(text: str, at: int, depth: int = 0) -> int:
    """Return the position after the brace that closes the ``${`` before *at*."""
    return _end(text, at, "}", depth)


def _end(text: str, at: int, closing: str, depth: int) -> int:
    plain = {'"': _DOUBLE, ")": _CODE, "}": _BRACES}[closing]
    if depth > MAX_NESTED:
        return len(text) + 1
    open_ones = 1
    while at < len(text):
        run = plain.match(text, at)
        if run is not None:
            at = run.end()
            continue
        char = text[at]
        if char == closing or (char == "(" and closing == ")"):
            open_ones += 1 if char == "(" else -1
            at += 1
            if not open_ones:
                return at
        else:
            at = _after(text, at, closing, depth)
    return len(text) + 1


def _after(text: str, at: int, closing: str, depth: int) -> int:
    """Return the position after whatever starts at *at* inside a part that *closing* ends."""
    char = text[at]
    if char == "\\":
        return at + 2
    if char == "`":
        return end_of_backquote(text, at + 1)
    if char == "'" and closing != '"':
        return end_of_single(text, at + 1)
    if char == '"':
        return _end(text, at + 1, '"', depth + 1)
    if char == "#" and closing == ")" and (text[at - 1] in _BEFORE_COMMENT):
        end = text.find("\n", at)
        return len(text) if end < 0 else end
    if text.startswith(("$(", "${"), at):
        return _end(text, at + 2, ")" if text[at + 1] == "(" else "}", depth + 1)
    return at + 1
