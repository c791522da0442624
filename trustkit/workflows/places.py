"""Where an artifact and its bundle lie, as callers say it. Shared by all that signs and verifies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from trustkit.artifact.inputs import is_folder, status_of
from trustkit.artifact.leaving_out import SIGNATURE
from trustkit.errors import UsageError

AnyPath = str | os.PathLike[str]
"""A path as callers write it."""
Clock = Callable[[], float]
"""Tells seconds since the epoch: the time at which certificates must be valid."""


def default_bundle(path: Path) -> Path:
    """Say where an artifact's bundle lies: ``PATH/model.sig`` in a folder, ``FILE.sig`` beside a file."""
    return path / SIGNATURE if is_folder(path) else path.with_name(f"{path.name}.sig")


def place_of(path: AnyPath) -> Path:
    """Take a path at the door; an empty one is a mistake somewhere, and not the current folder.

    Raises:
        UsageError: ``no-such-path``.
    """
    if not os.fspath(path):
        raise UsageError("no-such-path", "an empty path leads nowhere; name a file or a folder")
    return Path(path)


def places_of(path: AnyPath, bundle: AnyPath | None) -> tuple[Path, Path]:
    """Take the path of an artifact that is there, and say where its bundle lies."""
    place = place_of(path)
    if status_of(place) is None:
        raise UsageError("no-such-path", f"there is nothing at {str(place)!r}", path=str(place))
    return place, default_bundle(place) if bundle is None else place_of(bundle)
