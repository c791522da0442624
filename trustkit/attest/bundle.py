"""Sigstore bundles as OMS uses them: a DSSE envelope and what is needed to verify it.

Pure. Nothing in a bundle is trusted: verification material only says where to
look, the authorities of a policy say whom to believe. Certificates, log entries
and timestamps are counted and kept out of the way: who can verify them says so.
Source: OMS v1.0, sections 4 and 11; sigstore protobuf-specs, sigstore_bundle.proto;
how each writer's bundles are read: FORMAT.md beside this file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trustkit import strictjson
from trustkit.attest.dsse import Envelope, decode_base64, envelope_to_object, parse_envelope
from trustkit.digest import digest_of
from trustkit.errors import FormatError, LimitError

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
"""What we write."""
MAX_BYTES = 256 << 20
"""Largest bundle that is read (bytes)."""
MAX_VALUES = 65_536
"""Most commas in a bundle, and so most values: a payload is one long text and has none."""
MAX_CERTIFICATES = 10
"""Most certificates in a chain."""
MAX_ENTRIES = 32
"""Most transparency log entries, and most timestamps."""

_MEDIA_TYPES = re.compile(r"application/vnd\.dev\.sigstore\.bundle(?:\.v0\.3\+json|\+json;version=0\.[1-3])")
_KINDS = ("publicKey", "x509CertificateChain", "certificate")


@dataclass(frozen=True, slots=True)
class PublicKeyHint:
    """``publicKey``: the hint of a key, that is the hex SHA-256 of its PEM text.

    Attributes:
        hint: As the bundle gives it, or computed from the key that an old bundle brings.
        old: Whether the bundle brings the key itself, as model-signing 0.3.1 to 1.0.x wrote it.
    """

    hint: str
    old: bool = False


@dataclass(frozen=True, slots=True)
class CertificateChain:
    """``x509CertificateChain`` or ``certificate``: DER certificates, leaf first."""

    certificates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    """An envelope with its verification material.

    Serialised as ``{"mediaType": …, "verificationMaterial": {"publicKey": {"hint": …}, "tlogEntries": []},
    "dsseEnvelope": {…}}``.
    """

    envelope: Envelope
    material: PublicKeyHint | CertificateChain
    log_entries: int = 0
    timestamps: int = 0


def bundle_to_bytes(bundle: Bundle) -> bytes:
    """Serialise a bundle deterministically, indented for people.

    Raises:
        FormatError: ``unsupported-material`` for certificates, which we read and do not write.
    """
    if not isinstance(bundle.material, PublicKeyHint):
        raise FormatError("unsupported-material", "only bundles with a key hint are written")
    return strictjson.to_bytes(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {"publicKey": {"hint": bundle.material.hint}, "tlogEntries": []},
            "dsseEnvelope": envelope_to_object(bundle.envelope),
        },
        indent=2,
    )


def parse_bundle(untrusted: bytes, *, max_bytes: int = MAX_BYTES) -> Bundle:
    """Parse a bundle of any writer there has been.

    Args:
        untrusted: The bundle's bytes.
        max_bytes: Largest bundle accepted (bytes).

    Raises:
        FormatError: Not strict JSON, a field missing, unknown or of the wrong type, bad base64.
        LimitError: Over a cap.
    """
    if len(untrusted) <= max_bytes and untrusted.count(b",") > MAX_VALUES:
        raise LimitError(
            "too-many-values", f"the bundle holds more than {MAX_VALUES} values", limit=MAX_VALUES
        )
    fields = strictjson.Fields(strictjson.parse(untrusted, max_bytes=max_bytes, what="bundle"), "bundle")
    media_type = fields.take("mediaType", str)
    if _MEDIA_TYPES.fullmatch(media_type) is None:
        raise FormatError("bad-media-type", f"the media type must be {MEDIA_TYPE} or an older spelling of it")
    material = fields.take("verificationMaterial", dict)
    envelope = fields.take("dsseEnvelope", dict)
    fields.done()
    return _with_material(parse_envelope(envelope), material)


def _with_material(envelope: Envelope, untrusted: strictjson.Object) -> Bundle:
    fields = strictjson.Fields(untrusted, "verificationMaterial")
    present = [kind for kind in _KINDS if fields.has(kind)]
    if len(present) != 1:
        raise FormatError("bad-material", f"verificationMaterial needs exactly one of {', '.join(_KINDS)}")
    value = fields.raw(present[0])
    entries = _objects(fields.maybe("tlogEntries", list), "tlogEntries[]")
    stamps = 0
    if fields.has("timestampVerificationData"):
        what = "timestampVerificationData"
        timestamps = strictjson.Fields(fields.take(what, dict), what)
        stamps = _objects(timestamps.maybe("rfc3161Timestamps", list), "rfc3161Timestamps[]")
        timestamps.done()
    fields.done()
    if present[0] == "certificate" and not entries:
        raise FormatError("missing-log-entry", "a keyless bundle needs a transparency log entry")
    return Bundle(envelope, _material(present[0], value), entries, stamps)


def _objects(untrusted: list[strictjson.Value] | None, what: str) -> int:
    """Count what is there for another verifier, within the cap; each must at least be an object."""
    entries = untrusted or []
    if len(entries) > MAX_ENTRIES:
        raise LimitError(
            "too-many-entries", f"more than {MAX_ENTRIES} log entries or timestamps", limit=MAX_ENTRIES
        )
    for entry in entries:
        strictjson.Fields(entry, what)
    return len(entries)


def _material(kind: str, untrusted: strictjson.Value) -> PublicKeyHint | CertificateChain:
    if kind == "publicKey":
        return _public_key(untrusted)
    if kind == "certificate":
        return CertificateChain((_certificate(untrusted, kind),))
    fields = strictjson.Fields(untrusted, kind)
    entries = fields.take("certificates", list)
    fields.done()
    if not entries:
        raise FormatError("no-certificates", "the certificate chain is empty")
    if len(entries) > MAX_CERTIFICATES:
        raise LimitError(
            "chain-too-long", f"more than {MAX_CERTIFICATES} certificates", limit=MAX_CERTIFICATES
        )
    return CertificateChain(tuple(_certificate(entry, "certificates[]") for entry in entries))


def _public_key(untrusted: strictjson.Value) -> PublicKeyHint:
    fields = strictjson.Fields(untrusted, "publicKey")
    hint = fields.maybe("hint", str)
    raw = fields.maybe("rawBytes", str)
    fields.maybe("keyDetails", str)
    fields.done()
    if hint is not None:
        return PublicKeyHint(hint)
    if raw is None:
        raise FormatError("bad-material", "publicKey needs a hint")
    return PublicKeyHint(digest_of(decode_base64(raw, "publicKey.rawBytes")).hex, old=True)


def _certificate(untrusted: strictjson.Value, what: str) -> bytes:
    fields = strictjson.Fields(untrusted, what)
    raw = decode_base64(fields.take("rawBytes", str), f"{what}.rawBytes")
    fields.done()
    if not raw:
        raise FormatError("bad-material", "a certificate is empty")
    return raw
