"""The story of signing, step by step; each step lives in a room of its own.

The law of this file: an output that exists stays unless the caller said
otherwise, and a bundle is written only when everything was hashed. Nothing that
verifies is loaded here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.artifact import outputs
from trustkit.artifact.choosing import Choice
from trustkit.artifact.hashing import Progress
from trustkit.artifact.inputs import inside, is_folder
from trustkit.artifact.leaving_out import Git, left_out
from trustkit.artifact.manifest import DEFAULT_SHARD_SIZE, Manifest
from trustkit.artifact.tree import Tree, scan
from trustkit.attest.bundle import Bundle, bundle_to_bytes
from trustkit.attest.dsse import PAYLOAD_TYPE, Envelope, Signature, pae
from trustkit.attest.predicates.model_signature import MAX_IGNORES, statement_of
from trustkit.attest.predicates.reference import Compat, named_for, unread_by
from trustkit.attest.statement import Statement, statement_to_bytes
from trustkit.digest import Algorithm
from trustkit.errors import UsageError
from trustkit.records import dataclass, field
from trustkit.signing.key import Signer
from trustkit.storage.atomic import sweep
from trustkit.verifying.presenting import check_signer
from trustkit.workflows.bundled import is_bundle, write_bundle
from trustkit.workflows.places import AnyPath, Clock, place_of, places_of
from trustkit.workflows.remarks import subject_name, warnings_of
from trustkit.workflows.resigning import Again, memory_of
from trustkit.workflows.timed import Asked, timed_manifest
from trustkit.workflows.workers import cores

if TYPE_CHECKING:
    from concurrent.futures import Executor


_EXISTS = "add your signature to it with --add, replace it with --overwrite, or choose another --bundle"


@dataclass(frozen=True, slots=True)
class Signed:
    """What `sign` made: the manifest, where its bundle lies, and warnings for people.

    Attributes:
        unread: How many files were taken over from an earlier signature.
        faster: Flags that would have saved time, and how much (seconds, estimated).
        signatures: How many the bundle bears now.
    """

    manifest: Manifest
    bundle: Path
    bytes: int
    warnings: tuple[str, ...]
    unread: int = 0
    faster: Mapping[str, float] = field(default_factory=dict)
    signatures: int = 1


def sign(
    path: AnyPath,
    signer: Signer,
    *,
    bundle: AnyPath | None = None,
    method: Choice = "files",
    algorithm: Algorithm = "sha256",
    shard_size: int = DEFAULT_SHARD_SIZE,
    allow_symlinks: bool = False,
    ignore: Sequence[str] = (),
    git: Git = "present",
    compat: Compat | None = None,
    again: Again | None = None,
    overwrite: bool = False,
    inputs: Sequence[AnyPath] = (),
    now: Clock = time.time,
    clock: Clock = time.perf_counter,
    workers: int | Executor | None = None,
    progress: Progress | None = None,
) -> Signed:
    """Sign a model or dataset and write its OMS bundle.

    Args:
        path: Folder or file to sign.
        signer: Holder of the author's key.
        bundle: Where the bundle goes; `default_bundle` where absent.
        method: ``files`` (every verifier reads it), ``shards``, or ``auto``: shards where a file is large.
        algorithm: ``sha256`` (every verifier reads it), ``blake3`` or ``blake2b``.
        shard_size: Bytes per shard.
        allow_symlinks: Follow links that stay inside; recorded in the statement.
        ignore: Relative names to leave out; recorded in the statement.
        git: Which of git's names at the root are left out; recorded too.
        compat: Write what model-signing 1.1 reads where that differs from the specification.
        again: Keep a record for the next time, and leave unread what did not change since an earlier bundle.
        overwrite: Replace an existing bundle (never anything else).
        inputs: Files that the output may not be: the key, the passphrase.
        now: Seconds since the epoch, for the signer's certificate and the record.
        clock: Seconds of any count, to say how long hashing took.
        workers: Hashing threads (one per core where absent), or an executor over the same disk.
        progress: Told of every buffer hashed.

    Raises:
        UsageError: ``no-such-path``, ``output-exists``, ``output-is-input``, ``key-inside-model``,
            ``bad-ignore``, ``bad-shard-size``.
        FormatError: An entry that may not be in an artifact.
        LimitError: Over a cap; the bundle would not be read again.
        VerificationError: ``file-changed``; ``certificate-expired`` and the like, if nobody could verify it.
    """
    check_signer(signer.material, at=(began := now()))
    path, target = places_of(path, bundle)
    memory = memory_of(path, signer, again, now=now)
    read = [*(place_of(given) for given in inputs), *memory.files]
    outputs.check_output(target, inputs=read, overwrite=overwrite, replaceable=is_bundle, advice=_EXISTS)
    ignored = left_out(path, target, ignore, most=MAX_IGNORES, git=git)
    with scan(path, allow_symlinks=allow_symlinks, ignore=ignored, skip=_swept(target, path)) as tree:
        _check_target(target, path, tree, read)
        asked = Asked(
            method, algorithm, shard_size, allow_symlinks, ignored, workers or cores(), progress, clock
        )
        timed = timed_manifest(tree, asked, memory)
        manifest = named_for(compat, timed.manifest, single=tree.single)
        warnings = (*warnings_of(tree, ignore, signer), *unread_by(compat, manifest), *memory.remarks)
    files, size = tree.files if memory.files else (), sum(tree.files.sizes())
    del tree  # which may be large, as the bundle may be
    raw = signed_statement(statement_of(manifest, subject_name(path), compat=compat), signer)
    warnings += write_bundle(target, raw, signer=signer, overwrite=overwrite)
    warnings += memory.keep(files, raw, began=began)
    return Signed(manifest, target, size, warnings, timed.unread, timed.faster)


def _swept(target: Path, path: Path) -> frozenset[str]:
    """Say under which name the bundle lies inside the artifact; sweep up what killed runs left beside it."""
    sweep(target.parent)
    name = inside(target, path) if is_folder(path) else None
    return frozenset((name,)) if name else frozenset()


def signed_statement(statement: Statement, signer: Signer) -> bytes:
    """Serialise a statement once, sign those bytes, and return the bundle's bytes."""
    payload = statement_to_bytes(statement)
    signature = Signature(signer.sign(pae(PAYLOAD_TYPE, payload)))
    envelope = Envelope(payload, PAYLOAD_TYPE, (signature,))
    return bundle_to_bytes(Bundle(envelope, signer.material))


def _check_target(target: Path, path: Path, tree: Tree, read: Sequence[Path]) -> None:
    """A bundle inside the folder must not stand where a model file lies, through whatever link; nor a key."""
    outputs.check_not_inside(read, path, tree)
    if outputs.is_file_of(target, tree):
        raise UsageError(
            "output-is-input", f"{str(target)!r} is a file of {str(path)!r}; choose another --bundle"
        )
