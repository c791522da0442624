"""The one walk over an object: where pods and containers lie, which members and texts may name a model.

    1. What holds a list of containers, or of volumes of kinds that we know, is a pod, wherever it lies.
    2. What holds words of a command line, variables or resources, and is no entry of such a list, is a
       container of its own.
    3. A text is noted if its member's name says that it may name a model, or if it holds an address.

The law of this file: it knows no kind, so that a kind nobody listed is read like any
other; it notes what lies where, and judges nothing. Pure, and linear: every member
is looked at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from trustkit.errors import LimitError
from trustkit.strictjson import Object, Value
from trustkit.workloads.places import Place
from trustkit.workloads.roles import NONE, Holds, Role
from trustkit.workloads.table import Table
from trustkit.workloads.values import MAX_DEPTH, How

_OFTEN = 256
"""Members of one list or object between two looks at the clock."""
FAR, NEAR = 3, 2
"""How many members below a hint it still counts; at the first of them it is fresh."""
_WHERE: dict[str, How] = {"annotations": "annotation", "labels": "annotation", "volumes": "volume"}


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: there is one for each case
class Around:
    """What is known of the place where the walk is.

    Attributes:
        how: By which means texts reach the workload from here.
        hint: For how many members more a hint above counts.
        quiet: Whether nothing is read by the workload as its model.
        role: Of the member that holds what is walked; of a list's member for its entries.
        held: Whether what is walked is no container of its own: an entry of a pod's list, or a hook.
    """

    how: How = "field"
    hint: int = 0
    quiet: bool = False
    role: Role = NONE
    held: bool = False


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
    _known: dict[tuple[str, Around], Around] = field(default_factory=dict)

    def walk(self, value: Value, place: Place, around: Around, depth: int = 0) -> None:
        """Look at every text and name below a place.

        Raises:
            LimitError: ``too-deep``; and whatever `check` raises.
        """
        if depth > MAX_DEPTH:
            raise LimitError("too-deep", f"the object nests deeper than {MAX_DEPTH} levels", limit=MAX_DEPTH)
        self.check()
        if isinstance(value, list):
            self._list(value, place, around, depth)
        elif isinstance(value, dict):
            self._object(value, place, around, depth)

    def _list(self, value: list[Value], place: Place, around: Around, depth: int) -> None:
        if around.role.lists == "environment":
            self._environment(value, place, around, depth)
            return
        holds = around.role.holds if around.how == "field" and not around.quiet else ""
        for number, item in enumerate(value):
            if number % _OFTEN == _OFTEN - 1:
                self.check()
            if isinstance(item, str):
                if ":/" in item:
                    self.texts.append(Text(place, number, item, around.how, around.quiet))
                if holds in {"reference", "flag", "word"} and not around.role.lists:
                    self.members.append(Member(place, number, item, holds, near=True, owner={}))
            elif isinstance(item, list | dict):
                self.walk(item, (place, number), around, depth + 1)

    def _environment(self, value: list[Value], place: Place, around: Around, depth: int) -> None:
        """Most of most objects are variables, whose names are no members: a shorter way through them."""
        for number, entry in enumerate(value):
            if number % _OFTEN == _OFTEN - 1:
                self.check()
            if isinstance(entry, dict):
                self._variable(entry, (place, number), around, depth)
            elif isinstance(entry, str) and ":/" in entry:
                self.texts.append(Text(place, number, entry, around.how, around.quiet))
            elif isinstance(entry, list):
                self.walk(entry, (place, number), _NOWHERE, depth + 1)

    def _variable(self, entry: Object, place: Place, around: Around, depth: int) -> None:
        for key, item in entry.items():
            if ":/" in key:
                self.texts.append(Text(place, key, key, around.how, around.quiet))
            if isinstance(item, str):
                if ":/" in item:
                    self.texts.append(Text(place, key, item, around.how, around.quiet))
            elif item and isinstance(item, list | dict):
                self.walk(item, (place, key), around, depth + 2)

    def _object(self, value: Object, place: Place, around: Around, depth: int) -> None:
        role_of = self.table.members.role
        named = around.how in {"field", "annotation"} and not around.quiet
        lists: list[tuple[str, Role]] = []
        for number, (key, item) in enumerate(value.items()):
            if number % _OFTEN == _OFTEN - 1:
                self.check()
            if ":/" in key:
                self.texts.append(Text(place, key, key, around.how, around.quiet))
            if around.how == "annotation" and key in self.table.ignored_annotations:
                continue
            if isinstance(item, str):
                role = role_of(key) if named else NONE
                if ":/" in item or role.holds:
                    self._text(key, role.holds, value, (place, around))
            elif item and isinstance(item, list | dict):
                role = role_of(key)
                if role.lists and isinstance(item, list):
                    lists.append((key, role))
                self.walk(item, (place, key), self._under(key, role, around), depth + 1)
        if lists or ("resources" in value and not around.held):
            self._shape(value, place, lists, around)

    def _under(self, key: str, role: Role, around: Around) -> Around:
        """What is known one member further down; remembered, because most objects repeat themselves."""
        below = self._known.get((key, around))
        if below is None:
            below = self._known[key, around] = _below(key, role, around)
        return below

    def _shape(self, value: Object, place: Place, lists: list[tuple[str, Role]], around: Around) -> None:
        """Say whether an object is a pod, or a container of its own, by the lists it holds."""
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
        asks = not pod and isinstance(value.get("resources"), dict)
        if (words or environment or asks) and not around.held:
            self.alone.append((place, value, tuple(words), tuple(environment)))

    def _text(self, key: str, holds: Holds, owner: Object, here: tuple[Place, Around]) -> None:
        place, around = here
        text = str(owner[key])
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


def _below(key: str, role: Role, around: Around) -> Around:
    """What is known one member further down."""
    how = _WHERE.get(key, around.how)
    hint = FAR if role.hint else max(0, around.hint - 1)
    held = role.lists == "containers" or key == "exec"
    quiet = around.quiet or role.quiet
    if (how, hint, held, quiet) == ("field", 0, False, False) and role is NONE:
        return _NOWHERE
    return Around(how, hint, quiet, role, held)


_NOWHERE = Around()


def _is_of_a_pod(items: Value, lists: str, table: Table) -> bool:
    """Say whether a list is one of containers, or of volumes of a kind that we know."""
    objects = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    if lists == "containers":
        return bool(objects)
    return any(not table.volume_kinds.isdisjoint(item) for item in objects)
