"""Which calls of the table a text of code makes, under whatever names it imports or gives them.

The law of this file: it says where calls stand, and which rows they are; it notes nothing.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from string import ascii_letters, digits
from typing import NamedTuple

from trustkit.workloads.notes import Notes

_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
_IMPORTS = re.compile(
    rf"\bfrom\s{{1,8}}({_NAME}(?:\.{_NAME}){{0,8}})\s{{1,8}}import\s{{0,8}}(\([^)]{{0,4096}}|[^\n;]{{1,1024}})"
    r"|\bimport\s{1,8}([^\n;]{1,1024})"
)
_IMPORTED = re.compile(rf"({_NAME}(?:\.{_NAME}){{0,8}}|\*)(?:\s{{1,8}}as\s{{1,8}}({_NAME}))?")
_SAME = re.compile(
    rf"(?<![A-Za-z0-9_.])({_NAME})[ \t]{{0,8}}="
    rf"[ \t]{{0,8}}({_NAME}(?:\.{_NAME}){{0,8}})[ \t]{{0,8}}(?=[\n;#]|$)"
)
_DEFINED = re.compile(rf"\b(?:def|class)\s{{1,8}}({_NAME})")
_CALLS_NAME = re.compile(rf"(?<![A-Za-z0-9_.])({_NAME})[ \t]?\(")
_OWNER_BY_TEXT = re.compile(
    r"(?:__import__|import_module)\(\s{0,8}[\"']([A-Za-z0-9_.]{1,64})[\"']\s{0,8}\)\.$"
)
_BY_TEXT = re.compile(rf"({_NAME}(?:\.{_NAME}){{0,8}})\s{{0,8}},\s{{0,8}}[\"']$")
"""``getattr(torch, 'load')``."""
_LONGEST_OWNER = 256
_MOST_OWNERS = 8
_LETTERS = f"{ascii_letters}{digits}_"
_BEFORE = frozenset(".\"' \t\n")
"""What stands before a name that belongs to something."""


class Called(NamedTuple):
    """A call: where it starts, where its arguments do, and its row in the table."""

    start: int
    end: int
    row: str


class Aliases:
    """What the names of one text stand for, as far as they are modules or calls of the table."""

    def __init__(self, untrusted: str, notes: Notes) -> None:
        self._code = notes.table.code
        self._spoken = {row for row in self._code.bare if row.partition(".")[0] in untrusted}
        self._rows: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.star = False
        """Whether it imports whatever a module holds."""
        self.defined = frozenset(match[1] for match in notes.find(_DEFINED, untrusted))
        self.methods = frozenset(name for name in self._code.names if "_" in name)
        """Calls whose names are hardly words of anything else."""
        for match in notes.find(_IMPORTS, untrusted):
            self._import(match[1], match[2] or match[3])
        for match in notes.find(_SAME, untrusted):
            path = self._path(match[2])
            if path != match[1] and self._counts(path):
                self.names[match[1]] = path

    def row(self, chain: str) -> str:
        """Return the row of what a chain of names calls, such as ``t.load``; empty if there is none."""
        if chain not in self._rows:
            self._rows[chain] = self._row(chain)
        return self._rows[chain]

    def _row(self, chain: str) -> str:
        path = self._path(chain)
        last = path.rpartition(".")[2]
        if last in self._code.names:
            return last
        return next((row for row in self._code.rows_of.get(last, ()) if self._is(path, row)), "")

    def _is(self, path: str, row: str) -> bool:
        """Say whether a path is a row: in its module, or in what lies below a module of one name."""
        root, _, name = row.rpartition(".")
        below = "." not in root and path.partition(".")[0] == root and path != name
        bare = path == name and row in self._spoken
        return path == row or below or bare

    def _path(self, chain: str) -> str:
        first, dot, rest = chain.partition(".")
        return self.names.get(first, first) + dot + rest

    def _import(self, module: str | None, names: str) -> None:
        for match in _IMPORTED.finditer(names):
            name, alias = match[1], match[2]
            self.star = self.star or name == "*"
            if name == "*" and module:
                known = [row for rows in self._code.rows_of.values() for row in rows]
                self.names |= {
                    row.rpartition(".")[2]: row for row in known if row.rpartition(".")[0] == module
                }
            elif module:
                if self._counts(f"{module}.{name}"):
                    self.names[alias or name] = f"{module}.{name}"
            elif alias and self._counts(name):
                self.names[alias] = name

    def _counts(self, path: str) -> bool:
        name = path.rpartition(".")[2]
        return name in self._code.names or path.partition(".")[0] in self._code.roots


def calls_of(untrusted: str, aliases: Aliases, notes: Notes) -> Iterator[Called]:
    """Yield the calls of the table in a text of code, in order.

    Args:
        untrusted: The code.
        aliases: What its names stand for.
        notes: Where the table is, and the clock.
    """
    ends: set[int] = set()
    for found in heapq.merge(_by_rows(untrusted, aliases, notes), _by_aliases(untrusted, aliases, notes)):
        if found.end not in ends:
            ends.add(found.end)
            yield found


def _by_rows(text: str, aliases: Aliases, notes: Notes) -> Iterator[Called]:
    names = notes.table.code.names
    for match in notes.find(notes.table.code.call_pattern, text):
        name = match["now"] or match["later"]
        chain = match["chain"] if match["later"] else "" if name in names else _owner(text, match.start())
        row = name if name in names else aliases.row(f"{chain}{name}")
        if row:
            yield Called(*match.span(), row)


def _by_aliases(text: str, aliases: Aliases, notes: Notes) -> Iterator[Called]:
    for match in notes.find(_CALLS_NAME, text) if aliases.names else ():
        row = aliases.row(match[1]) if match[1] in aliases.names else ""
        if row:
            yield Called(*match.span(), row)


def _owner(text: str, at: int) -> str:
    """What stands before a name, with the dot between them."""
    if text[at - 1 : at] not in _BEFORE:
        return ""
    before = text[max(0, at - _LONGEST_OWNER) : at].rstrip()
    names: list[str] = []
    rest = before
    while rest.endswith(".") and len(names) < _MOST_OWNERS:
        rest = rest[:-1].rstrip()
        stem = rest.rstrip(_LETTERS)
        names.append(rest[len(stem) :])
        rest = stem.rstrip()
    by_text = None
    if before.endswith(")."):
        by_text = _OWNER_BY_TEXT.search(before)
    elif before[-1:] in {"'", '"'}:
        by_text = _BY_TEXT.search(before)
    if by_text is not None:
        return by_text[1] + "."
    return "".join(f"{name or '?'}." for name in reversed(names))
