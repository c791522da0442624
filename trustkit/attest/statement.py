"""in-toto Statements v1: subjects, a predicate type and a predicate.

Pure. The statement is untrusted until the envelope around it was verified.
What in-toto leaves open is open here: a subject is a resource descriptor and may
carry members that nobody here reads, so none of them can make anything allowed.
The statement itself is closed, as in OMS's own schema: an unknown member beside
the predicate might narrow it. Source: in-toto attestation framework,
spec/v1/statement.md and spec/v1/README.md, parsing rules; FORMAT.md, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

from trustkit import strictjson
from trustkit.errors import FormatError, LimitError

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
MAX_SUBJECTS = 1024
"""Most subjects in one statement."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about: a name for people, digests for machines (algorithm to lower-case hex)."""

    name: str
    digests: dict[str, str]


@dataclass(frozen=True, slots=True)
class Statement:
    """A claim: subjects, the type of the predicate, and the predicate as strict JSON."""

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: strictjson.Object


def statement_to_bytes(statement: Statement) -> bytes:
    """Serialise deterministically; these bytes are what gets signed and carried from here on."""
    return strictjson.to_bytes(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": subject.name, "digest": subject.digests} for subject in statement.subjects],
            "predicateType": statement.predicate_type,
            "predicate": statement.predicate,
        }
    )


def parse_statement(untrusted: bytes, *, max_bytes: int) -> Statement:
    """Parse a statement.

    Args:
        untrusted: The payload's bytes.
        max_bytes: Largest statement accepted (bytes).

    Raises:
        FormatError: Not strict JSON, or not an in-toto Statement v1.
        LimitError: Over a cap.
    """
    fields = strictjson.Fields(
        strictjson.parse(untrusted, max_bytes=max_bytes, what="statement"), "statement"
    )
    if fields.take("_type", str) != STATEMENT_TYPE:
        raise FormatError("bad-statement-type", f"the statement type must be {STATEMENT_TYPE}")
    subjects = fields.take("subject", list)
    predicate_type = fields.take("predicateType", str)
    predicate = fields.take("predicate", dict)
    fields.done()
    if not subjects:
        raise FormatError("no-subject", "the statement has no subject")
    if len(subjects) > MAX_SUBJECTS:
        raise LimitError("too-many-subjects", f"more than {MAX_SUBJECTS} subjects", limit=MAX_SUBJECTS)
    return Statement(tuple(_subject(entry) for entry in subjects), predicate_type, predicate)


def _subject(untrusted: strictjson.Value) -> Subject:
    fields = strictjson.Fields(untrusted, "subject[]")  # not `done`: see the law of this file
    name = fields.take("name", str)
    untrusted_digests = fields.take("digest", dict)
    digests: dict[str, str] = {}
    for algorithm, value in untrusted_digests.items():
        if not isinstance(value, str) or not value or not set(value) <= set("0123456789abcdef"):
            raise FormatError("bad-digest", "a subject digest must be lower-case hex")
        digests[algorithm] = value
    if not name or not digests:
        raise FormatError("bad-subject", "a subject needs a name and a digest")
    return Subject(name, digests)
