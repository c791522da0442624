"""Programs that code starts: ``subprocess.run(['vllm', 'serve', 'org/name'])``, ``os.system('...')``.

The law of this file: what is started is read as the command line that it is; what of it
is not known is a variable that nobody sets, so that the reader of command lines says
whether that matters.
"""

from __future__ import annotations

import re
import shlex

from trustkit.workloads.expressions import arguments, told_in
from trustkit.workloads.given import Given
from trustkit.workloads.judged import KEYWORD
from trustkit.workloads.line import Line, Word, basename
from trustkit.workloads.table import Table

_LIST = re.compile(r"(?:(?:list|tuple|shlex\.join)\(\s*)?[\[(]\s*")
_HOLE = re.compile(r"\{[^{}]*\}|%[sdr]")
_UNKNOWN = "$value_in_code"
_TWICE = ("os.exec", "os.spawn", "os.posix_spawn")
_LINES = frozenset(("args", "cmd", "command", ""))
"""Keywords that hold a command line, or one of its words."""


def read_started(untrusted: list[str], row: str, given: Given) -> None:
    """Note a program that code starts, for the reader of command lines.

    Args:
        untrusted: The arguments of the call that starts it.
        row: Of the call in the table.
        given: What the names of the text hold.
    """
    words: list[str] = []
    by_shell = False
    for argument in untrusted:
        keyword = KEYWORD.match(argument)
        name, value = (keyword[1], argument[keyword.end() :]) if keyword else ("", argument)
        if name in _LINES and value:
            found, is_line = _words(value, given)
            words += found
            by_shell = by_shell or is_line
    if row.startswith(_TWICE):  # the file comes first, and once more as the first word
        words = words[words[:1] == [_UNKNOWN] and row.startswith("os.spawn") :]
        words = words[len(words) > 1 and basename(words[0]) == basename(words[1]) :]
    line = given.line
    if words and words[0].startswith(_UNKNOWN) and not _programs(words, line.notes.table):
        return  # nobody knows what it is, and nothing says that it is a program of the table
    word = Word(" ".join(words), given.word.path)
    started = Line([word], line.notes, line.variables, is_script=by_shell)
    if not line.notes.started.add((word, by_shell), started):
        line.notes.unresolved(word.path, "", "code starts more programs than are read")


def _programs(words: list[str], table: Table) -> bool:
    """Say whether one of the words is a program of the table."""
    names = {basename(part) for word in words for part in word.split()}
    return not (table.servers.isdisjoint(names) and table.commands_by_program.keys().isdisjoint(names))


def _words(value: str, given: Given) -> tuple[list[str], bool]:
    """The words of an argument as a shell spells them, and whether it is a whole command line."""
    value, is_all = given.written(value)
    values, known = given.values(value)
    more = [] if is_all else [_UNKNOWN]
    opened = _LIST.match(value)
    if opened is not None and not known:
        inside, _, after = value[opened.end() :].rpartition("]" if "[" in opened[0] else ")")
        rest = [_UNKNOWN] if after.strip(" )") else []  # something is added to the list
        return [_word(item, given) for item in arguments(f"{inside})", 0) if item] + rest + more, False
    if value == "sys.executable":
        return ["python"], False
    texts = [each.text for each in values] if known else told_in(value, _UNKNOWN)
    if known and len(texts) == 1 and " " not in texts[0]:
        return [shlex.quote(texts[0]), *more], False
    return [_HOLE.sub(lambda hole: _word(hole[0][1:-1], given), text) for text in texts] + more, not {
        _UNKNOWN
    }.issuperset(texts)


def _word(untrusted: str, given: Given) -> str:
    """One item of a list as a word of a command line."""
    values, known = given.values(untrusted)
    if known and len(values) == 1:
        return shlex.quote(values[0].text)
    return "python" if untrusted == "sys.executable" else _UNKNOWN
