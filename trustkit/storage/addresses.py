"""Where an artifact lies: ``s3://BUCKET/FOLDER``, ``gs://BUCKET/FOLDER``, ``file:///PATH``.

The law of this file: a text has one meaning or none. Keys are names, and follow
their rules; escapes mean something in ``file://`` alone, as stores have keys with
percent signs. Pure.
"""

from __future__ import annotations

import os
import re
from urllib.parse import unquote_to_bytes

from trustkit.artifact.names import check_name
from trustkit.errors import FormatError, LimitError, UsageError
from trustkit.records import dataclass

# Patterns are compiled when first needed: every command asks whether its path is an address, and few are.
_ADDRESS = r"(?s)(s3|gs)://([^/]*)(?:/(.*))?"
_BUCKETS = {"s3": r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "gs": r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"}
_FILE = r"(?s)file://(?:localhost)?(/[^?#]*)"
_ODD_ESCAPE = r"%(?![0-9A-Fa-f]{2})|%2[Ff]|%00"


@dataclass(frozen=True, slots=True)
class Address:
    """Where an artifact lies in a store.

    Attributes:
        scheme: What the store speaks, ``s3`` or ``gs``.
        bucket: Its bucket.
        key: Key of the one object, or of the folder without a slash behind it; empty for the whole bucket.
        folder: Whether it can only be a folder.
    """

    scheme: str
    bucket: str
    key: str
    folder: bool

    @property
    def name(self) -> str:
        """What a folder there would be called."""
        return self.key.rpartition("/")[2] or self.bucket

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}{'/' if self.folder and self.key else ''}"

    def key_of(self, name: str) -> str:
        """Return the key of what has a name below a folder; with an empty name, that of the folder."""
        return "/".join(part for part in (self.key, name) if part)


def is_address(text: str) -> bool:
    """Say whether a text means a place in a store, and not a path; ``./s3:`` would be the path."""
    return "://" in text and re.match(r"[a-z][a-z0-9+.-]*://", text) is not None


def path_at(untrusted: str) -> str | None:
    """Return the path that ``file:///PATH`` means, or None where a text is no address of that kind.

    Escapes are undone (RFC 8089, section 2); the host is empty or ``localhost``.

    Raises:
        UsageError: ``bad-address``: another host, no absolute path, a query or fragment, or an escape that
            is none, or that hides a slash or NUL.
    """
    if not untrusted.startswith("file://"):
        return None
    found = re.fullmatch(_FILE, untrusted)
    if found is None or re.search(_ODD_ESCAPE, found[1]):
        raise UsageError(
            "bad-address",
            f"{untrusted!r} names no file here: file:///PATH, with %25, %3F and %23 for %, ? and #",
        )
    return os.fsdecode(unquote_to_bytes(os.fsencode(found[1])))


def parse_address(untrusted: str) -> Address:
    """Read ``s3://BUCKET/KEY`` or ``s3://BUCKET/FOLDER/``, or the same of ``gs://``.

    Raises:
        UsageError: ``bad-address``.
    """
    found = re.fullmatch(_ADDRESS, untrusted)
    if found is None or re.fullmatch(_BUCKETS[found[1]], found[2]) is None:
        raise UsageError(
            "bad-address",
            f"{untrusted!r} is no address that is read here: s3://BUCKET/FOLDER or gs://BUCKET/FOLDER; "
            "what lies elsewhere is brought to this machine first",
        )
    key = found[3] or ""
    folder = key.endswith("/") or not key
    key = key.removesuffix("/")
    try:
        return Address(found[1], found[2], check_name(key) if key else "", folder)
    except (FormatError, LimitError):
        raise UsageError("bad-address", f"the key in {untrusted!r} is not that of a file or folder") from None
