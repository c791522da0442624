"""The one extractor: any Kubernetes object in, every model it names out. Pure.

    1. The kind says where the pod lies; a kind nobody listed is unresolved.
    2. Accelerators, model servers and our own sidecars set the scene.
    3. Every container of every list (init, native sidecars, ephemeral): environment, command, image.
    4. Every volume.
    5. Every string of the object: addresses that are models wherever they stand.
    6. An accelerator without any model is unresolved.

Bypasses of peers were coverage errors, not cryptography (facts: threats, 9):
so step 5 walks what steps 3 and 4 have no row for.
"""

from __future__ import annotations

from trustkit.errors import LimitError
from trustkit.strictjson import Object, Value
from trustkit.workloads.accelerators import asks_for_accelerator
from trustkit.workloads.commands import read_commands, serves_models
from trustkit.workloads.environment import read_environment, variables_of
from trustkit.workloads.grammar import Named, from_scheme, is_pinned, lies_below
from trustkit.workloads.notes import Notes
from trustkit.workloads.sidecars import PREFIX, mounted_by, sidecars_of
from trustkit.workloads.table import Table, default_table
from trustkit.workloads.values import MAX_DEPTH, MAX_SHOWN, Extraction, How

CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
"""Every list of containers a pod has; a new one must be added here (CVE-2023-2727 class)."""

_HOOKS = (
    "lifecycle.postStart.exec",
    "lifecycle.preStop.exec",
    "startupProbe.exec",
    "livenessProbe.exec",
    "readinessProbe.exec",
)
"""Commands that the kubelet runs inside a container, beside its own."""
_MISSING = object()
_WHERE: dict[str, How] = {"annotations": "annotation", "labels": "annotation", "volumes": "volume"}


def references(untrusted: Object, *, table: Table | None = None) -> Extraction:
    """Return every model that a Kubernetes object names, and every place that cannot be read.

    Args:
        untrusted: The object as parsed JSON; any shape is survived.
        table: How models are named; the one of this package by default.

    Raises:
        LimitError: ``too-many-references`` or ``too-deep``.
    """
    table = table or default_table()
    where = table.kinds.get(_kind(untrusted), _MISSING)
    pod, path = _pod(untrusted, where)
    spec = _object(pod.get("spec"))
    at = f"{path}.spec" if path else "spec"
    every = [container for _, _, container in _containers(spec, at)]
    gpu = asks_for_accelerator(spec, every, table)
    published = tuple(sidecar.output for sidecar in sidecars_of(spec) if sidecar.output)
    expects = gpu or any(serves_models(container, table) for container in every)
    notes = Notes(table, published=published, expects=expects)
    if where is _MISSING:
        notes.unresolved("kind", _kind(untrusted), "this kind of object is not in the table of workloads")
    if where is not None:
        _read_pod(spec, at, notes)
    _read_everywhere(untrusted, notes)
    if gpu and not any(model.confidence != "possible" for model in notes.models) and not notes.open_places:
        notes.unresolved(at, "", "the pod asks for an accelerator and names no model", code="unresolved-gpu")
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


def _containers(spec: Object, at: str) -> list[tuple[str, str, Object]]:
    """Every container with its list and its path; what is no object is no container (see `_read_pod`)."""
    found = []
    for name in CONTAINER_LISTS:
        entries = spec.get(name)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict):
                found.append((name, f"{at}.{name}[{index}]", entry))
    return found


def _read_pod(spec: Object, at: str, notes: Notes) -> None:
    from trustkit.workloads.volumes import read_volumes

    if not spec:
        notes.unresolved(at, "", "there is no pod spec where this kind keeps it")
    for name in CONTAINER_LISTS:
        entries = spec.get(name)
        if entries is not None and not _is_list_of_objects(entries):
            notes.unresolved(f"{at}.{name}", "", f"{name} is no list of containers")
    others, published = [], notes.published
    for name, path, container in _containers(spec, at):
        if name == "initContainers" and str(container.get("name")).startswith(PREFIX):
            continue  # ours, or a decoy: its reference is found below, and admission compares it whole
        others.append(container)
        # A published path is one only where it is mounted; elsewhere an image has files of its own there.
        notes.published = () if name == "ephemeralContainers" else _mounted(container, published)
        _read_container(container, path, notes)
    notes.published = published
    ours = frozenset(name for name in _volume_names(spec) if name.startswith(PREFIX)) - mounted_by(others)
    read_volumes(spec, at, notes, ours=ours)


def _mounted(container: Object, published: tuple[str, ...]) -> tuple[str, ...]:
    """Return the published folders that a container mounts from a volume of ours."""
    mounts = container.get("volumeMounts")
    places = [
        str(mount.get("mountPath"))
        for mount in (mounts if isinstance(mounts, list) else ())
        if isinstance(mount, dict) and str(mount.get("name")).startswith(PREFIX)
    ]
    return tuple(folder for folder in published if any(lies_below(folder, place) for place in places))


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


def _read_container(container: Object, path: str, notes: Notes) -> None:
    variables = variables_of(container, path, notes)
    read_environment(path, variables, notes)
    read_commands(container, path, variables, notes)
    for place in _HOOKS:
        hook: Object = container
        for step in place.split("."):
            hook = _object(hook.get(step))
        if hook:
            read_commands({"command": hook.get("command")}, f"{path}.{place}", variables, notes)
    image = container.get("image")
    if isinstance(image, str) and any(part in image for part in notes.table.model_images):
        found = Named(image[:MAX_SHOWN], "oci", is_pinned(image, "oci"), "image")
        notes.add(
            f"{path}.image", found, how="image", confidence="certain", reason="an image that carries weights"
        )


def _read_everywhere(untrusted: Object, notes: Notes) -> None:
    """Walk every string but those of ``status`` and ``managedFields``, which no workload reads."""
    read = {key: value for key, value in untrusted.items() if key != "status"}
    metadata = _object(read.get("metadata"))
    if metadata:
        read["metadata"] = {name: item for name, item in metadata.items() if name != "managedFields"}
    _walk(read, "", "field", notes, depth=0)


def _walk(value: list[Value] | Object, path: str, how: How, notes: Notes, *, depth: int) -> None:
    """Look at every string and key; a path is only spelled out on the way to something."""
    if depth > MAX_DEPTH:
        raise LimitError("too-deep", f"the object nests deeper than {MAX_DEPTH} levels", limit=MAX_DEPTH)
    for key, item in enumerate(value) if isinstance(value, list) else value.items():
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
    if "/" not in text:  # every row of the table that counts anywhere holds one
        return
    for match in notes.table.anywhere_pattern.finditer(text):
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
