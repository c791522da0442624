"""How names of a text of code are given something: plainly, or in a way that is not followed.

The law of this file: a name is given something plainly by ``name = value`` at the start
of a statement, and by nothing else. Every other way that the language has counts as
one that is not followed: loops, imports, parameters, patterns, several names at once,
and whatever reaches names by their texts. One pass over the tokens, linear.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable
from typing import NamedTuple

from trustkit.workloads.expressions import Token

_OFTEN = 4096
"""Tokens between two looks at the clock."""
_NUMBER = re.compile(r"0[xX][0-9a-fA-F_]+|0[oObB][0-7_]+|[0-9_.]+(?:[eE][0-9_]*)?[jJ]?")
_REACH_NAMES = frozenset(
    ("globals", "locals", "vars", "setattr", "exec", "eval", "compile", "builtins", "__builtins__")
) | {"__import__", "import_module", "__main__", "runpy"}
"""What code gives a name something with, and does not write it."""
_REACH_BY_DOTS = frozenset(
    ("__dict__", "__globals__", "f_globals", "f_locals", "_getframe", "__main__", "import_module")
) | {"__setattr__", "__builtins__", "builtins", "sys.modules"}
_COMPOUND = frozenset(("if", "elif", "else", "for", "while", "try", "except", "finally", "with")) | {
    "class",
    "def",
    "match",
    "case",
}
"""Words that start a statement which holds others behind a colon."""
_LISTS = frozenset(("import", "from", "del", "global", "nonlocal", "case"))
"""Words that start a statement in which every name may be given something."""
_NAMES_ONE = frozenset(("def", "class", "type"))
_JOINED = frozenset(("for", "if", "else", "in", "and", "or", "as", "is", "not", "lambda"))
_OWN = ("self.", "cls.")
"""What a member belongs to that surely is no name of the text itself."""
_COMPARES = frozenset("<>!")
_HOLE = re.compile(r"\{\{|\}\}|\{(?:[^{}'\"\\:]|'[^'\"{}\\]*'|\"[^'\"{}\\]*\")*(?::[^{}'\"\\=()]*)?\}")
"""A part of a text that is code, as far as it surely ends where it seems to."""
_OPENED_BY = {")": "(", "]": "[", "}": "{"}
_END = Token("mark", "\n", -1)


class Bindings(NamedTuple):
    """What a text gives to names.

    Attributes:
        plain: Where each name is given a value plainly: where that value starts.
        others: Where calls and parameters give a value to something that is called like it.
        open: Names that are given something in a way that is not followed.
        anything: Whether any name may be.
    """

    plain: dict[str, list[int]]
    others: dict[str, list[int]]
    open: set[str]
    anything: bool


def bindings_of(tokens: list[Token], check: Callable[[], None]) -> Bindings:
    """Say what a text gives to names.

    Args:
        tokens: Of the text, untrusted.
        check: Asked again and again; raises once the time is over.
    """
    reader = _Reader(tokens)
    for index in range(len(tokens)):
        if index % _OFTEN == 0:
            check()
        reader.take(index)
    if reader.frames:
        reader.anything = True  # it ends inside of something, so it was not understood
    return Bindings(reader.plain, reader.others, reader.open, reader.anything)


class _Reader:
    """One pass: which brackets are open, and how the statement starts."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self.plain: dict[str, list[int]] = {}
        self.others: dict[str, list[int]] = {}
        self.open: set[str] = set()
        self.anything = False
        self.frames: list[str] = []
        """Open brackets: ``params`` of a function, ``call`` or a part, ``display``; and ``lambda``."""
        self._inside = 0
        """How many of them are no displays."""
        self._end_statement(0)

    def _push(self, frame: str) -> None:
        self.frames.append(frame)
        self._inside += not frame.startswith("display")

    def _pop(self) -> str:
        frame = self.frames.pop()
        self._inside -= not frame.startswith("display")
        return frame

    def _end_statement(self, index: int) -> None:
        self._first, self._head = index, ""
        self._until = -1
        """How many brackets are open where names end that a loop, or an `as`, gives something to."""
        self._loop = False
        self._targets: list[str] = []
        self._assigned = False

    def take(self, index: int) -> None:
        """Read one token."""
        token = self._tokens[index]
        if token.kind == "word":
            self._word(index, token.source)
        elif token.kind == "text":
            self._text(token.source)
        elif token.kind == "marks":
            if ":" in token.source:
                self._colon(index)
        else:
            self._mark(index, token.source)

    def _mark(self, index: int, source: str) -> None:
        if source in {"(", "[", "{"}:
            self._open_bracket(index)
        elif source in _OPENED_BY:
            self._close_bracket(source)
        elif source == "=":
            self._equals(index)
        elif source in {"\n", ";"}:
            if not self.frames or self.frames[-1] == "lambda":
                self.frames.clear()
                self._inside = 0
                self._end_statement(index + 1)
        elif source in {'"', "'"}:
            self.anything = True  # a text that does not end
        elif source == "*" and self._head in {"import", "from"}:
            self.anything = True

    def _text(self, source: str) -> None:
        """A text with code in it must end where it seems to, and give nothing to a name."""
        quoted = source.lstrip("fFrRbBuUtT")
        prefix = source[: len(source) - len(quoted)].lower()
        if ("f" in prefix or "t" in prefix) and "{" in _HOLE.sub("", source):
            self.anything = True

    def _open_bracket(self, index: int) -> None:
        before = self._tokens[index - 1] if index > self._first else _END
        joined = before.source in {")", "]", "}"} or before.kind == "text"
        joined = joined or (before.kind == "word" and not keyword.iskeyword(before.source))
        kind = "call" if joined else "display"
        if self._head == "def" and not self.frames:
            kind = "params"
        self._push(kind + self._tokens[index].source)

    def _close_bracket(self, source: str) -> None:
        while self.frames and self.frames[-1] == "lambda":
            self._pop()
        if not self.frames or self._pop()[-1] != _OPENED_BY[source]:
            self.anything = True
        if self._until >= 0 and not self._loop and len(self.frames) <= self._until:
            self._until = -1

    def _colon(self, index: int) -> None:
        if self.frames and self.frames[-1] == "lambda":
            self._pop()
        elif not self.frames and self._head in _COMPOUND:
            self._end_statement(index + 1)

    def _word(self, index: int, source: str) -> None:
        bare = source.lstrip(".")
        if bare[:1].isdigit() and not _NUMBER.fullmatch(bare):
            self.anything = True  # a number and a word without a blank between them
        if source in _REACH_NAMES or (
            "." in source and (source == "sys.modules" or not _REACH_BY_DOTS.isdisjoint(source.split(".")))
        ):
            self.anything = True
        if keyword.iskeyword(bare) or (index == self._first and bare in {"case", "type", "match"}):
            self.anything = self.anything or (source != bare and bare in _JOINED)
            self._keyword(index, bare)
            return
        name = self._target(source)
        if name and self._binds(index):
            self.open.add(name)
        elif name and not self._inside:
            self._targets.append(name)
        if self._until >= 0 and not self._loop and len(self.frames) == self._until:
            self._until = -1

    def _target(self, source: str) -> str:
        """The name that a word gives something to where it is a target."""
        if self._head in {"import", "from"}:
            return source.partition(".")[0]
        owner, dot, name = source.rpartition(".")
        return "" if dot and f"{owner}." in _OWN else name

    def _keyword(self, index: int, word: str) -> None:
        if index == self._first:
            if word == "async":
                self._first = index + 1
            self._head = word
        if word == "lambda":
            self._push("lambda")
        elif word in {"for", "as"}:
            self._until, self._loop = len(self.frames), word == "for"
        elif word == "in" and self._loop and len(self.frames) == self._until:
            self._until, self._loop = -1, False

    def _binds(self, index: int) -> bool:
        """Say whether a name is given something here in a way that is not followed."""
        before = self._tokens[index - 1].source if index > self._first else ""
        frame = self.frames[-1] if self.frames else ""
        if self._until >= 0 or self._head in _LISTS or before in _NAMES_ONE:
            return True
        if frame.startswith("params") or frame == "lambda":
            return before in {"(", "[", ",", "*", "lambda"}
        after = self._tokens[index + 1 : index + 3]
        return len(after) > 1 and after[0].source == ":" and _touch(after[0], after[1], "=")

    def _equals(self, index: int) -> None:
        token = self._tokens[index]
        before = self._tokens[index - 1] if index else _END
        after = self._tokens[index + 1] if index + 1 < len(self._tokens) else _END
        compares = before.source in _COMPARES or before.source == "="
        if (compares and _touch(before, token, "=")) or _touch(token, after, "="):
            return
        name = before.source if before.kind == "word" else ""
        if self.frames:
            if name:
                self.others.setdefault(name, []).append(token.start + 1)
            return
        first = self._tokens[self._first]
        alone = self._targets[:1] == [first.source] and not self._assigned and first.kind == "word"
        noted = self._tokens[self._first + 1]
        if alone and (noted is token or noted.source == ":"):
            self.plain.setdefault(first.source, []).append(token.start + 1)
            self._targets = []
        elif name:
            self.others.setdefault(name, []).append(token.start + 1)
        self.open.update(self._targets)
        self._targets, self._assigned = [], True


def _touch(one: Token, other: Token, source: str) -> bool:
    """Say whether a token stands right behind another one, and is what is looked for."""
    return other.source == source and one.start + len(one.source) == other.start
