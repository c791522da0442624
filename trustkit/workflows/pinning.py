"""The story of pinning: what references mean is proven, then written into manifests, and locked.

The law of this file: nothing is guessed. A digest comes from a signature by somebody
whom the policy believes, and a reference means what the caller says it means. Nothing
is written here: all changes are made first, and then handed out.

    1. The manifest digest behind every reference that the caller names is verified.
    2. The extractor that `check` asks lists the references; those of our own are rewritten in place.
    3. Every reference that the caller named, and that an object names, gets its entry in the lockfile;
       entries of others stay as they are.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from trustkit.artifact.inputs import is_file, is_folder
from trustkit.digest import Digest
from trustkit.errors import UsageError
from trustkit.verifying.policy import VerificationPolicy
from trustkit.workflows.checking import Finding, check_manifests
from trustkit.workflows.places import Clock, default_bundle
from trustkit.workflows.reading import about_bundle, bundle_at, documents_of
from trustkit.workloads.basefile import Bases
from trustkit.workloads.editing import edited
from trustkit.workloads.lock import Lock, is_global
from trustkit.workloads.manifests import Subject, subjects_in
from trustkit.workloads.nodes import Node, nodes_of
from trustkit.workloads.table import Table

_PIN = "@sha256:"


@dataclass(frozen=True, slots=True)
class Pinned:
    """What is to be written.

    Attributes:
        files: New content by file, of those that change.
        lock: The lockfile with the entries of this run.
        references: How many references were given a digest, or had it already.
        left: What `check` would still refuse, with this lockfile.
    """

    files: Mapping[str, bytes]
    lock: Lock
    references: int
    left: tuple[Finding, ...]


def proven_digest(path: Path, policy: VerificationPolicy, *, now: Clock = time.time) -> Digest:
    """Return the manifest digest that a sealed folder, a signed folder or a bundle proves.

    Signatures are verified, and no byte of the artifact is read.

    Raises:
        UsageError: ``no-such-file``.
        VerificationError, FormatError, LimitError: As for `verify_manifest` and `verify_sealed`.
    """
    from trustkit.sealing.documents import DESCRIPTOR
    from trustkit.verifying.verify import verify_manifest

    if is_folder(path) and is_file(path / DESCRIPTOR):
        from trustkit.storage.local import LocalSource
        from trustkit.verifying.sealed import verify_sealed

        with closing(LocalSource(path)) as source:
            return verify_sealed(documents_of(source, path), policy, at=now()).manifest_digest
    bundle = default_bundle(path) if is_folder(path) else path
    raw = bundle_at(bundle, named=bundle is path)
    with about_bundle(bundle):
        return verify_manifest(raw, policy, at=now()).manifest_digest


def pin_manifests(
    files: Mapping[str, bytes],
    digests: Mapping[str, Digest],
    *,
    lock: Lock,
    table: Table | None = None,
    given: Bases | None = None,
) -> Pinned:
    """Return manifests and lockfile in which references carry the digests that they mean.

    Args:
        files: Manifests by their names, untrusted.
        digests: What each reference means, verified; references without a digest of their own.
        lock: The lockfile as it is.
        table: How models are named; the one of this package by default.
        given: Objects that others are based on, as the webhook was given them.

    Raises:
        UsageError: ``nothing-selected``: a reference is named by no manifest.
        FormatError: ``bad-manifest``, ``not-editable``.
        LimitError: What the reader and the extractor raise.
    """
    documents = {name: list(nodes_of(raw, name)) for name, raw in files.items()}
    subjects = [found for name, nodes in documents.items() for found in subjects_in(nodes, name)]
    findings = list(check_manifests(subjects, table=table, given=given))
    entries = dict(lock.entries)
    places: dict[str, list[Node]] = {}
    met: set[str] = set()
    count = 0
    for finding in findings:
        reference = _meant(finding)
        if reference not in digests or finding.model is None:
            continue
        met.add(reference)
        count += 1
        whole = is_global(reference, finding.model.scheme)
        entries[reference, "" if whole else finding.subject.title] = digests[reference]
        if finding.model.scheme == "trust":
            node = finding.subject.node.text_at(finding.model.path)
            places.setdefault(finding.subject.file, []).extend([] if node is None else [node])
    _demand_all(digests, met)
    changed = _changed(files, documents, places, digests)
    after = [
        found for name in files for found in subjects_in(nodes_of(changed.get(name, files[name]), name), name)
    ]
    left = _left(after, Lock(entries), table, given)
    return Pinned(changed, Lock(entries), count, left)


def _meant(finding: Finding) -> str:
    """The reference without a digest of its own, where it is one of ours."""
    if finding.model is None or finding.model.scheme != "trust":
        return finding.reference
    return finding.reference.partition(_PIN)[0]


def _demand_all(digests: Iterable[str], met: set[str]) -> None:
    for reference in digests:
        if reference not in met:
            raise UsageError(
                "nothing-selected",
                f"no manifest names {reference!r}; write it as `trustkit check` lists it, without a digest",
            )


def _changed(
    files: Mapping[str, bytes],
    documents: Mapping[str, Sequence[Node]],
    places: Mapping[str, Sequence[Node]],
    digests: Mapping[str, Digest],
) -> dict[str, bytes]:
    def pin(reference: str) -> str:
        bare = reference.partition(_PIN)[0]
        return f"{bare}@{digests[bare]}" if bare in digests else reference

    found = {
        name: edited(files[name], name, documents[name], places=nodes, pin=pin)
        for name, nodes in places.items()
    }
    return {name: raw for name, raw in found.items() if raw != files[name]}


def _left(
    subjects: Iterable[Subject], lock: Lock, table: Table | None, given: Bases | None
) -> tuple[Finding, ...]:
    found = check_manifests(subjects, table=table, given=given, lock=lock)
    return tuple(finding for finding in found if finding.refused)
