"""Prefixes that say the scheme of a reference, and where in a text one of them stands.

The law of this file: rows in, answers out. A quick look may only say that a text surely
holds nothing; what it does not rule out is read by the pattern itself.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from trustkit.artifact.reference import SCHEME
from trustkit.workloads.rows import MAX_PREFIX

_FEW = 4
"""Most addresses of a text that are looked at one by one."""
_REST = r"[^\s\"'`<>|;&(){}\[\]\\,]*"


@dataclass(frozen=True, eq=False)
class Schemes:
    """The rows ``schemes``.

    Attributes:
        anywhere: Prefixes that are a model's wherever they stand, with their schemes, the longest first.
        storage: Those of storage of any kind.
    """

    anywhere: tuple[tuple[str, str], ...]
    storage: tuple[tuple[str, str], ...]

    @functools.cached_property
    def anywhere_pattern(self) -> re.Pattern[str]:
        """Finds what is a model wherever it stands; linear, no nested repetition."""
        ours = re.escape(SCHEME)
        others = "|".join(re.escape(prefix) for prefix, _ in self.anywhere if prefix != SCHEME)
        # Our own scheme counts even glued to other text; for the rest "mypvc://" is another scheme than "pvc://".
        return re.compile(rf"(?:{ours}|(?<![A-Za-z0-9_.+/-])(?:{others})){_REST}", re.IGNORECASE)

    @functools.cached_property
    def storage_pattern(self) -> re.Pattern[str]:
        """Finds addresses of storage, which are models only where a model is expected."""
        prefixes = "|".join(re.escape(prefix) for prefix, _ in self.storage)
        return re.compile(rf"(?<![A-Za-z0-9_.+/-])(?:{prefixes}){_REST}", re.IGNORECASE)

    @functools.cached_property
    def _heads(self) -> tuple[str, ...]:
        """What stands before the first mark of each prefix that is a model anywhere."""
        return tuple({prefix[: prefix.index(":/")] for prefix, _ in self.anywhere})

    @functools.cached_property
    def _tails(self) -> tuple[int, frozenset[str]]:
        """The last letters of each of those, as many as the shortest has."""
        width = min(map(len, self._heads))
        return width, frozenset(head[-width:] for head in self._heads)

    def may_be_anywhere(self, text: str) -> bool:
        """Say whether `anywhere_pattern` may find something: a quick look, as most texts hold one address."""
        first, last = text.find(":/"), text.rfind(":/")
        if first < 0:
            return False
        if not text.isascii():
            return True  # letters beyond ASCII may equal others in another case
        if first == last:
            width, tails = self._tails
            ends = text[max(0, first - width) : first].lower() in tails
            return ends and text[:first].lower().endswith(self._heads)
        if text.count(":/") > _FEW:
            return True
        return any(part.endswith(self._heads) for part in text[:last].lower().split(":/"))

    def scheme_of(self, text: str) -> str | None:
        """Return the scheme a text starts with, or None."""
        start = text[:MAX_PREFIX].lower()
        rows = self._by_head.get(_head(start))
        if rows is None:
            return None
        for prefix, scheme in rows:
            if start.startswith(prefix):
                return scheme
        return None

    def is_bare(self, text: str) -> bool:
        """Say whether a text is a prefix and nothing behind it, as lists of what is supported hold it."""
        return text.lower() in self._bare

    @functools.cached_property
    def _bare(self) -> frozenset[str]:
        """The prefixes that are a scheme, or a host of the web, and no more: others name something."""
        return frozenset(prefix for prefix in self._schemes if _is_bare(prefix))

    @functools.cached_property
    def _schemes(self) -> dict[str, str]:
        return dict(self.storage) | dict(self.anywhere)

    @functools.cached_property
    def _by_head(self) -> dict[str, list[tuple[str, str]]]:
        """The prefixes by what stands before their first mark, the longest first."""
        found: dict[str, list[tuple[str, str]]] = {}
        for prefix in sorted(self._schemes, key=len, reverse=True):
            found.setdefault(_head(prefix), []).append((prefix, self._schemes[prefix]))
        return found


def _is_bare(prefix: str) -> bool:
    stem = prefix.rstrip("/")
    scheme, mark, host = stem.partition("://")
    if mark:
        return scheme in {"http", "https"} and "/" not in host and prefix.endswith("/")
    return "/" not in stem and stem.endswith((":", "@"))


def _head(text: str) -> str:
    """Return what stands before the first colon or ``@``, one of which is in every prefix."""
    head = text.partition(":")[0]
    return head.partition("@")[0] if "@" in head else head
