"""What a signature leaves out: our own files, git's where they exist, and what the caller said.

The law of this file: what is left out is written into the statement, name by
name, and nothing else is ever left out (architecture, section 11). Each name is
a hole through which unsigned bytes may lie in the folder later; so the list is
short, and the names that it always holds may only be files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from trustkit.artifact.inputs import inside, is_file, is_folder
from trustkit.artifact.names import check_name
from trustkit.artifact.tree import Tree
from trustkit.errors import FormatError, LimitError, UsageError

SIGNATURE = "model.sig"
"""Default name of the author's bundle inside a folder."""
CLAIMS = "model.claims.jsonl"
"""Default name of the append-only claims file."""
GIT_PATHS = (".git", ".gitattributes", ".github", ".gitignore")
"""What the reference leaves out at the root unless it is told otherwise."""


def left_out(path: Path, target: Path, asked: Sequence[str], *, most: int) -> tuple[str, ...]:
    """List the names that a signature of *path*, written to *target*, leaves out, sorted.

    Args:
        path: The artifact.
        target: Where the bundle is going to lie, perhaps inside.
        asked: Relative names the caller wants left out.
        most: Most names that a reader accepts.

    Raises:
        UsageError: ``bad-ignore``.
        LimitError: ``too-many-ignores``.
        FormatError: ``special-file`` where a folder stands under one of our own names.
    """
    names = {SIGNATURE, CLAIMS, *(_relative(name) for name in asked)}
    if is_folder(path):
        names.update(name for name in GIT_PATHS if os.path.lexists(path / name))
        inner = inside(target, path)
        if inner is not None:
            names.add(check_name(inner))
    if len(names) > most:
        raise LimitError("too-many-ignores", f"more than {most} ignored paths", limit=most)
    hiding = hiding_place(path)
    if hiding is not None:
        raise FormatError("special-file", f"{hiding!r} is a folder; that name is for a file", name=hiding)
    return tuple(sorted(names))


def hiding_place(path: Path) -> str | None:
    """Find what is no file under one of our own names, which signatures ignore: it could hold anything."""
    ours = (path / SIGNATURE, path / CLAIMS) if is_folder(path) else ()
    return next((place.name for place in ours if os.path.lexists(place) and not is_file(place)), None)


def needless(tree: Tree, asked: Sequence[str]) -> Iterator[str]:
    """Yield the names that the caller wants left out and that are not there: mistakes, and open doors."""
    return (name for name in (raw.rstrip("/") for raw in asked) if not tree.ignores(name))


def _relative(name: str) -> str:
    try:
        return check_name(name.rstrip("/"))
    except (FormatError, LimitError):
        raise UsageError(
            "bad-ignore", f"{name!r} cannot be left out; give a plain name relative to the model"
        ) from None
