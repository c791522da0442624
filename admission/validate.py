"""The last word about a pod: nothing of what `mutate` did is believed, everything is derived again.

    1. No ``trust://`` text is left where a container would read it.    mutation skipped or impossible
    2. Every container that bears our name is, whole and exactly,       decoys, altered arguments
       the sidecar we would inject for its reference.
    3. Every volume that bears our name is exactly ours.                a writable or foreign source
    4. Nobody else mounts our volumes, but models read-only, whole,     other writers, stolen SVIDs
       at their one place, nor reads variables from a file in one.
    5. No other mount lies over or under a published model.             shadowed weights
    6. No container shares the sidecar's process namespace, not even    /proc/PID/root
       one that is attached to it later.
    7. No volume reaches the node's folders where published models      the same bytes by another road
       lie, as far as their usual places tell, and no container has
       the power to mount them again.
    8. No other volume, and no variable, gives to others what the       `admission.lending`
       sidecar is known by.
    9. Nothing answers in a sidecar's place, and nobody uses a model    `admission.exposure`
       before it is there.

Facts: admission, section 4 (decoy injected container), section 8 (validate).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from admission.evidence import Proven, remedy_for
from admission.exposure import exposed
from admission.lending import borrowed, lent_by, overlap
from admission.mutate import uses_of
from admission.sidecar import Injection, Plan, injection_for, shared_volumes
from admission.walking import every, listed
from trustkit import strictjson
from trustkit.deciding.decision import Violation
from trustkit.strictjson import Object, Value
from trustkit.workloads.sidecars import PREFIX, bears_our_name, sidecars_of
from trustkit.workloads.table import Table
from trustkit.workloads.values import Extraction

POWERS = frozenset(
    (
        *("ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "DAC_READ_SEARCH", "SYS_RAWIO", "SYS_BOOT"),
        *("BPF", "PERFMON", "CHECKPOINT_RESTORE", "MKNOD"),
    )
)
"""Capabilities that reach other containers' files or memory."""
NODE_FOLDERS = (
    "/var/lib/kubelet",
    "/proc",
    "/run/containerd",
    "/run/crio",
    "/run/cri-dockerd.sock",
    "/run/docker.sock",
    "/run/k3s",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/etc/kubernetes",
)
"""Where a node keeps the volumes of its pods, the sockets of what runs them, and every process's files."""


def altered(
    subject: Object, proven: Mapping[str, Proven], plan: Plan, *, table: Table, check: Callable[[], None]
) -> tuple[Violation, ...]:
    """Return what is wrong with our part of a pod; empty where it is exactly ours, or absent (steps 2 to 9).

    Args:
        subject: The pod, untrusted.
        proven: Proofs by the exact reference text.
        plan: What sidecars may trust.
        table: How references are read; must be the extractor's.
        check: Called again and again; raises once the time is over.
    """
    spec = subject.get("spec")
    if not isinstance(spec, dict):
        return ()
    injections, wrong = _sidecars(spec, proven, plan, check)
    wrong += _names(spec)
    wrong += _volumes(spec, injections, plan, check)
    reached = _processes(spec, injections)
    for place, container in _others(spec):
        check()
        wrong += _mounts(place, container, injections, check)
        wrong += _files(place, container, check)
        reached += _powers(place, container) if injections else []
    if injections:
        reached += _node_folders(spec, check)
    wanted = bool(injections) or bool(uses_of(spec, table, check=check))
    shared = borrowed(spec, lent_by(plan.sidecar.volumes), check=check) if wanted else ()
    return (
        *(Violation("sidecar-altered", why, remedy_for("sidecar-altered")) for why in wrong),
        *(Violation("sidecar-reachable", why, remedy_for("sidecar-reachable")) for why in reached),
        *shared,
        *exposed(spec, injections, plan, wanted=wanted, check=check),
    )


def remaining(subject: Object, extraction: Extraction) -> tuple[Violation, ...]:
    """Return the references a container would still read in the final object (step 1).

    An ephemeral container comes too late for a sidecar, and a text that was put together
    from variables cannot be rewritten: both stay, and are refused here.
    """
    spec = subject.get("spec")
    ours = tuple(
        f"spec.initContainers[{s.index}]." for s in sidecars_of(spec if isinstance(spec, dict) else {})
    )
    paths = dict.fromkeys(
        model.path
        for model in extraction.models
        if model.scheme == "trust"
        and model.how in {"argument", "environment"}
        and not model.path.startswith(ours)
    )
    return tuple(
        Violation(
            "unresolved-model",
            f"{path} still names a model that no sidecar brings",
            "write the reference in one piece into a regular or init container of a new pod",
        )
        for path in paths
    )


def _sidecars(
    spec: Object, proven: Mapping[str, Proven], plan: Plan, check: Callable[[], None]
) -> tuple[list[Injection], list[str]]:
    injections: list[Injection] = []
    wrong: list[str] = []
    for index, sidecar in enumerate(sidecars_of(spec)):
        check()
        place = f"spec.initContainers[{sidecar.index}]"
        proof = proven.get(sidecar.reference)
        if proof is None:
            wrong.append(f"{place} bears our name and brings no model that was verified")
            continue
        injection = injection_for(proof, index, plan)
        if not _same(sidecar.container, injection.container):
            where = _difference(sidecar.container, injection.container)
            wrong.append(f"{place} differs from the sidecar that would be injected, in {where}")
        elif injection.reference in {other.reference for other in injections}:
            wrong.append(f"{place} is there twice")
        injections.append(injection)
    return injections, wrong


def _names(spec: Object) -> list[str]:
    """Our names are reserved for init containers we made (step 2)."""
    return [
        f"{place} bears a name that starts with {PREFIX}"
        for place, container in _others(spec)
        if bears_our_name(container)
    ]


def _volumes(spec: Object, injections: list[Injection], plan: Plan, check: Callable[[], None]) -> list[str]:
    expected = {str(injection.volume["name"]): injection.volume for injection in injections}
    if injections:
        expected.update({str(volume["name"]): volume for volume in shared_volumes(plan)})
    entries = spec.get("volumes")
    there = [entry for entry in (entries if isinstance(entries, list) else []) if isinstance(entry, dict)]
    ours = [entry for entry in there if bears_our_name(entry)]
    wrong: list[str] = []
    for entry in ours:
        check()
        name = str(entry.get("name"))
        if name not in expected or not _same(entry, expected[name]):
            wrong.append(f"the volume {name[:80]!r} is not as we make it")
    names = [str(entry.get("name")) for entry in ours]
    return wrong + [f"the volume {name!r} is not there once" for name in expected if names.count(name) != 1]


def _others(spec: Object) -> Iterator[tuple[str, Object]]:
    """Every container of every list that is not an init container with our name."""
    for name, index, entry in listed(spec):
        if not (name == "initContainers" and bears_our_name(entry)):
            yield f"spec.{name}[{index}]", entry


def _mounts(
    place: str, container: Object, injections: list[Injection], check: Callable[[], None]
) -> list[str]:
    allowed = set() if "ephemeralContainers" in place else {_bytes(model.mount) for model in injections}
    folders = [str(injection.mount["mountPath"]) for injection in injections]
    wrong: list[str] = []
    for part in ("volumeMounts", "volumeDevices"):
        entries = container.get(part)
        for entry in entries if isinstance(entries, list) else ():
            check()
            if not isinstance(entry, dict) or _bytes(entry) in allowed:
                continue
            # The kubelet makes relative mount paths absolute, so `overlap` does.
            where = str(entry.get("mountPath", entry.get("devicePath", "")))
            if bears_our_name(entry):
                wrong.append(f"{place} mounts a volume of ours otherwise than read-only at its place")
            elif any(overlap(where, folder) for folder in folders):
                wrong.append(f"{place} mounts something over a published model")
    return wrong


def _files(place: str, container: Object, check: Callable[[], None]) -> list[str]:
    """A volume can be read without a mount: a variable may come from a file in it (step 4)."""
    for here in every(container, check=check):
        if isinstance(here, dict) and str(here.get("volumeName")).startswith(PREFIX):
            return [f"{place} reads a file of a volume of ours"]
    return []


def _processes(spec: Object, injections: list[Injection]) -> list[str]:
    """Whoever sees the sidecar's processes can write its files through ``/proc`` (step 6)."""
    wrong = [
        f"{place} is attached to the processes of a sidecar"
        for place, container in _others(spec)
        if str(container.get("targetContainerName")).startswith(PREFIX)
    ]
    if injections and (spec.get("shareProcessNamespace") or spec.get("hostPID")):
        wrong.append("spec shares a process namespace with the sidecar, whose files others could then write")
    return wrong


def _node_folders(spec: Object, check: Callable[[], None]) -> list[str]:
    """Volumes of the node through which a published model could be written (step 7)."""
    entries = spec.get("volumes")
    wrong: list[str] = []
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        check()
        source = entry.get("hostPath") if isinstance(entry, dict) else None
        path = source.get("path") if isinstance(source, dict) else None
        if isinstance(path, str) and any(overlap(path, folder) for folder in NODE_FOLDERS):
            wrong.append(f"spec.volumes[{index}] reaches where the node keeps published models")
    return wrong


def _powers(place: str, container: Object) -> list[str]:
    """A container that may mount could mount the published model again, writable (step 7)."""
    context = container.get("securityContext")
    if not isinstance(context, dict):
        return []
    added = context.get("capabilities")
    names = added.get("add") if isinstance(added, dict) else None
    powers = {str(name).upper().removeprefix("CAP_") for name in names} if isinstance(names, list) else set()
    if context.get("privileged") or powers & POWERS or context.get("procMount") not in (None, "Default"):
        return [f"{place} has powers over the node, with which it could write to the published model"]
    return []


def _same(one: Value, other: Value) -> bool:
    """Compare as JSON: in Python ``1 == True``, in Kubernetes it is not."""
    return _bytes(one) == _bytes(other)


def _bytes(value: Value) -> bytes:
    return strictjson.to_bytes(value)


def _difference(one: Object, other: Object) -> str:
    """Name the first member that differs, which says where to look and leaks nothing."""
    for name in sorted({*one, *other}):
        if name not in one or name not in other or not _same(one[name], other[name]):
            return name[:64]
    return "nothing"
