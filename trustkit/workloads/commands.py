"""Command lines of containers: which words name a model.

A container starts ``command`` + ``args`` (or its image's own program + ``args``).
Either may hide a shell script; a script is split into simple commands, and each
is read by the same rules: flags of the table, positional words after known
programs, and addresses that speak for themselves. Scripts inside scripts are
read as far as `MAX_SCRIPTS` levels; what is deeper is unresolved.
"""

from __future__ import annotations

import functools
import re

from trustkit.strictjson import Object
from trustkit.workloads import shell
from trustkit.workloads.addresses import read_code, read_file_of_code
from trustkit.workloads.dull import AROUND, count_if_dull
from trustkit.workloads.fields import Field
from trustkit.workloads.line import Line, Word, basename
from trustkit.workloads.lines import read_line
from trustkit.workloads.names import Names
from trustkit.workloads.notes import Notes
from trustkit.workloads.pieces import ShellWord
from trustkit.workloads.places import spot
from trustkit.workloads.table import Table
from trustkit.workloads.unread import Unread
from trustkit.workloads.values import MAX_STRING
from trustkit.workloads.variables import LETTERS, Variables

MAX_SCRIPTS = 8
"""Deepest nesting of scripts that is read (levels)."""

_OFTEN = 64
"""Words between two looks at the clock."""
_CHEAP = 16
"""Variables that a script may name for the price of one word."""
_REFERENCE = re.compile(r"\$\(([^)]*)\)")
_GIVE_TO_SHELLS = frozenset(("su", "runuser", "script", "flock", "tmux", "screen", "watch", "trap", "alias"))
"""Programs that give a word to a shell."""
_SPLITS = ("-S", "--split-string")
"""By which ``env`` makes words of one word."""
_GLUED = re.compile(r"^(?:-S|--split-string=|[A-Za-z_][A-Za-z0-9_]*=)")
_FIRST = 4
"""How far into a command they are looked for (words)."""
_LONGEST_IMAGE = 256
"""Longest name of an image that is remembered (characters)."""
_REMEMBERED = 1024
"""Names of images that are remembered."""


WORDS = ("command", "args")
"""The members of a container that hold the words of its command line, in their order."""


def read_commands(
    container: Object, path: str, variables: Variables, notes: Notes, *, lists: tuple[str, ...] = WORDS
) -> None:
    """Note every model that a container's command and arguments name.

    Args:
        container: The container, untrusted.
        path: Where it stands.
        variables: What it defines.
        notes: Where to write.
        lists: Its members that hold words, in their order.
    """
    started = _started(container, notes.table)
    if not started and (count := count_if_dull(container, notes.table, lists=lists)) is not None:
        notes.spend(count)
        return
    words = _words(container, path, variables, notes, lists=lists)
    script = shell.script_index([word.text for word in words])
    if script is None:
        line = Line([*(Word(text, "") for text in started), *words], notes, variables)
        read_line(line)
        for word in words:
            if len(word.text.split(None, 1)) > 1 and not word.text.lstrip().startswith(("{", "[")):
                _read_script(word, line)
        read_started(notes)
        return
    injected = words[script].missing
    if notes.strict and injected[2:-1] in variables.indirect:
        notes.unresolved(words[script].path, "", f"the script depends on {injected[:64]}")
    _read_script(words[script], Line(words, notes, variables, is_script=True))
    read_line(Line(words[script + 1 :], notes, variables))  # what the script gets as its arguments
    read_started(notes)


def read_started(notes: Notes) -> None:
    """Note every model that programs name which code starts, and programs that code in those starts."""
    for line in notes.started:
        if isinstance(line, Line):
            _read_script(line.words[0], line)


def _started(container: Object, table: Table) -> tuple[str, ...]:
    """Return the program that a container starts whose command does not say it."""
    image, name = container.get("image"), container.get("name")
    if isinstance(image, str) and not container.get("command") and (program := program_of(image, table)):
        return program
    # a controller knows it by its name, and leaves its own out
    return (name,) if isinstance(name, str) and name in table.initializers else ()


def read_source(container: Object, path: str, variables: Variables, notes: Notes) -> None:
    """Note what the text names that a container's command gets as a file: a script of a shell, or code.

    Args:
        container: The container, untrusted; the text is its member ``source``.
        path: Where the text stands.
        variables: What the container defines.
        notes: Where to write.
    """
    source = container.get("source")
    programs = [basename(text) for text in _strings(container.get("command"))]
    if not isinstance(source, str):
        return
    if len(source) > MAX_STRING:
        notes.unresolved(path, "", f"a script of more than {MAX_STRING} characters")
    elif not shell.SHELLS.isdisjoint(programs):
        read_script(source, path, variables, notes)
    else:
        line = Line([Word(source, path)], notes, variables)
        read_code(line)
        read_file_of_code(source, path, line)


def read_options(text: str, path: str, variables: Variables, notes: Notes) -> None:
    """Note what a text names that holds options of a program: ``--model org/name --port 1``.

    Args:
        text: The text, untrusted.
        path: Where it stands.
        variables: What is defined where it is used.
        notes: Where to write.
    """
    word = Word(text, path)
    _read_script(word, Line([word], notes, variables))


def read_script(text: str, path: str, variables: Variables, notes: Notes) -> None:
    """Note every model that a script of a shell names.

    Args:
        text: The script, untrusted.
        path: Where it stands.
        variables: What is defined where it runs.
        notes: Where to write.
    """
    word = Word(text, path)
    _read_script(word, Line([word], notes, variables, is_script=True))


def program_of(image: str, table: Table) -> tuple[str, ...]:
    """Return the program that an image of the table starts by itself."""
    return _known_program(image, table) if len(image) <= _LONGEST_IMAGE else _program(image, table)


def _program(image: str, table: Table) -> tuple[str, ...]:
    if table.any_image_pattern.search(image.lower()) is None:
        return ()
    host, slash, rest = image.split("@", 1)[0].lower().partition("/")
    name = rest if slash and ("." in host or ":" in host) else host + slash + rest
    whole = "/".join(name.split("/")[-2:]).partition(":")[0]
    words = (whole, basename(whole), *re.split(r"[.:_-]", basename(name)))
    if not table.image_helpers.isdisjoint(words):
        return ()
    return next((program for pattern, program in table.image_patterns if pattern.search(name)), ())


_known_program = functools.lru_cache(_REMEMBERED)(_program)


def serves_models(container: Object, table: Table) -> bool:
    """Say whether a container starts a model server, by its image or by its words."""
    image = container.get("image")
    if isinstance(image, str) and not table.remotes.issuperset(program_of(image, table)):
        return True
    if count_if_dull(container, table, lists=WORDS) is not None:
        return False
    servers = table.servers
    for part in WORDS:
        for text in _strings(container.get(part)):
            for piece in text[:MAX_STRING].split():
                if basename(piece.strip(AROUND)) in servers:
                    return True
    return False


def _strings(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _words(
    container: Object, path: str, variables: Variables, notes: Notes, *, lists: tuple[str, ...]
) -> list[Word]:
    words: list[Word] = []
    for part in lists:
        entries = container.get(part)
        if entries is None:
            continue
        if not isinstance(entries, list):
            notes.unresolved(spot(path, part), "", f"{part[:64]} is no list of words")
            continue
        start = spot(path, part)
        for index, entry in enumerate(entries):
            place = f"{start}[{index}]"
            if index % _OFTEN == 0:
                notes.check()
            if isinstance(entry, str) and len(entry) < LETTERS and "$" not in entry:
                words.append(Word(entry, place))
                continue
            if not isinstance(entry, str) or len(entry) > MAX_STRING:
                notes.unresolved(
                    place, "", f"a word of {part[:64]} is no text of at most {MAX_STRING} characters"
                )
                continue
            words.append(_expanded(entry, place, variables))
            notes.spend(len(words[-1].text) // LETTERS)
    return words


def _expanded(text: str, place: str, variables: Variables) -> Word:
    """Expand a word; one that is nothing but a variable stands where the variable is defined."""
    whole = _REFERENCE.fullmatch(text)
    expanded, missing = variables.expand(text)
    if whole is not None and not missing:
        place = variables.place_of(whole[1]) if whole[1] in variables.places else place
    first = next((name for name in missing if name in variables.indirect), *missing[:1]) if missing else None
    return Word(expanded, place, "" if first is None else f"$({first})")


def _read_script(word: Word, outer: Line) -> None:
    """Read a word that is a script: every simple command of it, and every script inside."""
    waiting: list[tuple[str, Names | None, int]] = [(word.text, None, 0)]
    notes, variables = outer.notes, outer.variables
    while waiting:
        text, names, depth = waiting.pop()
        notes.spend(1 + len(variables.known) // _CHEAP + len(text) // LETTERS)
        script = shell.parse(text)
        if outer.is_script and notes.strict and (script.opaque or depth > MAX_SCRIPTS):
            why = script.opaque or "nests too deep"
            notes.unresolved(word.path, "", f"the script {why}")
        if depth > MAX_SCRIPTS:
            continue
        names = Names(script, variables, outer=names)
        for document in script.documents:
            read_code(Line([Word(document, word.path)], notes, variables))
        inside, unread = [*script.nested, *script.documents], Unread()
        for index, command in enumerate(script.commands):
            fields = [
                field
                for piece in command.words
                for field in _placed(piece, names.fields(piece, index), word.path, variables)
            ]
            line = Line(
                fields, notes, variables, in_shell=True, is_script=outer.is_script, server=outer.server
            )
            read_line(line)
            if outer.is_script and notes.strict and (why := unread.why(line, document=command.document)):
                notes.unresolved(word.path, "", f"the script {why}")
            inside += _inner(fields)
        waiting += [(text, names, depth + 1) for text in inside]


def _inner(words: list[Word]) -> list[str]:
    """Scripts that a command runs: ``sh -c SCRIPT``, ``su -c SCRIPT``, ``eval WORDS``."""
    texts = [word.text for word in words]
    script = shell.script_index(texts)
    found = [] if script is None else [texts[script]]
    given = not _GIVE_TO_SHELLS.isdisjoint(map(basename, texts[:_FIRST]))
    if given or ("env" in texts[:_FIRST] and any(text.startswith(_SPLITS) for text in texts)):
        found += [_GLUED.sub("", text) for text in texts[1:] if " " in text]
    return [*found, " ".join(texts[1:])] if texts[:1] == ["eval"] else found


def _placed(piece: ShellWord, found: list[Field], script: str, variables: Variables) -> list[Word]:
    """Say where words of a script stand: one that is nothing but a variable, where that is defined."""
    name = piece[0].name if len(piece) == 1 and not piece[0].operator.endswith("+") else ""
    whole = len(found) == 1 and name and variables.known.get(name) == found[0].text
    place = variables.place_of(name) if whole else script
    return [Word(part.text, place, part.missing, part.loose, part.guess) for part in found]
