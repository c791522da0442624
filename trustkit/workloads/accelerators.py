"""Does a pod ask for an accelerator: extended resources, device claims, runtimes, device files.

Errs on the side of yes: a pod that may compute on one and names no model is unresolved.
"""

from __future__ import annotations

from collections.abc import Iterable

from trustkit.strictjson import Object, Value
from trustkit.workloads.table import Table


def asks_for_accelerator(spec: Object, containers: Iterable[Object], table: Table) -> bool:
    """Say whether a pod spec asks for a GPU or another accelerator."""
    runtime = spec.get("runtimeClassName")
    if isinstance(runtime, str) and runtime.startswith(table.accelerator_runtimes):
        return True
    if spec.get("resourceClaims"):  # dynamic resource allocation: the class of device is another object
        return True
    resources = [container.get("resources") for container in containers] + [spec.get("resources")]
    return any(_asks(resource, table) for resource in resources) or _mounts_device(spec, table)


def _asks(resources: Value, table: Table) -> bool:
    if not isinstance(resources, dict):
        return False
    if resources.get("claims"):
        return True
    for part in ("limits", "requests"):
        amounts = resources.get(part)
        for name, amount in amounts.items() if isinstance(amounts, dict) else ():
            if name.startswith(table.accelerators) and str(amount) not in {"0", ""}:
                return True
    return False


def _mounts_device(spec: Object, table: Table) -> bool:
    volumes = spec.get("volumes")
    for volume in volumes if isinstance(volumes, list) else ():
        source = volume.get("hostPath") if isinstance(volume, dict) else None
        path = source.get("path") if isinstance(source, dict) else None
        if isinstance(path, str) and path.startswith(table.accelerator_devices):
            return True
    return False
