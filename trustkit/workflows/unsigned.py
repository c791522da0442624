"""The story of hashing an artifact without signing it: what a signature over it would say.

The law of this file: the same walk, the same refusals and the same names left
out as for `sign`, so that what is hashed here is what is signed there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from trustkit.artifact.hashing import manifest_of
from trustkit.artifact.leaving_out import Git, left_out
from trustkit.artifact.manifest import DEFAULT_SHARD_SIZE, Manifest, Method
from trustkit.artifact.tree import Tree, scan
from trustkit.attest.predicates.model_signature import MAX_IGNORES
from trustkit.attest.predicates.reference import Compat, named_for
from trustkit.digest import Algorithm
from trustkit.errors import UsageError
from trustkit.workflows.places import AnyPath, default_bundle, place_of
from trustkit.workflows.workers import cores


def hashed(
    path: AnyPath,
    *,
    method: Method = "files",
    algorithm: Algorithm = "sha256",
    shard_size: int = DEFAULT_SHARD_SIZE,
    allow_symlinks: bool = False,
    ignore: Sequence[str] = (),
    git: Git = "present",
    only: Collection[str] | None = None,
    compat: Compat | None = None,
    workers: int | None = None,
) -> Manifest:
    """Hash an artifact into the manifest that `sign` would sign.

    Args:
        path: Folder or file.
        method: ``files`` or ``shards``.
        algorithm: Hash of every file or shard.
        shard_size: Bytes per shard.
        allow_symlinks: Follow links that stay inside.
        ignore: Relative names to leave out.
        git: Which of git's names at the root are left out.
        only: Names of the files to hash; all where absent. Names that are left out may stand among them.
        compat: Name things as `sign` does with it.
        workers: Hashing threads; one per core where absent.

    Raises:
        UsageError: ``no-such-path``, ``no-such-file``, ``bad-ignore``, ``bad-shard-size``.
        FormatError: An entry that may not be in an artifact, or ``empty-model``.
        VerificationError: ``file-changed``.
    """
    place = place_of(path)
    ignored = left_out(place, default_bundle(place), ignore, most=MAX_IGNORES, git=git)
    with scan(place, allow_symlinks=allow_symlinks, ignore=ignored) as tree:
        manifest = manifest_of(
            tree,
            method=method,
            algorithm=algorithm,
            shard_size=shard_size,
            allow_symlinks=allow_symlinks,
            ignore_paths=ignored,
            only=None if only is None else _present(tree, only),
            workers=workers or cores(),
        )
        return named_for(compat, manifest, single=tree.single)


def _present(tree: Tree, only: Collection[str]) -> frozenset[str]:
    """Demand that what is to be hashed is there, or was left out."""
    missing = sorted(set(only) - {file.name for file in tree.files})
    for name in missing:
        if not tree.ignores(name):
            raise UsageError("no-such-file", f"there is no file {name!r} in this artifact", name=name)
    return frozenset(only)
