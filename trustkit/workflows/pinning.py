"""The story of pinning: what references mean is proven, then written into manifests, and locked.

The law of this file: nothing is guessed. A digest comes from a signature by somebody
whom the policy believes, and a reference means what the caller says it means. Nothing
is written here: all changes are made first, and then handed out.

    1. The extractor that `check` asks lists the references; all that the caller names are among them.
    2. What each of them means is verified, with every byte that lies there, and so is its manifest digest.
    3. References of our own are rewritten in place. Every reference that the caller named gets its entry
       in the lockfile; entries of others stay as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from trustkit.artifact.hashing import Progress
from trustkit.artifact.inputs import is_file, is_folder, status_of
from trustkit.digest import Digest
from trustkit.errors import UsageError, VerificationError
from trustkit.verifying.policy import VerificationPolicy
from trustkit.workflows.checking import Finding, check_manifests
from trustkit.workflows.places import Clock, default_bundle
from trustkit.workflows.reading import about_bundle, all_here, bundle_at, documents_of
from trustkit.workflows.workers import cores
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


def proven_digest(
    path: Path, policy: VerificationPolicy, *, now: Clock = time.time, progress: Progress | None = None
) -> Digest:
    """Return the manifest digest that a signed folder or file, a sealed folder, or a bundle proves.

    Every byte that was signed is held against what lies there: of a sealed folder its ciphertext, of a bundle
    that was named itself nothing, as it has no bytes beside it. A plain folder has no line; a pin says which
    bytes, and whoever admits and opens them demands the line.

    Args:
        path: What was named.
        policy: Whom to believe.
        now: Seconds since the epoch, for certificates of signers.
        progress: Told of every chunk that was hashed.

    Raises:
        UsageError: ``no-such-file``.
        VerificationError: ``unsigned``.
        VerificationError, FormatError, LimitError: As `trustkit.workflows.verified.verify`, `verify_manifest`
            and `verify_sealed`.
        SealError: ``tampered``, ``truncated`` or ``trailing-bytes``.
    """
    from trustkit.sealing.documents import DESCRIPTOR
    from trustkit.verifying.verify import verify_manifest
    from trustkit.workflows.verified import verify

    if is_folder(path) and is_file(path / DESCRIPTOR):
        return _sealed_digest(path, policy, now=now, progress=progress)
    bundle = default_bundle(path)
    if status_of(path) is None:
        raise UsageError("no-such-file", f"there is nothing at {str(path)!r} to prove it", path=str(path))
    if is_folder(path) and status_of(bundle) is None:
        raise VerificationError(
            "unsigned",
            f"there is no signature at {str(bundle)!r}; sign {str(path)!r} first, or name its bundle where "
            "that lies elsewhere, of which nothing but the signature is verified",
        )
    if is_folder(path) or is_file(bundle):
        with closing(verify(path, policy, now=now, progress=progress)) as verified:
            return verified.signed.manifest_digest
    raw = bundle_at(path, named=True)
    with about_bundle(path):
        return verify_manifest(raw, policy, at=now()).manifest_digest


def _sealed_digest(
    path: Path, policy: VerificationPolicy, *, now: Clock, progress: Progress | None
) -> Digest:
    from trustkit.storage.ciphertext import check_ciphertext
    from trustkit.storage.local import LocalSource
    from trustkit.verifying.sealed import verify_sealed

    with closing(LocalSource(path)) as source, all_here(path):
        signed = verify_sealed(documents_of(source, path), policy, at=now())
        check_ciphertext(source, signed.descriptor, workers=cores(), progress=progress)
    return signed.manifest_digest


def pin_manifests(
    files: Mapping[str, bytes],
    references: Sequence[str],
    prove: Callable[[str], Digest],
    *,
    lock: Lock,
    table: Table | None = None,
    given: Bases | None = None,
) -> Pinned:
    """Return manifests and lockfile in which references carry the digests that they mean.

    Args:
        files: Manifests by their names, untrusted.
        references: To be pinned; without a digest of their own.
        prove: Verifies what a reference means; it may take long, so it is asked once all else is well.
        lock: The lockfile as it is.
        table: How models are named; the one of this package by default.
        given: Objects that others are based on, as the webhook was given them.

    Raises:
        UsageError: ``nothing-selected``: there is no object, or a reference is named by none.
        FormatError: ``bad-manifest``, ``not-editable``.
        LimitError: What the reader and the extractor raise.
    """
    documents = {name: list(nodes_of(raw, name)) for name, raw in files.items()}
    subjects = [found for name, nodes in documents.items() for found in subjects_in(nodes, name)]
    findings = list(check_manifests(subjects, table=table, given=given))
    named = [
        (meant, finding, finding.model)
        for finding in findings
        if finding.model is not None and (meant := _meant(finding)) in references
    ]
    if not subjects:
        raise UsageError(
            "nothing-selected",
            "there is no Kubernetes object in what was named; look at the path, and --exclude",
        )
    _demand_all(references, {meant for meant, _, _ in named})
    digests = {reference: prove(reference) for reference in references}
    entries = dict(lock.entries)
    places: dict[str, list[Node]] = {}
    for reference, finding, model in named:
        whole = is_global(reference, model.scheme)
        entries[reference, "" if whole else finding.subject.title] = digests[reference]
        if model.scheme == "trust":
            node = finding.subject.node.text_at(model.path)
            places.setdefault(finding.subject.file, []).extend([] if node is None else [node])
    changed = _changed(files, documents, places, digests)
    after = [
        found for name in files for found in subjects_in(nodes_of(changed.get(name, files[name]), name), name)
    ]
    left = _left(after, Lock(entries), table, given)
    return Pinned(changed, Lock(entries), len(named), left)


def _meant(finding: Finding) -> str:
    """The reference without a digest of its own, where it is one of ours."""
    if finding.model is None or finding.model.scheme != "trust":
        return finding.reference
    return finding.reference.partition(_PIN)[0]


def _demand_all(references: Iterable[str], met: set[str]) -> None:
    for reference in references:
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
