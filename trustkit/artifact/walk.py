"""One pass over a folder tree: which entries are files, folders, links, or refused.

The only place that decides about links. Without permission every link is an
error that names ``--allow-symlinks``. With it, a link may lead to a file or
folder inside the artifact, or, for a Hugging Face cache snapshot, to a file in
the blobs folder beside the snapshots; folders behind links are walked too,
because the reference leaves them unsigned (oms-format 1.5). One folder is open
at a time and nothing recurses, so depth costs neither descriptors nor stack.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Protocol

from trustkit.artifact.files import (
    PLACE,
    Files,
    TreeFile,
    changed,
    check_regular,
    encoded,
    open_folder,
    stamp_of,
    unreadable,
)
from trustkit.artifact.inputs import NOWHERE, decoded, is_folder
from trustkit.artifact.names import check_name
from trustkit.errors import FormatError, LimitError
from trustkit.records import dataclass, field

MAX_FILES = 2_000_000
"""Most files in one artifact, and most folders."""
MAX_LINKED_FOLDERS = 10_000
"""Most folders that links lead to, each as often as it is entered: a few links, one in the other's folder,
are a path for every subset of them."""

_ROOT = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """What one walk does with what it meets.

    Attributes:
        allow_symlinks: Follow links that stay inside.
        ignore: Relative names that are listed as ignored and not entered.
        skip: Exact relative names that are left out silently, also where a linked folder shows them again.
        max_files: Cap on files, and on folders.
    """

    allow_symlinks: bool = False
    ignore: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()
    max_files: int = MAX_FILES


class Finds(Protocol):
    """What takes the files that a walk finds."""

    def append(self, file: TreeFile, /) -> None:
        """Take a file."""

    def sort(self) -> None:
        """Sort them by name; the walk has ended."""

    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to be listed: its name, its real place below a base, and the folder that led to it."""

    name: str
    base: int
    place: str
    identity: tuple[int, int]
    above: _Folder | None

    def lies_in(self, identity: tuple[int, int]) -> bool:
        here: _Folder | None = self
        while here is not None and here.identity != identity:
            here = here.above
        return here is not None


@dataclass(slots=True)
class Walk:
    """The state of one walk; `run` fills `files` and `ignored`, and adds to `bases` what it opens.

    Attributes:
        root: The artifact's folder, only to resolve links against.
        bases: Open folders that places are relative to; the first is the root.
    """

    root: Path
    bases: list[int]
    rules: Rules
    files: Finds = field(default_factory=Files)
    ignored: list[str] = field(default_factory=list)
    _pending: list[_Folder] = field(default_factory=list)
    _roots: list[bytes] = field(default_factory=list)
    _folders: int = 0
    _linked: int = 0

    def run(self) -> None:
        """Walk from the root, names in order, so that the same tree fails in the same way."""
        self._roots = _roots(self.root) if self.rules.allow_symlinks else []
        status = os.fstat(self.bases[_ROOT])
        self._pending.append(_Folder("", _ROOT, "", (status.st_dev, status.st_ino), None))
        while self._pending:
            self._list(self._pending.pop())
        self.files.sort()
        self.ignored.sort()

    def _list(self, folder: _Folder) -> None:
        before = len(self._pending)
        descriptor = open_folder(self.bases[folder.base], folder.place)
        try:
            status = os.fstat(descriptor)
            if (status.st_dev, status.st_ino) != folder.identity:
                raise changed(folder.name)
            for entry in self._sorted(descriptor):
                self._entry(entry, folder)
        except OSError as error:
            raise unreadable(folder.name or ".", error) from None
        finally:
            os.close(descriptor)
        self._pending[before:] = self._pending[before:][::-1]

    def _sorted(self, descriptor: int) -> list[os.DirEntry[str]]:
        found = []
        with os.scandir(descriptor) as entries:
            for entry in entries:
                found.append(entry)
                if len(found) > 2 * self.rules.max_files:
                    raise self._too_many()
        found.sort(key=_entry_name)
        return found

    def _entry(self, entry: os.DirEntry[str], folder: _Folder) -> None:
        own = decoded(entry.name)
        name = check_name(f"{folder.name}/{own}" if folder.name else own)
        # Where no link was followed, the place is the name: one text for both.
        place = name if folder.place == folder.name else f"{folder.place}/{own}"
        if name in self.rules.skip or (place in self.rules.skip and folder.base == _ROOT):
            return
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            raise changed(name) from None
        if name in self.rules.ignore:
            if not (stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode)):
                check_regular(status, name)  # a pipe would hang whoever reads what was left out
            self.ignored.append(name)
            return
        if stat.S_ISLNK(status.st_mode):
            self._link(name, folder, place)
        else:
            self._found(name, (folder.base, place), status, folder)

    def _found(self, name: str, place: tuple[int, str], status: os.stat_result, above: _Folder) -> None:
        if not stat.S_ISDIR(status.st_mode):
            check_regular(status, name)
            if len(self.files) >= self.rules.max_files:
                raise self._too_many()
            self.files.append(TreeFile(name, *place, stamp_of(status), status.st_nlink))
            return
        identity = (status.st_dev, status.st_ino)
        if above.lies_in(identity):  # a link, or a mount
            raise FormatError("link-cycle", f"{name!r} leads back into a folder that contains it", name=name)
        self._folders += 1
        if self._folders > self.rules.max_files:
            raise self._too_many()
        self._linked += place[1] != name
        if self._linked > MAX_LINKED_FOLDERS:
            raise LimitError(
                "too-many-links",
                f"links lead to more than {MAX_LINKED_FOLDERS} folders, {name!r} among them; "
                "replace the links by what they lead to",
                limit=MAX_LINKED_FOLDERS,
                name=name,
            )
        self._pending.append(_Folder(name, *place, identity, above))

    def _link(self, name: str, folder: _Folder, place: str) -> None:
        if not self.rules.allow_symlinks:
            raise FormatError(
                "symlink",
                f"{name!r} is a symbolic link; replace it by its file, or use --allow-symlinks",
                name=name,
            )
        target = _target(os.path.join(self._roots[folder.base], encoded(place)), name)  # noqa: PTH118 - bytes
        base, found = self._below(target, name)
        status = os.stat(encoded(found) or b".", dir_fd=self._base(base), follow_symlinks=False)
        # Blobs are files; a folder there is nobody's model.
        if base != _ROOT and stat.S_ISDIR(status.st_mode):
            raise _escapes(name)
        self._found(name, (base, found), status, folder)

    def _below(self, target: bytes, name: str) -> tuple[int, str]:
        for base, root in enumerate(self._roots):
            inner = root.rstrip(b"/") + b"/"
            if target != root and not target.startswith(inner):
                continue
            place = target[len(inner) :].decode("utf-8", "surrogateescape")
            if base == _ROOT or (place and "/" not in place):
                return base, place
        raise _escapes(name)

    def _base(self, base: int) -> int:
        if base == len(self.bases):
            self.bases.append(os.open(self._roots[base], PLACE))
        return self.bases[base]

    def _too_many(self) -> LimitError:
        most = self.rules.max_files
        return LimitError("too-many-files", f"the artifact has more than {most} files or folders", limit=most)


def _roots(root: Path) -> list[bytes]:
    """Return the folders a link may lead into: the root, and a Hugging Face snapshot's blobs."""
    real = Path(os.path.realpath(root))
    blobs = real.parent.parent / "blobs"
    cached = real.parent.name == "snapshots" and is_folder(blobs)
    return [os.fsencode(folder) for folder in ([real, blobs] if cached else [real])]


def _target(link: bytes, name: str) -> bytes:
    try:
        return os.path.realpath(link, strict=True)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FormatError("link-cycle", f"the link {name!r} leads back to itself", name=name) from None
        if error.errno in NOWHERE:
            raise FormatError("link-dangling", f"the link {name!r} leads to nothing", name=name) from None
        raise


def _escapes(name: str) -> FormatError:
    return FormatError(
        "link-escapes",
        f"the link {name!r} leads out of the artifact; copy what it leads to in its place (cp -rL does)",
        name=name,
    )


def _entry_name(entry: os.DirEntry[str]) -> str:
    return entry.name
