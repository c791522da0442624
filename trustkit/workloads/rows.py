"""Groups of rows of the table as values, and how each is read from the document.

Strictly: a row of the wrong type is refused, because a misspelt row is a way
around the gate.
"""

from __future__ import annotations

from dataclasses import dataclass

from trustkit import strictjson
from trustkit.errors import FormatError


@dataclass(frozen=True, slots=True)
class Command:
    """Words that start a program, and which positional word after them names a model."""

    words: tuple[str, ...]
    positional: int
    scheme: str | None


@dataclass(frozen=True, slots=True)
class Accelerators:
    """By what an accelerator is asked for; see the comments in ``table.v1.yaml`` for each member."""

    resources: tuple[str, ...]
    runtimes: tuple[str, ...]
    devices: tuple[str, ...]
    mounts: tuple[str, ...]
    variables: tuple[str, ...]
    no_devices: frozenset[str]


@dataclass(frozen=True, slots=True)
class Flags:
    """Flags whose value is not simply a model; see the comments in ``table.v1.yaml`` for each member."""

    config: frozenset[str]
    names: frozenset[str]
    likely: frozenset[str]
    loose: frozenset[str]
    quiet: tuple[str, ...]
    switches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variables:
    """Variables whose value is a model; see the comments in ``table.v1.yaml`` for each member."""

    value: frozenset[str]
    json: frozenset[str]
    suffixes: tuple[str, ...]
    likely: tuple[str, ...]
    names: frozenset[str]


def flags_from(fields: strictjson.Fields) -> Flags:
    """Build the rows ``flags`` that are kept apart."""
    return Flags(
        config=frozenset(texts_of(fields, "config")),
        names=frozenset(texts_of(fields, "names")),
        likely=frozenset(texts_of(fields, "likely")),
        loose=frozenset(texts_of(fields, "loose")),
        quiet=tuple(texts_of(fields, "quiet")),
        switches=tuple(texts_of(fields, "switches")),
    )


def variables_from(fields: strictjson.Fields) -> Variables:
    """Build the rows ``environment``."""
    return Variables(
        value=frozenset(texts_of(fields, "value")),
        json=frozenset(texts_of(fields, "json")),
        suffixes=tuple(texts_of(fields, "suffixes")),
        likely=tuple(texts_of(fields, "likely_suffixes")),
        names=frozenset(texts_of(fields, "names")),
    )


def accelerators_from(top: strictjson.Fields) -> Accelerators:
    """Build the rows of accelerators."""
    return Accelerators(
        resources=tuple(texts_of(top, "accelerators")),
        runtimes=tuple(texts_of(top, "accelerator_runtimes")),
        devices=tuple(texts_of(top, "accelerator_devices")),
        mounts=tuple(texts_of(top, "accelerator_mounts")),
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


def prefixes_of(rows: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Longest prefix first, so that ``oci+native://`` is not taken for something shorter."""
    return tuple(sorted(rows.items(), key=lambda row: -len(row[0])))


def commands_of(rows: list[strictjson.Value]) -> tuple[Command, ...]:
    """Build the rows ``commands``, those of more words first."""
    commands = []
    for row in rows:
        fields = strictjson.Fields(row, "commands")
        words = tuple(fields.take("words", list))
        commands.append(Command(words, fields.take("positional", int), fields.maybe("scheme", str)))
        fields.done()
    return tuple(sorted(commands, key=lambda command: -len(command.words)))
