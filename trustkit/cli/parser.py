"""argparse as a strict front: no abbreviations, no silent duplicates, no exits, no empty paths.

argparse takes the last of two ``--key`` without a word, turns an empty string
into the current folder, and leaves the process on an error. Here every one of
these is a `UsageError` with the code ``bad-arguments``, so that ``--json`` holds.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from trustkit.errors import UsageError

MAX_PATH = 4095
"""Longest path that Linux takes (bytes)."""
MAX_COMPONENT = 255
"""Longest single name in a path that Linux takes (bytes)."""

SHARED = (
    ("--json", "print exactly one JSON document on stdout, on every outcome"),
    ("--quiet", "print nothing on success, unless printing is what the verb is for"),
    ("--debug", "show where a failure or a bug comes from"),
)
"""Flags of every verb, beside ``--help``."""

EXITS = """\
  2 a flag or a path is wrong               3 a file breaks its format
  4 a stated limit was exceeded             5 could not tell, or could not write
  70 a bug                                  130 interrupted"""

Kind = Callable[[str], object]


class Flag(NamedTuple):
    """What completion needs to know of a flag, or of a word by position (whose name has no dashes)."""

    name: str
    text: str
    metavar: str = ""
    files: bool = False
    choices: tuple[str, ...] = ()


class Parser(argparse.ArgumentParser):
    """The parser of one verb; complains by raising.

    Attributes:
        flags: What was added, in order.
    """

    def __init__(self, prog: str, *, width: int = 100) -> None:
        super().__init__(
            prog=prog,
            add_help=False,
            allow_abbrev=False,
            formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
                prog, max_help_position=30, width=width
            ),
        )
        self.color = False  # from Python 3.14 on argparse would paint by rules of its own
        self._width = width
        self._positionals.title = "arguments"
        self._optionals.title = "flags"
        self.flags: list[Flag] = []
        self._shared = self.add_argument_group("after every verb")
        self._shared.add_argument("-h", "--help", action="store_true", help="show this text")
        self.flags.append(Flag("--help", "show this text"))
        for flag, text in SHARED:
            self._shared.add_argument(flag, action="store_true", help=text)
            self.flags.append(Flag(flag, text))

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments; the name is argparse's."""
        raise UsageError("bad-arguments", f"{message}; see {self.prog} --help")

    def story(self, text: str, *examples: str, done: str = "done", refused: str = "") -> None:
        """Say what the verb does, show how it is used, and what its exit status means.

        Args:
            text: Paragraphs.
            examples: Command lines; those that go on start with spaces.
            done: What 0 means.
            refused: What 1 means, for verbs that look at evidence.
        """
        self.description = text.strip()
        one = f"  1 {refused}\n" if refused else ""
        lines = "".join(f"  {example}\n" for example in examples)
        self.epilog = f"examples:\n{lines}\nexit status:\n  0 {done}\n{one}{EXITS}"

    def format_help(self) -> str:
        """Write the help, with a usage line that names what must be there and leaves the rest to the list."""
        from textwrap import fill

        needed = [action for action in self._actions if action.required]
        words = [" ".join((*action.option_strings[-1:], str(action.metavar or "VALUE"))) for action in needed]
        usage = " ".join((self.prog, *sorted(words, key=lambda word: word.startswith("-")), "[FLAGS]"))
        self.usage = fill(usage, self._width - 7, subsequent_indent=" " * 11, break_on_hyphens=False)
        paragraphs = (self.description or "").split("\n\n")
        self.description = "\n\n".join(fill(text, self._width, break_on_hyphens=False) for text in paragraphs)
        return super().format_help()

    def place(self, name: str, text: str, *, kind: Kind | None = None, choices: Sequence[str] = ()) -> None:
        """Take a path by position, or what a kind reads, or one of some words."""
        self.flags.append(Flag(name, text, files=not choices, choices=tuple(choices)))
        kind = kind or (text_of if choices else path_of)
        self.add_argument(name, type=kind, metavar=name.upper(), choices=choices or None, help=text)

    def places(self, name: str, text: str) -> None:
        """Take one path by position or more."""
        self.flags.append(Flag(name, text, files=True))
        self.add_argument(name, type=path_of, nargs="+", metavar=f"{name.upper()}...", help=text)

    def one(
        self,
        flag: str,
        text: str,
        *,
        metavar: str = "FILE",
        kind: Kind | None = None,
        required: bool = False,
        choices: Sequence[str] = (),
        files: bool = False,
    ) -> None:
        """Take a flag with one value, at most once; a path unless a kind or choices say otherwise.

        Args:
            flag: Its name, with dashes.
            text: What help says of it.
            metavar: What help calls the value.
            kind: Reads the value.
            required: Whether it must be there.
            choices: The values there are.
            files: Whether files complete it, although a kind reads it.
        """
        shown, files = "" if choices else metavar, files or (kind is None and not choices)
        self.flags.append(Flag(flag, text, shown, files=files, choices=tuple(choices)))
        self.add_argument(
            flag,
            action=_Once,
            type=kind or (text_of if choices else path_of),
            metavar=shown or None,
            required=required,
            choices=choices or None,
            help=text,
        )

    def many(
        self,
        flag: str,
        text: str,
        *,
        metavar: str = "FILE",
        kind: Kind | None = None,
        required: bool = False,
        files: bool = False,
    ) -> None:
        """Take a flag that may be repeated; *files* as for `one`."""
        self.flags.append(Flag(flag, text, metavar, files=files or kind is None))
        self.add_argument(
            flag,
            action="append",
            type=kind or path_of,
            metavar=metavar,
            required=required,
            help=f"{text}; may be repeated",
        )

    def switch(self, flag: str, text: str) -> None:
        """Take a flag without a value."""
        self.flags.append(Flag(flag, text))
        self.add_argument(flag, action="store_true", help=text)


class _Once(argparse.Action):
    """Stores a value, and refuses a second one: which of two keys was meant is not ours to guess."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - argparse's signature
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,  # noqa: ARG002 - argparse's signature
    ) -> None:
        """Store the value; the signature is argparse's."""
        if getattr(namespace, self.dest) is not None:
            raise argparse.ArgumentError(self, "may be given only once")
        setattr(namespace, self.dest, values)


def text_of(untrusted: str) -> str:
    """Take a text that is not empty and that the system could have sent."""
    if not untrusted:
        raise argparse.ArgumentTypeError("is empty")
    if "\0" in untrusted:
        raise argparse.ArgumentTypeError("holds a NUL character")
    return untrusted


def path_of(untrusted: str) -> Path:
    """Take a path that the system can look up."""
    try:
        raw = os.fsencode(text_of(untrusted))
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("is not a path") from None
    if len(raw) > MAX_PATH or max(map(len, raw.split(b"/"))) > MAX_COMPONENT:
        raise argparse.ArgumentTypeError("is longer than a path can be")
    return Path(untrusted)


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """Make a kind that takes a whole number in plain digits within bounds."""

    def number(untrusted: str) -> int:
        plain = untrusted.isascii() and untrusted.isdigit() and len(untrusted) <= len(str(highest))
        if not plain or not lowest <= int(untrusted) <= highest:
            raise argparse.ArgumentTypeError(f"must be a whole number from {lowest} to {highest}")
        return int(untrusted)

    return number
