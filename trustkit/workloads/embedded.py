"""JSON inside a string, as speculative decoding, LoRA lists and Dynamo hand it over.

Only members that the table lists name models; a document that does not parse
stands where a model is expected and is therefore unresolved.
"""

from __future__ import annotations

from trustkit import strictjson
from trustkit.errors import FormatError, LimitError
from trustkit.workloads.grammar import cleaned, named
from trustkit.workloads.notes import Notes
from trustkit.workloads.values import MAX_STRING, How


def read(text: str, place: str, notes: Notes, *, how: How, reason: str) -> None:
    """Note the models that a JSON text names at *place*."""
    try:
        raw = cleaned(text).encode("utf-8", "surrogatepass")
        value = strictjson.parse(raw, max_bytes=MAX_STRING, what="argument", max_depth=16)
    except (FormatError, LimitError):
        notes.unresolved(place, text, f"{reason} cannot be read")
        return
    _walk(value, place, notes, how=how, reason=reason)


def _walk(value: strictjson.Value, place: str, notes: Notes, *, how: How, reason: str) -> None:
    if isinstance(value, list):
        for item in value:
            if (
                isinstance(item, str)
                and (found := named(item, notes.table)) is not None
                and found.strength != "name"
            ):
                notes.add(place, found, how=how, confidence="likely", reason=reason)
            _walk(item, place, notes, how=how, reason=reason)
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str) and key.lower().replace("-", "_") in notes.table.json_members:
                found = named(item, notes.table)
                if found is not None:
                    notes.add(
                        place, found, how=how, confidence="certain", reason=f"{reason}, member {key[:64]}"
                    )
            _walk(item, place, notes, how=how, reason=reason)
