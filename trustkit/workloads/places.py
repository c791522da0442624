"""Where something stands in an object: a chain of members and positions, spelled out only when asked for.

Spelling a path costs more than finding most of what stands there, so a walk hands
on chains, and only what is noted ever becomes a text. A chain is a plain pair, not a
class, because a walk makes one for every object and list it enters.
"""

from __future__ import annotations

Place = tuple["Place", str | int] | str
"""A member's name or an entry's position below another place; or the text that all below it start with."""


def spelled(place: Place) -> str:
    """Spell a place: ``spec.containers[0].env[1].value``, ``data["a.yaml"]#models[0]``."""
    keys: list[str | int] = []
    while not isinstance(place, str):
        place, key = place
        keys.append(key)
    keys.reverse()
    text = "".join(
        [
            f"[{key}]" if isinstance(key, int) else f".{key}" if key.isidentifier() else spot(".", key)[1:]
            for key in keys
        ]
    )
    if "#" in text or text.startswith(".."):  # a member's name may end like a document's place, or be empty
        for key in keys:
            place = spot(place, key)
        return place
    return place + text if place and place[-1] != "#" else place + text.removeprefix(".")


def spot(path: str, key: str | int) -> str:
    """Return the path of a member or an entry of what stands at *path*."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if "." in key or "/" in key:
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path and path[-1] != "#" else f"{path}{key}"
