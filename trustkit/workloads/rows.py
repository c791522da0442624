"""Groups of rows of the table as values, and how each is read from the document.

Strictly: a row of the wrong type is refused, and so is one that nothing could ever
equal, because a misspelt row is a way around the gate.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from trustkit import strictjson
from trustkit.errors import FormatError

MAX_PREFIX = 64
"""Longest prefix that says a scheme (characters); a text is compared no further."""
_PREFIX = re.compile(r"[a-z][a-z0-9+.-]*[:@][^\sA-Z\"'`<>|;&(){}\[\]\\,]*")
SHORT_FLAGS = frozenset(("value", "setting", "switch"))
"""What a short flag takes: a model, what is none, or nothing."""
_KIND = re.compile(r"[a-z0-9.-]+/[A-Za-z][A-Za-z0-9]*")


@dataclass(frozen=True, slots=True)
class Command:
    """Words that start a program, and which positional word after them names a model.

    Where a flag is named, only beside one that starts so.
    """

    words: tuple[str, ...]
    positional: int
    scheme: str | None
    flag: str | None


@dataclass(frozen=True, slots=True)
class Harmless:
    """Volumes that carry no weights: by their kinds, drivers of CSI, and paths and types on a node."""

    volumes: frozenset[str]
    drivers: frozenset[str]
    host_paths: tuple[str, ...]
    host_types: frozenset[str]


@dataclass(frozen=True, slots=True)
class Accelerators:
    """By what an accelerator is asked for; see the comments in ``table.v1.yaml`` for each member."""

    resources: tuple[str, ...]
    harmless: tuple[str, ...]
    runtimes: tuple[str, ...]
    devices: tuple[str, ...]
    mounts: tuple[str, ...]
    last: tuple[str, ...]
    """The last steps of the mounts: where none of them stands, no path lies below one."""
    variables: tuple[str, ...]
    no_devices: frozenset[str]


@dataclass(frozen=True, slots=True)
class Spellings:
    """Rows of flags: whole ones, how some start (a row that ends in a dash), and how some end."""

    whole: frozenset[str]
    starts: tuple[str, ...]
    ends: tuple[str, ...]

    def __contains__(self, flag: str) -> bool:
        """Say whether a flag, as `flag_name` spells it, is in the rows."""
        return flag in self.whole or flag.startswith(self.starts) or f"-{flag}".endswith(self.ends)


@dataclass(frozen=True, slots=True)
class Flags:
    """Flags whose value is not simply a model; see the comments in ``table.v1.yaml`` for each member."""

    config: frozenset[str]
    names: frozenset[str]
    likely: frozenset[str]
    loose: frozenset[str]
    quiet: tuple[str, ...]
    switches: Spellings
    valued: Spellings
    runtime: Spellings
    formats: frozenset[str]
    json_names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Variables:
    """Variables whose value is a model; see the comments in ``table.v1.yaml`` for each member."""

    value: frozenset[str]
    json: frozenset[str]
    suffixes: tuple[str, ...]
    likely: tuple[str, ...]
    names: frozenset[str]
    flags: tuple[str, ...]
    runtime: tuple[str, ...]


def flag_name(flag: str) -> str:
    """Return a flag as the rows spell it."""
    return flag.lstrip("-").lower().replace("_", "-")


def flags_from(fields: strictjson.Fields) -> Flags:
    """Build the rows ``flags`` that are kept apart."""
    return Flags(
        config=frozenset(spelled_texts(fields, "config", flag_name)),
        names=frozenset(spelled_texts(fields, "names", flag_name)),
        likely=frozenset(spelled_texts(fields, "likely", flag_name)),
        loose=frozenset(spelled_texts(fields, "loose", flag_name)),
        quiet=tuple(spelled_texts(fields, "quiet", flag_name)),
        switches=spellings_of(fields, "switches"),
        valued=spellings_of(fields, "valued"),
        runtime=spellings_of(fields, "runtime"),
        formats=frozenset(texts_of(fields, "formats")),
        json_names=frozenset(spelled_texts(fields, "json_names", str.lower)),
    )


def spellings_of(fields: strictjson.Fields, name: str) -> Spellings:
    """Build rows of flags of which some say how a flag starts or ends.

    Raises:
        FormatError: ``bad-table``.
    """
    rows = spelled_texts(fields, name, _spelled)
    return Spellings(
        frozenset(row for row in rows if row[0] != "-" and row[-1] != "-"),
        tuple(row for row in rows if row[-1] == "-"),
        tuple(row for row in rows if row[0] == "-"),
    )


def _spelled(row: str) -> str:
    flag = row.lower().replace("_", "-").strip("-")
    if not flag or (row[0] == "-") == (row[-1] == "-"):
        return flag
    return f"-{flag}" if row[0] == "-" else f"{flag}-"


def variables_from(fields: strictjson.Fields) -> Variables:
    """Build the rows ``environment``."""
    return Variables(
        value=frozenset(texts_of(fields, "value")),
        json=frozenset(texts_of(fields, "json")),
        suffixes=tuple(texts_of(fields, "suffixes")),
        likely=tuple(texts_of(fields, "likely_suffixes")),
        names=frozenset(texts_of(fields, "names")),
        flags=tuple(texts_of(fields, "flags")),
        runtime=tuple(texts_of(fields, "runtime")),
    )


def harmless_from(fields: strictjson.Fields) -> Harmless:
    """Read the rows of volumes that carry nothing."""
    return Harmless(
        volumes=frozenset(texts_of(fields, "harmless")),
        drivers=frozenset(texts_of(fields, "harmless_drivers")),
        host_paths=tuple(texts_of(fields, "harmless_host_paths")),
        host_types=frozenset(texts_of(fields, "harmless_host_types")),
    )


def accelerators_from(top: strictjson.Fields) -> Accelerators:
    """Build the rows of accelerators."""
    mounts = texts_of(top, "accelerator_mounts")
    return Accelerators(
        resources=tuple(texts_of(top, "accelerators")),
        harmless=tuple(texts_of(top, "harmless_resources")),
        runtimes=tuple(texts_of(top, "accelerator_runtimes")),
        devices=tuple(texts_of(top, "accelerator_devices")),
        mounts=tuple(mounts),
        last=tuple({mount.rstrip("/").rpartition("/")[2] for mount in mounts}),
        variables=tuple(texts_of(top, "device_variables")),
        no_devices=frozenset(texts_of(top, "no_devices")),
    )


def texts_of(fields: strictjson.Fields, name: str) -> list[str]:
    """Return a list of non-empty texts.

    Raises:
        FormatError: ``bad-table``.
    """
    texts = fields.take(name, list)
    if not all(isinstance(text, str) and text for text in texts):
        raise FormatError("bad-table", f"the workload table's {name} must hold non-empty strings")
    return texts


def spelled_texts(fields: strictjson.Fields, name: str, spell: Callable[[str], str]) -> list[str]:
    """Return a list of texts that are compared in one spelling, and so must stand in it.

    Raises:
        FormatError: ``bad-table``.
    """
    texts = texts_of(fields, name)
    for text in texts:
        if spell(text) != text:
            raise FormatError(
                "bad-table", f"nothing can equal {text[:64]!r} of the rows {name}; write {spell(text)[:64]!r}"
            )
    return texts


def names_of_kinds(kinds: list[str]) -> list[str]:
    """Return names of kinds, each ``group/Kind`` without the version.

    Raises:
        FormatError: ``bad-table``.
    """
    for kind in kinds:
        if _KIND.fullmatch(kind) is None:
            raise FormatError(
                "bad-table", f"{kind[:64]!r} is no kind; write group/Kind, without the version, or v1/Kind"
            )
    return kinds


def mapped(fields: strictjson.Fields, name: str) -> dict[str, str]:
    """Return an object whose members are non-empty texts.

    Raises:
        FormatError: ``bad-table``.
    """
    return {key: _text(text, f"{name}.{key[:64]}") for key, text in fields.take(name, dict).items()}


def prefixes_of(fields: strictjson.Fields, name: str, *, mark: str) -> tuple[tuple[str, str], ...]:
    """Longest prefix first, so that ``oci+native://`` is not taken for something shorter.

    Args:
        fields: The member ``schemes``.
        name: Of the rows.
        mark: What a text is looked for before a prefix is.

    Raises:
        FormatError: ``bad-table``: a prefix that no text is compared with.
    """
    rows = mapped(fields, name)
    for prefix in rows:
        if len(prefix) > MAX_PREFIX or mark not in prefix or _PREFIX.fullmatch(prefix) is None:
            raise FormatError(
                "bad-table",
                f"{prefix[:64]!r} is no prefix of {name}; write one with {mark!r}, in lower case, "
                f"of at most {MAX_PREFIX} characters",
            )
    return tuple(sorted(rows.items(), key=lambda row: -len(row[0])))


def commands_of(rows: list[strictjson.Value]) -> tuple[Command, ...]:
    """Build the rows ``commands``, those of more words first."""
    commands = []
    for row in rows:
        fields = strictjson.Fields(row, "commands")
        words = tuple(texts_of(fields, "words"))
        positional = fields.take("positional", int)
        if not words or positional < 1:
            raise FormatError("bad-table", "a command has words, and a positional word counted from 1")
        commands.append(Command(words, positional, fields.maybe("scheme", str), fields.maybe("flag", str)))
        fields.done()
    return tuple(sorted(commands, key=lambda command: -len(command.words)))


def images_of(rows: list[strictjson.Value]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Build the rows ``images``: a part of a name, and the program."""
    images = []
    for row in rows:
        fields = strictjson.Fields(row, "images")
        part, program = fields.take("part", str), tuple(texts_of(fields, "program"))
        if not part or part != part.lower() or not program:
            raise FormatError("bad-table", "an image has a part of its name, in lower case, and a program")
        images.append((part, program))
        fields.done()
    return tuple(images)


def short_flags_of(programs: strictjson.Fields, names: list[str]) -> dict[str, dict[str, str]]:
    """Build the rows ``short_flags``: of each program, what its short flags take."""
    found = {}
    for program in names:
        flags = mapped(programs, program)
        if set(flags.values()) - SHORT_FLAGS:
            what = f"a short flag of {program[:64]!r}"
            raise FormatError("bad-table", f"{what} is a value, a setting, a switch, or is left out")
        found[program] = flags
    return found


def _text(value: strictjson.Value, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise FormatError("bad-table", f"the workload table's {where} must be a non-empty string")
    return value
