"""The JSON patch (RFC 6902) that turns proven references into local paths and adds their sidecars.

A pure function of object, proofs and plan. What is already there as it should
be is not added again, so a second call (reinvocation, another replica) returns
no operation; what is there and differs is left for `validate` to refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from admission.evidence import Proven
from admission.sidecar import Injection, Plan, injection_for, shared_volumes
from trustkit.strictjson import Object, Value
from trustkit.workloads.grammar import own_references
from trustkit.workloads.sidecars import bears_our_name, sidecars_of
from trustkit.workloads.table import Table

CHANGEABLE = ("initContainers", "containers")
"""Lists whose containers can be given a sidecar; an ephemeral container comes too late for one."""


@dataclass(frozen=True, slots=True)
class Use:
    """One string of a container that names references."""

    container: str
    path: str
    text: str
    references: tuple[tuple[int, int, str], ...]


def patch_for(
    subject: Object,
    proven: Mapping[str, Proven],
    plan: Plan,
    *,
    table: Table,
    check: Callable[[], None],
) -> tuple[Object, ...]:
    """Return the operations that make a pod use sidecars for its proven references.

    Args:
        subject: The pod, untrusted, as it was reviewed.
        proven: Proofs by the exact reference text; a reference without one is left as it is.
        plan: What sidecars may trust.
        table: How references are read; must be the extractor's.
        check: Called again and again; raises once the time is over.
    """
    spec = subject.get("spec")
    if not isinstance(spec, dict):
        return ()
    uses = [
        use for use in uses_of(spec, table, check=check) if all(ref in proven for _, _, ref in use.references)
    ]
    present = sidecars_of(spec)
    texts = [sidecar.reference for sidecar in present]
    texts += list(dict.fromkeys(ref for use in uses for _, _, ref in use.references if ref not in texts))
    injections = {
        text: injection_for(proven[text], index, plan) for index, text in enumerate(texts) if text in proven
    }
    added = [injections[text] for text in texts[len(present) :]]
    operations: list[Object] = []
    for use in uses:
        check()
        operations.append(_replaced(use, injections))
    operations += _mounts(spec, uses, injections, check)
    operations += _volumes(spec, added, plan)
    operations += _sidecars(spec, added, 1 + max((sidecar.index for sidecar in present), default=-1))
    return tuple(operations)


def uses_of(spec: Object, table: Table, *, check: Callable[[], None]) -> list[Use]:
    """Return every string of a changeable container that names a ``trust://`` reference."""
    found: list[Use] = []
    for name in CHANGEABLE:
        entries = spec.get(name)
        for index, container in enumerate(entries if isinstance(entries, list) else ()):
            if not isinstance(container, dict) or (name == "initContainers" and bears_our_name(container)):
                continue
            place = f"/spec/{name}/{index}"
            for path, text in _strings(container):
                check()
                references = []
                for reference in own_references(text, table):
                    check()
                    references.append(reference)
                if references:
                    found.append(Use(place, f"{place}{path}", text, tuple(references)))
    return found


def rewritten(use: Use, injections: Mapping[str, Injection]) -> str:
    """Return the string with every reference replaced by the local path of its model.

    Put together from pieces: one string may hold tens of thousands of references, and copying all of it
    for each of them would take minutes.
    """
    pieces, place = [], 0
    for start, end, reference in use.references:
        pieces += [use.text[place:start], injections[reference].local_path]
        place = end
    return "".join((*pieces, use.text[place:]))


def _strings(container: Object) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for part in ("command", "args"):
        words = container.get(part)
        for index, word in enumerate(words if isinstance(words, list) else ()):
            if isinstance(word, str):
                found.append((f"/{part}/{index}", word))
    variables = container.get("env")
    for index, variable in enumerate(variables if isinstance(variables, list) else ()):
        if isinstance(variable, dict) and isinstance(variable.get("value"), str):
            found.append((f"/env/{index}/value", str(variable["value"])))
    return found


def _replaced(use: Use, injections: Mapping[str, Injection]) -> Object:
    return {"op": "replace", "path": use.path, "value": rewritten(use, injections)}


def _mounts(
    spec: Object, uses: list[Use], injections: Mapping[str, Injection], check: Callable[[], None]
) -> list[Object]:
    """Give every container that uses a model a read-only view of its volume, once."""
    operations: list[Object] = []
    wanted: dict[str, dict[str, Object]] = {}
    for use in uses:
        check()
        models = wanted.setdefault(use.container, {})
        models.update({reference: injections[reference].mount for _, _, reference in use.references})
    for place, models in wanted.items():
        check()
        _, _, name, index = place.split("/")
        entries = spec[name]
        container = entries[int(index)] if isinstance(entries, list) else None
        there = container.get("volumeMounts") if isinstance(container, dict) else None
        missing: list[Value] = [
            mount for mount in models.values() if not isinstance(there, list) or mount not in there
        ]
        if isinstance(there, list):
            operations += [
                {"op": "add", "path": f"{place}/volumeMounts/-", "value": mount} for mount in missing
            ]
        elif missing:
            operations.append({"op": "add", "path": f"{place}/volumeMounts", "value": missing})
    return operations


def _volumes(spec: Object, added: list[Injection], plan: Plan) -> list[Object]:
    if not added:
        return []
    entries = spec.get("volumes")
    there = entries if isinstance(entries, list) else []
    names = {entry.get("name") for entry in there if isinstance(entry, dict)}
    wanted = [*shared_volumes(plan), *(injection.volume for injection in added)]
    missing: list[Value] = [volume for volume in wanted if volume["name"] not in names]
    if isinstance(entries, list):
        return [{"op": "add", "path": "/spec/volumes/-", "value": volume} for volume in missing]
    return [{"op": "add", "path": "/spec/volumes", "value": missing}]


def _sidecars(spec: Object, added: list[Injection], position: int) -> list[Object]:
    """Put new sidecars before every container that could use them, and after those that are there."""
    containers: list[Value] = [injection.container for injection in added]
    if not containers:
        return []
    if not isinstance(spec.get("initContainers"), list):
        return [{"op": "add", "path": "/spec/initContainers", "value": containers}]
    return [
        {"op": "add", "path": f"/spec/initContainers/{position + offset}", "value": container}
        for offset, container in enumerate(containers)
    ]
