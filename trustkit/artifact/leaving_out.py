"""What a signature leaves out: our own files, git's where they exist, and what the caller said.

The law of this file: what is left out is written into the statement, name by
name, and nothing else is ever left out (architecture, section 11). Each name is
a hole through which unsigned bytes may lie in the folder later; so the list is
short, and the names in it that are for files may only be files.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

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
_GIT_FILES = (".gitattributes", ".gitignore")
Git = Literal["present", "always", "never"]
"""Which of these are left out: those that are there, all (as the reference does), or none."""


def left_out(
    path: Path, target: Path, asked: Sequence[str], *, most: int, git: Git = "present"
) -> tuple[str, ...]:
    """List the names that a signature of *path*, written to *target*, leaves out, sorted.

    Args:
        path: The artifact.
        target: Where the bundle is going to lie, perhaps inside.
        asked: Relative names the caller wants left out.
        most: Most names that a reader accepts.
        git: Which of git's names are left out of a folder.

    Raises:
        UsageError: ``bad-ignore``.
        LimitError: ``too-many-ignores``.
        FormatError: ``special-file`` where a folder stands under a name that is for a file.
    """
    there: list[str] = []
    if is_folder(path):
        there = [
            name
            for name in GIT_PATHS
            if git == "always" or (git == "present" and os.path.lexists(path / name))
        ]
        inner = inside(target, path)
        if inner is not None:
            there.append(check_name(inner))
    names = list_of(asked, there, most=most)
    hiding = hiding_place(path, names)
    if hiding is not None:
        raise FormatError("special-file", f"{hiding!r} is a folder; that name is for a file", name=hiding)
    return names


def list_of(asked: Iterable[str], there: Iterable[str], *, most: int) -> tuple[str, ...]:
    """Return the names that are left out, sorted: ours, those that are *there*, and what the caller *asked*.

    Raises:
        UsageError: ``bad-ignore``.
        LimitError: ``too-many-ignores``: more than *most*.
    """
    names = {SIGNATURE, CLAIMS, *(_relative(name) for name in asked), *there}
    if len(names) > most:
        raise LimitError("too-many-ignores", f"more than {most} ignored paths", limit=most)
    return tuple(sorted(names))


def hiding_place(path: Path, ignored: Collection[str] = ()) -> str | None:
    """Find what is no file under an ignored name that is for a file: it could hold anything.

    A signature says which names it ignores, and not what they were. Two are always ours; two of git's are
    files in every repository. Any other name may be a folder, and grow one.
    """
    if not is_folder(path):
        return None
    names = for_files(ignored)
    return next((name for name in names if os.path.lexists(path / name) and not is_file(path / name)), None)


def for_files(ignored: Collection[str]) -> list[str]:
    """Return the names at the root that are left out and may only be files."""
    return [SIGNATURE, CLAIMS, *(name for name in _GIT_FILES if name in ignored)]


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
