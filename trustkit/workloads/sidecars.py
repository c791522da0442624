"""Our own native sidecars inside a pod: what they publish, and who mounts what.

Recognized by shape, not believed: the admission face compares each of them,
whole, with the one it would inject (facts: admission, section 4, decoys).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from trustkit.strictjson import Object

PREFIX = "trustkit-"
"""Names of containers and volumes that only we may give."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """One init container that bears our name: where it stands, what it says it fetches and publishes."""

    index: int
    container: Object
    reference: str
    output: str


def bears_our_name(entry: Object) -> bool:
    """Say whether a container, volume or mount has a name that is reserved for us."""
    return str(entry.get("name")).startswith(PREFIX)


def sidecars_of(spec: Object) -> tuple[Sidecar, ...]:
    """Return the init containers that bear our name, in order."""
    entries = spec.get("initContainers")
    found = []
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict) and bears_our_name(entry):
            found.append(Sidecar(index, entry, _value(entry, "--reference"), _value(entry, "--output")))
    return tuple(found)


def mounted_by(containers: list[Object]) -> frozenset[str]:
    """Return the names of volumes that these containers mount or use as devices."""
    names: set[str] = set()
    for container in containers:
        for part in ("volumeMounts", "volumeDevices"):
            mounts = container.get(part)
            for mount in mounts if isinstance(mounts, list) else ():
                if isinstance(mount, dict) and isinstance(mount.get("name"), str):
                    names.add(str(mount["name"]))
    return frozenset(names)


def _value(container: Object, flag: str) -> str:
    args = container.get("args")
    words = args if isinstance(args, list) else []
    for word, after in itertools.pairwise(words):
        if word == flag and isinstance(after, str):
            return after
    return ""
