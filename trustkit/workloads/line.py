"""One simple command as a value: its words, where they stand, and what is known of the program.

The law of this file: it says what is there, and notes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from trustkit.workloads.notes import Notes
from trustkit.workloads.variables import Variables

_PROGRAM_WORDS = 64
"""How far into a command its programs are looked for (words)."""
_WRAPPERS = frozenset(
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
) | {"command", "builtin", "timeout", "coproc"}

_PYTHON = re.compile(r"python[0-9.]{0,8}")
_NO_PROGRAM = frozenset("-0123456789")
"""What options of a wrapper, and their numbers, start with."""


class Word(NamedTuple):
    """One word of a command line.

    Attributes:
        text: What the program sees, as far as that is known.
        path: Where it stands; empty for a word that an image's own program brings.
        missing: What of it is not known; empty if all is.
        loose: Whether what is missing may be several words, or none.
        guess: Whether the text is what stands here if what is missing is not set.
    """

    text: str
    path: str
    missing: str = ""
    loose: bool = False
    guess: bool = False

    @property
    def may_be_flag(self) -> bool:
        """Whether what is missing may turn it into a flag, or into another flag."""
        name = self.text.partition("=")[0]
        spells = name.startswith("-") and self.missing in name
        return bool(self.missing) and (self.guess or spells or self.text.startswith(self.missing))


@dataclass(slots=True)
class Line:
    """One simple command of a container, with what is needed to read it.

    Attributes:
        words: Its words.
        notes: Where to write.
        variables: Of the container.
        in_shell: Whether it was taken out of a script.
        is_script: Whether that surely was a script, and not a text that is read like one.
        server: Whether a model server is among its words, or those around it.
        programs: The first words without their folders, among which the programs are.
    """

    words: list[Word]
    notes: Notes
    variables: Variables
    in_shell: bool = False
    is_script: bool = False
    server: bool = False
    programs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [basename(word.text) if "/" in word.text else word.text for word in self.words]
        self.programs = tuple(names[:_PROGRAM_WORDS])
        self.server = self.server or not self.notes.table.servers.isdisjoint(names)

    @property
    def strict(self) -> bool:
        """Whether what cannot be read here may be a model, and a bare word is one."""
        return self.server or self.notes.expects

    @property
    def fetches(self) -> bool:
        """Whether a program here says of itself that it downloads."""
        return self.notes.downloads or any("download" in name for name in self.programs)

    @property
    def is_wrapped(self) -> bool:
        """Whether something stands before the program that merely starts it."""
        return not _WRAPPERS.isdisjoint(self.programs[: self.program()])

    def program(self) -> int:
        """Return the position of the program itself, behind assignments and what merely starts it."""
        for at, name in enumerate(self.programs):
            text = self.words[at].text
            assigns = "=" in text and "=" in text.partition("/")[0]
            if not (name in _WRAPPERS or assigns or text[:1] in _NO_PROGRAM):
                return at
        return len(self.programs)

    def started(self) -> str:
        """Return the name of the program itself, behind what merely starts it; empty if there is none."""
        names = list(self.programs[self.program() :])
        if names[:1] and names[0].startswith("python") and "-m" in names[:8]:
            names = names[names.index("-m") + 1 :]
        return names[0] if names else ""

    def starts_server(self) -> bool:
        """Say whether the program itself is one that serves models."""
        return self.started() in self.notes.table.models_servers


def basename(text: str) -> str:
    """Return a program's name without its folder."""
    return text.rsplit("/", 1)[-1]


def is_python(name: str) -> bool:
    """Say whether a program's name is Python's, with or without its version."""
    return _PYTHON.fullmatch(name) is not None
