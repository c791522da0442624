"""Certificates as the reference's interface takes them: PEM files, each with one certificate or many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.compat.model_signing.telling import tell

if TYPE_CHECKING:
    from trustkit.verifying.policy import VerificationPolicy


def joined(files: Iterable[Path]) -> bytes:
    """Return what some PEM files hold, one after the other.

    Raises:
        UsageError, FormatError, LimitError, UnavailableError: A file cannot be read.
    """
    from trustkit.artifact.inputs import read_input
    from trustkit.signing.certificate import MAX_CHAIN_BYTES

    return b"\n".join(read_input(path, max_bytes=MAX_CHAIN_BYTES, what="certificate") for path in files)


def log_fingerprints(policy: VerificationPolicy, bundle: Path) -> None:
    """Log the SHA-256 of every root that is believed, and of what a bundle brings, which proves nothing.

    Raises:
        UsageError, FormatError, LimitError, UnavailableError: The bundle cannot be read.
    """
    from trustkit.verifying.authorities import CertificateAuthority, root_fingerprints

    for authority in policy.authorities:
        if isinstance(authority, CertificateAuthority):
            for digest in root_fingerprints(authority):
                tell("info", f"root, believed: {digest}")
    for digest in _presented(bundle):
        tell("info", f"in the signature, not yet verified: {digest}")


def _presented(bundle: Path) -> Iterator[str]:
    from trustkit.artifact.inputs import read_input
    from trustkit.attest.bundle import MAX_BYTES, CertificateChain, parse_bundle
    from trustkit.digest import digest_of

    material = parse_bundle(read_input(bundle, max_bytes=MAX_BYTES, what="bundle")).material
    if isinstance(material, CertificateChain):
        yield from (str(digest_of(certificate)) for certificate in material.certificates)
