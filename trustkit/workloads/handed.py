"""Calls of the table that code does not make itself but hands on: ``map(LLM, names)``, ``f = g = LLM``.

The law of this file: a name of such a call that stands in code, and is neither called nor
imported nor defined there, nor only says of what kind something is, may be called anywhere.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from trustkit.workloads.called import Aliases
from trustkit.workloads.code_rows import Code
from trustkit.workloads.expressions import Token

_MOST = 256
"""Names of one text that are looked at."""
_FARTHEST = 256
"""How far back the beginning of a statement is looked for (tokens)."""
_ASKS = frozenset(("isinstance", "issubclass", "hasattr", "cast", "TypeVar", "NewType", "type"))
"""Calls that ask of what kind something is."""
_BY_TEXT = frozenset(("getattr", "attrgetter", "methodcaller", "__getattribute__"))
"""Calls that get hold of something by its name."""
_COMPOUND = frozenset(
    ("if", "elif", "else", "for", "while", "with", "try", "lambda", "class", "match", "case")
)
_SEPARATORS = frozenset((",", "=", ":", "->"))
_PAIRED = {")": "(", "]": "[", "}": "{"}
_TOO_MANY = "..."


class Context(NamedTuple):
    """Where a name stands: how its statement starts, what separates it, and the bracket around it."""

    start: int
    separator: str
    bracket: str
    called: str


def handed_on(
    tokens: list[Token], spans: list[tuple[int, int]], aliases: Aliases, code: Code
) -> Iterator[str]:
    """Yield the names of calls that load a model and are handed on, as they stand there.

    Args:
        tokens: Of the text, untrusted, without ends of lines inside of brackets.
        spans: Where calls of the table start, in order, and where their arguments do.
        aliases: What its names stand for.
        code: The rows.
    """
    starts = [start for start, _ in spans]
    for number, index in enumerate(islice(_candidates(tokens, aliases, code), _MOST + 1)):
        token = tokens[index]
        at = bisect_right(starts, token.start + len(token.source) - 1) - 1
        if at >= 0 and token.start < spans[at][1]:
            continue  # it is part of a call that is read
        if number == _MOST:
            yield _TOO_MANY
        elif not _is_harmless(tokens, index, aliases):
            yield token.source


def _candidates(tokens: list[Token], aliases: Aliases, code: Code) -> Iterator[int]:
    for index, token in enumerate(tokens):
        if token.kind == "word":
            names = token.source.split(".")
            row = aliases.row(token.source)
            if not code.names.isdisjoint(names) or (row and row not in code.programs):
                yield index
        elif token.kind == "text":
            name = token.source.strip("\"'")
            if code.loads(name):
                yield index


def _is_harmless(tokens: list[Token], index: int, aliases: Aliases) -> bool:
    """Say whether a name is only imported, defined, called, or says of what kind something is."""
    token, context = tokens[index], context_of(tokens, index)
    after = tokens[index + 1].source if index + 1 < len(tokens) else "\n"
    if token.kind == "text":
        name = token.source.strip("\"'")
        return after == ":" or not (
            context.called in _BY_TEXT
            or ("_" in name and context.called not in _ASKS and name in aliases.methods)
        )
    before = tokens[index - 1].source if index else "\n"
    head = tokens[context.start].source
    name = token.source.rpartition(".")[2]
    if head in {"import", "from"} or before in {"def", "class"} or after == "=" or context.called in _ASKS:
        return True
    if name in aliases.defined and name not in aliases.names and not aliases.star:
        return True
    if before == "=" and after in {"\n", ";"} and index - 2 == context.start:
        return tokens[context.start].source in aliases.names  # which is read under that name
    is_parameter = context.bracket == "(" and head in {"def", "async"}
    is_declared = not context.bracket and head not in _COMPOUND
    return context.separator == "->" or (context.separator == ":" and (is_parameter or is_declared))


def context_of(tokens: list[Token], index: int) -> Context:
    """Return where a token of a text stands, as far as that is near."""
    closed, separator, bracket, called = 0, "", "", ""
    at = index - 1
    for at in range(index - 1, max(-1, index - _FARTHEST), -1):
        source = tokens[at].source
        if tokens[at].kind == "text":
            continue
        if source in _PAIRED:
            closed += 1
        elif source in {"(", "[", "{"}:
            if closed:
                closed -= 1
            elif not bracket:
                # A kind may be made of kinds: `list[LLM]`.
                separator = "" if source == "[" else separator or source
                bracket = "" if source == "[" else source
                called = called or (tokens[at - 1].source.rpartition(".")[2] if at else "")
        elif source in {"\n", ";"} and not closed:
            return Context(at + 1, separator, bracket, called)
        elif not closed and not bracket and source in _SEPARATORS:
            separator = separator or source
    return Context(max(0, at), separator, bracket, called)
