"""Calls in code that load a model: which argument names it, and what that argument holds.

The law of this file: code is never run, and only the plainest is followed: a literal, a
variable of the container, a name that the same text gives one of them. What else a call
loads in a container is unresolved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from trustkit.workloads.grammar import named
from trustkit.workloads.line import Line, Word

_MOST_CALLS = 64
"""Calls of one text that are read."""
_LONGEST = 2048
"""Longest arguments of a call that are read (characters)."""
_LONGEST_VALUE = 600
"""Longest value of a name that is read (characters)."""
_DEEPEST = 8
"""Names that are given to one another (levels)."""
_KEYWORD = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,63})\s{0,8}=(?!=)\s{0,64}")
_LITERAL = re.compile(r"[rRuU]?([\"'])([^\"'\n]{1,512})\1\s{0,64}(?=[,;)#\]\n]|$)")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,63})\s{0,64}(?=[,;)#\n]|$)")
_LOOKED_UP = re.compile(
    r"[A-Za-z_.]{0,32}(?:environ\[|environ\.get\(|getenv\()\s{0,8}[\"']([A-Za-z_][A-Za-z0-9_]{0,127})[\"']"
    r"\s{0,8}(?:,\s{0,8}[\"']([^\"'\n]{1,512})[\"']\s{0,8})?[\])]\s{0,64}(?=[,;)#\n]|$)"
)
_GIVEN = re.compile(
    r"(?<![A-Za-z0-9_.])([A-Za-z_][A-Za-z0-9_]{0,63})\s{0,8}(?::[^=\n\"'()]{1,64})?=(?!=)\s{0,8}"
)
_DEFINES = re.compile(r"\b(?:def|class)\s{1,8}$")
_WHOLE = "import"
"""What every text of code holds that can load a model: parts of one say less than they mean."""
_NO_END = "**..."
"""Stands for what is longer, or has no end: nobody knows what it says."""
_NOTHING = frozenset(("None", "True", "False"))


class _Value(NamedTuple):
    text: str
    path: str


def read_calls(word: Word, line: Line, *, runs: bool) -> None:
    """Note what the calls of the table load in a text of code.

    Args:
        word: The text, untrusted.
        line: The command that it belongs to.
        runs: Whether a container runs it: then a call that cannot be read is unresolved.
    """
    notes, text = line.notes, word.text
    code = _Code(word, line)
    runs = runs and _WHOLE in text
    for number, call in enumerate(notes.table.call_pattern.finditer(text)):
        notes.check()
        if number >= _MOST_CALLS:
            notes.unresolved(word.path, "", f"more than {_MOST_CALLS} calls that load models")
            return
        if _DEFINES.search(text, max(0, call.start() - 16), call.start()) is not None:
            continue
        for argument in _models_of(list(_arguments(text, call.end())), line):
            values, known = code.values(argument)
            known = known and not (word.missing and any(word.missing in value.text for value in values))
            for value in values:
                found = named(value.text, notes.table)
                if found is not None:
                    notes.add(
                        value.path,
                        found,
                        how="argument",
                        confidence="certain",
                        reason="a call that loads a model",
                    )
            if not known and runs and not _is_comment(text, call.start()):
                why = f"{call[0][:64]}...) loads a model, and which one is not known"
                notes.unresolved(word.path, argument, why)


def _is_comment(text: str, at: int) -> bool:
    return text[text.rfind("\n", 0, at) + 1 : at].lstrip().startswith("#")


def _arguments(text: str, at: int) -> Iterator[str]:
    """The arguments of a call whose bracket is open."""
    depth, quote, start = 0, "", at
    for index in range(at, min(len(text), at + _LONGEST)):
        char = text[index]
        if quote:
            quote = "" if char == quote and text[index - 1] != "\\" else quote
        elif char in "\"'":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}" and depth:
            depth -= 1
        elif char in "),":
            if depth == 0:
                yield text[start:index].strip()
                start = index + 1
            if char == ")":
                return
    yield _NO_END


def _models_of(arguments: list[str], line: Line) -> list[str]:
    """The values of the arguments that name a model: the first by its place, others by their names."""
    role = line.notes.table.members.role
    found: list[str] = []
    first = ""
    for number, argument in enumerate(arguments):
        keyword = _KEYWORD.match(argument)
        value = argument if keyword is None else argument[keyword.end() :]
        first = first or value
        if keyword is None:
            found += [value] if value and (number == 0 or value.startswith("*")) else []
        elif role(keyword[1]).holds in {"reference", "flag", "word", "variable"}:
            found.append(value)
    return found or ([first] if len(arguments) == 1 and _LITERAL.match(first) else [])


class _Code:
    """The names of one text and what it gives them."""

    def __init__(self, word: Word, line: Line) -> None:
        self._word = word
        self._line = line
        self._given: dict[str, list[str]] | None = None
        self._known: dict[str, tuple[list[_Value], bool]] = {}

    def values(self, text: str, depth: int = 0) -> tuple[list[_Value], bool]:
        """Return what an argument may hold, and whether that is all."""
        literal = _LITERAL.match(text)
        if literal is not None:
            return [_Value(literal[2], self._word.path)], True
        looked = _LOOKED_UP.match(text)
        if looked is not None:
            return self._variable(looked[1], looked[2])
        name = _NAME.match(text)
        return ([], False) if name is None or depth >= _DEEPEST else self._named(name[1], depth)

    def _named(self, name: str, depth: int) -> tuple[list[_Value], bool]:
        """What a name stands for, and the names that it is given in turn; each is looked up once."""
        if name not in self._known:
            self._known[name] = [], False  # what it says of itself says nothing
            given = self._given_to(name)
            found: list[_Value] = []
            whole = bool(given)
            for value in given:
                values, known = self.values(value, depth + 1)
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
        values = self._names().get(name, [])
        return [
            value
            for value in values
            if (again := _NAME.match(value)) is None or again[1] not in {name, *_NOTHING}
        ]

    def _names(self) -> dict[str, list[str]]:
        if self._given is None:
            self._given = {}
            text = self._word.text
            for match in self._line.notes.find(_GIVEN, text):
                self._given.setdefault(match[1], []).append(text[match.end() : match.end() + _LONGEST_VALUE])
        return self._given
