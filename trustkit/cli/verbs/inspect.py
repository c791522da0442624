"""``trustkit inspect``: what one file claims, whichever of ours it is; nothing is verified.

A file is recognized by its content, not its name. What is shown was parsed by
the same strict parsers that verification uses; garbage is refused as there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from trustkit import strictjson
from trustkit.cli.answer import Answer, Row, counted
from trustkit.cli.claims import (
    certificate_line,
    certificates_in,
    claimed,
    of_bundle,
    of_descriptor,
    of_manifest,
    of_record,
    statement_in,
    unknown_document,
)
from trustkit.cli.kinds import LOOK, POLICY, kind_of
from trustkit.cli.parser import Parser
from trustkit.cli.terminal import Terminal
from trustkit.cli.trust import MAX_KEY_BYTES
from trustkit.errors import FormatError, LimitError, UsageError

STORY = """
Show what a file claims: a bundle (an author's signature, a publisher's descriptor, any other
attestation), a recipients document or the record of its shredding, certificates, or a key.
Private keys are recognized, never shown.

Nothing is verified: everything printed is what somebody wrote into the file.
"""


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(
        STORY,
        "trustkit inspect model/model.sig",
        "trustkit inspect sealed/descriptor.sigstore.json --json",
        "trustkit inspect author.pem.pub",
        done="shown, and nothing verified",
        refused="the claims contradict each other",
    )
    parser.place("file", "the file to show")


def run(arguments: argparse.Namespace, _terminal: Terminal) -> Answer:
    """Recognize the file by its content, and describe it."""
    from trustkit.artifact.inputs import is_folder, of_file, read_input
    from trustkit.attest.bundle import MAX_BYTES

    path: Path = arguments.file
    if is_folder(path):
        raise UsageError(
            "special-file", f"{str(path)!r} is a folder; name a file in it, such as {path / 'model.sig'}"
        )
    with of_file(path):
        return _shown(path, read_input(path, max_bytes=MAX_BYTES, what="file"))


def _shown(path: Path, raw: bytes) -> Answer:
    from trustkit.attest.bundle import MAX_BYTES
    from trustkit.sealing.recipients import MAX_BYTES as RECIPIENTS_MAX_BYTES
    from trustkit.sealing.shredded import VERSION as SHREDDED

    if raw.lstrip()[:11] == b"-----BEGIN ":
        return _key(raw)
    if kind_of(raw[:LOOK]) == POLICY:
        raise FormatError(
            "unknown-document",
            f"this is a verification policy; look at it with: trustkit policy check {path}",
        )
    if not raw.lstrip().startswith((b"{", b"[")):
        raise unknown_document(path, raw[:LOOK])
    if len(raw) > RECIPIENTS_MAX_BYTES:
        return _bundle(raw)  # nothing else of ours is that large; parsed once
    document = strictjson.parse_object(raw, max_bytes=MAX_BYTES, what="file")
    if "mediaType" in document or "dsseEnvelope" in document:
        return _bundle(raw)
    if document.get("version") == SHREDDED:
        return _record(raw)
    if "recipients" in document:
        return _recipients(raw)
    raise unknown_document(path, raw[:LOOK])


def _bundle(raw: bytes) -> Answer:
    from trustkit.attest.bundle import parse_bundle
    from trustkit.attest.predicates.digests import in_words_of_today
    from trustkit.attest.predicates.model_signature import PREDICATE_TYPE as MODEL_SIGNATURE
    from trustkit.attest.predicates.model_signature import parse_manifest
    from trustkit.attest.predicates.sealed import parse_sealed
    from trustkit.sealing.descriptor import PREDICATE_TYPE as SEALED

    bundle = parse_bundle(raw)
    statement = statement_in(bundle)
    rows, fields = of_bundle(bundle, statement)
    kind, what = "attestation", "a signed statement of a type that this version does not read"
    more: tuple[list[Row], strictjson.Object] = ([], {})
    signature = in_words_of_today(statement)
    if signature.predicate_type == MODEL_SIGNATURE:
        kind, what = "model-signature", "a model signature"
        more = of_manifest(parse_manifest(signature))
    elif statement.predicate_type == SEALED:
        kind, what = "descriptor", "the descriptor of a sealed artifact"
        more = of_descriptor(parse_sealed(statement))
    return claimed(f"{what}, as the file tells it", [*rows, *more[0]], {**fields, **more[1], "kind": kind})


def _recipients(raw: bytes) -> Answer:
    from trustkit.sealing.recipients import recipients_of

    found = recipients_of(raw)
    return claimed(
        f"a recipients document: one data key, wrapped for {counted(len(found), 'recipient')}",
        [(kind, str(key)) for kind, key in found],
        {"kind": "recipients", "recipients": [{"kind": kind, "key": str(key)} for kind, key in found]},
    )


def _record(raw: bytes) -> Answer:
    from trustkit.sealing.shredded import parse_record

    rows, fields = of_record(parse_record(raw))
    return claimed(
        "the record of a shredding: the wrapped keys of a sealed folder were destroyed",
        rows,
        {**fields, "kind": "shredded"},
    )


def _key(raw: bytes) -> Answer:
    if b"-----BEGIN CERTIFICATE-----" in raw and b"PRIVATE KEY-----" not in raw:
        return _certificates(raw)
    if len(raw) > MAX_KEY_BYTES:
        raise LimitError("too-large", f"the key is larger than {MAX_KEY_BYTES} bytes", limit=MAX_KEY_BYTES)
    if b"PRIVATE KEY-----" in raw:
        protected = b"ENCRYPTED" in raw
        how = (
            "encrypted with a passphrase" if protected else "NOT encrypted: whoever reads the file can use it"
        )
        return claimed(
            "a private key; nobody but its owner may have it",
            [("protection", how)],
            {"kind": "private-key", "encrypted": protected},
        )
    try:
        uses, fingerprint, hint = _public(raw)
    except UsageError as error:
        raise FormatError("bad-public-key", f"{error.message}") from None
    return claimed(
        "a public key; whose it is has to be known from elsewhere",
        [
            ("fingerprint", fingerprint),
            *([("key hint", hint)] if hint else []),
            ("use", " and ".join(uses)),
        ],
        {"kind": "public-key", "fingerprint": fingerprint, "key_hint": hint or None, "uses": list(uses)},
    )


def _certificates(raw: bytes) -> Answer:
    """Show a file of certificates, in its order."""
    from trustkit.verifying.authorities import MAX_ROOTS, ders_from_pem

    found = certificates_in(ders_from_pem(raw, "the file", most=MAX_ROOTS))
    return claimed(
        f"{counted(len(found), 'certificate')}; whom to believe has to be known from elsewhere",
        [("certificate", certificate_line(said)) for said in found],
        {"kind": "certificates", "certificates": list(found)},
    )


def _public(raw: bytes) -> tuple[list[str], str, str]:
    """Say what a public key can be used for (to verify with, to seal to, or both), and what it is called."""
    from trustkit.sealing.hpke import recipient_from_pem
    from trustkit.verifying.keys import public_key_from_pem

    uses: list[str] = []
    fingerprint = hint = ""
    try:
        key = public_key_from_pem(raw, what="the file")
        fingerprint, hint = str(key.fingerprint), key.hint
        uses.append("verify signatures")
    except UsageError as error:
        if error.code != "unsupported-key" and raw.count(b"-----BEGIN ") == 1:  # two are a hybrid recipient's
            raise
    try:
        fingerprint = str(recipient_from_pem(raw).key_id)
        uses.append("seal to")
    except UsageError:
        if not uses:
            raise
    return uses, fingerprint, hint
