"""Containers of a pod: what each asks for, what it names, and what it should have named.

Who asks for an accelerator, or serves models, answers for itself: a reference
in the next container of the pod is no answer (a decoy costs one line).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from trustkit.strictjson import Object, Value
from trustkit.workloads.accelerators import container_asks, device_volumes, pod_asks
from trustkit.workloads.commands import (
    WORDS,
    program_of,
    read_commands,
    read_options,
    read_source,
    serves_models,
)
from trustkit.workloads.environment import read_environment
from trustkit.workloads.grammar import Named, is_pinned, lies_below
from trustkit.workloads.notes import Notes
from trustkit.workloads.sidecars import bears_our_name, mounted_by, sidecars_of
from trustkit.workloads.values import CONTAINER_LISTS, MAX_SHOWN
from trustkit.workloads.variables import Variables, variables_of

_HOOKS = (
    ("lifecycle", "postStart"),
    ("lifecycle", "preStop"),
    ("startupProbe",),
    ("livenessProbe",),
    ("readinessProbe",),
)
"""Commands that the kubelet runs inside a container, beside its own."""
_GOES_ON = re.compile(r"[A-Za-z0-9_.-]")
_LONGEST_OUTPUT = 1024
"""Longest path of a published model (characters); ours are shorter by far."""
_SAYS = re.compile(r"\.(?:args\[|command\[|env\[|image)")
"""What a container says itself: its words, its variables, its image."""


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
        words: Its members that hold words of its command line, in order.
        alone: Whether it is no entry of a pod's list, but stands in a custom resource by itself.
        answers: Whether it must name a model.
    """

    path: str
    body: Object
    variables: Variables
    ours: bool
    asks: bool
    serves: bool
    published: tuple[str, ...]
    words: tuple[str, ...] = WORDS
    alone: bool = False
    answers: bool = False

    def read(self, notes: Notes) -> None:
        """Note what it names, in its variables, its commands and its image."""
        image = self.body.get("image")
        notes.published = self.published
        notes.strict = self.asks or self.serves
        notes.downloads = isinstance(image, str) and "download" in image.rsplit("/", 1)[-1]
        notes.serves = isinstance(image, str) and not notes.table.tools.issuperset(
            program_of(image, notes.table)
        )
        read_environment(self.path, self.variables, notes)
        read_commands(self.body, self.path, self.variables, notes, lists=self.words)
        self.answers = self.asks or notes.serves
        if self.alone:  # it may be the script of a step of a workflow
            read_source(self.body, f"{self.path}.source", self.variables, notes)
        self._read_hooks(notes)
        if isinstance(image, str) and notes.table.is_model_image(image):
            found = Named(image[:MAX_SHOWN], "oci", is_pinned(image, "oci"), "image")
            why = "an image that carries weights"
            notes.add(f"{self.path}.image", found, how="image", confidence="certain", reason=why)
        for name in self.variables.known if self.variables.again else self.variables.telling:
            value = self.variables.known.get(name, "")
            if "--" in value:
                read_options(value, self.variables.place_of(name), self.variables, notes)
        notes.published, notes.strict, notes.serves, notes.downloads = (), False, False, False

    def _read_hooks(self, notes: Notes) -> None:
        for steps in _HOOKS:
            if steps[0] not in self.body:
                continue
            hook: Value = self.body
            for step in (*steps, "exec"):
                hook = hook.get(step) if isinstance(hook, dict) else None
            if isinstance(hook, dict):
                place = ".".join((self.path, *steps, "exec"))
                read_commands({"command": hook.get("command")}, place, self.variables, notes)

    def has_answered(
        self, said: frozenset[str], volumes: dict[str, str], *, check: Callable[[], None]
    ) -> bool:
        """Say whether it names a model itself, or mounts a volume that does, or is unresolved already.

        Args:
            said: What of the object has named a model, or is unresolved.
            volumes: Where each volume of the pod stands, by its name.
            check: Called again and again; raises once the time is over.
        """
        if self.path in said or any(volumes.get(name) in said for name in mounted_by([self.body])):
            return True
        texts = _texts(self.body, self.variables)
        return any(_names(folder, text, check) for folder in self.published for text in texts)


def containers_of(spec: Object, at: str, notes: Notes) -> list[Container]:
    """Return every container of every list; what is no object is no container."""
    devices = device_volumes(spec, notes.table)
    outputs = (sidecar.output for sidecar in sidecars_of(spec))
    published = tuple(output for output in outputs if 0 < len(output) <= _LONGEST_OUTPUT)
    found = []
    for name in CONTAINER_LISTS:
        entries = spec.get(name)
        for index, body in enumerate(entries if isinstance(entries, list) else ()):
            if not isinstance(body, dict):
                continue
            notes.check()
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


def container_alone(
    body: Object, path: str, notes: Notes, *, words: tuple[str, ...], environment: tuple[str, ...]
) -> Container:
    """Return a container that stands in a custom resource by itself, with members of names of their own.

    Args:
        body: The container, untrusted.
        path: Where it stands.
        notes: Where the work is counted.
        words: Its members that hold words of its command line.
        environment: Its members that hold variables.
    """
    variables = variables_of(body, path, notes, lists=environment)
    return Container(
        path,
        body,
        variables,
        ours=False,
        asks=container_asks(body, variables, frozenset(), notes.table),
        serves=serves_models(body, notes.table),
        published=(),
        words=tuple(sorted(words, key=_command_first)),
        alone=True,
    )


def _command_first(member: str) -> bool:
    return member != WORDS[0]


def demand_models(
    spec: Object, at: str, containers: list[Container], notes: Notes, *, said: frozenset[str]
) -> None:
    """Note the containers, or the pod, that must name a model and name none.

    Args:
        spec: Of the pod, untrusted.
        at: Where it stands.
        containers: Its containers, read.
        notes: Where to write.
        said: What `said_by` says.
    """
    volumes = _volumes(spec, at)
    for container in containers:
        notes.check()
        if container.answers and not container.has_answered(said, volumes, check=notes.check):
            unanswered(container, notes)
    named = any(model.confidence != "possible" for model in notes.models)
    if pod_asks(spec, notes.table) and not named and not notes.open_places:
        notes.unresolved(at, "", "the pod asks for an accelerator and names no model", code="unresolved-gpu")


def unanswered(container: Container, notes: Notes) -> None:
    """Note a container that must name a model and names none."""
    code = "unresolved-gpu" if container.asks else "unresolved-model"
    what = "asks for an accelerator" if container.asks else "serves models"
    notes.unresolved(container.path, "", f"the container {what} and names no model itself", code=code)


def said_by(notes: Notes) -> frozenset[str]:
    """Return every place of a container or volume that names a model, or in which something is unresolved."""
    said: set[str] = set()
    for model in notes.models:
        if model.confidence != "possible":
            said.update(_holders(model.path, any_member=False))
    for place in notes.open_places:
        said.update(_holders(place.path, any_member=True))
    return frozenset(said)


def _holders(path: str, *, any_member: bool) -> Iterator[str]:
    """Every entry of a list that a place lies in; a container only if it speaks for itself."""
    at = path.find("]")
    while at >= 0:
        entry = path[: at + 1]
        if any_member or _SAYS.match(path, at + 1) or entry.rpartition("[")[0].endswith(".volumes"):
            yield entry
        at = path.find("]", at + 1)


def _names(folder: str, text: str, check: Callable[[], None]) -> bool:
    """Say whether a text holds a folder's path, whole.

    By hand, because both are untrusted: a regular expression would compare all of a long folder at every
    place of a long text, and no clock is looked at meanwhile.
    """
    place = text.find(folder)
    while place >= 0:
        check()
        if _GOES_ON.match(text, place + len(folder)) is None:
            return True
        place = text.find(folder, place + 1)
    return False


def _mounted(body: Object, published: tuple[str, ...]) -> tuple[str, ...]:
    """Return the published folders that a container mounts from a volume of ours."""
    if not published:
        return ()
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
        str(entry.get("name")): f"{at}.volumes[{index}]"
        for index, entry in enumerate(entries)
        if isinstance(entry, dict)
    }


def _texts(body: Object, variables: Variables) -> list[str]:
    words = [body.get(part) for part in ("command", "args")]
    texts = [
        text for entries in words if isinstance(entries, list) for text in entries if isinstance(text, str)
    ]
    return texts + list(variables.known.values())
