"""What the stories read beside files: the bundle of an artifact, the documents of a sealed folder.

The law of this file: what is missing is said by name, and nothing is listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.artifact.inputs import is_file, of_file, read_input, status_of
from trustkit.artifact.leaving_out import SIGNATURE
from trustkit.attest import bundle as bundles
from trustkit.errors import (
    FormatError,
    LimitError,
    SealError,
    UnavailableError,
    UsageError,
    VerificationError,
)

if TYPE_CHECKING:
    from trustkit.sealing.documents import SealedDocuments
    from trustkit.storage.source import Source


def bundle_at(place: Path, *, named: bool) -> bytes:
    """Read a bundle; where nobody named it, what lies in its place is the artifact's fault and no mistake.

    Args:
        place: Where it lies.
        named: Whether the caller said so.

    Raises:
        UsageError: ``no-such-file``; ``special-file`` for one that was named.
        FormatError: ``special-file`` for one that was not.
        LimitError, UnavailableError: It is too large, or cannot be read.
    """
    if not named and status_of(place) is not None and not is_file(place):
        raise FormatError(
            "special-file", f"{str(place)!r} is not a regular file, and a bundle belongs there; remove it"
        )
    return read_input(place, max_bytes=bundles.MAX_BYTES, what="bundle")


def about_bundle(place: Path) -> AbstractContextManager[None]:
    """Let what is wrong with the form of a bundle begin with its name; who signed it is another question."""
    return of_file(place, kinds=(FormatError, LimitError))


def unsigned(path: Path, place: Path) -> VerificationError:
    """Build the error for an artifact without a bundle at *place*, and say what else may have been meant."""
    advice = "name its bundle with --bundle, or ask its author to sign it"
    if path.name == SIGNATURE:
        advice = f"{str(path)!r} is a signature itself; verify what it signs, the folder {str(path.parent)!r}"
    elif path.suffix == ".sig" and is_file(path.with_suffix("")):
        advice = f"{str(path)!r} is a signature itself; verify what it signs, {str(path.with_suffix(''))!r}"
    elif is_file(path) and is_file(path.parent / SIGNATURE):
        advice = (
            f"{str(path.parent / SIGNATURE)!r} may cover it; verify the folder {str(path.parent)!r}, "
            f"with --only {path.name!r} where the rest of it is not to be compared"
        )
    return VerificationError("unsigned", f"there is no signature at {str(place)!r}; {advice}")


def documents_of(source: Source, folder: Path) -> SealedDocuments:
    """Read the three documents of a sealed folder, untrusted.

    Raises:
        UsageError: ``not-sealed``: one of them is missing.
        SealError: ``shredded``: its wrapped keys were destroyed, and that was recorded.
        LimitError, UnavailableError: It is too large, or cannot be read.
    """
    from trustkit.sealing import documents as names
    from trustkit.sealing.recipients import MAX_BYTES

    found = {}
    for name, cap in (
        (names.DESCRIPTOR, bundles.MAX_BYTES),
        (names.RECIPIENTS, MAX_BYTES),
        (names.SIGNATURE, bundles.MAX_BYTES),
    ):
        try:
            found[name] = source.document(name, max_bytes=cap)
        except UnavailableError as error:
            if error.code != "not-found":
                raise
            if name == names.RECIPIENTS and was_shredded(source):
                raise SealError(
                    "shredded", f"the keys of {str(folder)!r} were destroyed; {names.SHREDDED} says when"
                ) from None
            raise not_sealed(folder, name) from None
    return names.SealedDocuments(found[names.DESCRIPTOR], found[names.SIGNATURE], found[names.RECIPIENTS])


def was_shredded(source: Source) -> bool:
    """Say whether a sealed folder holds the record of a shredding."""
    from trustkit.sealing.documents import SHREDDED

    try:
        source.length(SHREDDED)
    except UnavailableError as error:
        if error.code != "not-found":
            raise
        return False
    return True


def not_sealed(folder: Path, name: str) -> UsageError:
    """Build the error for a folder that lacks a document."""
    return UsageError("not-sealed", f"{str(folder)!r} is no sealed folder: it lacks {name}")


@contextmanager
def all_here(folder: Path) -> Iterator[None]:
    """Read what was signed from a folder of this machine, where what is missing is evidence.

    A store that lacks a file may get it, so there it is no answer yet; here it is another artifact.

    Raises:
        VerificationError: ``file-missing``.
    """
    try:
        yield
    except UnavailableError as error:
        if error.code != "not-found":
            raise
        name = error.evidence["name"]
        raise VerificationError(
            "file-missing",
            f"{name!r} is signed but missing in {str(folder)!r}; get the folder again",
            missing=[name],
        ) from None
