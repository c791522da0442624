"""What the interface has to say beside its result: lines in a log, made harmless.

A library does not print. The log is named after this package, so that whoever
calls it can silence it or send it elsewhere.
"""

from __future__ import annotations

from typing import Literal

from trustkit.programs.voice import shown

LOG = "trustkit.compat.model_signing"
"""The name of the log."""


def tell(level: Literal["info", "warning"], message: str) -> None:
    """Write one line to the log."""
    import logging

    logging.getLogger(LOG).log(logging.WARNING if level == "warning" else logging.INFO, "%s", shown(message))


def listen(level: str) -> None:
    """Show the log on standard error, from this level on."""
    import logging

    logging.basicConfig(format="%(message)s", level=level)
