"""Command lines: how a program of ours is called, and how it complains when it is called wrongly.

The law of this file: a wrong argument is one error with a code, like every
other failure; no flag is guessed from its first letters; and where a second
value would make two readings of one command line, it is refused.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path

from trustkit.errors import nearest
from trustkit.programs.helping import (
    AS_JSON,
    DEBUG,
    HELP,
    HelpParser,
    Once,
    flags_of,
    foot,
    head,
    rows,
    shown_flag,
)
from trustkit.version import __version__

Kind = Callable[[str], object]
"""Reads the value of a flag, for ``type=``."""
_OF_PROGRAMS = ("-h", "--help", "--version")
"""All that may stand before a verb."""


class Program(HelpParser):
    """The parser of a program: its verbs, each with a parser of its own.

    Args:
        name: The program's.
        does: One sentence about it.
        names: Its verbs, for whoever names none.
    """

    def __init__(self, name: str, *, does: str, names: str) -> None:
        super().__init__(name)
        self._does = does
        self._summaries: list[tuple[str, str]] = []
        self.add_argument(*_OF_PROGRAMS[:2], action="help", help=HELP)
        self.add_argument(_OF_PROGRAMS[2], action="version", version=f"{name} {__version__}")
        self._verbs = self.add_subparsers(dest="verb", required=True, metavar=names, parser_class=_Verb)

    def verb(self, name: str, does: str) -> HelpParser:
        """Add a verb that has the common flags; its story is for the caller to tell.

        Args:
            name: Its name.
            does: What it does, in a few words.
        """
        self._summaries.append((name, does))
        parser: HelpParser = self._verbs.add_parser(name)
        parser.shared.add_argument("-h", "--help", action="help", help=HELP)
        parser.shared.add_argument("--json", action="store_true", help=AS_JSON)
        parser.shared.add_argument("--debug", action="store_true", help=DEBUG)
        return parser

    def check_words(self, untrusted: Sequence[str]) -> None:
        """Refuse a verb that there is not, and a flag before the verb; what follows is for the verb's parser.

        Raises:
            UsageError: ``bad-arguments``.
        """
        before = list(takewhile(lambda word: word.startswith("-"), untrusted))
        for flag in before:
            if flag != "--" and flag not in _OF_PROGRAMS:
                known = [name for verb in self._verbs.choices.values() for name in flags_of(verb)]
                said = shown_flag(flag.partition("=")[0], known)
                self.error(f"flags come after the verb, and {said!r} comes before it")
        names = [name for name, _ in self._summaries]
        for verb in untrusted[len(before) :][:1]:
            if verb not in names:
                near = nearest(verb, names)
                meant = "" if near is None else f", did you mean {near!r}?"
                self.error(f"there is no verb {verb!r}{meant}")

    def format_help(self) -> str:
        """Write what there is, as ``trustkit --help`` does."""
        return head(self.prog, self._does) + rows("verbs", self._summaries) + foot()


class _Verb(HelpParser):
    """What argparse makes of a verb, whatever else it says of it."""

    def __init__(self, *, prog: str, **_: object) -> None:
        super().__init__(prog)


def add_flag(
    parser: HelpParser, flag: str, says: str, *, kind: Kind, metavar: str, required: bool = False
) -> None:
    """Add a flag with one value, that may be given once."""
    parser.add_argument(flag, type=kind, action=Once, required=required, metavar=metavar, help=says)


def add_config_flag(parser: HelpParser) -> None:
    """Add the flag that names the configuration file."""
    add_flag(parser, "--config", "configuration (YAML or JSON)", kind=path, metavar="FILE", required=True)


def add_listen_flag(parser: HelpParser, flag: str = "--listen") -> None:
    """Add a flag that overrides where the configuration says to listen."""
    add_flag(parser, flag, "overrides the configuration; port 0 takes any", kind=text, metavar="HOST:PORT")


def given(argv: Sequence[str], *flags: str) -> dict[str, str]:
    """Return what a command line gives these flags, by names with underscores; an empty value is none."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for flag in flags:
        parser.add_argument(flag, default=None)
    found, _ = parser.parse_known_args(list(argv))
    return {name: value for name, value in vars(found).items() if value}


def text(untrusted: str) -> str:
    """Return an argument that says something, for ``type=``."""
    if not untrusted or "\0" in untrusted:
        raise argparse.ArgumentTypeError("is empty, or holds a NUL character")
    return untrusted


def path(untrusted: str) -> Path:
    """Return an argument that can be a path, for ``type=``."""
    return Path(text(untrusted))
