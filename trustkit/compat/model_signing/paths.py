"""Paths as callers of the reference write them: text, bytes, or anything that stands for a path."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

PathLike = str | bytes | os.PathLike[str] | os.PathLike[bytes]
"""What may be given where a path is asked for."""


def path_from(given: PathLike) -> Path:
    """Return a path; an empty one becomes no folder, and is refused where it is used.

    Raises:
        UsageError: ``no-such-path``.
    """
    text = os.fsdecode(given)
    if not text:
        from trustkit.errors import UsageError

        raise UsageError("no-such-path", "an empty path leads nowhere; name a file or a folder")
    return Path(text)


def names_inside(model: Path, given: Iterable[Path]) -> tuple[str, ...]:
    """Return the names of paths that lie inside a model; they are relative to it, or absolute.

    What lies outside is no part of the model, and so there is nothing to leave out.
    """
    from trustkit.artifact.inputs import inside, is_folder

    if not is_folder(model):
        return ()
    found = (inside(model / path, model) for path in given)
    return tuple(sorted({name for name in found if name is not None}))
