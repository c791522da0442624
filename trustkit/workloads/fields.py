"""One word of a script as the words that its program gets: split at blanks, with what is unknown marked.

The law of this file: what is unknown never becomes text that looks known; a
value that a shell may split or take for a pattern of file names is unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trustkit.workloads.values import MAX_STRING

_BLANKS = re.compile(r"[ \t\n]+")
_GLOBS = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Field:
    """One word as the program gets it.

    Attributes:
        text: With everything put in that is known, and the source of what is not.
        missing: The first part that is not known; empty if all is.
        loose: Whether what is missing may be several words, or none.
        guess: Whether the text is what stands here if the variables that are not known are not set.
    """

    text: str
    missing: str = ""
    loose: bool = False
    guess: bool = False


class Builder:
    """Puts the fields of one word together."""

    def __init__(self) -> None:
        self._fields: list[Field] = []
        self._parts: list[Field] = []
        self._room = MAX_STRING

    def text(self, text: str, *, splits: bool) -> None:
        """Add what is known; a value that is not quoted is split at its blanks."""
        self._room -= len(text)
        if self._room < 0 or (splits and _GLOBS.search(text)):
            self.unknown(text[:64] or "...", loose=splits)
        elif splits:
            self._split(text)
        else:
            self._parts.append(Field(text))

    def unknown(self, source: str, *, loose: bool, guess: list[Field] | None = None) -> None:
        """Add what is not known: its source, or what it is if nobody sets it."""
        if guess and len(guess) == 1 and not guess[0].missing:
            self._parts.append(Field(guess[0].text, source, loose, guess=True))
        else:
            self._parts.append(Field(source, source, loose))

    def close(self) -> list[Field]:
        """Return the fields."""
        self._end()
        return self._fields

    def _split(self, text: str) -> None:
        for number, part in enumerate(_BLANKS.split(text)):
            if number:
                self._end()
            if part:
                self._parts.append(Field(part))

    def _end(self) -> None:
        parts, self._parts = self._parts, []
        if parts:
            missing = [part for part in parts if part.missing]
            self._fields.append(
                Field(
                    "".join(part.text for part in parts),
                    missing[0].missing if missing else "",
                    any(part.loose for part in missing),
                    guess=bool(missing) and all(part.guess for part in missing),
                )
            )
