"""What few records need, and only late: loaded by the first that does.

The law of this file: text is compiled here, and it holds nothing but names that stand in the text of a
class; every value reaches it as a value.
"""

from __future__ import annotations

from trustkit.records.fields import MISSING, Field

TYPE_CHECKING = False  # what typing calls by this name; loading typing takes longer than reading this file
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_SELF, _PUT, _FRESH, _MAKE, _DEFAULT = (
    "self",
    "_record_put",
    "_record_fresh",
    "_record_make_",
    "_record_default_",
)


def compiled_init(cls: type, fields: Mapping[str, Field], *, frozen: bool) -> Callable[..., None]:
    """Compile the ``__init__`` of a class: for many records, and for the errors of wrong arguments."""
    space: dict[str, Any] = {_PUT: object.__setattr__, _FRESH: MISSING}
    words, lines = {False: [_SELF], True: ["*"]}, ["pass"]
    for name, one in fields.items():
        word, value = name, name
        if one.factory is not None:
            space[f"{_MAKE}{name}"], word = one.factory, f"{name}={_FRESH}"
            value = f"{_MAKE}{name}() if {name} is {_FRESH} else {name}"
        elif one.optional:
            space[f"{_DEFAULT}{name}"], word = one.default, f"{name}={_DEFAULT}{name}"
        words[one.kw_only].append(word)
        if not one.passing:
            lines.append(f"{_PUT}({_SELF}, {name!r}, {value})" if frozen else f"{_SELF}.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append(f"{_SELF}.__post_init__({', '.join(n for n, one in fields.items() if one.passing)})")
    head = ", ".join(words[False] + (words[True] if len(words[True]) > 1 else []))
    exec(f"def __init__({head}):\n " + "\n ".join(lines), space)  # noqa: S102 - see the law of this file
    made: Callable[..., None] = space["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def dataclass_fields(cls: type, fields: Mapping[str, Field]) -> object:
    """Return the fields as `dataclasses` knows them, for `dataclasses.fields`, ``asdict`` and the like."""
    import dataclasses

    given: list[tuple[str, Any, Any]] = []
    for name, one in fields.items():
        what: dict[str, Any] = {"repr": one.repr, "kw_only": one.kw_only}
        if one.factory is not None:
            what["default_factory"] = one.factory
        elif one.optional:
            what["default"] = one.default
        kind = dataclasses.InitVar[object] if one.passing else one.type
        given.append((name, kind, dataclasses.field(**what)))
    told: object = vars(dataclasses.make_dataclass(cls.__name__, given))["__dataclass_fields__"]
    return told


def frozen_error(what: str) -> AttributeError:
    """Return the error of whoever writes to a frozen record."""
    from dataclasses import FrozenInstanceError

    return FrozenInstanceError(what)
