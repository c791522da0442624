"""A folder that does not exist until it is whole: made beside its place, published by one rename.

The law of this file: under the final name lies nothing, or everything, and only
what was created here. Every entry is made and looked up from an open folder,
links are never followed, and what somebody else planted ends the work. A run
holds a lock on its staging; what carries the name and no lock was left by a
dead one, and the next run removes it.

    model/                       the target; must not exist
    .model.staging-4f1c…/        0700, this run's alone, wiped unless it is published
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from trustkit.artifact.files import encoded
from trustkit.artifact.names import check_name
from trustkit.digest import digest_of
from trustkit.errors import FormatError, UnavailableError, UsageError
from trustkit.storage.atomic import sync_folder, write_all
from trustkit.storage.finishing import altered, finish
from trustkit.storage.folders import (
    Identity,
    claim,
    identity_of,
    is_same,
    lexists,
    parent_of,
    remove,
    remove_dead,
    wipe,
)
from trustkit.storage.local import FOLDER, exists, unwritable

_TOKEN = re.compile(r"[0-9a-z]{8,64}")
_STALE = re.compile(r"[0-9a-f]{32}")
_LONGEST = 255 - len(f"..staging-{'0' * 64}")
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Staging:
    """Files on their way to *target*; a context manager that wipes them unless `publish` was reached.

    `create`, `write` and `rename` may be called from several threads.

    Args:
        target: The folder to publish. It must not exist; its own folder must.
        token: Random text (8 to 64 of ``0-9a-z``), which tells runs apart. What a killed run
            leaves is found again only where it is 32 lower-case hex digits.

    Raises:
        UsageError: ``output-exists`` or ``no-such-folder``.
        UnavailableError: ``unwritable``: permissions, a full or a read-only disk.
    """

    def __init__(self, target: Path, *, token: str) -> None:
        if _TOKEN.fullmatch(token) is None:
            raise ValueError("a staging token is 8 to 64 characters of 0-9a-z")
        self._target = target
        self._name = f"{_prefix(target)}{token}"
        self._lock = threading.Lock()
        self._files: dict[str, Identity] = {}
        self._folders: dict[str, Identity] = {}
        self._parent = self._root = -1

    def __enter__(self) -> Self:
        stale_staging(self._target)
        self._parent = parent_of(self._target)
        try:
            if lexists(self._parent, self._target.name):
                raise exists(self._target)
            self._root = claim(self._parent, self._name)
            return self  # noqa: TRY300 - inside, so that an interrupt here is caught too
        except BaseException as error:
            if not isinstance(error, Exception):  # interrupted: perhaps made, and we did not hear of it
                with contextlib.suppress(OSError):
                    os.rmdir(self._name, dir_fd=self._parent)
            self._close()
            if isinstance(error, OSError | ValueError):
                raise unwritable(self._target, error) from None
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with contextlib.suppress(OSError):
                self._discard()
        finally:
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        """Wipe again, where that was interrupted, and let go; trouble is told unless there is worse."""
        try:
            self._discard()
        except OSError as trouble:
            if error is None:
                raise unwritable(self._target, trouble) from None
        finally:
            self._close()

    def _discard(self) -> None:
        if self._root < 0 or not os.fstat(self._root).st_nlink:
            return  # published, or wiped already
        # The target is ours where the interrupt came right after the rename: published, and whole.
        if not is_same(self._parent, self._target.name, self._root):
            wipe(self._root)
            remove(self._parent, self._name, self._root)

    def create(self, name: str) -> int:
        """Make a new file and return its descriptor, open to read and write; the caller closes it.

        Raises:
            FormatError: ``unsafe-name``; ``duplicate-name`` for a second file of this name, or under a file.
            VerificationError: ``staging-altered``: somebody else made something there.
            UnavailableError: ``unwritable``.
        """
        *parents, last = check_name(name).split("/")
        with self._lock:
            if name in self._files or name in self._folders:
                raise _duplicate(name)
            folder = self._enter(parents, name)
            try:
                descriptor = os.open(encoded(last), _NEW, 0o600, dir_fd=folder)
                self._files[name] = identity_of(os.fstat(descriptor))
            except FileExistsError:
                raise altered(name) from None
            except OSError as error:
                raise unwritable(self._target / name, error) from None
            finally:
                os.close(folder)
        return descriptor

    def write(self, name: str, content: bytes) -> None:
        """Make a new file with this content; raises as `create` does."""
        descriptor = self.create(name)
        try:
            write_all(descriptor, content)
        except OSError as error:
            raise unwritable(self._target / name, error) from None
        finally:
            os.close(descriptor)

    def rename(self, name: str, new_name: str) -> None:
        """Give a file that was created here another name, which must be free; raises as `create` does."""
        *parents, last = check_name(name).split("/")
        *new_parents, new_last = check_name(new_name).split("/")
        with self._lock, contextlib.ExitStack() as stack:
            if new_name in self._files or new_name in self._folders:
                raise _duplicate(new_name)
            source = self._enter(parents, name)
            stack.callback(os.close, source)
            sink = self._enter(new_parents, new_name)
            stack.callback(os.close, sink)
            if lexists(sink, encoded(new_last)):
                raise altered(new_name)
            try:
                os.rename(encoded(last), encoded(new_last), src_dir_fd=source, dst_dir_fd=sink)
            except OSError as error:
                raise unwritable(self._target / new_name, error) from None
            self._files[new_name] = self._files.pop(name)

    def publish(self, *, file_mode: int = 0o444, folder_mode: int = 0o555) -> None:
        """Make everything visible at once, read-only and synced, under the final name.

        The kernel would let a rename replace an empty folder: one that is there is an error, and only
        one that is made in the instant between this look and the rename could lose its (empty) place.

        Raises:
            UsageError: ``output-exists``.
            VerificationError: ``staging-altered``: the tree is not what was created here.
            UnavailableError: ``unwritable``.
        """
        try:
            finish(self._root, self._files, self._folders, file_mode=file_mode, folder_mode=folder_mode)
            if lexists(self._parent, self._target.name):
                raise exists(self._target)
            _demand_same(self._parent, self._name, self._root)
            os.rename(self._name, self._target.name, src_dir_fd=self._parent, dst_dir_fd=self._parent)
        except (FileExistsError, NotADirectoryError):
            raise exists(self._target) from None
        except OSError as error:
            if lexists(self._parent, self._target.name):  # a folder that is not empty appeared meanwhile
                raise exists(self._target) from None
            raise unwritable(self._target, error) from None
        _demand_same(self._parent, self._target.name, self._root)
        # Not before: whoever is killed in between leaves a private folder, of either name.
        _show(self._target, self._root, self._parent, folder_mode)
        self._close()

    def _enter(self, parents: list[str], name: str) -> int:
        """Open the folder of a name, making what is missing; what is there must be what we made."""
        here = os.dup(self._root)
        try:
            for depth, component in enumerate(parents, 1):
                path = "/".join(parents[:depth])
                if path in self._files:
                    raise _duplicate(name)
                if path not in self._folders:
                    os.mkdir(encoded(component), 0o700, dir_fd=here)
                above, here = here, os.open(encoded(component), FOLDER, dir_fd=here)
                os.close(above)
                identity = identity_of(os.fstat(here))
                if self._folders.setdefault(path, identity) != identity:
                    raise altered(path)
        except BaseException as error:
            os.close(here)
            if isinstance(error, FileExistsError | NotADirectoryError | FileNotFoundError):
                raise altered(name) from None
            if isinstance(error, OSError):
                raise unwritable(self._target / name, error) from None
            raise
        return here

    def _close(self) -> None:
        held, self._root, self._parent = (self._root, self._parent), -1, -1
        for descriptor in held:
            if descriptor >= 0:
                os.close(descriptor)  # closing the root lets go of the lock


def stale_staging(target: Path) -> int:
    """Remove what dead runs left beside *target*, and return how many folders that were.

    A live run holds the lock of its staging. Where the file system has no locks, nothing is removed.
    """
    try:
        parent = parent_of(target)
    except (UsageError, UnavailableError):
        return 0  # the run itself will say so
    removed, prefix = 0, _prefix(target)
    try:
        for name in os.listdir(parent):  # noqa: PTH208 - pathlib reads no descriptors
            if name.startswith(prefix) and _STALE.fullmatch(name[len(prefix) :]):
                with contextlib.suppress(OSError):
                    removed += remove_dead(parent, name)
    finally:
        os.close(parent)
    return removed


def publish_left(target: Path, *, folder_mode: int = 0o555) -> None:
    """Do the last step for a run that was killed right before it: its folder has the final name already.

    The caller has compared all that lies there; until this step nobody else could even look at it.

    Raises:
        UsageError: ``no-such-folder``.
        UnavailableError: ``unwritable``.
    """
    parent = parent_of(target)
    try:
        root = os.open(target.name, FOLDER, dir_fd=parent)
        try:
            _show(target, root, parent, folder_mode)
        finally:
            os.close(root)
    except OSError as error:
        raise unwritable(target, error) from None
    finally:
        os.close(parent)


def _show(target: Path, root: int, parent: int, folder_mode: int) -> None:
    """Let others read a folder that is whole and has its final name, and make both last."""
    try:
        os.fchmod(root, folder_mode)
    except OSError as error:
        raise unwritable(target, error) from None
    sync_folder(root)
    sync_folder(parent)


def _prefix(target: Path) -> str:
    """Begin a staging's name with the target's, or with its hash where both together are no name."""
    raw = target.name.encode("utf-8", "backslashreplace")
    return f".{target.name if len(raw) <= _LONGEST else digest_of(raw).hex}.staging-"


def _demand_same(folder: int, name: str, root: int) -> None:
    if not is_same(folder, name, root):
        raise altered(name)


def _duplicate(name: str) -> FormatError:
    return FormatError("duplicate-name", f"{name!r} is there twice, or is a file and a folder", name=name)
