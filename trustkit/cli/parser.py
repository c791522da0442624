"""argparse as a strict front: no abbreviations, no silent duplicates, no exits, no empty paths.

argparse takes the last of two ``--key`` without a word, turns an empty string
into the current folder, and leaves the process on an error. Here every one of
these is a `UsageError` with the code ``bad-arguments``, so that ``--json`` holds.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import cast

from trustkit.programs.helping import AS_JSON, DEBUG, HELP, HelpParser, Once
from trustkit.records import dataclass

MAX_PATH = 4095
"""Longest path that Linux takes (bytes)."""
MAX_COMPONENT = 255
"""Longest single name in a path that Linux takes (bytes)."""

SHARED = (
    ("--json", AS_JSON),
    ("--quiet", "print nothing but warnings on success, unless printing is what the verb is for"),
    ("--debug", DEBUG),
)
"""Flags of every verb, beside ``--help``."""

Kind = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Flag:
    """What completion needs to know of a flag, or of a word by position (whose name has no dashes)."""

    name: str
    text: str
    metavar: str = ""
    files: bool = False
    choices: tuple[str, ...] = ()


class Parser(HelpParser):
    """The parser of one verb.

    Attributes:
        flags: What was added, in order.
    """

    def __init__(self, prog: str, *, width: int = 100) -> None:
        super().__init__(prog, width=width)
        self.flags: list[Flag] = []
        self.shared.add_argument("-h", "--help", action="store_true", help=HELP)
        self.flags.append(Flag("--help", HELP))
        for flag, text in SHARED:
            self.shared.add_argument(flag, action="store_true", help=text)
            self.flags.append(Flag(flag, text))

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
        twice: str = "",
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
            twice: What else may be meant where it is given twice.
        """
        shown, files = "" if choices else metavar, files or (kind is None and not choices)
        self.flags.append(Flag(flag, text, shown, files=files, choices=tuple(choices)))
        self.add_argument(
            flag,
            action=cast("type[argparse.Action]", partial(Once, twice=twice)),
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
