"""Rows that users add to the table: their own kinds, flags, variables, schemes.

The law of this file: an extension adds and never takes away or replaces, because a
row that is gone is a way around the gate.
"""

from __future__ import annotations

from trustkit.errors import FormatError
from trustkit.strictjson import Object
from trustkit.workloads.table import Table, default_document, table_from

MAX_BYTES = 256 * 1024
"""Longest extension that is read."""


def extended_table(untrusted: bytes) -> Table:
    """Return the table of this package with the rows of a document of the same shape added.

    Args:
        untrusted: The document, YAML: any of the members of ``table.v1.yaml``, and its ``version``.

    Raises:
        FormatError: ``bad-table``: it is no such document, or a row is there already.
        LimitError: ``too-many-values``: it is too long.
    """
    from trustkit.verifying.strictyaml import parse_yaml  # loading it takes longer than most objects

    if len(untrusted) > MAX_BYTES:
        raise FormatError("bad-table", f"an extension of the table has at most {MAX_BYTES} bytes; shorten it")
    try:
        added = parse_yaml(untrusted)
    except FormatError as error:
        raise FormatError("bad-table", f"the extension of the table is {error}") from None
    base = default_document()
    if not isinstance(added, dict) or added.get("version") != base.get("version"):
        raise FormatError("bad-table", f"an extension of the table starts with version: {base['version']}")
    rows: Object = {name: row for name, row in added.items() if name != "version"}
    return table_from(_joined(base, rows, "table"))


def _joined(base: Object, added: Object, where: str) -> Object:
    joined = dict(base)
    for name, row in added.items():
        before = joined.get(name)
        if name not in joined:
            if where == "table":
                raise FormatError("bad-table", f"the table has no member {name[:64]!r}; see table.v1.yaml")
            joined[name] = row
        elif where != "table.kinds" and isinstance(before, dict) and isinstance(row, dict):
            joined[name] = _joined(before, row, f"{where}.{name}")
        elif isinstance(before, list) and isinstance(row, list):
            joined[name] = [*before, *row]
        else:
            raise FormatError("bad-table", f"{where}.{name[:64]} is there already; an extension only adds")
    return joined
