"""Shell scripts to simple commands, far enough to find arguments, never executing anything.

One pass over the text. Words are read by `pieces`; here is what ends a word or
a command: blanks, operators, redirections, here-documents, reserved words. A
command is *certain* if it surely runs, once, in the shell of the script itself:
only then does what it assigns hold for what comes after it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from trustkit.workloads.pieces import Piece, ShellWord, Words, plain

SHELLS = frozenset(("sh", "bash", "ash", "dash", "zsh", "ksh", "mksh", "rbash"))

_PREFIXES = frozenset(("then", "do", "else", "elif", "if", "while", "until", "!", "{", "time"))
_OPENS = frozenset(("if", "while", "until", "for", "select", "case", "{", "coproc"))
_CLOSES = frozenset(("fi", "done", "esac", "}"))
_RESERVED = _PREFIXES | _OPENS | _CLOSES | {"function"}
_REDIRECTION = re.compile(r"&>>?|<<<|<<-?|[<>]&|<>|>>|>\||[<>]")
_DOCUMENTS = frozenset(("<<", "<<-"))
_SEPARATOR = re.compile(r"&&|\|\||;;|\|&|[;&|\n]")
_ARRAY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_EMPTY = re.compile(r"\([ \t]*\)")
_BLANK_TO_FILL = re.compile(r"<[A-Za-z][A-Za-z0-9_ -]{0,62}>(?=[\s;&|)/]|$)")
"""``<model-path>``, left to fill in: a shell takes it for files, and it is no model of ours either way."""
_SPLIT_OPERATOR = re.compile(r"(?:[<>&|]|\$\{?[A-Za-z0-9_]*)\\\n\S")


@dataclass(frozen=True, slots=True)
class Command:
    """A simple command: its words, and whether it surely runs, once, in the shell of the script itself."""

    words: tuple[ShellWord, ...]
    certain: bool
    document: bool = False
    """Whether its input is a here-document."""


@dataclass(slots=True)
class Script:
    """What a script was split into.

    Attributes:
        commands: Simple commands in the order of the text; targets of redirections follow theirs.
        nested: Scripts inside: substitutions.
        documents: Here-documents, which may be scripts, or code, or neither.
        opaque: Why another shell may read it in another way; empty if none would.
    """

    commands: list[Command] = field(default_factory=list)
    nested: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    opaque: str = ""


def script_index(words: list[str]) -> int | None:
    """Return the position of the script in ``sh -c SCRIPT``, or None."""
    for index, word in enumerate(words[:-1]):
        if word.rsplit("/", 1)[-1] in SHELLS:
            letters, at = _after_options(words, index + 1)
            return at if "c" in letters and at < len(words) else None
    return None


def script_of_shell(words: list[str], at: int) -> int | None:
    """Return where a shell finds its script: the position of a file's name, or past the end for its input.

    Args:
        words: Of the command.
        at: Position of the first word behind the shell.

    Returns:
        None if the script is a word itself, behind ``-c``.
    """
    letters, at = _after_options(words, at)
    if "c" in letters:
        return None
    return len(words) if "s" in letters else at


def _after_options(words: list[str], at: int) -> tuple[str, int]:
    """The letters of a shell's options, and the position of the first word that is none."""
    letters = ""
    while at < len(words) and words[at].startswith(("-", "+")) and words[at] not in {"-", "--"}:
        option = words[at]
        letters += "" if option.startswith("--") else option[1:]
        valued = option in {"--rcfile", "--init-file"} or (option[1:2] != "-" and option[-1] in "oO")
        at += 2 if valued else 1
    return letters, at + (at < len(words) and words[at] in {"-", "--"})


def parse(text: str) -> Script:
    """Split a script into its simple commands; any text is survived."""
    return _Scanner(text).run()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._words = Words(text)
        self._script = Script()
        self._command: list[ShellWord] = []
        self._targets: list[Command] = []
        self._redirection = ""
        self._document = False
        """Whether a here-document is the input of the command that is open."""
        self._expected: list[tuple[str, bool]] = []
        """Here-documents that start after this line: their last line, and whether tabs before it count."""
        self._open = 0
        """Compound commands that are open."""
        self._parens = 0
        self._chained = False
        self._cases = False
        """Whether there was a `case`, whose patterns can look like anything: nothing is certain after it."""

    def run(self) -> Script:
        """Read all of it."""
        words = self._words
        while words.at < len(words.text):
            if not words.take():
                self._between(words.text[words.at])
        self._end_command("")
        if _SPLIT_OPERATOR.search(words.text):
            words.opaque = "joins two lines inside an operator or a name"
        self._script.nested = words.nested
        self._script.opaque = words.opaque
        return self._script

    def _between(self, char: str) -> None:
        """Take what ends a word or a command."""
        words = self._words
        if char in " \t":
            words.at += 1
            self._end_word()
        elif char == "#":
            end = words.text.find("\n", words.at)
            words.at = len(words.text) if end < 0 else end
        elif char in "()":
            self._bracket(char)
        elif (match := _REDIRECTION.match(words.text, words.at)) is not None:
            self._redirect(match[0])
        elif (match := _SEPARATOR.match(words.text, words.at)) is not None:
            words.at = match.end()
            self._end_command(match[0])

    def _bracket(self, char: str) -> None:
        words = self._words
        if char == "(" and words.pieces is not None:
            if _ARRAY.fullmatch(plain(tuple(words.pieces))):
                words.add(words.substitution(1))
                return
            if _EMPTY.match(words.text, words.at) is None:  # else a function is defined
                words.opaque = "holds a pattern that not every shell knows"
                words.add(words.substitution(1))
                return
        words.at += 1
        self._end_command(char)
        self._parens = max(0, self._parens + (1 if char == "(" else -1))

    def _redirect(self, operator: str) -> None:
        words = self._words
        blank = _BLANK_TO_FILL.match(words.text, words.at) if words.pieces is None else None
        if blank is not None:
            words.add(Piece("text", blank[0], quoted=True))
            words.at = blank.end()
            return
        if words.text.startswith("(", words.at + 1) and operator in {"<", ">"}:
            words.add(words.substitution(2))  # a process, as a file
            return
        numbered = words.pieces is not None and plain(tuple(words.pieces)).isdigit()
        if numbered:
            words.pieces = None  # the number of a file
        self._end_word()
        words.at += len(operator)
        if operator.startswith("<") and not numbered:
            self._document = operator in _DOCUMENTS
        self._redirection = operator

    def _end_word(self) -> None:
        """Close the word that is open: an argument, or the target of a redirection."""
        word, self._words.pieces = self._words.pieces, None
        if word is None:
            return
        operator, self._redirection = self._redirection, ""
        if operator in _DOCUMENTS:
            self._expected.append(("".join(piece.text for piece in word), operator == "<<-"))
        elif operator:
            self._targets.append(Command(((Piece("text", operator),), tuple(word)), certain=False))
        else:
            self._command.append(tuple(word))

    def _end_command(self, separator: str) -> None:
        self._end_word()
        self._redirection = ""
        if self._command:
            if separator != ")" or self._parens or plain(self._command[0]) == "case":  # else it is a pattern
                self._reserved()
            alone = separator not in {"|", "|&", "&"} and not self._chained
            certain = alone and not (self._open or self._parens or self._cases or self._targets)
            if self._command:
                command = Command(tuple(self._command), certain=certain, document=self._document)
                self._script.commands.append(command)
            self._chained = separator in {"&&", "||", "|", "|&"}
        elif separator in {"&&", "||", "|", "|&"}:
            self._chained = True
        self._script.commands += self._targets
        self._command, self._targets, self._document = [], [], False
        if separator == "\n" and self._expected:
            self._documents()

    def _reserved(self) -> None:
        """Take the reserved words before a command, and count what they open and close."""
        while self._command and (word := plain(self._command[0])) in _RESERVED:
            if word == "function":  # its name; what it does follows
                del self._command[:2]
                continue
            self._open = max(0, self._open + (word in _OPENS) - (word in _CLOSES))
            self._cases = self._cases or word == "case"
            if word in _OPENS - _PREFIXES:
                return
            self._command.pop(0)

    def _documents(self) -> None:
        """Read the here-documents that were announced on the line that just ended."""
        words = self._words
        for last, tabs in self._expected:
            lines: list[str] = []
            while words.at < len(words.text):
                end = words.text.find("\n", words.at)
                line = words.text[words.at : end if end >= 0 else len(words.text)]
                words.at = end + 1 if end >= 0 else len(words.text)
                if (line.lstrip("\t") if tabs else line) == last:
                    break
                lines.append(line)
            self._script.documents.append("\n".join(lines))
        self._expected = []
