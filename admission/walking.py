"""Ways through untrusted objects: all of a value, within a deadline, and the containers of a pod.

The law of this file: no recursion, and where the whole of a value is walked a
look at the clock every so often, whatever shape it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from trustkit.strictjson import Object, Value
from trustkit.workloads.values import CONTAINER_LISTS

OFTEN = 8192
"""Values between two looks at the clock."""


def every(untrusted: Value, *, check: Callable[[], None]) -> Iterator[Value]:
    """Return a value and all that lies in it, names of members not, in no order that means anything.

    Args:
        untrusted: The value.
        check: Called again and again; raises once the time is over.
    """
    waiting = [untrusted]
    step = 0
    while waiting:
        step += 1
        if step % OFTEN == 0:
            check()
        here = waiting.pop()
        yield here
        if isinstance(here, dict):
            waiting += here.values()
        elif isinstance(here, list):
            waiting += here


def listed(untrusted_spec: Object) -> Iterator[tuple[str, int, Object]]:
    """Return every container of a pod: the list it stands in, its place there, and itself."""
    for name in CONTAINER_LISTS:
        entries = untrusted_spec.get(name)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict):
                yield name, index, entry
