"""The stories of sealing and opening, step by step; each step lives in a room of its own.

The law of this file: nothing is sealed that its author did not sign, nothing is
opened before publisher and author were verified, and a folder appears whole or
not at all. Rooms that hold keys are loaded only when one of these is told.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.artifact import outputs
from trustkit.artifact.hashing import Progress
from trustkit.artifact.tree import Tree
from trustkit.attest import bundle as bundles
from trustkit.digest import Digest, digest_of
from trustkit.errors import LimitError, UsageError
from trustkit.signing.key import Signer
from trustkit.verifying.compare import match_tree
from trustkit.verifying.policy import VerificationPolicy
from trustkit.workflows.places import AnyPath, Clock, default_bundle, place_of
from trustkit.workflows.reading import all_here, documents_of
from trustkit.workflows.recipients import check_apart
from trustkit.workflows.signed import signed_statement
from trustkit.workflows.verified import Believed, believe
from trustkit.workflows.workers import cores

if TYPE_CHECKING:
    from trustkit.sealing.descriptor import Descriptor, WrapContext
    from trustkit.sealing.keys import Dek
    from trustkit.sealing.recipients import Opener, Recipient
    from trustkit.storage.staging import Staging
    from trustkit.verifying.sealed import VerifiedSealed

Entropy = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Sealed:
    """What `seal` made: the descriptor it signed, the manifest behind it, and where the folder lies.

    Attributes:
        descriptor_digest: SHA-256 of the bytes of the descriptor's bundle: what a sidecar insists on.
    """

    descriptor: Descriptor
    descriptor_digest: Digest
    manifest_digest: Digest
    output: Path
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Opened:
    """What `open_sealed` published: the proof, where, and how much of it."""

    signed: VerifiedSealed
    output: Path
    files: int
    bytes: int


def seal(
    path: AnyPath,
    signer: Signer,
    *,
    output: AnyPath,
    line: str,
    version: int,
    recipients: Sequence[Recipient],
    policy: VerificationPolicy,
    bundle: AnyPath | None = None,
    inputs: Sequence[AnyPath] = (),
    entropy: Entropy = os.urandom,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Sealed:
    """Seal a signed artifact into a new folder of ciphertext, descriptor and wrapped keys.

    Args:
        path: Folder or file, with its author's bundle.
        signer: Holder of the publisher's key.
        output: The folder to make; must not exist, nor lie inside the artifact.
        line: Which line it is a version of, such as ``acme/tiny-llm``.
        version: From 1.
        recipients: Who may open it.
        policy: Whom we believe as its author.
        bundle: Where the author's bundle lies; `default_bundle` where absent.
        inputs: Files that the output may not be.
        entropy: Where keys and nonces come from.
        workers: Threads; one per core where absent.
        progress: Told of every chunk that was sealed.

    Raises:
        UsageError: ``output-exists``, ``output-is-input``, ``no-recipients``, ``duplicate-recipient``,
            ``recipient-signs``, ``line-not-in-policy``.
        VerificationError: As `verify`; ``file-changed``.
        FormatError: ``bad-line``, ``bad-version``.
        DeniedError, UnavailableError: What the key service of a recipient says, before anything is sealed.
    """
    from trustkit.sealing.keys import generate_dek
    from trustkit.storage.staging import Staging

    path, output = place_of(path), place_of(output)
    source = default_bundle(path) if bundle is None else place_of(bundle)
    outputs.check_output(output, inputs=(path, source, *map(place_of, inputs)), overwrite=None)
    outputs.check_apart(output, path)
    _check_terms(line, version, recipients, policy)
    check_apart(recipients, policy, signer.fingerprint)
    believed = believe(path, policy, bundle=bundle)
    check_apart(recipients, policy, *(author.fingerprint for author in believed.signed.signers))
    with (
        match_tree(path, believed.signed, skip=believed.skip) as tree,
        generate_dek(entropy) as dek,
        Staging(output, token=entropy(16).hex()) as staging,
    ):
        sealing = _Sealing(believed, tree, staging, dek, entropy)
        context = sealing.context(line, version, signer.fingerprint)
        wrapped = sealing.wrapped(context, recipients)  # a service may refuse; hours later is too late
        descriptor = sealing.parts(context, workers=workers or cores(), progress=progress)
        tree.check_unchanged()
        digest = sealing.documents(descriptor, signer, wrapped)
        staging.publish(**modes_by_umask())
    size = sum(part.plaintext_length for part in descriptor.parts)
    return Sealed(descriptor, digest, descriptor.manifest_digest, output, len(descriptor.parts), size)


@dataclass(frozen=True, slots=True)
class _Sealing:
    """One sealing in progress: what is sealed, where it goes, and under which key."""

    believed: Believed
    tree: Tree
    staging: Staging
    dek: Dek
    entropy: Entropy

    def context(self, line: str, version: int, publisher_key: Digest) -> WrapContext:
        """Name a data key and what its wraps are bound to: all of it is known before anything is sealed."""
        from trustkit.attest.predicates.sealed import MAX_PARTS
        from trustkit.sealing.descriptor import WrapContext
        from trustkit.sealing.keys import commitment, generate_dek_id

        if len(self.tree.files) > MAX_PARTS:
            raise LimitError("too-many-parts", f"more than {MAX_PARTS} files; seal parts", limit=MAX_PARTS)
        dek_id = generate_dek_id(self.entropy)
        return WrapContext(
            line=line,
            version=version,
            dek_id=dek_id,
            publisher_key=publisher_key,
            manifest_digest=self.believed.signed.manifest.manifest_digest,
            key_commitment=commitment(self.dek, dek_id),
        )

    def wrapped(self, context: WrapContext, recipients: Sequence[Recipient]) -> bytes:
        """Wrap the data key for all, in a document."""
        from trustkit.sealing.recipients import wrap_document

        return wrap_document(self.dek, context, recipients)

    def parts(self, context: WrapContext, *, workers: int, progress: Progress | None) -> Descriptor:
        """Seal every file, and describe what that made."""
        from trustkit.sealing.descriptor import SUITE_FLOE_AES256GCM, Descriptor
        from trustkit.storage.sealing_folder import Terms, seal_parts

        terms = Terms(context.line, context.version, context.dek_id, context.manifest_digest)
        parts = seal_parts(
            self.tree,
            self.believed.signed.manifest,
            self.staging,
            terms=terms,
            dek=self.dek,
            entropy=self.entropy,
            workers=workers,
            progress=progress,
        )
        return Descriptor(
            line=context.line,
            version=context.version,
            suite=SUITE_FLOE_AES256GCM,
            segment_length=terms.parameters.segment_length,
            dek_id=context.dek_id,
            key_commitment=context.key_commitment,
            publisher_key=context.publisher_key,
            manifest_digest=context.manifest_digest,
            parts=parts,
        )

    def documents(self, descriptor: Descriptor, signer: Signer, wrapped: bytes) -> Digest:
        """Write the signed descriptor and the wrapped keys beside the author's bundle; return its digest."""
        from trustkit.attest.predicates.sealed import statement_of_sealed
        from trustkit.sealing import documents as names

        root_digest = self.believed.signed.manifest.root_digest
        statement = statement_of_sealed(descriptor, root_digest=root_digest)
        raw = signed_statement(statement, signer)
        if len(raw) > bundles.MAX_BYTES:
            raise LimitError(
                "too-large", f"the descriptor would be larger than {bundles.MAX_BYTES} bytes; seal parts"
            )
        self.staging.write(names.DESCRIPTOR, raw)
        self.staging.write(names.RECIPIENTS, wrapped)
        self.staging.write(names.SIGNATURE, self.believed.bundle)
        return digest_of(raw)


def modes_by_umask() -> dict[str, int]:
    """What others may do with a folder is said by the caller's umask, here as everywhere."""
    mask = os.umask(0o077)  # there is no way to ask without setting it; for this instant it is stricter
    os.umask(mask)
    return {"file_mode": 0o644 & ~mask, "folder_mode": 0o755 & ~mask}


def _check_terms(
    line: str, version: int, recipients: Sequence[Recipient], policy: VerificationPolicy
) -> None:
    """Refuse what could not be described or opened before hours are spent on hashing."""
    from trustkit.sealing.descriptor import check_line, check_version
    from trustkit.sealing.recipients import check_recipients

    check_line(line)
    check_version(version)
    check_recipients(recipients)
    if policy.lines is not None and line not in policy.lines:
        raise UsageError(
            "line-not-in-policy",
            f"the policy does not speak for the line {line!r}; add it there",
        )


def open_sealed(
    folder: AnyPath,
    openers: Sequence[Opener],
    policy: VerificationPolicy,
    *,
    output: AnyPath,
    inputs: Sequence[AnyPath] = (),
    entropy: Entropy = os.urandom,
    now: Clock = time.time,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Opened:
    """Open a sealed folder: publisher and author are verified, then every byte, then it is published.

    Args:
        folder: The sealed folder, untrusted.
        openers: Holders of private keys.
        policy: Whom to believe, as publisher and as author.
        output: The folder to make; must not exist.
        inputs: Files that the output may not be.
        entropy: Where the name of the staging folder comes from.
        now: Seconds since the epoch, for certificates of signers.
        workers: Threads; one per core where absent.
        progress: Told of every chunk that was opened.

    Raises:
        UsageError: ``output-exists``, ``output-is-input``, ``not-sealed``.
        VerificationError: As `trustkit.verifying.sealed.verify_sealed`; ``unsigned``, ``digest-mismatch``,
            ``file-missing``.
        SealError: ``no-matching-opener``, ``wrong-context``, ``tampered``, ``truncated``, ``trailing-bytes``.
    """
    from trustkit.sealing.recipients import unwrap_document
    from trustkit.storage.delivery import NEAR, deliver_sealed
    from trustkit.storage.local import LocalSource
    from trustkit.storage.staging import Staging
    from trustkit.verifying.sealed import verify_sealed

    folder, output = place_of(folder), place_of(output)
    outputs.check_output(output, inputs=(folder, *map(place_of, inputs)), overwrite=None)
    outputs.check_apart(output, folder)
    with closing(LocalSource(folder)) as source, all_here(folder):
        documents = documents_of(source, folder)
        signed = verify_sealed(documents, policy, at=now())
        with (
            unwrap_document(documents.recipients, signed.descriptor.context, openers) as dek,
            Staging(output, token=entropy(16).hex()) as staging,
        ):
            size = deliver_sealed(
                source,
                signed.descriptor,
                signed.author.manifest,
                staging,
                dek=dek,
                workers=workers or cores(),
                range_bytes=NEAR,
                progress=progress,
            )
            staging.publish(**modes_by_umask())
    return Opened(signed, output, len(signed.descriptor.parts), size)
