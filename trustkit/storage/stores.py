"""What a store is, whatever it speaks: it lists objects page by page, and reads ranges of them under a pin.

The law of this file: an object is what its listing said, or it has changed.
What a store says of itself is untrusted, and one word of it is shown at most.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from trustkit.errors import UnavailableError, UsageError

MAX_OBJECT = 1 << 50
"""Largest object (bytes): far beyond what stores hold, and far below what a number can be."""
_LOOPBACK = re.compile(r"http://(127(\.\d{1,3}){3}|localhost|\[::1\])(:\d+)?(/.*)?")
_WORD = re.compile(r"[A-Za-z0-9]{1,64}")


class Pin(NamedTuple):
    """What a listing says of an object. Whoever writes it again changes this.

    Attributes:
        size: Bytes.
        version: What the store calls this writing of it: an ETag, quotes and all, or generation and checksum.
        written: When it was written (whole seconds since the epoch; headers know no finer time).
    """

    size: int
    version: str
    written: int


class Listed(NamedTuple):
    """One object of a listing: its key, untrusted, and its pin."""

    key: str
    pin: Pin


class Store(Protocol):
    """One store, as this thread sees it; see `trustkit.storage.s3.S3` and `trustkit.storage.gs.GS`."""

    def pages(self, bucket: str, prefix: str, *, most: int = 1000) -> Iterator[list[Listed]]:
        """Yield the objects whose keys begin so, at most a thousand at a time.

        Args:
            bucket: Its name.
            prefix: What keys begin with.
            most: How many are wanted at once.

        Raises:
            UsageError: ``no-such-path`` where there is no such bucket.
            UnavailableError: ``unreadable``; ``bad-answer`` for what is no listing.
        """

    def read(self, bucket: str, key: str, pin: Pin, *, start: int, end: int) -> bytes:
        """Return a range of an object.

        Args:
            bucket: Its bucket.
            key: Its key.
            pin: What it was when it was listed.
            start: First byte.
            end: First byte after the range; equal to *start* for an empty object alone.

        Raises:
            VerificationError: ``file-changed``.
            UnavailableError: ``unreadable``, ``bad-answer``.
        """


def check_encrypted(endpoint: str) -> None:
    """Refuse a store that would be read in plain over a network.

    Raises:
        UsageError: ``store-unencrypted``.
    """
    if not endpoint.startswith("https://") and not _LOOPBACK.fullmatch(endpoint):
        raise UsageError(
            "store-unencrypted",
            f"anybody on the way to {endpoint!r} could change what is read; give the store TLS",
        )


def no_bucket(bucket: str) -> UsageError:
    """Build the error of a bucket that is not there."""
    return UsageError("no-such-path", f"there is no bucket {bucket!r}", path=bucket)


def unreadable(what: str, error: BaseException, untrusted_word: object = None) -> UnavailableError:
    """Build the error of a store that will not answer; what it says is shown if it is one plain word."""
    plain = isinstance(untrusted_word, str) and _WORD.fullmatch(untrusted_word)
    return UnavailableError(
        "unreadable", f"cannot read {what}: {untrusted_word if plain else type(error).__name__}"
    )


def bad_answer(what: str) -> UnavailableError:
    """Build the error of an answer that is none."""
    return UnavailableError("bad-answer", f"the store answered with {what}")
