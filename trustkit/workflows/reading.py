"""What the sealing stories read beside files: documents of a sealed folder, and a bundle a second time.

The law of this file: what is missing is said by name, and what is read twice
must be the same both times.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.artifact.inputs import read_input
from trustkit.attest import bundle as bundles
from trustkit.digest import digest_of
from trustkit.errors import UnavailableError, UsageError, VerificationError
from trustkit.verifying.compare import Verified

if TYPE_CHECKING:
    from trustkit.sealing.documents import SealedDocuments
    from trustkit.storage.source import Source


def documents_of(source: Source, folder: Path) -> SealedDocuments:
    """Read the three documents of a sealed folder, untrusted.

    Raises:
        UsageError: ``not-sealed``: one of them is missing.
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
            raise UsageError("not-sealed", f"{str(folder)!r} is no sealed folder: it lacks {name}") from None
    return names.SealedDocuments(found[names.DESCRIPTOR], found[names.SIGNATURE], found[names.RECIPIENTS])


def bundle_again(source: Path, verified: Verified) -> bytes:
    """Read the author's bundle again, and make sure it is the one that was verified."""
    raw = read_input(source, max_bytes=bundles.MAX_BYTES, what="bundle")
    if not digest_of(raw).matches(verified.signed.bundle_digest):
        raise VerificationError("file-changed", f"{str(source)!r} changed while it was read; run again")
    return raw
