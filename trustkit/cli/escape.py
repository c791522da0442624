"""Making untrusted text safe to show: one line, nothing that moves a cursor or turns letters around."""

from __future__ import annotations

TYPE_CHECKING = False  # what typing calls by this name
if TYPE_CHECKING:
    from trustkit import strictjson

MAX_LINE = 2000
"""Longest message that is shown (characters); what is cut is its middle, since remedies stand at the end."""

_HEAD = 1200
_TAIL = 700


def shown(untrusted: str) -> str:
    """Return the text with every unprintable character spelled out, as in a Python string.

    Control characters, line ends, ANSI sequences, bidirectional overrides,
    invisible characters and lone surrogates are all unprintable; backslashes
    are left alone, because most messages quote with ``repr`` already.
    """
    if untrusted.isprintable():
        return untrusted
    return "".join(char if char.isprintable() else _spelled(char) for char in untrusted)


def line(untrusted: str) -> str:
    """Return the text as one line of bearable length."""
    if len(untrusted) > MAX_LINE:
        untrusted = f"{untrusted[:_HEAD]} … {untrusted[-_TAIL:]}"
    return shown(untrusted)


def harmless(untrusted: object) -> strictjson.Value:
    """Return a JSON value with every string in it made safe to show, keys included."""
    if isinstance(untrusted, str):
        return shown(untrusted)
    if isinstance(untrusted, dict):
        return {shown(str(key)): harmless(value) for key, value in untrusted.items()}
    if isinstance(untrusted, list | tuple):
        return [harmless(value) for value in untrusted]
    if untrusted is None or isinstance(untrusted, bool | int | float):
        return untrusted
    return shown(str(untrusted))


def _spelled(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
