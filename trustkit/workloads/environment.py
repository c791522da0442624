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
from trustkit.workloads.grammar import ends_like_weights, is_service, named, weight_files
from trustkit.workloads.notes import Notes
from trustkit.workloads.places import spot
from trustkit.workloads.values import MAX_STRING, Confidence

LETTERS = 256
"""Characters of expanded text that count as one word: a short word may name a long variable many times."""
_TAME_FIELDS = re.compile(
    r"status\.(?:pod|host)IPs?|metadata\.(?:name|namespace|uid)|spec\.(?:nodeName|serviceAccountName)"
)
_CODE_VARIABLES = frozenset(("BASH_ENV", "SHELLOPTS", "BASHOPTS"))
_CODE_PREFIX = "BASH_FUNC_"


@dataclass(slots=True)
class Variables:
    """What a container's own ``env`` defines.

    Attributes:
        known: Literal values by name, already expanded.
        places: Where each name is defined.
        indirect: Names whose value lies elsewhere, with where it lies.
        partial: Those of them of which only a part lies elsewhere, with that part as it is written.
        tame: Those of them that can be no flag and no more than one word, such as the pod's address.
        open_ended: Whether ``envFrom`` may define or change any name.
    """

    known: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    indirect: dict[str, str] = field(default_factory=dict)
    partial: dict[str, str] = field(default_factory=dict)
    tame: set[str] = field(default_factory=set)
    open_ended: bool = False

    @property
    def runs_code(self) -> bool:
        """Whether one of them makes a shell run something before its script."""
        return any(name in _CODE_VARIABLES or name.startswith(_CODE_PREFIX) for name in self.places)

    def expand(self, text: str) -> tuple[str, tuple[str, ...]]:
        """Expand ``$(NAME)`` as the kubelet does; return the text and the names that stayed unknown.

        A name is whatever stands before the next closing bracket; ``$$`` is a dollar sign that names nothing.
        """
        if "$" not in text:
            return text, ()
        missing: list[str] = []
        parts: list[str] = []
        at, room = 0, MAX_STRING  # a word may name a long variable thousands of times
        last = text.rfind(")")
        while (dollar := text.find("$", at)) >= 0:
            parts.append(text[at:dollar])
            at = dollar + 2
            if text.startswith("(", dollar + 1) and at <= last:
                end = text.index(")", at)
                name, at = text[at:end], end + 1
                known = self.known.get(name)
                room -= len(known or "")
                if known is not None and room >= 0:
                    parts.append(known)
                    continue
                missing.append(name)
            kept = text[dollar:at]
            parts.append("$" if kept == "$$" else kept)
        return "".join(parts) + text[at:], tuple(missing)


def variables_of(
    container: Object, path: str, notes: Notes, *, lists: tuple[str, ...] = ("env",)
) -> Variables:
    """Read the names a container defines; malformed entries define nothing.

    Args:
        container: The container, untrusted.
        path: Where it stands.
        notes: Where the work is counted.
        lists: Its members that hold variables.

    Raises:
        LimitError: ``too-many-words``: together they expand to more than is read.
    """
    found = Variables(open_ended=bool(container.get("envFrom")))
    for member in lists:
        entries = container.get(member)
        start = spot(path, member)
        if not isinstance(entries, list):
            continue
        notes.spend(len(entries))
        for index, entry in enumerate(entries):
            if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                _define(entry, f"{start}[{index}].value", found, notes)
    return found


def _define(entry: Object, place: str, found: Variables, notes: Notes) -> None:
    """Take one entry; it replaces an earlier one of its name."""
    notes.check()
    name, value = str(entry["name"]), entry.get("value")
    if name in found.places:
        found.known.pop(name, None)
        found.indirect.pop(name, None)
        found.partial.pop(name, None)
        found.tame.discard(name)
    found.places[name] = place
    source = entry.get("valueFrom")
    if source:
        found.indirect[name] = _source(source)
        if _is_tame(source):
            found.tame.add(name)
    elif isinstance(value, str) and len(value) < LETTERS and "$" not in value:
        found.known[name] = value
    elif isinstance(value, str) and len(value) <= MAX_STRING:
        expanded, missing = found.expand(value)
        notes.spend(len(expanded) // LETTERS)
        if missing:
            found.indirect[name] = f"the undefined variable {missing[0]}"
            found.partial[name] = expanded
        else:
            found.known[name] = expanded
    elif value is None and "value" not in entry:
        found.known[name] = ""
    else:
        found.indirect[name] = "a value that is no short text"


def read_environment(path: str, variables: Variables, notes: Notes) -> None:
    """Note every variable that names a model, and every one that should and cannot be read."""
    table = notes.table
    for name, place in variables.places.items():
        wanted = name in table.variables.value or name.endswith(table.variables.suffixes)
        if name in variables.indirect:
            if wanted or name in table.variables.json:
                notes.unresolved(
                    place, name, f"the variable {name} takes its value from {variables.indirect[name]}"
                )
                if "/" in variables.partial.get(name, ""):
                    _noted(variables.partial[name], place, notes, name, certain=True)
            continue
        value = variables.known[name]
        if name in table.variables.json:
            embedded.read(value, place, notes, how="environment", reason=f"JSON in the variable {name}")
        elif wanted:
            _model_variable(name, value, place, notes)
        elif name.endswith(table.variables.likely):
            _likely_variable(name, value, place, notes)
        elif "." in value or ":" in value:  # else it is neither the name of a file nor an address
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
    found = named(value, notes.table, strict=notes.strict)
    if found is None:
        return
    plain = found.strength == "name"
    if plain and name in notes.table.variables.names and not notes.strict:
        return
    _noted(value, place, notes, name, certain=not plain or notes.expects)


def _is_served(name: str, notes: Notes) -> bool:
    """Say whether a variable holds the name that a server gives to its model."""
    flag = name.lower().replace("_", "-")
    return any(flag.endswith(known) for known in notes.table.flags.names)


def _likely_variable(name: str, value: str, place: str, notes: Notes) -> None:
    """A variable that is called like a model's: one if its value looks like a reference."""
    found = None if _is_served(name, notes) else named(value, notes.table)
    if (
        found is not None
        and found.strength in {"scheme", "hub", "image"}
        and not is_service(value, notes.table)
    ):
        _noted(value, place, notes, name, certain=True)
    else:
        _other_variable(name, value, place, notes)


def _noted(value: str, place: str, notes: Notes, name: str, *, certain: bool) -> None:
    found = named(value, notes.table, strict=notes.strict)
    if found is not None:
        sure: Confidence = "certain" if certain else "possible"
        notes.add(
            place, found, how="environment", confidence=sure, reason=f"value of the variable {name[:64]}"
        )


def _other_variable(name: str, value: str, place: str, notes: Notes) -> None:
    """A variable nobody lists: a model only if its value says so by itself."""
    table = notes.table
    for match in notes.find(table.storage_pattern, value) if ":" in value else ():
        found = named(match[0], table)
        if is_service(match[0], table) or any(
            part in name.lower().replace("_", "-") for part in table.flags.quiet
        ):
            continue
        if found is not None and (ends_like_weights(match[0], table) or notes.expects):
            sure = ends_like_weights(match[0], table)
            notes.add(
                place,
                found,
                how="environment",
                confidence="likely" if sure else "possible",
                reason=f"storage address in the variable {name}",
            )
    for found in weight_files(value, table):
        why = f"a file of weights in the variable {name[:64]}"
        notes.add(place, found, how="environment", confidence="certain", reason=why)


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


def _is_tame(source: Value) -> bool:
    """Say whether a field of the pod holds an address, a name or a number: one word, and no flag."""
    if not isinstance(source, dict) or len(source) != 1:
        return False
    fields = source.get("fieldRef")
    path = fields.get("fieldPath") if isinstance(fields, dict) else None
    return "resourceFieldRef" in source or (isinstance(path, str) and bool(_TAME_FIELDS.fullmatch(path)))
