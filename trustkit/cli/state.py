"""Where this user's programs remember things, by the rule of the XDG Base Directory Specification."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trustkit.errors import UsageError


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return ``$XDG_STATE_HOME/trustkit``, or the same below ``~/.local/state``; a relative value is none.

    Raises:
        UsageError: ``no-state-folder`` where the environment names neither.
    """
    named, home = environ.get("XDG_STATE_HOME", ""), environ.get("HOME", "")
    if named.startswith("/"):
        return Path(named) / "trustkit"
    if home.startswith("/"):
        return Path(home) / ".local/state/trustkit"
    raise UsageError(
        "no-state-folder", "neither XDG_STATE_HOME nor HOME says where to remember things; give --state-dir"
    )
