"""What the table says of code: which calls load models, and what their arguments are called."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from trustkit import strictjson
from trustkit.workloads.rows import flag_name, spelled_texts, texts_of


@dataclass(frozen=True, eq=False)
class Code:
    """Calls that load models.

    Attributes:
        calls: Their names; the first argument by place is a model.
        tasks: Names of calls whose first argument by place is a task, and whose second one is a model.
        keywords: Of arguments that say how and not what.
    """

    calls: tuple[str, ...]
    tasks: tuple[str, ...]
    keywords: frozenset[str]

    @functools.cached_property
    def call_pattern(self) -> re.Pattern[str]:
        """Finds the beginning of a call that loads a model, however the code gets hold of what it calls."""
        names = rf"\b(?:{self._any})"
        called = r"[\"']?(?:[ \t)\]]|\\\n){0,8}\("
        return re.compile(rf"\bpartial\(\s{{0,8}}[A-Za-z0-9_.]{{0,64}}?{names}\s{{0,8}},|{names}{called}")

    @functools.cached_property
    def alias_pattern(self) -> re.Pattern[str]:
        """Finds another name that code gives to such a call."""
        names, name = rf"\b(?:{self._any})", r"([A-Za-z_][A-Za-z0-9_]{0,63})"
        given = rf"{name}[ \t]{{0,8}}=[ \t]{{0,8}}[A-Za-z0-9_.]{{0,64}}?{names}[ \t]{{0,8}}(?=[\n;#]|$)"
        return re.compile(rf"{names}\s{{1,8}}as\s{{1,8}}{name}|{given}")

    @functools.cached_property
    def _any(self) -> str:
        return "|".join(map(re.escape, self.calls + self.tasks))


def code_from(fields: strictjson.Fields) -> Code:
    """Read the rows.

    Raises:
        FormatError: One is no list of texts.
    """
    return Code(
        calls=tuple(texts_of(fields, "code_calls")),
        tasks=tuple(texts_of(fields, "code_tasks")),
        keywords=frozenset(spelled_texts(fields, "code_keywords", flag_name)),
    )
