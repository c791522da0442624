"""One simple command, word by word: flags, positional words, assignments, and what cannot be read.

Each reader below is one rule of the table and nothing else; a word they do not
understand is left to `addresses` and to the walk over every string.
"""

from __future__ import annotations

import re

from trustkit.workloads import embedded
from trustkit.workloads.addresses import read_addresses
from trustkit.workloads.grammar import Named, cleaned, named
from trustkit.workloads.line import Line, Word, basename
from trustkit.workloads.table import Command, Table
from trustkit.workloads.values import Confidence

_FLAG = re.compile(r"--?[A-Za-z]|[A-Za-z][A-Za-z0-9_.-]*=")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_SHORTEST = 3
"""Shortest form of a long flag that a program of Python is taken to complete (characters)."""


def read_line(line: Line) -> None:
    """Note every model that one simple command names, and every place where it may name one."""
    line.notes.spend(len(line.words))
    line.notes.serves = line.notes.serves or line.starts_server()
    taken = _read_flags(line)
    _read_positional(line, taken)
    _read_assignments(line)
    read_addresses(line, taken)
    _read_unknown(line, taken)


def _read_flags(line: Line) -> set[int]:
    """Note the values of model flags; return the positions of words that belong to flags."""
    taken: set[int] = set()
    short = _short_flags(line)
    for index, word in enumerate(line.words):
        if index in taken or not word.path or not _FLAG.match(word.text):
            continue
        flag, equals, value = word.text.partition("=")
        name = _name(flag)
        dashed = flag.startswith("-")
        config = dashed and name not in line.notes.table.model_flags and _is_config_flag(name, line)
        single = dashed and not flag.startswith("--") and name in short
        if not (config or single or _is_model_flag(name, line)) or (not dashed and "/" not in value):
            continue
        taken.add(index)
        values = (
            [Word(value, word.path, word.missing, guess=word.guess)]
            if equals
            else _following(line, index, name)
        )
        taken.update(range(index + 1, index + 1 + (0 if equals else len(values))))
        if config:
            line.notes.unresolved(
                word.path, word.text, f"{flag[:64]} names a file of options, which may name a model"
            )
            continue
        for found in values:
            _read_value(found, name, line)
    return taken


def _name(flag: str) -> str:
    return flag.lstrip("-").lower().replace("_", "-")


def _short_flags(line: Line) -> frozenset[str]:
    table = line.notes.table.short_flags
    return frozenset().union(*(table[name] for name in line.programs if name in table))


def _is_config_flag(name: str, line: Line) -> bool:
    return (line.server or line.notes.serves) and _is_one_of(
        name, line.notes.table.config_flags, completed=True
    )


def _is_model_flag(name: str, line: Line) -> bool:
    flags = line.notes.table.model_flags
    return _is_one_of(name, flags, completed=line.server) or name.rsplit(".", 1)[-1] in flags


def _is_one_of(name: str, flags: frozenset[str], *, completed: bool) -> bool:
    """Compare as programs do: those of Python complete a flag from its first letters."""
    if name in flags or not completed or len(name) < _SHORTEST:
        return name in flags
    return any(flag.startswith(name) for flag in flags)


def _following(line: Line, index: int, name: str) -> list[Word]:
    """The words that belong to a flag: one, or all up to the next flag where it takes a list."""
    values: list[Word] = []
    for word in line.words[index + 1 :]:
        # A server takes the word after such a flag, whatever it looks like.
        if word.text.startswith("-") and (values or not line.server):
            break
        values.append(word)
        if name not in line.notes.table.pair_flags:
            break
    return values


def _read_value(word: Word, name: str, line: Line) -> None:
    notes, table = line.notes, line.notes.table
    text = cleaned(word.text)
    if word.missing:
        why = f"--{name[:64]} depends on {word.missing[:64]}, which this object does not define"
        notes.unresolved(word.path, text, why)
        if not word.guess:
            return
    if text.startswith(("{", "[")):
        embedded.read(text, word.path, notes, how="argument", reason=f"JSON of --{name}")
        return
    parts = re.split(r"[,;\s]+", text) if name in table.pair_flags else [text]
    for part in parts:
        left, equals, right = part.partition("=")
        value = right if equals and "/" not in left and ":" not in left else part
        scheme = "ollama" if _program(line) == "ollama" else None
        found = named(value, table, scheme=scheme, strict=line.strict)
        if found is not None:
            notes.add(
                word.path,
                found,
                how="argument",
                confidence=_sureness(found, line),
                reason=f"value of --{name[:64]}",
            )


def _program(line: Line) -> str:
    return basename(line.words[0].text) if line.words else ""


def _sureness(found: Named, line: Line) -> Confidence:
    """A bare word is a model only where a server reads it; clients name served models the same way."""
    return "certain" if found.strength != "name" or line.strict else "possible"


def _read_positional(line: Line, taken: set[int]) -> None:
    rows = line.notes.table.commands_by_program
    started = [command for name in dict.fromkeys(line.programs) for command in rows.get(name, ())]
    for command in sorted(started, key=_longest_first):
        start = _start(line, command.words)
        if start is None:
            continue
        candidate = _positional(line, start, command.positional, taken)
        if candidate is not None:
            _read_candidate(candidate, command.scheme, line, " ".join(command.words))
        return


def _longest_first(command: Command) -> int:
    return -len(command.words)


def _start(line: Line, program: tuple[str, ...]) -> int | None:
    """Position after a program's words, the first compared without its folder."""
    for index, name in enumerate(line.programs):
        rest = tuple(word.text for word in line.words[index + 1 : index + len(program)])
        if name == program[0] and rest == program[1:]:
            return index + len(program)
    return None


def _positional(line: Line, start: int, position: int, taken: set[int]) -> Word | None:
    """The n-th positional word: one that is surely no flag's value, else one that looks like a model."""
    loose: list[Word] = []
    sure: list[Word] = []
    for index in range(start, len(line.words)):
        word = line.words[index]
        if word.text.startswith("-") or index in taken:
            continue
        (loose if index > start and _takes_value(line.words[index - 1], line.notes.table) else sure).append(
            word
        )
    if len(sure) >= position:
        return sure[position - 1]
    return next((word for word in loose if _looks_like_model(word, line.notes.table)), None)


def _takes_value(word: Word, table: Table) -> bool:
    """Say whether a word is a flag that may take the next word; a switch does not."""
    if not word.text.startswith("-") or "=" in word.text:
        return False
    return not table.is_switch(_name(word.text))


def _looks_like_model(word: Word, table: Table) -> bool:
    found = named(word.text, table)
    return bool(word.missing) or (found is not None and found.strength in {"scheme", "hub"})


def _read_candidate(word: Word, scheme: str | None, line: Line, program: str) -> None:
    if word.missing:
        line.notes.unresolved(word.path, word.text, f"what {program} reads depends on {word.missing[:64]}")
        if not word.guess:
            return
    found = named(word.text, line.notes.table, scheme=scheme, strict=True)
    if found is not None and word.path:
        line.notes.add(
            word.path, found, how="argument", confidence="certain", reason=f"argument of {program}"
        )


def _read_assignments(line: Line) -> None:
    """``MODEL_ID=org/name program``: what a script sets counts like the container's own variables."""
    if not line.in_shell:
        return
    notes, table = line.notes, line.notes.table
    for word in line.words:
        name, equals, value = word.text.partition("=")
        if not equals or not (name in table.value_variables or name.endswith(table.variable_suffixes)):
            continue
        if word.missing and notes.strict:
            notes.unresolved(word.path, word.text, f"the script sets {name[:64]} to what is not known here")
        found = None if word.missing and not word.guess else named(value, table)
        if found is not None and (found.strength != "name" or notes.serves):
            notes.add(
                word.path, found, how="argument", confidence="certain", reason=f"the script sets {name[:64]}"
            )


def _read_unknown(line: Line, taken: set[int]) -> None:
    """What may be any program, or any argument of a server, may name any model."""
    notes, words = line.notes, line.words
    if line.in_shell and not line.is_script:
        return
    program = next((word for word in words if not _ASSIGNMENT.match(word.text)), None)
    if line.is_script and notes.strict and program is not None and program.missing:
        notes.unresolved(program.path, program.text, f"a program depends on {program.missing[:64]}")
    if not (line.server or (taken and notes.strict)):
        return
    for index, word in enumerate(words):
        if not word.missing or index in taken:
            continue
        is_value = index > 0 and _takes_value(words[index - 1], notes.table)
        if word.loose or (word.may_be_flag and not is_value):
            why = (
                f"{word.missing[:64]} may be any argument; put it in quotes, after a flag that takes a value"
            )
            notes.unresolved(word.path, word.text, why)
