"""Passphrases: from files or from a terminal, never from arguments or the environment.

Other users see arguments, children inherit the environment. A file's first
line counts, without its end and without a byte order mark; a person is asked only where one sits.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from trustkit.cli.terminal import Terminal
from trustkit.errors import LimitError, UsageError

MAX_BYTES = 1023
"""Longest passphrase that PEM encryption takes (bytes)."""
MAX_FILE = 64 << 10
"""Largest passphrase file (bytes)."""

T = TypeVar("T")


def read_passphrase(path: Path) -> bytes:
    """Read a passphrase from the first line of a file.

    Raises:
        UsageError: ``no-such-file``, ``empty-passphrase``; ``bad-passphrase`` for a file of another kind.
        LimitError: ``too-large`` or ``passphrase-too-long``.
    """
    from trustkit.artifact.inputs import first_line, read_input
    from trustkit.cli.kinds import kind_of

    raw = read_input(path, max_bytes=MAX_FILE, what="passphrase file")
    other = kind_of(raw)
    if other is not None:
        raise UsageError(
            "bad-passphrase", f"{str(path)!r} is a {other}; a passphrase file holds the passphrase alone"
        )
    return _checked(first_line(raw), f"the first line of {str(path)!r}")


def unlock(
    load: Callable[[bytes | None], T],
    file: Path | None,
    terminal: Terminal,
    *,
    what: str,
    flag: str = "--passphrase-file",
) -> T:
    """Load a key with the passphrase it needs: from its file, or asked for on a terminal.

    Args:
        load: Loads the key with a passphrase, or with None.
        file: The passphrase file, if one was given.
        terminal: Where to ask.
        what: The key's name in the question.
        flag: What the passphrase file is called in messages.

    Raises:
        UsageError: ``passphrase-needed`` where nobody can be asked, or what *load* raises.
    """
    if file is not None:
        passphrase = read_passphrase(file)
        try:
            return load(passphrase)
        except UsageError as error:
            if error.code != "wrong-passphrase" or passphrase == passphrase.strip():
                raise
            why = f"the first line of {str(file)!r} begins or ends with a blank, which counts"
            raise UsageError(error.code, f"{error.message}; {why}", **error.evidence) from None
    try:
        return load(None)
    except UsageError as error:
        if error.code != "passphrase-needed":
            raise
    if not terminal.interactive():
        raise UsageError("passphrase-needed", f"{what} is encrypted; give {flag} with its passphrase")
    return load(_checked(terminal.ask(f"passphrase of {what}", flag=flag), "what was entered"))


def choose_passphrase(file: Path | None, terminal: Terminal) -> bytes | None:
    """Return the passphrase for a new key: from a file, asked for twice, or None for no encryption."""
    if file is not None:
        return read_passphrase(file)
    if not terminal.interactive():
        return None
    first = terminal.ask("passphrase for the new key (empty for none)")
    if not first:
        return None
    if terminal.ask("the same again") != first:
        raise UsageError("passphrases-differ", "the two passphrases differ; run the command again")
    return _checked(first, "what was entered")


def _checked(passphrase: bytes, where: str) -> bytes:
    if not passphrase:
        raise UsageError("empty-passphrase", f"{where} is empty, and an empty passphrase protects nothing")
    if len(passphrase) > MAX_BYTES:
        raise LimitError("passphrase-too-long", f"{where} is longer than {MAX_BYTES} bytes", limit=MAX_BYTES)
    return passphrase
