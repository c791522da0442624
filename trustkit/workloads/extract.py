"""The one extractor: any Kubernetes object in, every model it names out. Pure.

    1. One walk finds pods, containers, members and texts by their shape, whatever the kind (`scan`).
    2. Texts that are documents themselves are walked in the same way (`documents`).
    3. Every container of every list (init, native sidecars, ephemeral), and every one that stands
       alone: environment, command, image. Every volume. Accelerators, model servers and our own
       sidecars set the scene.
    4. Members whose names say that they name a model, and the places of the kind's row (`members`).
    5. Every text of the object: addresses that are models wherever they stand.
    6. A container that asks for an accelerator, or serves models, and names none itself is unresolved;
       so is an object of a kind that serves models and names none, and a kind that nobody listed.

Bypasses of peers were coverage errors, not cryptography (facts: threats, 9):
so steps 1 and 5 find what steps 3 and 4 have no row for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trustkit.strictjson import Object, Value
from trustkit.workloads.around import FAR, Around
from trustkit.workloads.bases import merged
from trustkit.workloads.commands import read_started
from trustkit.workloads.documents import read_documents, read_lines, read_scripts
from trustkit.workloads.groups import demand, groups_of, read_group
from trustkit.workloads.kinds import UNKNOWN, Kind, reached
from trustkit.workloads.members import read_members, read_places
from trustkit.workloads.notes import Notes
from trustkit.workloads.places import spelled
from trustkit.workloads.scan import Scan
from trustkit.workloads.table import Table, default_table
from trustkit.workloads.texts import read_texts
from trustkit.workloads.values import Extraction
from trustkit.workloads.volumes import read_sources

KIND_PLACE = "kind"
"""Where an object of a kind that nobody listed is unresolved."""


def _no_deadline() -> None:
    """Let an object be read for as long as it takes."""


def references(
    untrusted: Object,
    *,
    table: Table | None = None,
    check: Callable[[], None] = _no_deadline,
    bases: Mapping[str, Object] | None = None,
) -> Extraction:
    """Return every model that a Kubernetes object names, and every place that cannot be read.

    Args:
        untrusted: The object as parsed JSON; any shape is survived.
        table: How models are named; the one of this package by default.
        check: Called again and again while the object is read; raises once the time is over.
        bases: What the object may be merged with, by name; one that it names and is not here is unresolved.

    Raises:
        LimitError: ``too-many-references``, ``too-many-words`` or ``too-deep``.
    """
    table = table or default_table()
    name = _kind(untrusted)
    kind = table.kinds.get(name, UNKNOWN)
    if kind.bases and bases:
        untrusted = merged(untrusted, bases, check)
    notes = Notes(table, check=check)
    scan = Scan(table, check, notes.lists)
    scan.walk(_read(untrusted), "", Around(hint=_hint(name, table)))  # steps 1 and 2
    read_documents(untrusted, kind, scan, notes)
    pod, path = _pod(untrusted, kind)
    groups = groups_of(scan, _object(pod.get("spec")) if kind.pod is not None else None, path, notes)
    if kind is UNKNOWN:
        notes.unresolved(KIND_PLACE, name, _unlisted(name))
    for group in groups:  # step 3
        read_group(group, notes, expects=kind.serves)
    notes.expects = kind.serves or any(group.expects for group in groups)
    for place, source in reached(untrusted, kind.volumes):
        read_sources(source, spelled(place), notes)
    before = len(notes.models)
    read_scripts(untrusted, kind, notes)
    if not kind.quiet:
        read_members(untrusted, scan.members, kind, notes)  # step 4
        read_lines(scan.members, notes)
    read_places(untrusted, kind, notes)
    read_started(notes)
    said = any(model.confidence != "possible" for model in notes.models[before:])
    read_texts(scan.texts, notes, quiet=kind.quiet)  # step 5
    if not kind.template and not (said and not kind.plain):  # step 6
        demand(groups, notes)
    if kind.serves and not notes.models and not notes.open_places:
        notes.unresolved("spec", "", "an object of this kind serves a model, and this one names none")
    gpu = any(group.asks for group in groups)
    return Extraction(notes.models, notes.open_places, gpu, _reserved(untrusted, pod, table))


def pod_of(untrusted: Object, *, table: Table | None = None) -> Object:
    """Return the pod or pod template inside an object: its ``metadata`` and ``spec``; empty if none."""
    table = table or default_table()
    kind = table.kinds.get(_kind(untrusted), UNKNOWN)
    return {} if kind.pod is None else _pod(untrusted, kind)[0]


def _kind(untrusted: Object) -> str:
    """``group/kind`` without the version: every served version of a kind is judged alike."""
    version, kind = untrusted.get("apiVersion"), untrusted.get("kind")
    if not isinstance(version, str) or not isinstance(kind, str):
        return ""
    group = version.split("/", 1)[0] if "/" in version else "v1"
    return f"{group}/{kind}"[:512]


def _unlisted(name: str) -> str:
    """Say what a person can do about it: most kinds that nobody listed bring no model in."""
    return (
        f"the table of workloads has no row for the kind {name[:128]!r}; "
        "one under bystanders says that it holds no model"
    )


def _pod(untrusted: Object, kind: Kind) -> tuple[Object, str]:
    if not kind.pod:
        return untrusted, ""
    value: Value = untrusted
    for step in kind.pod.split("."):
        value = _object(value).get(step)
    return _object(value), kind.pod


def _object(value: Value) -> Object:
    return value if isinstance(value, dict) else {}


def _read(untrusted: Object) -> Object:
    """The object without ``status`` and ``managedFields``, which no workload reads."""
    read = {key: value for key, value in untrusted.items() if key != "status"}
    metadata = _object(read.get("metadata"))
    if metadata:
        read["metadata"] = {name: item for name, item in metadata.items() if name != "managedFields"}
    return read


def _hint(name: str, table: Table) -> int:
    """A kind that speaks of models makes its members speak of them too."""
    return FAR + 1 if table.members.role(name.rpartition("/")[2]).hint else 0


def _reserved(untrusted: Object, pod: Object, table: Table) -> tuple[str, ...]:
    found: list[str] = []
    for owner in (untrusted, pod):
        annotations = _object(_object(owner.get("metadata")).get("annotations"))
        found += [key for key in annotations if key.lower().startswith(table.reserved_prefix)]
    return tuple(sorted({key for key in found if key not in table.user_annotations}))[:100]
