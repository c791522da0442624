"""Rows of the table that say what is special about a kind, and the places that they name.

The law of this file: a row is data. A place is a dotted path in which ``*`` is
any member of an object or any entry of a list; it is followed, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trustkit import strictjson
from trustkit.errors import FormatError
from trustkit.strictjson import Object, Value
from trustkit.workloads.places import Place

Pattern = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of ``kinds``; see the comments in ``table.v1.yaml`` for each member.

    Attributes:
        pod: Where the one pod lies; empty for the object itself, None where there is no such place.
        plain: Whether it is a kind of Kubernetes itself that holds one pod, or none.
    """

    pod: str | None = None
    plain: bool = False
    serves: bool = False
    quiet: bool = False
    template: bool = False
    models: tuple[Pattern, ...] = ()
    objects: tuple[Pattern, ...] = ()
    documents: tuple[Pattern, ...] = ()
    scripts: tuple[Pattern, ...] = ()
    carriers: tuple[Pattern, ...] = ()
    bases: tuple[Pattern, ...] = ()
    scheme: str | None = None
    volumes: tuple[Pattern, ...] = ()
    names: tuple[Pattern, ...] = ()
    options: tuple[Pattern, ...] = ()
    artifacts: tuple[Pattern, ...] = ()


UNKNOWN = Kind()
"""A kind that nobody listed: read by its shape, and unresolved."""

BYSTANDER = Kind(quiet=True)
"""A kind that is known to bring no model in."""


def kind_from(row: Value) -> Kind:
    """Build a row.

    Raises:
        FormatError: ``bad-table``: it is no text, no null and no object of the members above.
    """
    if row is None or isinstance(row, str):
        return Kind(pod=row, plain=True)
    fields = strictjson.Fields(row, "kinds")
    kind = Kind(
        serves=fields.maybe("serves", bool) or False,
        quiet=fields.maybe("quiet", bool) or False,
        template=fields.maybe("template", bool) or False,
        models=_patterns(fields, "models"),
        objects=_patterns(fields, "objects"),
        documents=_patterns(fields, "documents"),
        scripts=_patterns(fields, "scripts"),
        carriers=_patterns(fields, "carriers"),
        bases=_patterns(fields, "bases"),
        scheme=fields.maybe("scheme", str),
        volumes=_patterns(fields, "volumes"),
        names=_patterns(fields, "names"),
        options=_patterns(fields, "options"),
        artifacts=_patterns(fields, "artifacts"),
    )
    fields.done()
    return kind


def _patterns(fields: strictjson.Fields, name: str) -> tuple[Pattern, ...]:
    texts = fields.maybe(name, list) or []
    if not all(isinstance(text, str) and text for text in texts):
        raise FormatError("bad-table", f"the {name} of a kind must be paths")
    return tuple(tuple(str(text).split(".")) for text in texts)


def selected(untrusted: Object, patterns: tuple[Pattern, ...]) -> Iterator[tuple[Place, str]]:
    """Return every text that one of the patterns leads to, with its place."""
    for place, value in reached(untrusted, patterns):
        if isinstance(value, str) and value:
            yield place, value


def reached(untrusted: Object, patterns: tuple[Pattern, ...]) -> Iterator[tuple[Place, Value]]:
    """Return whatever one of the patterns leads to, with its place."""
    for pattern in patterns:
        found: list[tuple[Place, Value]] = [("", untrusted)]
        for step in pattern:
            found = [after for place, value in found for after in _step(place, value, step)]
        yield from found


def _step(place: Place, value: Value, step: str) -> list[tuple[Place, Value]]:
    if isinstance(value, list):
        return [((place, index), item) for index, item in enumerate(value)] if step == "*" else []
    if not isinstance(value, dict):
        return []
    if step == "*":
        return [((place, key), item) for key, item in value.items()]
    return [((place, step), value[step])] if step in value else []
