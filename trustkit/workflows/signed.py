"""The stories of signing and verifying, step by step; each step lives in a room of its own.

The law of this file: an output that exists stays unless the caller said
otherwise, a bundle is written only when everything was hashed, and to verify is
to return a proof or to raise.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.artifact import outputs
from trustkit.artifact.choosing import Choice
from trustkit.artifact.hashing import Progress
from trustkit.artifact.inputs import inside, is_folder, read_input, status_of
from trustkit.artifact.leaving_out import SIGNATURE, Git, hiding_place, left_out
from trustkit.artifact.manifest import DEFAULT_SHARD_SIZE, Manifest
from trustkit.artifact.tree import Tree, scan
from trustkit.attest import bundle as bundles
from trustkit.attest.dsse import PAYLOAD_TYPE, Envelope, Signature, pae
from trustkit.attest.predicates.model_signature import MAX_IGNORES, statement_of
from trustkit.attest.predicates.reference import Compat, named_for, unread_by
from trustkit.attest.statement import Statement, statement_to_bytes
from trustkit.digest import Algorithm
from trustkit.errors import LimitError, TrustkitError, UsageError, VerificationError
from trustkit.signing.key import Signer
from trustkit.storage.atomic import sweep
from trustkit.storage.held import Pause, write_held
from trustkit.verifying.authorities import check_signer
from trustkit.verifying.compare import Verified, verify_tree
from trustkit.verifying.policy import VerificationPolicy
from trustkit.verifying.verify import VerifiedManifest, verify_manifest
from trustkit.workflows.remarks import subject_name, warnings_of
from trustkit.workflows.resigning import Again, memory_of
from trustkit.workflows.timed import Asked, timed_manifest

if TYPE_CHECKING:
    from concurrent.futures import Executor

AnyPath = str | os.PathLike[str]
"""A path as callers write it."""
Clock = Callable[[], float]
"""Tells seconds since the epoch: the time at which certificates must be valid."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What `sign` made: the manifest, where its bundle lies, and warnings for people.

    Attributes:
        unread: How many files were taken over from an earlier signature.
        faster: Flags that would have saved time, and how much (seconds, estimated).
    """

    manifest: Manifest
    bundle: Path
    bytes: int
    warnings: tuple[str, ...]
    unread: int = 0
    faster: Mapping[str, float] = field(default_factory=dict)


def default_bundle(path: Path) -> Path:
    """Say where an artifact's bundle lies: ``PATH/model.sig`` in a folder, ``FILE.sig`` beside a file."""
    return path / SIGNATURE if is_folder(path) else path.with_name(f"{path.name}.sig")


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
    outputs.check_output(target, inputs=read, overwrite=overwrite, replaceable=is_bundle)
    ignored = left_out(path, target, ignore, most=MAX_IGNORES, git=git)
    with scan(path, allow_symlinks=allow_symlinks, ignore=ignored, skip=_swept(target, path)) as tree:
        _check_target(target, path, tree, read)
        asked = Asked(
            method, algorithm, shard_size, allow_symlinks, ignored, workers or cores(), progress, clock
        )
        timed = timed_manifest(tree, asked, memory)
        manifest = named_for(compat, timed.manifest, single=tree.single)
        warnings = (*warnings_of(tree, ignore), *unread_by(compat, manifest), *memory.remarks)
    files, size = tree.files if memory.files else (), sum(tree.files.sizes())
    del tree  # which may be large, as the bundle may be
    raw = signed_statement(statement_of(manifest, subject_name(path), compat=compat), signer)
    _write(target, raw, overwrite=overwrite)
    warnings += memory.keep(files, raw, began=began)
    return Signed(manifest, target, size, warnings, timed.unread, timed.faster)


def place_of(path: AnyPath) -> Path:
    """Take a path at the door; an empty one is a mistake somewhere, and not the current folder.

    Raises:
        UsageError: ``no-such-path``.
    """
    if not os.fspath(path):
        raise UsageError("no-such-path", "an empty path leads nowhere; name a file or a folder")
    return Path(path)


def _swept(target: Path, path: Path) -> frozenset[str]:
    """Say under which name the bundle lies inside the artifact; sweep up what killed runs left beside it."""
    sweep(target.parent)
    name = inside(target, path) if is_folder(path) else None
    return frozenset((name,)) if name else frozenset()


def places_of(path: AnyPath, bundle: AnyPath | None) -> tuple[Path, Path]:
    """Take the path of an artifact that is there, and say where its bundle lies."""
    place = place_of(path)
    if status_of(place) is None:
        raise UsageError("no-such-path", f"there is nothing at {str(place)!r}", path=str(place))
    return place, default_bundle(place) if bundle is None else place_of(bundle)


def signed_statement(statement: Statement, signer: Signer) -> bytes:
    """Serialise a statement once, sign those bytes, and return the bundle's bytes."""
    payload = statement_to_bytes(statement)
    signature = Signature(signer.sign(pae(PAYLOAD_TYPE, payload)))
    envelope = Envelope(payload, PAYLOAD_TYPE, (signature,))
    return bundles.bundle_to_bytes(bundles.Bundle(envelope, signer.material))


def verify(
    path: AnyPath,
    policy: VerificationPolicy,
    *,
    bundle: AnyPath | None = None,
    only: Sequence[str] = (),
    ignore_unsigned: bool = False,
    now: Clock = time.time,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Verify who signed an artifact, and hold every byte of it against what was signed.

    Args:
        path: Folder or file, untrusted.
        policy: Whom to believe.
        bundle: Where the bundle lies; `default_bundle` where absent.
        only: Shell patterns of the names to compare; all where empty.
        ignore_unsigned: Tolerate files nobody signed; they are reported and never handed out.
        now: Seconds since the epoch, for certificates of signers.
        workers: Hashing threads; one per core where absent.
        progress: Told of every buffer hashed.

    Returns:
        The proof; it holds folders open, so close it or let it go.

    Raises:
        UsageError: ``no-such-path``, ``no-such-file``, ``nothing-selected``.
        VerificationError: ``unsigned``, ``wrong-signer``, ``digest-mismatch``, ``file-missing``,
            ``unsigned-file``, ``file-changed``, or the code of an entry that may not be in an artifact.
        FormatError, LimitError: The bundle does not parse.
    """
    believed = believe(path, policy, bundle=bundle, now=now)
    place, signed, skip = believed.path, believed.signed, believed.skip
    del believed  # and with it the bundle, which may be the largest thing in memory
    return verify_tree(
        place,
        signed,
        skip=skip,
        only=tuple(only),
        ignore_unsigned=ignore_unsigned,
        workers=workers or cores(),
        progress=progress,
    )


@dataclass(frozen=True, slots=True)
class Believed:
    """An artifact whose manifest was verified; of its bytes nothing is known yet.

    Attributes:
        path: Folder or file.
        signed: What it must be.
        bundle: The bytes that were verified.
        skip: The bundle's name, where it lies inside the artifact.
    """

    path: Path
    signed: VerifiedManifest
    bundle: bytes
    skip: frozenset[str]


def believe(
    path: AnyPath,
    policy: VerificationPolicy,
    *,
    bundle: AnyPath | None = None,
    raw: bytes | None = None,
    now: Clock = time.time,
) -> Believed:
    """Verify who signed an artifact (with *raw* as its bundle, if given), and look at none of its bytes."""
    path, source = places_of(path, bundle)
    if bundle is None and status_of(source) is None:
        raise VerificationError(
            "unsigned",
            f"there is no signature at {str(source)!r}; "
            "name its bundle with --bundle, or ask its author to sign it",
        )
    if raw is None:
        raw = read_input(source, max_bytes=bundles.MAX_BYTES, what="bundle")
    signed = verify_manifest(raw, policy, at=now())
    hiding = hiding_place(path, signed.manifest.ignore_paths)
    if hiding is not None:
        raise VerificationError(
            "unsigned-file",
            f"{hiding!r} is not a regular file, and nobody signed it; remove it",
            unsigned=[hiding],
        )
    name = inside(source, path) if is_folder(path) else None
    return Believed(path, signed, raw, frozenset((name,)) if name else frozenset())


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0))


def _write(target: Path, raw: bytes, *, overwrite: bool, pause: Pause = time.sleep) -> None:
    if len(raw) > bundles.MAX_BYTES:
        raise LimitError(
            "too-large", f"the bundle would be larger than {bundles.MAX_BYTES} bytes; sign parts"
        )
    write_held(target, raw, overwrite=overwrite, pause=pause)


def is_bundle(path: Path) -> bool:
    """Say whether a bundle lies there; anything else is not ours to replace."""
    try:
        bundles.parse_bundle(read_input(path, max_bytes=bundles.MAX_BYTES, what="bundle"))
    except TrustkitError:
        return False
    return True


def _check_target(target: Path, path: Path, tree: Tree, read: Sequence[Path]) -> None:
    """A bundle inside the folder must not stand where a model file lies, through whatever link; nor a key."""
    outputs.check_not_inside(read, path, tree)
    if outputs.is_file_of(target, tree):
        raise UsageError(
            "output-is-input", f"{str(target)!r} is a file of {str(path)!r}; choose another --bundle"
        )
