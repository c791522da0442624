"""Command lines of containers: which words name a model.

A container starts ``command`` + ``args`` (or its image's own program + ``args``).
Either may hide a shell script; a script is split into simple commands, and each
is read by the same rules: flags of the table, positional words after known
programs, and addresses that speak for themselves.
"""

from __future__ import annotations

import re

from trustkit.strictjson import Object
from trustkit.workloads import shell
from trustkit.workloads.environment import LETTERS, Variables
from trustkit.workloads.lines import Line, Word, basename, read_line
from trustkit.workloads.notes import Notes
from trustkit.workloads.table import Table
from trustkit.workloads.values import MAX_STRING

_CHEAP = 16
"""Variables that a script expands for the price of one word."""
_UNEXPANDED = re.compile(r"\$\([A-Za-z_][A-Za-z0-9_.-]*\)")
_FLAG = re.compile(r"--?[A-Za-z]|[A-Za-z][A-Za-z0-9_.-]*=")


def read_commands(container: Object, path: str, variables: Variables, notes: Notes) -> None:
    """Note every model that a container's command and arguments name."""
    words = _words(container, path, variables, notes)
    image = container.get("image")
    started = (
        () if container.get("command") else program_of(image if isinstance(image, str) else "", notes.table)
    )
    script = shell.script_index([word.text for word in words])
    if script is None:
        line = Line([*(Word(text, "") for text in started), *words], notes, variables)
        line.server = _serves(line.words, notes.table)
        read_line(line)
        for word in words:
            if len(word.text.split()) > 1 and not word.text.lstrip().startswith(("{", "[")):
                _read_script(word, line)
        return
    _read_script(words[script], Line([], notes, variables, server=_serves(words, notes.table)))


def program_of(image: str, table: Table) -> tuple[str, ...]:
    """Return the program that an image of the table starts by itself."""
    name = image.split("@", 1)[0].lower()
    return next((program for part, program in table.images if part in name), ())


def serves_models(container: Object, table: Table) -> bool:
    """Say whether a container starts a model server, by its image or by its words."""
    image = container.get("image")
    if isinstance(image, str) and program_of(image, table):
        return True
    texts = [text for part in ("command", "args") for text in _strings(container.get(part))]
    return any(basename(piece) in table.servers for text in texts for piece in text[:MAX_STRING].split())


def _strings(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _words(container: Object, path: str, variables: Variables, notes: Notes) -> list[Word]:
    words: list[Word] = []
    for part in ("command", "args"):
        entries = container.get(part)
        if entries is None:
            continue
        if not isinstance(entries, list):
            notes.unresolved(f"{path}.{part}", "", f"{part} is no list of words")
            continue
        for index, entry in enumerate(entries):
            place = f"{path}.{part}[{index}]"
            if not isinstance(entry, str) or len(entry) > MAX_STRING:
                notes.unresolved(place, "", f"a word of {part} is no text of at most {MAX_STRING} characters")
                continue
            words.append(Word(*_expanded(entry, place, variables)))
            notes.spend(len(words[-1].text) // LETTERS)
    return words


def _expanded(text: str, place: str, variables: Variables) -> tuple[str, str, tuple[str, ...]]:
    """Expand a word; one that is nothing but a variable stands where the variable is defined."""
    whole = _UNEXPANDED.fullmatch(text)
    expanded, missing = variables.expand(text)
    if whole is not None and not missing:
        place = variables.places.get(text[2:-1], place)
    return expanded, place, missing


def _serves(words: list[Word], table: Table) -> bool:
    return any(basename(word.text) in table.servers for word in words)


def _read_script(word: Word, outer: Line) -> None:
    """Read a word that is a script: every simple command of it, with the script's own assignments."""
    outer.notes.spend(1 + len(outer.variables.known) // _CHEAP)  # all of them are expanded again below
    commands = shell.simple_commands(word.text)
    assigned = {**outer.variables.known, **shell.assignments(commands)}
    assigned = {name: shell.expand(value, assigned) for name, value in assigned.items()}
    for command in commands:
        words = [_shell_word(text, word, assigned, outer.variables) for text in command]
        line = Line(words, outer.notes, outer.variables, assigned, in_shell=True)
        line.server = outer.server or _serves(words, outer.notes.table)
        read_line(line)


def _shell_word(text: str, script: Word, assigned: dict[str, str], variables: Variables) -> Word:
    whole = re.fullmatch(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))", text)
    name = (whole[1] or whole[2]) if whole else None
    expanded = shell.expand(text, assigned)
    place = (
        variables.places.get(name, script.path)
        if name and variables.known.get(name) == expanded
        else script.path
    )
    missing = (text,) if shell.is_unknown(expanded) else ()
    return Word(expanded, place, missing)
