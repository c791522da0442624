"""A way through all of an untrusted value that cannot outlast a deadline.

The law of this file: no recursion, and a look at the clock every so often,
whatever shape the value has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from trustkit.strictjson import Value

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
