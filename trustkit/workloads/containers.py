"""Containers of a pod: what each asks for, what it names, and what it should have named.

Who asks for an accelerator, or serves models, answers for itself: a reference
in the next container of the pod is no answer (a decoy costs one line).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trustkit.strictjson import Object, Value
from trustkit.workloads.accelerators import container_asks, device_volumes, pod_asks
from trustkit.workloads.commands import program_of, read_commands, serves_models
from trustkit.workloads.environment import Variables, read_environment, variables_of
from trustkit.workloads.grammar import Named, is_pinned, lies_below
from trustkit.workloads.notes import Notes
from trustkit.workloads.sidecars import bears_our_name, mounted_by, sidecars_of
from trustkit.workloads.values import MAX_SHOWN

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


@dataclass(slots=True)
class Container:
    """One container, untrusted, and what was found out about it.

    Attributes:
        path: Where it stands.
        body: The container itself.
        variables: What its ``env`` defines.
        ours: Whether it bears the name of an init container of ours.
        asks: Whether it asks for an accelerator.
        serves: Whether it starts a model server, as far as its image and its words say.
        published: Folders it mounts that a sidecar of ours publishes.
        answers: Whether it must name a model.
    """

    path: str
    body: Object
    variables: Variables
    ours: bool
    asks: bool
    serves: bool
    published: tuple[str, ...]
    answers: bool = False

    def read(self, notes: Notes) -> None:
        """Note what it names, in its variables, its commands and its image."""
        image = self.body.get("image")
        notes.published = self.published
        notes.strict = self.asks or self.serves
        notes.serves = isinstance(image, str) and not notes.table.tools.issuperset(
            program_of(image, notes.table)
        )
        read_environment(self.path, self.variables, notes)
        read_commands(self.body, self.path, self.variables, notes)
        self.answers = self.asks or notes.serves
        for place in _HOOKS:
            hook: Value = self.body
            for step in place.split("."):
                hook = hook.get(step) if isinstance(hook, dict) else None
            if isinstance(hook, dict):
                read_commands({"command": hook.get("command")}, f"{self.path}.{place}", self.variables, notes)
        if isinstance(image, str) and any(part in image for part in notes.table.model_images):
            found = Named(image[:MAX_SHOWN], "oci", is_pinned(image, "oci"), "image")
            why = "an image that carries weights"
            notes.add(f"{self.path}.image", found, how="image", confidence="certain", reason=why)
        notes.published, notes.strict, notes.serves = (), False, False

    def has_answered(self, notes: Notes, volumes: dict[str, str]) -> bool:
        """Say whether it names a model itself, or mounts a volume that does, or is unresolved already."""
        own = tuple(f"{self.path}.{part}" for part in ("args[", "command[", "env[", "image"))
        mounted = tuple(volumes[name] for name in mounted_by([self.body]) if name in volumes)
        if any(
            model.path.startswith(own + mounted) for model in notes.models if model.confidence != "possible"
        ) or any(place.path.startswith(f"{self.path}.") for place in notes.open_places):
            return True
        folders = "|".join(re.escape(folder) for folder in self.published)
        return bool(folders) and any(
            re.search(rf"(?:{folders})(?![A-Za-z0-9_.-])", text) for text in _texts(self.body, self.variables)
        )


def containers_of(spec: Object, at: str, notes: Notes) -> list[Container]:
    """Return every container of every list; what is no object is no container."""
    devices = device_volumes(spec, notes.table)
    published = tuple(sidecar.output for sidecar in sidecars_of(spec) if sidecar.output)
    found = []
    for name in CONTAINER_LISTS:
        entries = spec.get(name)
        for index, body in enumerate(entries if isinstance(entries, list) else ()):
            if not isinstance(body, dict):
                continue
            path = f"{at}.{name}[{index}]"
            variables = variables_of(body, path, notes)
            found.append(
                Container(
                    path,
                    body,
                    variables,
                    ours=name == "initContainers" and bears_our_name(body),
                    asks=container_asks(body, variables, devices, notes.table),
                    serves=serves_models(body, notes.table),
                    # A published path is one only where it is mounted; an image has files of its own there.
                    published=() if name == "ephemeralContainers" else _mounted(body, published),
                )
            )
    return found


def demand_models(spec: Object, at: str, containers: list[Container], notes: Notes) -> None:
    """Note the containers, or the pod, that must name a model and name none."""
    volumes = _volumes(spec, at)
    for container in containers:
        if container.answers and not container.has_answered(notes, volumes):
            code = "unresolved-gpu" if container.asks else "unresolved-model"
            what = "asks for an accelerator" if container.asks else "serves models"
            notes.unresolved(container.path, "", f"the container {what} and names no model itself", code=code)
    named = any(model.confidence != "possible" for model in notes.models)
    if pod_asks(spec, notes.table) and not named and not notes.open_places:
        notes.unresolved(at, "", "the pod asks for an accelerator and names no model", code="unresolved-gpu")


def _mounted(body: Object, published: tuple[str, ...]) -> tuple[str, ...]:
    """Return the published folders that a container mounts from a volume of ours."""
    mounts = body.get("volumeMounts")
    places = [
        str(mount.get("mountPath"))
        for mount in (mounts if isinstance(mounts, list) else ())
        if isinstance(mount, dict) and bears_our_name(mount)
    ]
    return tuple(folder for folder in published if any(lies_below(folder, place) for place in places))


def _volumes(spec: Object, at: str) -> dict[str, str]:
    """Where each volume stands, by its name."""
    volumes = spec.get("volumes")
    entries = volumes if isinstance(volumes, list) else []
    return {
        str(entry.get("name")): f"{at}.volumes[{index}]."
        for index, entry in enumerate(entries)
        if isinstance(entry, dict)
    }


def _texts(body: Object, variables: Variables) -> list[str]:
    words = [body.get(part) for part in ("command", "args")]
    texts = [
        text for entries in words if isinstance(entries, list) for text in entries if isinstance(text, str)
    ]
    return texts + list(variables.known.values())
