"""What is known of a place in an object by the names of the members above it.

The law of this file: names in, answers out. What is remembered is remembered for one
walk alone, so that no object decides what another one means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from trustkit.workloads.roles import NONE, Holds, Role
from trustkit.workloads.table import Table
from trustkit.workloads.values import How

FAR, NEAR = 3, 2
"""How many members below a hint it still counts; at the first of them it is fresh."""
RUNS = frozenset(("resources", "lifecycle", "startupProbe", "livenessProbe", "readinessProbe"))
"""Members of what runs, one of which is enough to be a container."""
_RUNS_OR_IMAGE = RUNS | {"image"}
_WHERE: dict[str, How] = {"annotations": "annotation", "labels": "annotation", "volumes": "volume"}
_HOOK = "exec"
"""Holds a command that the kubelet runs in a container, which is not one of its own."""


class Name(NamedTuple):
    """What the name of a member says at some kind of place.

    Attributes:
        dull: Whether it says nothing of a text.
        role: By the table.
        holds: What a text of this name is here.
        address: Whether the name itself holds an address.
        ignored: Whether no workload reads what it holds.
        shapes: Whether what holds it may be a pod or a container because of it.
        nowhere: Whether nothing is known any more below it.
    """

    dull: bool
    role: Role
    holds: Holds
    address: bool
    ignored: bool
    shapes: bool
    nowhere: bool


_DULL = {
    nowhere: Name(dull=True, role=NONE, holds="", address=False, ignored=False, shapes=False, nowhere=nowhere)
    for nowhere in (True, False)
}


@dataclass(slots=True, eq=False)  # compared by identity: there is one for each kind of place
class Around:
    """What is known of the place where the walk is; for one walk with one table, since it remembers.

    Attributes:
        how: By which means texts reach the workload from here.
        hint: For how many members more a hint above counts.
        quiet: Whether nothing is read by the workload as its model.
        role: Of the member that holds what is walked; of a list's member for its entries.
        held: Whether what is walked is no container of its own: an entry of a pod's list, or a hook.
        names: What names of members say here, as far as they were met: most objects repeat themselves.
        below: What is known one member further down, by its name.
    """

    how: How = "field"
    hint: int = 0
    quiet: bool = False
    role: Role = NONE
    held: bool = False
    names: dict[str, Name] = field(default_factory=dict)
    below: dict[str, Around] = field(default_factory=dict)

    def name(self, key: str, table: Table) -> Name:
        """Find out what the name of a member says here."""
        role = table.members.role(key)
        named = self.how in {"field", "annotation"} and not self.quiet
        holds: Holds = role.holds if named else ""
        ignored = self.how == "annotation" and key in table.ignored_annotations
        address, shapes = ":/" in key, bool(role.lists) or key in _RUNS_OR_IMAGE
        dull = not (holds or address or ignored or key in _RUNS_OR_IMAGE)
        plain = role is NONE and key != _HOOK and _WHERE.get(key, self.how) == "field"
        nowhere = plain and self.hint <= 1 and not self.quiet
        found = Name(dull, role, holds, address, ignored, shapes, nowhere)
        if dull and role is NONE:
            found = _DULL[nowhere]
        self.names[key] = found
        return found

    def under(self, key: str, role: Role) -> Around:
        """Find out what is known one member further down."""
        how = _WHERE.get(key, self.how)
        hint = FAR if role.hint else max(0, self.hint - 1)
        held = role.lists == "containers" or key == _HOOK
        found = Around(how, hint, self.quiet or role.quiet, role, held)
        self.below[key] = found
        return found
