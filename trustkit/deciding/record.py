"""The decision record on a disk: what was decided, there before anybody is answered.

    1. Lines are only ever appended, under a lock that holds between threads and between processes, and
       synced before `RecordFile.append` returns. Nothing is truncated, so the file may carry the
       append-only attribute; what a crash left is closed and named by the next line (`chain`).
    2. The file is ours alone: made with mode 0600, no link is followed, a device or pipe is refused, and
       what is no record of decisions is not written to.
    3. What cannot be written was not decided: the caller denies.

A record that was renamed away, to keep or to ship it, is followed by a new chain.
"""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trustkit.deciding.chain import MAX_TORN_BYTES, End, end_of, line_after, verify_records
from trustkit.digest import Digest
from trustkit.errors import FormatError, UnavailableError
from trustkit.strictjson import Object

__all__ = ["RecordFile", "verify_records"]

_REACH = (64 << 10, MAX_TORN_BYTES)
"""How far from the end the last whole line is looked for (bytes): at first, and then at most."""
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class RecordFile:
    """A record on a disk; safe to use from several threads, and beside other processes.

    Args:
        path: The file; made where it does not exist, in a folder that does.
        clock: Seconds since the epoch.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._known: tuple[tuple[int, int, int], End] | None = None

    def append(self, entry: Object) -> Digest:
        """Write one decision durably and return the digest of its line.

        Raises:
            LimitError: ``too-large`` or ``too-deep``; nothing was written.
            FormatError: ``bad-record``, ``symlink`` or ``special-file``: what lies there is not ours.
            UnavailableError: ``record-failed``: it may not be on the disk, so it must not be answered.
        """
        with self._lock, self._opened(create=True) as descriptor:
            end = self._end(descriptor)
            line, link = line_after(end, entry, self._clock())
            _write(descriptor, end.closing + line + b"\n")
            if link.sequence == 0:
                _sync_folder(self._path.parent)
            self._known = (_identity(descriptor), End(link))
        return link.digest

    def check(self) -> None:
        """Make sure, when a face starts, that decisions can be recorded here; writes nothing.

        Raises:
            FormatError, UnavailableError: As `append`.
        """
        if os.path.lexists(self._path):
            with self._lock, self._opened(create=False) as descriptor:
                self._end(descriptor)
        elif not self._path.parent.is_dir() or not os.access(self._path.parent, os.W_OK | os.X_OK):
            raise self._failed("its folder is missing, or not ours to write to")

    @contextmanager
    def _opened(self, *, create: bool) -> Iterator[int]:
        """Open and lock the file; each time anew, so that a record that was moved away is not written to."""
        try:
            descriptor = os.open(self._path, _FLAGS | (os.O_CREAT if create else 0), 0o600)
        except (OSError, ValueError) as error:
            raise self._unopened(error) from None
        try:
            self._check_ours(os.fstat(descriptor).st_mode)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        except OSError as error:
            raise self._failed(str(error.strerror)) from None
        finally:
            os.close(descriptor)  # and with it the lock

    def _unopened(self, error: Exception) -> Exception:
        try:
            self._check_ours(self._path.lstat().st_mode)
        except FormatError as refused:
            return refused
        except (OSError, ValueError):
            pass  # it is not there, which the first error says better
        return self._failed(getattr(error, "strerror", None) or "the path is not one")

    def _check_ours(self, mode: int) -> None:
        if stat.S_ISLNK(mode):
            raise FormatError("symlink", f"the record {str(self._path)!r} is a link; name the file itself")
        if not stat.S_ISREG(mode):
            raise FormatError("special-file", f"the record {str(self._path)!r} is not a regular file")
        if mode & _OTHERS:
            raise FormatError(
                "bad-record", f"others may write to the record {str(self._path)!r}; chmod it to 600"
            )

    def _end(self, descriptor: int) -> End:
        """Find where the chain ends; what we wrote last is still the end if nobody wrote since."""
        identity = _identity(descriptor)
        if self._known is not None and self._known[0] == identity:
            return self._known[1]
        size = identity[2]
        for reach in _REACH:
            start = max(0, size - reach)
            end = end_of(_read(descriptor, start, size), whole=start == 0)
            if end is not None:
                return end
        raise FormatError(
            "bad-record",
            f"{str(self._path)!r} does not end like a record of decisions; keep it, and name another file",
        )

    def _failed(self, why: str) -> UnavailableError:
        return UnavailableError(
            "record-failed",
            f"no decision can be recorded at {str(self._path)!r}: {why}; without a record nothing is allowed",
            path=str(self._path),
        )


def _identity(descriptor: int) -> tuple[int, int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino, status.st_size


def _read(descriptor: int, start: int, end: int) -> bytes:
    parts = []
    while start < end and (part := os.pread(descriptor, end - start, start)):
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def _write(descriptor: int, line: bytes) -> None:
    """Append all bytes and wait for the disk; a short write goes on where it stopped, or fails."""
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file durable, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
