"""Rows that users add to the table: their own kinds, flags, variables, schemes.

The law of this file: an extension adds and never takes away or replaces, because a
row that is gone is a way around the gate. It is taken whole or refused whole. Rows that
say what is no model are additions too; the table lists them, so that they can be said aloud.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from trustkit.artifact.reference import SCHEME
from trustkit.errors import FormatError
from trustkit.strictjson import Object, Value
from trustkit.workloads.table import Table, default_document, table_from

MAX_BYTES = 256 * 1024
"""Longest extension that is read."""
_EXEMPTING = frozenset(
    (
        *("bystanders", "tools", "remotes", "image_helpers", "no_devices"),
        *("user_annotations", "ignored_annotations", "code_keywords", "code_files"),
        *("flags.names", "flags.likely", "flags.loose", "flags.quiet", "flags.switches"),
        *("flags.valued", "flags.formats", "flags.json_names", "harmless_resources"),
        *("environment.names", "members.quiet"),
        *("volumes.harmless", "volumes.harmless_drivers"),
        *("volumes.harmless_host_types", "volumes.harmless_host_paths"),
    )
)
"""Rows that say what is no model, or reaches none."""


def extended_table(untrusted: bytes) -> Table:
    """Return the table of this package with the rows of a document of the same shape added.

    Args:
        untrusted: The document, YAML: any of the members of ``table.v1.yaml``, and its ``version``.

    Raises:
        FormatError: ``bad-table``: it is no such document, a row is there already, or could never count.
        LimitError: ``too-many-values``: it is too long.
    """
    from trustkit.verifying.strictyaml import parse_yaml  # loading it takes longer than most objects

    if len(untrusted) > MAX_BYTES:
        raise FormatError("bad-table", f"an extension of the table has at most {MAX_BYTES} bytes; shorten it")
    try:
        added = parse_yaml(untrusted, what="extension of the table")
    except FormatError as error:
        raise FormatError("bad-table", f"the extension of the table: {error.message}") from None
    base = default_document()
    if not isinstance(added, dict) or added.get("version") != base.get("version"):
        raise FormatError("bad-table", f"an extension of the table starts with version: {base['version']}")
    rows: Object = {name: row for name, row in added.items() if name != "version"}
    try:
        table = table_from(_joined(base, rows, "table"))
        _demand_nothing_hidden(table, table_from(base))
    except FormatError as error:
        raise FormatError(
            "bad-table", f"the extension of the table is not taken: {error.message}; see table.v1.yaml"
        ) from None
    return dataclasses.replace(table, exempts=tuple(_exempts(rows)))


def _demand_nothing_hidden(table: Table, ours: Table) -> None:
    """Refuse rows that would be read instead of ours: the longer of two commands is, and variables first."""
    for command in set(table.commands) - set(ours.commands):
        if any(command.words[: len(row.words)] == row.words for row in ours.commands):
            words = " ".join(command.words)[:64]
            raise FormatError("bad-table", f"{words!r} begins with a command that is there already")
    for name in set(table.members.environment) - set(ours.members.environment):
        if any(line.endswith(name) or name.endswith(line) for line in ours.members.lines):
            raise FormatError("bad-table", f"{name[:64]!r} of members.environment is one of members.words")


def _exempts(rows: Object) -> Iterator[str]:
    """Yield what takes something out of judgement, by the rows that are added."""
    for name, row in rows.items():
        if name == "kinds" and isinstance(row, dict):
            yield from (f"kinds.{kind}" for kind, what in row.items() if _is_quiet(what))
        elif name == "short_flags" and isinstance(row, dict):
            yield from (f"short_flags.{program}" for program, flags in row.items() if _holds_no_model(flags))
        elif isinstance(row, dict):
            yield from (f"{name}.{inner}" for inner in row if f"{name}.{inner}" in _EXEMPTING)
        elif name in _EXEMPTING:
            yield name


def _is_quiet(row: Value) -> bool:
    return row is None or (
        isinstance(row, dict) and any(row.get(name) for name in ("quiet", "template", "names"))
    )


def _holds_no_model(flags: Value) -> bool:
    return isinstance(flags, dict) and any(takes != "value" for takes in flags.values())


def _joined(base: Object, added: Object, where: str) -> Object:
    joined = dict(base)
    for name, row in added.items():
        before = joined.get(name)
        if name not in joined:
            if where == "table":
                raise FormatError("bad-table", f"the table has no member {name[:64]!r}")
            if where.startswith("table.schemes.") and name.lower().startswith(SCHEME):
                raise FormatError("bad-table", f"{name[:64]!r} would change what {SCHEME} means")
            joined[name] = row
        elif where != "table.kinds" and isinstance(before, dict) and isinstance(row, dict):
            joined[name] = _joined(before, row, f"{where}.{name}")
        elif isinstance(before, list) and isinstance(row, list):
            joined[name] = [*before, *row]
        else:
            raise FormatError("bad-table", f"{where}.{name[:64]} is there already; an extension only adds")
    return joined
