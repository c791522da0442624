"""One simple command, word by word: flags, positional words, assignments, calls, addresses.

Each reader below is one rule of the table and nothing else; a word they do not
understand is left to the walk over every string.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from trustkit.workloads import embedded, shell
from trustkit.workloads.environment import Variables
from trustkit.workloads.grammar import Named, cleaned, ends_like_weights, from_scheme, named
from trustkit.workloads.notes import Notes
from trustkit.workloads.table import Command, Table
from trustkit.workloads.values import Confidence

_FLAG = re.compile(r"--?[A-Za-z]|[A-Za-z][A-Za-z0-9_.-]*=")
_PROGRAM_WORDS = 64
"""How far into a command its programs are looked for (words)."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command line: what the program sees, where it stands, what stayed unknown."""

    text: str
    path: str
    missing: tuple[str, ...] = ()


@dataclass(slots=True)
class Line:
    """One simple command of a container, with what is needed to read it."""

    words: list[Word]
    notes: Notes
    variables: Variables
    assigned: dict[str, str] = field(default_factory=dict)
    in_shell: bool = False
    server: bool = False
    programs: tuple[str, ...] = ()
    """The first words without their folders, among which the programs are."""

    def __post_init__(self) -> None:
        self.programs = tuple(basename(word.text) for word in self.words[:_PROGRAM_WORDS])


def basename(text: str) -> str:
    """Return a program's name without its folder."""
    return text.rsplit("/", 1)[-1]


def read_line(line: Line) -> None:
    """Note every model that one simple command names."""
    line.notes.spend(len(line.words))
    taken = _read_flags(line)
    _read_positional(line, taken)
    _read_assignments(line)
    _read_code(line)
    _read_addresses(line, taken)


def _read_flags(line: Line) -> set[int]:
    """Note the values of model flags; return the positions of words that belong to flags."""
    taken: set[int] = set()
    short = _short_flags(line)
    for index, word in enumerate(line.words):
        if index in taken or not word.path or not _FLAG.match(word.text):
            continue
        flag, equals, value = word.text.partition("=")
        dashed = flag.startswith("-")
        name = flag.lstrip("-").lower().replace("_", "-")
        single = dashed and not flag.startswith("--") and name in short
        if not (single or _is_model_flag(name, line.notes.table)) or (not dashed and "/" not in value):
            continue
        taken.add(index)
        values = (
            [Word(value, word.path, word.missing)]
            if equals
            else _following(line.words, index, name, line.notes.table)
        )
        taken.update(range(index + 1, index + 1 + (0 if equals else len(values))))
        for found in values:
            _read_value(found, name, line)
    return taken


def _short_flags(line: Line) -> frozenset[str]:
    table = line.notes.table.short_flags
    return frozenset().union(*(table[name] for name in line.programs if name in table))


def _is_model_flag(name: str, table: Table) -> bool:
    return name in table.model_flags or name.rsplit(".", 1)[-1] in table.model_flags


def _following(words: list[Word], index: int, name: str, table: Table) -> list[Word]:
    """The words that belong to a flag: one, or all up to the next flag where it takes a list."""
    values: list[Word] = []
    for word in words[index + 1 :]:
        if word.text.startswith("-"):
            break
        values.append(word)
        if name not in table.pair_flags:
            break
    return values


def _read_value(word: Word, name: str, line: Line) -> None:
    notes, table = line.notes, line.notes.table
    text = cleaned(word.text)
    if word.missing:
        why = f"--{name[:64]} depends on {word.missing[0][:64]}, which this object does not define"
        notes.unresolved(word.path, text, why)
        return
    if text.startswith(("{", "[")):
        embedded.read(text, word.path, notes, how="argument", reason=f"JSON of --{name}")
        return
    parts = re.split(r"[,;\s]+", text) if name in table.pair_flags else [text]
    for part in parts:
        left, equals, right = part.partition("=")
        value = right if equals and "/" not in left and ":" not in left else part
        found = named(value, table, scheme="ollama" if _program(line) == "ollama" else None)
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
    if found.strength != "name" or line.server or line.notes.expects:
        return "certain"
    return "possible"


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
        before = line.words[index - 1].text if index > start else ""
        after_flag = before.startswith("-") and "=" not in before
        (loose if after_flag else sure).append(word)
    if len(sure) >= position:
        return sure[position - 1]
    return next((word for word in loose if _looks_like_model(word, line.notes.table)), None)


def _looks_like_model(word: Word, table: Table) -> bool:
    found = named(word.text, table)
    return bool(word.missing) or (found is not None and found.strength in {"scheme", "hub"})


def _read_candidate(word: Word, scheme: str | None, line: Line, program: str) -> None:
    if word.missing:
        line.notes.unresolved(word.path, word.text, f"what {program} reads depends on {word.missing[0][:64]}")
        return
    found = named(word.text, line.notes.table, scheme=scheme)
    if found is not None and word.path:
        line.notes.add(
            word.path, found, how="argument", confidence="certain", reason=f"argument of {program}"
        )


def _read_assignments(line: Line) -> None:
    """``MODEL_ID=org/name program``: what a script sets counts like the container's own variables."""
    if not line.in_shell:
        return
    table = line.notes.table
    for word in line.words:
        name, equals, value = word.text.partition("=")
        if not equals or not (name in table.value_variables or name.endswith(table.variable_suffixes)):
            continue
        found = None if shell.is_unknown(value) else named(value, table)
        if found is not None and found.strength != "name":
            line.notes.add(
                word.path, found, how="argument", confidence="certain", reason=f"the script sets {name[:64]}"
            )


def _read_code(line: Line) -> None:
    """``python -c "...from_pretrained('org/name')"``: calls of the table whose argument names a model."""
    for word in line.words:
        for match in (
            line.notes.table.code_pattern.finditer(word.text) if word.path and "(" in word.text else ()
        ):
            found = named(match[1], line.notes.table)
            if found is not None:
                line.notes.add(
                    word.path, found, how="argument", confidence="certain", reason="a call that loads a model"
                )


def _read_addresses(line: Line, taken: set[int]) -> None:
    """Note addresses that speak for themselves, and storage addresses where a model is expected."""
    table = line.notes.table
    initializer = not table.initializers.isdisjoint(line.programs)
    downloads = not table.downloaders.isdisjoint(line.programs)
    for index, word in enumerate(line.words):
        if ":" not in word.text and "@" not in word.text:  # every row of storage holds one of them
            continue
        if not word.path or index in taken or (not line.in_shell and len(word.text.split()) > 1):
            continue
        for match in table.storage_pattern.finditer(word.text):
            confidence = _storage(match[0], line, initializer=initializer, downloads=downloads)
            if confidence is not None and table.anywhere_pattern.match(match[0]) is None:
                line.notes.add(
                    word.path,
                    from_scheme(match[0], table),
                    how="argument",
                    confidence=confidence,
                    reason="storage address in a command",
                )


def _storage(address: str, line: Line, *, initializer: bool, downloads: bool) -> Confidence | None:
    if initializer or ends_like_weights(address, line.notes.table):
        return "certain"
    hinted = any(hint in address.lower() for hint in line.notes.table.hints)
    if downloads and (hinted or line.notes.expects):
        return "likely"
    return "possible" if line.notes.expects else None
