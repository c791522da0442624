"""The bundle on a disk: what counts as one, and how it gets there. Shared by all that signs.

The law of this file: nothing but a bundle is replaced, and whoever replaces one
holds its folder while he counts whose signatures go with it.
"""

from __future__ import annotations

import time
from pathlib import Path

from trustkit.artifact.inputs import read_input
from trustkit.attest import bundle as bundles
from trustkit.errors import LimitError, TrustkitError
from trustkit.signing.key import Signer
from trustkit.storage.held import Pause, hold
from trustkit.storage.local import write_new
from trustkit.workflows.remarks import replaced_others


def is_bundle(path: Path) -> bool:
    """Say whether a bundle lies there; anything else is not ours to replace."""
    try:
        bundles.parse_bundle(read_input(path, max_bytes=bundles.MAX_BYTES, what="bundle"))
    except TrustkitError:
        return False
    return True


def write_bundle(
    target: Path, raw: bytes, *, signer: Signer, overwrite: bool, pause: Pause = time.sleep
) -> tuple[str, ...]:
    """Write a bundle in one step.

    Args:
        target: Where it goes.
        raw: Its bytes.
        signer: Whose it is.
        overwrite: Replace a bundle that lies there.
        pause: Waits a moment while another run replaces it.

    Returns:
        What the signer should know of the bundle that was replaced.

    Raises:
        LimitError: ``too-large``: it would not be read again.
        UsageError: ``output-exists``.
        UnavailableError: ``folder-held``, ``unwritable``.
    """
    if len(raw) > bundles.MAX_BYTES:
        raise LimitError(
            "too-large", f"the bundle would be larger than {bundles.MAX_BYTES} bytes; sign parts"
        )
    with hold(target.parent, pause=pause):  # as whoever adds a signature does
        lost = _lost(target, signer) if overwrite else None
        write_new(target, raw, overwrite=overwrite)
    return () if lost is None else (lost,)


def _lost(target: Path, signer: Signer) -> str | None:
    try:
        before = read_input(target, max_bytes=bundles.MAX_BYTES, what="bundle")
    except TrustkitError:
        return None
    return replaced_others(before, signer)
