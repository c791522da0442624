"""Folders of this machine: a file written whole or not at all; documents and ranges read, no link followed.

The law of this file: an output that exists stays, unless it may be replaced,
and then it stays until the new one is complete. Reading starts at an open
folder and looks every component up by itself, so that no planted link leads
out and no FIFO holds us up.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from trustkit.artifact.files import encoded
from trustkit.artifact.names import check_name
from trustkit.errors import FormatError, LimitError, SealError, UnavailableError, UsageError
from trustkit.storage.atomic import Check, place, unchecked

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags that open a folder, and nothing else, by its last component."""

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: a FIFO must not hang us


def write_new(
    target: Path,
    content: bytes,
    *,
    overwrite: bool = False,
    mode: int = 0o644,
    exact: bool = False,
    check: Check = unchecked,
) -> None:
    """Write a file under its final name, whole and synced, or leave everything as it was.

    Args:
        target: Where; its folder must exist. A link that lies there is never followed.
        content: All of it.
        overwrite: Replace a file (or the link itself) that lies there, in one step.
        mode: Permissions, less the process's umask.
        exact: Take the permissions as they are, whatever the umask.
        check: Called at the last moment before a file is replaced; what it raises keeps that file.

    Raises:
        UsageError: ``output-exists``, also where it appeared meanwhile; ``not-replaceable`` for what is
            no file; ``no-such-folder``.
        UnavailableError: ``unwritable``: permissions, a full or a read-only disk.
    """
    try:
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise UsageError(
            "no-such-folder", f"the folder of {str(target)!r} does not exist; make it first"
        ) from None
    except OSError as error:
        raise unwritable(target, error) from None
    try:
        if overwrite:
            _check_replaceable(folder, target)
        place(folder, target.name, content, overwrite=overwrite, mode=mode, exact=exact, check=check)
    except FileExistsError:
        raise exists(target) from None
    except (OSError, ValueError) as error:
        raise unwritable(target, error) from None
    finally:
        os.close(folder)


def exists(target: Path) -> UsageError:
    """Build the error for an output that lies there already, and stays."""
    return UsageError(
        "output-exists", f"{str(target)!r} exists and is not replaced; choose another name", path=str(target)
    )


def unwritable(target: Path, error: OSError | ValueError) -> UnavailableError:
    """Build the error for a place that cannot be written."""
    why = getattr(error, "strerror", None) or str(error)
    return UnavailableError("unwritable", f"cannot write {str(target)!r}: {why}", path=str(target))


def _check_replaceable(folder: int, target: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        kind = os.stat(target.name, dir_fd=folder, follow_symlinks=False).st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISLNK(kind):
            raise UsageError(
                "not-replaceable", f"{str(target)!r} is not a file of the kind that would replace it"
            )


class LocalSource:
    """Documents and blobs of a folder of this machine, by descriptor, no link followed below it.

    Args:
        folder: The caller's; it may itself be behind a link.

    Raises:
        UsageError: ``no-such-folder``.
        UnavailableError: ``unreadable``.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            raise UsageError(
                "no-such-folder", f"there is no folder at {str(folder)!r}", path=str(folder)
            ) from None
        except OSError as error:
            raise _unreadable(str(folder), error) from None

    def document(self, name: str, *, max_bytes: int) -> bytes:
        """Return a whole document; see `trustkit.storage.source.Source`."""
        descriptor = open_below(self._folder, name)
        try:
            with os.fdopen(descriptor, "rb") as file:
                raw = file.read(max_bytes + 1)
        except OSError as error:
            raise _unreadable(name, error) from None
        if len(raw) > max_bytes:
            raise LimitError("too-large", f"{name!r} is larger than {max_bytes} bytes", limit=max_bytes)
        return raw

    def read_range(self, name: str, start: int, into: memoryview) -> None:
        """Fill *into* from *start* on; see `trustkit.storage.source.Source`."""
        descriptor = open_below(self._folder, name)
        try:
            done = 0
            while done < len(into):
                count = os.preadv(descriptor, [into[done:]], start + done)
                if count == 0:
                    raise truncated(name, start + len(into))
                done += count
        except OSError as error:
            raise _unreadable(name, error) from None
        finally:
            os.close(descriptor)

    def length(self, name: str) -> int:
        """Return the length of a blob; see `trustkit.storage.source.Source`."""
        descriptor = open_below(self._folder, name)
        try:
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close the folder; a second time does nothing."""
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1


def open_below(folder: int, untrusted_name: str) -> int:
    """Open a regular file below an open folder for reading, and return its descriptor.

    Raises:
        FormatError: ``unsafe-name``; ``symlink`` where a component is a link; ``special-file``.
        UnavailableError: ``not-found`` or ``unreadable``.
    """
    *parents, last = check_name(untrusted_name).split("/")
    here = folder
    try:
        for parent in parents:
            above, here = here, _opened(here, parent, FOLDER, untrusted_name)
            if above != folder:
                os.close(above)
        descriptor = _opened(here, last, _FILE, untrusted_name)
    finally:
        if here != folder:
            os.close(here)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FormatError("special-file", f"{untrusted_name!r} is not a regular file", name=untrusted_name)
    return descriptor


def truncated(name: str, needed: int) -> SealError:
    """Build the error for a blob that ends before what was signed."""
    return SealError("truncated", f"{name!r} ends before byte {needed}; fetch or seal it again", name=name)


def _opened(folder: int, component: str, flags: int, name: str) -> int:
    try:
        return os.open(encoded(component), flags, dir_fd=folder)
    except OSError as error:
        if _is_link(folder, component):
            raise FormatError("symlink", f"{name!r} is behind a symbolic link", name=name) from None
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            raise UnavailableError("not-found", f"there is no {name!r} here", name=name) from None
        raise _unreadable(name, error) from None


def _is_link(folder: int, component: str) -> bool:
    try:
        return stat.S_ISLNK(os.stat(encoded(component), dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _unreadable(name: str, error: OSError) -> UnavailableError:
    return UnavailableError("unreadable", f"cannot read {name!r}: {error.strerror}", name=name)
