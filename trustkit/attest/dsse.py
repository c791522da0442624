"""DSSE envelopes: payload, payload type, signatures, and the bytes that are signed.

Pure bytes and values. What is signed is the pre-authentication encoding (PAE)
of the payload bytes as received; a payload is never serialised a second time
(DSSE v1.0, protocol; oms-format 1.1).
"""

from __future__ import annotations

import base64
import binascii
import re

from trustkit import strictjson
from trustkit.errors import FormatError, LimitError
from trustkit.records import dataclass

PAYLOAD_TYPE = "application/vnd.in-toto+json"
"""The one payload type OMS allows."""
MAX_SIGNATURES = 32
"""Most signatures in one envelope."""
MAX_SIGNATURE_BYTES = 4096
"""Longest signature (bytes)."""

_PAYLOAD = re.compile(rb'"payload"[ \t\r\n]*:[ \t\r\n]*"')


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature; the key ID is a hint that nothing rests on."""

    sig: bytes
    keyid: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed payload; carries the payload bytes exactly as they were signed.

    Serialised as ``{"payload": base64, "payloadType": text, "signatures": [{"keyid": "", "sig": base64}]}``.
    """

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes a DSSE signature covers; lengths are counted in bytes, not characters."""
    return pae_head(payload_type, len(payload)) + payload


def pae_head(payload_type: str, length: int) -> bytes:
    """Return what the PAE puts before a payload of this length (bytes)."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d " % (len(kind), kind, length)


def envelope_to_object(envelope: Envelope) -> strictjson.Object:
    """Return the JSON form of an envelope."""
    return {
        "payload": base64.b64encode(envelope.payload).decode("ascii"),
        "payloadType": envelope.payload_type,
        "signatures": [signature_to_object(signature) for signature in envelope.signatures],
    }


def signature_to_object(signature: Signature) -> strictjson.Object:
    """Return the JSON form of one signature."""
    return {"keyid": signature.keyid or "", "sig": base64.b64encode(signature.sig).decode("ascii")}


def payload_span(untrusted: bytes) -> tuple[int, int] | None:
    """Find the text of a payload, between its quotes, without parsing what it lies in.

    Base64 has neither quotes nor backslashes, so the next quote ends it. Which object it is the payload of
    shows when it is cut out (`strictjson.parse_around`).
    """
    found = _PAYLOAD.search(untrusted)
    if found is None:
        return None
    end = untrusted.find(b'"', found.end())
    return None if end < 0 else (found.end(), end)


def parse_envelope(untrusted: strictjson.Value, *, cut_out: memoryview | None = None) -> Envelope:
    """Read an envelope from parsed JSON.

    Args:
        untrusted: The parsed object.
        cut_out: The text of the payload, where it was cut out of the object before that was parsed.

    Raises:
        FormatError: ``missing-field``, ``bad-field``, ``unknown-field``, ``bad-base64``,
            ``no-signatures`` or ``bad-payload-type``.
        LimitError: ``too-many-signatures``.
    """
    fields = strictjson.Fields(untrusted, "dsseEnvelope")
    whole = cut_out is not None and fields.raw("payload") is strictjson.HOLE
    text = cut_out if cut_out is not None and whole else fields.take("payload", str)
    payload = decode_base64(text, "dsseEnvelope.payload")
    payload_type = fields.take("payloadType", str)
    signatures = fields.take("signatures", list)
    fields.done()
    if cut_out is not None and not whole:
        raise FormatError("bad-field", "another member than dsseEnvelope.payload is too long to be read")
    if payload_type != PAYLOAD_TYPE:
        raise FormatError("bad-payload-type", f"the payload type must be {PAYLOAD_TYPE}")
    if not payload:
        raise FormatError("empty-payload", "the envelope has an empty payload")
    if not signatures:
        raise FormatError("no-signatures", "the envelope has no signature")
    if len(signatures) > MAX_SIGNATURES:
        raise LimitError(
            "too-many-signatures", f"more than {MAX_SIGNATURES} signatures", limit=MAX_SIGNATURES
        )
    return Envelope(payload, payload_type, tuple(_signature(entry) for entry in signatures))


def decode_base64(untrusted: str | memoryview, what: str) -> bytes:
    """Decode standard base64 and accept exactly one spelling of each value.

    Raises:
        FormatError: ``bad-base64``.
    """
    try:
        raw = binascii.a2b_base64(untrusted, strict_mode=True)
    except ValueError:  # also what is not ASCII
        raise FormatError("bad-base64", f"{what} is not standard base64", field=what) from None
    tail = base64.b64encode(raw[-(len(raw) % 3 or 3) :])  # only the last group can be spelled in two ways
    last = untrusted[len(untrusted) - len(tail) :]
    if (last.encode("ascii") if isinstance(last, str) else last) != tail:
        raise FormatError("bad-base64", f"{what} is not canonical base64", field=what)
    return raw


def _signature(untrusted: strictjson.Value) -> Signature:
    fields = strictjson.Fields(untrusted, "signatures[]")
    raw = decode_base64(fields.take("sig", str), "signatures[].sig")
    keyid = fields.raw("keyid")
    fields.done()
    if keyid is not None and not isinstance(keyid, str):
        raise FormatError("bad-field", "signatures[].keyid must be a string, null or absent")
    if not raw:
        raise FormatError("empty-signature", "a signature is empty")
    if len(raw) > MAX_SIGNATURE_BYTES:
        raise LimitError("signature-too-long", f"a signature is longer than {MAX_SIGNATURE_BYTES} bytes")
    return Signature(raw, keyid)
