"""Where an artifact lies in a store: ``s3://BUCKET/FOLDER``, and what is no such address. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from trustkit.artifact.names import check_name
from trustkit.errors import FormatError, LimitError, UsageError

_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", re.DOTALL)


class Address(NamedTuple):
    """Where an artifact lies in a store.

    Attributes:
        bucket: Its bucket.
        key: Key of the one object, or of the folder without a slash behind it; empty for the whole bucket.
        folder: Whether it can only be a folder.
    """

    bucket: str
    key: str
    folder: bool

    @property
    def name(self) -> str:
        """What a folder there would be called."""
        return self.key.rpartition("/")[2] or self.bucket

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}{'/' if self.folder and self.key else ''}"

    def key_of(self, name: str) -> str:
        """Return the key of what has a name below a folder; with an empty name, that of the folder."""
        return "/".join(part for part in (self.key, name) if part)


def is_address(text: str) -> bool:
    """Say whether a text means a place in a store, and not a path; ``./s3:`` would be the path."""
    return re.match(r"[a-z][a-z0-9+.-]*://", text) is not None


def parse_address(untrusted: str) -> Address:
    """Read ``s3://BUCKET/KEY`` or ``s3://BUCKET/FOLDER/``.

    Raises:
        UsageError: ``bad-address``.
    """
    found = _ADDRESS.fullmatch(untrusted)
    if found is None:
        raise UsageError("bad-address", f"{untrusted!r} is no address that is read here: s3://BUCKET/FOLDER")
    key = found[2] or ""
    folder = key.endswith("/") or not key
    key = key.removesuffix("/")
    try:
        return Address(found[1], check_name(key) if key else "", folder)
    except (FormatError, LimitError):
        raise UsageError("bad-address", f"the key in {untrusted!r} is not that of a file or folder") from None
