"""A tree is held against what was created of it, and made read-only and lasting, from the bottom up.

The law of this file: every entry is there, is the very file or folder that was
made, and nothing else is; the first thing that is not ends the work. Names are
UTF-8 on the way to the system and back, whatever the locale says.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from trustkit.artifact.files import encoded
from trustkit.artifact.inputs import decoded
from trustkit.errors import VerificationError
from trustkit.storage.atomic import sync_folder
from trustkit.storage.folders import Descent, Identity, identity_of, open_entry


def finish(
    root: int,
    files: Mapping[str, Identity],
    folders: Mapping[str, Identity],
    *,
    file_mode: int,
    folder_mode: int,
) -> None:
    """Hold an open folder against what was created in it, sync all and set all modes but its own.

    Raises:
        VerificationError: ``staging-altered``.
        OSError: Something cannot be read, synced or changed.
    """
    expected = _by_folder(files, folders)
    place = Descent(root)
    try:
        left = [("", _check_entries(place.here, "", expected, files, mode=file_mode))]
        while left:
            name, below = left[-1]
            if below:
                child = below.pop()
                _enter(place, child, folders[child])
                left.append((child, _check_entries(place.here, child, expected, files, mode=file_mode)))
                continue
            left.pop()
            if left:
                os.fchmod(place.here, folder_mode)
            sync_folder(place.here)
            if left and not place.up():
                raise altered(name)
    finally:
        place.close()


def altered(name: str) -> VerificationError:
    """Build the error for an entry that is not what was made."""
    return VerificationError(
        "staging-altered",
        f"{name!r} was changed from outside while it was being made; keep others out of that folder",
        name=name,
    )


def _by_folder(files: Mapping[str, Identity], folders: Mapping[str, Identity]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name in (*files, *folders):
        found.setdefault(name.rpartition("/")[0], set()).add(name)
    return found


def _check_entries(
    folder: int, prefix: str, expected: dict[str, set[str]], files: Mapping[str, Identity], *, mode: int
) -> list[str]:
    """Finish the files of one open folder, and return the names of its folders, last one first."""
    found = {f"{prefix}/{entry}" if prefix else entry for entry in map(decoded, os.listdir(folder))}
    wrong = found ^ expected.pop(prefix, set())
    if wrong:
        raise altered(min(wrong))
    for name in sorted(found & files.keys()):
        _finish_file(folder, name, files[name], mode)
    return sorted(found - files.keys(), reverse=True)


def _finish_file(folder: int, name: str, identity: Identity, mode: int) -> None:
    descriptor = open_entry(folder, encoded(name.rpartition("/")[2]))
    if descriptor is None:
        raise altered(name)
    try:
        status = os.fstat(descriptor)
        if identity_of(status) != identity or status.st_nlink != 1:
            raise altered(name)
        os.fsync(descriptor)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _enter(place: Descent, name: str, identity: Identity) -> None:
    try:
        place.down(encoded(name.rpartition("/")[2]))
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOENT, errno.ENOTDIR):
            raise altered(name) from None
        raise
    if identity_of(os.fstat(place.here)) != identity:
        raise altered(name)
