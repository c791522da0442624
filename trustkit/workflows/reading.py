"""What the sealing stories read beside files: the documents of a sealed folder.

The law of this file: what is missing is said by name, and nothing is listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.attest import bundle as bundles
from trustkit.errors import SealError, UnavailableError, UsageError, VerificationError

if TYPE_CHECKING:
    from trustkit.sealing.documents import SealedDocuments
    from trustkit.storage.source import Source


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
