"""How a human or a Pod points at an artifact on a range server.

The one reference scheme of our own (architecture, section 11):

    trust://HOST[:PORT]/PATH[@sha256:MANIFEST-DIGEST]

A reference is *pinned* when it carries the digest. Everything here is pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trustkit.digest import Digest, parse_digest
from trustkit.errors import FormatError, UsageError

SCHEME = "trust://"
FORM = "write trust://HOST[:PORT]/PATH@sha256:<64 lower-case hex digits>"
"""What to do about a reference that is none."""
MAX_LENGTH = 2048
"""Longest reference that is parsed (characters)."""

_HOST = re.compile(
    r"(?=.{1,253}(?::|$))(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*(?::([1-9][0-9]{0,4}))?"
)
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed ``trust://`` reference.

    Attributes:
        host: Lower-case DNS name or IPv4 address, with ``:port`` where one was given.
        path: Folder on the range server, ``/``-separated, no empty, dot or dot-dot segment.
        digest: The manifest digest it is pinned to, or None.
        tag: What stood after ``:`` in the last segment, or None. Tags are never resolved here.
    """

    host: str
    path: str
    digest: Digest | None = None
    tag: str | None = None

    @property
    def pinned(self) -> bool:
        """Whether the reference names bytes that cannot be moved."""
        return self.digest is not None

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        pin = f"@{self.digest}" if self.digest else ""
        return f"{SCHEME}{self.host}/{self.path}{tag}{pin}"


def parse_reference(untrusted: str) -> Reference:
    """Parse a ``trust://`` reference, pinned or not.

    Raises:
        UsageError: ``bad-reference``, with the form that is accepted.
    """
    try:
        return _parsed(untrusted)
    except FormatError as error:
        raise UsageError(
            "bad-reference",
            f"{error.message}; {FORM}",
            reference=untrusted[:MAX_LENGTH],
        ) from None


def _parsed(untrusted: str) -> Reference:
    if len(untrusted) > MAX_LENGTH or not untrusted.startswith(SCHEME):
        raise FormatError(
            "bad-reference", f"a reference starts with {SCHEME} and has at most {MAX_LENGTH} characters"
        )
    body, at, pin = untrusted[len(SCHEME) :].partition("@")
    host, _, path = body.partition("/")
    found = _HOST.fullmatch(host)
    if found is None or (found[1] is not None and int(found[1]) > 65535):
        raise FormatError(
            "bad-reference", "the host must be a lower-case DNS name or IPv4 address, with an optional port"
        )
    path, colon, tag = path.partition(":")
    if colon and _SEGMENT.fullmatch(tag) is None:
        raise FormatError("bad-reference", "the tag is not well-formed")
    if not path or any(_SEGMENT.fullmatch(segment) is None for segment in path.split("/")):
        raise FormatError("bad-reference", "the path must consist of plain names between single slashes")
    digest = parse_digest(pin) if at else None
    if digest is not None and digest.algorithm != "sha256":
        raise FormatError("bad-reference", "the manifest digest is a sha256")
    return Reference(host, path, digest, tag or None)
