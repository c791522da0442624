"""How much one object may hold, counted before anything is compared with anything.

The law of this file: one pass, and no work that grows with a product. Extraction
and comparison look at every mount of every container, some at every pair; whoever
may create a Pod must not be able to keep the webhook from everybody else.
"""

from __future__ import annotations

from collections.abc import Callable

from admission.walking import every
from trustkit.errors import LimitError
from trustkit.strictjson import Object
from trustkit.workloads.sidecars import PREFIX, bears_our_name
from trustkit.workloads.values import CONTAINER_LISTS

MAX_CONTAINERS = 256
"""Most containers of an object, of all its pods."""
MAX_MOUNTS = 1024
"""Most mounts of an object; as many volumes."""
MAX_MODELS = 16
"""Most distinct ``trust://`` references that are looked up for one object, and so containers of our name."""


def check_crowd(subject: Object, *, check: Callable[[], None]) -> None:
    """Refuse an object that holds more than any workload needs.

    Args:
        subject: The object of a review, untrusted; its depth is bounded by the parser.
        check: Called again and again; raises once the time is over.

    Raises:
        LimitError: ``too-many-containers``.
    """
    containers = ours = mounts = volumes = 0
    for value in every(subject, check=check):
        for name, member in value.items() if isinstance(value, dict) else ():
            if not isinstance(member, list):
                continue
            if name in CONTAINER_LISTS:
                containers += len(member)
                ours += sum(isinstance(entry, dict) and bears_our_name(entry) for entry in member)
            elif name in {"volumeMounts", "volumeDevices"}:
                mounts += len(member)
            elif name == "volumes":
                volumes += len(member)
    if containers > MAX_CONTAINERS or max(mounts, volumes) > MAX_MOUNTS or ours > MAX_MODELS:
        raise LimitError(
            "too-many-containers",
            f"an object may hold {MAX_CONTAINERS} containers, {MAX_MOUNTS} mounts, as many volumes, and "
            f"{MAX_MODELS} containers named {PREFIX}*; split the workload",
        )
