"""Objects that a controller merges into another one: KServe's ``baseRefs``.

The law of this file: a base that is not at hand stays named in the object, and is
unresolved there; nothing is taken for empty because it is not seen.

    1. Every base that is at hand is laid over the one before it, in the order of the names.
    2. The object itself is laid over all of them (facts: systems, KS5).
    3. What is empty, or of another type, replaces nothing: the controller leaves it out before it merges.
    4. Lists of containers, volumes and their like are merged by names. Of any other list of things both
       are kept, which is more than the controller may keep, and never less; lists of texts are replaced.

Who names one base many times makes work: `MAX_BASES` are followed, and there is a look at
the clock for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trustkit.strictjson import Object, Value
from trustkit.workloads.values import MAX_DEPTH

_REFERENCES = "baseRefs"
_NAMED = frozenset(
    ("containers", "initContainers", "ephemeralContainers", "volumes", "env", "imagePullSecrets")
)
"""Lists that Kubernetes merges by the names in them (``patchMergeKey``), as the controller does."""
MAX_BASES = 32
"""Most bases of one object that are followed; the others stay named in it."""


def merged(untrusted: Object, bases: Mapping[str, Object], check: Callable[[], None]) -> Object:
    """Return an object with its bases merged in, as its controller would.

    Args:
        untrusted: The object; any shape is survived.
        bases: The objects that its ``spec.baseRefs`` may name, by name.
        check: Called for each of them; raises once the time is over.
    """
    spec = untrusted.get("spec")
    entries = spec.get(_REFERENCES) if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(entries, list):
        return untrusted
    below: Object = {}
    left: list[Value] = []
    for number, entry in enumerate(entries):
        name = entry.get("name") if isinstance(entry, dict) else None
        base = bases.get(name) if isinstance(name, str) else None
        if base is None or number >= MAX_BASES:
            left.append(entry)
        else:
            check()
            below = _joined(below, _object(base.get("spec")), 0)
    # A base names none that the controller would follow.
    return {**untrusted, "spec": {**_joined(below, spec, 0), _REFERENCES: left}}


def _joined(below: Object, above: Object, depth: int) -> Object:
    joined = dict(below)
    for key, value in above.items():
        joined[key] = _laid_over(below[key], value, depth + 1, key) if key in below else value
    return joined


def _laid_over(below: Value, above: Value, depth: int, key: str) -> Value:
    if depth > MAX_DEPTH or _is_empty(below):
        return above
    if _is_empty(above) or type(below) is not type(above):
        return below
    if isinstance(below, dict) and isinstance(above, dict):
        return _joined(below, above, depth)
    if isinstance(below, list) and isinstance(above, list) and _holds_things(below) and _holds_things(above):
        named = _by_name(below), _by_name(above)
        if key in _NAMED and named[0] is not None and named[1] is not None:
            return list(_joined(named[0], named[1], depth).values())
        return [*below, *above]
    return above


def _is_empty(value: Value) -> bool:
    return value is None or value in ("", [], {})


def _holds_things(items: list[Value]) -> bool:
    return any(isinstance(item, dict) for item in items)


def _by_name(items: list[Value]) -> Object | None:
    """Return the entries of a list by their names; None where one has none, or that of another."""
    found: Object = {}
    for item in items:
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str) or name in found:
            return None
        found[name] = item
    return found


def _object(value: Value) -> Object:
    return value if isinstance(value, dict) else {}
