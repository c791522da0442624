"""How models are named, by flags: the rows and the objects that the webhook of a cluster was given.

The law of this file: `check` and `pin` take the very files that the webhook takes, so that they read alike.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from trustkit.cli.parser import Parser

if TYPE_CHECKING:
    from trustkit.workloads.basefile import Bases
    from trustkit.workloads.table import Table


def naming_flags(parser: Parser) -> None:
    """Add the flags that say how models are named."""
    parser.one("--table", "rows to add to the table of how models are named (YAML)")
    parser.one("--bases", "objects that others are merged with, such as LLMInferenceServiceConfigs (YAML)")


def naming_of(arguments: argparse.Namespace) -> tuple[Table, Bases]:
    """Return the table and the bases that the flags name.

    Raises:
        FormatError: ``bad-table`` or ``bad-bases``.
        LimitError: One of them is too large, or holds too much.
    """
    from trustkit.artifact.inputs import read_input
    from trustkit.workloads import basefile, extension
    from trustkit.workloads.table import default_table

    table = default_table()
    if arguments.table is not None:
        table = extension.extended_table(
            read_input(arguments.table, max_bytes=extension.MAX_BYTES, what="table")
        )
    if arguments.bases is None:
        return table, basefile.Bases()
    raw = read_input(arguments.bases, max_bytes=basefile.MAX_BYTES, what="bases")
    return table, basefile.parse_bases(raw, table)


def digests_of(table: Table, bases: Bases) -> dict[str, str]:
    """Return what table and bases are known by, as a decision of the webhook does."""
    return {"table_digest": str(table.digest), "bases_digest": str(bases.digest or "")}
