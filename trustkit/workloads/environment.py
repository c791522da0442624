"""Environment of a container: which variables name a model, which are known, which are indirect.

Kubernetes expands ``$(NAME)`` in arguments and values from variables of the
same container; a name it does not know stays as text. A value that comes from
a ConfigMap, a Secret or a field is *indirect*: we cannot read it, and say so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from trustkit.strictjson import Object, Value
from trustkit.workloads import embedded
from trustkit.workloads.grammar import ends_like_weights, named
from trustkit.workloads.notes import Notes
from trustkit.workloads.values import MAX_STRING, Confidence

LETTERS = 256
"""Characters of expanded text that count as one word: a short word may name a long variable many times."""
_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]{0,255})\)")


@dataclass(slots=True)
class Variables:
    """What a container's own ``env`` defines.

    Attributes:
        known: Literal values by name, already expanded.
        places: Where each name is defined.
        indirect: Names whose value lies elsewhere, with where it lies.
        open_ended: Whether ``envFrom`` may define or change any name.
    """

    known: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    indirect: dict[str, str] = field(default_factory=dict)
    open_ended: bool = False

    def expand(self, text: str) -> tuple[str, tuple[str, ...]]:
        """Expand ``$(NAME)`` as the kubelet does; return the text and the names that stayed unknown."""
        missing: list[str] = []
        room = MAX_STRING  # a word may name a long variable thousands of times

        def value(match: re.Match[str]) -> str:
            nonlocal room
            name = match[1]
            if name is None:
                return "$"
            known = self.known.get(name)
            room -= len(known or "")
            if known is not None and room >= 0:
                return known
            missing.append(name)
            return match[0]

        return _REFERENCE.sub(value, text), tuple(missing)


def variables_of(container: Object, path: str, notes: Notes) -> Variables:
    """Read the names a container defines; malformed entries define nothing.

    Raises:
        LimitError: ``too-many-words``: together they expand to more than is read.
    """
    found = Variables(open_ended=bool(container.get("envFrom")))
    entries = container.get("env")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            continue
        name, value = str(entry["name"]), entry.get("value")
        found.places[name] = f"{path}.env[{index}].value"
        found.known.pop(name, None)
        found.indirect.pop(name, None)
        source = entry.get("valueFrom")
        if source:
            found.indirect[name] = _source(source)
        elif isinstance(value, str) and len(value) <= MAX_STRING:
            expanded, missing = found.expand(value)
            notes.spend(1 + len(expanded) // LETTERS)
            if missing:
                found.indirect[name] = f"the undefined variable {missing[0]}"
            else:
                found.known[name] = expanded
        elif value is None and "value" not in entry:
            found.known[name] = ""
        else:
            found.indirect[name] = "a value that is no short text"
    return found


def read_environment(path: str, variables: Variables, notes: Notes) -> None:
    """Note every variable that names a model, and every one that should and cannot be read."""
    table = notes.table
    for name, place in variables.places.items():
        wanted = name in table.value_variables or name.endswith(table.variable_suffixes)
        if name in variables.indirect:
            if wanted or name in table.json_variables:
                notes.unresolved(
                    place, name, f"the variable {name} takes its value from {variables.indirect[name]}"
                )
            continue
        value = variables.known[name]
        if name in table.json_variables:
            embedded.read(value, place, notes, how="environment", reason=f"JSON in the variable {name}")
        elif wanted:
            _model_variable(name, value, place, notes)
        elif name in table.cache_variables and named(value, table) is not None:
            _noted(value, place, notes, name, certain=False)
        else:
            _other_variable(name, value, place, notes)
    if variables.open_ended and notes.expects:
        notes.unresolved(
            f"{path}.envFrom", "", "envFrom may set any variable of a container that serves a model"
        )


def _model_variable(name: str, value: str, place: str, notes: Notes) -> None:
    if name == "HF_ENDPOINT" and value.rstrip("/") == "https://huggingface.co":
        return
    if value.lstrip().startswith(("{", "[")):
        embedded.read(value, place, notes, how="environment", reason=f"JSON in the variable {name}")
        return
    found = named(value, notes.table)
    if found is None:
        return
    plain = found.strength == "name"
    if plain and name in notes.table.name_variables:
        return
    _noted(value, place, notes, name, certain=not plain or notes.expects)


def _noted(value: str, place: str, notes: Notes, name: str, *, certain: bool) -> None:
    found = named(value, notes.table)
    if found is not None:
        sure: Confidence = "certain" if certain else "possible"
        notes.add(
            place, found, how="environment", confidence=sure, reason=f"value of the variable {name[:64]}"
        )


def _other_variable(name: str, value: str, place: str, notes: Notes) -> None:
    """A variable nobody lists: a model only if its value says so by itself."""
    table = notes.table
    for match in table.storage_pattern.finditer(value):
        found = named(match[0], table)
        if found is not None and (ends_like_weights(match[0], table) or notes.expects):
            sure = ends_like_weights(match[0], table)
            notes.add(
                place,
                found,
                how="environment",
                confidence="likely" if sure else "possible",
                reason=f"storage address in the variable {name}",
            )


def _source(source: Value) -> str:
    if isinstance(source, dict):
        for key, what in (
            ("configMapKeyRef", "a ConfigMap"),
            ("secretKeyRef", "a Secret"),
            ("fieldRef", "a field"),
        ):
            if key in source:
                return what
    return "another place"
