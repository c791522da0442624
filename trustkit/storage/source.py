"""What a place of bytes must be able to do: give a whole document, a range of a blob, a length.

The law of this file: a source vouches for nothing. What it returns is
untrusted, whatever lies under it, a folder or a server with an SVID; digests,
tags and signatures are checked by whoever asked. It only promises to return
the bytes of the place that was asked for, all of them, or to raise.
"""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """A folder of documents and blobs. Safe to use from several threads.

    Every name is a relative POSIX name (`trustkit.artifact.names.check_name`).
    """

    def document(self, name: str, *, max_bytes: int) -> bytes:
        """Return a whole document, untrusted.

        Args:
            name: Which one.
            max_bytes: Cap (bytes), checked before the document is read into memory.

        Raises:
            UnavailableError: ``not-found`` where there is none; other codes where nobody can tell.
            LimitError: ``too-large``.
        """

    def read_range(self, name: str, start: int, into: memoryview) -> None:
        """Fill *into* with the untrusted bytes of a blob from *start* on: exactly, or raise.

        What *into* holds after an error is undefined and must not be used.

        Raises:
            SealError: ``truncated`` where the blob ends before that.
            UnavailableError: ``not-found``, or nobody can tell.
        """

    def length(self, name: str) -> int:
        """Return what the place claims to be the length of a blob (bytes), untrusted.

        Raises:
            UnavailableError: ``not-found``, or nobody can tell.
        """

    def close(self) -> None:
        """Let go of folders and connections; the source is of no use afterwards."""
