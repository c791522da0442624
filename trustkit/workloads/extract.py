"""The one extractor: any Kubernetes object in, every model it names out. Pure.

    1. The kind says where the pod lies; a kind nobody listed is unresolved.
    2. Accelerators, model servers and our own sidecars set the scene.
    3. Every container of every list (init, native sidecars, ephemeral): environment, command, image.
    4. Every volume.
    5. Every string of the object: addresses that are models wherever they stand.
    6. A container that asks for an accelerator, or serves models, and names none itself is unresolved.

Bypasses of peers were coverage errors, not cryptography (facts: threats, 9):
so step 5 walks what steps 3 and 4 have no row for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trustkit.errors import LimitError
from trustkit.strictjson import Object, Value
from trustkit.workloads.accelerators import pod_asks
from trustkit.workloads.containers import CONTAINER_LISTS, Container, containers_of, demand_models
from trustkit.workloads.grammar import from_scheme
from trustkit.workloads.notes import Notes
from trustkit.workloads.sidecars import PREFIX, mounted_by
from trustkit.workloads.table import Table, default_table
from trustkit.workloads.values import MAX_DEPTH, Extraction, How
from trustkit.workloads.volumes import read_volumes

_OFTEN = 256
"""Members of one list or object between two looks at the clock."""
_MISSING = object()


def _no_deadline() -> None:
    """Let an object be read for as long as it takes."""


_WHERE: dict[str, How] = {"annotations": "annotation", "labels": "annotation", "volumes": "volume"}


def references(
    untrusted: Object, *, table: Table | None = None, check: Callable[[], None] = _no_deadline
) -> Extraction:
    """Return every model that a Kubernetes object names, and every place that cannot be read.

    Args:
        untrusted: The object as parsed JSON; any shape is survived.
        table: How models are named; the one of this package by default.
        check: Called again and again while the object is read; raises once the time is over.

    Raises:
        LimitError: ``too-many-references``, ``too-many-words`` or ``too-deep``.
    """
    table = table or default_table()
    where = table.kinds.get(_kind(untrusted), _MISSING)
    pod, path = _pod(untrusted, where)
    spec = _object(pod.get("spec")) if where is not None else {}
    at = f"{path}.spec" if path else "spec"
    notes = Notes(table, check=check)
    containers = containers_of(spec, at, notes)
    gpu = pod_asks(spec, table) or any(container.asks for container in containers)
    notes.expects = gpu or any(container.serves for container in containers)
    if where is _MISSING:
        notes.unresolved("kind", _kind(untrusted), "this kind of object is not in the table of workloads")
    if where is not None:
        _read_pod(spec, at, containers, notes)
    _read_everywhere(untrusted, notes)
    if where is not None:
        demand_models(spec, at, containers, notes)
    return Extraction(notes.models, notes.open_places, gpu, _reserved(untrusted, pod, table))


def pod_of(untrusted: Object, *, table: Table | None = None) -> Object:
    """Return the pod or pod template inside an object: its ``metadata`` and ``spec``; empty if none."""
    table = table or default_table()
    where = table.kinds.get(_kind(untrusted))
    return {} if where is None else _pod(untrusted, where)[0]


def _kind(untrusted: Object) -> str:
    """``group/kind`` without the version: every served version of a kind is judged alike."""
    version, kind = untrusted.get("apiVersion"), untrusted.get("kind")
    if not isinstance(version, str) or not isinstance(kind, str):
        return ""
    group = version.split("/", 1)[0] if "/" in version else "v1"
    return f"{group}/{kind}"[:512]


def _pod(untrusted: Object, where: object) -> tuple[Object, str]:
    if not isinstance(where, str) or not where:
        return untrusted, ""
    value: Value = untrusted
    for step in where.split("."):
        value = _object(value).get(step)
    return _object(value), where


def _object(value: Value) -> Object:
    return value if isinstance(value, dict) else {}


def _read_pod(spec: Object, at: str, containers: list[Container], notes: Notes) -> None:
    if not spec:
        notes.unresolved(at, "", "there is no pod spec where this kind keeps it")
    for name in CONTAINER_LISTS:
        entries = spec.get(name)
        if entries is not None and not _is_list_of_objects(entries):
            notes.unresolved(f"{at}.{name}", "", f"{name} is no list of containers")
    # Ours, or a decoy: its reference is found by the walk, and admission compares it whole.
    others = [container for container in containers if not container.ours]
    for container in others:
        container.read(notes)
    ours = frozenset(name for name in _volume_names(spec) if name.startswith(PREFIX))
    read_volumes(spec, at, notes, ours=ours - mounted_by([container.body for container in others]))


def _is_list_of_objects(value: Value) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _volume_names(spec: Object) -> list[str]:
    volumes = spec.get("volumes")
    entries = volumes if isinstance(volumes, list) else []
    return [
        str(entry["name"])
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("name"), str)
    ]


def _read_everywhere(untrusted: Object, notes: Notes) -> None:
    """Walk every string but those of ``status`` and ``managedFields``, which no workload reads."""
    notes.check()
    read = {key: value for key, value in untrusted.items() if key != "status"}
    metadata = _object(read.get("metadata"))
    if metadata:
        read["metadata"] = {name: item for name, item in metadata.items() if name != "managedFields"}
    _walk(read, "", "field", notes, depth=0)


def _walk(value: list[Value] | Object, path: str, how: How, notes: Notes, *, depth: int) -> None:
    """Look at every string and key; a path is only spelled out on the way to something."""
    if depth > MAX_DEPTH:
        raise LimitError("too-deep", f"the object nests deeper than {MAX_DEPTH} levels", limit=MAX_DEPTH)
    notes.check()
    members: Iterable[tuple[str | int, Value]] = (
        enumerate(value) if isinstance(value, list) else value.items()
    )
    for number, (key, item) in enumerate(members, 1):
        if number % _OFTEN == 0:
            notes.check()
        if isinstance(key, str):
            _string(key, path, key, how=how, notes=notes)
            if how == "annotation" and key in notes.table.ignored_annotations:
                continue
        if isinstance(item, str):
            _string(item, path, key, how=how, notes=notes)
        elif isinstance(item, list | dict):
            _walk(item, _spot(path, key), _WHERE.get(str(key), how), notes, depth=depth + 1)


def _spot(path: str, key: str | int) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    if "." in key or "/" in key:
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


def _string(text: str, path: str, key: str | int, *, how: How, notes: Notes) -> None:
    if ":/" not in text:  # every row of the table that counts anywhere holds it
        return
    for match in notes.find(notes.table.anywhere_pattern, text):
        place = _spot(path, key)
        found = from_scheme(match[0].rstrip(".:"), notes.table)
        notes.add(
            place,
            found,
            how=_in_container(place, how),
            confidence="possible" if how == "annotation" else "certain",
            reason=f"a {found.scheme} address",
        )


def _in_container(path: str, how: How) -> How:
    """Say more precisely what a field is, from its path."""
    if how != "field":
        return how
    if ".args[" in path or ".command[" in path:
        return "argument"
    return "environment" if ".env[" in path else "field"


def _reserved(untrusted: Object, pod: Object, table: Table) -> tuple[str, ...]:
    found: list[str] = []
    for owner in (untrusted, pod):
        annotations = _object(_object(owner.get("metadata")).get("annotations"))
        found += [key for key in annotations if key.lower().startswith(table.reserved_prefix)]
    return tuple(sorted({key for key in found if key not in table.user_annotations}))[:100]
