"""What is said of an artifact beside its digests: its name, and what to beware of.

The law of this file: remarks are for people. Nothing is refused or believed for one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from trustkit.artifact.inputs import decoded
from trustkit.artifact.leaving_out import needless
from trustkit.artifact.names import check_name
from trustkit.artifact.tree import Tree, hard_linked
from trustkit.attest.bundle import CertificateChain, parse_bundle
from trustkit.errors import FormatError, LimitError, TrustkitError
from trustkit.signing.key import Signer
from trustkit.verifying.presenting import presents_key, unvouched

_PATTERN = frozenset("*?[")


def subject_name(path: Path) -> str:
    """Return the folder's own name where others can read it; nothing rests on it."""
    try:
        return check_name(decoded(Path(os.path.realpath(path)).name))
    except (FormatError, LimitError):
        return "model"


def warnings_of(tree: Tree, ignore: Sequence[str], signer: Signer) -> Iterator[str]:
    """Yield what a signer should know although nothing is wrong."""
    linked = list(hard_linked(tree))
    if linked:
        count = f"{len(linked)} such file{'s' if len(linked) > 1 else ''}"
        yield f"{linked[0]!r} has other hard links, through which it can be changed ({count})"
    for name in needless(tree, ignore):
        literal = " (a name is taken as it is, and no pattern)" if _PATTERN & set(name) else ""
        yield f"there is no {name!r} to ignore{literal}; whatever appears there later will be ignored"
    missing = unvouched(signer.material)
    if missing is not None:
        yield missing


def replaced_others(untrusted: bytes, signer: Signer) -> str | None:
    """Say how many signatures of other keys a bundle bears that is about to be replaced; None for none.

    Nothing is verified: a bundle says by which key its first signature is, and nothing of those that were
    added. What does not parse says nothing.
    """
    try:
        bundle = parse_bundle(untrusted)
        own = presents_key(bundle.material, signer.public_pem(), signer.fingerprint)
    except TrustkitError:
        return None
    count = len(bundle.envelope.signatures) - own
    if count == 0:
        return None
    most = "up to " if not own and count > 1 else ""  # one that was added may be of this key
    noun = "signature of another key" if count == 1 else "signatures of other keys"
    again = "`sign --add` by them adds theirs again"
    if isinstance(bundle.material, CertificateChain) and not own:
        again = "one with a certificate has to come first: let its owner sign anew, and add the others"
    return f"{most}{count} {noun} went with the replaced bundle; {again}"
