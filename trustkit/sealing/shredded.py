"""The record that a sealed folder's wrapped keys were destroyed: what lay there, and when.

    {"version": "trustkit.dev/shredded/v1", "time": "2026-01-31T12:00:00Z",
     "descriptor": "sha256:…", "recipients_document": "sha256:…",
     "dek_id": "…" or null, "recipients": [{"kind": "…", "key": "sha256:…"}] or null,
     "deletions": [{"kind": "awskms", "key": "sha256:…", "name": "arn:…",
                    "state": "PendingDeletion", "time": "2026-02-28T12:00:00Z", where it is known}]}

The law of this file: a record is for people and auditors, and grants nothing.
It is not signed, so what it says is what somebody wrote; the two digests say
which documents it is about, the next two members repeat what the destroyed
document claimed, and are null where that did not parse. The last lists keys
whose deletion a service was asked for as well, with its answer at that time:
what it will do, and when. What is written here can be read here: a record has
so few entries, of such lengths, that it stays below the cap.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from trustkit import strictjson
from trustkit.digest import Digest, parse_digest
from trustkit.errors import FormatError, LimitError
from trustkit.sealing.parties import Deletion
from trustkit.sealing.recipients import MAX_RECIPIENTS, Name

VERSION = "trustkit.dev/shredded/v1"
MAX_BYTES = 4 << 20
"""Largest record that is read (bytes); the largest that can be written is smaller."""
MAX_DELETIONS = MAX_RECIPIENTS
"""Most deletions of one record."""

_MAX_WORD, _MAX_NAME = 64, 256
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Record:
    """The record of one shredding.

    Attributes:
        at: When (seconds since the epoch).
        descriptor: SHA-256 of the descriptor's bundle.
        recipients_document: SHA-256 of the document that is destroyed.
        dek_id: The data key it said it was of.
        recipients: Whom it said the key was wrapped for.
        deletions: What services answered that were asked to delete keys.
    """

    at: int
    descriptor: Digest
    recipients_document: Digest
    dek_id: str | None
    recipients: tuple[Name, ...] | None
    deletions: tuple[Deletion, ...] = ()

    def to_bytes(self) -> bytes:
        """Return the record as it lies in the folder."""
        named: strictjson.Value = None
        if self.recipients is not None:
            named = [{"kind": kind, "key": str(key)} for kind, key in self.recipients]
        return strictjson.to_bytes(
            {
                "version": VERSION,
                "time": text_of(self.at),
                "descriptor": str(self.descriptor),
                "recipients_document": str(self.recipients_document),
                "dek_id": self.dek_id,
                "recipients": named,
                "deletions": [
                    {
                        "kind": deletion.kind,
                        "key": str(deletion.key_id),
                        "name": deletion.name,
                        "state": deletion.state,
                        **({} if deletion.at is None else {"time": text_of(deletion.at)}),
                    }
                    for deletion in self.deletions
                ],
            },
            indent=2,
        )


def parse_record(untrusted: bytes) -> Record:
    """Read a record.

    Raises:
        FormatError, LimitError: It is none that was written here.
    """
    record = strictjson.parse_object(untrusted, max_bytes=MAX_BYTES, what="record of a shredding")
    fields = strictjson.Fields(record, "record")
    if fields.take("version", str) != VERSION:
        raise FormatError("bad-field", "the record has another version", field="version")
    dek_id, recipients = fields.raw("dek_id"), fields.raw("recipients")
    found = Record(
        _seconds(fields.take("time", str)),
        parse_digest(fields.take("descriptor", str)),
        parse_digest(fields.take("recipients_document", str)),
        None if dek_id is None else _short(fields.take("dek_id", str)),
        None if recipients is None else tuple(map(_recipient, _few(fields.take("recipients", list)))),
        tuple(map(_deletion, _few(fields.take("deletions", list)))),
    )
    fields.done()
    return found


def _recipient(untrusted: strictjson.Value) -> Name:
    fields = strictjson.Fields(untrusted, "recipients[]")
    kind, key = fields.take("kind", str), fields.take("key", str)
    fields.done()
    return _short(kind), parse_digest(key)


def _deletion(untrusted: strictjson.Value) -> Deletion:
    fields = strictjson.Fields(untrusted, "deletions[]")
    kind, key, name, state = (fields.take(member, str) for member in ("kind", "key", "name", "state"))
    time = fields.maybe("time", str)
    fields.done()
    at = None if time is None else _seconds(time)
    return Deletion(_short(kind), parse_digest(key), _short(name, _MAX_NAME), _short(state), at)


def _few(untrusted: list[strictjson.Value]) -> list[strictjson.Value]:
    if len(untrusted) > MAX_DELETIONS:
        raise LimitError("too-large", "the record has too many entries", limit=MAX_DELETIONS)
    return untrusted


def _short(untrusted: str, most: int = _MAX_WORD) -> str:
    if len(untrusted) > most:
        raise LimitError("too-large", "the record has an entry that is too long", limit=most)
    return untrusted


def text_of(seconds: int) -> str:
    """Write a time (seconds since the epoch) as records have it."""
    return datetime.fromtimestamp(seconds, UTC).strftime(_TIME)


def _seconds(untrusted: str) -> int:
    try:
        seconds = int(datetime.strptime(untrusted, _TIME).replace(tzinfo=UTC).timestamp())
    except ValueError:
        seconds = 0
    if text_of(seconds) != untrusted:
        raise FormatError("bad-field", "the record has a time that is none", field="time")
    return seconds
