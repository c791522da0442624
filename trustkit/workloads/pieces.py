"""One word of a shell script, piece by piece: text, names of variables, and what only a shell could compute.

The law of this file: a piece is *text* only where every shell reads the same
text. Substitutions, positional parameters, globs, braces and a tilde are
*unknown*; what shells read differently makes the whole script *opaque*.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from trustkit.workloads import quoting

Kind = Literal["text", "name", "unknown"]

_RUN = re.compile(r"[^ \t\n'\"\\$`#;|&()<>*?\[{~]+")
_QUOTED_RUN = re.compile(r"[^\"\\$`]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-=+?])(.*))?", re.DOTALL)
_POSITIONAL = frozenset("0123456789@*#?$!-")
_ENDS_ELSEWHERE = re.compile(r"\bcase\b|<<")
_BLANK = frozenset(("", " ", "\t", "\n"))


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a word.

    Attributes:
        kind: ``text``, ``name`` (of a variable) or ``unknown``.
        text: The text, without its quotes; for the other kinds their source.
        quoted: Whether the shell neither splits it nor looks for files of that name.
        name: Of the variable.
        operator: Of ``${NAME-word}``: ``-``, ``:-``, ``+``, ...; empty for a plain one.
        word: What follows the operator.
    """

    kind: Kind
    text: str
    quoted: bool = False
    name: str = ""
    operator: str = ""
    word: tuple[Piece, ...] = ()


ShellWord = tuple[Piece, ...]


def plain(word: ShellWord) -> str:
    """Return the text of a word that is only text without quotes, as reserved words are; else ``""``."""
    return word[0].text if len(word) == 1 and word[0].kind == "text" and not word[0].quoted else ""


class Words:
    """Reads the pieces of one word after another; what ends a word is left to whoever reads commands."""

    def __init__(self, text: str, depth: int = 0) -> None:
        self.text = text
        self.at = 0
        self.pieces: list[Piece] | None = None
        """The word that is open."""
        self.nested: list[str] = []
        """Scripts inside: what is substituted."""
        self.opaque = ""
        """Why another shell may read it in another way; empty if none would."""
        self._depth = depth

    def take(self) -> bool:
        """Take the next piece; False where a blank or an operator stands, which is left there."""
        text, at = self.text, self.at
        run = _RUN.match(text, at)
        if run is not None:
            self.at = run.end()
            self.add(Piece("text", run[0]))
            return True
        char = text[at]
        if char in " \t\n;&|()<>" or (char == "#" and self.pieces is None):
            return False
        if char in "'\"\\":
            self._quote(char)
        elif char == "$":
            self.add(self._dollar(quoted=False))
        elif char == "`":
            self.add(self._backquote(quoted=False))
        else:
            self.at += 1
            self.add(Piece(self._kind(char), char))
        if self.at > len(text):
            self.opaque, self.at = "holds a quote or a bracket that never ends", len(text)
        return True

    def add(self, piece: Piece) -> None:
        """Add a piece to the word that is open, or open one."""
        self.pieces = [] if self.pieces is None else self.pieces
        last = self.pieces[-1] if self.pieces else None
        if last is not None and last.kind == piece.kind == "text" and last.quoted == piece.quoted:
            self.pieces[-1] = Piece("text", last.text + piece.text, piece.quoted)
        else:
            self.pieces.append(piece)

    def _kind(self, char: str) -> Kind:
        """What the shell makes of a character outside quotes: text, or something it expands."""
        before = self.pieces[-1].text if self.pieces else ""
        after = self.text[self.at : self.at + 1]
        if char == "#" or (char == "~" and before and before[-1] not in "=:"):
            return "text"
        if char == "[" and before in {"", "["}:  # the commands [ and [[
            return "text" if after in _BLANK or after == "[" else "unknown"
        return "text" if char == "{" and not before and after in _BLANK else "unknown"

    def _quote(self, char: str) -> None:
        self.at += 1
        if char == "\\":
            following = self.text[self.at : self.at + 1]
            self.at += 1
            if following != "\n":  # an escaped line end joins lines
                self.add(Piece("text", following, quoted=True))
        elif char == "'":
            end = quoting.end_of_single(self.text, self.at)
            self.add(Piece("text", self.text[self.at : end].removesuffix("'"), quoted=True))
            self.at = end
        else:
            self._double()

    def _double(self) -> None:
        self.add(Piece("text", "", quoted=True))  # an empty pair of quotes is a word
        text = self.text
        while self.at < len(text) and text[self.at] != '"':
            run = _QUOTED_RUN.match(text, self.at)
            if run is not None:
                self.at = run.end()
                self.add(Piece("text", run[0], quoted=True))
            elif text[self.at] == "$":
                self.add(self._dollar(quoted=True))
            elif text[self.at] == "`":
                self.add(self._backquote(quoted=True))
            else:
                escaped = text[self.at : self.at + 2]
                self.at += 2
                kept = escaped[1:] if escaped[1:] in {'"', "\\", "$", "`"} else escaped
                self.add(Piece("text", "" if escaped == "\\\n" else kept, quoted=True))
        self.at += 1

    def _backquote(self, *, quoted: bool) -> Piece:
        start = self.at
        self.at = quoting.end_of_backquote(self.text, start + 1)
        source = self.text[start : self.at]
        self.nested.append(re.sub(r"\\([`\\$])", r"\1", source[1:].removesuffix("`")))
        return Piece("unknown", source, quoted)

    def _dollar(self, *, quoted: bool) -> Piece:
        """Read what a dollar sign starts; the position is after it then."""
        start, text = self.at, self.text
        after = text[start + 1 : start + 2]
        name = _NAME.match(text, start + 1)
        if name is not None:
            self.at = name.end()
            return Piece("name", text[start : self.at], quoted, name[0])
        if after == "{":
            return self._parameter(quoted=quoted)
        if after == "(":
            return self.substitution(2, quoted=quoted)
        if after == "[" or (after in {"'", '"'} and not quoted):
            self.opaque = "quotes in a way that not every shell knows"
            self.at += 1
            return Piece("unknown", "$", quoted)
        self.at += 2 if after in _POSITIONAL else 1
        # A dollar sign that starts nothing is itself; but outside quotes bash does not split the word then.
        known = quoted and after not in _POSITIONAL
        return Piece("text" if known else "unknown", text[start : self.at], quoted)

    def substitution(self, opening: int, *, quoted: bool = False) -> Piece:
        """Read ``$(...)``, ``<(...)`` or ``(...)``: what is inside is a script of its own."""
        start = self.at
        self.at = quoting.end_of_parens(self.text, start + opening, self._depth)
        inner = self.text[start + opening : self.at].removesuffix(")")
        self.nested.append(inner)
        if _ENDS_ELSEWHERE.search(inner):
            self.opaque = "nests what shells end at different places"
        return Piece("unknown", self.text[start : self.at], quoted)

    def _parameter(self, *, quoted: bool) -> Piece:
        start = self.at
        self.at = quoting.end_of_braces(self.text, start + 2, self._depth)
        source = self.text[start : self.at]
        inner = source[2:].removesuffix("}")
        form = _PARAMETER.fullmatch(inner)
        if quoted and "'" in inner:
            self.opaque = "quotes inside a parameter in a way that not every shell knows"
        word = None if form is None else self._word(form[3] or "")
        if form is None or word is None:
            self.nested += self._inside(inner)
            return Piece("unknown", source, quoted)
        return Piece("name", source, quoted, form[1], form[2] or "", word)

    def _word(self, text: str) -> ShellWord | None:
        """The pieces of what follows an operator; None if it is more than one word."""
        words = Words(text, self._depth + 1)
        if self._depth > quoting.MAX_NESTED:
            return None
        while words.at < len(text) and words.take():
            pass
        if words.at < len(text):
            return None
        self.nested += words.nested
        self.opaque = self.opaque or words.opaque
        return tuple(words.pieces or ())

    def _inside(self, text: str) -> list[str]:
        """Scripts that a parameter nobody can read may hold."""
        return [text] if "$(" in text or "`" in text else []
