"""The story of who may open: recipients of a sealed folder are added and removed.

The law of this file: neither ciphertext nor descriptor is touched, so what was
signed stays signed and caches stay warm. A key is unwrapped only in the context
of a descriptor whose publisher and author were verified, as in opening. The old
recipients document stays until the new one is whole.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trustkit.digest import Digest
from trustkit.errors import UsageError
from trustkit.verifying.policy import VerificationPolicy
from trustkit.workflows.places import AnyPath, Clock, place_of
from trustkit.workflows.reading import documents_of

if TYPE_CHECKING:
    from trustkit.sealing.descriptor import Descriptor
    from trustkit.sealing.parties import Opener, Recipient
    from trustkit.sealing.recipients import Name


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What `rewrap` left: the verified descriptor, unchanged, and whom its key is wrapped for now."""

    descriptor: Descriptor
    recipients: tuple[Name, ...]


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


def check_apart(recipients: Sequence[Recipient], policy: VerificationPolicy, *signed: Digest) -> None:
    """Refuse a key that both signs and opens: whoever leaks one of its uses leaks the other.

    Args:
        recipients: Whom to seal to.
        policy: Its keys sign, and those of its roots.
        signed: Keys that signed as well; that of a certificate stands in no policy.

    Raises:
        UsageError: ``recipient-signs``.
    """
    signing = policy.signing().union(signed)
    if any(recipient.key_id in signing for recipient in recipients):
        raise UsageError(
            "recipient-signs",
            "a recipient's key pair must not be one that signs; "
            "make one with `trustkit key generate --type x25519`",
        )
