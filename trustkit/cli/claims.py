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

    from trustkit.artifact.manifest import Manifest
    from trustkit.attest.bundle import Bundle
    from trustkit.attest.statement import Statement
    from trustkit.sealing.descriptor import Descriptor

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
    if isinstance(material, PublicKeyHint):
        kind, said = "public key", f"a public key, hint {material.hint or 'absent'}"
    else:
        kind = "certificate"
        said = counted(len(material.certificates), "certificate")
    rows = [
        ("signatures", f"{counted(len(bundle.envelope.signatures), 'signature')}, by {said}"),
        ("predicate type", statement.predicate_type),
    ]
    rows += [("subject", subject.name) for subject in statement.subjects]
    certificates = certificates_in(material.certificates) if isinstance(material, CertificateChain) else []
    rows += [("certificate", certificate_line(said)) for said in certificates]
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
    return f"{whom}; issued by {said['issuer']}; from {said['not_before']} to {said['not_after']}"


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


def unknown_document() -> FormatError:
    """Build the error for a file that is none of the kinds we show."""
    return FormatError(
        "unknown-document",
        "this is no bundle, recipients document or key; trustkit policy check reads policies",
    )
