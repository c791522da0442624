"""Ordinary variables, a whole list at once: each a name and a text, and nothing else.

Most of most objects are these, and nearly all of them say nothing of models. What a list
holds is read as one text first; only what that text does not rule out is looked at one by one.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any, NamedTuple

from trustkit.strictjson import Value

PAIR = 2
"""Members of an ordinary variable: its name and its value."""
_MOST = 256
"""Most variables that are read at once: the clock is not looked at meanwhile."""
_NAME, _VALUE = itemgetter("name"), itemgetter("value")


class Pairs(NamedTuple):
    """What a list of ordinary variables holds.

    Attributes:
        names: In their order; one may stand twice.
        values: In the same order.
        text: All of them, one a line.
    """

    names: list[str]
    values: list[str]
    text: str


class Lists:
    """The lists of variables of one object: each is taken apart once, whoever asks for it."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[list[Value], Pairs | None]] = {}
        self.dull: set[tuple[str, ...]] = set()
        """The names of lists of which none says anything: pods repeat themselves."""

    def pairs_of(self, untrusted: list[Value]) -> Pairs | None:
        """Return what a list holds; None if it is empty, long, or holds what is no ordinary variable."""
        known = self._known.get(id(untrusted))
        if known is None:  # the list is kept, so that no other one gets its identity
            known = self._known[id(untrusted)] = untrusted, _pairs_of(untrusted)
        return known[1]


def _pairs_of(untrusted: list[Value]) -> Pairs | None:
    if not 0 < len(untrusted) <= _MOST:
        return None
    entries: list[Any] = untrusted
    try:
        names, values = [*map(_NAME, entries)], [*map(_VALUE, entries)]
        text = "\n".join(names + values)
    except (TypeError, KeyError):  # what is no object, has no such member, or holds no text
        return None
    return None if max(map(len, entries)) > PAIR else Pairs(names, values, text)
