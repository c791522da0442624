"""The recipients document as bytes and as values: which key, and a wrap for each kind and key ID.

The law of this file: it parses and serialises, and opens nothing. Entries of
kinds that this version does not know pass through as they are.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

from trustkit import strictjson
from trustkit.digest import Digest, parse_digest
from trustkit.errors import FormatError, LimitError
from trustkit.sealing.awskms import AWSKMS
from trustkit.sealing.hpke import WRAPPED_LENGTHS as OF_KEY_PAIRS
from trustkit.sealing.keys import check_dek_id
from trustkit.sealing.parties import MAX_WRAPPED
from trustkit.sealing.passphrase import KEY_ID, SCRYPT, check_wrapped
from trustkit.sealing.passphrase import WRAPPED_LENGTHS as OF_PASSPHRASES

VERSION = "trustkit.dev/recipients/v1"
MAX_BYTES = 4 << 20
"""Largest recipients document (bytes)."""
MAX_RECIPIENTS = 1000
"""Most recipients of one data key."""
WRAPPED_LENGTHS = {**OF_KEY_PAIRS, **OF_PASSPHRASES}
"""Length of a wrapped key of each kind that has one (bytes)."""
KINDS = frozenset((*WRAPPED_LENGTHS, AWSKMS))
"""The kinds that this version wraps and unwraps."""

_KIND = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
Name = tuple[str, Digest]
"""What tells recipients of one key apart: kind and key ID."""


def wraps_to_bytes(dek_id: str, wrapped: Mapping[Name, bytes]) -> bytes:
    """Serialise a recipients document, entries sorted by kind, then key."""
    entries: list[strictjson.Value] = [
        {"kind": kind, "key": str(key), "wrapped": base64.b64encode(wrapped[kind, key]).decode("ascii")}
        for kind, key in sorted(wrapped)
    ]
    return strictjson.to_bytes({"version": VERSION, "dek_id": dek_id, "recipients": entries}, indent=2)


def parse_wraps(untrusted: bytes) -> tuple[str, dict[Name, bytes]]:
    """Parse a recipients document: the name of its data key, and the wrapped keys in it.

    Raises:
        FormatError, LimitError: The document does not parse; FORMAT.md, section 10.
    """
    fields = strictjson.Fields(
        strictjson.parse(untrusted, max_bytes=MAX_BYTES, what="recipients document"), "recipients document"
    )
    if fields.take("version", str) != VERSION:
        raise FormatError("bad-recipients-version", f"the version of a recipients document is {VERSION}")
    dek_id = check_dek_id(fields.take("dek_id", str))
    entries = fields.take("recipients", list)
    fields.done()
    if len(entries) > MAX_RECIPIENTS:
        raise too_many()
    if not entries:
        raise FormatError("no-recipients", "the recipients document has no recipient; get it again")
    found: dict[Name, bytes] = {}
    for entry in entries:
        key, wrapped = _entry(entry)
        if key in found:
            raise FormatError("duplicate-recipient", "the recipients document names one recipient twice")
        found[key] = wrapped
    return dek_id, found


def _entry(untrusted: strictjson.Value) -> tuple[Name, bytes]:
    fields = strictjson.Fields(untrusted, "recipients[]")
    kind = fields.take("kind", str)
    key = parse_digest(fields.take("key", str))
    text = fields.take("wrapped", str)
    fields.done()
    if _KIND.fullmatch(kind) is None:
        raise FormatError("bad-recipient-kind", "a kind is lower-case letters, digits and '-'")
    if key.algorithm != "sha256":
        raise FormatError("bad-digest", "a recipient's key is named by a sha256")
    try:
        wrapped = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError("bad-base64", "recipients[].wrapped is not standard base64") from None
    if base64.b64encode(wrapped).decode("ascii") != text:
        raise FormatError("bad-base64", "recipients[].wrapped is not canonical base64")
    if not 0 < len(wrapped) <= MAX_WRAPPED or len(wrapped) != WRAPPED_LENGTHS.get(kind, len(wrapped)):
        raise FormatError(
            "bad-wrapped-key", f"a wrapped key of kind {kind} does not have {len(wrapped)} bytes"
        )
    if kind == SCRYPT:
        check_wrapped(wrapped)
        if key != KEY_ID:
            raise FormatError("bad-recipient-key", "every passphrase has one key ID, and this is another")
    return (kind, key), wrapped


def too_many() -> LimitError:
    """Build the error for a document of more recipients than the cap."""
    return LimitError("too-many-recipients", f"more than {MAX_RECIPIENTS} recipients", limit=MAX_RECIPIENTS)
