"""The place where a model appears: who may have put what lies there, how much room there is, who was first.

The law of this file: what others could write to was never published by us, and
what lies at the output is never replaced, whoever put it there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trustkit.errors import UnavailableError, UsageError, VerificationError


def demand_ours(output: Path) -> None:
    """Refuse what others may write to: it could change after it was compared.

    Raises:
        VerificationError: ``not-published``.
    """
    status = output.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o222:
        raise VerificationError("not-published", "it is not a read-only folder of this user's")


def is_left(output: Path) -> bool:
    """Say whether a run that was killed at its last step may have left this: renamed, and still private.

    Nobody else could write to it, or look at it, so it is compared as what was published is.
    """
    status = output.lstat()
    ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return ours and status.st_mode & 0o777 == 0o700  # a volume may set S_ISGID


def demand_published(output: Path) -> None:
    """Refuse unless a model lies at the output, whole and read-only.

    While it is brought it bears another name; when it gets its own, its folder is still private, and
    becomes read-only as the last thing, by this run or the next one (`trustkit.storage.staging`). Which it
    is cannot be seen here: it is the one that was compared by whoever alone writes to this place. What a
    run before published counts, while the present one compares it again.

    Raises:
        VerificationError: ``not-published``.
        UnavailableError: ``unreadable``.
    """
    try:
        demand_ours(output)
    except (FileNotFoundError, NotADirectoryError):
        raise VerificationError("not-published", f"nothing is published at {str(output)!r} yet") from None
    except OSError as error:
        raise UnavailableError("unreadable", f"cannot look at {str(output)!r}: {error.strerror}") from None


def free_bytes(output: Path) -> int:
    """Return how much fits beside the output.

    Raises:
        UsageError: ``no-such-folder``.
        UnavailableError: ``unreadable``.
    """
    try:
        status = os.statvfs(output.parent)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            "no-such-folder", f"the folder of {str(output)!r} does not exist; make it first"
        ) from None
    except OSError as error:
        raise UnavailableError(
            "unreadable", f"cannot look at the folder of {str(output)!r}: {error.strerror}"
        ) from None
    return status.f_bavail * status.f_frsize


def demand_place(output: Path) -> None:
    """Refuse an output at which no run could publish, before anybody is asked.

    What a sidecar published there is compared by the run itself.

    Raises:
        UsageError: ``no-such-folder`` or ``output-exists``.
        UnavailableError: ``unreadable``.
    """
    free_bytes(output)
    try:
        if os.path.lexists(output) and not is_left(output):
            demand_ours(output)
    except VerificationError as error:
        raise UsageError(
            "output-exists",
            f"{str(output)!r} exists, and no sidecar published it: {error.message}; choose another output",
            path=str(output),
        ) from None


@contextmanager
def first_at(output: Path) -> Iterator[None]:
    """Say in a sidecar's words that somebody else put something at the output while the block ran.

    Raises:
        UsageError: ``output-exists``.
    """
    try:
        yield
    except UsageError as error:
        if error.code != "output-exists":
            raise
        raise UsageError(
            "output-exists",
            f"{str(output)!r} appeared while the model was brought, and is left as it is; "
            "let one sidecar publish there, or start this one again to compare",
            path=str(output),
        ) from None
