"""What a record's fields are: names, defaults, and how they are given.

The law of this file: fields are read from the text of a class, once; no record is made or looked at here.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what typing calls by this name; loading typing takes longer than reading this file
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MISSING = object()
FIELDS = "__record_fields__"
"""Where a class keeps its fields."""


class Field:
    """One field of a record.

    Attributes:
        default: Its default, or `MISSING`.
        factory: Makes a default anew for every record.
        repr: Whether it is shown.
        kw_only: Whether it is given by name.
        name: Its name.
        type: The text of its annotation.
        passing: Whether it is only handed to ``__post_init__``, and no record keeps it.
    """

    __slots__ = ("default", "factory", "kw_only", "name", "passing", "repr", "type")

    def __init__(
        self,
        default: object = MISSING,
        factory: Callable[[], object] | None = None,
        *,
        shown: bool = True,
        kw_only: bool = False,
    ) -> None:
        self.default = default
        self.factory = factory
        self.repr = shown
        self.kw_only = kw_only
        self.name = self.type = ""
        self.passing = False

    @property
    def optional(self) -> bool:
        """Whether it may be left out."""
        return self.default is not MISSING or self.factory is not None

    def fresh(self) -> object:
        """Return what it is where it was left out."""
        return self.default if self.factory is None else self.factory()


def fields_of(cls: type) -> dict[str, Field]:
    """Read the fields of a class: those of the records above it, then its own in the order of the text.

    Raises:
        TypeError: Annotations that are no text, or a field without a default behind one with a default.
        ValueError: A default that records would share and could change.
    """
    found: dict[str, Field] = {}
    for base in cls.__mro__[:0:-1]:
        found.update(base.__dict__.get(FIELDS, {}))
    kw_only = False
    for name, kind in cls.__annotations__.items():
        if not isinstance(kind, str):
            raise TypeError(f"{cls.__qualname__}.{name}: a record needs `from __future__ import annotations`")
        if kind == "KW_ONLY":
            kw_only = True
        elif not kind.startswith("ClassVar"):
            found[name] = _own(cls, name, kind, kw_only=kw_only)
    optional = False
    for one in found.values():
        if optional and not one.optional and not one.kw_only:
            raise TypeError(f"non-default argument {one.name!r} follows default argument")
        optional = optional or (one.optional and not one.kw_only)
    return found


def known(cls: type) -> Mapping[str, Field]:
    """Return the fields of a class that was made a record.

    Raises:
        TypeError: It was not.
    """
    fields: Mapping[str, Field] | None = getattr(cls, FIELDS, None)
    if fields is None:
        raise TypeError(f"{cls.__qualname__} is no record of trustkit.records")
    return fields


def _own(cls: type, name: str, kind: str, *, kw_only: bool) -> Field:
    given = cls.__dict__.get(name, MISSING)
    one = given if isinstance(given, Field) else Field(given)
    if type(one.default).__hash__ is None:
        raise ValueError(f"mutable default {type(one.default)} for field {name} is not allowed")
    one.name, one.type = name, kind
    one.passing = kind.startswith("InitVar[")
    one.kw_only = one.kw_only or kw_only
    return one
