"""What a pod would share with a sidecar, or do before it: reasons for which no sidecar is lent to it.

    1. The node's network: the sidecar's health port would be the node's, where another pod listens
       already, or answers for it.
    2. The sidecar's health port, declared by another container: the same, inside the pod. One that
       does not declare what it listens on is not seen here: it can keep a sidecar from starting, or
       answer whoever asks ``/readyz``, and start nothing, for the startup probe asks no port.
    3. A model, used by an init container that stands before its sidecar: it would find an empty folder,
       and whatever it does instead was not verified.

The law of this file: it says nothing about what is ours (`admission.validate`), and reads nothing
but the pod.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from admission.evidence import remedy_for
from admission.sidecar import Injection, Plan
from admission.walking import every, listed
from trustkit.deciding.decision import Violation
from trustkit.strictjson import Object
from trustkit.workloads.sidecars import bears_our_name, sidecars_of


def exposed(
    spec: Object,
    injections: Sequence[Injection],
    plan: Plan,
    *,
    wanted: bool,
    check: Callable[[], None],
) -> tuple[Violation, ...]:
    """Return why a pod may have no sidecar; empty where it may.

    Args:
        spec: The pod's, untrusted.
        injections: What we would have injected for the sidecars that are there.
        plan: Where sidecars answer.
        wanted: Whether the pod has a sidecar, or names a model that calls for one.
        check: Called again and again; raises once the time is over.
    """
    found: list[Violation] = []
    if wanted and spec.get("hostNetwork"):
        why = "spec is in the node's network, where others could answer for the sidecar"
        found.append(Violation("sidecar-exposed", why, remedy_for("sidecar-exposed")))
    ports = {plan.sidecar.health_port + index for index in range(len(injections))}
    for place, container in _others(spec):
        check()
        for port in sorted(ports & _ports(container)):
            why = f"{place} declares port {port}, where a sidecar says whether its model is ready"
            found.append(Violation("sidecar-exposed", why, remedy_for("sidecar-exposed")))
    for place in _too_early(spec, injections, check):
        why = f"{place} uses a model and stands before the sidecar that brings it"
        found.append(Violation("sidecar-late", why, remedy_for("sidecar-late")))
    return tuple(found)


def _others(spec: Object) -> Iterator[tuple[str, Object]]:
    """Every container of every list but our sidecars."""
    for name, index, entry in listed(spec):
        if not bears_our_name(entry):
            yield f"spec.{name}[{index}]", entry


def _ports(container: Object) -> frozenset[int]:
    entries = container.get("ports")
    ports = [
        entry.get("containerPort")
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict)
    ]
    return frozenset(port for port in ports if isinstance(port, int))


def _too_early(spec: Object, injections: Sequence[Injection], check: Callable[[], None]) -> Iterator[str]:
    """The init containers that use a model before it is there: by its volume, or by a path in any text."""
    entries = spec.get("initContainers")
    inits = entries if isinstance(entries, list) else []
    models = {injection.reference: injection for injection in injections}
    for sidecar in sidecars_of(spec):
        model = models.get(sidecar.reference)
        if model is None:
            continue
        volume, folder = str(model.volume["name"]), str(model.mount["mountPath"])
        for index, entry in enumerate(inits[: sidecar.index]):
            ours = isinstance(entry, dict) and bears_our_name(entry)
            texts = (text for text in every(entry, check=check) if isinstance(text, str))
            if not ours and any(text == volume or folder in text for text in texts):
                yield f"spec.initContainers[{index}]"
