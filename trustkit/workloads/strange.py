"""Flags of model servers that no row of the table knows, and settings by which other weights arrive later.

Servers gain flags faster than a table gains rows. The law of this file: what an unknown
flag holds is no reference of ours to judge, but where it looks like a model it is
unresolved; a row ``valued`` says that it is none.
"""

from __future__ import annotations

import functools

from trustkit import strictjson
from trustkit.errors import FormatError, LimitError
from trustkit.workloads.embedded import texts_of
from trustkit.workloads.grammar import cleaned, is_service, lies_below, named
from trustkit.workloads.line import Line
from trustkit.workloads.notes import Notes
from trustkit.workloads.rows import flag_name
from trustkit.workloads.table import Table
from trustkit.workloads.values import MAX_STRING
from trustkit.workloads.variables import Variables

_FORMAT = "load-format"
_SHORTEST = 6
"""Shortest form of a flag that is taken for the beginning of a longer one (characters)."""
_LONGEST = 64
"""Longest flag that is remembered (characters)."""
_REMEMBERED = 4096
"""Flags that are remembered."""
_OFF = frozenset(("", "0", "false", "no", "off"))


def read_strange(line: Line, taken: set[int]) -> None:
    """Note where a server's line may bring a model in by what no row knows.

    Args:
        line: The command.
        taken: Positions of words that were read as model flags and their values.
    """
    notes, table = line.notes, line.notes.table
    if not (line.server and notes.strict):
        return
    short = table.short_flags.get(line.started(), {})
    for index, word in enumerate(line.words):
        if not word.text.startswith("-") or index in taken or not word.path:
            continue
        flag, equals, value = word.text.partition("=")
        if len(flag) <= _LONGEST and (_is_short(flag, short) or _is_settled(flag, table)):
            continue
        name, _, inner = flag_name(flag).partition(".")
        if not equals and index + 1 < len(line.words) and index + 1 not in taken:
            value = line.words[index + 1].text
        if _weighs_later(name, value, notes):
            notes.unresolved(word.path, word.text, f"{flag[:64]} takes weights from elsewhere")
        elif not _is_known(name, table) and may_bring_model(f"{name}.{inner}", value, notes):
            notes.unresolved(
                word.path,
                word.text,
                f"no row knows {flag[:64]}, and it holds what looks like a model; "
                "a row flags.valued of the table says that it is none",
            )


def _is_short(flag: str, short: dict[str, str]) -> bool:
    """Say whether a flag is in the row of its program; two dashes start the beginning of a longer one."""
    return not flag.startswith("--") and flag_name(flag) in short


@functools.lru_cache(_REMEMBERED)
def _is_settled(flag: str, table: Table) -> bool:
    """Say whether a flag is a known one whatever it holds."""
    name = flag_name(flag).partition(".")[0]
    return _is_known(name, table) and name not in table.flags.runtime and not name.endswith(_FORMAT)


def _is_known(name: str, table: Table) -> bool:
    return name in table.known_flags or name in table.flags.switches or name in table.flags.loose


def read_settings(variables: Variables, notes: Notes) -> None:
    """Note variables of a server that lead it to other weights, or are a flag that no row knows.

    Args:
        variables: Of the container.
        notes: Where to write.
    """
    rows = notes.table.variables
    parts = (*rows.runtime, *rows.flags)
    names = "\n".join(variables.places) if notes.strict else ""
    if not any(part in names for part in parts):
        return
    for name in variables.places:
        value = variables.known.get(name)
        if leads_elsewhere(name, value, notes.table):
            notes.unresolved(variables.place_of(name), name, f"{name[:64]} leads the server to other weights")
        start = next((start for start in rows.flags if name.startswith(start)), "")
        flag = flag_name(name[len(start) :])
        if not start or name in rows.value or flag in notes.table.known_flags:
            continue
        if may_bring_model(flag, value or "", notes):
            why = f"no row knows {name[:64]}, and it holds what looks like a model"
            notes.unresolved(variables.place_of(name), name, why)


def leads_elsewhere(variable: str, untrusted: str | None, table: Table) -> bool:
    """Say whether a variable leads a server to other weights than its arguments name.

    Args:
        variable: Its name.
        untrusted: Its value; None if it is not known.
        table: The rows.
    """
    is_on = untrusted is None or cleaned(untrusted).lower() not in _OFF
    return is_on and any(part in variable for part in table.variables.runtime)


def may_bring_model(flag: str, untrusted: str, notes: Notes) -> bool:
    """Say whether what a flag holds that no row knows looks like a model.

    An address, ``org/name``, or JSON with one of them does; a folder does where the flag speaks of models.

    Args:
        flag: Its name.
        untrusted: Its value.
        notes: What is known of the container.
    """
    value = cleaned(untrusted)
    if "/" not in value or value.startswith("-"):
        return False
    table = notes.table
    if any(part in flag for part in table.flags.quiet):
        return False
    if value.startswith(("{", "[")):
        texts = _texts(value, notes)
        return texts is None or any("/" in text and _is_reference(text, notes) for text in texts)
    if value.startswith(("/", "./", "../", "~/")):
        return any(hint in flag for hint in table.hints) and not any(
            lies_below(value, folder) for folder in notes.published
        )
    return _is_reference(value, notes)


def _texts(value: str, notes: Notes) -> list[str] | None:
    """The texts of a document that may be models; None if it cannot be read."""
    try:
        raw = value.encode("utf-8", "surrogatepass")
        document = strictjson.parse(raw, max_bytes=MAX_STRING, what="argument", max_depth=16)
    except (FormatError, LimitError):
        return None
    names = notes.table.flags.json_names
    return [text for member, text, _ in texts_of(document) if member not in names]


def _is_reference(text: str, notes: Notes) -> bool:
    found = named(text, notes.table)
    if found is None or found.scheme == "trust" or text.replace("/", "").isdecimal():
        return False  # ours is found wherever it stands
    return found.strength in {"hub", "scheme", "image"} and not is_service(text, notes.table)


def _weighs_later(name: str, value: str, notes: Notes) -> bool:
    """Say whether a flag takes weights from elsewhere once the server runs, or as it starts."""
    rows = notes.table.flags
    if name in rows.runtime:
        return True
    short = len(name) >= _SHORTEST and name not in notes.table.known_flags
    if short and any(row.startswith(name) for row in (*rows.runtime.whole, *rows.runtime.starts)):
        return True
    formats = name.endswith(_FORMAT) or (short and _FORMAT.startswith(name))
    return formats and cleaned(value).lower() not in rows.formats
