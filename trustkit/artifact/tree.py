"""An artifact on a disk, opened once: every entry accounted for, none followed blindly.

The law of this file: the root is opened once and stays open, so that names keep
meaning the same files; all below it is found by `walk` and opened by `files`.
Regular files become `TreeFile`; folders are entered; anything else is an error,
because a signature that silently skips an entry does not cover the artifact
(OMS v1.0, enumeration; oms-format 1.5).
"""

from __future__ import annotations

import os
import stat
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from trustkit.artifact.files import (
    PLACE,
    Files,
    TreeFile,
    changed,
    check_regular,
    encoded,
    open_file,
    stamp_of,
)
from trustkit.artifact.inputs import NOWHERE, decoded, status_of
from trustkit.artifact.names import check_distinct, check_name
from trustkit.artifact.walk import MAX_FILES, Rules, Walk
from trustkit.errors import FormatError, LimitError, UnavailableError, UsageError
from trustkit.records import dataclass, field, replace


@dataclass(slots=True)
class Tree:
    """An open artifact. Use it as a context manager; it closes its folders, as does letting it go.

    Attributes:
        root: The path it was opened at, for messages.
        single: Whether it is a single file; then `files` holds exactly that one.
        bases: Open folders that the files are opened below.
        files: Every regular file, sorted by name.
        ignored: Entries that were left out because the caller said so, sorted.
        rules: How the walk went, so that it can be gone again.
    """

    root: Path
    single: bool
    bases: list[int]
    files: Files = field(default_factory=Files)
    ignored: list[str] = field(default_factory=list)
    rules: Rules = field(default_factory=Rules)

    def open(self, file: TreeFile) -> int:
        """Open a file of this tree for reading and return the descriptor.

        Raises:
            VerificationError: ``file-changed`` if it is not the file the walk saw.
            UnavailableError: ``unreadable``.
        """
        if not self.bases:
            raise ValueError("this tree was closed")
        descriptor = open_file(self.bases[file.base], file.path)
        try:
            if stamp_of(os.fstat(descriptor)) != file.stamp:
                raise changed(file.name)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def check_unchanged(self) -> None:
        """Look at every entry again, by the same rules: hashing takes long, a verdict is about one moment.

        Raises:
            VerificationError: ``file-changed`` for what was added, removed or written to since then.
        """
        again = _Again(self.files)
        if self.single:
            only = self.files[0]
            descriptor = open_file(self.bases[only.base], only.path)
            try:
                again.append(replace(only, stamp=stamp_of(os.fstat(descriptor))))
            finally:
                os.close(descriptor)
            ignored: list[str] = []
        else:
            ignored = self._walked_again(again)
        wrong = [*again.wrong(), *sorted(set(ignored) ^ set(self.ignored))]
        if wrong:
            raise changed(wrong[0])

    def _walked_again(self, again: _Again) -> list[str]:
        walk = Walk(self.root, [os.dup(self.bases[0])], self.rules, again)
        try:
            walk.run()
        except (FormatError, LimitError) as error:  # it was not there the first time
            raise changed(str(error.evidence.get("name", "."))) from None
        finally:
            for base in walk.bases:
                os.close(base)
        return walk.ignored

    def ignores(self, name: str) -> bool:
        """Say whether a name was left out, itself or with a folder around it."""
        while name:
            place = bisect_left(self.ignored, name)
            if place < len(self.ignored) and self.ignored[place] == name:
                return True
            name = name.rpartition("/")[0]
        return False

    def close(self) -> None:
        """Close the folders this tree holds open."""
        while self.bases:
            os.close(self.bases.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class _Again:
    """Holds what a second walk finds against the first, file by file, and keeps only what differs."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._seen = bytearray(len(files))
        self._count = self._next = 0
        self._wrong: list[str] = []

    def append(self, file: TreeFile) -> None:
        self._count += 1
        place = self._files.find(file.name, self._next)
        if place is None:
            self._wrong.append(file.name)
            return
        self._next = place + 1
        self._seen[place] = True
        if self._files[place].stamp != file.stamp:
            self._wrong.append(file.name)

    def sort(self) -> None:
        """They were compared already."""

    def __len__(self) -> int:
        return self._count

    def wrong(self) -> list[str]:
        """Return the names of what was added, removed or written to, sorted."""
        gone = (self._files.names[place] for place, seen in enumerate(self._seen) if not seen)
        return sorted([*self._wrong, *gone])


def scan(
    path: Path,
    *,
    allow_symlinks: bool = False,
    ignore: tuple[str, ...] = (),
    skip: frozenset[str] = frozenset(),
    max_files: int = MAX_FILES,
) -> Tree:
    """Walk an artifact, a folder or a single file, and return it open.

    Args:
        path: The artifact; the path itself may be a link, what lies below may not.
        allow_symlinks: Follow links that stay inside (or lead into a Hugging Face blobs folder).
        ignore: Relative names; each covers itself and all below it. Listed in `Tree.ignored`, not entered.
        skip: Exact relative names left out silently (the bundle under verification).
        max_files: Most files, and most folders.

    Raises:
        UsageError: ``no-such-path``.
        FormatError: ``special-file``, ``symlink``, ``link-escapes``, ``link-cycle``, ``link-dangling``,
            ``unsafe-name`` or ``name-twins``.
        LimitError: ``too-many-files``, ``name-too-deep`` or ``name-too-long``.
        VerificationError: ``file-changed`` if an entry vanished or was replaced meanwhile.
        UnavailableError: ``unreadable``.
    """
    status = status_of(path)
    if status is None:
        raise _nowhere(path)
    if stat.S_ISREG(status.st_mode):
        return _single(path)
    if not stat.S_ISDIR(status.st_mode):
        raise FormatError(
            "special-file", f"{str(path)!r} is neither a folder nor a regular file", name=str(path)
        )
    tree = Tree(path, single=False, bases=[_root(path)])
    try:
        tree.rules = Rules(allow_symlinks, frozenset(ignore), skip, max_files)
        Walk(path, tree.bases, tree.rules, tree.files, tree.ignored).run()
        check_distinct(tree.files.names)
    except BaseException:
        tree.close()
        raise
    return tree


def hard_linked(tree: Tree) -> Iterator[str]:
    """Yield names of files that have other hard links, which others may write through."""
    return (file.name for file in tree.files.linked())


def _single(path: Path) -> Tree:
    real = Path(os.path.realpath(path))
    tree = Tree(path, single=True, bases=[_root(real.parent)])
    try:
        tree.files.append(_only_file(path, decoded(real.name), tree.bases[0]))
    except BaseException:
        tree.close()
        raise
    return tree


def _only_file(path: Path, place: str, base: int) -> TreeFile:
    name = check_name(decoded(path.name))
    try:
        status = os.stat(encoded(place), dir_fd=base, follow_symlinks=False)
    except OSError as error:
        raise _unopened(path, error) from None
    check_regular(status, name)
    return TreeFile(name, 0, place, stamp_of(status), status.st_nlink)


def _root(path: Path) -> int:
    try:
        return os.open(path, PLACE & ~os.O_NOFOLLOW)  # the caller named it: a link is followed
    except OSError as error:
        raise _unopened(path, error) from None


def _unopened(path: Path, error: OSError) -> UsageError | UnavailableError:
    if error.errno in NOWHERE:
        return _nowhere(path)
    return UnavailableError("unreadable", f"cannot read {str(path)!r}: {error.strerror}", path=str(path))


def _nowhere(path: Path) -> UsageError:
    return UsageError("no-such-path", f"there is nothing at {str(path)!r}", path=str(path))
