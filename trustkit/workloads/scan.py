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
from trustkit.workloads.pairs import PAIR, Lists
from trustkit.workloads.places import Place
from trustkit.workloads.roles import Holds
from trustkit.workloads.table import Table
from trustkit.workloads.values import MAX_DEPTH, How

T = TypeVar("T")

_OFTEN = 256
"""Members and entries between two looks at the clock."""


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
        lists: The lists of variables of the object.
        pods: What holds containers or volumes.
        alone: Containers of their own, with the names of their words and of their variables.
        members: Texts that may name a model by their member's name.
        texts: Texts that hold an address.
    """

    table: Table
    check: Callable[[], None]
    lists: Lists
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

    def _pause(self, depth: int) -> None:
        """Look at the clock, and at the depth."""
        if depth > MAX_DEPTH:
            raise LimitError("too-deep", f"the object nests deeper than {MAX_DEPTH} levels", limit=MAX_DEPTH)
        self._left = _OFTEN
        self.check()

    def _often(self, items: Iterable[T]) -> Iterator[T]:
        for number, item in enumerate(items):
            if number % _OFTEN == 0:
                self.check()
            yield item

    def _list(self, value: list[Value], place: Place, around: Around, depth: int) -> None:
        self._left -= len(value) + 1
        if self._left < 0 or depth > MAX_DEPTH:
            self._pause(depth)
        if around.role.lists == "environment":
            self._environment(value, place, around, depth)
            return
        holds = around.role.holds if around.how == "field" and not around.quiet else ""
        named = holds in {"reference", "flag", "word"} and not around.role.lists
        for number, item in enumerate(self._often(value) if len(value) > _OFTEN else value):
            if isinstance(item, str):
                if ":/" in item:
                    self._text(place, number, item, around)
                if named:
                    self.members.append(Member(place, number, item, holds, near=True, owner={}))
            elif isinstance(item, dict):
                self._object(item, (place, number), around, depth + 1)
            elif isinstance(item, list):
                self._list(item, (place, number), around, depth + 1)

    def _environment(self, value: list[Value], place: Place, around: Around, depth: int) -> None:
        """Most of most objects are variables, whose names are no members: a shorter way through them."""
        pairs = self.lists.pairs_of(value)
        if pairs is not None and ":/" not in pairs.text:
            return
        for number, entry in enumerate(self._often(value) if len(value) > _OFTEN else value):
            if isinstance(entry, dict):
                text = entry.get("value")
                if isinstance(text, str) and len(entry) == PAIR and ":/" not in text:
                    name = entry.get("name")
                    if isinstance(name, str) and ":/" not in name:
                        continue
                self._variable(entry, (place, number), around, depth)
            elif isinstance(entry, str):
                if ":/" in entry:
                    self._text(place, number, entry, around)
            elif isinstance(entry, list):
                self._list(entry, (place, number), self._nowhere, depth + 1)

    def _variable(self, entry: Object, place: Place, around: Around, depth: int) -> None:
        self._left -= len(entry) + 1
        if self._left < 0 or depth > MAX_DEPTH:
            self._pause(depth)
        for key, item in self._often(entry.items()) if len(entry) > _OFTEN else entry.items():
            if ":/" in key:
                self._text(place, key, key, around)
            if isinstance(item, str):
                if ":/" in item:
                    self._text(place, key, item, around)
            elif item:
                self.walk(item, (place, key), around, depth + 2)

    def _object(self, value: Object, place: Place, around: Around, depth: int) -> None:  # noqa: C901 - hot
        """Nearly all of the time is spent here: what this loop called would be called for every member."""
        self._left -= len(value) + 1
        if self._left < 0 or depth > MAX_DEPTH:
            self._pause(depth)
        dull, blank, known, nowhere = around.dull, around.blank, around.below, self._nowhere
        shaped = False
        for key, item in self._often(value.items()) if len(value) > _OFTEN else value.items():
            if key not in dull:
                name = around.names.get(key) or around.name(key, self.table)
                shaped = shaped or name.shapes
                if name.speaks:
                    self._said(key, name, value, (place, around))
                if name.ignored:
                    continue
            if isinstance(item, str):
                if ":/" in item:
                    self._text(place, key, item, around)
            elif item and isinstance(item, dict):
                below = nowhere if key in blank else known.get(key) or around.under(key, self.table, nowhere)
                self._object(item, (place, key), below, depth + 1)
            elif item and isinstance(item, list):
                below = nowhere if key in blank else known.get(key) or around.under(key, self.table, nowhere)
                self._list(item, (place, key), below, depth + 1)
        if shaped:
            self._shape(value, place, around)

    def _text(self, place: Place, key: str | int, text: str, around: Around) -> None:
        if self.table.may_be_anywhere(text):
            self.texts.append(Text(place, key, text, around.how, around.quiet))

    def _shape(self, value: Object, place: Place, around: Around) -> None:
        """Say whether an object is a pod, or a container of its own, by the lists it holds."""
        words: list[str] = []
        environment: list[str] = []
        pod = False
        for key, items in value.items():
            name = around.names.get(key) if items and isinstance(items, list) else None
            if name is None or name.ignored or not isinstance(items, list):
                continue
            if name.role.lists in {"containers", "volumes"}:
                pod = pod or _is_of_a_pod(items, name.role.lists, self.table)
            elif name.role.lists == "words" and isinstance(items[0], str):
                words.append(key)
            elif name.role.lists == "environment" and isinstance(items[0], dict):
                environment.append(key)
        if pod:
            self.pods.append((place, value))
        if around.held:
            return
        if words or environment or (not pod and _is_container(value, self.table)):
            self.alone.append((place, value, tuple(words), tuple(environment)))

    def _said(self, key: str, name: Name, owner: Object, here: tuple[Place, Around]) -> None:
        """Keep the name of a member that holds an address, and a text that may name a model by its name."""
        place, around = here
        if name.address:
            self._text(place, key, key, around)
        text, holds = owner[key], name.holds
        if name.ignored or not holds or not isinstance(text, str):
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
            near = around.hint >= NEAR
            self.members.append(Member(place, key, text, holds, near, owner))

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
