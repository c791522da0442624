"""How a file gets its content and then its name, so that nobody ever sees half of it.

The law of this file: under a final name lies either what lay there before or
the whole new content, at any instant and after any failure. Content is written
to a file without a name where the system has such (O_TMPFILE), so that not even
a killed process leaves anything; it gets its name by a link, which cannot
replace. To replace, and only then, it is renamed. File systems without these
calls are served by the older ways, down to creating the name exclusively; names
that last for a moment are removed twice, since an interrupt may hit the first.

What a killed process can leave, and how it goes: without O_TMPFILE, or between
link and rename where a file is replaced, one file ``.trustkit-INODE.part``. It
names its own inode and nobody holds its lock; `sweep` removes what is both.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
import stat
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LEFT = re.compile(r"\.trustkit-[0-9]+\.part")
_COUNT = itertools.count()
Check = Callable[[], None]
"""Raises where a file may not be replaced after all."""


def unchecked() -> None:
    """Let everything be replaced."""


def place(
    folder: int,
    name: str,
    content: bytes,
    *,
    overwrite: bool,
    mode: int,
    exact: bool = False,
    check: Check = unchecked,
) -> None:
    """Write a file below an open folder, whole and synced, and give it its name.

    Args:
        folder: Descriptor of the folder.
        name: One component. A link that lies there is never followed.
        content: All of it.
        overwrite: Replace what lies there.
        mode: Permissions, less the umask.
        exact: Take the permissions as they are, whatever the umask.
        check: Called at the last moment before something is replaced; what it raises keeps that.

    Raises:
        FileExistsError: Without *overwrite*, something lies there.
        OSError: It cannot be written; whatever was there still is.
    """
    longer = partial(
        _by_private_name, folder, name, content, overwrite=overwrite, mode=mode, exact=exact, check=check
    )
    try:
        descriptor = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode, dir_fd=folder)
    except OSError:
        longer()
        return
    try:
        _hold(descriptor)
        _fill(descriptor, content, mode if exact else None)
        _name(folder, descriptor, name, overwrite=overwrite, check=check)
    except FileExistsError:
        raise
    except OSError:  # no /proc, or no hard links: the longer way works there, or says what is wrong
        longer()
    finally:
        os.close(descriptor)
    sync_folder(folder)


def _fill(descriptor: int, content: bytes, exactly: int | None) -> None:
    if exactly is not None:
        with contextlib.suppress(OSError):  # FAT and the like; it was made with no more than that
            os.fchmod(descriptor, exactly)
    write_all(descriptor, content)
    os.fsync(descriptor)


def _name(folder: int, descriptor: int, name: str, *, overwrite: bool, check: Check) -> None:
    """Give a file without a name its final one; to replace, first a private one, and then rename."""
    source = f"/proc/self/fd/{descriptor}"
    if not overwrite:
        os.link(source, name, dst_dir_fd=folder, follow_symlinks=True)
        return
    private = _private(os.fstat(descriptor))
    try:
        try:
            os.link(source, private, dst_dir_fd=folder, follow_symlinks=True)
            check()
            os.rename(private, name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            _remove(folder, private)
    finally:
        _remove(folder, private)


def _by_private_name(
    folder: int, name: str, content: bytes, *, overwrite: bool, mode: int, exact: bool, check: Check
) -> None:
    """Write under a private name, then link (which cannot replace) or rename (which can)."""
    first = f".trustkit-{os.getpid()}-{threading.get_native_id()}-{next(_COUNT)}.part"
    while _lexists(folder, first):  # a killed process of the same number left it, empty: not ours to remove
        first = f".trustkit-{os.getpid()}-{threading.get_native_id()}-{next(_COUNT)}.part"
    names = [first]
    try:
        try:
            _write_exclusively(folder, names, content, mode, exact=exact)
            if overwrite:
                check()
                os.rename(names[-1], name, src_dir_fd=folder, dst_dir_fd=folder)
            else:
                _link(folder, names[-1], name, mode)
        finally:
            _remove_all(folder, names)
    finally:
        _remove_all(folder, names)
    sync_folder(folder)


def _write_exclusively(folder: int, names: list[str], content: bytes, mode: int, *, exact: bool) -> None:
    """Make a file under the first name, let it say its inode, and fill it; add the name it has then."""
    descriptor = os.open(names[0], _NEW, mode, dir_fd=folder)
    try:
        _hold(descriptor)
        names.append(_private(os.fstat(descriptor)))
        os.rename(*names, src_dir_fd=folder, dst_dir_fd=folder)
        _fill(descriptor, content, mode if exact else None)
    finally:
        os.close(descriptor)


def _link(folder: int, private: str, name: str, mode: int) -> None:
    try:
        os.link(private, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if _lexists(folder, name):
            raise FileExistsError from None
        _claim(folder, private, name, mode)


def _claim(folder: int, private: str, name: str, mode: int) -> None:
    """Take the name with an empty file, which only one can, and rename over that."""
    try:
        try:
            os.close(os.open(name, _NEW, mode, dir_fd=folder))
            os.rename(private, name, src_dir_fd=folder, dst_dir_fd=folder)
        except FileExistsError:  # somebody else's claim, not ours to take away
            private = name
            raise
        finally:
            _unclaim(folder, private, name)
    finally:
        _unclaim(folder, private, name)


def _unclaim(folder: int, private: str, name: str) -> None:
    """Take an empty claim away, unless the rename was reached or another one holds the name."""
    with contextlib.suppress(FileNotFoundError):
        held = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if private != name and _lexists(folder, private) and stat.S_ISREG(held.st_mode) and not held.st_size:
            _remove(folder, name)


def _lexists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _remove_all(folder: int, names: list[str]) -> None:
    for name in names:
        _remove(folder, name)


def _remove(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _private(status: os.stat_result) -> str:
    """Return a name for a moment that no other file of this system can have: it is the file's own inode."""
    return f".trustkit-{status.st_ino}.part"


def _hold(descriptor: int) -> None:
    """Say that somebody lives who writes this file; where the system has no locks, nobody sweeps either."""
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def sweep(path: Path) -> int:
    """Remove from a folder what killed processes left there, and return how many files that were.

    Only regular files that are named by their own inode and that nobody holds; trouble leaves them.
    """
    removed = 0
    with contextlib.suppress(OSError):
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in filter(_LEFT.fullmatch, os.listdir(folder)):  # noqa: PTH208 - pathlib reads no descriptors
                removed += _swept(folder, name)
        finally:
            os.close(folder)
    return removed


def _swept(folder: int, name: str) -> bool:
    with contextlib.suppress(OSError):
        descriptor = os.open(name, _LOOK, dir_fd=folder)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode) and _private(status) == name:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(name, dir_fd=folder)
                return True
        finally:
            os.close(descriptor)
    return False


def sync_folder(folder: int) -> None:
    """Make names durable where the file system can; the contents were synced before."""
    with contextlib.suppress(OSError):
        os.fsync(folder)


def write_all(descriptor: int, content: bytes | bytearray | memoryview) -> None:
    """Write every byte: one call may take fewer, at a signal or near the end of a disk."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
