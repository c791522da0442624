"""Commands of a script that run what stands nowhere in it: by a pipe, from a file it wrote, by ``xargs``.

The law of this file: it says why a command cannot be read, and reads none. A file of the
image is a program like any other; what a script feeds to a shell is a script of its own.
"""

from __future__ import annotations

from trustkit.workloads.line import Line, Word, basename
from trustkit.workloads.shell import SHELLS, script_of_shell

_OTHER_SHELLS = frozenset(("csh", "tcsh", "fish", "yash", "posh", "pwsh", "nu", "xonsh", "elvish"))
"""Their scripts are written in another language."""
_SOURCES = frozenset((".", "source"))
_FEEDS = frozenset(("xargs", "parallel"))
"""Programs that run another one with words that they read."""
_MAY_BE_FED = (
    frozenset(("basename", "cat", "chgrp", "chmod", "chown", "cp", "dirname", "du", "echo", "file", "grep"))
    | frozenset(("head", "kill", "ls", "md5sum", "mkdir", "mv", "printf", "readlink", "realpath", "rm"))
    | frozenset(("rmdir", "sha256sum", "stat", "tail", "touch", "unlink", "wc"))
)
"""Programs that run no other."""
_INTERPRETERS = ("python", "perl", "node", "ruby", "php", "lua")
_SAID = ("-c", "-e", "-m", "-r", "-v", "-h", "--")
"""How options of theirs start behind which the program itself stands, or none is run."""
_COPIES = frozenset(("tee", "dd"))
_MOVES = frozenset(("mv", "cp", "ln", "install"))
_INPUTS = ("<(", "/dev/stdin", "/dev/fd/", "/proc/")
_ARGUMENTS = frozenset(("$@", "$*", "${@}", "${*}"))
"""The arguments of a script, which are read beside it."""
_WRITES = frozenset((">", ">>", ">|", "&>", "&>>", "<>"))


def is_fed(line: Line) -> bool:
    """Say whether a command's program runs another one with words that it reads."""
    at = line.program()
    return (
        at < len(line.programs) and line.programs[at] in _FEEDS and not _feeds_harmless(line.words[at + 1 :])
    )


class Unread:
    """Looks at the commands of one script, in their order."""

    def __init__(self) -> None:
        self._written: set[str] = set()
        """Files that a command before wrote, other than from a here-document."""
        self._fed = False
        """Whether the last command read a here-document."""
        self._set = False
        """Whether the script sets arguments of its own."""

    def why(self, line: Line, *, document: bool) -> str:
        """Say why a command cannot be read; empty if it can.

        Args:
            line: The command, or the target of a redirection of the command before.
            document: Whether its input is a here-document, which is read as a script.
        """
        words, at = line.words, line.program()
        if words and words[0].text in _WRITES:
            self._written.update(basename(word.text) for word in words[1:2] if not self._fed)
            return ""
        self._fed = document
        if at >= len(words):
            return ""
        name, rest = line.programs[at], words[at + 1 :]
        files = [basename(word.text) for word in rest]
        if name in _COPIES or (name in _MOVES and not self._written.isdisjoint(files)):
            self._written.update(files)
        self._set = self._set or (name == "set" and _sets_arguments(rest))
        missing = words[at].missing
        if missing and (self._set or missing not in _ARGUMENTS) and line.is_wrapped:
            return f"runs a program that depends on {missing[:64]}"
        if name in _FEEDS and not _feeds_harmless(rest):
            return f"runs what {name} reads"
        if name in _OTHER_SHELLS:
            return f"runs {name}, whose scripts are not read"
        return self._runs(line, at, document=document)

    def _runs(self, line: Line, at: int, *, document: bool) -> str:
        """Say which script the command runs that stands nowhere."""
        words = line.words
        ran = [words[at]] if "/" in words[at].text else []
        if line.programs[at].startswith(_INTERPRETERS):
            if not document and _reads_input(words[at + 1 :]):
                return f"gives {line.programs[at][:64]} a program that stands nowhere"
        elif line.programs[at] in _SOURCES:
            ran = words[at + 1 : at + 2]
        elif (shell := _shell(line, at)) is not None:
            script = script_of_shell([word.text for word in words], shell + 1)
            ran = [] if script is None else words[script : script + 1]
            if not document and script is not None and _is_input(ran):
                return f"gives {line.programs[shell]} a script that stands nowhere"
        for word in ran:
            if basename(word.text) in self._written:
                return f"runs {word.text[:64]}, which it wrote itself"
            if word.text.startswith(_INPUTS) and not document:
                return f"runs {word.text[:64]}, which stands nowhere"
        return ""


def _shell(line: Line, at: int) -> int | None:
    """Position of a shell that is the program, or stands behind one word of what only starts programs."""
    names = line.programs
    if at and "command" in names[:at] and any(word.text in {"-v", "-V"} for word in line.words[:at]):
        return None  # asks whether there is one
    if names[at] in SHELLS:
        return at
    return at + 1 if at + 1 < len(names) and names[at + 1] in SHELLS and line.is_wrapped else None


def _is_input(words: list[Word]) -> bool:
    """Whether a shell that gets these words reads its script from its input, or may do so."""
    return not words or words[0].text == "-" or (words[0].loose and words[0].text == words[0].missing)


def _reads_input(words: list[Word]) -> bool:
    """Whether an interpreter that gets these words reads its program from its input."""
    for word in words:
        if word.text == "-" or not word.text.startswith("-"):
            return word.text == "-" or word.text.startswith(_INPUTS)
        if word.text.lower().startswith(_SAID):
            return False
    return True


def _sets_arguments(words: list[Word]) -> bool:
    """Whether ``set`` gives the script other arguments: more than options stand behind it."""
    before = ""
    for word in words:
        if word.text in {"-", "--"} or word.missing:
            return True
        if not word.text.startswith(("-", "+")) and not before.endswith("o"):
            return True
        before = word.text
    return False


def _feeds_harmless(words: list[Word]) -> bool:
    """Whether what ``xargs`` runs is no word, or a program that runs no other."""
    names = [basename(word.text) for word in words]
    plain = [name for name in names if not name.startswith("-") and not name.isdecimal() and name != "{}"]
    return not names or (bool(plain) and plain[0] in _MAY_BE_FED)
