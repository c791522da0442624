"""What the table says of code: which calls load models, and what their arguments are called.

The law of this file: what is not in a row is not known; a call of no row loads nothing,
and a keyword of no row may name a model.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from trustkit import strictjson
from trustkit.workloads.rows import flag_name, spelled_texts, texts_of

_CHAIN = r"[A-Za-z0-9_.]{0,64}?"
_CALLED = r"[\"']?(?:[ \t)\]]|\\\n){0,8}\("
"""What may stand between a name and the bracket of its call."""


@dataclass(frozen=True, eq=False)
class Code:
    """Calls that load models.

    Attributes:
        calls: Their names, and those of `programs`; one with a module counts as what is imported from there.
        tasks: Those whose first argument by place is a task, and whose second one is a model.
        thirds: Those whose third argument by place is a model.
        defaults: Those that load a model of their own where they are given none.
        bare: Those that count without their module too, where the text speaks of that.
        programs: Calls that start a program, which may load a model in turn.
        files: Those whose second argument, and ``filename``, is a file of the model.
        keywords: Of arguments that say how and not what.
    """

    calls: tuple[str, ...]
    tasks: frozenset[str]
    thirds: frozenset[str]
    defaults: frozenset[str]
    bare: frozenset[str]
    programs: frozenset[str]
    files: frozenset[str]
    keywords: frozenset[str]

    def place(self, row: str) -> int:
        """Which argument by place names the model of a call, counted from 0."""
        return 1 if row in self.tasks else 2 if row in self.thirds else 0

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """Calls that count whatever stands before them."""
        return frozenset(row for row in self.calls if "." not in row)

    @functools.cached_property
    def rows_of(self) -> dict[str, tuple[str, ...]]:
        """Calls that count with their module, by their last name."""
        rows: dict[str, tuple[str, ...]] = {}
        for row in self.calls:
            module, _, name = row.rpartition(".")
            if module:
                rows[name] = (*rows.get(name, ()), row)
        return rows

    @functools.cached_property
    def roots(self) -> frozenset[str]:
        """Modules that hold such calls."""
        return frozenset(row.partition(".")[0] for row in self.calls if "." in row)

    @functools.cached_property
    def call_pattern(self) -> re.Pattern[str]:
        """Finds the beginning of what may be a call that loads a model, and the last name of it.

        However the code gets hold of what it calls; `rows_of` says whether a name needs its module.
        """
        names = "|".join(map(re.escape, sorted(self.names | self.rows_of.keys())))
        later = rf"\bpartial\(\s{{0,8}}(?P<chain>{_CHAIN})\b(?P<later>{names})\s{{0,8}},"
        return re.compile(rf"{later}|\b(?P<now>{names}){_CALLED}")

    def loads(self, name: str) -> bool:
        """Say whether a last name is one of a call that loads a model."""
        return name in self.names or not self.programs.issuperset(self.rows_of.get(name, ()))

    @functools.cached_property
    def any_pattern(self) -> re.Pattern[str]:
        """Finds the last name of any of them."""
        return re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(self.names | self.rows_of.keys())))})\b")


def code_from(fields: strictjson.Fields) -> Code:
    """Read the rows.

    Raises:
        FormatError: One is no list of texts.
    """
    tasks, thirds = texts_of(fields, "code_tasks"), texts_of(fields, "code_thirds")
    programs = texts_of(fields, "code_programs")
    return Code(
        calls=(*texts_of(fields, "code_calls"), *tasks, *thirds, *programs),
        programs=frozenset(programs),
        tasks=frozenset(tasks),
        thirds=frozenset(thirds),
        defaults=frozenset(texts_of(fields, "code_defaults")),
        bare=frozenset(texts_of(fields, "code_bare")),
        files=frozenset(texts_of(fields, "code_files")),
        keywords=frozenset(spelled_texts(fields, "code_keywords", flag_name)),
    )
