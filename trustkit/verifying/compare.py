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

import fnmatch
from dataclasses import KW_ONLY, InitVar, dataclass
from functools import cached_property
from pathlib import Path

from trustkit.artifact.files import TreeFile
from trustkit.artifact.hashing import Progress, Unit, hash_units
from trustkit.artifact.manifest import SINGLE, Manifest, Resource
from trustkit.artifact.tree import Tree, scan
from trustkit.errors import Evidence, FormatError, UsageError, VerificationError
from trustkit.verifying.verify import VerifiedManifest, demand, proven

_SHOWN = 20


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
        file = self._compared.get(name)
        if file is None:
            raise UsageError("not-verified", f"{name!r} is not among the verified files", name=name)
        return self.tree.open(file)

    def close(self) -> None:
        """Close the folders that are held open for `open`."""
        self.tree.close()

    @cached_property
    def _compared(self) -> dict[str, TreeFile]:
        compared = frozenset(self.files)
        return {file.name: file for file in self.tree.files if file.name in compared}


def verify_tree(
    path: Path,
    signed: VerifiedManifest,
    *,
    skip: frozenset[str] = frozenset(),
    only: tuple[str, ...] = (),
    ignore_unsigned: bool = False,
    workers: int = 2,
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
        progress: Told of every buffer hashed.

    Raises:
        VerificationError: ``digest-mismatch``, ``file-missing``, ``unsigned-file``, ``file-changed``,
            or the code of an entry that may not be in an artifact (``symlink``, ``special-file``, ...).
        UsageError: ``no-such-path``, ``nothing-selected``.
    """
    tree = _scanned(path, signed.manifest, skip)
    try:
        return _compared(
            tree, signed, only, ignore_unsigned=ignore_unsigned, workers=workers, progress=progress
        )
    except BaseException:
        tree.close()
        raise


def _scanned(path: Path, manifest: Manifest, skip: frozenset[str]) -> Tree:
    try:
        return scan(path, allow_symlinks=manifest.allow_symlinks, ignore=manifest.ignore_paths, skip=skip)
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
    progress: Progress | None,
) -> Verified:
    resources = _resources(tree, signed.manifest)
    present = {file.name: file for file in tree.files}
    chosen = _chosen(resources, only)
    unsigned = sorted(set(present) - set(resources))
    missing = sorted(set(chosen) - set(present))
    if missing or (unsigned and not ignore_unsigned):
        raise _differs(missing, [] if ignore_unsigned else unsigned)
    units = [_unit(present[name], resource) for name in chosen for resource in resources[name]]
    _check_lengths(present, {name: resources[name] for name in chosen})
    digests = hash_units(tree, units, algorithm=signed.manifest.algorithm, workers=workers, progress=progress)
    expected = [resource.digest for name in chosen for resource in resources[name]]
    wrong = [
        unit.file.name
        for unit, found, wanted in zip(units, digests, expected, strict=True)
        if not found.matches(wanted)
    ]
    if wrong:
        raise _mismatch(sorted(set(wrong)))
    tree.check_unchanged()
    return Verified(
        signed,
        tree,
        tuple(chosen),
        sum(unit.end - unit.start for unit in units),
        tuple(tree.ignored),
        tuple(unsigned),
        tuple(sorted(set(resources) - set(chosen))),
        proof=proven(),
    )


def _chosen(resources: dict[str, list[Resource]], only: tuple[str, ...]) -> list[str]:
    """Return the signed names that are to be compared; a pattern that selects none is a mistake."""
    chosen = [name for name in resources if not only or any(fnmatch.fnmatchcase(name, glob) for glob in only)]
    for glob in only:
        if not any(fnmatch.fnmatchcase(name, glob) for name in chosen):
            raise UsageError("nothing-selected", f"no signed file matches --only {glob!r}", only=glob)
    return chosen


def _resources(tree: Tree, manifest: Manifest) -> dict[str, list[Resource]]:
    """Group resources by file name; the reference's ``.`` means the one file of a single-file model."""
    found: dict[str, list[Resource]] = {}
    for resource in manifest.resources:
        name = resource.path
        if name == SINGLE:
            if not tree.single:
                raise VerificationError("file-missing", "a single file was signed, but this is a folder")
            name = tree.files[0].name
        found.setdefault(name, []).append(resource)
    return found


def _unit(file: TreeFile, resource: Resource) -> Unit:
    if resource.start is None or resource.end is None:
        return Unit(file, 0, file.stamp.size, whole=True)
    return Unit(file, resource.start, resource.end, whole=False)


def _check_lengths(present: dict[str, TreeFile], resources: dict[str, list[Resource]]) -> None:
    """A file longer or shorter than its signed ranges holds bytes nobody signed, or lacks some."""
    wrong = [
        name
        for name, parts in resources.items()
        if parts[0].end is not None and max(part.end or 0 for part in parts) != present[name].stamp.size
    ]
    if wrong:
        raise _mismatch(sorted(wrong))


def _mismatch(names: list[str]) -> VerificationError:
    verb = "differs" if len(names) == 1 else "differ"
    return VerificationError(
        "digest-mismatch",
        f"{_listed(names)} {verb} from what was signed; fetch the artifact again",
        mismatched=_evidence(names),
    )


def _differs(missing: list[str], unsigned: list[str]) -> VerificationError:
    parts = []
    if missing:
        parts.append(f"{_listed(missing)} {'is' if len(missing) == 1 else 'are'} signed but missing")
    if unsigned:
        parts.append(f"{_listed(unsigned)} {'was' if len(unsigned) == 1 else 'were'} never signed")
    return VerificationError(
        "file-missing" if missing else "unsigned-file",
        " and ".join(parts) + "; this is not the artifact that was signed",
        missing=_evidence(missing),
        unsigned=_evidence(unsigned),
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]!r}{more}"


def _evidence(names: list[str]) -> Evidence:
    return list(names[:_SHOWN])
