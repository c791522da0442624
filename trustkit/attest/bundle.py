"""Sigstore bundles as OMS uses them: a DSSE envelope and what is needed to verify it.

Pure. Nothing in a bundle is trusted: verification material only says where to
look, the authorities of a policy say whom to believe. Certificates are carried
as bytes, log entries and timestamps counted: who can verify them says so. The
material is of the signer who signed first; others are added without any.
Source: OMS v1.0, sections 4 and 11; sigstore protobuf-specs, sigstore_bundle.proto;
how each writer's bundles are read: FORMAT.md beside this file.
"""

from __future__ import annotations

import base64
import binascii
import io
import re

from trustkit import strictjson
from trustkit.attest.dsse import (
    Envelope,
    Signature,
    decode_base64,
    envelope_to_object,
    parse_envelope,
    payload_span,
    signature_to_object,
)
from trustkit.digest import digest_of
from trustkit.errors import FormatError, LimitError
from trustkit.records import dataclass, replace

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
"""What we write."""
MAX_BYTES = 256 << 20
"""Largest bundle that is read (bytes)."""
MAX_AROUND = 16 << 20
"""Most bytes of a bundle around its payload: material, log entries, timestamps and signatures."""
MAX_VALUES = 65_536
"""Most commas in a bundle, and so most values: a payload is one long text and has none."""
MAX_CERTIFICATES = 10
"""Most certificates in a chain."""
MAX_ENTRIES = 32
"""Most transparency log entries, and most timestamps."""

_MEDIA_TYPES = re.compile(r"application/vnd\.dev\.sigstore\.bundle(?:\.v0\.3\+json|\+json;version=0\.[1-3])")
_LARGE = MAX_AROUND
_NO_PAYLOAD = b'"payload": ""'
_TRIPLES = 3 << 18
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
    """``x509CertificateChain`` or ``certificate``: DER certificates, leaf first.

    Attributes:
        certificates: At least one; what follows the leaf may be in any order.
        keyless: Whether it is a ``certificate``, which proves nothing without a log entry.
    """

    certificates: tuple[bytes, ...]
    keyless: bool = False


Material = PublicKeyHint | CertificateChain
"""How a signer wants to be found: whatever holds the key yields one of these."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """An envelope with its verification material.

    Serialised as ``{"mediaType": …, "verificationMaterial": {"publicKey": {"hint": …}, "tlogEntries": []},
    "dsseEnvelope": {…}}``, or with ``"x509CertificateChain": {"certificates": [{"rawBytes": base64}]}``.
    """

    envelope: Envelope
    material: Material
    log_entries: int = 0
    timestamps: int = 0


def bundle_to_bytes(bundle: Bundle) -> bytes:
    """Serialise a bundle deterministically, indented for people.

    Raises:
        FormatError: ``unsupported-material`` for keyless bundles, which we read and do not write;
            ``no-certificates`` or ``bad-material`` for a chain that would not be read again.
        LimitError: ``chain-too-long``.
    """
    hollow = strictjson.to_bytes(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {**_material_to_object(bundle.material), "tlogEntries": []},
            "dsseEnvelope": envelope_to_object(replace(bundle.envelope, payload=b"")),
        },
        indent=2,
    )
    start = hollow.index(_NO_PAYLOAD) + len(_NO_PAYLOAD) - 1
    payload = memoryview(bundle.envelope.payload)
    written = io.BytesIO()  # so that a large payload is copied once; the last byte first, to make room once
    written.seek(len(hollow) + -(-len(payload) // 3) * 4 - 1)
    written.write(hollow[-1:])
    written.seek(0)
    written.write(hollow[:start])
    for place in range(0, len(payload), _TRIPLES):
        written.write(binascii.b2a_base64(payload[place : place + _TRIPLES], newline=False))
    written.write(hollow[start:])
    return written.getvalue()


def _material_to_object(material: Material) -> strictjson.Object:
    if isinstance(material, PublicKeyHint):
        return {"publicKey": {"hint": material.hint}}
    if material.keyless:
        raise FormatError("unsupported-material", "keyless bundles are read, and not written")
    certificates: list[strictjson.Value] = [
        {"rawBytes": base64.b64encode(der).decode("ascii")} for der in material.certificates
    ]
    written: strictjson.Object = {"certificates": certificates}
    _material("x509CertificateChain", written)  # what a reader would refuse is not written
    return {"x509CertificateChain": written}


def with_signature(untrusted: bytes, signature: Signature, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Return a bundle with one more signature at the end; all else that it says is kept as it is.

    Args:
        untrusted: A bundle; its payload is what the new signature must cover.
        signature: Made over the PAE of that payload.
        max_bytes: Largest bundle accepted and returned (bytes).

    Raises:
        FormatError: It does not parse; ``unsupported-material`` for a keyless bundle, whose readers
            take exactly one signature.
        LimitError: ``too-many-signatures``, or over another cap.
    """
    bundle = parse_bundle(untrusted, max_bytes=max_bytes)
    if isinstance(bundle.material, CertificateChain) and bundle.material.keyless:
        raise FormatError(
            "unsupported-material",
            "a keyless bundle holds one signature, and its readers take no other; sign a bundle of your own",
        )
    document = strictjson.parse_object(untrusted, max_bytes=max_bytes, what="bundle")
    envelope = strictjson.Fields(document, "bundle").take("dsseEnvelope", dict)
    signatures = strictjson.Fields(envelope, "dsseEnvelope").take("signatures", list)
    signatures.append(signature_to_object(signature))  # in the document, which is ours alone
    raw = strictjson.to_bytes(document, indent=2)
    parse_bundle(raw, max_bytes=max_bytes)  # what a reader would refuse is not written
    return raw


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
    value, payload = _around_payload(untrusted, max_bytes)
    fields = strictjson.Fields(value, "bundle")
    media_type = fields.take("mediaType", str)
    if _MEDIA_TYPES.fullmatch(media_type) is None:
        raise FormatError("bad-media-type", f"the media type must be {MEDIA_TYPE} or an older spelling of it")
    material = fields.take("verificationMaterial", dict)
    envelope = fields.take("dsseEnvelope", dict)
    fields.done()
    return _with_material(parse_envelope(envelope, cut_out=payload), material)


def _around_payload(untrusted: bytes, max_bytes: int) -> tuple[strictjson.Value, memoryview | None]:
    """Parse a bundle; of a large one the payload stays bytes, for a text may take four times as many."""
    span = payload_span(untrusted) if _LARGE < len(untrusted) <= max_bytes else None
    if span is None:
        most = max_bytes if len(untrusted) > max_bytes else MAX_AROUND
        return strictjson.parse(untrusted, max_bytes=most, what="bundle"), None
    before, after = untrusted[: span[0] - 1], untrusted[span[1] + 1 :]
    what = "bundle around its payload"
    around = strictjson.parse_around(before, after, max_bytes=MAX_AROUND, what=what)
    return around, memoryview(untrusted)[span[0] : span[1]]


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


def _material(kind: str, untrusted: strictjson.Value) -> Material:
    if kind == "publicKey":
        return _public_key(untrusted)
    if kind == "certificate":
        return CertificateChain((_certificate(untrusted, kind),), keyless=True)
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
    if raw is not None:
        fields.maybe("keyDetails", str)  # of an old key; a new bundle has neither
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
