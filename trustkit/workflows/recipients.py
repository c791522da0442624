"""The stories of who may open: recipients of a sealed folder are added, removed, or all destroyed.

The law of this file: neither ciphertext nor descriptor is touched, so what was
signed stays signed and caches stay warm. A key is unwrapped only in the context
of a descriptor whose publisher and author were verified, as in opening. The old
recipients document stays until the new one is whole; a record is written before
anything is destroyed.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.digest import Digest, digest_of
from trustkit.errors import FormatError, LimitError, UnavailableError, UsageError
from trustkit.verifying.policy import VerificationPolicy
from trustkit.workflows.reading import documents_of, not_sealed, was_shredded
from trustkit.workflows.signed import AnyPath, Clock, place_of

if TYPE_CHECKING:
    from trustkit.sealing.descriptor import Descriptor
    from trustkit.sealing.parties import Opener, Recipient
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
        before: Whether a run before had destroyed it already.
    """

    record: Path
    dek_id: str | None
    recipients: tuple[Name, ...]
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


def shred(folder: AnyPath, *, now: Clock = time.time) -> Shredded:
    """Destroy the wrapped keys of a sealed folder, and leave a record of it in their place.

    Nothing is verified and no key is needed: whoever may write to the folder could remove the document
    as well. A run that was cut short is finished by the next.

    Args:
        folder: The sealed folder.
        now: Seconds since the epoch, for the record.

    Raises:
        UsageError: ``not-sealed``, ``no-such-folder``.
        FormatError: ``symlink`` or ``special-file`` in place of a document.
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
        if raw is None:
            if not recorded:
                raise not_sealed(folder, RECIPIENTS)
            return Shredded(record, None, (), before=True)
        dek_id, recipients = _claims(raw)
        content = record_to_bytes(
            at=now(),
            descriptor=digest_of(descriptor),
            recipients_document=digest_of(raw),
            dek_id=dek_id,
            recipients=None if dek_id is None else recipients,
        )
        write_new(record, content, overwrite=recorded)
        destroy(held, RECIPIENTS, path=folder / RECIPIENTS)
    return Shredded(record, dek_id, recipients, before=False)


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
