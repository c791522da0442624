"""Values with named fields: what `dataclasses` makes, without what its loading and its making take.

The law of this file: a record is a dataclass to whoever reads, checks or uses it. The type checker is shown
the standard library's own, and what is made here means the same, or the class is refused when it is read.
Only the work is put off: nothing is compiled for a class of which few records are made, and `dataclasses`,
with `inspect` and all it brings, is loaded for whoever asks `dataclasses` about a record. A short command
makes some thirty classes and few records of each; see ADR 0043.

Known are the options and the arguments of `field` that trustkit uses; annotations must be text, which
``from __future__ import annotations`` makes of them.
"""

from __future__ import annotations

from operator import attrgetter, ge, gt, le, lt
from reprlib import recursive_repr

from trustkit.records.fields import FIELDS, MISSING, Field, fields_of, known

TYPE_CHECKING = False  # what typing calls by this name; loading typing takes longer than reading this file
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeVar

    T = TypeVar("T")
    Method = Callable[..., Any]

__all__ = ["KW_ONLY", "InitVar", "dataclass", "field", "replace"]

FEW = 32
"""So many records of a class are made by a loop; then its ``__init__`` is compiled, which takes as long."""
_TOLD = "__dataclass_fields__"


def _dataclass(
    *, frozen: bool = False, slots: bool = False, eq: bool = True, order: bool = False
) -> Callable[[type[T]], type[T]]:
    def made(cls: type[T]) -> type[T]:
        fields = fields_of(cls)
        kept = {name: one for name, one in fields.items() if not one.passing}
        members = _members(cls, kept, frozen=frozen, slots=slots, eq=eq, order=order)
        members[FIELDS], members[_TOLD] = fields, _Told()
        members["__match_args__"] = tuple(name for name, one in fields.items() if not one.kw_only)
        done = _slotted(cls, fields, kept, members) if slots else _filled(cls, fields, members)
        late = _guards(done, frozenset(kept)) if frozen else {}
        if "__init__" not in cls.__dict__:
            late["__init__"] = _init(done, fields, frozen=frozen)
        for name, method in late.items():
            setattr(done, name, method)
        return done

    return made


def _field(
    *,
    default: object = MISSING,
    default_factory: Callable[[], object] | None = None,
    repr: bool = True,  # noqa: A002 - the name is the standard library's
    kw_only: bool = False,
) -> Field:
    return Field(default, default_factory, shown=repr, kw_only=kw_only)


def _replace(record: T, /, **changes: object) -> T:
    cls = type(record)
    for name, one in known(cls).items():
        if name not in changes and not (one.passing and one.optional):
            if one.passing:
                raise ValueError(f"InitVar {name!r} must be specified with replace()")
            changes[name] = getattr(record, name)
    return cls(**changes)


def _members(
    cls: type, kept: Mapping[str, Field], *, frozen: bool, slots: bool, eq: bool, order: bool
) -> dict[str, object]:
    """Return what a class gets beside ``__init__``; what its own text defines stays as it is."""
    names, values = tuple(kept), _values(tuple(kept))
    members: dict[str, object] = {
        "__repr__": _representation(tuple(name for name, one in kept.items() if one.repr))
    }
    if eq:
        members["__eq__"] = _equality(values)
        members["__hash__"] = (lambda self: hash(values(self))) if frozen else None
    if frozen and slots:
        members.update(__getstate__=lambda self: list(values(self)), __setstate__=_restoration(names))
    wanted = _comparisons(values) if order else {}
    for name in (*wanted, *(("__setattr__", "__delattr__") if frozen else ())):
        if name in cls.__dict__:
            raise TypeError(f"Cannot overwrite attribute {name} in class {cls.__name__}")
    for name in members.keys() & cls.__dict__.keys():
        # Whoever defines __eq__ alone has got a __hash__ of None, which is not his.
        if name != "__hash__" or cls.__dict__[name] is not None or "__eq__" not in cls.__dict__:
            del members[name]
    return members | wanted


def _values(names: tuple[str, ...]) -> Callable[[object], tuple[object, ...]]:
    """Return what reads all fields of a record at once."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda record: tuple([getattr(record, name) for name in names])


def _equality(values: Method) -> Method:
    def __eq__(self: object, other: object) -> bool:  # noqa: N807 - it becomes a method
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return __eq__


def _comparisons(values: Method) -> dict[str, object]:
    def method(compare: Method) -> Method:
        return lambda self, other: (
            compare(values(self), values(other)) if other.__class__ is self.__class__ else NotImplemented
        )

    return {"__lt__": method(lt), "__le__": method(le), "__gt__": method(gt), "__ge__": method(ge)}


def _representation(names: tuple[str, ...]) -> Method:
    @recursive_repr()
    def __repr__(self: object) -> str:  # noqa: N807 - it becomes a method
        shown = ", ".join([f"{name}={getattr(self, name)!r}" for name in names])
        return f"{self.__class__.__qualname__}({shown})"

    return __repr__


def _restoration(names: tuple[str, ...]) -> Method:
    def __setstate__(self: object, state: Iterable[object]) -> None:  # noqa: N807 - it becomes a method
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return __setstate__


def _guards(cls: type, names: frozenset[str]) -> dict[str, Method]:
    def check(self: object, name: str, what: str) -> None:
        if type(self) is cls or name in names:
            from trustkit.records.rarely import frozen_error

            raise frozen_error(f"cannot {what} field {name!r}")

    def __setattr__(self: object, name: str, value: object) -> None:  # noqa: N807 - it becomes a method
        check(self, name, "assign to")
        object.__setattr__(self, name, value)

    def __delattr__(self: object, name: str) -> None:  # noqa: N807 - it becomes a method
        check(self, name, "delete")
        object.__delattr__(self, name)

    return {"__setattr__": __setattr__, "__delattr__": __delattr__}


def _filled(cls: type[T], fields: Mapping[str, Field], members: Mapping[str, object]) -> type[T]:
    """Give a class its members, and its defaults as attributes."""
    for name, one in fields.items():
        if cls.__dict__.get(name) is one and one.default is MISSING:
            delattr(cls, name)
        elif cls.__dict__.get(name) is one:
            setattr(cls, name, one.default)
    for name, member in members.items():
        setattr(cls, name, member)
    return cls


def _slotted(
    cls: type[T], fields: Mapping[str, Field], kept: Iterable[str], members: Mapping[str, object]
) -> type[T]:
    """Make the class anew, with a slot for each field that no record above it has."""
    above = {name for base in cls.__mro__[1:] for name in base.__dict__.get("__slots__", ())}
    left_out = {*fields, "__dict__", "__weakref__"}
    body = {name: value for name, value in cls.__dict__.items() if name not in left_out}
    body.update((one.name, one.default) for one in fields.values() if one.passing and one.optional)
    body.update(members, __slots__=tuple(name for name in kept if name not in above))
    kind: Any = type(cls)
    done: type[T] = kind(cls.__name__, cls.__bases__, body)
    done.__qualname__ = cls.__qualname__
    return done


def _init(cls: type, fields: Mapping[str, Field], *, frozen: bool) -> Method:
    """Return an ``__init__`` that makes the first records, and then puts a compiled one in its place."""
    made = 0
    put: Method = object.__setattr__ if frozen else setattr

    def __init__(self: object, /, *values: object, **named: object) -> None:  # noqa: N807 - it becomes a method
        nonlocal made
        made += 1
        given = _given(fields, values, named) if made <= FEW else None
        if given is None:
            from trustkit.records.rarely import compiled_init

            init = compiled_init(cls, fields, frozen=frozen)
            setattr(cls, "__init__", init)  # noqa: B010 - to the type checker nobody assigns to a method
            init(self, *values, **named)
            return
        for name, one in fields.items():
            if not one.passing:
                put(self, name, given[name])
        begin: Method | None = getattr(self, "__post_init__", None)
        if begin is not None:
            begin(*[given[name] for name, one in fields.items() if one.passing])

    return __init__


def _given(
    fields: Mapping[str, Field], values: tuple[object, ...], named: Mapping[str, object]
) -> dict[str, object] | None:
    """Return the value of every field, or None where the arguments do not fit."""
    places = [name for name, one in fields.items() if not one.kw_only]
    given = dict(zip(places, values, strict=False))
    if len(values) > len(places) or given.keys() & named.keys():
        return None
    given.update(named)
    for name, one in fields.items():
        if name not in given:
            if not one.optional:
                return None
            given[name] = one.fresh()
    return given if len(given) == len(fields) else None


class _Told:
    """``__dataclass_fields__`` of a record, made when somebody asks."""

    __slots__ = ()

    def __get__(self, _: object, owner: type) -> object:
        from trustkit.records.rarely import dataclass_fields

        told = dataclass_fields(owner, known(owner))
        setattr(owner, _TOLD, told)
        return told


if TYPE_CHECKING:
    from dataclasses import KW_ONLY, InitVar, dataclass, field, replace
else:
    dataclass, field, replace = _dataclass, _field, _replace

    class InitVar:
        """Marks, in an annotation, what ``__init__`` hands to ``__post_init__``."""

        def __class_getitem__(cls, kind: object) -> object:
            return kind

    class KW_ONLY:  # noqa: N801 - the name is the standard library's
        """Marks, as an annotation, that the fields after it are given by name."""
