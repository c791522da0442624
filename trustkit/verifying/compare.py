"""Comparison of bytes with a verified manifest: closed world, every entry accounted for.

    1. Every entry of the folder is signed, or lies under the signed ignore list.
    2. Every signed name is there, as a regular file, with the signed total length where ranges say so.
    3. Every byte of every signed file is hashed, from descriptors that did not change meanwhile.
    4. The folder is walked again: nothing was added, removed or written to while the hashing went on.

Where the caller selects names, 2 and 3 are about those; 1 is about every entry
all the same. `Verified` is made here alone. It hands out only files that were
compared: never what the ignore list hides, never what was not selected, never
the unsigned ones that the caller chose to tolerate.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

from trustkit.artifact.hashing import Engine, Progress, hash_values
from trustkit.artifact.manifest import Manifest
from trustkit.artifact.tree import Tree, scan
from trustkit.artifact.walk import MAX_FILES
from trustkit.digest import SIZES
from trustkit.errors import FormatError, LimitError, UsageError, VerificationError
from trustkit.records import KW_ONLY, InitVar, dataclass
from trustkit.verifying.listing import listing_of, mismatch
from trustkit.verifying.verify import VerifiedManifest, demand, proven

_ROOM = 10_000
"""How many files more than were signed are looked at, so that the first can be named; and folders that need
hold none. A hostile folder ends the walk soon."""


@dataclass(frozen=True)
class Verified:
    """An artifact whose bytes were held against a verified manifest. Made by `verify_tree` alone.

    Attributes:
        signed: The manifest and who signed it.
        files: Names that were compared and may be opened.
        bytes: How many bytes were compared.
        ignored: Entries under the signed ignore list; present, not compared.
        unsigned: Entries nobody signed that the caller tolerated; never handed out.
        skipped: Signed names that were left out by ``only``.
    """

    signed: VerifiedManifest
    tree: Tree
    files: tuple[str, ...]
    bytes: int
    ignored: tuple[str, ...]
    unsigned: tuple[str, ...]
    skipped: tuple[str, ...]
    _: KW_ONLY
    proof: InitVar[object] = None

    def __post_init__(self, proof: object) -> None:
        demand(proof)

    def __repr__(self) -> str:
        signers = ", ".join(signer.authority for signer in self.signed.signers)
        return f"<Verified {self.signed.manifest_digest} by {signers}: {len(self.files)} files>"

    def open(self, name: str) -> int:
        """Return a read descriptor of a file that was compared; the caller closes it.

        Raises:
            UsageError: ``not-verified`` for any other name.
            VerificationError: ``file-changed`` if it is no longer the file that was hashed.
        """
        place = self.tree.files.find(name) if name in self._compared else None
        if place is None:
            raise UsageError("not-verified", f"{name!r} is not among the verified files", name=name)
        return self.tree.open(self.tree.files[place])

    def close(self) -> None:
        """Close the folders that are held open for `open`."""
        self.tree.close()

    @cached_property
    def _compared(self) -> frozenset[str]:
        return frozenset(self.files)


def verify_tree(
    path: Path,
    signed: VerifiedManifest,
    *,
    skip: frozenset[str] = frozenset(),
    only: tuple[str, ...] = (),
    ignore_unsigned: bool = False,
    workers: int = 2,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Hold every byte of an artifact against a verified manifest.

    Args:
        path: Folder or file, untrusted.
        signed: What it must be.
        skip: Relative names left out: the bundle under verification.
        only: Shell patterns of names to compare, the others need not be there; empty means all.
        ignore_unsigned: Tolerate (and report) files nobody signed.
        workers: Hashing threads.
        engine: What hashes instead of them.
        progress: Told of every buffer hashed.

    Raises:
        VerificationError: ``digest-mismatch``, ``file-missing``, ``unsigned-file``, ``file-changed``,
            or the code of an entry that may not be in an artifact (``symlink``, ``special-file``, ...).
        UsageError: ``no-such-path``, ``nothing-selected``.
    """
    return verify_scanned(
        partial(scan, path),
        signed,
        skip=skip,
        only=only,
        ignore_unsigned=ignore_unsigned,
        workers=workers,
        engine=engine,
        progress=progress,
    )


def verify_scanned(
    scanning: Callable[..., Tree],
    signed: VerifiedManifest,
    *,
    skip: frozenset[str] = frozenset(),
    only: tuple[str, ...] = (),
    ignore_unsigned: bool = False,
    workers: int = 2,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Do what `verify_tree` does, wherever the artifact lies.

    Args:
        scanning: Opens it when called with the rules that `trustkit.artifact.tree.scan` takes.
        signed: What it must be.
        skip: As for `verify_tree`.
        only: As for `verify_tree`.
        ignore_unsigned: As for `verify_tree`.
        workers: As for `verify_tree`.
        engine: As for `verify_tree`; needed where the files are on no disk here.
        progress: Told of what was hashed.

    Raises:
        VerificationError, UsageError: As `verify_tree`.
    """
    tree = _scanned(scanning, signed.manifest, skip, ignore_unsigned=ignore_unsigned)
    try:
        return _compared(
            tree,
            signed,
            only,
            ignore_unsigned=ignore_unsigned,
            workers=workers,
            engine=engine,
            progress=progress,
        )
    except BaseException:
        tree.close()
        raise


def match_tree(path: Path, signed: VerifiedManifest, *, skip: frozenset[str] = frozenset()) -> Tree:
    """Hold the names and lengths of an artifact against a verified manifest (steps 1 and 2), and no byte.

    For whoever hashes the bytes while he moves them; he ends with `Tree.check_unchanged` (step 4).

    Args:
        path: Folder or file, untrusted.
        signed: What it must be.
        skip: Relative names left out: the bundle under verification.

    Returns:
        The open tree: its files are the signed ones, to be closed by the caller.

    Raises:
        VerificationError: As `verify_tree`, but for what hashing finds.
        UsageError: ``no-such-path``.
    """
    tree = _scanned(partial(scan, path), signed.manifest, skip)
    try:
        listing_of(tree, signed.manifest, (), ignore_unsigned=False)
    except BaseException:
        tree.close()
        raise
    return tree


def _scanned(
    scanning: Callable[..., Tree],
    manifest: Manifest,
    skip: frozenset[str],
    *,
    ignore_unsigned: bool = False,
) -> Tree:
    most = manifest.file_count + _ROOM
    try:
        return scanning(
            allow_symlinks=manifest.allow_symlinks,
            ignore=manifest.ignore_paths,
            skip=skip,
            max_files=MAX_FILES if ignore_unsigned else min(most, MAX_FILES),
        )
    except LimitError as error:
        if error.code != "too-many-files" or error.evidence["limit"] != most:
            raise
        raise VerificationError(
            "unsigned-file",
            f"there are {_ROOM} files or folders more than were signed; remove what is not of the artifact",
            unsigned=[],
        ) from None
    except FormatError as error:
        # Here the folder is the evidence: an entry that could not have been signed is one nobody signed.
        message = _link(error) if error.code == "symlink" else error.message
        raise VerificationError(error.code, message, **error.evidence) from None


def _link(error: FormatError) -> str:
    """Advise whoever verifies: they cannot allow links, only the signer could."""
    return (
        f"{error.evidence.get('name')!r} is a symbolic link, and its signer allowed none; "
        "copy the folder with `cp -rL`, or have it signed with --allow-symlinks"
    )


def _compared(
    tree: Tree,
    signed: VerifiedManifest,
    only: tuple[str, ...],
    *,
    ignore_unsigned: bool,
    workers: int,
    engine: Engine | None,
    progress: Progress | None,
) -> Verified:
    listing = listing_of(tree, signed.manifest, only, ignore_unsigned=ignore_unsigned)
    units, parts = listing.units, signed.manifest.columns
    hashing = engine or partial(hash_values, sizes=units.sizes)
    values = hashing(tree, units, algorithm=parts.algorithm, workers=workers, progress=progress)
    if not hmac.compare_digest(values, parts.values_at(units.indexes)):
        size = SIZES[parts.algorithm]
        found = (values[start : start + size] for start in range(0, len(values), size))
        names = (
            unit.file.name
            for unit, index, value in zip(units, units.indexes, found, strict=True)
            if value != parts.values_at(range(index, index + 1))
        )
        raise mismatch(sorted(set(names)))
    tree.check_unchanged()
    return Verified(
        signed,
        tree,
        listing.files,
        sum(units.sizes),
        tuple(tree.ignored),
        tuple(listing.unsigned),
        tuple(listing.skipped),
        proof=proven(),
    )
