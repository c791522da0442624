"""The predicate ``https://trustkit.dev/sealed/v1``: a descriptor as signed JSON.

Pure. One subject: the line, with the author's OMS root digest and manifest
digest, so that a verifier of the one cannot be shown the other. Read strictly:
every member is known, every name safe, every length the one FLOE gives, and
parts have one legal order. Source: trustkit/sealing/FORMAT.md, section 3.
"""

from __future__ import annotations

from trustkit import strictjson
from trustkit.artifact.names import check_distinct, check_name
from trustkit.attest.statement import Statement, Subject
from trustkit.digest import Digest, digest_from_hex, parse_digest
from trustkit.errors import FormatError, LimitError, VerificationError
from trustkit.sealing.descriptor import PREDICATE_TYPE, Descriptor, Part

MAX_PARTS = 1_000_000
"""Most parts in one descriptor."""
ROOT_DIGEST = "sha256"
"""Name of the subject digest that is the OMS root digest."""
MANIFEST_DIGEST = "trustkitManifestSha256"
"""Name of the subject digest that is the manifest digest."""


def statement_of_sealed(descriptor: Descriptor, *, root_digest: Digest) -> Statement:
    """Build the statement that a publisher signs.

    Args:
        descriptor: What was sealed.
        root_digest: The OMS root digest of the author's manifest.
    """
    predicate: strictjson.Object = {
        "line": descriptor.line,
        "version": descriptor.version,
        "suite": descriptor.suite,
        "segment_length": descriptor.segment_length,
        "dek_id": descriptor.dek_id,
        "key_commitment": descriptor.key_commitment.hex,
        "publisher_key": str(descriptor.publisher_key),
        "manifest_digest": str(descriptor.manifest_digest),
        "parts": [
            {
                "name": part.name,
                "plaintext_length": part.plaintext_length,
                "ciphertext_length": part.ciphertext_length,
                "blob": str(part.blob),
                "header": str(part.header),
            }
            for part in descriptor.parts
        ],
    }
    digests = {ROOT_DIGEST: root_digest.hex, MANIFEST_DIGEST: descriptor.manifest_digest.hex}
    return Statement((Subject(descriptor.line, digests),), PREDICATE_TYPE, predicate)


def parse_sealed(statement: Statement) -> Descriptor:
    """Read the descriptor out of a statement.

    Args:
        statement: Parsed, and verified by the caller; everything in it is checked here all the same.

    Raises:
        VerificationError: ``wrong-predicate-type``.
        FormatError: A rule of the predicate is broken, a name is unsafe or appears twice.
        LimitError: ``too-many-parts``, ``too-many-segments``, ``name-too-long``.
    """
    if statement.predicate_type != PREDICATE_TYPE:
        raise VerificationError(
            "wrong-predicate-type",
            "this is a signed statement, but not a descriptor of a sealed artifact",
            found=statement.predicate_type,
        )
    fields = strictjson.Fields(statement.predicate, "predicate")
    entries = fields.take("parts", list)
    if len(entries) > MAX_PARTS:
        raise LimitError("too-many-parts", f"more than {MAX_PARTS} parts", limit=MAX_PARTS)
    descriptor = Descriptor(
        line=fields.take("line", str),
        version=fields.take("version", int),
        suite=fields.take("suite", int),
        segment_length=fields.take("segment_length", int),
        dek_id=fields.take("dek_id", str),
        key_commitment=digest_from_hex("sha256", fields.take("key_commitment", str)),
        publisher_key=parse_digest(fields.take("publisher_key", str)),
        manifest_digest=parse_digest(fields.take("manifest_digest", str)),
        parts=tuple(_part(entry) for entry in entries),
    )
    fields.done()
    if statement.resources is not None:  # a member of a large predicate like any other, held in columns
        raise FormatError("unknown-field", "predicate has a member 'resources' that no descriptor has")
    check_distinct(part.name for part in descriptor.parts)
    _check_subject(statement, descriptor)
    return descriptor


def _part(untrusted: strictjson.Value) -> Part:
    fields = strictjson.Fields(untrusted, "parts[]")
    part = Part(
        name=check_name(fields.take("name", str)),
        plaintext_length=fields.take("plaintext_length", int),
        ciphertext_length=fields.take("ciphertext_length", int),
        blob=parse_digest(fields.take("blob", str)),
        header=parse_digest(fields.take("header", str)),
    )
    fields.done()
    return part


def _check_subject(statement: Statement, descriptor: Descriptor) -> None:
    """One subject, named as the line, with both digests and no third that some reader might prefer."""
    if len(statement.subjects) != 1 or statement.subjects[0].name != descriptor.line:
        raise FormatError("bad-subject", "a descriptor has exactly one subject, named as its line")
    digests = statement.subjects[0].digests
    if digests.keys() != {ROOT_DIGEST, MANIFEST_DIGEST}:
        raise FormatError(
            "bad-subject", f"the subject of a descriptor has the digests {ROOT_DIGEST} and {MANIFEST_DIGEST}"
        )
    for value in digests.values():
        digest_from_hex("sha256", value)
