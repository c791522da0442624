"""Flags of one simple command: which of them name a model, and what the words after them say.

The law of this file: a flag is read by the table alone; what a program makes of a
flag that is not there is not guessed, but an address in its value is still found.
"""

from __future__ import annotations

import functools
import re

from trustkit.workloads import embedded
from trustkit.workloads.grammar import Named, cleaned, is_service, named
from trustkit.workloads.line import Line, Word, basename, is_python
from trustkit.workloads.rows import flag_name
from trustkit.workloads.table import Table
from trustkit.workloads.values import MAX_SHOWN, Confidence

_FLAG = re.compile(r"--?[A-Za-z]|[A-Za-z][A-Za-z0-9_.-]*=")
_LONGEST = 64
"""Longest flag that is remembered (characters)."""
_REMEMBERED = 4096
"""Flags that are remembered."""
_SHORTEST = 3
"""Shortest form of a long flag that a program of Python is taken to complete (characters)."""
_SERVED = "served-model-name"


def read_flags(line: Line) -> set[int]:
    """Note the values of model flags; return the positions of words that belong to flags."""
    taken: set[int] = set()
    short = _short_flags(line)
    for index, word in enumerate(line.words):
        text = word.text
        if not (text.startswith("-") or "=" in text) or index in taken or not word.path:
            continue
        flag, equals, value = _parts(text, short)
        long = not short or flag.startswith("--")
        if not _FLAG.match(text) or (long and _is_dull(flag, line.notes.table)) or _is_of_python(line, index):
            continue
        name = flag_name(flag)
        dashed = flag.startswith("-")
        if dashed and name in line.notes.table.flags.names:
            if not equals and name.startswith(_SERVED) and not _is_flag(line, index + 1):
                taken.add(index + 1)  # the name it is served under is not the model
            continue
        config = dashed and name not in line.notes.table.model_flags and _is_config_flag(name, line)
        single = dashed and not flag.startswith("--") and name.partition(".")[0] in short
        if dashed and not single and name in line.notes.table.flags.loose:
            _read_loose(index, line, value if equals else None, taken)
            continue
        if not (config or single or _is_model_flag(name, line)) or (not dashed and "/" not in value):
            continue
        taken.add(index)
        values = (
            [Word(_given(value, line.notes.table), word.path, word.missing, guess=word.guess)]
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


def _read_loose(index: int, line: Line, value: str | None, taken: set[int]) -> None:
    """``--source org/name``: a reference if it looks like one, where models are fetched or computed with."""
    notes, words = line.notes, line.words
    if value is None and index + 1 < len(words):
        word = words[index + 1]
        value, at = word.text, index + 1
    else:
        word, at = words[index], index
    found = None if value is None or word.missing else named(value, notes.table)
    if found is None or found.strength not in {"scheme", "hub"} or "/" not in found.reference:
        return
    if not (notes.expects or line.fetches) or is_service(found.reference, notes.table) or not word.path:
        return
    taken.add(at)
    notes.add(
        word.path, found, how="argument", confidence="likely", reason=f"value of {words[index].text[:64]}"
    )


def _parts(text: str, short: frozenset[str]) -> tuple[str, str, str]:
    """A flag, what joins it, and its value: ``--model=x``; also ``-m/models/x`` where a row has ``m``."""
    joined = text[0] == "-" and text[1:2] in short and text[2:3] not in {"=", ""}
    if joined and "/" in text and "=" not in text.partition("/")[0]:
        return text[:2], "=", text[2:]
    return text.partition("=")


def _is_of_python(line: Line, index: int) -> bool:
    """Say whether an option is Python's own, which names the module that it starts."""
    if line.words[index].text != "-m":
        return False
    at = line.program()
    between = line.words[at + 1 : index]
    return (
        at < min(index, len(line.programs))
        and is_python(line.programs[at])
        and all(word.text.startswith("-") for word in between)
    )


def _is_flag(line: Line, index: int) -> bool:
    return index < len(line.words) and line.words[index].text.startswith("-")


def _short_flags(line: Line) -> frozenset[str]:
    """Short flags that name a model to a program of the line."""
    table = line.notes.table.short_flags
    if table.keys().isdisjoint(line.programs):
        return frozenset()
    rows = (table[name].items() for name in line.programs if name in table)
    return frozenset(flag for row in rows for flag, takes in row if takes == "value")


def _is_config_flag(name: str, line: Line) -> bool:
    return (line.server or line.notes.serves) and _is_one_of(
        name, line.notes.table.flags.config, completed=True
    )


def _is_model_flag(name: str, line: Line) -> bool:
    table = line.notes.table
    guessed = not (line.server and line.notes.strict) and is_likely(name, table)  # there it is unresolved
    return guessed or _may_name(name, table, completed=line.server)


def _may_name(name: str, table: Table, *, completed: bool) -> bool:
    flags, likely = table.model_flags, table.flags.likely
    short = name.rsplit(".", 1)[-1]
    return (
        _is_one_of(name, flags, completed=completed and name not in likely)
        or short in flags
        or short in likely
        or (short != name and _is_one_of(name.partition(".")[0], table.json_flags, completed=completed))
    )


def is_likely(name: str, table: Table) -> bool:
    """Say whether a flag names a model where its value looks like one: by its row, or by how it ends.

    What nobody knows counts if it ends as such a variable does: ``--teacher-model`` as ``TEACHER_MODEL``.
    """
    short = name.rsplit(".", 1)[-1]
    if short in table.flags.likely:
        return True
    ends = f"-{short}".endswith(table.flag_endings) and short not in table.model_flags
    return ends and table.takes_value(short) is None and not any(part in name for part in table.flags.quiet)


def says_nothing(text: str, table: Table) -> bool:
    """Say whether a word is no flag that is in a row, whatever program it is given to, short flags aside."""
    may_be = (text.startswith("-") or "=" in text) and _FLAG.match(text) is not None
    return not may_be or _is_dull(text.partition("=")[0], table)


def _is_dull(flag: str, table: Table) -> bool:
    """Say whether a flag is in no row, whatever program it is given to, short flags aside."""
    return len(flag) <= _LONGEST and _known_to_be_dull(flag, table)


@functools.lru_cache(_REMEMBERED)
def _known_to_be_dull(flag: str, table: Table) -> bool:
    name, rows = flag_name(flag), table.flags
    if name in rows.names or name in rows.loose or _is_one_of(name, rows.config, completed=True):
        return False
    return not (_may_name(name, table, completed=True) or is_likely(name, table))


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
            note_open(word, line)
            return
    if text.startswith(("{", "[")):
        embedded.read(text, word.path, notes, how="argument", reason=f"JSON of --{name}", whole=line.strict)
        return
    if _is_member(name, table):
        member = name.rsplit(".", 1)[-1]
        embedded.read_member(member, text, word.path, notes, how="argument", reason=f"value of --{name[:64]}")
        return
    parts = re.split(r"[,;\s]+", text) if name in table.pair_flags else [text]
    for part in parts:
        left, equals, right = part.partition("=")
        value = right if equals and "/" not in left and ":" not in left else part
        scheme = "ollama" if _program(line) == "ollama" else None
        likely = is_likely(name, table)
        found = named(value, table, scheme=scheme, strict=line.strict and not likely)
        if found is not None and not (likely and found.strength == "name"):
            notes.add(
                word.path,
                found,
                how="argument",
                confidence=_sureness(found, line),
                reason=f"value of --{name[:64]}",
            )


def _given(value: str, table: Table) -> str:
    """What ``repo_id=org/name,`` gives, a keyword of a call that is read as words: no hub knows commas."""
    found = named(value[:-1], table) if value.endswith(",") else None
    return value if found is None or found.strength != "hub" else value[:-1]


def _is_member(name: str, table: Table) -> bool:
    """Say whether a flag is a member of a document, written on its own, and by its own name no model's."""
    _, dot, member = name.rpartition(".")
    return bool(dot) and member not in table.model_flags and not is_likely(member, table)


def note_open(word: Word, line: Line) -> None:
    """Note a reference of which a part is not known: as it is written, and unresolved beside.

    Args:
        word: The word.
        line: The command that it belongs to.
    """
    text = cleaned(word.text)
    if not text:
        return
    known = line.notes.table.scheme_of(text) or ("path" if text.startswith("/") else "unknown")
    found = Named(text[:MAX_SHOWN], known, pinned=False, strength="path")
    line.notes.add(
        word.path,
        found,
        how="argument",
        confidence="certain",
        reason="a reference with a part that is not known",
    )


def _program(line: Line) -> str:
    return basename(line.words[0].text) if line.words else ""


def _sureness(found: Named, line: Line) -> Confidence:
    """A bare word is a model only where a server reads it; clients name served models the same way."""
    return "certain" if found.strength != "name" or line.strict else "possible"
