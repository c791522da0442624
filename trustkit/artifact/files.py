"""One file of an artifact: what the walk saw of it, and how it is opened.

The law of this file: nothing is opened by a path that someone else could bend.
Every lookup starts at a folder that is held open and goes one component at a
time, following no link; what is found is held against what was seen before.
Names are UTF-8 on the way to the system, whatever the locale says.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from trustkit.artifact.inputs import NOT_A_FILE, NOWHERE
from trustkit.errors import FormatError, UnavailableError, VerificationError

PLACE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a folder is opened that others are looked up in; it needs no right to list it."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # a FIFO must not hang us


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the kernel says of a file. Equal stamps mean that nobody wrote to it openly in between.

    It catches writers that do not know of us. Who may write to the folder can hide a write within one tick
    of the file system's clock, or behind a mapping: against him only a private copy helps.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class TreeFile:
    """One regular file of the artifact.

    Attributes:
        name: Its relative POSIX name, already checked.
        base: Index into the tree's bases: the folder it is opened below.
        path: Where it really lies below that base (differs from the name only behind a link).
        stamp: What it looked like when the walk saw it.
        links: Number of hard links.
    """

    name: str
    base: int
    path: str
    stamp: Stamp
    links: int = 1


def stamp_of(status: os.stat_result) -> Stamp:
    """Take the identity of a file from its status."""
    return Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def check_regular(status: os.stat_result, name: str) -> None:
    """Refuse what is neither a folder nor a regular file.

    Raises:
        FormatError: ``special-file``.
    """
    if not stat.S_ISREG(status.st_mode):
        raise FormatError(
            "special-file",
            f"{name!r} is a FIFO, socket or device; only regular files can be signed",
            name=name,
        )


def open_file(base: int, path: str) -> int:
    """Open a regular file below an open folder and return its descriptor.

    Raises:
        VerificationError: ``file-changed`` if a component became a link, something special, or vanished.
        UnavailableError: ``unreadable`` if the system refuses to read it.
    """
    descriptor = _open(base, path, _FILE)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise changed(path)
    return descriptor


def open_folder(base: int, path: str) -> int:
    """Open a folder below an open folder (itself where *path* is empty) to list it.

    Raises:
        VerificationError: ``file-changed`` if a component became a link, or vanished.
        UnavailableError: ``unreadable`` if the system refuses to list it.
    """
    return _open(base, path or ".", _FOLDER)


def encoded(path: str) -> bytes:
    """Return a name as the file system has it: UTF-8, and the bytes that never were."""
    return path.encode("utf-8", "surrogateescape")


def changed(name: str) -> VerificationError:
    """Build the error for a file that moved under our hands."""
    return VerificationError(
        "file-changed", f"{name!r} changed while it was read; stop the writer and run again", name=name
    )


def unreadable(name: str, error: OSError) -> UnavailableError:
    """Build the error for what is there and cannot be read."""
    return UnavailableError("unreadable", f"cannot read {name!r}: {error.strerror}", name=name)


def _open(base: int, path: str, flags: int) -> int:
    *folders, last = encoded(path).split(b"/")
    here = base
    try:
        for folder in folders:
            above, here = here, os.open(folder, PLACE, dir_fd=here)
            if above != base:
                os.close(above)
        return os.open(last, flags, dir_fd=here)
    except OSError as error:
        if error.errno in NOWHERE | NOT_A_FILE:
            raise changed(path) from None
        raise unreadable(path, error) from None
    finally:
        if here != base:
            os.close(here)
