"""Folders by descriptor: claimed under a lock, wiped without following anything, told apart by identity.

The law of this file: a name may mean something else a moment later, a
descriptor may not. Whoever holds a folder's lock is alive; a folder without
one, under a name of ours and as private as we make them, belongs to a dead run.
Where the file system has no locks nobody can tell, and nothing is removed.
However deep a tree is, it takes as few descriptors as a flat one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path

from trustkit.errors import UsageError
from trustkit.storage.local import FOLDER, unwritable

_ATTEMPTS = 8
_PRIVATE = 0o700

Identity = tuple[int, int]
"""Device and inode."""


def identity_of(status: os.stat_result) -> Identity:
    """Take what tells a file apart from every other one."""
    return status.st_dev, status.st_ino


def lexists(folder: int, name: str | bytes) -> bool:
    """Say whether an open folder has this entry, whatever it is."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def is_same(folder: int, name: str, descriptor: int) -> bool:
    """Say whether a name still means the file or folder that is open as *descriptor*."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return identity_of(status) == identity_of(os.fstat(descriptor))


def open_entry(folder: int, name: bytes) -> int | None:
    """Open a file or folder to read it; None where a link, a socket or nothing at all has that name."""
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOENT, errno.ENXIO):
            return None
        raise


def parent_of(target: Path) -> int:
    """Open the folder that an output goes into.

    Raises:
        UsageError: ``no-such-folder``.
        UnavailableError: ``unwritable``.
    """
    try:
        return os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise UsageError(
            "no-such-folder", f"the folder of {str(target)!r} does not exist; make it first"
        ) from None
    except OSError as error:
        raise unwritable(target, error) from None


def claim(parent: int, name: str) -> int:
    """Make and lock a private folder, and return its descriptor; closing that lets go of the lock.

    Between making and locking, a cleaner may take it for a dead run's: then begin again.
    """
    for _ in range(_ATTEMPTS):
        os.mkdir(name, _PRIVATE, dir_fd=parent)
        with contextlib.suppress(FileNotFoundError):
            root = _opened(parent, name)
            with contextlib.suppress(OSError):  # no locks here, so nobody removes anything either
                fcntl.flock(root, fcntl.LOCK_EX)
            if is_same(parent, name, root):
                return root
            os.close(root)
    raise OSError(None, "its staging folder is taken away again and again")


def remove_dead(parent: int, name: str) -> bool:
    """Remove a folder of ours that no live run has locked; say whether it was one.

    Raises:
        OSError: It is locked, no folder, or cannot be removed.
    """
    root = os.open(name, FOLDER, dir_fd=parent)
    try:
        status = os.fstat(root)
        if status.st_uid != os.geteuid() or status.st_mode & 0o777 != _PRIVATE:  # a volume may set S_ISGID
            return False
        fcntl.flock(root, fcntl.LOCK_EX | fcntl.LOCK_NB)
        wipe(root)
        remove(parent, name, root)
    finally:
        os.close(root)
    return True


class Descent:
    """A place in a tree that moves one folder at a time and is one descriptor, however deep it is.

    The way up is held against the way down, so that a folder that is moved meanwhile leads nowhere.

    Args:
        root: An open folder; it stays the caller's, and so does its lock.

    Attributes:
        here: Descriptor of the folder.
    """

    def __init__(self, root: int) -> None:
        self.here = os.open(".", FOLDER, dir_fd=root)
        self._above: list[Identity] = []

    def down(self, name: bytes) -> None:
        """Go into a folder that lies here."""
        below, above = os.open(name, FOLDER, dir_fd=self.here), self.here
        self.here = below
        self._above.append(identity_of(os.fstat(above)))
        os.close(above)

    def up(self) -> bool:
        """Go back to the folder above; False if that is not the one we came from."""
        above, below = os.open("..", FOLDER, dir_fd=self.here), self.here
        self.here = above
        os.close(below)
        return identity_of(os.fstat(above)) == self._above.pop()

    def close(self) -> None:
        """Let go of the place."""
        os.close(self.here)


def wipe(folder: int) -> None:
    """Remove all that lies in an open folder, following nothing."""
    os.fchmod(folder, _PRIVATE)
    place = Descent(folder)
    try:
        way: list[bytes] = []
        left = [_unlink_files(place.here)]
        while left:
            if left[-1]:
                way.append(left[-1].pop())
                place.down(way[-1])
                left.append(_unlink_files(place.here))
                continue
            left.pop()
            if left:
                if not place.up():
                    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
                os.rmdir(way.pop(), dir_fd=place.here)
    finally:
        place.close()


def _unlink_files(folder: int) -> list[bytes]:
    """Remove all but the folders that lie in an open folder, and return their names."""
    os.fchmod(folder, _PRIVATE)
    with os.scandir(folder) as entries:
        found = [os.fsencode(entry.name) for entry in entries]
    folders = []
    for name in found:
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            folders.append(name)
        else:
            os.unlink(name, dir_fd=folder)
    return folders


def remove(parent: int, name: str, root: int) -> None:
    """Remove an emptied folder, if its name still means it."""
    if is_same(parent, name, root):
        os.rmdir(name, dir_fd=parent)


def _opened(parent: int, name: str) -> int:
    try:
        return os.open(name, FOLDER, dir_fd=parent)
    except FileNotFoundError:
        raise
    except BaseException:
        os.rmdir(name, dir_fd=parent)
        raise
