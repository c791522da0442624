"""Where manifests come from: files, folders, and standard input.

The law of this file: the same tree gives the same list, whatever the system's
order; a file that was named is read whatever it is called, a folder gives its
``.yaml``, ``.yml`` and ``.json`` files and none of hidden folders.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from trustkit.artifact.inputs import STANDARD_INPUT, is_folder, read_input, read_standard_input
from trustkit.errors import LimitError, UnavailableError
from trustkit.workloads.nodes import MAX_BYTES

MAX_FILES = 100_000
"""Most files that one run checks."""
_ENDINGS = (".yaml", ".yml", ".json")


def files_in(paths: Sequence[Path], exclude: Sequence[str]) -> list[Path]:
    """Return the files that paths mean, each once, those of a folder in the order of their names.

    Args:
        paths: Files, folders, or ``-``.
        exclude: Shell patterns; what matches by its name or its whole path is left out of folders.

    Raises:
        LimitError: ``too-many-files``.
        UnavailableError: ``unreadable``.
    """
    found: dict[Path, None] = {}
    for path in paths:
        for file in _below(path, exclude) if is_folder(path) else (path,):
            found[file] = None
            if len(found) > MAX_FILES:
                raise LimitError(
                    "too-many-files", f"more than {MAX_FILES} files; check parts", limit=MAX_FILES
                )
    return list(found)


def content_of(path: Path) -> bytes:
    """Read a file of manifests, or standard input where it is named so.

    Raises:
        UsageError, FormatError, LimitError, UnavailableError: As `read_input`; ``too-large``.
    """
    if str(path) != STANDARD_INPUT:
        return read_input(path, max_bytes=MAX_BYTES, what="manifest")
    return read_standard_input(max_bytes=MAX_BYTES, what="manifest")


def _below(folder: Path, exclude: Sequence[str]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        raise UnavailableError("unreadable", f"cannot read the folder {error.filename!r}: {error.strerror}")

    for where, names, files in os.walk(folder, onerror=unreadable):
        here = Path(where)
        names[:] = sorted(
            name for name in names if not name.startswith(".") and not _left_out(here / name, folder, exclude)
        )
        for name in sorted(files):
            if name.lower().endswith(_ENDINGS) and not _left_out(here / name, folder, exclude):
                yield here / name


def _left_out(path: Path, folder: Path, exclude: Sequence[str]) -> bool:
    relative = path.relative_to(folder).as_posix()
    return any(fnmatchcase(path.name, glob) or fnmatchcase(relative, glob) for glob in exclude)
