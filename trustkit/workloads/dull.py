"""Words of a command line that name no model and start nothing that we know, whatever stands around them.

Most words of most containers are such: ports, levels of a log, addresses to listen on.
A container that has only such words is not read any further.

The law of this file: a word is dull only if no reader of command lines (`lines`,
`flags`, `addresses`, `shell`) could make anything of it in any line; what is in doubt
is not. A row of the table that those readers begin to use must be asked here too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from trustkit.strictjson import Object
from trustkit.workloads.addresses import DOWNLOADS
from trustkit.workloads.flags import says_nothing
from trustkit.workloads.line import basename
from trustkit.workloads.shell import SHELLS
from trustkit.workloads.table import Table

AROUND = "\"'`;|&(){}<>$"
"""What may stand around a program's name where a shell reads it."""
_LONGEST = 64
"""Longest word that is asked about (characters): what is remembered outlives the object."""
_REMEMBERED = 16_384
"""Words that are remembered."""
_MOST = 256
"""Most words that are asked about: the clock is not looked at meanwhile."""
_SPEAKS = frozenset(AROUND)
_STORAGE = (":", "@")
"""One of them is in every row of storage."""


def count_if_dull(untrusted: Object, table: Table, *, lists: tuple[str, ...]) -> int | None:
    """Return how many words a container has; None if one of them may say something, or is no word.

    Args:
        untrusted: The container.
        table: The rows that would be read.
        lists: Its members that hold words.
    """
    is_dull = _judge(table)
    count = 0
    for part in lists:
        words = untrusted.get(part)
        if words is None:
            continue
        if not isinstance(words, list) or len(words) > _MOST:
            return None
        for word in words:
            if not isinstance(word, str) or len(word) > _LONGEST or not is_dull(word):
                return None
        count += len(words)
    return count


@functools.lru_cache(4)
def _judge(table: Table) -> Callable[[str], bool]:
    """Return what says whether a word is dull by a table, and remembers it."""
    programs = (
        table.servers | table.short_flags.keys() | table.commands_by_program.keys() | table.remotes | SHELLS
    )
    return functools.lru_cache(_REMEMBERED)(functools.partial(_is_dull, table=table, programs=programs))


def _sets(variable: str, table: Table) -> bool:
    rows = table.variables
    return (
        variable in rows.value
        or variable.endswith(rows.suffixes)
        or any(part in variable for part in rows.runtime)
    )


def _is_dull(word: str, *, table: Table, programs: frozenset[str]) -> bool:
    if not word.isascii() or not word.isprintable() or " " in word or not _SPEAKS.isdisjoint(word):
        return False
    if basename(word) in programs or "/api/" in word or DOWNLOADS in word:
        return False
    if any(mark in word for mark in _STORAGE) and table.storage_pattern.search(word) is not None:
        return False
    if "=" in word and _sets(word.partition("=")[0], table):
        return False
    if "." in word and table.weights_pattern.search(word) is not None:
        return False
    return says_nothing(word, table)
