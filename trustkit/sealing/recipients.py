"""The recipients document: one data key, wrapped once for each recipient, detached from what it opens.

The law of this file: the document is not signed and nothing in it is believed.
It can only fail to open. What it may open is fixed by the wrap context, which
comes from a verified descriptor, and by the key commitment in there, which is
compared before a key leaves this room.

    {"version": "trustkit.dev/recipients/v1", "dek_id": "…",
     "recipients": [{"kind": "hpke-x25519", "key": "sha256:…", "wrapped": "…"}]}

``key`` only finds the opener. Kinds that this version does not know are carried
along unread: a recipient added for a newer reader must not lock out an older one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from trustkit.digest import Digest
from trustkit.errors import DeniedError, SealError, TrustkitError, UnavailableError, UsageError
from trustkit.sealing.descriptor import WrapContext
from trustkit.sealing.hpke import (
    ephemeral_opener,
    generate_opener,
    opener_from_pem,
    recipient_from_pem,
    recipient_from_raw,
)
from trustkit.sealing.keys import Dek, commitment
from trustkit.sealing.parties import Opener, Recipient
from trustkit.sealing.wraps import (
    KINDS,
    MAX_BYTES,
    MAX_RECIPIENTS,
    VERSION,
    Name,
    parse_wraps,
    too_many,
    wraps_to_bytes,
)

__all__ = [
    "KINDS",
    "MAX_BYTES",
    "MAX_RECIPIENTS",
    "VERSION",
    "Name",
    "Opener",
    "Recipient",
    "check_recipients",
    "claims_of",
    "ephemeral_opener",
    "generate_opener",
    "opener_from_pem",
    "recipient_from_pem",
    "recipient_from_raw",
    "recipients_of",
    "rewrap_document",
    "unwrap_dek",
    "unwrap_document",
    "wrap_document",
]
# Each kind of recipient lives in a file of its own, as do the document's bytes; this is the door of all.


def wrap_document(dek: Dek, context: WrapContext, recipients: Sequence[Recipient]) -> bytes:
    """Wrap a data key for every recipient and return the document.

    Args:
        dek: The key; the context must carry its commitment.
        context: What the wraps are bound to.
        recipients: Distinct, at least one.

    Raises:
        UsageError: ``no-recipients`` or ``duplicate-recipient``.
        LimitError: ``too-many-recipients``.
        SealError: ``key-commitment-mismatch``: nobody could ever open it.
        FormatError: ``bad-recipient-key``.
    """
    check_recipients(recipients)
    _check_commitment(dek, context)
    return wraps_to_bytes(context.dek_id, _wraps(dek, context, recipients))


def rewrap_document(
    untrusted: bytes, context: WrapContext, dek: Dek, *, add: Sequence[Recipient], remove: Collection[Digest]
) -> bytes:
    """Return the document with other recipients; the wraps that stay are kept as they are.

    Who opened it before with a wrap that is removed may have kept the key: only a new sealing shuts him out.

    Args:
        untrusted: The recipients document.
        context: From a verified descriptor.
        dek: The key, unwrapped from this document in this context.
        add: Whom to wrap it for as well. To wrap anew for one who is there, remove him in the same call.
        remove: Key IDs whose wraps are left out, whatever their kind.

    Raises:
        UsageError: ``not-a-recipient``, ``duplicate-recipient``, or ``no-recipients``: of those whom this
            version knows none would be left, and the artifact could never be opened again.
        LimitError: ``too-many-recipients``.
        SealError: ``wrong-context`` or ``key-commitment-mismatch``.
        FormatError: The document does not parse; ``bad-recipient-key``.
    """
    dek_id, wrapped = parse_wraps(untrusted)
    _check_dek_id(dek_id, context)
    _check_commitment(dek, context)
    for key in remove:
        if all(key != other for _, other in wrapped):
            raise UsageError(
                "not-a-recipient", f"{key} is no recipient; see trustkit inspect recipients.json"
            )
    wrapped = {name: wrap for name, wrap in wrapped.items() if name[1] not in remove}
    names = [(recipient.kind, recipient.key_id) for recipient in add]
    if len(set(names)) != len(names) or wrapped.keys() & set(names):
        raise UsageError(
            "duplicate-recipient", "a recipient to add is there already, or named twice; name each once"
        )
    if not any(kind in KINDS for kind, _ in (*wrapped, *names)):
        raise UsageError("no-recipients", "nobody would be left who could open this; add somebody first")
    if len(wrapped) + len(names) > MAX_RECIPIENTS:
        raise too_many()
    return wraps_to_bytes(context.dek_id, {**wrapped, **_wraps(dek, context, add)})


def check_recipients(recipients: Sequence[Recipient]) -> None:
    """Refuse recipients that no document could be made for; cheap, so that it can come before any work.

    Raises:
        UsageError: ``no-recipients`` or ``duplicate-recipient``.
        LimitError: ``too-many-recipients``.
    """
    if not recipients:
        raise UsageError("no-recipients", "nobody could open this; name at least one recipient")
    if len(recipients) > MAX_RECIPIENTS:
        raise too_many()
    if len({(recipient.kind, recipient.key_id) for recipient in recipients}) != len(recipients):
        raise UsageError("duplicate-recipient", "one recipient is named twice; name each once")


def unwrap_document(untrusted: bytes, context: WrapContext, openers: Sequence[Opener]) -> Dek:
    """Unwrap the data key with whichever opener fits.

    Only openers that the document names are asked, each about its own entry. If one of several fails, the
    next is asked: whoever spoils an entry locks out that opener alone.

    Args:
        untrusted: The recipients document.
        context: From a verified descriptor, never from the document.
        openers: Holders of private keys.

    Raises:
        SealError: ``no-matching-opener``, ``wrong-context`` or ``key-commitment-mismatch``.
        DeniedError, UsageError, UnavailableError: What the key service of an opener says instead.
        FormatError, LimitError: The document does not parse.
    """
    dek_id, wrapped = parse_wraps(untrusted)
    _check_dek_id(dek_id, context)
    failure: TrustkitError = SealError(
        "no-matching-opener",
        "the key is not wrapped for any opener given; use another one, or ask the publisher to add it",
        recipients=len(wrapped),
    )
    for opener in openers:
        untrusted_wrapped = wrapped.get((opener.kind, opener.key_id))
        if untrusted_wrapped is not None:
            try:
                return unwrap_dek(untrusted_wrapped, context, opener)
            except (SealError, DeniedError, UsageError, UnavailableError) as error:
                failure = max(failure, error, key=_rank)
    raise failure


def _rank(error: TrustkitError) -> int:
    """Say how far an error is from a "no": a service that was not asked, or did not answer, outranks one."""
    if isinstance(error, UnavailableError):
        return 3
    if isinstance(error, UsageError):
        return 2
    return 0 if error.code == "no-matching-opener" else 1


def unwrap_dek(untrusted_wrapped: bytes, context: WrapContext, opener: Opener) -> Dek:
    """Unwrap one wrapped key, and return it only if it is the key that the descriptor commits to.

    Raises:
        SealError: ``wrong-context``, ``bad-data-key`` or ``key-commitment-mismatch``.
    """
    dek = Dek(opener.unwrap(untrusted_wrapped, context.to_bytes()))
    try:
        _check_commitment(dek, context)
    except SealError:
        dek.wipe()
        raise
    return dek


def recipients_of(untrusted: bytes) -> tuple[Name, ...]:
    """List kind and key of every recipient, to be shown to people; nothing is verified.

    Raises:
        FormatError, LimitError: The document does not parse.
    """
    return claims_of(untrusted)[1]


def claims_of(untrusted: bytes) -> tuple[str, tuple[Name, ...]]:
    """Return the name of the data key, and kind and key of every recipient; nothing is verified.

    Raises:
        FormatError, LimitError: The document does not parse.
    """
    dek_id, wrapped = parse_wraps(untrusted)
    return dek_id, tuple(wrapped)


def _wraps(dek: Dek, context: WrapContext, recipients: Iterable[Recipient]) -> dict[Name, bytes]:
    info = context.to_bytes()
    return {(recipient.kind, recipient.key_id): recipient.wrap(dek, info) for recipient in recipients}


def _check_dek_id(untrusted: str, context: WrapContext) -> None:
    if untrusted != context.dek_id:
        raise SealError(
            "wrong-context", "the recipients document is of another data key than the descriptor names"
        )


def _check_commitment(dek: Dek, context: WrapContext) -> None:
    if not commitment(dek, context.dek_id).matches(context.key_commitment):
        raise SealError(
            "key-commitment-mismatch",
            "the key is not the one that the descriptor commits to; refuse this artifact",
        )
