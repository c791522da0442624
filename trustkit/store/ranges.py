"""Which bytes of a file a request asks for: RFC 9110, sections 13 and 14, as far as we serve them.

The law of this file: one range, or the whole file. Everything else that calls
itself a range is answered 416 at the cost of one look at it, however many parts
it has and however long its numbers are (CVE-2025-62727 class; threats G08). Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_RANGE = 64
"""Longest ``Range`` header that is read (characters)."""

_ONE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))", re.IGNORECASE)
_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


@dataclass(frozen=True, slots=True)
class Slice:
    """Bytes *start* to *stop* (half-open) of a file; *partial* where less than the file was asked for."""

    start: int
    stop: int
    partial: bool


def slice_of(untrusted_range: str | None, size: int) -> Slice | None:
    """Return what a ``Range`` header means for a file of *size* bytes; None where that is nothing (416)."""
    if untrusted_range is None:
        return Slice(0, size, partial=False)
    found = _ONE.fullmatch(untrusted_range) if len(untrusted_range) <= MAX_RANGE else None
    if found is None:
        return None
    if found[3] is not None:
        start, stop = max(size - int(found[3]), 0), size
    else:
        start = int(found[1])
        stop = min(int(found[2]) + 1, size) if found[2] else size
    return Slice(start, stop, partial=True) if start < stop else None


def matches(untrusted_tags: str, etag: str, *, weak: bool) -> bool:
    """Say whether a list of entity tags, or ``*``, holds this strong one.

    Args:
        untrusted_tags: Value of ``If-Match``, ``If-None-Match`` or ``If-Range``.
        etag: The file's own, strong.
        weak: Whether a weak tag of the same text counts.
    """
    if untrusted_tags.strip() == "*":
        return True
    tags = _TAG.findall(untrusted_tags)
    return etag in tags or (weak and f"W/{etag}" in tags)
