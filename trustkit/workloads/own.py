"""Whether the arguments of an image that starts a server itself are another program and its words.

Such images start whatever they are given, by a script of theirs, or give it all to their server.
The law of this file: where the server could take the words, they are its own. It takes one word
that is no flag, so what starts with two of them, or as Python is called, is no line of it.
"""

from __future__ import annotations

import re

from trustkit.workloads.line import Line, Word, basename, is_python

_SWITCH = re.compile(r"-[bBdEiIOPqRsSuvx]{1,8}")
"""What Python takes before what it runs; ``-O`` of a server takes a number, and no file."""
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,255}")
_FOLDER = re.compile(r"/(?:[^/]{1,255}/){0,16}s?bin/[^/]{1,255}")
"""A program by its whole path."""


def own_program(line: Line) -> int:
    """Position of a known program that the words start themselves, where an image would start one; else 0."""
    brought = next((index for index, word in enumerate(line.words) if word.path), 0)
    if not brought or not _is_program(line.words[brought].text):
        return 0
    said = [word.text for word in line.words[brought + 1 :]]
    rows = line.notes.table.commands_by_program.get(line.programs[brought], ())
    follows = any(list(row.words[1:]) == said[: len(row.words) - 1] for row in rows)
    return brought if follows and starts_itself(line, brought) else 0


def starts_itself(line: Line, at: int) -> bool:
    """Say whether the words from *at* on are another program and its words, and none of an image's server.

    Args:
        line: The command.
        at: Where the container's own words start.
    """
    words = line.words[at:]
    if len(words) > 1 and words[0].text != "" and _is_word(words[1]):
        return True
    if not words or not is_python(basename(words[0].text)) or not _is_program(words[0].text):
        return False
    rest = [word for word in words[1:] if not _SWITCH.fullmatch(word.text)][:2]
    texts = [word.text for word in rest if not word.missing]
    if texts[:1] == ["-m"]:
        return len(texts) > 1 and _MODULE.fullmatch(texts[1]) is not None
    if texts[:1] == ["-c"]:  # the beginning of a server's "-cc", which takes a number, or JSON
        return len(texts) > 1 and not texts[1].lstrip().startswith("{") and not texts[1].strip().isdecimal()
    return bool(texts) and _is_word(rest[0]) and texts[0].endswith(".py")


def _is_program(text: str) -> bool:
    return "/" not in text or _FOLDER.fullmatch(text) is not None


def _is_word(word: Word) -> bool:
    """Say whether a word surely is no flag."""
    return not word.missing and not word.text.startswith("-")
