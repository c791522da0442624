"""The predicate ``https://model_signing/Digests/v0.1`` of model-signing 0.2.0, read as OMS v1.0 would say it.

Pure, and never written. That version listed the files as subjects, each with
its digest under the name ``sha256`` whatever it was, and with the real algorithm
in an annotation; the predicate is a dummy, nothing says how files were walked,
and what it signed is not the PAE. All of that is its own: nothing here applies
to any other predicate type. Source: model-signing 0.2.0, signing/in_toto.py and
signature/encoding.py; FORMAT.md, section 9.
"""

from __future__ import annotations

from trustkit import strictjson
from trustkit.attest.dsse import Envelope
from trustkit.attest.predicates.model_signature import PREDICATE_TYPE
from trustkit.attest.statement import FILES_AS_SUBJECTS, Statement, Subject
from trustkit.digest import Algorithm, digest_from_hex, digest_of
from trustkit.errors import FormatError

MAX_BYTES = 64 << 20
"""Largest payload that is taken for the work of 0.2.0 (bytes)."""

_CONTROLS = bytes({*range(0x20), 0x7F} - set(b"\n"))
_ALGORITHMS: dict[str, Algorithm] = {"file-sha256": "sha256", "file-blake2b": "blake2b"}
_NAMED = f'"{FILES_AS_SUBJECTS}"'.encode()
_ANNOTATION = "actual_hash_algorithm"


def encoding_of_old(envelope: Envelope) -> bytes | None:
    """Return what 0.2.0 signed in place of the PAE, or None where this payload cannot be its work.

    It formatted the payload, which was bytes, into a text: so the text holds Python's
    literal of those bytes, and the prefix was misspelt. Its JSON was printable ASCII in
    lines, and named the predicate type in plain letters; a look for that costs little and
    keeps the encoding, up to twice as long as the payload, from being made for everybody.

    Whoever believes a signature over this must see to it that the predicate type,
    once parsed, is the one above.
    """
    payload = envelope.payload
    if len(payload) > MAX_BYTES or not payload.isascii():
        return None
    if len(payload.translate(None, _CONTROLS)) != len(payload) or _NAMED not in payload:
        return None
    kind = envelope.payload_type.encode("utf-8")
    return b"DSSEV1 %d %b %d %b" % (len(kind), kind, len(payload), repr(payload).encode("ascii"))


def in_words_of_today(statement: Statement) -> Statement:
    """Return the OMS v1.0 statement that says what a 0.2.0 statement says; any other as it is.

    Its rules are then those of every manifest. It ignored nothing and followed no links.

    Raises:
        FormatError: ``bad-subject``, ``bad-digest``, ``bad-field``, ``unknown-field``, ``unknown-algorithm``.
    """
    if statement.predicate_type != FILES_AS_SUBJECTS:
        return statement
    dummy = strictjson.Fields(statement.predicate, "predicate")
    dummy.maybe("unused", str)
    dummy.done()
    if statement.resources is not None:  # a member of a large predicate like any other, held in columns
        raise FormatError("unknown-field", "predicate has a member 'resources' that 0.2.0 never wrote")
    digests = [digest_from_hex(_algorithm(subject), _hex(subject)) for subject in statement.subjects]
    resources: list[strictjson.Value] = [
        {"name": subject.name, "algorithm": digest.algorithm, "digest": digest.hex}
        for subject, digest in zip(statement.subjects, digests, strict=True)
    ]
    serialization: strictjson.Object = {
        "method": "files",
        "hash_type": digests[0].algorithm,
        "allow_symlinks": False,
        "ignore_paths": [],
    }
    root = digest_of(b"".join(digest.value for digest in digests)).hex
    predicate: strictjson.Object = {"resources": resources, "serialization": serialization}
    return Statement((Subject("model", {"sha256": root}),), PREDICATE_TYPE, predicate)


def _algorithm(subject: Subject) -> Algorithm:
    if not subject.annotations:
        return "sha256"  # as its documentation has it
    annotations = strictjson.Fields(subject.annotations[0], "subject[].annotations")
    named = annotations.take(_ANNOTATION, str)
    annotations.done()
    if named not in _ALGORITHMS:
        raise FormatError("unknown-algorithm", "the hash of a file must be file-sha256 or file-blake2b")
    return _ALGORITHMS[named]


def _hex(subject: Subject) -> str:
    if subject.digests.keys() != {"sha256"}:
        raise FormatError("bad-subject", "a file of a 0.2.0 signature has one digest, under the name sha256")
    return subject.digests["sha256"]
