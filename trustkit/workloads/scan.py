"""The one walk over an object: where pods and containers lie, which members and texts may name a model.

    1. What holds a list of containers, or of volumes of kinds that we know, is a pod, wherever it lies.
    2. What holds words of a command line, variables, resources, hooks or the image of a model, and is no
       entry of such a list, is a container of its own.
    3. A text is noted if its member's name says that it may name a model, or if it holds an address.

The law of this file: it knows no kind, so that a kind nobody listed is read like any
other; it notes what lies where, and judges nothing. Pure, and linear: every member
is looked at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from trustkit.errors import LimitError
from trustkit.strictjson import Object, Value
from trustkit.workloads.around import NEAR, RUNS, Around, Name
from trustkit.workloads.places import Place
from trustkit.workloads.roles import Holds
from trustkit.workloads.table import Table
from trustkit.workloads.values import MAX_DEPTH, How

T = TypeVar("T")

_OFTEN = 256
"""Members and entries between two looks at the clock."""
_PAIR = 2
"""Members of an ordinary variable: its name and its value."""


class Member(NamedTuple):
    """A text whose member's name says that it may name a model."""

    above: Place
    key: str | int
    text: str
    holds: Holds
    near: bool
    """Whether the hint that makes it one is one or two members above."""
    owner: Object
    """The object that holds it."""


class Text(NamedTuple):
    """A text that holds an address; see `Around` for ``how`` and ``quiet``."""

    above: Place
    key: str | int
    text: str
    how: How
    quiet: bool


@dataclass(slots=True)
class Scan:
    """Walks objects and keeps what it found.

    Attributes:
        table: What members are called.
        check: Asked again and again; raises once the time is over.
        pods: What holds containers or volumes.
        alone: Containers of their own, with the names of their words and of their variables.
        members: Texts that may name a model by their member's name.
        texts: Texts that hold an address.
    """

    table: Table
    check: Callable[[], None]
    pods: list[tuple[Place, Object]] = field(default_factory=list)
    alone: list[tuple[Place, Object, tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    _nowhere: Around = field(default_factory=Around)
    _left: int = _OFTEN

    def walk(self, value: Value, place: Place, around: Around, depth: int = 0) -> None:
        """Look at every text and name below a place.

        Raises:
            LimitError: ``too-deep``; and whatever `check` raises.
        """
        if isinstance(value, list):
            self._list(value, place, around, depth)
        elif isinstance(value, dict):
            self._object(value, place, around, depth)

    def _enter(self, size: int, depth: int) -> None:
        """Count what is entered; look at the clock now and then."""
        if depth > MAX_DEPTH:
            raise LimitError("too-deep", f"the object nests deeper than {MAX_DEPTH} levels", limit=MAX_DEPTH)
        self._left -= size + 1
        if self._left < 0:
            self._left = _OFTEN
            self.check()

    def _often(self, items: Iterable[T]) -> Iterator[T]:
        for number, item in enumerate(items):
            if number % _OFTEN == 0:
                self.check()
            yield item

    def _list(self, value: list[Value], place: Place, around: Around, depth: int) -> None:
        self._enter(len(value), depth)
        if around.role.lists == "environment":
            self._environment(value, place, around, depth)
            return
        holds = around.role.holds if around.how == "field" and not around.quiet else ""
        named = holds in {"reference", "flag", "word"} and not around.role.lists
        for number, item in enumerate(self._often(value) if len(value) > _OFTEN else value):
            if isinstance(item, str):
                if ":/" in item:
                    self.texts.append(Text(place, number, item, around.how, around.quiet))
                if named:
                    self.members.append(Member(place, number, item, holds, near=True, owner={}))
            elif isinstance(item, dict):
                self._object(item, (place, number), around, depth + 1)
            elif isinstance(item, list):
                self._list(item, (place, number), around, depth + 1)

    def _environment(self, value: list[Value], place: Place, around: Around, depth: int) -> None:
        """Most of most objects are variables, whose names are no members: a shorter way through them."""
        for number, entry in enumerate(self._often(value) if len(value) > _OFTEN else value):
            if isinstance(entry, dict):
                text = entry.get("value")
                if isinstance(text, str) and len(entry) == _PAIR and ":/" not in text:
                    name = entry.get("name")
                    if isinstance(name, str) and ":/" not in name:
                        continue
                self._variable(entry, (place, number), around, depth)
            elif isinstance(entry, str):
                if ":/" in entry:
                    self.texts.append(Text(place, number, entry, around.how, around.quiet))
            elif isinstance(entry, list):
                self._list(entry, (place, number), self._nowhere, depth + 1)

    def _variable(self, entry: Object, place: Place, around: Around, depth: int) -> None:
        self._enter(len(entry), depth)
        for key, item in self._often(entry.items()) if len(entry) > _OFTEN else entry.items():
            if ":/" in key:
                self.texts.append(Text(place, key, key, around.how, around.quiet))
            if isinstance(item, str):
                if ":/" in item:
                    self.texts.append(Text(place, key, item, around.how, around.quiet))
            elif item:
                self.walk(item, (place, key), around, depth + 2)

    def _object(self, value: Object, place: Place, around: Around, depth: int) -> None:
        self._enter(len(value), depth)
        names = around.names
        shaped = False
        for key, item in self._often(value.items()) if len(value) > _OFTEN else value.items():
            name = names.get(key) or around.name(key, self.table)
            if name.dull and isinstance(item, str):
                if ":/" in item:
                    self.texts.append(Text(place, key, item, around.how, around.quiet))
                continue
            shaped = shaped or name.shapes
            if name.address:
                self.texts.append(Text(place, key, key, around.how, around.quiet))
            if isinstance(item, str):
                self._text(key, name, value, (place, around))
            elif item and not name.ignored:
                known = around.below.get(key)
                below = self._nowhere if name.nowhere else known or around.under(key, name.role)
                if isinstance(item, dict):
                    self._object(item, (place, key), below, depth + 1)
                elif isinstance(item, list):
                    self._list(item, (place, key), below, depth + 1)
        if shaped:
            self._shape(value, place, around)

    def _shape(self, value: Object, place: Place, around: Around) -> None:
        """Say whether an object is a pod, or a container of its own, by the lists it holds."""
        lists = [
            (key, name.role)
            for key, item in value.items()
            if item and isinstance(item, list)
            for name in (around.names.get(key) or around.name(key, self.table),)
            if name.role.lists and not name.ignored
        ]
        if not lists and around.held:
            return
        words: list[str] = []
        environment: list[str] = []
        pod = False
        for key, role in lists:
            items = value[key]
            first = items[0] if isinstance(items, list) else None
            if role.lists in {"containers", "volumes"}:
                pod = pod or _is_of_a_pod(items, role.lists, self.table)
            elif role.lists == "words" and isinstance(first, str):
                words.append(key)
            elif role.lists == "environment" and isinstance(first, dict):
                environment.append(key)
        if pod:
            self.pods.append((place, value))
        runs = not pod and _is_container(value, self.table)
        if (words or environment or runs) and not around.held:
            self.alone.append((place, value, tuple(words), tuple(environment)))

    def _text(self, key: str, name: Name, owner: Object, here: tuple[Place, Around]) -> None:
        place, around = here
        text, holds = str(owner[key]), name.holds
        if name.ignored:
            return
        if ":/" in text:
            self.texts.append(Text(place, key, text, around.how, around.quiet))
        if not holds:
            return
        if around.how == "annotation" and key not in self.table.members.annotations:
            return
        if holds == "value":
            if around.role.lists != "environment":
                self._pair(text, owner, place)
            return
        if holds == "place" and key == "repository" and self.table.is_model_image(text):
            holds = "reference"
        far = (holds == "path" and around.hint < NEAR and not around.role.storage) or (
            holds == "place" and not around.hint
        )
        if not far:
            self.members.append(Member(place, key, text, holds, near=around.hint >= NEAR, owner=owner))

    def _pair(self, text: str, owner: Object, place: Place) -> None:
        """``{name: pretrained_model, value: org/name}``: a parameter of some kind's own."""
        name = owner.get("name")
        holds = self.table.members.role(name).holds if isinstance(name, str) else ""
        if holds in {"reference", "flag", "word", "variable"}:
            self.members.append(Member(place, "value", text, holds, near=False, owner=owner))


def _is_container(value: Object, table: Table) -> bool:
    """Say whether an object is a container without words and variables, as that of a KServe model may be."""
    image = value.get("image")
    runs = any(isinstance(value.get(name), dict) for name in RUNS)
    return runs or (isinstance(image, str) and table.is_model_image(image))


def _is_of_a_pod(items: Value, lists: str, table: Table) -> bool:
    """Say whether a list is one of containers, or of volumes of a kind that we know."""
    objects = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    if lists == "containers":
        return bool(objects)
    return any(not table.volume_kinds.isdisjoint(item) for item in objects)
