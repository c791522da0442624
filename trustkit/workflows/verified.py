"""The story of verifying, step by step; each step lives in a room of its own.

The law of this file: to verify is to return a proof or to raise. Nothing that
signs is loaded here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.artifact.hashing import Progress
from trustkit.artifact.inputs import inside, is_folder, status_of
from trustkit.artifact.leaving_out import hiding_place
from trustkit.errors import VerificationError
from trustkit.records import dataclass
from trustkit.verifying.compare import Verified, verify_tree
from trustkit.verifying.policy import VerificationPolicy
from trustkit.verifying.verify import VerifiedManifest, verify_manifest
from trustkit.workflows.places import AnyPath, Clock, places_of
from trustkit.workflows.reading import about_bundle, bundle_at, unsigned
from trustkit.workflows.workers import cores, engine_of

if TYPE_CHECKING:
    from concurrent.futures import Executor


def verify(
    path: AnyPath,
    policy: VerificationPolicy,
    *,
    bundle: AnyPath | None = None,
    only: Sequence[str] = (),
    ignore_unsigned: bool = False,
    now: Clock = time.time,
    workers: int | Executor | None = None,
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
        workers: Hashing threads (one per core where absent), or an executor over the same disk.
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
        workers=workers if isinstance(workers, int) else cores(),
        engine=engine_of(workers),
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
        raise unsigned(path, source)
    if raw is None:
        raw = bundle_at(source, named=bundle is not None)
    with about_bundle(source):
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
