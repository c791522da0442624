"""What runs together: the containers and volumes of one pod, or one container that stands alone.

Each is read with its own scene: what one pod of an object asks for makes no claim
about the next one (a frontend beside its workers names no model).
"""

from __future__ import annotations

from dataclasses import dataclass

from trustkit.strictjson import Object, Value
from trustkit.workloads.accelerators import pod_asks
from trustkit.workloads.containers import (
    Container,
    container_alone,
    containers_of,
    demand_models,
    said_by,
    unanswered,
)
from trustkit.workloads.notes import Notes
from trustkit.workloads.places import spelled
from trustkit.workloads.scan import Scan
from trustkit.workloads.sidecars import PREFIX, mounted_by
from trustkit.workloads.values import CONTAINER_LISTS
from trustkit.workloads.volumes import read_volumes


@dataclass(slots=True)
class Group:
    """One pod, or one container alone.

    Attributes:
        spec: Of the pod; empty for a container alone.
        at: Where it stands.
        containers: All of its lists, in order.
        asks: Whether it asks for an accelerator.
        expects: Whether it does, or starts a model server.
        demanded: Whether the kind says that a pod stands here.
    """

    spec: Object
    at: str
    containers: list[Container]
    asks: bool
    expects: bool
    demanded: bool = False


def groups_of(scan: Scan, spec: Object | None, path: str, notes: Notes) -> list[Group]:
    """Return what the walk found, and the pod where the kind keeps its own.

    Args:
        scan: The walk, done.
        spec: What stands where the kind keeps its pod's spec; None for a kind without such a place.
        path: Where the pod lies.
        notes: Where to write.
    """
    groups = []
    if spec is not None:
        groups.append(_pod(spec, f"{path}.spec" if path else "spec", notes, demanded=True))
    groups += [_pod(found, spelled(place), notes) for place, found in scan.pods if found is not spec]
    for place, body, words, environment in scan.alone:
        container = container_alone(body, spelled(place), notes, words=words, environment=environment)
        groups.append(
            Group({}, container.path, [container], container.asks, container.asks or container.serves)
        )
    return groups


def _pod(spec: Object, at: str, notes: Notes, *, demanded: bool = False) -> Group:
    containers = containers_of(spec, at, notes)
    asks = pod_asks(spec, notes.table) or any(container.asks for container in containers)
    serves = any(container.serves for container in containers)
    return Group(spec, at, containers, asks, asks or serves, demanded)


def read_group(group: Group, notes: Notes, *, expects: bool) -> None:
    """Note what its containers and volumes name.

    Args:
        group: The pod or the container.
        notes: Where to write.
        expects: Whether a model is expected here whatever the containers say.
    """
    notes.expects = expects or group.expects
    spec = group.spec
    if not spec and group.demanded:
        notes.unresolved(group.at, "", "there is no pod spec where this kind keeps it")
    for name in CONTAINER_LISTS:
        entries = spec.get(name)
        if entries is not None and not _is_list_of_objects(entries):
            notes.unresolved(f"{group.at}.{name}", "", f"{name} is no list of containers")
    # Ours, or a decoy: its reference is found by the walk, and admission compares it whole.
    others = [container for container in group.containers if not container.ours]
    for container in others:
        container.read(notes)
    ours = frozenset(name for name in _volume_names(spec) if name.startswith(PREFIX))
    mounted = mounted_by([container.body for container in others]) if ours else frozenset()
    read_volumes(spec, group.at, notes, ours=ours - mounted)


def demand(groups: list[Group], notes: Notes) -> None:
    """Note every container that must name a model and names none."""
    said = said_by(notes)
    for group in groups:
        if group.spec or group.demanded:
            demand_models(group.spec, group.at, group.containers, notes, said=said)
        else:
            _demand_alone(group.containers[0], notes)


def _demand_alone(container: Container, notes: Notes) -> None:
    if not container.answers:
        return
    here = f"{container.path}."
    if not any(
        model.path.startswith(here) for model in notes.models if model.confidence != "possible"
    ) and not any(place.path.startswith(here) for place in notes.open_places):
        unanswered(container, notes)


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
