"""Objects that a controller merges into another one: KServe's ``baseRefs``.

The law of this file: a base that is not at hand stays named in the object, and is
unresolved there; nothing is taken for empty because it is not seen.

    1. Every base that is at hand is laid over the one before it, in the order of the names.
    2. The object itself is laid over all of them (facts: systems, KS5).
    3. Lists of things with names are merged by their names; every other list is replaced.

Who names one base many times makes work: `MAX_BASES` are followed, and there is a look at
the clock for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trustkit.strictjson import Object, Value
from trustkit.workloads.values import MAX_DEPTH

_REFERENCES = "baseRefs"
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
    below: Value = {}
    left: list[Value] = []
    for number, entry in enumerate(entries):
        name = entry.get("name") if isinstance(entry, dict) else None
        base = bases.get(name) if isinstance(name, str) else None
        if base is None or number >= MAX_BASES:
            left.append(entry)
        else:
            check()
            below = _laid_over(below, base.get("spec") or {}, 0)
    own: Object = {**spec, _REFERENCES: left}
    return {**untrusted, "spec": _laid_over(below, own, 0)}


def _laid_over(below: Value, above: Value, depth: int) -> Value:
    if depth > MAX_DEPTH or type(below) is not type(above):
        return above
    if isinstance(below, dict) and isinstance(above, dict):
        joined = dict(below)
        for key, value in above.items():
            joined[key] = _laid_over(below[key], value, depth + 1) if key in below else value
        return joined
    if isinstance(below, list) and isinstance(above, list) and _have_names(below) and _have_names(above):
        return _by_name(below, above, depth)
    return above


def _have_names(items: list[Value]) -> bool:
    return bool(items) and all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in items)


def _by_name(below: list[Value], above: list[Value], depth: int) -> list[Value]:
    joined: dict[object, Value] = {}
    for item in (*below, *above):
        name = item.get("name") if isinstance(item, dict) else None
        joined[name] = _laid_over(joined[name], item, depth + 1) if name in joined else item
    return list(joined.values())
