"""A folder that is held while a document in it is replaced or destroyed.

The law of this file: two runs never change one folder at the same time, each
from what it read before the other was done. What is destroyed is overwritten
before its name goes, so that on a plain disk its bytes are gone as well; a file
system that copies on write, or a disk that moves its blocks, keeps what it
likes, which is why nothing rests on this alone.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trustkit.errors import UnavailableError, UsageError
from trustkit.storage.atomic import Check, sync_folder, unchecked, write_all
from trustkit.storage.local import unwritable, write_new

Pause = Callable[[float], object]
"""Lets that many seconds pass."""
_BLOCK = 1 << 16
_TRIES = 200
_BETWEEN = 0.05  # seconds


@contextmanager
def hold(folder: Path, *, pause: Pause | None = None) -> Iterator[int]:
    """Hold a folder against other runs of ours, and yield its descriptor.

    Where the file system has no locks, nobody is kept out.

    Args:
        folder: Which.
        pause: Waits between tries, for ten seconds in all; without it there is one try.

    Raises:
        UsageError: ``no-such-folder``.
        UnavailableError: ``folder-held``: another run is at work in it; ``unreadable``.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise UsageError(
            "no-such-folder", f"there is no folder at {str(folder)!r}", path=str(folder)
        ) from None
    except OSError as error:
        raise UnavailableError("unreadable", f"cannot read {str(folder)!r}: {error.strerror}") from None
    try:
        _lock(descriptor, folder, pause)
        yield descriptor
    finally:
        os.close(descriptor)


def write_held(
    target: Path,
    content: bytes,
    *,
    overwrite: bool,
    pause: Pause,
    mode: int | None = None,
    check: Check = unchecked,
) -> None:
    """Write a file while its folder is held: the folder, since what replaces a file is another file.

    Args:
        target: Where; a link that lies there is never followed.
        content: All of it.
        overwrite: Replace a file that lies there.
        pause: Waits while another run holds the folder.
        mode: Permissions, exactly; those of every new file where absent.
        check: Called at the last moment before a file is replaced, for file systems without locks too.

    Raises:
        UsageError, UnavailableError: As `hold` and `trustkit.storage.local.write_new`.
    """
    with hold(target.parent, pause=pause):
        if mode is None:
            write_new(target, content, overwrite=overwrite, check=check)
        else:
            write_new(target, content, overwrite=overwrite, mode=mode, exact=True, check=check)


def destroy(folder: int, name: str, *, path: Path) -> None:
    """Overwrite a regular file of an open folder with zeros, and remove it; both are synced.

    Args:
        folder: Descriptor of the folder.
        name: One component; a link of that name is not followed.
        path: What messages call the file.

    Raises:
        UnavailableError: ``unwritable``; then its name is still there.
    """
    try:
        reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            os.fchmod(reading, 0o600)
            writing = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                _overwrite(writing)
            finally:
                os.close(writing)
        finally:
            os.close(reading)
        os.unlink(name, dir_fd=folder)
    except OSError as error:
        raise unwritable(path, error) from None
    sync_folder(folder)


def _overwrite(descriptor: int) -> None:
    left = os.fstat(descriptor).st_size
    while left:
        size = min(left, _BLOCK)
        write_all(descriptor, bytes(size))
        left -= size
    os.fsync(descriptor)


def _lock(descriptor: int, folder: Path, pause: Pause | None) -> None:
    left = 0 if pause is None else _TRIES
    while not _locked(descriptor):
        if pause is not None and left:
            left -= 1
            pause(_BETWEEN)
            continue
        raise UnavailableError(
            "folder-held", f"another run is changing {str(folder)!r}; wait until it is done"
        )


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks here
        return True
    return True
