"""Word splitting of shell-wrapped commands, far enough to find arguments, never executing anything.

Reads quotes, escapes, comments, separators and plain assignments in one pass.
What a shell would compute (substitutions, globs, functions) stays text that
keeps its ``$`` or backquote, so that whoever needs the value sees it is unknown.
"""

from __future__ import annotations

import re

from trustkit.workloads.values import MAX_STRING

SHELLS = frozenset(("sh", "bash", "ash", "dash", "zsh", "ksh"))
WRAPPERS = frozenset(
    (
        "env",
        "exec",
        "nohup",
        "time",
        "nice",
        "tini",
        "dumb-init",
        "sudo",
        "gosu",
        "su-exec",
        "stdbuf",
        "busybox",
    )
)

_TOKEN = re.compile(
    r"""(?P<join>\\\n)
      | (?P<escape>\\.)
      | (?P<single>'[^']*'?)
      | (?P<double>"(?:[^"\\]|\\.)*"?)
      | (?P<substitution>\$\()
      | (?P<backquote>`[^`]*`?)
      | (?P<comment>\#[^\n]*)
      | (?P<blank>[ \t\r\f\v]+)
      | (?P<end>[;|&\n()<>])
      | (?P<plain>[^\\'"$`\# \t\r\f\v;|&\n()<>]+|.)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r'\\(["\\$`])')
_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::?[-=]([^{}]*))?\}|([A-Za-z_][A-Za-z0-9_]*))")
_UNKNOWN = re.compile(r"\$[({A-Za-z_]|`")


def script_index(words: list[str]) -> int | None:
    """Return the position of the script in ``sh -c SCRIPT``, or None."""
    for index, word in enumerate(words[:-1]):
        if word.rsplit("/", 1)[-1] in SHELLS:
            for offset, option in enumerate(words[index + 1 :], index + 1):
                if not option.startswith(("-", "+")):
                    return None
                if not option.startswith("--") and "c" in option and offset + 1 < len(words):
                    return offset + 1
            return None
    return None


def simple_commands(script: str) -> list[list[str]]:
    """Split a script into its simple commands, each a list of unquoted words."""
    commands: list[list[str]] = [[]]
    for word in _words(script):
        if word is None:
            commands.append([])
        else:
            commands[-1].append(word)
    return [command for command in commands if command]


def assignments(commands: list[list[str]]) -> dict[str, str]:
    """Return what a script's own assignments set, the last one of a name winning."""
    found: dict[str, str] = {}
    for command in commands:
        words = command[1:] if command[0] in {"export", "declare", "local", "readonly"} else command
        for word in words:
            match = _ASSIGNMENT.fullmatch(word)
            if match is None:
                break
            found[match[1]] = match[2]
    return found


def expand(word: str, variables: dict[str, str]) -> str:
    """Replace the variables that are known; the others keep their ``$``."""
    for _ in range(4):  # assignments that use each other; a loop of them stops here and stays unknown
        after = _substituted(word, variables)
        if after == word:
            break
        word = after
    return word


def is_unknown(word: str) -> bool:
    """Say whether a word still depends on something only a shell could compute."""
    return _UNKNOWN.search(word) is not None


def _substituted(word: str, variables: dict[str, str]) -> str:
    """Substitute once, within `MAX_STRING`: a word may name a long variable thousands of times."""
    room = MAX_STRING

    def value(match: re.Match[str]) -> str:
        nonlocal room
        known = variables.get(match[1] or match[3], match[2])
        room -= len(known or "")
        return known if known and room >= 0 else match[0]

    return _VARIABLE.sub(value, word)


def _words(script: str) -> list[str | None]:
    """Words of a script; None stands for the end of a simple command."""
    splitter = _Splitter()
    for match in _TOKEN.finditer(script):
        splitter.take(str(match.lastgroup), match[0])
    splitter.end_word()
    return splitter.found


class _Splitter:
    """Joins tokens to words; inside ``$( )`` everything belongs to the one word."""

    def __init__(self) -> None:
        self.found: list[str | None] = []
        self._word: list[str] | None = None
        self._nested = 0

    def take(self, kind: str, text: str) -> None:
        """Take the next token."""
        if self._nested or kind == "substitution":
            self._nested += text.endswith("(") - (text == ")")
            self._append(text)
        elif kind == "comment" and self._word is not None:
            self._append(text.split(maxsplit=1)[0])  # a hash inside a word is no comment
        elif kind in {"blank", "end", "comment"}:
            self.end_word()
            if kind != "blank":
                self.found.append(None)
        elif kind != "join":  # an escaped line end joins lines
            self._append(_unquoted(kind, text))

    def end_word(self) -> None:
        """Close the word that is open."""
        if self._word is not None:
            self.found.append("".join(self._word))
        self._word = None

    def _append(self, text: str) -> None:
        self._word = self._word or []
        self._word.append(text)


def _unquoted(kind: str, text: str) -> str:
    if kind == "escape":
        return text[1:]
    if kind == "single":
        return text[1:-1] if len(text) > 1 and text.endswith("'") else text[1:]
    if kind == "double":
        inner = text[1:-1] if len(text) > 1 and text.endswith('"') else text[1:]
        return _ESCAPED.sub(r"\1", inner.replace("\\\n", ""))
    return text
