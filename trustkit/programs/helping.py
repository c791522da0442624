"""How help looks, whichever program of ours is asked for it, and how each of them complains.

The law of this file: one order (usage, story, arguments, flags, examples, exit
status), one manner of writing, and examples that work. It takes no time to load.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Sequence
from difflib import SequenceMatcher
from itertools import takewhile
from typing import Any, NoReturn

from trustkit.errors import UsageError, nearest

_SHOWN = 64
"""Most of a refused value that a message shows (characters)."""
_SHOWN_OF_FLAG = 4
_ALIKE = 0.8
_WHOSE = frozenset(("author", "publisher", "opener"))
"""How much is shown of a flag that is like none (characters)."""
HELP = "show this text"
"""What help says of itself."""
AS_JSON = "print exactly one JSON document on stdout, on every outcome"
DEBUG = "show where a failure or a bug comes from"

EXITS = """\
  2 a flag, path or configuration is wrong  3 a file breaks its format
  4 a stated limit was exceeded             5 could not tell, or could not write
  70 a bug                                  130 interrupted"""


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, like every other failure."""

    def parse_known_args(  # type: ignore[override] # argparse's own form of it, written out
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Look at the words first, then parse as argparse does; the signature is its own."""
        self.check_words(args or ())
        return super().parse_known_args(args, namespace)

    def check_words(self, untrusted: Sequence[str]) -> None:
        """Refuse a flag that there is not before argparse says what is missing: it is what was misspelt.

        Raises:
            UsageError: ``bad-arguments``.
        """
        known = flags_of(self)
        awaited = False  # whether the word is the value of the flag before it
        for word in takewhile(lambda word: word != "--", untrusted):
            flag, equals, _ = word.partition("=")
            action = known.get(flag)
            if action is None and not awaited and _is_flag(word):
                near = nearest(flag.lstrip("-"), [name[2:] for name in known if name.startswith("--")])
                meant = "" if near is None else f", did you mean '--{near}'?"
                self.error(f"there is no flag {shown_flag(flag, known, near=near)!r}{meant}")
            awaited = action is not None and action.nargs != 0 and not equals

    def _check_value(self, action: argparse.Action, value: object) -> None:
        """Refuse a value that is none of the choices, and say which was meant; the name is argparse's."""
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, unknown_value(str(value), [*map(str, action.choices)]))

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments; the name is argparse's.

        Raises:
            UsageError: ``bad-arguments``.
        """
        raise UsageError("bad-arguments", f"{message}; see {self.prog} --help")


class HelpParser(Parser):
    """A parser whose help is written in the manner of the house.

    Args:
        prog: What is called: the program, or the program and a verb.
        width: Widest line of paragraphs and lists (columns).

    Attributes:
        shared: The group of flags that stand after every verb; ``--help`` is for the caller to add.
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
        self.shared = self.add_argument_group("after every verb")

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


class Once(argparse.Action):
    """Stores a value, and refuses a second one: which of two was meant is not ours to guess.

    Args:
        words: What argparse says of every flag.
        twice: What else may be meant by the second one.
        options: The same.
    """

    def __init__(self, *words: Any, twice: str = "", **options: Any) -> None:
        super().__init__(*words, **options)
        self._twice = twice

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - argparse's signature
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,  # noqa: ARG002 - argparse's signature
    ) -> None:
        """Store the value; the signature is argparse's."""
        if getattr(namespace, self.dest) is not None:
            raise argparse.ArgumentError(self, f"may be given only once{self._twice and '; '}{self._twice}")
        setattr(namespace, self.dest, values)


def unknown_value(untrusted: str, known: Sequence[str]) -> str:
    """Say that a value is none of those that there are, and which of them may be meant."""
    near = nearest(untrusted.lower(), known)
    meant = "" if near is None else f"did you mean {near!r}? "
    return f"unknown value {untrusted[:_SHOWN]!r}; {meant}choose from {', '.join(known)}"


def flags_of(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """Return the flags of a parser, by each of their names."""
    return {name: action for action in parser._actions for name in action.option_strings}  # noqa: SLF001 - it has no other list


def shown_flag(untrusted: str, known: Collection[str], *, near: str | None = None) -> str:
    """Return what a message may show of a flag: a secret may be glued to one that there is, or to none.

    Args:
        untrusted: The word, without what stands behind an equals sign.
        known: The flags that there are.
        near: The one that was meant, if that could be said; then one with a slip in it is shown whole.
    """
    word = untrusted.lstrip("-")
    dashes = untrusted[: len(untrusted) - len(word)]
    names = [name[2:] for name in known if name.startswith("--")]
    begun = max((_common(word, name) for name in names), key=len, default="")
    if begun == word:
        return untrusted
    parts = [name.split("-") for name in names]
    glued = _glued(word, {piece for pieces in parts for piece in pieces})
    if not glued and any(begun.startswith(pieces[0]) for pieces in parts):
        glued = begun
    if not glued and near is not None and _is_misspelt(word, near.lstrip("-")):
        return untrusted
    if not glued:
        glued = word[:1] if dashes == "-" else word[:_SHOWN_OF_FLAG]
        begun = begun if dashes == "--" else ""
    kept = max(begun, glued, key=len)
    return f"{dashes}{kept}{'' if kept == word else '...'}"


def _is_misspelt(word: str, meant: str) -> bool:
    """Say whether a word is another with a slip in it, and has no room for a secret besides."""
    if word.removesuffix(f"-{meant}") in _WHOSE:
        return True  # a flag of another verb
    return len(word) <= len(meant) + 1 and SequenceMatcher(None, word, meant).ratio() >= _ALIKE


def _common(word: str, name: str) -> str:
    """Return what two words begin with."""
    return "".join(
        one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(word, name, strict=False))
    )


def _glued(word: str, parts: Collection[str]) -> str:
    """Return a word up to where something follows a part of a flag without a hyphen, or nothing."""
    start = 0
    for piece in word.split("-"):
        ends = [len(part) for part in parts if piece.startswith(part) and piece != part]
        if ends:
            return word[: start + max(ends)]
        start += len(piece) + 1
    return ""


def _is_flag(word: str) -> bool:
    """Say whether argparse takes a word that it does not know for a flag."""
    return (
        word.startswith("-")
        and len(word) > 1
        and " " not in word
        and not (word[1].isdigit() or word[1] == ".")
    )


def head(program: str, law: str) -> str:
    """Return how the help of a whole program begins; *law* is what it is for."""
    return f"usage: {program} VERB [ARGUMENTS]\n       {program} VERB --help\n\n{law.strip()}\n"


def rows(title: str, verbs: Iterable[tuple[str, str]]) -> str:
    """Return a section of that help: verbs, and what each does."""
    return f"\n{title}\n" + "".join(f"  {name:<15}  {summary}\n" for name, summary in verbs)


def foot(*, quiet: bool = False) -> str:
    """Return how that help ends; *quiet* says whether verbs can be told to say little."""
    hush = "--quiet (nothing but warnings on success), " if quiet else ""
    return f"""
flags
  -h, --help       {HELP}, or after a verb its own
  --version        show the version
  after every verb also: --json (exactly one JSON document on stdout, on every outcome),
  {hush}--debug (where a failure or a bug comes from)

exit status
  0 trusted, done                  4 a stated limit was exceeded
  1 refused: evidence says no      5 could not tell: the world did not answer, or
  2 usage: a flag or a path          the output cannot be written; try again
  3 a file breaks its format       70 a bug    130 interrupted
"""
