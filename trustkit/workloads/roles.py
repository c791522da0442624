"""What the name of a member says of what it holds, by the rows ``members`` of the table.

Pure names in, roles out; remembered, because objects repeat the same few names. The
law of this file: a name alone never makes a model of a text that looks like none,
unless the row ``reference`` says so.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from trustkit import strictjson
from trustkit.workloads.rows import spelled_texts, texts_of
from trustkit.workloads.values import CONTAINER_LISTS

Holds = Literal["", "reference", "flag", "word", "place", "path", "variable", "value", "line"]
"""What a text is: surely a model; the value of a flag of several words, or of one; a place below a hint; the
value of a variable; the value of a parameter whose name stands beside it; a command line."""
Lists = Literal["", "containers", "volumes", "words", "environment"]
"""What a list is: of containers, volumes, words of a command line, variables."""

_LONGEST = 128
"""Longest name that is remembered (characters): what is remembered outlives the object."""
_REMEMBERED = 16_384
"""Names that are remembered together (an object may hold any number of them)."""


@dataclass(frozen=True, slots=True)
class Role:
    """What the name of a member says.

    Attributes:
        holds: Of a text.
        lists: Of a list.
        hint: Whether it speaks of models.
        engine: Whether it holds options of a program, by their names.
        quiet: Whether what is below it is written, or is data.
        storage: Whether it is a place in a storage that is configured elsewhere.
    """

    holds: Holds = ""
    lists: Lists = ""
    hint: bool = False
    engine: bool = False
    quiet: bool = False
    storage: bool = False


NONE = Role()
"""Of an entry of a list, and of most names."""


@dataclass(frozen=True, eq=False)  # compared by identity, as the table is
class Members:
    """The rows ``members`` of the table, ready to be asked."""

    reference: frozenset[str]
    place: frozenset[str]
    flags: frozenset[str]
    variables: frozenset[str]
    endings: tuple[str, ...]
    words: frozenset[str]
    hints: tuple[str, ...]
    engine: tuple[str, ...]
    annotations: frozenset[str]
    quiet: frozenset[str]
    lines: tuple[str, ...]
    environment: tuple[str, ...]

    @functools.cached_property
    def role(self) -> Callable[[str], Role]:
        """Return the role of a name; the function remembers its answers, but for names that nobody gives."""
        known = functools.lru_cache(_REMEMBERED)(self._role)

        def role(name: str) -> Role:
            return known(name) if len(name) <= _LONGEST else self._role(name)

        return role

    def _role(self, name: str) -> Role:
        plain = normal(name)
        role = Role(
            holds=self._holds(name, plain),
            lists=self._lists(name, plain),
            hint=any(hint in plain for hint in self.hints),
            engine=plain.endswith(self.engine),
            quiet=plain in self.quiet,
            storage=plain == "storage",
        )
        return NONE if role == NONE else role

    def _holds(self, name: str, plain: str) -> Holds:
        if name == "value":
            return "value"
        if name in self.annotations:
            return "reference"
        if name in self.variables or (name.isupper() and name.endswith(self.endings)):
            return "variable"
        if plain in self.reference:
            return "reference"
        if plain in self.flags:
            return "flag"
        if plain in self.words:
            return "word"
        if plain == "path" or plain in self.place:
            return "path" if plain == "path" else "place"
        return "line" if plain.endswith(self.lines) else ""

    def _lists(self, name: str, plain: str) -> Lists:
        if name in CONTAINER_LISTS:
            return "containers"
        if name == "volumes":
            return "volumes"
        if plain.endswith(self.environment):
            return "environment"
        return "words" if plain.endswith(self.lines) else ""


def normal(name: str) -> str:
    """Return a name as the rows spell it: ``storage_uri``, ``storageUri`` and ``storage-uri`` are one."""
    return name[:128].lower().replace("_", "").replace("-", "")


def members_from(
    fields: strictjson.Fields, *, flags: list[str], variables: list[str], endings: list[str]
) -> Members:
    """Build the rows.

    Args:
        fields: The member ``members`` of the table.
        flags: The flags whose value names a model.
        variables: The variables whose value does.
        endings: What the names of others end in.
    """

    def plain(name: str) -> list[str]:
        return spelled_texts(fields, name, normal)

    return Members(
        reference=frozenset(plain("reference")),
        place=frozenset(plain("place")),
        flags=frozenset(normal(flag) for flag in flags if "-" in flag),
        variables=frozenset(variables),
        endings=tuple(endings),
        annotations=frozenset(texts_of(fields, "annotations")),
        words=frozenset(flag for flag in flags if "-" not in flag),
        hints=tuple(plain("hints")),
        engine=tuple(plain("engine")),
        quiet=frozenset(plain("quiet")),
        lines=tuple(plain("words")),
        environment=tuple(plain("environment")),
    )
