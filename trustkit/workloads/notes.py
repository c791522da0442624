"""The notebook of one extraction: references and unresolved places, each once, within the cap.

The only mutable thing of this room, alive for one call of `references`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from trustkit.errors import LimitError
from trustkit.workloads.grammar import Named, lies_below
from trustkit.workloads.once import Once
from trustkit.workloads.pairs import Lists
from trustkit.workloads.table import Table
from trustkit.workloads.values import (
    MAX_REFERENCES,
    MAX_SHOWN,
    MAX_WORDS,
    Confidence,
    How,
    ModelReference,
    Unresolved,
)

_RANK: dict[Confidence, int] = {"possible": 0, "likely": 1, "certain": 2}


PLAIN = re.compile(r"[A-Za-z0-9._/-]+")
"""Published paths: what expands, lists or climbs in a command is none."""
_WINDOW = 16 * 1024
_LONGEST_START = 256
"""More than any prefix of the table (characters)."""
_BETWEEN = re.compile(r"[,;|]")


_MOST_STARTED = 256
"""Programs that code of one object starts, and that are read."""


class Notes:
    """Collects what is found; the same text at the same place is one reference."""

    def __init__(
        self,
        table: Table,
        *,
        check: Callable[[], None],
        published: tuple[str, ...] = (),
        expects: bool = False,
    ) -> None:
        self.table = table
        self.check = check
        """Asked again and again; raises once the time is over."""
        self.lists = Lists()
        """The lists of variables of the object."""
        self.published = published
        """Folders that a sidecar of ours publishes: a path below them is that sidecar's reference."""
        self.expects = expects
        """Whether the pod asks for an accelerator or starts a model server."""
        self.strict = False
        """Whether the container that is read does: what it does not say plainly is unresolved."""
        self.downloads = False
        """Whether the image of the container that is read says of itself that it downloads."""
        self.serves = False
        """Whether the container that is read starts a model server."""
        self.started: Once[object] = Once(_MOST_STARTED)
        """Command lines (`Line`) that code starts, and that are to be read."""
        self._words = 0
        self._found: dict[tuple[str, str], ModelReference] = {}
        self._unresolved: dict[tuple[str, str], Unresolved] = {}

    def add(self, path: str, found: Named, *, how: How, confidence: Confidence, reason: str) -> None:
        """Note a reference; the surer of two sightings of one text at one place stays."""
        if (
            self.published
            and found.scheme == "path"
            and any(lies_below(found.reference, folder) for folder in self.published)
        ):
            if not self._is_published(found.reference):
                self.unresolved(path, found.reference, "text beside a published path may lead somewhere else")
            return
        key = (path, found.reference)
        before = self._found.get(key)
        if before is not None and _RANK[before.confidence] >= _RANK[confidence]:
            return
        if before is None:
            self._room(known=False)
        self._found[key] = ModelReference(
            path, found.reference, found.scheme, found.pinned, how, confidence, reason
        )

    def _is_published(self, text: str) -> bool:
        """Say whether a text is nothing but published paths: what expands, lists or climbs is not."""
        pieces = _BETWEEN.split(text)
        return all(
            PLAIN.fullmatch(piece) and any(lies_below(piece, folder) for folder in self.published)
            for piece in pieces
        )

    def unresolved(self, path: str, text: str, reason: str, *, code: str = "unresolved-model") -> None:
        """Note a place that cannot be read."""
        key = (path, reason)
        self._room(key in self._unresolved)
        self._unresolved.setdefault(key, Unresolved(path, text[:MAX_SHOWN], code, reason))

    def spend(self, words: int) -> None:
        """Count the words of command lines that are read: a limit on work, not on what is found.

        Raises:
            LimitError: ``too-many-words``; and whatever `check` raises.
        """
        self.check()
        self._words += words
        if self._words > MAX_WORDS:
            raise LimitError(
                "too-many-words",
                f"the object holds more than {MAX_WORDS} words of commands; split it",
                limit=MAX_WORDS,
            )

    def find(self, pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
        """Return what ``pattern.finditer`` returns, with a look at the clock every `_WINDOW` characters."""
        if len(text) <= _WINDOW:
            self.check()
            return pattern.finditer(text)
        return self._windows(pattern, text)

    def _windows(self, pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
        taken = 0
        for start in range(0, len(text), _WINDOW):
            self.check()
            for begun in pattern.finditer(text, start, start + _WINDOW + _LONGEST_START):
                if begun.start() >= start + _WINDOW:
                    break
                match = pattern.match(text, begun.start()) if begun.start() >= taken else None
                if match is not None:
                    taken = match.end()
                    yield match

    @property
    def models(self) -> tuple[ModelReference, ...]:
        """The references, in the order they were first noted."""
        return tuple(self._found.values())

    @property
    def count(self) -> int:
        """How many references there are."""
        return len(self._found)

    @property
    def open_places(self) -> tuple[Unresolved, ...]:
        """The unresolved places, in order."""
        return tuple(self._unresolved.values())

    def _room(self, known: bool) -> None:  # noqa: FBT001 - private, named at its two calls
        if not known and len(self._found) + len(self._unresolved) >= MAX_REFERENCES:
            raise LimitError(
                "too-many-references",
                f"the object names more than {MAX_REFERENCES} models; split it",
                limit=MAX_REFERENCES,
            )
