"""Readers of configuration members, one for each kind of value.

The law of this file: a value is checked where it is read, and the error names
the member that is wrong; nothing is guessed, rounded or normalized.
"""

from __future__ import annotations

from trustkit import strictjson
from trustkit.errors import FormatError
from trustkit.spiffe.names import parse_spiffe_id


def spiffe_id(text: str, name: str) -> str:
    """Check a SPIFFE ID with a path and return it unchanged."""
    try:
        return str(parse_spiffe_id(text))
    except FormatError as error:
        raise FormatError("bad-config", f"{name}: {error.message}", field=name) from None


def nonempty(value: strictjson.Value, name: str) -> str:
    """Check a non-empty text and return it."""
    if not isinstance(value, str) or not value:
        raise FormatError("bad-config", f"{name} must be a non-empty text", field=name)
    return value


def folder(text: str, name: str) -> str:
    """Check an absolute path without ``..`` and return it without a final slash."""
    if not text.startswith("/") or "/../" in f"{text}/" or "//" in text:
        raise FormatError("bad-config", f"{name} must be an absolute path without '..'", field=name)
    return text.rstrip("/") or "/"
