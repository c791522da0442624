"""What was signed, held against what is there: names, lengths, and the units that are left to be hashed.

The law of this file: every name of either side is accounted for. Both sides
come in columns, and mostly in one order, so that a million names are compared in
one pass and none of them is kept twice.
"""

from __future__ import annotations

import fnmatch
from array import array
from collections.abc import Sequence

from trustkit.artifact.files import Files, TreeFile
from trustkit.artifact.hashing import MadeUnits, Unit
from trustkit.artifact.manifest import SINGLE, Manifest, Resources
from trustkit.artifact.tree import Tree
from trustkit.errors import Evidence, UsageError, VerificationError
from trustkit.records import dataclass

_SHOWN = 20


class Units(MadeUnits):
    """The parts that are compared, as units of the files that are there."""

    def __init__(self, files: Files, parts: Resources, indexes: Sequence[int], places: Sequence[int]) -> None:
        self._files = files
        self._parts = parts
        self._places = places
        self.indexes = indexes
        sizes = files.sizes()
        self.sizes = (
            [unit.size for unit in self]
            if parts.ranged
            else array("Q", (sizes[places[index]] for index in indexes))
        )

    def __len__(self) -> int:
        return len(self.indexes)

    def unit(self, index: int) -> Unit:
        """Make the unit of one part."""
        number = self.indexes[index]
        file = self._files[self._places[number]]
        if not self._parts.ranged:
            return Unit(file, 0, file.stamp.size)
        part = self._parts[number]
        return Unit(file, part.start or 0, part.end or 0)


@dataclass(frozen=True, slots=True)
class Listing:
    """Names to compare, names left out, names nobody signed, and the units to hash."""

    files: tuple[str, ...]
    skipped: list[str]
    unsigned: list[str]
    units: Units


def listing_of(tree: Tree, manifest: Manifest, only: tuple[str, ...], *, ignore_unsigned: bool) -> Listing:
    """Hold the names that were signed against those that are there, and lengths where ranges say them.

    Args:
        tree: The open artifact, untrusted.
        manifest: Verified.
        only: Shell patterns of names to compare; empty means all.
        ignore_unsigned: Tolerate files nobody signed.

    Raises:
        VerificationError: ``file-missing``, ``unsigned-file`` or ``digest-mismatch``.
        UsageError: ``nothing-selected``.
    """
    parts = manifest.columns
    paths = _paths(tree, parts)
    names = tuple(dict.fromkeys(paths)) if parts.ranged else paths
    chosen = _chosen(names, only)
    wanted = frozenset(chosen) if only else None
    indexes = range(len(paths)) if wanted is None else [i for i, path in enumerate(paths) if path in wanted]
    places, unsigned = _places(tree.files, paths)
    missing = sorted({paths[index] for index in indexes if places[index] < 0})
    if missing or (unsigned and not ignore_unsigned):
        raise _differs(missing, [] if ignore_unsigned else unsigned)
    units = Units(tree.files, parts, indexes, places)
    if parts.ranged:
        _check_lengths(units)
    skipped = [] if wanted is None else sorted(name for name in names if name not in wanted)
    return Listing(chosen, skipped, unsigned, units)


def _paths(tree: Tree, parts: Resources) -> tuple[str, ...]:
    """Return the file of every part; the reference's ``.`` means the one file of a single-file model."""
    paths = tuple(parts.paths())
    if paths[0] != SINGLE:  # which is alone, where it is one
        return paths
    if not tree.single:
        raise VerificationError("file-missing", "a single file was signed, but this is a folder")
    return (tree.files[0].name,) * len(paths)


def _places(files: Files, paths: Sequence[str]) -> tuple[array[int], list[str]]:
    """Return where the files of the parts are, or -1; and the names that are of no part."""
    places, seen = array("q"), bytearray(len(files))
    last, place = "", -1
    for path in paths:
        if path != last:
            found = files.find(path, place + 1)
            place, last = -1 if found is None else found, path
        places.append(place)
        if place >= 0:
            seen[place] = True
    return places, [files.names[place] for place, known in enumerate(seen) if not known]


def _chosen(names: tuple[str, ...], only: tuple[str, ...]) -> tuple[str, ...]:
    """Return the signed names that are to be compared; a pattern that selects none is a mistake."""
    if not only:
        return names
    chosen = tuple(name for name in names if any(fnmatch.fnmatchcase(name, glob) for glob in only))
    for glob in only:
        if not any(fnmatch.fnmatchcase(name, glob) for name in chosen):
            raise UsageError("nothing-selected", f"no signed file matches --only {glob!r}", only=glob)
    return chosen


def _check_lengths(units: Units) -> None:
    """A file longer or shorter than its signed ranges holds bytes nobody signed, or lacks some."""
    ends: dict[TreeFile, int] = {}
    for unit in units:
        ends[unit.file] = max(unit.end, ends.get(unit.file, 0))
    wrong = [file.name for file, end in ends.items() if end != file.stamp.size]
    if wrong:
        raise mismatch(sorted(wrong))


def mismatch(names: list[str]) -> VerificationError:
    """Build the error for files that are not what was signed."""
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
