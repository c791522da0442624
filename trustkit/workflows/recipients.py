"""The stories of who may open: recipients of a sealed folder are added, removed, or all destroyed.

The law of this file: neither ciphertext nor descriptor is touched, so what was
signed stays signed and caches stay warm. A key is unwrapped only in the context
of a descriptor whose publisher and author were verified, as in opening. The old
recipients document stays until the new one is whole; a record is written before
anything is destroyed.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.digest import Digest, digest_of
from trustkit.errors import FormatError, LimitError, UnavailableError, UsageError
from trustkit.verifying.policy import VerificationPolicy
from trustkit.workflows.places import AnyPath, Clock, place_of
from trustkit.workflows.reading import documents_of, not_sealed, was_shredded

if TYPE_CHECKING:
    from trustkit.sealing.descriptor import Descriptor
    from trustkit.sealing.parties import Deletion, Destroyer, Opener, Recipient
    from trustkit.sealing.recipients import Name
    from trustkit.storage.local import LocalSource


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What `rewrap` left: the verified descriptor, unchanged, and whom its key is wrapped for now."""

    descriptor: Descriptor
    recipients: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Shredded:
    """What `shred` destroyed, as the document told it; nothing where that told nothing.

    Attributes:
        record: Where the record lies.
        dek_id: The data key that nobody can unwrap from here any more.
        recipients: Whom it was wrapped for.
        deletions: Keys of services that are to be deleted, by this run or one before.
        before: Whether a run before had destroyed it already.
    """

    record: Path
    dek_id: str | None
    recipients: tuple[Name, ...]
    deletions: tuple[Deletion, ...]
    before: bool


def rewrap(
    folder: AnyPath,
    openers: Sequence[Opener],
    policy: VerificationPolicy,
    *,
    add: Sequence[Recipient] = (),
    remove: Collection[Digest] = (),
    now: Clock = time.time,
) -> Rewrapped:
    """Wrap the data key of a sealed folder for others, and replace its recipients document in one step.

    Args:
        folder: The sealed folder, untrusted.
        openers: Holders of private keys, one of which must open it.
        policy: Whom to believe, as publisher and as author.
        add: Who may open it as well.
        remove: Key IDs of those whose wraps are left out.
        now: Seconds since the epoch, for certificates of signers.

    Raises:
        UsageError: ``not-sealed``, ``no-changes``, ``not-a-recipient``, ``duplicate-recipient``,
            ``no-recipients``, ``recipient-signs``.
        VerificationError: As `trustkit.verifying.sealed.verify_sealed`.
        SealError: ``no-matching-opener``, ``wrong-context``, ``key-commitment-mismatch``, ``shredded``.
        UnavailableError: ``folder-held``, ``unwritable``; the old document is still there.
    """
    from trustkit.sealing.documents import RECIPIENTS
    from trustkit.sealing.recipients import recipients_of, rewrap_document, unwrap_document
    from trustkit.storage.held import hold
    from trustkit.storage.local import LocalSource, write_new
    from trustkit.verifying.sealed import verify_sealed

    folder = place_of(folder)
    if not add and not remove:
        raise UsageError("no-changes", "name recipients to add or to remove")
    with hold(folder), closing(LocalSource(folder)) as source:
        documents = documents_of(source, folder)
        verified = verify_sealed(documents, policy, at=now())
        descriptor = verified.descriptor
        authors = (author.fingerprint for author in verified.author.signers)
        check_apart(add, policy, descriptor.publisher_key, *authors)
        with unwrap_document(documents.recipients, descriptor.context, openers) as dek:
            raw = rewrap_document(documents.recipients, descriptor.context, dek, add=add, remove=remove)
        write_new(folder / RECIPIENTS, raw, overwrite=True)
    return Rewrapped(descriptor, recipients_of(raw))


def shred(
    folder: AnyPath,
    *,
    destroyers: Sequence[Destroyer] = (),
    pending_days: int = 30,
    now: Clock = time.time,
) -> Shredded:
    """Destroy the wrapped keys of a sealed folder, and leave a record of it in their place.

    Nothing is verified and no key is needed: whoever may write to the folder could remove the document
    as well. A run that was cut short is finished by the next. Keys of services are deleted only where the
    caller names them: what an unsigned document names may be anybody's.

    Args:
        folder: The sealed folder.
        destroyers: Keys of services to have deleted as well; the document must name each. They are asked
            first, so that nothing is destroyed where one refuses.
        pending_days: How long a service keeps such a key.
        now: Seconds since the epoch, for the record.

    Raises:
        UsageError: ``not-sealed``, ``no-such-folder``, ``not-a-recipient``.
        FormatError: ``symlink`` or ``special-file`` in place of a document.
        DeniedError, UnavailableError: What a service says; the wrapped keys are still there.
        UnavailableError: ``folder-held``, ``unwritable``; the wrapped keys may still be there.
    """
    from trustkit.sealing.documents import DESCRIPTOR, RECIPIENTS, SHREDDED
    from trustkit.sealing.shredded import record_to_bytes
    from trustkit.storage.held import destroy, hold
    from trustkit.storage.local import LocalSource, write_new

    folder = place_of(folder)
    record = folder / SHREDDED
    with hold(folder) as held, closing(LocalSource(folder)) as source:
        descriptor = _read(source, DESCRIPTOR)
        if descriptor is None:
            raise not_sealed(folder, DESCRIPTOR)
        recorded, raw = was_shredded(source), _read(source, RECIPIENTS)
        earlier = _deletions(source) if recorded else ()
        if raw is None:
            if not recorded:
                raise not_sealed(folder, RECIPIENTS)
            _check_named(destroyers, ((deletion.kind, deletion.key_id) for deletion in earlier), SHREDDED)
            return Shredded(record, None, (), earlier, before=True)
        dek_id, recipients = _claims(raw)
        _check_named(destroyers, recipients, RECIPIENTS)
        deletions = _ask(destroyers, pending_days, earlier)
        content = record_to_bytes(
            at=now(),
            descriptor=digest_of(descriptor),
            recipients_document=digest_of(raw),
            dek_id=dek_id,
            recipients=None if dek_id is None else recipients,
            deletions=deletions,
        )
        write_new(record, content, overwrite=recorded)
        destroy(held, RECIPIENTS, path=folder / RECIPIENTS)
    return Shredded(record, dek_id, recipients, deletions, before=False)


def check_apart(recipients: Sequence[Recipient], policy: VerificationPolicy, *signed: Digest) -> None:
    """Refuse a key that both signs and opens: whoever leaks one of its uses leaks the other.

    Args:
        recipients: Whom to seal to.
        policy: Its keys sign.
        signed: Keys that signed as well; that of a certificate stands in no policy.

    Raises:
        UsageError: ``recipient-signs``.
    """
    signing = {*signed, *(key.fingerprint for key in policy.keys_of())}
    if any(recipient.key_id in signing for recipient in recipients):
        raise UsageError(
            "recipient-signs",
            "a recipient's key pair must not be one that signs; "
            "make one with `trustkit key generate --type x25519`",
        )


def _check_named(destroyers: Sequence[Destroyer], named: Iterable[Name], where: str) -> None:
    """Refuse to have a key deleted that this folder has nothing to do with."""
    known = set(named)
    for destroyer in destroyers:
        if (destroyer.kind, destroyer.key_id) not in known:
            raise UsageError(
                "not-a-recipient",
                f"{where} does not name the key {destroyer.key_id} ({destroyer.kind}); nothing was destroyed",
            )


def _ask(destroyers: Sequence[Destroyer], days: int, earlier: tuple[Deletion, ...]) -> tuple[Deletion, ...]:
    """Ask the services, and return their answers with those that a run before got for other keys."""
    asked = {(destroyer.kind, destroyer.key_id) for destroyer in destroyers}
    kept = (deletion for deletion in earlier if (deletion.kind, deletion.key_id) not in asked)
    return (*kept, *(destroyer.schedule_deletion(days) for destroyer in destroyers))


def _deletions(source: LocalSource) -> tuple[Deletion, ...]:
    from trustkit.sealing.documents import SHREDDED
    from trustkit.sealing.shredded import MAX_BYTES, deletions_of

    try:
        return deletions_of(source.document(SHREDDED, max_bytes=MAX_BYTES))
    except LimitError:
        return ()


def _read(source: LocalSource, name: str) -> bytes | None:
    """Read a document, or None where there is none."""
    from trustkit.attest.bundle import MAX_BYTES

    try:
        return source.document(name, max_bytes=MAX_BYTES)
    except UnavailableError as error:
        if error.code != "not-found":
            raise
        return None


def _claims(raw: bytes) -> tuple[str | None, tuple[Name, ...]]:
    """Return what a recipients document says; one that does not parse is destroyed all the same."""
    from trustkit.sealing.recipients import claims_of

    try:
        return claims_of(raw)
    except (FormatError, LimitError):
        return None, ()
