"""Statements: in-toto's shape, closed where it might narrow a claim, open where it cannot widen one."""

import pytest

from trustkit.attest.statement import MAX_SUBJECTS, Statement, Subject, parse_statement, statement_to_bytes
from trustkit.errors import FormatError, LimitError

CAP = 1 << 20


@pytest.fixture
def statement():
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": "ab" * 32}}],
        "predicateType": "https://example.com/predicate/v1",
        "predicate": {"a": [1, None]},
    }


@pytest.fixture
def refuses(statement, to_bytes):
    """Expect the statement, as it is by now, to be refused with a code."""

    def expect(code, kind=FormatError):
        with pytest.raises(kind) as caught:
            parse_statement(to_bytes(statement), max_bytes=CAP)
        assert caught.value.code == code
        return caught.value

    return expect


def test_what_is_written_byte_for_byte():
    written = statement_to_bytes(
        Statement((Subject("m", {"sha256": "00"}),), "https://x/y", {"b": 1, "a": "é"})
    )
    assert written.decode() == (
        '{"_type":"https://in-toto.io/Statement/v1","predicate":{"a":"é","b":1},'
        '"predicateType":"https://x/y","subject":[{"digest":{"sha256":"00"},"name":"m"}]}'
    )


def test_a_statement_is_read(statement, to_bytes):
    assert parse_statement(to_bytes(statement), max_bytes=CAP) == Statement(
        (Subject("model", {"sha256": "ab" * 32}),), "https://example.com/predicate/v1", {"a": [1, None]}
    )


def test_a_subject_may_carry_members_of_a_resource_descriptor(statement, to_bytes):
    statement["subject"][0].update(
        uri="https://x", annotations={"actual_hash_algorithm": "file-sha256"}, mediaType="x"
    )
    read = parse_statement(to_bytes(statement), max_bytes=CAP)
    annotations = {"actual_hash_algorithm": "file-sha256"}
    assert read.subjects == (Subject("model", {"sha256": "ab" * 32}, (annotations,)),)
    statement["subject"][0]["annotations"] = 7  # another reader's business
    assert parse_statement(to_bytes(statement), max_bytes=CAP).subjects[0].annotations == (7,)
    statement["subject"][0]["annotations"] = None  # which is not absent
    assert parse_statement(to_bytes(statement), max_bytes=CAP).subjects[0].annotations == (None,)
    del statement["subject"][0]["annotations"]
    assert parse_statement(to_bytes(statement), max_bytes=CAP).subjects[0].annotations == ()


def test_a_subject_may_be_nameless(statement, to_bytes):
    """Whoever needs a name looks for one: model-signing up to 1.0.x gave none when it signed ``.``."""
    del statement["subject"][0]["name"]
    assert parse_statement(to_bytes(statement), max_bytes=CAP).subjects[0].name == ""


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("_type", None, "bad-field"),
        ("_type", "https://in-toto.io/Statement/v0.1", "bad-statement-type"),
        ("_type", "https://in-toto.io/Statement/v1/", "bad-statement-type"),
        ("subject", None, "bad-field"),
        ("subject", {}, "bad-field"),
        ("subject", [], "no-subject"),
        ("subject", [None], "bad-field"),
        ("subject", [{"name": "model"}], "missing-field"),
        ("subject", [{"name": None, "digest": {"sha256": "ab"}}], "bad-field"),
        ("subject", [{"name": "", "digest": {"sha256": "ab"}}], "bad-subject"),
        ("subject", [{"name": "model", "digest": {}}], "bad-subject"),
        ("subject", [{"name": "model", "digest": []}], "bad-field"),
        ("subject", [{"name": "model", "digest": {"sha256": None}}], "bad-digest"),
        ("subject", [{"name": "model", "digest": {"sha256": 12}}], "bad-digest"),
        ("subject", [{"name": "model", "digest": {"sha256": ["a", "b"]}}], "bad-digest"),
        ("subject", [{"name": "model", "digest": {"sha256": ""}}], "bad-digest"),
        ("subject", [{"name": "model", "digest": {"sha256": "AB" * 32}}], "bad-digest"),
        ("subject", [{"name": "model", "digest": {"sha256": "0x12"}}], "bad-digest"),
        ("subject", [{"name": "model", "digest": {"sha256": "\u0661"}}], "bad-digest"),
        ("subject", [{"name": "model", "digest": {"sha256": "ab", "other": "XY"}}], "bad-digest"),
        ("predicateType", None, "bad-field"),
        ("predicate", None, "bad-field"),
        ("predicate", [], "bad-field"),
        ("extra", 1, "unknown-field"),
    ],
)
def test_a_damaged_statement_is_refused(statement, refuses, member, value, code):
    statement[member] = value
    assert refuses(code).exit_code == 3


@pytest.mark.parametrize("member", ["_type", "subject", "predicateType", "predicate"])
def test_a_missing_member_is_named(statement, refuses, member):
    del statement[member]
    assert refuses("missing-field").evidence == {"field": f"statement.{member}"}


def test_subjects_are_capped(statement, refuses, to_bytes):
    assert MAX_SUBJECTS == 1024
    statement["subject"] *= MAX_SUBJECTS
    assert len(parse_statement(to_bytes(statement), max_bytes=CAP).subjects) == MAX_SUBJECTS
    statement["subject"].append(statement["subject"][0])
    refuses("too-many-subjects", LimitError)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"not json", "bad-json"),
        (b"[]", "bad-field"),
        (b"null", "bad-field"),
        (b'{"_type": 1, "_type": 1}', "duplicate-key"),
        (b'{"_type": 1e999}', "bad-json"),
    ],
)
def test_what_is_no_strict_object_is_refused(raw, code):
    with pytest.raises(FormatError) as caught:
        parse_statement(raw, max_bytes=CAP)
    assert caught.value.code == code


def test_size_is_capped(statement, to_bytes):
    with pytest.raises(LimitError) as caught:
        parse_statement(to_bytes(statement), max_bytes=10)
    assert caught.value.code == "too-large"
