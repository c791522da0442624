"""Members of custom resources that name models, and the places that the rows of a kind add to them.

What a member's name says is data (`roles`); here is what becomes of the text: the
same grammar reads it that reads flags and variables, and a text that could be a name
of anything is only *possible*.
"""

from __future__ import annotations

import re

from trustkit.strictjson import Object
from trustkit.workloads import embedded
from trustkit.workloads.artifacts import read_artifacts
from trustkit.workloads.grammar import Named, cleaned, ends_like_weights, is_pinned, is_service, named
from trustkit.workloads.kinds import Kind, selected
from trustkit.workloads.notes import Notes
from trustkit.workloads.places import spelled
from trustkit.workloads.roles import normal
from trustkit.workloads.scan import Member
from trustkit.workloads.values import MAX_SHOWN, Confidence, How

_REMOTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}:(?!//)[^\s:]{1,1024}")
"""``gs:bucket/key``: storage under a name that a program's own configuration gives it."""
_NAMES_ONE = {"modelid": frozenset(("modelsource", "modeluri", "modelurl", "storageuri"))}
_FEW = 64
"""Most members of an object that are compared with one of them."""


def read_members(untrusted: Object, members: list[Member], kind: Kind, notes: Notes) -> None:
    """Note the members that the walk found, but for those that are names of other things to this kind."""
    names = {spelled(place) for place, _ in selected(untrusted, kind.names)}
    known: dict[str, Named | None] = {}
    for member in members:
        if member.holds == "line" or not member.text.strip() or (names and _path(member) in names):
            continue
        if member.holds == "reference":
            _read_reference(member, kind, notes, known)
        elif member.holds == "path" and _is_key(member):
            key = Named(member.text[:MAX_SHOWN], "storage", is_pinned(member.text, "storage"), "path")
            _add(member, key, "certain" if kind.serves else "likely", notes)
        else:
            _read_likely(member, kind, notes)


def _is_key(member: Member) -> bool:
    """Say whether a path is a key in a bucket that a secret or a parameter names."""
    return not isinstance(member.above, str) and member.above[1] == "storage" and ":" not in member.text


def _read_reference(member: Member, kind: Kind, notes: Notes, known: dict[str, Named | None]) -> None:
    """A member that surely names one; *known* is what texts before it named."""
    text = cleaned(member.text)
    if text.startswith(("{", "[")):
        embedded.read(text, _path(member), notes, how="field", reason=f"JSON in the member {_name(member)}")
        return
    if text in known:
        found = known[text]
    else:
        found = known[text] = reference(text, kind, notes)
    if found is not None:
        _add(member, found, "certain", notes)


def reference(text: str, kind: Kind, notes: Notes) -> Named | None:
    """Read a text that surely names a model, whatever it looks like."""
    remote = kind.scheme is None and "://" not in text and _REMOTE.fullmatch(text) is not None
    if remote and notes.table.scheme_of(text) is None:
        return Named(text[:MAX_SHOWN], "rclone", is_pinned(text, "rclone"), "scheme")
    return named(text, notes.table, scheme=kind.scheme, strict=True)


def _read_likely(member: Member, kind: Kind, notes: Notes) -> None:
    """A member that is called like a model's: one if it looks like a reference."""
    text = cleaned(member.text)
    found = named(text, notes.table)
    if found is None or is_service(text, notes.table) or _is_a_name_of(member):
        return
    if found.strength == "name":
        if member.holds in {"flag", "variable"} and (kind.serves or member.key == "value"):
            _add(member, found, "likely" if member.key == "value" else "possible", notes)
        return
    if found.strength == "path" and found.scheme == "unknown":
        return
    if member.holds in {"place", "path"} and not (
        found.strength == "scheme" or member.near or ends_like_weights(text, notes.table)
    ):
        return
    _add(member, found, "certain" if found.strength == "scheme" else "likely", notes)


def _is_a_name_of(member: Member) -> bool:
    """Say whether a member beside it names the same model in another way, so that this is only its name."""
    wanted = _NAMES_ONE.get(normal(str(member.key)))
    if wanted is None or "/" in member.text or len(member.owner) > _FEW:
        return False
    return not wanted.isdisjoint(map(normal, member.owner))


def read_places(untrusted: Object, kind: Kind, notes: Notes) -> None:
    """Note what the row of a kind says of places whose name alone does not say it."""
    for place, text in selected(untrusted, kind.models):
        found = reference(cleaned(text), kind, notes)
        if found is not None:
            why = "a place of this kind that names a model"
            notes.add(spelled(place), found, how="field", confidence="certain", reason=why)
    for place, text in selected(untrusted, kind.objects):
        why = "another object, which carries the model"
        found = Named(text[:MAX_SHOWN], "object", pinned=False, strength="name")
        notes.add(spelled(place), found, how="field", confidence="possible", reason=why)
    for place, text in selected(untrusted, kind.carriers):
        why = "a volume that can carry weights and does not say which"
        found = Named(text[:MAX_SHOWN], "pvc", pinned=False, strength="path")
        notes.add(spelled(place), found, how="volume", confidence="likely", reason=why)
    for place, text in selected(untrusted, kind.options):
        notes.unresolved(spelled(place), text, "an object that holds options of a server, and not seen here")
    for place, text in selected(untrusted, kind.bases):
        notes.unresolved(spelled(place), text, "an object that is merged into this one, and not seen here")
    read_artifacts(untrusted, kind, notes)


def _name(member: Member) -> str:
    return str(member.key)[:64]


def _path(member: Member) -> str:
    return spelled((member.above, member.key))


def _add(member: Member, found: Named, confidence: Confidence, notes: Notes) -> None:
    why = f"value of the member {_name(member)}"
    annotation = member.key in notes.table.members.annotations
    how: How = "annotation" if annotation else "field"
    notes.add(_path(member), found, how=how, confidence=confidence, reason=why)
