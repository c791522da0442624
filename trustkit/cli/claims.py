"""What documents claim, as text and JSON, for the verbs that show without verifying.

The law of this file: nothing here was verified, and every document it helps to
make says so: the verdict is ``UNVERIFIED`` and the JSON member ``verified`` is
false, so that no script can take a description for a proof.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trustkit import strictjson
from trustkit.cli.answer import Answer, Row, counted, size
from trustkit.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from trustkit.artifact.manifest import Manifest
    from trustkit.attest.bundle import Bundle
    from trustkit.attest.statement import Statement
    from trustkit.sealing.descriptor import Descriptor
    from trustkit.sealing.shredded import Record

VERDICT = "UNVERIFIED"


def claimed(
    message: str, rows: Sequence[Row], fields: strictjson.Object, *, lines: Iterable[str] = ()
) -> Answer:
    """Make the answer of a verb that only reads."""
    return Answer(
        VERDICT, message, rows=rows, lines=lines, fields={**fields, "verified": False}, audible=True
    )


def statement_in(bundle: Bundle) -> Statement:
    """Read the statement that a bundle carries, signed or not."""
    from trustkit.attest.bundle import MAX_BYTES
    from trustkit.attest.statement import parse_statement

    return parse_statement(bundle.envelope.payload, max_bytes=MAX_BYTES)


def of_bundle(bundle: Bundle, statement: Statement) -> tuple[list[Row], strictjson.Object]:
    """Describe the envelope: how many signatures, by whose word, about what."""
    from trustkit.attest.bundle import CertificateChain, PublicKeyHint

    material = bundle.material
    kind = "public key" if isinstance(material, PublicKeyHint) else "certificate"
    rows = [
        ("signatures", _signatures(len(bundle.envelope.signatures), kind)),
        *(_hinted(material.hint) if isinstance(material, PublicKeyHint) else ()),
        ("predicate type", statement.predicate_type),
    ]
    rows += [("subject", subject.name) for subject in statement.subjects]
    certificates = certificates_in(material.certificates) if isinstance(material, CertificateChain) else []
    rows += [
        ("in its chain" if other else "certificate", certificate_line(said))
        for other, said in enumerate(certificates)
    ]
    fields: strictjson.Object = {
        "signatures": len(bundle.envelope.signatures),
        "material": kind,
        "key_hint": material.hint if isinstance(material, PublicKeyHint) else None,
        "certificates": list(certificates),
        "log_entries": bundle.log_entries,
        "timestamps": bundle.timestamps,
        "predicate_type": statement.predicate_type,
        "subjects": [
            {"name": subject.name, "digest": dict(subject.digests)} for subject in statement.subjects
        ],
    }
    return rows, fields


def _signatures(count: int, kind: str) -> str:
    """Say by what they were made; a bundle has room for the material of its first signer alone."""
    if count == 1:
        return f"1 signature, by a {kind}"
    return f"{count} signatures, the first by a {kind}; the bundle does not say whose the others are"


def _hinted(untrusted: str) -> list[Row]:
    """Show what a bundle calls its key, and how to find the key: a fingerprint cannot be made of a hint."""
    how = "trustkit inspect KEY.pub shows the hint of a key beside its fingerprint"
    return [("key hint", untrusted or "absent"), *([("whose key", how)] if untrusted else [])]


def certificates_in(untrusted: Iterable[bytes]) -> list[strictjson.Object]:
    """Describe certificates by what they say of themselves; one that cannot be read is listed as such."""
    from dataclasses import asdict

    from trustkit.errors import TrustkitError
    from trustkit.verifying.certificates import describe

    found: list[strictjson.Object] = []
    for raw in untrusted:
        try:
            said = asdict(describe(raw))
        except TrustkitError as error:
            found.append({"unreadable": error.code})
        else:
            found.append({**said, "identities": list(said["identities"])})
    return found


def certificate_line(said: strictjson.Object) -> str:
    """Say in one line what a certificate says of itself."""
    if "unreadable" in said:
        return "one that cannot be read"
    names = said["identities"]
    whom = ", ".join(map(str, names)) if isinstance(names, list) and names else f"{said['subject']}"
    times = f"from {said['not_before']} to {said['not_after']}"
    return f"{whom}; key {said['key_fingerprint'] or 'unreadable'}; issued by {said['issuer']}; {times}"


def of_manifest(manifest: Manifest) -> tuple[list[Row], strictjson.Object]:
    """Describe a manifest by its two digests and its counts."""
    digests, fields = digests_of(manifest)
    shards = f" in {counted(len(manifest.resources), 'shard')}" if manifest.method == "shards" else ""
    rows = [
        *digests,
        ("files", f"{counted(manifest.file_count, 'file')}{shards}, {manifest.algorithm}"),
        ("ignore list", ", ".join(manifest.ignore_paths) or "empty"),
    ]
    fields.update(
        method=manifest.method,
        hash=manifest.algorithm,
        allow_symlinks=manifest.allow_symlinks,
        ignore_paths=list(manifest.ignore_paths),
        files=manifest.file_count,
    )
    return rows, fields


def digests_of(manifest: Manifest) -> tuple[list[Row], strictjson.Object]:
    """Give both digests over a manifest: the one that pins, and the one that OMS reports."""
    manifest_digest, root_digest = str(manifest.manifest_digest), str(manifest.root_digest)
    return [("manifest digest", manifest_digest), ("root digest", root_digest)], {
        "manifest_digest": manifest_digest,
        "root_digest": root_digest,
    }


def of_descriptor(descriptor: Descriptor) -> tuple[list[Row], strictjson.Object]:
    """Describe a descriptor: which version of which line, by whose key, how large."""
    total = sum(part.plaintext_length for part in descriptor.parts)
    rows = [
        ("line", f"{descriptor.line} version {descriptor.version}"),
        ("publisher key", str(descriptor.publisher_key)),
        ("manifest digest", str(descriptor.manifest_digest)),
        ("data key", descriptor.dek_id),
        ("sealed", f"{counted(len(descriptor.parts), 'file')}, {size(total)}"),
    ]
    fields: strictjson.Object = {
        "line": descriptor.line,
        "version": descriptor.version,
        "publisher_key": str(descriptor.publisher_key),
        "manifest_digest": str(descriptor.manifest_digest),
        "dek_id": descriptor.dek_id,
        "segment_length": descriptor.segment_length,
        "files": len(descriptor.parts),
        "bytes": total,
    }
    return rows, fields


def of_record(record: Record) -> tuple[list[Row], strictjson.Object]:
    """Describe the record of a shredding: when, of which documents, and for whom the key was wrapped."""
    from trustkit.sealing.shredded import text_of

    named = [] if record.recipients is None else [f"{kind} {key}" for kind, key in record.recipients]
    deletions = [
        f"{one.kind} {one.name}, {one.state}{'' if one.at is None else f' until {text_of(one.at)}'}"
        for one in record.deletions
    ]
    rows = [
        ("destroyed", text_of(record.at)),
        ("descriptor", str(record.descriptor)),
        ("data key", record.dek_id or "unknown"),
        *(("was sealed to", name) for name in named),
        *(("key deleted", said) for said in deletions),
    ]
    fields: strictjson.Object = {
        "time": text_of(record.at),
        "descriptor": str(record.descriptor),
        "recipients_document": str(record.recipients_document),
        "dek_id": record.dek_id,
        "recipients": [{"kind": kind, "key": str(key)} for kind, key in record.recipients or ()],
        "deletions": [*deletions],
    }
    return rows, fields


def unknown_document(path: Path, raw: bytes) -> FormatError:
    """Build the error for a file of none of the kinds that are shown; it says of which it is, where known."""
    from trustkit.cli.kinds import kind_of

    kind = kind_of(raw)
    if kind is not None:
        return FormatError(
            "unknown-document", f"{str(path)!r} is a {kind}, of which there is nothing to show"
        )
    return FormatError(
        "unknown-document",
        f"{str(path)!r} is no bundle, recipients document, certificate or key; "
        "trustkit policy check reads policies",
    )
