"""One file of an artifact: what the walk saw of it, and how it is opened.

The law of this file: nothing is opened by a path that someone else could bend.
Every lookup starts at a folder that is held open and goes one component at a
time, following no link; what is found is held against what was seen before.
Names are UTF-8 on the way to the system, whatever the locale says.
"""

from __future__ import annotations

import os
import stat
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import overload

from trustkit.artifact.inputs import NOT_A_FILE, NOWHERE
from trustkit.artifact.names import Names, in_order
from trustkit.errors import FormatError, UnavailableError, VerificationError
from trustkit.records import dataclass

PLACE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a folder is opened that others are looked up in; it needs no right to list it."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # a FIFO must not hang us
_FIELDS, _INODE, _SIZE = 5, 1, 2


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


class Files(Sequence[TreeFile]):
    """The files of an artifact in columns, each a `TreeFile` only while it is used.

    Whatever is rare (behind a link, hard-linked, from before 1970) is kept as it is.

    Attributes:
        names: Their names, in the same order.
    """

    __slots__ = ("_numbers", "_rare", "names")

    def __init__(self) -> None:
        self.names = Names()
        self._numbers = array("Q")
        self._rare: dict[int, TreeFile] = {}

    def append(self, file: TreeFile) -> None:
        """Add a file; its name was checked."""
        numbers = _numbers(file.stamp)
        if file.base or file.links != 1 or file.path != file.name or min(numbers) < 0:
            self._rare[len(self.names)] = file
            numbers = tuple(max(number, 0) for number in numbers)
        self.names.append(file.name)
        self._numbers.extend(numbers)

    def sort(self) -> None:
        """Sort by name, in code points."""
        if in_order(self.names):
            return
        names = list(self.names)
        order = sorted(range(len(names)), key=names.__getitem__)
        numbers = array("Q")
        for place in order:
            numbers.extend(self._numbers[place * _FIELDS : (place + 1) * _FIELDS])
        self._rare = {new: self._rare[old] for new, old in enumerate(order) if old in self._rare}
        self._numbers, self.names = numbers, Names(names[place] for place in order)

    def sizes(self) -> array[int]:
        """Return the sizes of all files (bytes)."""
        return self._numbers[_SIZE::_FIELDS]

    def linked(self) -> Iterator[TreeFile]:
        """Yield the files that have other hard links."""
        return (file for file in self._rare.values() if file.links > 1)

    def find(self, name: str, guess: int = 0) -> int | None:
        """Return the place of a file by its name, looking at a guess first; they must be sorted."""
        if guess < len(self.names) and self.names[guess] == name:
            return guess
        place = bisect_left(self.names, name)
        return place if place < len(self.names) and self.names[place] == name else None

    def holds(self, device: int, inode: int) -> bool:
        """Say whether one of the files is this one, by whatever name."""
        inodes = self._numbers[_INODE::_FIELDS]
        return inode in inodes and any(
            (file.stamp.device, file.stamp.inode) == (device, inode) for file in self
        )

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[TreeFile]:
        for place, name in enumerate(self.names):
            yield self._at(place, name)

    @overload
    def __getitem__(self, index: int) -> TreeFile: ...
    @overload
    def __getitem__(self, index: slice) -> list[TreeFile]: ...
    def __getitem__(self, index: int | slice) -> TreeFile | list[TreeFile]:
        places = range(len(self))[index]
        if isinstance(places, range):
            return [self._at(place, self.names[place]) for place in places]
        return self._at(places, self.names[places])

    def _at(self, place: int, name: str) -> TreeFile:
        rare = self._rare.get(place)
        if rare is not None:
            return rare
        return TreeFile(name, 0, name, Stamp(*self._numbers[place * _FIELDS : (place + 1) * _FIELDS]))


def _numbers(stamp: Stamp) -> tuple[int, ...]:
    return stamp.device, stamp.inode, stamp.size, stamp.mtime_ns, stamp.ctime_ns


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
