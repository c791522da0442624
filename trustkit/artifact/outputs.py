"""What may become an output: something new, or something ours to replace; never an input.

Checked before any work is done, and again by the atomic write itself, which
refuses to replace what appeared meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from trustkit.artifact.inputs import inside, is_file, is_folder, same_file, status_of
from trustkit.artifact.tree import Tree
from trustkit.errors import UsageError


def check_output(
    target: Path,
    *,
    inputs: Sequence[Path],
    overwrite: bool | None,
    replaceable: Callable[[Path], bool] | None = None,
    advice: str = "choose another name or use --overwrite",
) -> None:
    """Refuse an output that exists, unless it may be replaced; refuse an input in any case.

    Args:
        target: Where the output is going to be.
        inputs: Files the command reads.
        overwrite: Whether the caller allowed to replace; None where nobody can allow it.
        replaceable: Says of an existing file whether it is the kind of file that is about to be written.
        advice: What to do where it exists and may be replaced.

    Raises:
        UsageError: ``output-is-input``, ``output-exists``, ``not-replaceable`` or ``no-such-folder``.
        UnavailableError: ``unreadable``.
    """
    for given in inputs:
        if same_file(target, given) or os.path.realpath(target) == os.path.realpath(given):
            raise UsageError(
                "output-is-input", f"{str(target)!r} is an input of this command; choose another output"
            )
    if os.path.lexists(target):
        if overwrite is None:
            raise UsageError(
                "output-exists", f"{str(target)!r} exists and is never replaced; choose another name"
            )
        said = f"{str(target)!r} is a folder; name a file, in it or elsewhere" if is_folder(target) else ""
        if not overwrite:
            raise UsageError("output-exists", said or f"{str(target)!r} exists; {advice}")
        if not is_file(target) or (replaceable is not None and not replaceable(target)):
            raise UsageError(
                "not-replaceable",
                said or f"{str(target)!r} is not a file of the kind that would replace it",
            )
    elif not is_folder(target.parent):
        raise UsageError("no-such-folder", f"the folder of {str(target)!r} does not exist; make it first")


def check_apart(output: Path, source: Path) -> None:
    """Refuse an output folder inside what is read, or around it: it would become part of its own input.

    Raises:
        UsageError: ``output-is-input``.
    """
    if inside(output, source) is not None or inside(source, output) is not None:
        raise UsageError(
            "output-is-input", f"{str(output)!r} and {str(source)!r} lie in each other; choose another output"
        )


def check_not_inside(inputs: Sequence[Path], folder: Path, tree: Tree) -> None:
    """Refuse to sign a folder that holds a secret of the very command: it would be published with the model.

    Only what the caller told us to leave out may be there, itself or with the folder around it.

    Raises:
        UsageError: ``key-inside-model``.
    """
    for given in inputs:
        name = None if tree.single else inside(given, folder)
        if (name is not None and not tree.ignores(name)) or is_file_of(given, tree):
            raise UsageError(
                "key-inside-model", f"{str(given)!r} lies inside the model; move it out before signing"
            )


def is_file_of(path: Path, tree: Tree) -> bool:
    """Say whether a path is one of the tree's files, by identity rather than by name."""
    status = status_of(path)
    if status is None:
        return False
    return tree.files.holds(status.st_dev, status.st_ino)
