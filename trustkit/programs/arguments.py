"""Command lines: how a program of ours is called, and how it complains when it is called wrongly.

The law of this file: a wrong argument is one error with a code, like every
other failure; no flag is guessed from its first letters; and where a second
value would make two readings of one command line, it is refused.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from trustkit.errors import UsageError
from trustkit.version import __version__


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, like every other failure."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing a page.

        Raises:
            UsageError: ``bad-arguments``.
        """
        raise UsageError("bad-arguments", f"{message}; see {self.prog} --help")


class Once(argparse.Action):
    """Stores a value, and refuses a second one: which of two was meant is not ours to guess."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        _flag: str | None = None,
    ) -> None:
        """Store the value, as argparse asks."""
        if getattr(namespace, self.dest) is not None:
            raise argparse.ArgumentError(self, "may be given only once")
        setattr(namespace, self.dest, values)


def program(name: str, *, does: str, ends: str) -> Parser:
    """Return the parser of a program that tells its version and what its exit statuses mean."""
    parser = Parser(prog=name, allow_abbrev=False, description=does, epilog=f"Exit status: {ends}.")
    parser.add_argument("--version", action="version", version=f"{name} {__version__}")
    return parser


def add_verb(
    verbs: argparse._SubParsersAction[Parser],  # the type argparse gives what it returns
    common: Parser,
    name: str,
    says: str,
) -> Parser:
    """Add a verb that has the common flags, with one sentence about it, and return its parser."""
    description = f"{says[0].upper()}{says[1:]}."
    return verbs.add_parser(name, parents=[common], allow_abbrev=False, help=says, description=description)


def add_config_flag(parser: Parser) -> None:
    """Add the flag that names the configuration file."""
    parser.add_argument(
        "--config", type=path, action=Once, required=True, metavar="FILE", help="configuration (YAML)"
    )


def add_voice_flags(parser: Parser) -> None:
    """Add the flags that say how the program speaks."""
    parser.add_argument(
        "--json", action="store_true", help="print exactly one JSON document, on every outcome"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of a bug")


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
