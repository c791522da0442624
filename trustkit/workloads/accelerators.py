"""Does a pod, or one of its containers, ask for an accelerator: by resources, claims, runtimes or devices.

Errs on the side of yes: what may compute on one and names no model is unresolved.
A container may ask by its variables alone: the runtime of the node reads
``NVIDIA_VISIBLE_DEVICES`` and hands over what it names.
"""

from __future__ import annotations

import posixpath

from trustkit.strictjson import Object, Value
from trustkit.workloads.grammar import lies_below
from trustkit.workloads.table import Table
from trustkit.workloads.variables import Variables


def pod_asks(spec: Object, table: Table) -> bool:
    """Say whether a pod as a whole asks: whichever container then uses it, one of them must name a model."""
    runtime = spec.get("runtimeClassName")
    if isinstance(runtime, str) and any(part in runtime for part in table.accelerators.runtimes):
        return True
    if spec.get("resourceClaims"):  # dynamic resource allocation: the class of device is another object
        return True
    return _asks(spec.get("resources"), table) or bool(device_volumes(spec, table))


def container_asks(container: Object, variables: Variables, devices: frozenset[str], table: Table) -> bool:
    """Say whether one container asks by itself.

    Args:
        container: The container, untrusted.
        variables: What its ``env`` defines.
        devices: Names of the volumes that reach devices of the node.
        table: What accelerators are called.
    """
    context = container.get("securityContext")
    if isinstance(context, dict) and context.get("privileged"):
        return True
    if _asks(container.get("resources"), table):
        return True
    for mount in _entries(container.get("volumeMounts")):
        if _mounts(mount, devices, table):
            return True
    for name in variables.read:
        if name.endswith(table.accelerators.variables) and _names_devices(name, variables, table):
            return True
    return False


def device_volumes(spec: Object, table: Table) -> frozenset[str]:
    """Return the names of volumes that are devices of the node, or folders such devices lie in."""
    found = set()
    for volume in _entries(spec.get("volumes")):
        source = volume.get("hostPath")
        path = source.get("path") if isinstance(source, dict) else None
        if isinstance(path, str) and reaches_device(path, table):
            found.add(str(volume.get("name")))
    return frozenset(found)


def reaches_device(path: str, table: Table) -> bool:
    """Say whether a path of the node is a device, lies below one, or is a folder above one."""
    here = posixpath.normpath("/" + path.lstrip("/"))
    if here.startswith("/proc/") and "/root" in here:  # the node's own tree, through one of its processes
        return True
    return any(here.startswith(device) or lies_below(device, here) for device in table.accelerators.devices)


def _asks(resources: Value, table: Table) -> bool:
    if not isinstance(resources, dict):
        return False
    if resources.get("claims"):
        return True
    for part in ("limits", "requests"):
        amounts = resources.get(part)
        for name, amount in amounts.items() if isinstance(amounts, dict) else ():
            if str(amount) not in {"0", ""} and _may_be_one(name, table):
                return True
    return False


def _may_be_one(resource: str, table: Table) -> bool:
    """Say whether a resource may be an accelerator: a class of devices may give itself any name."""
    rows = table.accelerators
    return resource.startswith(rows.resources) or ("/" in resource and not resource.startswith(rows.harmless))


def _mounts(mount: Object, devices: frozenset[str], table: Table) -> bool:
    if devices and str(mount.get("name")) in devices:
        return True
    where = "/" + str(mount.get("mountPath")).lstrip("/")
    if not any(map(where.__contains__, table.accelerators.last)):
        return False
    return any(lies_below(where, folder) for folder in table.accelerators.mounts)


def _names_devices(name: str, variables: Variables, table: Table) -> bool:
    """Whether the value of a variable asks for devices; one that lies elsewhere does."""
    value = variables.known.get(name)
    return value is None or (value != "" and value not in table.accelerators.no_devices)


def _entries(value: Value) -> list[Object]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
