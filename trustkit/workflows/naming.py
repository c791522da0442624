"""How models are named: the table with rows that were added, and the objects that others are merged with.

The law of this file: the webhook of a cluster and the verbs that ask before it read the
very same files in the very same way, or one of them would let pass what the other refuses.
The table of the package is built only where nothing is added to it: that takes the longest.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trustkit.strictjson import Object, Value
    from trustkit.workloads.basefile import Bases
    from trustkit.workloads.table import Table

_SHOWN = 1000
"""Most that is shown of the names of rows (characters)."""


def table_and_bases(table: Path | None, bases: Path | None) -> tuple[Table, Bases]:
    """Read the files that say how models are named.

    Args:
        table: Rows to add to the table; none where absent.
        bases: Objects that others are merged with; none where absent.

    Raises:
        UsageError: ``no-such-file`` or ``special-file``.
        FormatError: ``bad-table`` or ``bad-bases``.
        LimitError: One of them is too large, or holds too much.
        UnavailableError: ``unreadable``.
    """
    from trustkit.artifact.inputs import of_file, read_input
    from trustkit.workloads import basefile, extension
    from trustkit.workloads.table import default_table

    if table is None:
        found = default_table()
    else:
        rows = read_input(table, max_bytes=extension.MAX_BYTES, what="table")
        with of_file(table):
            found = extension.extended_table(rows)
    if bases is None:
        return found, basefile.Bases()
    raw = read_input(bases, max_bytes=basefile.MAX_BYTES, what="bases")
    with of_file(bases):
        return found, basefile.parse_bases(raw, found)


def exempted_by(table: Table, file: Path | None) -> list[str]:
    """Return what is to be said aloud of the rows of a file: that some take something out of judgement."""
    if not table.exempts:
        return []
    rows = ", ".join(table.exempts)[:_SHOWN]
    why = f"{str(file)!r} takes out of judgement what these rows name: {rows}"
    return [f"{why}; leave them out if nobody needs them"]


def digests_of(table: Table, bases: Bases) -> dict[str, str]:
    """Return what both are known by, in decisions and answers; no bases are the empty text."""
    return {"table_digest": str(table.digest), "bases_digest": str(bases.digest or "")}


def told_of(table: Table, bases: Bases) -> Object:
    """Return what a verb's document says of both: their digests, and the rows that exempt."""
    exempts: list[Value] = [*table.exempts]
    return {**digests_of(table, bases), "exempts": exempts}
