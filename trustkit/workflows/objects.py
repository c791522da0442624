"""The stories of signing and verifying what lies in an object store, hashed by whoever is near it.

The law of this file: what is signed is what a local signature of the same files
says, byte for byte, so each verifies the other. The store is only read: the
bundle is a file here, and its copy may lie in the store as ``model.sig``, a name
that every signature leaves out.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial

from trustkit.artifact import outputs
from trustkit.artifact.choosing import Choice
from trustkit.artifact.hashing import Progress
from trustkit.artifact.leaving_out import GIT_PATHS, Git, list_of
from trustkit.artifact.manifest import DEFAULT_SHARD_SIZE
from trustkit.attest.predicates.model_signature import MAX_IGNORES, statement_of
from trustkit.attest.predicates.reference import Compat, named_for, unread_by
from trustkit.digest import Algorithm
from trustkit.signing.key import Signer
from trustkit.storage.addresses import Address, parse_address
from trustkit.storage.atomic import sweep
from trustkit.storage.object_pieces import objects_engine
from trustkit.storage.objects import Listing, ObjectTree, list_objects, scan_objects
from trustkit.storage.schemes import store_of
from trustkit.storage.stores import Store
from trustkit.verifying.compare import Verified, verify_scanned
from trustkit.verifying.policy import VerificationPolicy
from trustkit.verifying.presenting import check_signer
from trustkit.verifying.verify import verify_manifest
from trustkit.workflows.bundled import is_bundle, write_bundle
from trustkit.workflows.places import AnyPath, Clock, place_of
from trustkit.workflows.reading import about_bundle, bundle_at
from trustkit.workflows.remarks import warnings_of
from trustkit.workflows.resigning import Memory
from trustkit.workflows.signed import Signed, signed_statement
from trustkit.workflows.timed import Asked, timed_manifest


def sign_objects(
    address: str,
    signer: Signer,
    *,
    executor: Executor,
    bundle: AnyPath,
    method: Choice = "files",
    algorithm: Algorithm = "sha256",
    shard_size: int = DEFAULT_SHARD_SIZE,
    ignore: Sequence[str] = (),
    git: Git = "present",
    compat: Compat | None = None,
    overwrite: bool = False,
    inputs: Sequence[AnyPath] = (),
    now: Clock = time.time,
    clock: Clock = time.perf_counter,
    progress: Progress | None = None,
) -> Signed:
    """Sign the objects below an address, and write their OMS bundle here.

    Args:
        address: ``s3://BUCKET/FOLDER`` or ``gs://BUCKET/FOLDER``, or the address of one object.
        signer: Holder of the author's key, which stays here.
        executor: Its workers read the store, with credentials of their own, and are believed.
        bundle: Where the bundle goes, on this machine.
        method: As for `trustkit.workflows.signed.sign`, as is all that follows.
        algorithm: The hash.
        shard_size: Bytes per shard.
        ignore: Relative names to leave out.
        git: Which of git's names at the root are left out.
        compat: Write what model-signing 1.1 reads.
        overwrite: Replace an existing bundle.
        inputs: Files that the output may not be.
        now: Seconds since the epoch.
        clock: Seconds of any count.
        progress: Told of every load hashed.

    Raises:
        UsageError: ``bad-address``, ``no-such-path``, ``extra-needed``, ``store-unencrypted`` or
            ``cluster-mismatch``; or as `sign`.
        FormatError, LimitError: Names or numbers that may not be in an artifact.
        VerificationError: ``file-changed``, or as `sign`.
        UnavailableError: ``unreadable``, ``bad-answer``, ``worker-lost``, ``unwritable``.
    """
    check_signer(signer.material, at=now())
    place, target = parse_address(address), place_of(bundle)
    read = [place_of(given) for given in inputs]
    outputs.check_output(target, inputs=read, overwrite=overwrite, replaceable=is_bundle)
    sweep(target.parent)
    tree, ignored = _to_be_signed(store_of(place.scheme), place, ignore, git)
    asked = Asked(
        method,
        algorithm,
        shard_size,
        allow_symlinks=False,
        ignored=ignored,
        workers=executor,
        progress=progress,
        clock=clock,
        engine=objects_engine(executor),
    )
    manifest = named_for(compat, timed_manifest(tree, asked, Memory()).manifest, single=tree.single)
    statement = statement_of(manifest, place.name, compat=compat)
    lost = write_bundle(target, signed_statement(statement, signer), signer=signer, overwrite=overwrite)
    warnings = (*warnings_of(tree, ignore, signer), *unread_by(compat, manifest), *lost)
    return Signed(manifest, target, sum(tree.files.sizes()), warnings)


def verify_objects(
    address: str,
    policy: VerificationPolicy,
    *,
    executor: Executor,
    bundle: AnyPath,
    only: Sequence[str] = (),
    ignore_unsigned: bool = False,
    now: Clock = time.time,
    progress: Progress | None = None,
) -> Verified:
    """Verify who signed the objects below an address, and hold every byte of them against what was signed.

    Args:
        address: ``s3://BUCKET/FOLDER`` or ``gs://BUCKET/FOLDER``, or the address of one object;
            what lies there is untrusted.
        policy: Whom to believe.
        executor: Its workers read the store, and are believed.
        bundle: Where the bundle lies, on this machine.
        only: As for `trustkit.workflows.verified.verify`, as is all that follows.
        ignore_unsigned: Tolerate objects nobody signed.
        now: Seconds since the epoch.
        progress: Told of every load hashed.

    Returns:
        The proof. It is about the store at one moment, and opens no file: none came here.

    Raises:
        UsageError, VerificationError, FormatError, LimitError: As `verify`, and as `sign_objects`.
        UnavailableError: ``unreadable``, ``bad-answer``, ``worker-lost``.
    """
    place = parse_address(address)
    raw = bundle_at(place_of(bundle), named=True)
    with about_bundle(place_of(bundle)):
        signed = verify_manifest(raw, policy, at=now())
    return verify_scanned(
        partial(_scanned, store_of(place.scheme), place),
        signed,
        only=tuple(only),
        ignore_unsigned=ignore_unsigned,
        engine=objects_engine(executor),
        progress=progress,
    )


def _to_be_signed(
    store: Store, place: Address, asked: Sequence[str], git: Git
) -> tuple[ObjectTree, tuple[str, ...]]:
    listing = list_objects(store, place)
    ignored = list_of(asked, _git_names(listing, git), most=MAX_IGNORES)
    return scan_objects(store, listing, ignore=ignored), ignored


def _scanned(store: Store, place: Address, *, ignore: Collection[str], **_: object) -> ObjectTree:
    """Open a tree of objects; the rules about links and entries of folders have no meaning here."""
    return scan_objects(store, list_objects(store, place), ignore=ignore)


def _git_names(listing: Listing, git: Git) -> Iterator[str]:
    """Yield which of git's names are left out, as `trustkit.artifact.leaving_out.left_out` would."""
    if listing.single or git == "never":
        return
    there = {entry.name.split("/", 1)[0] for entry in listing.entries}
    yield from (name for name in GIT_PATHS if git == "always" or name in there)
