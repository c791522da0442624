"""Calls in code that load a model: which argument names it, and what that argument holds.

The law of this file: code is never run, and only the plainest is followed: a literal, a
variable of the container, a name that the same text gives one of them. What else a call
loads in a container is unresolved, and the texts in it are noted all the same.

    1. The first argument by place names a model, and so does one whose keyword is called like a model's.
    2. Any other one does where it looks like a reference, unless a row says that its keyword says how.
    3. Where neither is there, the first argument names it, whatever it looks like.
    4. Of some calls the first argument by place is a task and the second one the model; those load a
       model of their own where neither 1 nor 2 is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from trustkit.workloads.expressions import LONGEST, NO_END, arguments, expression, texts_in
from trustkit.workloads.grammar import Named, is_service, named
from trustkit.workloads.line import Line, Word
from trustkit.workloads.notes import Notes
from trustkit.workloads.rows import flag_name
from trustkit.workloads.table import Table

_MOST_CALLS = 64
"""Calls of one text that are read."""
_MOST_READ = 32 * 1024
"""Most of the arguments of one text, and of what it gives to names, that is read (characters)."""
_LONGEST_GIVEN = 600
"""Longest value of a name that is read (characters)."""
_DEEPEST = 8
"""Names that are given to one another (levels)."""
_KEYWORD = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,63})\s{0,8}=(?!=)\s{0,64}")
_CONSTANT = re.compile(r"-?[0-9][0-9_.eEjJxX]{0,64}|None|True|False|\.\.\.")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_LOOKED_UP = re.compile(
    r"[A-Za-z_.]{0,32}(?:environ\[|environ\.get\(|getenv\()\s{0,8}[\"']([A-Za-z_][A-Za-z0-9_]{0,127})[\"']"
    r"\s{0,8}(?:,\s{0,8}[\"']([^\"'\n]{1,512})[\"']\s{0,8})?[\])]"
)
_GIVEN = re.compile(
    r"(?<![A-Za-z0-9_.])([A-Za-z_][A-Za-z0-9_]{0,63})\s{0,8}(?::[^=\n\"'()]{0,64})?=(?!=)\s{0,8}"
)
_GIVEN_ELSE = re.compile(
    r"\bfor\s([^:\n]{1,128}?)\sin\b"
    r"|\b(?:as|del|global|nonlocal)\s+\(?([A-Za-z_][A-Za-z0-9_, ]{0,128})"
    r"|\bimport\s([^\n;]{1,256})"
    r"|\b(?:def\s{1,8}[A-Za-z0-9_]{1,64}\s{0,8}\(|lambda\s)([^:]{1,512})"
    r"|(?<![A-Za-z0-9_.])([A-Za-z_][A-Za-z0-9_]{0,63})\s{0,8}(?:[-+*/%&|^@]|//|\*\*|<<|>>)="
    r"|(?:^|[\n;])[ \t(\[]{0,64}"
    r"([A-Za-z_*][A-Za-z0-9_*]{0,64}(?:[ \t]{0,8},[ \t]{0,8}[A-Za-z0-9_*.]{1,64}){1,16})[ \t,)\]]{0,8}=(?!=)"
)
"""Other ways by which a name is given something: loops, imports, parameters, several names at once."""
_CALLED = re.compile(r"(?<![A-Za-z0-9_.])([A-Za-z_][A-Za-z0-9_]{0,63})[ \t]?\(")
_DEFINES = re.compile(r"\b(?:def|class)\s{1,8}$")
_WHOLE = re.compile(r"import|exec\(|eval\(")
"""What every text of code holds that can load a model: parts of one say less than they mean."""
_REBINDS = re.compile(r"\b(?:globals|locals|vars|setattr|exec|eval)\s?\(|__dict__")
"""By what code gives a name something without writing it."""
_SURE = frozenset(("reference", "flag", "word", "variable"))
_SHAPES = frozenset(("scheme", "hub", "image"))


class _Value(NamedTuple):
    """What an argument may hold, and whether that is the text it starts with, or only one in it."""

    text: str
    path: str
    starts: bool = True


class _Call(NamedTuple):
    """The arguments of a call: those that name a model, and those that may, by their keywords.

    ``tasks`` says whether the first one by place is a task.
    """

    sure: list[str]
    others: list[tuple[str, str]]
    tasks: bool


def read_calls(word: Word, line: Line, *, runs: bool) -> None:
    """Note what the calls of the table load in a text of code.

    Args:
        word: The text, untrusted.
        line: The command that it belongs to.
        runs: Whether a container runs it: then a call that cannot be read is unresolved.
    """
    notes, text = line.notes, word.text
    code = _Code(word, line)
    runs = runs and _WHOLE.search(text) is not None
    for number, (start, end) in enumerate(_calls(text, notes)):
        notes.check()
        if number >= _MOST_CALLS:
            notes.unresolved(word.path, "", f"more than {_MOST_CALLS} calls that load models")
            return
        if _DEFINES.search(text, max(0, start - 16), start) is not None:
            continue
        tasks = text[start:end].rstrip("( \t").endswith(notes.table.code.tasks)
        unread = _read(_sorted(code.arguments(end), notes.table, tasks=tasks), code)
        if unread is not None and runs and not _is_comment(text, start):
            why = f"{text[start : min(end, start + 64)]}...) loads a model, and which one is not known"
            notes.unresolved(word.path, unread, why)


def _calls(text: str, notes: Notes) -> Iterator[tuple[int, int]]:
    """Where the calls of the table start, under whatever names the text gives them, and their arguments."""
    table = notes.table
    found = {match.span() for match in notes.find(table.code.call_pattern, text)}
    others = {name for match in notes.find(table.code.alias_pattern, text) for name in match.groups() if name}
    if others:
        found |= {match.span() for match in notes.find(_CALLED, text) if match[1] in others}
    yield from sorted(found)


def _is_comment(text: str, at: int) -> bool:
    return text[text.rfind("\n", 0, at) + 1 : at].lstrip().startswith("#")


def _sorted(untrusted: list[str], table: Table, *, tasks: bool) -> _Call:
    """Say which arguments name a model, and which may."""
    call = _Call([], [], tasks)
    for number, argument in enumerate(untrusted):
        keyword = _KEYWORD.match(argument)
        name = "" if keyword is None else keyword[1]
        value = argument if keyword is None else argument[keyword.end() :]
        if not value or _CONSTANT.fullmatch(value):
            continue
        by_place = keyword is None and (number == int(tasks) or value.startswith("*"))
        if by_place or (name and table.members.role(name).holds in _SURE):
            call.sure.append(value)
        elif flag_name(name) not in table.code.keywords:
            call.others.append((name, value))
    return call


def _read(call: _Call, code: _Code) -> str | None:
    """Note what a call loads; return an argument that may name a model and cannot be read."""
    unread = None
    for value in call.sure:
        known = code.note(value)
        unread = unread if known else value
    found = bool(call.sure)
    for name, value in call.others:
        noted, known = code.note_if_shaped(name, value, alone=not call.sure)
        found = found or noted
        if not known and not noted and ((not call.sure and not call.tasks) or code.speaks(name)):
            unread = unread or value
    if not found and unread is None and call.others and not call.tasks:
        unread = None if code.note(call.others[0][1]) else call.others[0][1]
    return unread


class _Code:
    """The names of one text and what it gives them."""

    def __init__(self, word: Word, line: Line) -> None:
        self._word = word
        self._line = line
        self._given: dict[str, list[int]] | None = None
        self._left = min(_MOST_READ, LONGEST + 4 * len(word.text))
        self._else: frozenset[str] = frozenset()
        self._any = False
        self._known: dict[str, tuple[list[_Value], bool]] = {}

    def arguments(self, at: int) -> list[str]:
        """The arguments of a call whose bracket is open; what is beyond all that is read has no end."""
        found = list(arguments(self._word.text, at, max(0, min(LONGEST, self._left))))
        self._left -= sum(map(len, found)) + 1
        return found

    def note(self, value: str) -> bool:
        """Note what an argument names that names a model; return whether all of it is known."""
        values, known = self._read(value)
        for each in values:
            found = named(each.text, self._line.notes.table)
            if found is not None and (each.starts or found.strength in _SHAPES or _is_path(found)):
                self._add(each, found)
        return known

    def note_if_shaped(self, name: str, value: str, *, alone: bool) -> tuple[bool, bool]:
        """Note what looks like a reference in another argument; return whether any does, and all is known.

        Args:
            name: Its keyword.
            value: The argument.
            alone: Whether no other argument surely names a model: then a folder may be it.
        """
        table = self._line.notes.table
        values, known = self._read(value)
        paths = alone or not self._is_a_setting(name)
        noted = False
        for each in values:
            found = named(each.text, table)
            if found is None or is_service(each.text, table):
                continue
            if found.strength in _SHAPES or (paths and _is_path(found)):
                self._add(each, found)
                noted = True
        return noted, known

    def speaks(self, name: str) -> bool:
        """Say whether a keyword speaks of models, so that what it holds must be known."""
        role = self._line.notes.table.members.role(name)
        return bool(name) and (role.hint or bool(role.holds)) and not self._is_a_setting(name)

    def _is_a_setting(self, name: str) -> bool:
        """Say whether a keyword is called like a flag that holds no model, or a place to write to."""
        table, flag = self._line.notes.table, flag_name(name)
        quiet = any(part in flag for part in table.flags.quiet)
        return quiet or flag in table.flags.names or table.takes_value(flag) is not None

    def _add(self, value: _Value, found: Named) -> None:
        why = "a call that loads a model"
        self._line.notes.add(value.path, found, how="argument", confidence="certain", reason=why)

    def _read(self, value: str) -> tuple[list[_Value], bool]:
        """Return what an argument may hold, and whether that is all."""
        values, known = self._values(value)
        missing = self._word.missing
        return values, known and not (missing and any(missing in each.text for each in values))

    def _values(self, text: str, depth: int = 0) -> tuple[list[_Value], bool]:
        looked = _LOOKED_UP.fullmatch(text)
        if looked is not None:
            return self._variable(looked[1], looked[2])
        if depth >= _DEEPEST or text == NO_END:
            return [], False
        if _NAME.fullmatch(text):
            return self._named(text, depth)
        inside = texts_in(text)
        values = [_Value(each, self._word.path, starts) for each, starts in inside.texts]
        for name in inside.names:
            # What a name is given as a text; what it is made of says too little.
            values += [each._replace(starts=False) for each in self._named(name, depth)[0] if each.starts]
        return values, inside.exact

    def _named(self, name: str, depth: int) -> tuple[list[_Value], bool]:
        """What a name stands for, and the names that it is given in turn; each is looked up once."""
        if name not in self._known:
            self._known[name] = [], False  # what it says of itself says nothing
            given = self._given_to(name)
            found: list[_Value] = []
            whole = bool(given) and name not in self._else and not self._any
            for value in given:
                values, known = self._values(value, depth + 1)
                found += values
                whole = whole and known
            self._known[name] = list(dict.fromkeys(found)), whole
        return self._known[name]

    def _variable(self, name: str, default: str | None) -> tuple[list[_Value], bool]:
        variables = self._line.variables
        if name in variables.known:
            return [_Value(variables.known[name], variables.place_of(name))], True
        known = default is not None and name not in variables.indirect and not variables.open_ended
        return [] if default is None else [_Value(default, self._word.path)], known

    def _given_to(self, name: str) -> list[str]:
        """What the text gives a name, but for nothing, and for itself."""
        values = [self._given_at(place) for place in self._places().get(name, [])]
        return [value for value in values if value != name and not _CONSTANT.fullmatch(value)]

    def _given_at(self, place: int) -> str:
        self._line.notes.check()
        if self._left <= 0:
            return NO_END
        found = expression(self._word.text, place, min(_LONGEST_GIVEN, self._left))
        self._left -= _LONGEST_GIVEN if found == NO_END else len(found) + 1
        return found

    def _places(self) -> dict[str, list[int]]:
        """Where the text gives something to each name."""
        if self._given is None:
            self._given = {}
            text, find = self._word.text, self._line.notes.find
            for match in find(_GIVEN, text):
                self._given.setdefault(match[1], []).append(match.end())
            self._any = _REBINDS.search(text) is not None
            others = (part for match in find(_GIVEN_ELSE, text) for part in match.groups() if part)
            self._else = frozenset(name for part in others for name in _NAME.findall(part))
        return self._given


def _is_path(found: Named) -> bool:
    return found.strength == "path" and ("/" in found.reference or found.scheme == "path")
