"""Calls in code that load a model: which argument names it, and what that argument holds.

The law of this file: code is never run, and only the plainest is followed: a literal, a
variable of the container, a name that the same text gives one of them. What else a call
loads in a container is unresolved, and the texts in it are noted all the same.
Which calls there are is in `called`, what their arguments say in `judged`.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right

from trustkit.workloads.called import Aliases, calls_of
from trustkit.workloads.expressions import Token
from trustkit.workloads.given import Given
from trustkit.workloads.handed import context_of, handed_on
from trustkit.workloads.judged import Judge
from trustkit.workloads.line import Line, Word
from trustkit.workloads.started import read_started

_MOST_CALLS = 64
"""Calls of one text that are read."""
_DEFINES = re.compile(r"\b(?:def|class)\s{1,8}$")
_PLAIN = re.compile(r"[A-Za-z0-9_]")
_LONGEST_MARK = 256
_BREAKS = frozenset(("\n", ";", ":"))
_TELLS = frozenset(("print", "debug", "info", "warning", "error", "critical", "exception"))
"""Calls that only tell what they are given."""
_WHOLE = re.compile(r"import|exec\(|eval\(")
"""What every text of code holds that can load a model: parts of one say less than they mean."""


def read_calls(word: Word, line: Line, *, runs: bool) -> None:
    """Note what the calls of the table load in a text of code.

    Args:
        word: The text, untrusted.
        line: The command that it belongs to.
        runs: Whether a container runs it: then a call that cannot be read is unresolved.
    """
    notes, text = line.notes, word.text
    runs = runs and _WHOLE.search(text) is not None
    aliases = Aliases(text, notes)
    judge = Judge(word, line, aliases, runs=runs)
    spans: list[tuple[int, int]] = []
    for called in calls_of(text, aliases, notes):
        notes.check()
        if len(spans) >= _MOST_CALLS:
            notes.unresolved(word.path, "", f"more than {_MOST_CALLS} calls that load models")
            return
        spans.append((called.start, called.end))
        if called.row in notes.table.code.programs:
            if runs and not _is_said(judge.given, called.start):
                read_started(judge.given.arguments(called.end), called.row, judge.given)
            continue
        if _DEFINES.search(text, max(0, called.start - 16), called.start) is not None:
            continue
        unread = judge.read(called)
        if unread is not None and runs and not _is_said(judge.given, called.start):
            shown = text[called.start : min(called.end, called.start + 64)]
            notes.unresolved(word.path, unread, f"{shown}...) loads a model, and which one is not known")
    if runs and not text.isascii() and any(map(_is_disguised, judge.given.tokens)):
        notes.unresolved(word.path, "", "names in the code are spelled with letters that are read as others")
    if runs and notes.table.code.any_pattern.search(text) is not None:
        for name in handed_on(judge.given.tokens, spans, aliases, notes.table.code):
            why = f"{name[:64]} loads models and is handed on, and what it loads is not known"
            notes.unresolved(word.path, name, why)


def _is_said(given: Given, at: int) -> bool:
    """Say whether a call is only spoken of: in a note, or in a text that is a statement of its own."""
    if given.bindings.anything:
        return False  # it is not sure what is code here
    tokens = given.tokens
    index = bisect_right(tokens, at, key=_start) - 1
    if index < 0 or at >= tokens[index].start + len(tokens[index].source):
        return True
    around = [tokens[near].source if 0 <= near < len(tokens) else "\n" for near in (index - 1, index + 1)]
    if tokens[index].kind != "text" or tokens[index].source[0] not in "\"'":
        return False
    told = context_of(tokens, index).called
    return told in _TELLS or told.endswith(("Error", "Exception")) or _BREAKS.issuperset(around)


def _is_disguised(token: Token) -> bool:
    """Say whether letters stand in code that the language takes for plain ones (names are read in NFKC)."""
    if token.kind != "marks" or token.source.isascii():
        return False
    plain = unicodedata.normalize("NFKC", token.source[:_LONGEST_MARK])
    return _PLAIN.search(plain) is not None or len(token.source) > _LONGEST_MARK


def _start(token: Token) -> int:
    return token.start
