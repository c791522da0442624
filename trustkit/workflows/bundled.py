"""The bundle on a disk: what counts as one, and how it gets there. Shared by all that signs."""

from __future__ import annotations

import time
from pathlib import Path

from trustkit.artifact.inputs import read_input
from trustkit.attest import bundle as bundles
from trustkit.errors import LimitError, TrustkitError
from trustkit.storage.held import Pause, write_held


def is_bundle(path: Path) -> bool:
    """Say whether a bundle lies there; anything else is not ours to replace."""
    try:
        bundles.parse_bundle(read_input(path, max_bytes=bundles.MAX_BYTES, what="bundle"))
    except TrustkitError:
        return False
    return True


def write_bundle(target: Path, raw: bytes, *, overwrite: bool, pause: Pause = time.sleep) -> None:
    """Write a bundle in one step.

    Args:
        target: Where it goes.
        raw: Its bytes.
        overwrite: Replace a bundle that lies there.
        pause: Waits a moment while another run replaces it.

    Raises:
        LimitError: ``too-large``: it would not be read again.
        UsageError: ``output-exists``.
        UnavailableError: ``folder-held``, ``unwritable``.
    """
    if len(raw) > bundles.MAX_BYTES:
        raise LimitError(
            "too-large", f"the bundle would be larger than {bundles.MAX_BYTES} bytes; sign parts"
        )
    write_held(target, raw, overwrite=overwrite, pause=pause)
