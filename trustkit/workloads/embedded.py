"""JSON inside a string, as speculative decoding, LoRA lists and Dynamo hand it over.

Members that the table lists name models, wherever it stands. As the value of a model
flag it holds nothing but models and their settings: there any text that looks like a
reference is one, and a name under a member that no row knows is unresolved. So is
a document that does not parse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from trustkit import strictjson
from trustkit.errors import FormatError, LimitError
from trustkit.workloads.grammar import cleaned, named
from trustkit.workloads.notes import Notes
from trustkit.workloads.values import MAX_STRING, Confidence, How

Texts = Iterable[tuple[str, str, bool]]
"""Member, text, and whether it is an entry of a list."""


def read(text: str, place: str, notes: Notes, *, how: How, reason: str, whole: bool = False) -> None:
    """Note the models that a JSON text names at *place*.

    Args:
        text: The text, untrusted.
        place: Where it stands.
        notes: Where to write.
        how: By which means it arrives.
        reason: What it is, for people.
        whole: Whether it is the value of a model flag.
    """
    try:
        raw = cleaned(text).encode("utf-8", "surrogatepass")
        value = strictjson.parse(raw, max_bytes=MAX_STRING, what="argument", max_depth=16)
    except (FormatError, LimitError):
        template = f"{text[:64]} is a template that another program fills in; with what is not known here"
        notes.unresolved(place, text, template if "{{" in text else f"{reason} cannot be read")
        return
    _note(texts_of(value), place, notes, how=how, reason=reason, whole=whole)


def read_member(name: str, text: str, place: str, notes: Notes, *, how: How, reason: str) -> None:
    """Note the model of one member of such a document, as ``--speculative-config.model`` writes it.

    Args:
        name: Of the member.
        text: What it holds, untrusted.
        place: Where it stands.
        notes: Where to write.
        how: By which means it arrives.
        reason: What it is, for people.
    """
    member = _member(name.rstrip("+"))
    _note([(member, cleaned(text), False)], place, notes, how=how, reason=reason, whole=True)


def texts_of(untrusted: strictjson.Value) -> Iterator[tuple[str, str, bool]]:
    """Yield every text of a document, with the member that holds it, and whether it is an entry of a list."""
    yield from _texts(untrusted, "", listed=False)


def _texts(value: strictjson.Value, member: str, *, listed: bool) -> Iterator[tuple[str, str, bool]]:
    if isinstance(value, str):
        yield member, value, listed
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, member, listed=True)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, _member(key), listed=False)


def _member(name: str) -> str:
    return name.lower().replace("-", "_")


def _note(texts: Texts, place: str, notes: Notes, *, whole: bool, **how: Any) -> None:
    table, reason = notes.table, how.pop("reason")
    found, strange = False, ""
    for member, text, listed in texts:
        model = named(text, table)
        if model is None:
            continue
        known = member in table.json_members and not listed
        likely = listed or (whole and member not in table.flags.json_names)
        sure: Confidence = "certain" if known else "likely"
        if known or (likely and model.strength != "name" and (listed or model.scheme != "unknown")):
            why = f"{reason}, member {member[:64]}" if known else reason
            notes.add(place, model, confidence=sure, reason=why, **how)
            found = True
        elif whole and member not in table.flags.json_names:
            strange = strange or member or text
    if strange and not found:
        why = f"{reason} holds {strange[:64]}, of which no row says whether it is a model"
        notes.unresolved(place, strange, why)
