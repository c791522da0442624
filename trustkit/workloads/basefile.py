"""A file of objects that others are merged with, for who cannot ask the cluster: taken whole or not at all.

The law of this file: what it cannot place is an error, because a base that nobody
finds would look like one that is there.

    1. Every document is an object, or a list of them, of a kind that the table merges into others.
    2. One that names a namespace is that namespace's; one that names none is everybody's.
    3. A namespace's own comes first, as its controller looks (facts: systems, KS5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from trustkit.digest import Digest, digest_of
from trustkit.errors import FormatError
from trustkit.strictjson import Object
from trustkit.workloads.manifests import Subject, subjects_in
from trustkit.workloads.nodes import Node, nodes_of
from trustkit.workloads.table import Table

MAX_BYTES = 1 << 20
"""Longest file that is read, as much as a ConfigMap holds (bytes)."""


@dataclass(frozen=True, slots=True)
class Bases:
    """Objects that others are merged with.

    Attributes:
        digest: Of the file; None where there is none.
    """

    digest: Digest | None = None
    _found: Mapping[str, Mapping[str, Object]] = field(default_factory=dict)

    def seen_from(self, namespace: str) -> Mapping[str, Object]:
        """Return what an object of a namespace may name, by name."""
        everybodys = self._found.get("", {})
        own = self._found.get(namespace) if namespace else None
        return everybodys if own is None else {**everybodys, **own}


def parse_bases(untrusted: bytes, table: Table) -> Bases:
    """Read a file of bases.

    Args:
        untrusted: The file, YAML or JSON, of as many documents as it may take.
        table: Which kinds are merged into others.

    Raises:
        FormatError: ``bad-bases``: something in it is no base, or is there twice.
        LimitError: ``too-large``, ``too-many-values`` or ``too-deep``.
    """
    if len(untrusted) > MAX_BYTES:
        raise FormatError("bad-bases", f"a file of bases has at most {MAX_BYTES} bytes; shorten it")
    found: dict[str, dict[str, Object]] = {}
    try:
        documents = list(nodes_of(untrusted, "bases"))
    except FormatError as error:
        raise FormatError("bad-bases", f"the file of bases cannot be read: {error.message}") from None
    for number, node in enumerate(documents, 1):
        for subject in _subjects(node, number):
            _check(subject, table)
            names = found.setdefault(subject.namespace, {})
            if subject.name in names:
                raise FormatError("bad-bases", f"{subject.title!r} is there twice; leave one out")
            names[subject.name] = subject.object
    if not found:
        raise FormatError("bad-bases", "the file of bases holds none; leave it out")
    return Bases(digest_of(untrusted), found)


def _subjects(node: Node, number: int) -> Iterator[Subject]:
    value = node.value
    items = (
        value.get("items") if isinstance(value, dict) and str(value.get("kind")).endswith("List") else None
    )
    subjects = list(subjects_in([node], "bases"))
    if len(subjects) != (len(items) if isinstance(items, list) else 1):
        raise FormatError(
            "bad-bases", f"document {number} is no Kubernetes object, nor a list of nothing else"
        )
    yield from subjects


def _check(subject: Subject, table: Table) -> None:
    kind = table.kinds.get(subject.title.partition(" ")[0])
    spec = subject.object.get("spec")
    if kind is None or not (kind.template and kind.bases) or not subject.name:
        why = "is of no kind that is merged into another, or has no name"
    elif not isinstance(spec, dict):
        why = "has no spec"
    elif spec.get("baseRefs"):
        why = "names bases itself, which its controller does not follow; write out what it means"
    else:
        return
    raise FormatError("bad-bases", f"{subject.title[:200]!r} {why}")
