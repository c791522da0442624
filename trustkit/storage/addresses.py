"""Where an artifact lies: ``s3://BUCKET/FOLDER``, ``gs://BUCKET/FOLDER``, ``file:///PATH``.

The law of this file: a text has one meaning or none. Keys are names, and follow
their rules; escapes mean something in ``file://`` alone, as stores have keys with
percent signs. Pure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from trustkit.artifact.names import check_name
from trustkit.errors import FormatError, LimitError, UsageError
from trustkit.records import dataclass

# Patterns are compiled when first needed: every command asks whether its path is an address, and few are.
_ADDRESS = r"(?s)(s3|gs)://([^/]*)(?:/(.*))?"
_SCHEMES = {"gcs": "gs", "s3a": "s3", "s3n": "s3"}  # what other programs call the same
_LETTERS = {"s3": r"[a-z0-9.-]*", "gs": r"[a-z0-9._-]*"}
_SHORTEST, _LONGEST, _LONGEST_DOMAIN = 3, 63, 222
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
    return "://" in text and re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


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
    if found is None:
        raise UsageError(
            "bad-address",
            f"{_shown(untrusted)!r} is no address that is read here: s3://BUCKET/FOLDER or gs://BUCKET/FOLDER"
            f"{_meant(untrusted)}; what lies elsewhere is brought to this machine first",
        )
    scheme, bucket = found[1], found[2]
    wrong = next(_faults(bucket, scheme), None)
    if wrong is not None:
        raise UsageError("bad-address", f"the bucket of a {scheme}:// address {wrong}")
    key = found[3] or ""
    folder = key.endswith("/") or not key
    key = key.removesuffix("/")
    try:
        return Address(scheme, bucket, check_name(key) if key else "", folder)
    except (FormatError, LimitError):
        raise UsageError("bad-address", f"the key in {untrusted!r} is not that of a file or folder") from None


def _meant(untrusted: str) -> str:
    """Say which address may be meant by one of another scheme."""
    asked, _, rest = untrusted.partition("://")
    scheme = _SCHEMES.get(asked.lower(), asked.lower())
    plain = rest and rest == _shown(rest) and ":" not in rest.partition("/")[0]
    return f", did you mean {f'{scheme}://{rest}'!r}?" if scheme in _LETTERS and plain else ""


def _shown(untrusted: str) -> str:
    """Return an address without a user and a password that stand in it."""
    return re.sub(r"[^/]*@", "...@", untrusted)


def _faults(bucket: str, scheme: str) -> Iterator[str]:
    """Yield which rules the name of a bucket breaks, the first of them the one to mend first.

    Sources: Amazon S3, bucket naming rules; Google Cloud Storage, bucket name requirements.
    """
    domain = scheme == "gs" and "." in bucket
    most = _LONGEST_DOMAIN if domain else _LONGEST
    if not bucket:
        yield f"is missing; write {scheme}://BUCKET/FOLDER"
    if "@" in bucket or ":" in bucket:  # not shown: it may be a password
        yield f"is its name alone, without a user or a port; write {scheme}://BUCKET/FOLDER"
    if bucket.lower() != bucket:
        yield f"is written in lower case, and {bucket!r} is not"
    if re.fullmatch(_LETTERS[scheme], bucket) is None:
        signs = "digits, - and ." if scheme == "s3" else "digits, -, _ and ."
        yield f"has lower case letters, {signs} in its name, and {bucket!r} has something else"
    if not _SHORTEST <= len(bucket) <= most:
        yield f"has from {_SHORTEST} to {most} characters in its name, and {bucket!r} has {len(bucket)}"
    if domain and max(map(len, bucket.split("."))) > _LONGEST:
        yield f"has at most {_LONGEST} characters between two dots, and {bucket!r} has more"
    if not (bucket[:1].isalnum() and bucket[-1:].isalnum()):
        yield f"begins and ends with a letter or a digit, and {bucket!r} does not"
    if ".." in bucket:
        yield f"has no two dots side by side, and {bucket!r} has"
    if re.fullmatch(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", bucket):
        yield f"is no IP address, and {bucket!r} looks like one"
