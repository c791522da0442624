"""Where this machine keeps what it remembers: a folder of its user's own, and a key that seals what is in it.

The law of this file: what others could read or write is not ours to remember by.
Losing the folder is always safe: what was remembered is worked out again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from trustkit.artifact.inputs import read_input, status_of
from trustkit.errors import UsageError
from trustkit.storage.local import unwritable, write_new

KEY = "records.key"
Entropy = Callable[[int], bytes]
"""Returns so many random bytes."""


def open_state(folder: Path) -> Path:
    """Make the folder where it is missing, and demand that it is its user's alone.

    Raises:
        UsageError: ``state-not-private``.
        UnavailableError: ``unwritable``.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise unwritable(folder, error) from None
    _check_private(folder)
    return folder


def machine_key(folder: Path, entropy: Entropy, *, size: int) -> bytes:
    """Return the key of this folder; the first time, make it.

    Args:
        folder: As `open_state` returned it.
        entropy: Random bytes for a new key.
        size: Length of the key (bytes).

    Raises:
        UsageError: ``state-not-private``; ``bad-state`` where the file is no key.
        UnavailableError: ``unwritable`` or ``unreadable``.
    """
    path = folder / KEY
    if status_of(path) is None:
        try:
            write_new(path, entropy(size), mode=0o600)
        except UsageError as error:
            if error.code != "output-exists":  # another process was quicker, and its key is as good
                raise
    _check_private(path)
    key = read_input(path, max_bytes=size + 1, what="key of the state folder")
    if len(key) != size:
        raise UsageError("bad-state", f"{str(path)!r} is no key of ours; remove it, and what it sealed")
    return key


def _check_private(path: Path) -> None:
    status = status_of(path)
    if status is None or status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise UsageError(
            "state-not-private",
            f"{str(path)!r} must be yours and closed to others (chmod go-rwx); or name another --state-dir",
            path=str(path),
        )
