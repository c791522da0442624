"""What a sidecar and a broker say to each other: one request for a key, one answer. Pure bytes and values.

    {"version": "trustkit.dev/release/v1",
     "descriptor": b64, "author_bundle": b64, "recipients": b64,    the documents as the store holds them
     "ephemeral_key": b64,                                          32 raw bytes of X25519, used once
     "manifest_digest": "sha256:…"}                                 what the sidecar is pinned to

    {"version": "trustkit.dev/release/v1", "wrapped": b64, "record": "sha256:…"}

    {"code": "no-grant", "message": "…"}                            with any status but 200

The law of this file: it decides nothing and holds no key in the clear. The
documents inside a request are as untrusted as the request; a wrapped key is
bound to the context of its descriptor, which each side takes from a proof of
its own and never from here. Members that the format does not have are refused.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from trustkit import strictjson
from trustkit.digest import Digest, parse_digest
from trustkit.errors import FormatError
from trustkit.sealing.documents import SealedDocuments
from trustkit.strictjson import Fields

VERSION = "trustkit.dev/release/v1"
PATH = "/v1/release"
"""Where a broker answers, by POST."""
MAX_REQUEST_BYTES = 64 * 1024 * 1024
"""Largest request a broker reads unless it is configured otherwise (bytes)."""
MAX_ANSWER_BYTES = 64 * 1024
"""Largest answer a sidecar reads (bytes): a wrapped key and a digest, or a refusal."""
EPHEMERAL_KEY_LENGTH = 32

_DEPTH = 2
_CODE = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_MAX_CODE = 64
_MAX_MESSAGE = 4096


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """What a sidecar asks for.

    Attributes:
        documents: Descriptor, author's bundle and recipients; untrusted.
        ephemeral_key: Raw X25519 public key that the answer is wrapped to.
        manifest_digest: The artifact the asker is pinned to.
    """

    documents: SealedDocuments
    ephemeral_key: bytes
    manifest_digest: Digest


@dataclass(frozen=True, slots=True)
class ReleaseAnswer:
    """What a broker gives: the key, wrapped to the ephemeral key, and the digest of its record of that."""

    wrapped: bytes
    record: Digest


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a broker says instead: a stable code, and one line for people."""

    code: str
    message: str


def request_to_bytes(request: ReleaseRequest) -> bytes:
    """Serialise a request."""
    return strictjson.to_bytes(
        {
            "version": VERSION,
            "descriptor": _base64(request.documents.descriptor),
            "author_bundle": _base64(request.documents.author_bundle),
            "recipients": _base64(request.documents.recipients),
            "ephemeral_key": _base64(request.ephemeral_key),
            "manifest_digest": str(request.manifest_digest),
        }
    )


def parse_request(untrusted: bytes, *, max_bytes: int = MAX_REQUEST_BYTES) -> ReleaseRequest:
    """Parse a request; the documents in it stay unparsed.

    Args:
        untrusted: The body of the request.
        max_bytes: Largest body accepted (bytes).

    Raises:
        LimitError: ``too-large`` or ``too-deep``, before anything is parsed.
        FormatError: ``bad-json``, ``duplicate-key``, ``missing-field``, ``bad-field``, ``unknown-field``,
            ``bad-base64``, ``bad-digest``, ``bad-ephemeral-key`` or ``bad-release-version``.
    """
    fields = _fields(untrusted, max_bytes, "release request")
    descriptor, author_bundle, recipients, ephemeral_key = (
        _bytes_of(fields, name) for name in ("descriptor", "author_bundle", "recipients", "ephemeral_key")
    )
    manifest_digest = _sha256(fields.take("manifest_digest", str))
    fields.done()
    if len(ephemeral_key) != EPHEMERAL_KEY_LENGTH:
        raise FormatError("bad-ephemeral-key", f"ephemeral_key must hold {EPHEMERAL_KEY_LENGTH} bytes")
    documents = SealedDocuments(descriptor=descriptor, author_bundle=author_bundle, recipients=recipients)
    return ReleaseRequest(documents, ephemeral_key, manifest_digest)


def answer_to_bytes(answer: ReleaseAnswer) -> bytes:
    """Serialise an answer."""
    return strictjson.to_bytes(
        {"version": VERSION, "wrapped": _base64(answer.wrapped), "record": str(answer.record)}
    )


def parse_answer(untrusted: bytes) -> ReleaseAnswer:
    """Parse the body of a 200.

    Raises:
        LimitError, FormatError: As `parse_request`.
    """
    fields = _fields(untrusted, MAX_ANSWER_BYTES, "release answer")
    wrapped, record = _bytes_of(fields, "wrapped"), _sha256(fields.take("record", str))
    fields.done()
    return ReleaseAnswer(wrapped, record)


def refusal_to_bytes(refusal: Refusal) -> bytes:
    """Serialise a refusal; the message is cut and keeps one harmless line."""
    message = "".join(c if c.isprintable() else "?" for c in refusal.message[:_MAX_MESSAGE])
    return strictjson.to_bytes({"code": refusal.code, "message": message})


def parse_refusal(untrusted: bytes) -> Refusal:
    """Parse the body of any other status.

    Raises:
        LimitError, FormatError: As `parse_request`; ``bad-refusal`` for what cannot be shown.
    """
    document = strictjson.parse_object(
        untrusted, max_bytes=MAX_ANSWER_BYTES, what="refusal", max_depth=_DEPTH
    )
    fields = Fields(document, "refusal")
    code, message = fields.take("code", str), fields.take("message", str)
    fields.done()
    if len(code) > _MAX_CODE or _CODE.fullmatch(code) is None:
        raise FormatError("bad-refusal", "a refusal needs a kebab-case code")
    if len(message) > _MAX_MESSAGE or not message.isprintable():
        raise FormatError("bad-refusal", "a refusal needs a message of one printable line")
    return Refusal(code, message)


def _fields(untrusted: bytes, max_bytes: int, what: str) -> Fields:
    document = strictjson.parse_object(untrusted, max_bytes=max_bytes, what=what, max_depth=_DEPTH)
    fields = Fields(document, what)
    if fields.take("version", str) != VERSION:
        raise FormatError("bad-release-version", f"the version of a {what} must be {VERSION}")
    return fields


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _bytes_of(fields: Fields, name: str) -> bytes:
    untrusted = fields.take(name, str)
    try:
        raw = base64.b64decode(untrusted, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError("bad-base64", f"{name} is not standard base64", field=name) from None
    if not untrusted.endswith(_base64(raw[-(len(raw) % 3 or 3) :])):  # only the last group has two spellings
        raise FormatError("bad-base64", f"{name} is not canonical base64", field=name)
    return raw


def _sha256(untrusted: str) -> Digest:
    digest = parse_digest(untrusted)
    if digest.algorithm != "sha256":
        raise FormatError("bad-digest", "manifests and records are named by a sha256")
    return digest
