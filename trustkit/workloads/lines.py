"""One simple command, word by word: its flags, positional words, assignments, and what cannot be read.

Each reader below is one rule of the table and nothing else; a word they do not
understand is left to `addresses` and to the walk over every string.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from trustkit.workloads.addresses import read_addresses
from trustkit.workloads.flags import note_open, read_flags
from trustkit.workloads.grammar import is_service, named
from trustkit.workloads.line import Line, Word
from trustkit.workloads.own import own_program, starts_itself
from trustkit.workloads.rows import Command, flag_name
from trustkit.workloads.strange import leads_elsewhere, read_strange
from trustkit.workloads.table import Table
from trustkit.workloads.unread import is_fed

_LONGEST = 64
"""Longest flag that is remembered (characters); no server has a longer one."""
_REMEMBERED = 4096
"""Flags that are remembered."""
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")


def read_line(line: Line) -> None:
    """Note every model that one simple command names, and every place where it may name one."""
    line.notes.spend(len(line.words))
    line.notes.serves = line.notes.serves or line.starts_server()
    taken = read_flags(line)
    _read_positional(line, taken)
    _read_assignments(line)
    read_addresses(line, taken)
    read_strange(line, taken)
    _read_unknown(line, taken)


def _read_positional(line: Line, taken: set[int]) -> None:
    rows = line.notes.table.commands_by_program
    if rows.keys().isdisjoint(line.programs):
        return
    for index in range(own_program(line), len(line.programs)):
        for command in rows.get(line.programs[index], ()):  # those of more words first
            start = _start(line, command, index)
            if start is None:
                continue
            for candidate in _positional(line, start, command, taken):
                _read_candidate(candidate, command.scheme, line, " ".join(command.words))
            break


def _start(line: Line, command: Command, index: int) -> int | None:
    """Position after a program's words, the first of them at *index*; flags with values may stand between."""
    at = index + 1
    for wanted in command.words[1:]:
        flagged = False
        while at < len(line.words) and line.words[at].text != wanted:
            is_flag = _is_flag(line.words[at].text)
            if not (is_flag or flagged):
                return None
            flagged = is_flag and "=" not in line.words[at].text
            at += 1
        if at >= len(line.words):
            return None
        at += 1
    if command.flag and not _is_beside(command.flag, line.words[index + 1 :]):
        return None
    return at


def _is_beside(flag: str, words: list[Word]) -> bool:
    """Say whether a flag that starts so is among the words, or may be."""
    return any(
        word.loose or word.may_be_flag or flag_name(word.text.partition("=")[0]).startswith(flag)
        for word in words
    )


def _positional(line: Line, start: int, command: Command, taken: set[int]) -> list[Word]:
    """The words that may be the n-th positional one: what surely is, and before it what a flag may not take.

    A program refuses a second model, or does not read it; so what stands behind the sure one is none.
    """
    sure: list[Word] = []
    perhaps: list[Word] = []
    values: list[Word] = []
    for word, takes in _words(line, start, command, taken):
        if takes is False:
            sure.append(word)
            if len(sure) > command.positional:
                break
        elif len(sure) < command.positional:
            (values if takes else perhaps).append(word)
    if len(sure) < command.positional:
        # Where nothing else names a model, a flag that takes a value elsewhere may be a switch of this one.
        alone = [] if taken else [word for word in values if _looks_like_model(word, line.notes.table)]
        return [*_perhaps(perhaps, command, line), *alone]
    first = sure[command.positional - 1]
    if start > 0 and not line.words[start - 1].path and _is_bare(first, line.notes.table):
        again = first.text in command.words
        other = not again or first.text != command.words[-1]  # "vllm bench" is no "vllm serve"
        if other and first is line.words[start] and starts_itself(line, start):
            return []  # the image's own program takes one word: these are another program and its words
        if again:
            return _repeated(first, sure, command, line)
    return [*_perhaps(perhaps, command, line), first]


def _words(line: Line, start: int, command: Command, taken: set[int]) -> Iterator[tuple[Word, bool | None]]:
    """The words that are no flags, and whether the flag before each takes it."""
    ended = False
    for index in range(start, len(line.words)):
        word = line.words[index]
        if not ended and _is_flag(word.text):
            ended = word.text == "--"
        elif index not in taken:
            before = line.words[index - 1]
            takes = index > start and not ended and _takes_value(before, line.notes.table, command.words[0])
            yield word, takes


def _repeated(first: Word, sure: list[Word], command: Command, line: Line) -> list[Word]:
    """``args: [serve, org/name]`` where the image starts ``vllm serve``: what is behind may be the model."""
    program, again = " ".join(command.words), first.text[:64]
    why = f"the image starts {program!r} itself, and {again!r} is said again"
    line.notes.unresolved(first.path, again, f"{why}; leave it out, or give the command")
    return [word for word in sure if word.text not in command.words]


def _perhaps(words: list[Word], command: Command, line: Line) -> list[Word]:
    """What stands behind flags that nobody knows: what looks like a model; anything else is unresolved."""
    found = []
    for word in words:
        if _looks_like_model(word, line.notes.table):
            found.append(word)
        elif line.strict and not _is_setting(word.text, line.notes.table):
            line.notes.unresolved(
                word.path,
                word.text,
                f"{word.text[:64]!r} may be the model of {' '.join(command.words)}, or the value of the flag "
                "before it; write --flag=value, or the model first",
            )
    return found


def _is_setting(text: str, table: Table) -> bool:
    """Say whether a word can hardly be a folder of a model: a number, ``true``, JSON."""
    number = text.replace(".", "", 1).isdecimal()
    return number or text.startswith(("{", "[")) or named(text, table) is None


def _is_bare(word: Word, table: Table) -> bool:
    found = named(word.text, table)
    return found is None or found.strength == "name"


def _is_flag(text: str) -> bool:
    """Say whether a program takes a word for a flag: neither a dash alone is one, nor a negative number."""
    return text[:1] == "-" and text != "-" and not text[1:].replace(".", "", 1).isdecimal()


def _takes_value(word: Word, table: Table, program: str = "") -> bool | None:
    """Say whether a word is a flag that takes the next word; a switch does not. None if nobody knows."""
    if not _is_flag(word.text) or "=" in word.text:
        return False
    return _known(word.text, table, program) if len(word.text) <= _LONGEST else None


@functools.lru_cache(_REMEMBERED)
def _known(flag: str, table: Table, program: str) -> bool | None:
    name = flag_name(flag)
    # One letter behind two dashes is the beginning of some longer flag.
    return None if len(name) == 1 and flag.startswith("--") else table.takes_value(name, program)


def _looks_like_model(word: Word, table: Table) -> bool:
    found = named(word.text, table)
    if found is None or is_service(found.reference, table):
        return bool(word.missing)
    return bool(word.missing) or found.strength in {"scheme", "hub", "image"}


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
    if not (line.in_shell or line.is_wrapped):
        return
    notes, table = line.notes, line.notes.table
    for word in line.words:
        name, equals, value = word.text.partition("=")
        if equals and notes.strict and leads_elsewhere(name, value, table):
            notes.unresolved(word.path, word.text, f"{name[:64]} leads a server to other weights")
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
    if line.server and notes.strict and not line.in_shell and is_fed(line):
        notes.unresolved(
            words[0].path, words[0].text, f"{words[0].text[:64]} starts a server with what it reads"
        )
    strict = line.is_script and notes.strict
    program = next((word for word in words if not _ASSIGNMENT.match(word.text)), None) if strict else None
    if program is not None and program.missing:
        notes.unresolved(program.path, program.text, f"a program depends on {program.missing[:64]}")
    if not (line.server or (taken and notes.strict)):
        return
    for index, word in enumerate(words):
        if not word.missing or index in taken:
            continue
        is_value = index > 0 and _takes_value(words[index - 1], notes.table) is not False
        if word.loose or (word.may_be_flag and not is_value):
            why = (
                f"{word.missing[:64]} may be any argument; put it in quotes, after a flag that takes a value"
            )
            notes.unresolved(word.path, word.text, why)
