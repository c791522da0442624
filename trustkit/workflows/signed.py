"""The stories of signing and verifying, step by step; each step lives in a room of its own.

The law of this file: an output that exists stays unless the caller said
otherwise, a bundle is written only when everything was hashed, and to verify is
to return a proof or to raise.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trustkit.artifact import outputs
from trustkit.artifact.hashing import Progress, manifest_of
from trustkit.artifact.inputs import decoded, inside, is_folder, read_input, status_of
from trustkit.artifact.leaving_out import SIGNATURE, hiding_place, left_out, needless
from trustkit.artifact.manifest import DEFAULT_SHARD_SIZE, Manifest, Method
from trustkit.artifact.names import check_name
from trustkit.artifact.tree import Tree, hard_linked, scan
from trustkit.attest import bundle as bundles
from trustkit.attest.dsse import PAYLOAD_TYPE, Envelope, Signature, pae
from trustkit.attest.predicates.model_signature import MAX_IGNORES, statement_of
from trustkit.attest.statement import Statement, statement_to_bytes
from trustkit.digest import Algorithm
from trustkit.errors import (
    FormatError,
    LimitError,
    TrustkitError,
    UsageError,
    VerificationError,
)
from trustkit.signing.key import Signer
from trustkit.storage.local import write_new
from trustkit.verifying.compare import Verified, verify_tree
from trustkit.verifying.policy import VerificationPolicy
from trustkit.verifying.verify import verify_manifest

AnyPath = str | os.PathLike[str]
"""A path as callers write it."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What `sign` made: the manifest, where its bundle lies, and warnings for people."""

    manifest: Manifest
    bundle: Path
    bytes: int
    warnings: tuple[str, ...]


def default_bundle(path: Path) -> Path:
    """Say where an artifact's bundle lies: ``PATH/model.sig`` in a folder, ``FILE.sig`` beside a file."""
    return path / SIGNATURE if is_folder(path) else path.with_name(f"{path.name}.sig")


def sign(
    path: AnyPath,
    signer: Signer,
    *,
    bundle: AnyPath | None = None,
    method: Method = "files",
    algorithm: Algorithm = "sha256",
    shard_size: int = DEFAULT_SHARD_SIZE,
    allow_symlinks: bool = False,
    ignore: Sequence[str] = (),
    overwrite: bool = False,
    inputs: Sequence[AnyPath] = (),
    workers: int | None = None,
    progress: Progress | None = None,
) -> Signed:
    """Sign a model or dataset and write its OMS bundle.

    Args:
        path: Folder or file to sign.
        signer: Holder of the author's key.
        bundle: Where the bundle goes; `default_bundle` where absent.
        method: ``files`` (every verifier reads it) or ``shards``.
        algorithm: ``sha256`` (every verifier reads it), ``blake3`` or ``blake2b``.
        shard_size: Bytes per shard.
        allow_symlinks: Follow links that stay inside; recorded in the statement.
        ignore: Relative names to leave out; recorded in the statement.
        overwrite: Replace an existing bundle (never anything else).
        inputs: Files that the output may not be: the key, the passphrase.
        workers: Hashing threads; one per core where absent.
        progress: Told of every buffer hashed.

    Raises:
        UsageError: ``no-such-path``, ``output-exists``, ``output-is-input``, ``key-inside-model``,
            ``bad-ignore``, ``bad-shard-size``.
        FormatError: An entry that may not be in an artifact.
        LimitError: Over a cap; the bundle would not be read again.
        VerificationError: ``file-changed``.
    """
    path, target = _places(path, bundle)
    read = [place_of(given) for given in inputs]
    outputs.check_output(target, inputs=read, overwrite=overwrite, replaceable=_is_bundle)
    ignored = left_out(path, target, ignore, most=MAX_IGNORES)
    with scan(path, allow_symlinks=allow_symlinks, ignore=ignored) as tree:
        outputs.check_not_inside(read, path, tree)
        _check_target(target, path, tree)
        manifest = manifest_of(
            tree,
            method=method,
            algorithm=algorithm,
            shard_size=shard_size,
            allow_symlinks=allow_symlinks,
            ignore_paths=ignored,
            workers=workers or cores(),
            progress=progress,
        )
        warnings, size = tuple(_warnings(tree, ignore)), sum(file.stamp.size for file in tree.files)
    raw = signed_statement(statement_of(manifest, _subject_name(path)), signer)
    if len(raw) > bundles.MAX_BYTES:
        raise LimitError(
            "too-large", f"the bundle would be larger than {bundles.MAX_BYTES} bytes; sign parts"
        )
    write_new(target, raw, overwrite=overwrite)
    return Signed(manifest, target, size, warnings)


def place_of(path: AnyPath) -> Path:
    """Take a path at the door; an empty one is a mistake somewhere, and not the current folder.

    Raises:
        UsageError: ``no-such-path``.
    """
    if not os.fspath(path):
        raise UsageError("no-such-path", "an empty path leads nowhere; name a file or a folder")
    return Path(path)


def _places(path: AnyPath, bundle: AnyPath | None) -> tuple[Path, Path]:
    """Take the path of an artifact that is there, and say where its bundle lies."""
    place = place_of(path)
    _demand_path(place)
    return place, default_bundle(place) if bundle is None else place_of(bundle)


def signed_statement(statement: Statement, signer: Signer) -> bytes:
    """Serialise a statement once, sign those bytes, and return the bundle's bytes."""
    payload = statement_to_bytes(statement)
    signature = Signature(signer.sign(pae(PAYLOAD_TYPE, payload)))
    envelope = Envelope(payload, PAYLOAD_TYPE, (signature,))
    return bundles.bundle_to_bytes(bundles.Bundle(envelope, bundles.PublicKeyHint(signer.hint)))


def verify(
    path: AnyPath,
    policy: VerificationPolicy,
    *,
    bundle: AnyPath | None = None,
    only: Sequence[str] = (),
    ignore_unsigned: bool = False,
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
    path, source = _places(path, bundle)
    if bundle is None and status_of(source) is None:
        raise VerificationError(
            "unsigned",
            f"there is no signature at {str(source)!r}; "
            "name its bundle with --bundle, or ask its author to sign it",
        )
    signed = verify_manifest(read_input(source, max_bytes=bundles.MAX_BYTES, what="bundle"), policy)
    hiding = hiding_place(path)
    if hiding is not None:
        raise VerificationError(
            "unsigned-file",
            f"{hiding!r} is not a regular file, and nobody signed it; remove it",
            unsigned=[hiding],
        )
    name = inside(source, path) if is_folder(path) else None
    return verify_tree(
        path,
        signed,
        skip=frozenset((name,)) if name else frozenset(),
        only=tuple(only),
        ignore_unsigned=ignore_unsigned,
        workers=workers or cores(),
        progress=progress,
    )


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0))


def _demand_path(path: Path) -> None:
    if status_of(path) is None:
        raise UsageError("no-such-path", f"there is nothing at {str(path)!r}", path=str(path))


def _subject_name(path: Path) -> str:
    """Return the folder's own name where others can read it; nothing rests on it."""
    try:
        return check_name(decoded(Path(os.path.realpath(path)).name))
    except (FormatError, LimitError):
        return "model"


def _is_bundle(path: Path) -> bool:
    try:
        bundles.parse_bundle(read_input(path, max_bytes=bundles.MAX_BYTES, what="bundle"))
    except TrustkitError:
        return False  # whatever it is, it is not a bundle, so it is not ours to replace
    return True


def _check_target(target: Path, path: Path, tree: Tree) -> None:
    """A bundle inside the folder must not stand where a model file lies, through whatever link."""
    if outputs.is_file_of(target, tree):
        raise UsageError(
            "output-is-input", f"{str(target)!r} is a file of {str(path)!r}; choose another --bundle"
        )


def _warnings(tree: Tree, ignore: Sequence[str]) -> Iterator[str]:
    linked = list(hard_linked(tree))
    if linked:
        count = f"{len(linked)} such file{'s' if len(linked) > 1 else ''}"
        yield f"{linked[0]!r} has other hard links, through which it can be changed ({count})"
    for name in needless(tree, ignore):
        yield f"there is no {name!r} to ignore; whatever appears there later will be ignored"
