"""From arguments to an answer: which verb is meant, and its code loaded only then.

Help and version are looked for before anything is parsed, so that they answer
whatever else stands on the line; text after ``--`` is never taken for a flag.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

from trustkit.cli.answer import Answer
from trustkit.cli.verbs import VERBS
from trustkit.errors import FormatError, LimitError, UsageError, VerificationError, nearest
from trustkit.version import __version__

if TYPE_CHECKING:
    import argparse

    from trustkit.cli.parser import Parser
    from trustkit.cli.terminal import Terminal

PROGRAM = "trustkit"
MAX_WORDS = 10_000
"""Most words after a verb; argparse takes ever longer for each of them."""

_SHARED = frozenset(("--json", "--quiet", "--debug"))
_HELP = frozenset(("-h", "--help"))

_LAW = """\
Nothing of a model is loaded that was not signed by someone you chose to believe,
allowed by a policy you can read, and checked on the way in.
"""


class VerbModule(Protocol):
    """What the file of a verb defines."""

    def configure(self, parser: Parser) -> None:
        """Add the verb's story and flags to its parser."""

    def run(self, arguments: argparse.Namespace, terminal: Terminal) -> Answer:
        """Do the work: one workflow, and an answer about it."""


def flags_of(argv: Sequence[str]) -> frozenset[str]:
    """Return the words that can be flags: all before ``--``."""
    words = list(argv)
    return frozenset(words[: words.index("--")] if "--" in words else words)


def perform(argv: Sequence[str], terminal: Terminal) -> Answer:
    """Run what the arguments ask for.

    Raises:
        TrustkitError: Whatever the verb raises; UsageError ``unknown-verb`` or ``bad-arguments``.
    """
    flags = flags_of(argv)
    name, rest = _verb_of(argv)
    if name is None:
        return _without_verb(argv, flags, terminal)
    if len(rest) > MAX_WORDS:
        raise UsageError("bad-arguments", f"more than {MAX_WORDS} words follow the verb")
    parser = parser_of(name, width=terminal.width)
    if flags_of(rest) & _HELP:
        return _text(parser.format_help(), f"help of {PROGRAM} {name}")
    arguments = parser.parse_args(list(rest))
    terminal.quiet = arguments.quiet
    try:
        return module_of(name).run(arguments, terminal)
    except (UsageError, FormatError, LimitError, VerificationError) as error:
        from trustkit.cli.kinds import otherwise
        from trustkit.cli.trust import by_other_flags

        told = by_other_flags(otherwise(error, name, vars(arguments)), vars(arguments))
        if told is error:
            raise
        raise told from error


def parser_of(name: str, *, width: int = 100) -> Parser:
    """Build the parser of one verb."""
    from trustkit.cli.parser import Parser

    parser = Parser(f"{PROGRAM} {name}", width=width)
    module_of(name).configure(parser)
    return parser


def module_of(name: str) -> VerbModule:
    """Load the file of one verb."""
    from importlib import import_module

    return cast("VerbModule", import_module(f"trustkit.cli.verbs.{VERBS[name].module}"))


def help_text(group: str = "") -> str:
    """Return the help of the program, or the list of verbs of a group such as ``key``."""
    from trustkit.programs.helping import foot, head, rows

    listed = [name for name in VERBS if not group or name.startswith(f"{group} ")]
    sections = dict.fromkeys(VERBS[name].section for name in listed)
    lists = "".join(
        rows(section, ((name, VERBS[name].summary) for name in listed if VERBS[name].section == section))
        for section in sections
    )
    if group:
        return f"usage: {PROGRAM} {group} VERB [ARGUMENTS]\n{lists}"
    return head(PROGRAM, _LAW) + lists + foot(quiet=True)


def _verb_of(argv: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """Split arguments into the name of a verb, of one word or two, and what belongs to it."""
    for count in (2, 1):
        name = " ".join(argv[:count])
        if name in VERBS and len(argv) >= count:
            return name, argv[count:]
    return None, ()


def _without_verb(argv: Sequence[str], flags: frozenset[str], terminal: Terminal) -> Answer:
    words = [word for word in argv if word not in _SHARED]
    if not words:
        terminal.narrate(help_text().rstrip("\n"))
    if words[:1] == ["--version"] and len(words) == 1:
        return Answer(
            "version",
            __version__,
            fields={"version": __version__},
            product=f"{PROGRAM} {__version__}\n",
            audible=True,
        )
    if words and words[0] in _HELP:
        return _text(help_text(), f"help of {PROGRAM}")
    groups = {name.split(" ", 1)[0] for name in VERBS if " " in name}
    if words[:1] == ["help"]:
        return _help_on([word for word in words[1:] if word not in _HELP], groups, terminal.width)
    if words and words[0] in groups and flags & _HELP:
        return _text(help_text(words[0]), f"help of {PROGRAM} {words[0]}")
    raise _unknown(list(argv) if words else (), groups)


def _help_on(words: Sequence[str], groups: set[str], width: int) -> Answer:
    """Answer ``trustkit help VERB`` as ``trustkit VERB --help`` is answered."""
    name = " ".join(words)
    if name in VERBS:
        return _text(parser_of(name, width=width).format_help(), f"help of {PROGRAM} {name}")
    if not words or name in groups:
        return _text(help_text(name), f"help of {PROGRAM} {name}".rstrip())
    raise _unknown(words, groups)


def _unknown(words: Sequence[str], groups: set[str]) -> UsageError:
    if not words:
        return UsageError("bad-arguments", f"name a verb; {PROGRAM} --help lists them")
    first = words[0]
    if first in groups:
        known = [name.split(" ", 1)[1] for name in VERBS if name.startswith(f"{first} ")]
        meant = _meant(nearest(words[1], known)) if len(words) > 1 else ""
        verbs = " or ".join(known)
        return UsageError("unknown-verb", f"{PROGRAM} {first} needs one of its verbs: {verbs}{meant}")
    if first.startswith("-"):
        from trustkit.programs.helping import flags_of, shown_flag

        said = shown_flag(
            first.partition("=")[0], [flag for verb in VERBS for flag in flags_of(parser_of(verb))]
        )
        return UsageError(
            "bad-arguments", f"flags come after the verb, and {said!r} comes before it; see {PROGRAM} --help"
        )
    verb, _ = _verb_of(words[1:])
    meant = f", and the verb comes first: {PROGRAM} {verb}" if verb is not None else _nearest(words)
    return UsageError("unknown-verb", f"there is no verb {first!r}{meant}; {PROGRAM} --help lists them")


def _nearest(words: Sequence[str]) -> str:
    return _meant(nearest(" ".join(words[:2]), VERBS) or nearest(words[0], VERBS))


def _meant(near: str | None) -> str:
    return "" if near is None else f", did you mean {near!r}?"


def _text(text: str, what: str) -> Answer:
    return Answer("help", what, product=text, product_name="help", audible=True)
