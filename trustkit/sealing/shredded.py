"""The record that a sealed folder's wrapped keys were destroyed: what lay there, and when.

    {"version": "trustkit.dev/shredded/v1", "time": "2026-01-31T12:00:00Z",
     "descriptor": "sha256:…", "recipients_document": "sha256:…",
     "dek_id": "…" or null, "recipients": [{"kind": "…", "key": "sha256:…"}] or null,
     "deletions": [{"kind": "awskms", "key": "sha256:…", "name": "arn:…",
                    "state": "PendingDeletion", "time": "2026-02-28T12:00:00Z", where it is known}]}

The law of this file: a record is for people and auditors, and grants nothing.
It is not signed; the two digests say which documents it is about, the next two
members repeat what the destroyed document claimed, and are null where that did
not parse. The last lists keys whose deletion a service was asked for as well,
with its answer: what it will do, and when.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from trustkit import strictjson
from trustkit.digest import Digest, parse_digest
from trustkit.errors import FormatError, LimitError
from trustkit.sealing.parties import Deletion
from trustkit.sealing.recipients import Name

VERSION = "trustkit.dev/shredded/v1"
MAX_BYTES = 1 << 20
"""Largest record that is read (bytes)."""

_TIME = "%Y-%m-%dT%H:%M:%SZ"


def record_to_bytes(
    *,
    at: float,
    descriptor: Digest,
    recipients_document: Digest,
    dek_id: str | None,
    recipients: tuple[Name, ...] | None,
    deletions: Sequence[Deletion] = (),
) -> bytes:
    """Serialise the record of one shredding.

    Args:
        at: When (seconds since the epoch).
        descriptor: SHA-256 of the descriptor's bundle.
        recipients_document: SHA-256 of the document that is destroyed.
        dek_id: The data key it said it was of.
        recipients: Whom it said the key was wrapped for.
        deletions: What services answered that were asked to delete keys.
    """
    named: strictjson.Value = None
    if recipients is not None:
        named = [{"kind": kind, "key": str(key)} for kind, key in recipients]
    return strictjson.to_bytes(
        {
            "version": VERSION,
            "time": _text(at),
            "descriptor": str(descriptor),
            "recipients_document": str(recipients_document),
            "dek_id": dek_id,
            "recipients": named,
            "deletions": [
                {
                    "kind": deletion.kind,
                    "key": str(deletion.key_id),
                    "name": deletion.name,
                    "state": deletion.state,
                    **({} if deletion.at is None else {"time": _text(deletion.at)}),
                }
                for deletion in deletions
            ],
        },
        indent=2,
    )


def deletions_of(untrusted: bytes) -> tuple[Deletion, ...]:
    """Return the deletions that a record lists, to be carried along; none of one that does not parse."""
    try:
        record = strictjson.parse_object(untrusted, max_bytes=MAX_BYTES, what="record of a shredding")
        entries = record.get("deletions") if record.get("version") == VERSION else None
        return tuple(_deletion(entry) for entry in entries) if isinstance(entries, list) else ()
    except (FormatError, LimitError, ValueError):
        return ()


def _deletion(untrusted: strictjson.Value) -> Deletion:
    fields = strictjson.Fields(untrusted, "deletions[]")
    kind, key, name, state = (fields.take(member, str) for member in ("kind", "key", "name", "state"))
    time = fields.maybe("time", str)
    fields.done()
    at = None if time is None else int(datetime.strptime(time, _TIME).replace(tzinfo=UTC).timestamp())
    return Deletion(kind, parse_digest(key), name, state, at)


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime(_TIME)
