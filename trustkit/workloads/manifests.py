"""Manifests as they lie in Git or come out of a renderer: every Kubernetes object of a file.

The law of this file: what names an ``apiVersion`` and a ``kind`` is an object; a
list of any kind is its entries, and an object as well if it holds more than entries.
What lacks one of them, and is shaped like an object, is one that cannot be read, and
never passed over: a name is misspelt, or it is a patch. All other documents are
somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from trustkit.strictjson import Object
from trustkit.workloads.nodes import Node, nodes_of
from trustkit.workloads.places import spot
from trustkit.workloads.values import CONTAINER_LISTS

_LOCAL_GROUPS = ("kustomize.config.k8s.io/",)
"""Kinds that a renderer reads, and no API server."""
_OF_A_LIST = frozenset(("apiVersion", "kind", "metadata", "items"))
"""What the API server writes into a list."""
_OF_A_POD = frozenset((*CONTAINER_LISTS, "template", "jobTemplate", "predictor"))
"""What the ``spec`` of an object holds that runs containers, and hardly any other."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One Kubernetes object of a file.

    Attributes:
        file: The file, as it was named.
        document: The number of its document, from 1.
        prefix: Where it stands in the document: ``items[3]``, or empty.
        node: The object with its lines.
        object: The object as the extractor reads it.
    """

    file: str
    document: int
    prefix: str
    node: Node
    object: Object

    @property
    def readable(self) -> bool:
        """Whether it says what it is, by an ``apiVersion`` and a ``kind``."""
        return all(isinstance(self.object.get(member), str) for member in ("apiVersion", "kind"))

    @property
    def namespace(self) -> str:
        """The namespace that it names, or an empty text."""
        return self._metadata("namespace")

    @property
    def name(self) -> str:
        """What it is called, or an empty text."""
        return self._metadata("name")

    @property
    def title(self) -> str:
        """Kind, namespace and name: ``apps/Deployment team-a/web``."""
        version, kind = self._text("apiVersion"), self._text("kind") or "object"
        group = version.partition("/")[0] + "/" if "/" in version else ""
        name = self.name or self._metadata("generateName")
        return f"{group}{kind} {self.namespace + '/' if self.namespace else ''}{name}".rstrip()

    def _text(self, member: str) -> str:
        value = self.object.get(member)
        return value if isinstance(value, str) else ""

    def _metadata(self, member: str) -> str:
        metadata = self.object.get("metadata")
        value = metadata.get(member) if isinstance(metadata, dict) else None
        return value if isinstance(value, str) else ""


def subjects_of(untrusted: bytes, file: str, *, loader: Any = None) -> Iterator[Subject]:
    """Return every Kubernetes object of a file; documents that are none are left out.

    Args:
        untrusted: The file.
        file: Its name, for messages.
        loader: The parser; the quick one where the library has it.

    Raises:
        FormatError: ``bad-manifest``.
        LimitError: ``too-large``, ``too-many-values`` or ``too-deep``.
    """
    return subjects_in(nodes_of(untrusted, file, loader=loader), file)


def subjects_in(documents: Iterable[Node], file: str) -> Iterator[Subject]:
    """Yield every Kubernetes object of documents that were read from a file."""
    for number, node in enumerate(documents, 1):
        for prefix, found in _objects(node, "", ""):
            value = found.value
            if isinstance(value, dict) and not str(value.get("apiVersion")).startswith(_LOCAL_GROUPS):
                yield Subject(file, number, prefix, found, value)


def _objects(node: Node, prefix: str, kind: str) -> Iterator[tuple[str, Node]]:
    """Yield an object, or those of a list of any kind; *kind* is what the entries of a typed list are."""
    if isinstance(node.members, list):
        for index, item in enumerate(node.members):
            yield from _objects(item, spot(prefix, index), kind)
        return
    value = node.value
    if not isinstance(value, dict) or not isinstance(node.members, dict):
        return
    if "kind" not in value and kind:  # the API server leaves both out in a typed list
        given, _, inner = kind.rpartition(" ")
        value = {"apiVersion": given, "kind": inner, **value}
    version, name = value.get("apiVersion"), value.get("kind")
    readable = isinstance(version, str) and isinstance(name, str)
    items = node.members.get("items")
    if isinstance(name, str) and name.endswith("List") and items and isinstance(items.members, list):
        inner = f"{version} {name.removesuffix('List')}" if readable and name != "List" else ""
        yield from _objects(items, spot(prefix, "items"), inner)
        rest = {key: part for key, part in value.items() if key != "items"}
        if not _OF_A_LIST.issuperset(rest):  # some client of some kind may read it as an object
            yield prefix, Node(rest, node.line, node.weight, node.members)
    elif readable or _looks_like_one(value):
        yield prefix, Node(value, node.line, node.weight, node.members)


def _looks_like_one(value: Object) -> bool:
    """Say whether a document without an ``apiVersion`` or a ``kind`` is shaped like an object, or a patch.

    ``spec`` alone is a word that others use too, such as the values of a chart.
    """
    named = isinstance(value.get("apiVersion"), str) or isinstance(value.get("kind"), str)
    spec, described = value.get("spec"), isinstance(value.get("metadata"), dict)
    if not isinstance(spec, dict):
        return named and described
    return named or described or not _OF_A_POD.isdisjoint(spec)
