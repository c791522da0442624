"""Reading the small files a caller names: bundles, policies, keys, documents.

The law of this file: a named input is a regular file within a cap, or an error,
and what is no file at all is the mistake of whoever named it;
a FIFO never hangs us, a device never feeds us, and the cap is checked on what
was opened, not on what a path meant a moment before.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from trustkit.errors import LimitError, TrustkitError, UnavailableError, UsageError

# A FIFO must not hang us, a terminal not become ours; and what we open, no child of ours inherits.
_INPUT = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
STANDARD_INPUT = "-"
"""How the paths of a command line name it."""
_MARK = b"\xef\xbb\xbf"
NOWHERE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG))
"""What the system says of a path that leads to nothing."""
NOT_A_FILE = frozenset((errno.ENXIO, errno.ENODEV))
"""What the system says on opening a socket, or a device without a driver."""


def read_input(path: Path, *, max_bytes: int, what: str) -> bytes:
    """Read a whole input file.

    Args:
        path: Where it lies; links are followed, since the caller named it.
        max_bytes: Cap (bytes), checked before reading.
        what: Its name in messages, such as ``bundle``.

    Raises:
        UsageError: ``no-such-file``, ``special-file``.
        LimitError: ``too-large``.
        UnavailableError: ``unreadable``.
    """
    raw = read_beginning(path, most=max_bytes + 1, what=what)
    if len(raw) > max_bytes:
        raise LimitError(
            "too-large", f"the {what} {str(path)!r} is larger than {max_bytes} bytes", limit=max_bytes
        )
    return raw


def read_beginning(path: Path, *, most: int, what: str = "file") -> bytes:
    """Read how an input file begins; arguments and errors as for `read_input`, but for a cap.

    Args:
        path: Where it lies.
        most: How much is read (bytes).
        what: Its name in messages.
    """
    try:
        descriptor = os.open(path, _INPUT)
    except ValueError:  # a NUL, or text that no file system has
        raise _absent(path, what) from None
    except OSError as error:
        raise _unopened(path, what, error) from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):  # before Python sees it: it will not take a folder
        os.close(descriptor)
        raise _special(path, what, folder=stat.S_ISDIR(mode))
    with os.fdopen(descriptor, "rb") as file:
        try:
            raw: bytes | None = file.read(most)
        except OSError as error:
            raise _unreadable(path, what, error) from None
    if raw is None:  # what the kernel has it makes while it is read, and there is none yet
        raise _special(path, what, folder=False)
    return raw


def read_standard_input(*, max_bytes: int, what: str) -> bytes:
    """Read all of standard input, to its end; arguments as for `read_input`.

    Raises:
        LimitError: ``too-large``.
        UnavailableError: ``unreadable``.
    """
    try:
        with os.fdopen(0, "rb", closefd=False) as stream:
            raw = stream.read(max_bytes + 1)
    except OSError as error:
        raise UnavailableError("unreadable", f"cannot read standard input: {error.strerror}") from None
    if len(raw) > max_bytes:
        raise LimitError(
            "too-large", f"the {what} on standard input is larger than {max_bytes} bytes", limit=max_bytes
        )
    return raw


def first_line(raw: bytes) -> bytes:
    """Return the first line of a file, such as a passphrase: without its end, nor the mark before it.

    Some editors begin a text with a byte order mark, unseen, and no keyboard has it.
    """
    return raw.removeprefix(_MARK).split(b"\n", 1)[0].removesuffix(b"\r")


@contextmanager
def of_file(
    path: Path, *, codes: Collection[str] = (), kinds: tuple[type[TrustkitError], ...] = (TrustkitError,)
) -> Iterator[None]:
    """Let what is refused inside begin with the name of the file that it is about, where it does not say it.

    What reads a document sees bytes alone; whoever is told must know where to look.

    Args:
        path: The file; it is in the evidence too, as ``file``.
        codes: Only refusals with one of these codes get it; all where there are none.
        kinds: Only refusals of these classes get it.

    Raises:
        TrustkitError: As it came, with the name.
    """
    try:
        yield
    except kinds as error:
        if str(path) in error.message or (codes and error.code not in codes):
            raise
        said = f"{str(path)!r}: {error.message}"
        raise type(error)(error.code, said, **{"file": str(path), **error.evidence}) from None


def status_of(path: Path) -> os.stat_result | None:
    """Return the status of what a path leads to, or None where it leads to nothing.

    `Path.is_dir` and its kin raise on some paths and say no to others; here both are answers.

    Raises:
        UnavailableError: ``unreadable`` where the system will not say.
    """
    try:
        return path.stat()
    except ValueError:
        return None
    except OSError as error:
        if error.errno in NOWHERE:
            return None
        raise _unreadable(path, "path", error) from None


def is_folder(path: Path) -> bool:
    """Say whether a path leads to a folder."""
    status = status_of(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def is_file(path: Path) -> bool:
    """Say whether a path leads to a regular file."""
    status = status_of(path)
    return status is not None and stat.S_ISREG(status.st_mode)


def same_file(first: Path, second: Path) -> bool:
    """Say whether two paths are one existing file, through links of either kind."""
    one, other = status_of(first), status_of(second)
    return one is not None and other is not None and os.path.samestat(one, other)


def real_place(path: Path) -> str:
    """Return where a path's entry really lies; the last component may be a link and stays one."""
    if path.name in {"", ".."}:
        return os.path.realpath(path)
    return os.path.join(os.path.realpath(path.parent), path.name)  # noqa: PTH118 - Path would not take `..` as it is


def inside(path: Path, folder: Path) -> str | None:
    """Return the relative POSIX name of *path* below *folder*, or None; neither needs to exist."""
    real = real_place(path)
    root = os.path.realpath(folder).rstrip("/") + "/"
    return decoded(real.removeprefix(root)) if real.startswith(root) and real != root else None


def decoded(name: str) -> str:
    """Return a name that was read in the locale's encoding as the UTF-8 it must be; `check_name` judges."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def _absent(path: Path, what: str) -> UsageError:
    return UsageError("no-such-file", f"there is no {what} at {str(path)!r}", path=str(path))


def _special(path: Path, what: str, *, folder: bool = False) -> UsageError:
    kind = "a folder" if folder else "not a regular file"
    return UsageError("special-file", f"the {what} {str(path)!r} is {kind}; name a file", path=str(path))


def _unopened(path: Path, what: str, error: OSError) -> UsageError | UnavailableError:
    if error.errno in NOWHERE:
        return _absent(path, what)
    if error.errno in NOT_A_FILE:
        return _special(path, what)
    return _unreadable(path, what, error)


def _unreadable(path: Path, what: str, error: OSError) -> UnavailableError:
    return UnavailableError(
        "unreadable", f"cannot read the {what} {str(path)!r}: {error.strerror}", path=str(path)
    )
