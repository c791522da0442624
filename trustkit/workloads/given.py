"""What an expression of code may hold: its texts, variables of the container, and names that are given them.

The law of this file: a name is known where every value is known that the text gives it
plainly (see `bindings`). Whatever else it may hold is noted, and is not all. What is
read of one text, and how many values one name has, is limited: beyond that it is not known.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from trustkit.workloads.bindings import Bindings, bindings_of
from trustkit.workloads.expressions import LONGEST, NO_END, Token, arguments, expression, texts_in, tokens_of
from trustkit.workloads.line import Line, Word

_MOST_READ = 32 * 1024
"""Most of the arguments of one text, and of what it gives to names, that is read (characters)."""
_MOST_VALUES = 64
"""Most values of one name, or of one expression, that are told."""
_LONGEST_GIVEN = 600
"""Longest value of a name that is read (characters)."""
_DEEPEST = 8
"""Names that are given to one another (levels)."""
CONSTANT = re.compile(r"-?[0-9][0-9_.eEjJxX]{0,64}|None|True|False|\.\.\.")
"""What holds no text, and names no other value."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_LOOKED_UP = re.compile(
    r"[A-Za-z_.]{0,32}(?:environ\[|environ\.get\(|getenv\()\s{0,8}[\"']([A-Za-z_][A-Za-z0-9_]{0,127})[\"']"
    r"\s{0,8}(?:,\s{0,8}[\"']([^\"'\n]{1,512})[\"']\s{0,8})?[\])]"
)

_SETS = re.compile(
    r"environ\[\s{0,8}(?:[\"']([A-Za-z_][A-Za-z0-9_]{0,127})[\"']|[^\]\n]{1,128})\s{0,8}\]\s{0,8}\|?=(?!=)"
    r"|environ\s{0,8}(?:\|?=(?!=)|\.\s{0,8}(?:update|clear|pop|popitem|__setitem__|__ior__)\b)|\bputenv\b"
)
"""Where code gives a variable of its own process something; without a name, it may be any."""


class Value(NamedTuple):
    """What an argument may hold, and whether that is the text it starts with, or only one in it."""

    text: str
    path: str
    starts: bool = True


class Given:
    """The names of one text of code and what it gives them.

    Args:
        word: The text, untrusted.
        line: The command that it belongs to.
        loads: Says whether an expression is nothing but a call that is judged where it stands.
    """

    def __init__(self, word: Word, line: Line, loads: Callable[[str], bool]) -> None:
        self.word = word
        self.line = line
        self._loads = loads
        self._left = min(_MOST_READ, LONGEST + 4 * len(word.text))
        self._tokens: list[Token] | None = None
        self._bindings: Bindings | None = None
        self._set: dict[str, list[int]] | None = None
        self._known: dict[str, tuple[list[Value], bool]] = {}
        self._read: dict[str, tuple[list[Value], bool]] = {}

    @property
    def tokens(self) -> list[Token]:
        """The tokens of the text."""
        if self._tokens is None:
            self._tokens = tokens_of(self.word.text, self.line.notes.find)
        return self._tokens

    @property
    def bindings(self) -> Bindings:
        """What the text gives to names."""
        if self._bindings is None:
            self._bindings = bindings_of(self.tokens, self.line.notes.check)
        return self._bindings

    def arguments(self, at: int) -> list[str]:
        """The arguments of a call whose bracket is open; what is beyond all that is read has no end."""
        found = list(arguments(self.word.text, at, max(0, min(LONGEST, self._left))))
        self._left -= sum(map(len, found)) + 1
        return found

    def values(self, untrusted: str) -> tuple[list[Value], bool]:
        """Return what an argument may hold, and whether that is all."""
        if untrusted not in self._read:
            values, known = self._values(untrusted)
            missing = self.word.missing
            known = known and not (missing and any(missing in each.text for each in values))
            self._read[untrusted] = values, known
        return self._read[untrusted]

    def written(self, untrusted: str) -> tuple[str, bool]:
        """Return what a name is given, as it is written, and whether that surely is all; else what it was."""
        places = self.bindings.plain.get(untrusted, []) if _NAME.fullmatch(untrusted) else []
        if not places:
            return untrusted, True
        changed = re.search(rf"\b{untrusted}\s{{0,8}}[.\[]", self.word.text) is not None
        bound = untrusted in self.bindings.open or self.bindings.anything
        return self._given_at(places[0]), not (changed or bound or len(places) > 1)

    def _values(self, text: str, depth: int = 0) -> tuple[list[Value], bool]:
        self.line.notes.check()
        looked = _LOOKED_UP.fullmatch(text)
        if looked is not None:
            return self._variable(looked[1], looked[2])
        if depth >= _DEEPEST or text == NO_END:
            return [], False
        if self._loads(text):
            return [], True  # what it loads is judged where it stands
        if _NAME.fullmatch(text):
            return self._named(text, depth)
        inside = texts_in(text)
        values = dict.fromkeys(Value(each, self.word.path, starts) for each, starts in inside.texts)
        for name in inside.names:
            # What a name is given as a text; what it is made of says too little.
            values |= {
                each._replace(starts=False): None for each in self._named(name, depth)[0] if each.starts
            }
            if len(values) > _MOST_VALUES:
                break
        return list(values)[:_MOST_VALUES], inside.exact

    def _named(self, name: str, depth: int) -> tuple[list[Value], bool]:
        """What a name stands for, and the names that it is given in turn; each is looked up once."""
        if name not in self._known:
            self._known[name] = [], False  # what it says of itself says nothing
            bindings = self.bindings
            plain = self._told(name, bindings.plain.get(name, []), depth)
            other = self._told(name, bindings.others.get(name, []), depth)
            values = list(dict.fromkeys((*plain[0], *other[0])))
            whole = plain[1] and name not in bindings.open and not bindings.anything
            self._known[name] = values[:_MOST_VALUES], whole and len(values) <= _MOST_VALUES
        return self._known[name]

    def _told(self, name: str, places: list[int], depth: int) -> tuple[list[Value], bool]:
        """What a name is given at some places, and whether it is given something and all of that is known."""
        found: dict[Value, None] = {}
        told, whole = False, len(places) <= _MOST_VALUES
        for place in places[:_MOST_VALUES]:
            given = self._given_at(place)
            if given == name or CONSTANT.fullmatch(given):
                continue
            values, known = self._values(given, depth + 1)
            found |= dict.fromkeys(values)
            told, whole = True, whole and known
        return list(found), told and whole

    def _variable(self, name: str, default: str | None) -> tuple[list[Value], bool]:
        variables, places = self.line.variables, self._set_at()
        if name in places or "" in places:
            found, _ = self._told(name, places.get(name, []), 1)
            if name in variables.known:
                found = [Value(variables.known[name], variables.place_of(name)), *found]
            return found, False
        if name in variables.known:
            return [Value(variables.known[name], variables.place_of(name))], True
        known = default is not None and name not in variables.indirect and not variables.open_ended
        return [] if default is None else [Value(default, self.word.path)], known

    def _set_at(self) -> dict[str, list[int]]:
        """Where the code gives variables of its process something; under no name what may be any of them."""
        if self._set is None:
            self._set = {}
            for match in self.line.notes.find(_SETS, self.word.text):
                self._set.setdefault(match[1] or "", []).append(match.end())
        return self._set

    def _given_at(self, place: int) -> str:
        self.line.notes.check()
        if self._left <= 0:
            return NO_END
        found = expression(self.word.text, place, min(_LONGEST_GIVEN, self._left))
        self._left -= _LONGEST_GIVEN if found == NO_END else len(found) + 1
        return found
