"""in-toto Statements v1: subjects, a predicate type and a predicate.

Pure. The statement is untrusted until the envelope around it was verified.
What in-toto leaves open is open here: a subject is a resource descriptor and may
carry members that nobody here reads, so none of them can make anything allowed.
The statement itself is closed, as in OMS's own schema: an unknown member beside
the predicate might narrow it. Source: in-toto attestation framework,
spec/v1/statement.md and spec/v1/README.md, parsing rules; FORMAT.md, section 3.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

from trustkit import strictjson
from trustkit.attest.rows import Rows, parse_in_pieces
from trustkit.errors import FormatError, LimitError
from trustkit.records import dataclass

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
MAX_SUBJECTS = 1024
"""Most subjects in one statement."""
FILES_AS_SUBJECTS = "https://model_signing/Digests/v0.1"
"""The one predicate type whose subjects are the files of a model, each of them one subject."""
MAX_FILE_SUBJECTS = 100_000
"""Most subjects in a statement of that type."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about: a name for people, digests for machines (algorithm to lower-case hex).

    Attributes:
        name: Empty where there is none: model-signing up to 1.0.x named nothing when it signed ``.``.
        digests: Algorithm to lower-case hex.
        annotations: The member as it was found, of whatever type, and nothing where there is none: a null is
            not absent. Not written.
    """

    name: str
    digests: dict[str, str]
    annotations: tuple[strictjson.Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """A claim: subjects, the type of the predicate, and the predicate as strict JSON.

    Attributes:
        resources: The predicate's member of that name, where it is held in columns; the predicate lacks it.
    """

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: strictjson.Object
    resources: Rows | None = None


def statement_to_bytes(statement: Statement) -> bytes:
    """Serialise deterministically; these bytes are what gets signed and carried from here on."""
    subjects = [{"name": subject.name, "digest": subject.digests} for subject in statement.subjects]
    around = {"_type": STATEMENT_TYPE, "subject": subjects, "predicateType": statement.predicate_type}
    if statement.resources is None:
        return strictjson.to_bytes(around | {"predicate": statement.predicate})
    written = io.BytesIO()
    written.writelines(
        _members(
            around, "predicate", _members(statement.predicate, "resources", statement.resources.to_bytes())
        )
    )
    return written.getvalue()


def _members(known: Mapping[str, object], name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Write an object with one member more, as `strictjson.to_bytes` would, that one in pieces."""
    start = b"{"
    for key in sorted((*known, name)):
        yield start + strictjson.to_bytes(key) + b":"
        if key == name:
            yield from pieces
        else:
            yield strictjson.to_bytes(known[key])
        start = b","
    yield b"}"


def parse_statement(untrusted: bytes, *, max_bytes: int) -> Statement:
    """Parse a statement.

    Args:
        untrusted: The payload's bytes.
        max_bytes: Largest statement accepted (bytes).

    Raises:
        FormatError: Not strict JSON, or not an in-toto Statement v1.
        LimitError: Over a cap.
    """
    found = parse_in_pieces(untrusted, max_bytes=max_bytes, what="statement")
    value, resources = found or (strictjson.parse(untrusted, max_bytes=max_bytes, what="statement"), None)
    fields = strictjson.Fields(value, "statement")
    if fields.take("_type", str) != STATEMENT_TYPE:
        raise FormatError("bad-statement-type", f"the statement type must be {STATEMENT_TYPE}")
    subjects = fields.take("subject", list)
    predicate_type = fields.take("predicateType", str)
    predicate = fields.take("predicate", dict)
    fields.done()
    if not subjects:
        raise FormatError("no-subject", "the statement has no subject")
    most = MAX_FILE_SUBJECTS if predicate_type == FILES_AS_SUBJECTS else MAX_SUBJECTS
    if len(subjects) > most:
        raise LimitError("too-many-subjects", f"more than {most} subjects", limit=most)
    if resources is not None:
        del predicate["resources"]  # which is a hole
    return Statement(tuple(_subject(entry) for entry in subjects), predicate_type, predicate, resources)


def _subject(untrusted: strictjson.Value) -> Subject:
    fields = strictjson.Fields(untrusted, "subject[]")  # not `done`: see the law of this file
    name = fields.maybe("name", str)
    untrusted_digests = fields.take("digest", dict)
    digests: dict[str, str] = {}
    for algorithm, value in untrusted_digests.items():
        if not isinstance(value, str) or not value or not set(value) <= set("0123456789abcdef"):
            raise FormatError("bad-digest", "a subject digest must be lower-case hex")
        digests[algorithm] = value
    if name == "" or not digests:
        raise FormatError("bad-subject", "a subject needs a name and a digest")
    annotations = (fields.raw("annotations"),) if fields.has("annotations") else ()
    return Subject(name or "", digests, annotations)
