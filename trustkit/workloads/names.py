"""What the variables of a script hold, as far as that is certain, and words with them put in.

    1. A variable of the container that the script never sets holds its value everywhere.
    2. One that the script sets exactly once, surely, and not by a command, holds that value after it.
    3. Every other one is unknown: set twice, in a loop or a branch, read from a file,
       kept by the shell itself, or behind a command that may set any of them.

The law of this file: no order of the text is believed beyond rule 2, because a
shell jumps (loops, functions, traps).
"""

from __future__ import annotations

import dataclasses
import re

from trustkit.workloads.fields import Builder, Field
from trustkit.workloads.pieces import Piece, ShellWord, plain
from trustkit.workloads.shell import Command, Script
from trustkit.workloads.values import MAX_STRING
from trustkit.workloads.variables import Variables

_SETS = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?=)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DECLARES = frozenset(("export", "readonly"))
_DECLARES_PERHAPS = frozenset(("declare", "local", "typeset"))
"""Not every shell knows them, nor everywhere."""
_HARMLESS_OPTIONS = frozenset(("-x", "-g", "-r", "-gx", "-xg", "-rx", "-p"))
_READS = frozenset(("read", "unset", "getopts"))
_SETS_ANY = frozenset((".", "source", "eval", "alias", "trap", "mapfile", "readarray", "let", "enable"))
_PASSES_ON = frozenset(("command", "builtin"))
_KEPT_BY_THE_SHELL = frozenset(
    (
        "_",
        "PWD",
        "OLDPWD",
        "RANDOM",
        "SRANDOM",
        "SECONDS",
        "LINENO",
        "UID",
        "EUID",
        "GROUPS",
        "PPID",
        "SHLVL",
        "IFS",
        "OPTIND",
        "OPTARG",
        "REPLY",
        "HISTCMD",
        "EPOCHSECONDS",
        "EPOCHREALTIME",
        "FUNCNAME",
        "PIPESTATUS",
        "DIRSTACK",
        "COLUMNS",
        "LINES",
        "HOSTTYPE",
        "MACHTYPE",
        "OSTYPE",
        "argv",
        "path",
        "status",
    )
)
_MAX_KEPT = 4 * MAX_STRING
"""Most characters that a script's own assignments may hold together."""


class Names:
    """The variables of one script."""

    def __init__(self, script: Script, variables: Variables, *, outer: Names | None = None) -> None:
        """Find out what a script sets.

        Args:
            script: Its commands.
            variables: What the container's own ``env`` defines.
            outer: Of the script that this one stands in; what that one sets is unknown here.
        """
        self._variables = variables
        self._outer = outer
        self._set: dict[str, tuple[int, str]] = {}
        self._unknown: set[str] = set()
        self._room = _MAX_KEPT
        self._any = variables.runs_code if outer is None else outer.any_set
        for index, command in enumerate(script.commands):
            self._take(command, index)
        for index, command in enumerate(script.commands):
            self._any = self._any or self._may_set_any(command, index)

    @property
    def any_set(self) -> bool:
        """Whether something may have set any of them."""
        return self._any

    def value_of(self, name: str, index: int) -> str | None:
        """Return what a variable surely holds where the command at *index* starts; None if not known."""
        if self._any or name in self._unknown or name in _KEPT_BY_THE_SHELL:
            return None
        if name in self._set:
            since, value = self._set[name]
            return value if index > since else None
        return self._variables.known.get(name) if self._outer is None else self._outer.inherited(name)

    def inherited(self, name: str) -> str | None:
        """Return what a variable holds in every script inside this one; None if that is unknown."""
        return None if name in self._set else self.value_of(name, 0)

    def fields(self, word: ShellWord, index: int) -> list[Field]:
        """Return the words that one word of the command at *index* becomes."""
        builder = Builder()
        for piece in word:
            self._put(piece, index, builder)
        return builder.close()

    def _put(self, piece: Piece, index: int, builder: Builder) -> None:
        if piece.kind == "text":
            builder.text(piece.text, splits=False)
        elif piece.kind == "unknown":
            builder.unknown(piece.text, loose=not piece.quoted or "@" in piece.text)
        else:
            self._put_variable(piece, index, builder)

    def _put_variable(self, piece: Piece, index: int, builder: Builder) -> None:
        value, bare = self.value_of(piece.name, index), piece.operator.removeprefix(":")
        word = [dataclasses.replace(inner, quoted=inner.quoted or piece.quoted) for inner in piece.word]
        if value is None:
            tame = piece.name in self._variables.tame and not (self._any or piece.name in self._unknown)
            default = self.fields(tuple(word), index) if bare in {"-", "="} else []
            builder.unknown(piece.text, loose=not (piece.quoted or tame), guess=default)
            return
        held = value != "" or not piece.operator.startswith(":")
        if bare == "+" if held else bare in {"-", "="}:
            for inner in word:
                self._put(inner, index, builder)
        elif bare != "+":
            builder.text(value, splits=not piece.quoted)

    def _take(self, command: Command, index: int) -> None:
        """Note what one command sets."""
        for word in command.words:
            self._unknown.update(piece.name for piece in word if piece.operator.endswith("="))
        words = list(command.words)
        while words and _target(words[0]):
            words.pop(0)
        for word in command.words[: len(command.words) - len(words)]:
            self._assign(word, index, sure=command.certain and not words)
            self._any = self._any or (_target(word) == "IFS" and not words)
        words = _without_prefixes(words)
        program = plain(words[0]) if words else ""
        if program in _DECLARES | _DECLARES_PERHAPS:
            for word in words[1:]:
                self._declare(word, index, sure=command.certain and program in _DECLARES)
        elif program in {"for", "select"}:
            self._lose(words[1:2])
        elif program in _READS:
            self._lose(words[1:])
        elif program == "printf":
            self._any = self._any or any(_text(word).startswith("-v") for word in words[1:])
        self._any = self._any or program in _SETS_ANY

    def _declare(self, word: ShellWord, index: int, *, sure: bool) -> None:
        if _target(word):
            self._assign(word, index, sure=sure)
            return
        text = _text(word)
        if text.startswith("-"):
            self._any = self._any or text not in _HARMLESS_OPTIONS
        elif "=" in text or not _NAME.fullmatch(text):
            self._lose([word])

    def _assign(self, word: ShellWord, index: int, *, sure: bool) -> None:
        name, rest = _target(word), word[0].text.partition("=")[2]
        pieces = (Piece("text", rest), *word[1:])
        found = self.fields(tuple(dataclasses.replace(piece, quoted=True) for piece in pieces), index)
        value = found[0].text if len(found) == 1 and not found[0].missing else None
        again = name in self._set or name in self._unknown
        if again or not sure or value is None or len(value) > self._room or "+=" in word[0].text:
            self._set.pop(name, None)
            self._unknown.add(name)
        else:
            self._room -= len(value)
            self._set[name] = (index, value)

    def _lose(self, words: list[ShellWord]) -> None:
        """Some command sets the variables that these words name."""
        for word in words:
            text = _text(word)
            name = _NAME.match(text)
            if name is not None:
                self._set.pop(name[0], None)
                self._unknown.add(name[0])
            self._any = self._any or any(piece.kind != "text" for piece in word)

    def _may_set_any(self, command: Command, index: int) -> bool:
        """Say whether a program that a variable or quotes spell may be one that sets variables."""
        words = [word for word in command.words if not _target(word)]
        words = _without_prefixes(words)
        if not words or plain(words[0]):
            return False
        fields = [field for word in words[:2] for field in self.fields(word, index)]
        if not fields:
            return True
        program = fields[0]
        if program.missing:
            return program.loose or "/" not in program.text
        return program.text in _SETS_ANY | _READS | _DECLARES | _DECLARES_PERHAPS | _PASSES_ON | {"printf"}


def _target(word: ShellWord) -> str:
    """Return the name that a word assigns to, or ``""``."""
    first = word[0]
    if first.kind != "text" or first.quoted:
        return ""
    sets = _SETS.match(first.text)
    if sets is not None:
        return sets[1]
    element = len(word) > 1 and word[1].text == "[" and _NAME.fullmatch(first.text)
    return first.text if element else ""


def _text(word: ShellWord) -> str:
    return "".join(piece.text for piece in word)


def _without_prefixes(words: list[ShellWord]) -> list[ShellWord]:
    while words and plain(words[0]) in _PASSES_ON:
        words = words[1:]
    return words
