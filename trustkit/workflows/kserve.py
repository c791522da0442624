"""The stories of KServe's confidential layout: written for its decryptor, and read more strictly than by it.

The law of this file: as for sealing, what its author did not sign is neither
sealed nor opened. The layout names no publisher, line or version, so a policy
that speaks for lines alone opens none of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.artifact import outputs
from trustkit.artifact.hashing import Progress
from trustkit.attest.bundle import MAX_BYTES
from trustkit.errors import UnavailableError, VerificationError
from trustkit.verifying.compare import match_tree
from trustkit.verifying.policy import VerificationPolicy
from trustkit.verifying.verify import VerifiedManifest, verify_manifest
from trustkit.workflows.places import AnyPath, Clock, default_bundle, place_of
from trustkit.workflows.reading import about_bundle, all_here, bundle_at
from trustkit.workflows.sealed import Entropy, modes_by_umask
from trustkit.workflows.verified import believe
from trustkit.workflows.workers import cores

if TYPE_CHECKING:
    from trustkit.sealing.jwe import JweKey
    from trustkit.storage.local import LocalSource


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written: the proof it was held against, where it lies, and how much of it."""

    signed: VerifiedManifest
    output: Path
    files: int
    bytes: int


def seal_for_kserve(
    path: AnyPath,
    key: JweKey,
    policy: VerificationPolicy,
    *,
    output: AnyPath,
    bundle: AnyPath | None = None,
    inputs: Sequence[AnyPath] = (),
    entropy: Entropy = os.urandom,
    now: Clock = time.time,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Converted:
    """Seal a signed artifact into a new folder that KServe decrypts in its place.

    Args:
        path: Folder or file, with its author's bundle.
        key: What KServe will get from its key service.
        policy: Whom we believe as its author.
        output: The folder to make; must not exist, nor lie inside the artifact.
        bundle: Where the author's bundle lies; `default_bundle` where absent.
        inputs: Files that the output may not be.
        entropy: Where keys and IVs of files come from.
        now: Seconds since the epoch, for certificates of signers.
        workers: Threads; one per core where absent.
        progress: Told of every chunk that was sealed.

    Raises:
        UsageError: ``output-exists``, ``output-is-input``.
        VerificationError: As `verify`; ``file-changed``.
        FormatError: ``unsafe-name``: a file that the layout has another use for.
        LimitError: ``too-large``.
    """
    from trustkit.sealing.documents import SIGNATURE
    from trustkit.storage.kserve_folder import seal_files
    from trustkit.storage.staging import Staging

    path, output = place_of(path), place_of(output)
    source = default_bundle(path) if bundle is None else place_of(bundle)
    outputs.check_output(output, inputs=(path, source, *map(place_of, inputs)), overwrite=None)
    outputs.check_apart(output, path)
    believed = believe(path, policy, bundle=bundle, now=now)
    with (
        match_tree(path, believed.signed, skip=believed.skip) as tree,
        Staging(output, token=entropy(16).hex()) as staging,
    ):
        size = seal_files(
            tree,
            believed.signed.manifest,
            staging,
            key=key,
            entropy=entropy,
            workers=workers or cores(),
            progress=progress,
        )
        tree.check_unchanged()
        staging.write(SIGNATURE, believed.bundle)
        staging.publish(**modes_by_umask())
        files = len(tree.files)
    return Converted(believed.signed, output, files, size)


def open_from_kserve(
    folder: AnyPath,
    key: JweKey,
    policy: VerificationPolicy,
    *,
    output: AnyPath,
    bundle: AnyPath | None = None,
    inputs: Sequence[AnyPath] = (),
    entropy: Entropy = os.urandom,
    now: Clock = time.time,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Converted:
    """Open a folder of KServe's layout: its author is verified, then every byte, then it is published.

    Args:
        folder: The folder, untrusted.
        key: What its files were sealed with.
        policy: Whom to believe as author.
        output: The folder to make; must not exist.
        bundle: Where the author's bundle lies; ``model.sig`` in the folder where absent.
        inputs: Files that the output may not be.
        entropy: Where the name of the staging folder comes from.
        now: Seconds since the epoch, for certificates of signers.
        workers: Threads; one per core where absent.
        progress: Told of every chunk that was opened.

    Raises:
        UsageError: ``output-exists``, ``output-is-input``, ``no-such-folder``.
        VerificationError: ``unsigned``, ``wrong-signer``, ``line-not-in-policy``, ``digest-mismatch``,
            ``file-missing``.
        SealError: ``not-encrypted``, ``wrong-context``, ``tampered``.
    """
    from trustkit.sealing.documents import SIGNATURE
    from trustkit.storage.kserve_folder import open_files
    from trustkit.storage.local import LocalSource
    from trustkit.storage.staging import Staging
    from trustkit.verifying.sealed import check_plain

    folder, output = place_of(folder), place_of(output)
    outputs.check_output(output, inputs=(folder, *map(place_of, inputs)), overwrite=None)
    outputs.check_apart(output, folder)
    with closing(LocalSource(folder)) as source:
        raw = _bundle_in(source, folder) if bundle is None else bundle_at(place_of(bundle), named=True)
        with about_bundle(folder / SIGNATURE if bundle is None else place_of(bundle)):
            signed = verify_manifest(raw, policy, at=now())
        check_plain(policy)
        with Staging(output, token=entropy(16).hex()) as staging, all_here(folder):
            size = open_files(
                source, signed.manifest, staging, key=key, workers=workers or cores(), progress=progress
            )
            staging.publish(**modes_by_umask())
    return Converted(signed, output, len({resource.path for resource in signed.manifest.resources}), size)


def _bundle_in(source: LocalSource, folder: Path) -> bytes:
    from trustkit.sealing.documents import SIGNATURE

    try:
        return source.document(SIGNATURE, max_bytes=MAX_BYTES)
    except UnavailableError as error:
        if error.code != "not-found":
            raise
    raise VerificationError(
        "unsigned",
        f"there is no {SIGNATURE} in {str(folder)!r}; "
        "name the author's bundle with --bundle, or ask the author to sign it",
    )
