"""What is known of a place in an object by the names of the members above it.

The law of this file: names in, answers out. What is remembered is remembered for one
walk alone, so that no object decides what another one means.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trustkit.workloads.roles import NONE, Holds, Role
from trustkit.workloads.table import Table
from trustkit.workloads.values import How

FAR, NEAR = 3, 2
"""How many members below a hint it still counts; at the first of them it is fresh."""
RUNS = frozenset(("resources", "lifecycle", "startupProbe", "livenessProbe", "readinessProbe"))
"""Members of what runs, one of which is enough to be a container."""
_RUNS_OR_IMAGE = RUNS | {"image"}
_WHERE: dict[str, How] = {"annotations": "annotation", "labels": "annotation", "volumes": "volume"}
_OF_PODS = frozenset(("containers", "volumes"))
"""What the lists of a pod are of."""
_HOOK = "exec"
"""Holds a command that the kubelet runs in a container, which is not one of its own."""


@dataclass(slots=True)
class Name:
    """What the name of a member says at some kind of place.

    Attributes:
        role: By the table.
        holds: What a text of this name is here.
        address: Whether the name itself holds an address.
        ignored: Whether no workload reads what it holds.
        shapes: Whether what holds it may be a pod or a container because of it.
        speaks: Whether it, or a text below it, may name a model.
    """

    role: Role
    holds: Holds
    address: bool
    ignored: bool
    shapes: bool
    speaks: bool = field(init=False)

    def __post_init__(self) -> None:
        self.speaks = self.address or bool(self.holds)


@dataclass(slots=True, eq=False)  # compared by identity: there is one for each kind of place
class Around:
    """What is known of the place where the walk is; for one walk with one table, since it remembers.

    Attributes:
        how: By which means texts reach the workload from here.
        hint: For how many members more a hint above counts.
        quiet: Whether nothing is read by the workload as its model.
        role: Of the member that holds what is walked; of a list's member for its entries.
        held: Whether what is walked is no container of its own: an entry of a pod's list, or a hook.
        dull: Names of members that say nothing here, as far as they were met: most objects repeat themselves.
        names: What other names say here.
        blank: Names of members below which nothing is known.
        below: What is known one member further down, by its name.
    """

    how: How = "field"
    hint: int = 0
    quiet: bool = False
    role: Role = NONE
    held: bool = False
    dull: set[str] = field(default_factory=set)
    names: dict[str, Name] = field(default_factory=dict)
    blank: set[str] = field(default_factory=set)
    below: dict[str, Around] = field(default_factory=dict)

    def name(self, key: str, table: Table) -> Name:
        """Find out what the name of a member says here."""
        role = table.members.role(key)
        named = self.how in {"field", "annotation"} and not self.quiet
        holds: Holds = role.holds if named else ""
        if self.how == "annotation" and key not in table.members.annotations:
            holds = ""
        if holds == "line" and self.held:
            holds = ""  # a container's words are a list
        ignored = self.how == "annotation" and key in table.ignored_annotations
        shapes = role.lists in _OF_PODS or not (self.held or (not role.lists and key not in _RUNS_OR_IMAGE))
        found = Name(role, holds, ":/" in key, ignored, shapes)
        if found.speaks or ignored or shapes:
            self.names[key] = found
        else:
            self.dull.add(key)
        return found

    def under(self, key: str, table: Table, nowhere: Around) -> Around:
        """Find out what is known one member further down; *nowhere* where nothing is any more."""
        role, how = table.members.role(key), _WHERE.get(key, self.how)
        if role is NONE and key != _HOOK and how == "field" and self.hint <= 1 and not self.quiet:
            self.blank.add(key)  # a set, because an object that holds itself outlives its walk
            return nowhere
        hint = FAR if role.hint else max(0, self.hint - 1)
        held = role.lists == "containers" or key == _HOOK
        found = self.below[key] = Around(how, hint, self.quiet or role.quiet, role, held)
        return found
