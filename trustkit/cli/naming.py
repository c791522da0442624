"""How models are named, by flags: the rows and the objects that the webhook of a cluster was given.

The law of this file: `check` and `pin` take the very files that the webhook takes, so that they read alike.
"""

from __future__ import annotations

from trustkit.cli.parser import Parser


def naming_flags(parser: Parser) -> None:
    """Add the flags that say how models are named."""
    parser.one("--table", "rows to add to the table of how models are named (YAML)")
    parser.one("--bases", "objects that others are merged with, such as LLMInferenceServiceConfigs (YAML)")
