"""How a file gets its content and then its name, so that nobody ever sees half of it.

The law of this file: under a final name lies either what lay there before or
the whole new content, at any instant and after any failure. Content is written
to a file without a name where the system has such (O_TMPFILE), so that not even
a killed process leaves anything; it gets its name by a link, which cannot
replace. To replace, and only then, it is renamed. File systems without these
calls are served by the older ways, down to creating the name exclusively; names
that last for a moment are removed twice, since an interrupt may hit the first.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import threading

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_COUNT = itertools.count()


def place(folder: int, name: str, content: bytes, *, overwrite: bool, mode: int) -> None:
    """Write a file below an open folder, whole and synced, and give it its name.

    Args:
        folder: Descriptor of the folder.
        name: One component. A link that lies there is never followed.
        content: All of it.
        overwrite: Replace what lies there.
        mode: Permissions, less the umask.

    Raises:
        FileExistsError: Without *overwrite*, something lies there.
        OSError: It cannot be written; whatever was there still is.
    """
    try:
        descriptor = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode, dir_fd=folder)
    except OSError:
        _by_private_name(folder, name, content, overwrite=overwrite, mode=mode)
        return
    try:
        _fill(descriptor, content)
        _name(folder, descriptor, name, overwrite=overwrite)
    except FileExistsError:
        raise
    except OSError:  # no /proc, or no hard links: the longer way works there, or says what is wrong
        _by_private_name(folder, name, content, overwrite=overwrite, mode=mode)
    finally:
        os.close(descriptor)
    sync_folder(folder)


def _fill(descriptor: int, content: bytes) -> None:
    write_all(descriptor, content)
    os.fsync(descriptor)


def _name(folder: int, descriptor: int, name: str, *, overwrite: bool) -> None:
    """Give a file without a name its final one; to replace, first a private one, and then rename."""
    source = f"/proc/self/fd/{descriptor}"
    if not overwrite:
        os.link(source, name, dst_dir_fd=folder, follow_symlinks=True)
        return
    private = f".trustkit-{os.fstat(descriptor).st_ino}.part"  # nobody else has this inode
    try:
        try:
            os.link(source, private, dst_dir_fd=folder, follow_symlinks=True)
            os.rename(private, name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            _remove(folder, private)
    finally:
        _remove(folder, private)


def _by_private_name(folder: int, name: str, content: bytes, *, overwrite: bool, mode: int) -> None:
    """Write under a private name, then link (which cannot replace) or rename (which can)."""
    private = f".trustkit-{os.getpid()}-{threading.get_native_id()}-{next(_COUNT)}.part"
    while _lexists(folder, private):  # a killed process of the same number left it: not ours to remove
        private = f".trustkit-{os.getpid()}-{threading.get_native_id()}-{next(_COUNT)}.part"
    try:
        try:
            _write_exclusively(folder, private, content, mode)
            if overwrite:
                os.rename(private, name, src_dir_fd=folder, dst_dir_fd=folder)
            else:
                _link(folder, private, name, mode)
        finally:
            _remove(folder, private)
    finally:
        _remove(folder, private)
    sync_folder(folder)


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


def _write_exclusively(folder: int, name: str, content: bytes, mode: int) -> None:
    descriptor = os.open(name, _NEW, mode, dir_fd=folder)
    try:
        _fill(descriptor, content)
    finally:
        os.close(descriptor)


def _lexists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _remove(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def sync_folder(folder: int) -> None:
    """Make names durable where the file system can; the contents were synced before."""
    with contextlib.suppress(OSError):
        os.fsync(folder)


def write_all(descriptor: int, content: bytes | bytearray | memoryview) -> None:
    """Write every byte: one call may take fewer, at a signal or near the end of a disk."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
