"""The story of a second signature: another signer joins a bundle, and nothing in it is lost.

The law of this file: what is signed is the payload that lies there, byte for
byte, and only if it describes the artifact as it is. A bundle has room for the
material of its first signer alone, so who joins must be known by the key: a
certificate could not be carried (FORMAT.md, section 11). The bundle is replaced in
one step, after it was verified under the new key as anybody would; before that
the new signature is in memory only. Nobody else changes it in that step, and it
is replaced only if it still is what was read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from trustkit.artifact import outputs
from trustkit.artifact.hashing import Progress
from trustkit.artifact.inputs import read_input, status_of
from trustkit.artifact.leaving_out import CLAIMS, SIGNATURE
from trustkit.attest import bundle as bundles
from trustkit.attest.dsse import Signature, pae
from trustkit.attest.statement import FILES_AS_SUBJECTS, parse_statement
from trustkit.errors import UsageError, VerificationError
from trustkit.signing.key import Signer
from trustkit.storage.held import Pause, write_held
from trustkit.verifying.compare import Verified, verify_tree
from trustkit.verifying.policy import policy_from_keys
from trustkit.verifying.signers import has_signed
from trustkit.workflows.bundled import is_bundle
from trustkit.workflows.places import AnyPath, place_of, places_of
from trustkit.workflows.reading import about_bundle, bundle_at
from trustkit.workflows.signed import Signed
from trustkit.workflows.verified import believe
from trustkit.workflows.workers import cores

_NAMED = 10
_CHANGED = frozenset(("digest-mismatch", "file-missing", "unsigned-file"))


def add_signature(
    path: AnyPath,
    signer: Signer,
    *,
    bundle: AnyPath | None = None,
    inputs: Sequence[AnyPath] = (),
    workers: int | None = None,
    pause: Pause = time.sleep,
    progress: Progress | None = None,
) -> Signed:
    """Sign what an existing bundle signs, once the artifact was held against it.

    Args:
        path: Folder or file that was signed.
        signer: Holder of another author's key.
        bundle: Where the bundle lies; `default_bundle` where absent.
        inputs: Files that the bundle may not be.
        workers: Hashing threads; one per core where absent.
        pause: Waits a moment while another run replaces the bundle.
        progress: Told of every buffer hashed.

    Raises:
        UsageError: ``no-such-path``, ``no-such-file``, ``output-is-input``, ``key-inside-model``,
            ``already-signed``, ``certificate-not-first``; ``not-replaceable``, also for a link.
        VerificationError: ``unsigned``, ``digest-mismatch`` and whatever `verify` says of the artifact;
            ``wrong-predicate-type``, also for the work of model-signing 0.2.0;
            ``file-changed`` if somebody else wrote the bundle meanwhile.
        UnavailableError: ``folder-held``, ``unwritable``.
        FormatError: The bundle or its manifest does not parse; ``unsupported-material`` if it is keyless.
        LimitError: ``too-many-signatures``, or over another cap.
    """
    _demand_key(signer)
    path, target = places_of(path, bundle)
    read = [place_of(given) for given in inputs]
    status = status_of(target)
    if bundle is None and status is None:
        raise VerificationError(
            "unsigned", f"there is no signature at {str(target)!r} to add to; sign it first, without --add"
        )
    before = bundle_at(target, named=bundle is not None)
    outputs.check_output(target, inputs=read, overwrite=True, replaceable=is_bundle)
    _demand_itself(target)
    with about_bundle(target):
        after, count = _grown(before, signer, target)
    believed = believe(path, policy_from_keys(signer.public_pem()), bundle=target, raw=after)
    signed = believed.signed
    with _or_anew():
        found = verify_tree(path, signed, skip=believed.skip, workers=workers or cores(), progress=progress)
    with closing(found) as verified:
        outputs.check_not_inside(read, path, verified.tree)
        warnings = tuple(_accepted(verified, known=frozenset((SIGNATURE, CLAIMS)) | believed.skip))

    def unchanged() -> None:
        _demand_itself(target)
        if _read(target) != before:
            raise VerificationError("file-changed", f"{str(target)!r} changed meanwhile; run again")

    mode = None if status is None else status.st_mode & 0o777
    write_held(target, after, overwrite=True, pause=pause, mode=mode, check=unchanged)
    return Signed(signed.manifest, target, verified.bytes, warnings, signatures=count)


@contextmanager
def _or_anew() -> Iterator[None]:
    """Say of an artifact that is not what the bundle describes how it is signed as it is now."""
    try:
        yield
    except VerificationError as error:
        if error.code not in _CHANGED:
            raise
        advice = "if it was meant to change, sign it anew with --overwrite, without --add"
        raise VerificationError(error.code, f"{error.message}; {advice}", **error.evidence) from None


def _demand_key(signer: Signer) -> None:
    if isinstance(signer.material, bundles.CertificateChain):
        raise UsageError(
            "certificate-not-first",
            "a bundle carries the certificates of its first signer alone; sign with the certificate first, "
            "and add signatures of plain keys",
        )


def _demand_itself(target: Path) -> None:
    if target.is_symlink():
        raise UsageError(
            "not-replaceable", f"{str(target)!r} is a link to a bundle; name the bundle itself with --bundle"
        )


def _read(target: Path) -> bytes:
    return read_input(target, max_bytes=bundles.MAX_BYTES, what="bundle")


def _grown(before: bytes, signer: Signer, target: Path) -> tuple[bytes, int]:
    """Return the bundle with one signature more, and how many it bears then."""
    envelope = bundles.parse_bundle(before).envelope
    if parse_statement(envelope.payload, max_bytes=bundles.MAX_BYTES).predicate_type == FILES_AS_SUBJECTS:
        raise VerificationError(
            "wrong-predicate-type",
            "the bundle is in the form of model-signing 0.2.0, to which nothing is added; sign anew",
        )
    message = pae(envelope.payload_type, envelope.payload)
    if has_signed(signer.public_pem(), message, envelope):
        raise UsageError(
            "already-signed",
            f"this key has signed {str(target)!r} already, and it was left as it is: a key counts once; "
            "add another author's, or sign anew with --overwrite, without --add, if the artifact has changed",
            bundle=str(target),
            fingerprint=str(signer.fingerprint),
        )
    return bundles.with_signature(before, Signature(signer.sign(message))), len(envelope.signatures) + 1


def _accepted(verified: Verified, *, known: frozenset[str]) -> Iterator[str]:
    """Yield what the first signer chose, and whoever signs the same now answers for as well."""
    manifest = verified.signed.manifest
    names = [name for name in manifest.ignore_paths if name not in known and verified.tree.ignores(name)]
    if names:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield f"what you signed leaves out {', '.join(map(repr, names[:_NAMED]))}{more}, which nobody signed"
    if manifest.allow_symlinks:
        yield "what you signed allows links that stay inside the model"
