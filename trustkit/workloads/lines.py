"""One simple command, word by word: its flags, positional words, assignments, and what cannot be read.

Each reader below is one rule of the table and nothing else; a word they do not
understand is left to `addresses` and to the walk over every string.
"""

from __future__ import annotations

import re

from trustkit.workloads.addresses import read_addresses
from trustkit.workloads.flags import note_open, read_flags
from trustkit.workloads.grammar import named
from trustkit.workloads.line import Line, Word
from trustkit.workloads.rows import Command, flag_name
from trustkit.workloads.table import Table

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")


def read_line(line: Line) -> None:
    """Note every model that one simple command names, and every place where it may name one."""
    line.notes.spend(len(line.words))
    line.notes.serves = line.notes.serves or line.starts_server()
    taken = read_flags(line)
    _read_positional(line, taken)
    _read_assignments(line)
    read_addresses(line, taken)
    _read_unknown(line, taken)


def _read_positional(line: Line, taken: set[int]) -> None:
    rows = line.notes.table.commands_by_program
    if rows.keys().isdisjoint(line.programs):
        return
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
        brought = start > 0 and not line.words[start - 1].path
        if brought and len(sure) > position and _is_bare(sure[position - 1], line.notes.table):
            return None  # the image's own program takes one word: these are another program and its words
        return sure[position - 1]
    return next((word for word in loose if _looks_like_model(word, line.notes.table)), None)


def _is_bare(word: Word, table: Table) -> bool:
    found = named(word.text, table)
    return found is None or found.strength == "name"


def _takes_value(word: Word, table: Table) -> bool:
    """Say whether a word is a flag that may take the next word; a switch does not."""
    if not word.text.startswith("-") or "=" in word.text:
        return False
    return not table.is_switch(flag_name(word.text))


def _looks_like_model(word: Word, table: Table) -> bool:
    found = named(word.text, table)
    return bool(word.missing) or (found is not None and found.strength in {"scheme", "hub"})


def _read_candidate(word: Word, scheme: str | None, line: Line, program: str) -> None:
    if word.missing:
        line.notes.unresolved(word.path, word.text, f"what {program} reads depends on {word.missing[:64]}")
        if not word.guess:
            note_open(word, line)
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
        if not equals or not (name in table.variables.value or name.endswith(table.variables.suffixes)):
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
    strict = line.is_script and notes.strict
    program = next((word for word in words if not _ASSIGNMENT.match(word.text)), None) if strict else None
    if program is not None and program.missing:
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
