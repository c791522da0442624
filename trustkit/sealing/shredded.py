"""The record that a sealed folder's wrapped keys were destroyed: what lay there, and when.

    {"version": "trustkit.dev/shredded/v1", "time": "2026-01-31T12:00:00Z",
     "descriptor": "sha256:…", "recipients_document": "sha256:…",
     "dek_id": "…" or null, "recipients": [{"kind": "…", "key": "sha256:…"}] or null}

The law of this file: a record is for people and auditors, and grants nothing.
It is not signed; the two digests say which documents it is about, the last two
members repeat what the destroyed document claimed, and are null where that did
not parse.
"""

from __future__ import annotations

from datetime import UTC, datetime

from trustkit import strictjson
from trustkit.digest import Digest
from trustkit.sealing.recipients import Name

VERSION = "trustkit.dev/shredded/v1"


def record_to_bytes(
    *,
    at: float,
    descriptor: Digest,
    recipients_document: Digest,
    dek_id: str | None,
    recipients: tuple[Name, ...] | None,
) -> bytes:
    """Serialise the record of one shredding.

    Args:
        at: When (seconds since the epoch).
        descriptor: SHA-256 of the descriptor's bundle.
        recipients_document: SHA-256 of the document that is destroyed.
        dek_id: The data key it said it was of.
        recipients: Whom it said the key was wrapped for.
    """
    named: strictjson.Value = None
    if recipients is not None:
        named = [{"kind": kind, "key": str(key)} for kind, key in recipients]
    return strictjson.to_bytes(
        {
            "version": VERSION,
            "time": datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "descriptor": str(descriptor),
            "recipients_document": str(recipients_document),
            "dek_id": dek_id,
            "recipients": named,
        },
        indent=2,
    )
