"""Environment of a container: which of its variables name a model, and which should and cannot be read.

The law of this file: a name of the table is a model's whatever it holds, unless that can
be none; any other variable is one only if its value says so by itself.
"""

from __future__ import annotations

from trustkit.workloads import embedded
from trustkit.workloads.grammar import ends_like_weights, is_service, named, weight_files
from trustkit.workloads.notes import Notes
from trustkit.workloads.strange import read_settings
from trustkit.workloads.values import Confidence
from trustkit.workloads.variables import Variables


def read_environment(path: str, variables: Variables, notes: Notes) -> None:
    """Note every variable that names a model, and every one that should and cannot be read."""
    table = notes.table
    for name in variables.read:
        place = variables.place_of(name)
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
    read_settings(variables, notes)
    if variables.open_ended and notes.expects:
        notes.unresolved(
            f"{path}.envFrom", "", "envFrom may set any variable of a container that serves a model"
        )


def _model_variable(name: str, value: str, place: str, notes: Notes) -> None:
    if name == "HF_ENDPOINT" and value.rstrip("/") == "https://huggingface.co":
        return
    if value.lstrip().startswith(("{", "[")):
        why = f"JSON in the variable {name}"
        embedded.read(value, place, notes, how="environment", reason=why, whole=notes.strict)
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
