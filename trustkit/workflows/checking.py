"""The story of checking manifests: every model that they name, and whether it may stay as it is.

The law of this file: nothing is fetched and nothing guessed. What is named by
something that can be moved, or in a way that cannot be read, is refused, unless
the lockfile or the caller says otherwise.

    1. Every object of every file is read; objects that others are based on are known by then.
    2. The extractor that the webhook asks lists the models, and the places that it cannot read.
    3. Without a lockfile a reference must be pinned. With one it must be in it; where the reference
       carries a manifest digest itself, the two must be the same.
    4. What only may be a model is told, as the webhook does, and refused by nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from trustkit.strictjson import Object
from trustkit.workloads.basefile import Bases
from trustkit.workloads.extract import KIND_PLACE, references
from trustkit.workloads.lock import Lock
from trustkit.workloads.manifests import Subject
from trustkit.workloads.table import Table, default_table
from trustkit.workloads.values import ModelReference, Unresolved

State = Literal["pinned", "locked", "mutable", "unresolved", "possible", "forbidden"]
REMEDIES = {
    "not-pinned": "append @sha256: and the manifest digest to a trust:// reference; lock any other (--lock)",
    "not-locked": "add the reference and its manifest digest to the lockfile",
    "lock-mismatch": "find out which of the two digests is meant, and correct the other",
    "unread-object": "give it the apiVersion and the kind of what it is; a patch is checked in what a "
    "renderer makes of it, so leave it out (--exclude)",
    "unknown-kind": "if it holds no model, say so in a file for --table, under bystanders: [GROUP/KIND]; if "
    "it holds one, give it a row under kinds",
    "unresolved-model": "name the model in the object itself, by a pinned reference",
    "unresolved-gpu": "name the model that the accelerator is for, by a pinned reference",
    "reserved-annotation": "remove the annotation; only trustkit may write it",
}
"""What to do about each code of a finding."""
_PIN = "@sha256:"
_VALUE = ".value"


class Finding(NamedTuple):
    """What is said of one place of one object. All texts but code and state are untrusted.

    Attributes:
        subject: The object, its file and document.
        line: The line of the file, from 1.
        path: Where it stands in the document.
        reference: What stands there.
        state: What it is.
        code: Why it is refused, or would be; empty where all is well.
        refused: Whether it is.
        model: What the extractor says of it, where it is a reference.
        reason: Why it was taken for a model, or what could not be read.
        locked: The digest that the lockfile has, where it is another one.
    """

    subject: Subject
    line: int
    path: str
    reference: str
    state: State
    code: str
    refused: bool
    model: ModelReference | None
    reason: str
    locked: str = ""


def check_manifests(
    subjects: Iterable[Subject],
    *,
    table: Table | None = None,
    given: Bases | None = None,
    lock: Lock | None = None,
    allowed: Collection[str] = (),
) -> Iterator[Finding]:
    """Yield what is to be said of every model that the objects name, in the order of objects and lines.

    Args:
        subjects: The objects, untrusted; those that others are based on may be among them.
        table: How models are named; the one of this package by default.
        given: Objects that others are based on, as the webhook was given them; those among the subjects win.
        lock: What references mean that do not say it themselves.
        allowed: Codes that are told and do not refuse.

    Raises:
        LimitError: What the extractor raises.
    """
    table = table or default_table()
    everything = list(subjects)
    bases, given = _bases(everything, table), given or Bases()
    for subject in everything:  # in order; each once
        seen: dict[str, Object | None] = {
            **given.seen_from(subject.namespace),
            **bases.get(subject.namespace, {}),
        }
        known = {name: base for name, base in seen.items() if base is not None}
        found = _findings(subject, known, table, lock, allowed=allowed)
        yield from sorted(found, key=lambda finding: finding.line)


def _bases(subjects: Iterable[Subject], table: Table) -> Mapping[str, Mapping[str, Object | None]]:
    """Objects that others may be merged with, by namespace and name; of two of one name, None."""
    found: dict[str, dict[str, Object | None]] = {}
    for subject in subjects:
        kind = table.kinds.get(subject.title.partition(" ")[0])
        if kind is not None and kind.template and kind.bases and subject.name:
            names = found.setdefault(subject.namespace, {})
            names[subject.name] = None if subject.name in names else subject.object
    return found


def _findings(
    subject: Subject,
    bases: Mapping[str, Object],
    table: Table,
    lock: Lock | None,
    *,
    allowed: Collection[str],
) -> Iterator[Finding]:
    said = references(subject.object, table=table, bases=bases)

    def finding(
        path: str,
        text: str,
        state: State,
        code: str,
        *,
        model: ModelReference | None = None,
        reason: str = "",
        locked: str = "",
    ) -> Finding:
        refused = bool(code) and code not in allowed
        if subject.node.lost_of(path) == _VALUE:
            path = path.removesuffix(_VALUE)  # the entry of a variable that has a source in its place
        whole = f"{subject.prefix}.{path}" if subject.prefix and path else path or subject.prefix
        line = subject.node.line_of(path)
        return Finding(subject, line, whole, text, state, code, refused, model, reason, locked)

    unread = {(place.path, place.text) for place in said.unresolved if "$(" in place.text}
    for model in said.models:
        if (model.path, model.reference) in unread:
            continue  # what a variable is to fill in cannot be pinned: it is told once
        state, code, other = _judged(model, lock, subject.title)
        why = model.reason
        yield finding(model.path, model.reference, state, code, model=model, reason=why, locked=other)
    for place in said.unresolved:
        path, text, code, reason = _told(place, subject)
        yield finding(path, text, "unresolved", code, reason=reason)
    for name in said.reserved_annotations:
        why = "only trustkit writes annotations of this prefix"
        yield finding(f'metadata.annotations["{name}"]', name, "forbidden", "reserved-annotation", reason=why)


def _told(place: Unresolved, subject: Subject) -> tuple[str, str, str, str]:
    """Path, text, code and reason of a place that cannot be read; it may be the kind."""
    if place.path != KIND_PLACE:
        return place.path, place.text, place.code, place.reason
    if subject.readable:
        return place.path, place.text, "unknown-kind", place.reason
    return "", "", "unread-object", "it lacks an apiVersion or a kind"


def _judged(model: ModelReference, lock: Lock | None, title: str) -> tuple[State, str, str]:
    """Steps 3 and 4: the state, the code, and the digest that the lockfile has instead."""
    own = model.scheme == "trust" and model.pinned
    if model.confidence == "possible":
        return "possible", "", ""
    if lock is None:
        return ("pinned", "", "") if model.pinned else ("mutable", "not-pinned", "")
    reference, _, digest = model.reference.partition(_PIN) if own else (model.reference, "", "")
    locked = lock.digest_of(reference, model.scheme, title)
    if locked is None:
        return ("pinned" if model.pinned else "mutable"), "not-locked", ""
    if own and digest.partition("#")[0] != locked.hex:
        return "pinned", "lock-mismatch", str(locked)
    return ("pinned" if own else "locked"), "", ""
