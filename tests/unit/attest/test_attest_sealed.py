"""The sealed predicate: written one way, read one way, every member known and every rule kept."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustkit.attest.predicates import sealed
from trustkit.attest.predicates.sealed import parse_sealed, statement_of_sealed
from trustkit.attest.statement import Statement, Subject, parse_statement, statement_to_bytes
from trustkit.digest import digest_of
from trustkit.errors import FormatError, LimitError, TrustkitError, VerificationError
from trustkit.sealing.descriptor import PREDICATE_TYPE, SUITE_FLOE_AES256GCM, Descriptor, Part
from trustkit.sealing.floe import Parameters, ciphertext_length

ROOT = digest_of(b"root")


def part(name, length=5):
    return Part(
        name,
        length,
        ciphertext_length(length, Parameters(64)),
        digest_of(f"blob {name}".encode()),
        digest_of(f"head {name}".encode()),
    )


DESCRIPTOR = Descriptor(
    line="acme/tiny-llm",
    version=3,
    suite=SUITE_FLOE_AES256GCM,
    segment_length=64,
    dek_id="0123456789abcdef" * 2,
    key_commitment=digest_of(b"key"),
    publisher_key=digest_of(b"publisher"),
    manifest_digest=digest_of(b"manifest"),
    parts=(part("config.json"), part("empty", 0), part("weights/ä.safetensors", 1000)),
)
STATEMENT = statement_of_sealed(DESCRIPTOR, root_digest=ROOT)


def test_what_is_written_is_read_through_the_signed_bytes():
    raw = statement_to_bytes(STATEMENT)
    assert parse_sealed(parse_statement(raw, max_bytes=1 << 20)) == DESCRIPTOR
    assert statement_to_bytes(parse_statement(raw, max_bytes=1 << 20)) == raw


def test_the_predicate_is_this_document():
    assert STATEMENT.predicate_type == PREDICATE_TYPE
    assert STATEMENT.subjects == (
        Subject("acme/tiny-llm", {"sha256": ROOT.hex, "trustkitManifestSha256": digest_of(b"manifest").hex}),
    )
    assert {name: value for name, value in STATEMENT.predicate.items() if name != "parts"} == {
        "line": "acme/tiny-llm",
        "version": 3,
        "suite": 1,
        "segment_length": 64,
        "dek_id": "0123456789abcdef0123456789abcdef",
        "key_commitment": digest_of(b"key").hex,
        "publisher_key": f"sha256:{digest_of(b'publisher').hex}",
        "manifest_digest": f"sha256:{digest_of(b'manifest').hex}",
    }
    assert STATEMENT.predicate["parts"][0] == {
        "name": "config.json",
        "plaintext_length": 5,
        "ciphertext_length": 111,
        "blob": f"sha256:{digest_of(b'blob config.json').hex}",
        "header": f"sha256:{digest_of(b'head config.json').hex}",
    }


def changed(**members):
    """Return the statement with members of the predicate replaced; ``...`` takes one away."""
    predicate = copy.deepcopy(STATEMENT.predicate) | members
    predicate = {name: value for name, value in predicate.items() if value is not ...}
    return Statement(STATEMENT.subjects, PREDICATE_TYPE, predicate)


def changed_part(**members):
    parts = copy.deepcopy(STATEMENT.predicate["parts"])
    parts[0] = {name: value for name, value in (parts[0] | members).items() if value is not ...}
    return changed(parts=parts)


WRONG_TYPES = [None, True, 1.0, "text", [], {}, -1, 1 << 80]
MEMBERS = list(STATEMENT.predicate)
PART_MEMBERS = list(STATEMENT.predicate["parts"][0])


@pytest.mark.parametrize("member", MEMBERS)
def test_every_member_is_required_and_has_one_type(member):
    with pytest.raises(FormatError, match="missing-field"):
        parse_sealed(changed(**{member: ...}))
    for value in WRONG_TYPES:
        with pytest.raises(FormatError):
            parse_sealed(changed(**{member: value}))


@pytest.mark.parametrize("member", PART_MEMBERS)
def test_every_member_of_a_part_is_required_and_has_one_type(member):
    with pytest.raises(FormatError, match="missing-field"):
        parse_sealed(changed_part(**{member: ...}))
    for value in WRONG_TYPES:
        if (member, value) != ("name", "text"):
            with pytest.raises(FormatError):
                parse_sealed(changed_part(**{member: value}))


def test_a_name_out_of_order_is_refused_though_it_is_a_name():
    with pytest.raises(FormatError, match="bad-part-order"):
        parse_sealed(changed_part(name="text"))


def test_unknown_members_are_refused_at_every_level():
    for statement in (changed(expires="never"), changed_part(mode=0o777)):
        with pytest.raises(FormatError, match="unknown-field"):
            parse_sealed(statement)


@pytest.mark.parametrize("count", [0, 3, 20_000], ids=["none", "small", "in columns"])
def test_a_member_of_manifests_is_unknown_here_however_large_it_is(count):
    """What is held in columns is no longer in the predicate, and unknown all the same."""
    document = json.loads(statement_to_bytes(STATEMENT))
    document["predicate"]["resources"] = [{"name": "a", "algorithm": "sha256", "digest": "ab" * 32}] * count
    statement = parse_statement(json.dumps(document).encode(), max_bytes=1 << 24)
    assert (statement.resources is not None) == (count == 20_000)
    with pytest.raises(FormatError) as caught:
        parse_sealed(statement)
    assert caught.value.code == "unknown-field"


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"line": "Acme/tiny-llm"}, "bad-line"),
        ({"version": 0}, "bad-version"),
        ({"version": 1 << 53}, "bad-version"),
        ({"suite": 0}, "unknown-suite"),
        ({"suite": 2}, "unknown-suite"),
        ({"segment_length": 32}, "bad-segment-length"),
        ({"segment_length": 128}, "bad-part-length"),
        ({"dek_id": "0123456789ABCDEF" * 2}, "bad-dek-id"),
        ({"key_commitment": f"sha256:{digest_of(b'key').hex}"}, "bad-digest"),
        ({"key_commitment": digest_of(b"key").hex.upper()}, "bad-digest"),
        ({"publisher_key": digest_of(b"publisher").hex}, "bad-digest"),
        ({"publisher_key": f"blake3:{digest_of(b'publisher').hex}"}, "bad-digest"),
        ({"manifest_digest": f"blake3:{digest_of(b'manifest').hex}"}, "bad-digest"),
        ({"parts": []}, "no-parts"),
        ({"parts": ["config.json"]}, "bad-field"),
        ({"parts": STATEMENT.predicate["parts"][::-1]}, "bad-part-order"),
        ({"parts": STATEMENT.predicate["parts"][:1] * 2}, "bad-part-order"),
    ],
)
def test_rules_of_the_descriptor(members, code):
    with pytest.raises(FormatError, match=rf"\[{code}\]"):
        parse_sealed(changed(**members))


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"plaintext_length": 6}, "bad-part-length"),
        ({"ciphertext_length": 112}, "bad-part-length"),
        ({"plaintext_length": -1, "ciphertext_length": 105}, "bad-part-length"),
        ({"blob": f"blake3:{'0' * 64}"}, "bad-digest"),
        ({"header": "sha256:"}, "bad-digest"),
        ({"blob": STATEMENT.predicate["parts"][1]["blob"]}, "duplicate-blob"),
    ],
)
def test_rules_of_a_part(members, code):
    with pytest.raises(FormatError, match=rf"\[{code}\]"):
        parse_sealed(changed_part(**members))


@pytest.mark.parametrize(
    "name", ["", ".", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "a\\b", "a\0b", "a\nb", "\ud800"]
)
def test_names_that_climb_hide_or_are_not_text(name):
    with pytest.raises(FormatError, match="unsafe-name"):
        parse_sealed(changed_part(name=name))


@pytest.mark.parametrize(
    ("first", "second"),
    [("Config.json", "config.json"), ("a\u0301", "á"), ("ß", "ss"), ("a", "a/b"), ("A/x", "a/y")],
)
def test_names_that_become_one(first, second):
    twins = sorted((first, second))
    descriptor = Descriptor(
        **{name: getattr(DESCRIPTOR, name) for name in MEMBERS if name != "parts"},
        parts=tuple(part(name) for name in twins),
    )
    with pytest.raises(FormatError, match="name-twins"):
        parse_sealed(statement_of_sealed(descriptor, root_digest=ROOT))


@pytest.mark.parametrize(
    ("name", "code"), [("a" * 4097, "name-too-long"), ("a/" * 300 + "a", "name-too-deep")]
)
def test_names_over_a_cap(name, code):
    with pytest.raises(LimitError, match=code):
        parse_sealed(changed_part(name=name))


def test_more_parts_than_the_cap_are_not_looked_at(monkeypatch):
    monkeypatch.setattr(sealed, "MAX_PARTS", 3)
    assert parse_sealed(STATEMENT) == DESCRIPTOR  # which has three
    monkeypatch.setattr(sealed, "MAX_PARTS", 2)
    with pytest.raises(LimitError, match="too-many-parts"):
        parse_sealed(changed(parts=[None] * 3))


DIGESTS = STATEMENT.subjects[0].digests


@pytest.mark.parametrize(
    ("subjects", "code"),
    [
        ([], "bad-subject"),
        ([Subject("acme/tiny-llm", DIGESTS)] * 2, "bad-subject"),
        ([Subject("acme/other", DIGESTS)], "bad-subject"),
        ([Subject("acme/tiny-llm", {"sha256": ROOT.hex})], "bad-subject"),
        ([Subject("acme/tiny-llm", {"trustkitManifestSha256": ROOT.hex})], "bad-subject"),
        ([Subject("acme/tiny-llm", DIGESTS | {"sha512": "00"})], "bad-subject"),
        ([Subject("acme/tiny-llm", DIGESTS | {"sha256": "00"})], "bad-digest"),
        ([Subject("acme/tiny-llm", DIGESTS | {"trustkitManifestSha256": "00" * 33})], "bad-digest"),
    ],
)
def test_the_subject_is_the_line_with_both_digests(subjects, code):
    with pytest.raises(FormatError, match=rf"\[{code}\]"):
        parse_sealed(Statement(tuple(subjects), PREDICATE_TYPE, STATEMENT.predicate))


@pytest.mark.parametrize(
    "kind", ["https://model_signing/signature/v1.0", PREDICATE_TYPE + "/", PREDICATE_TYPE.upper(), ""]
)
def test_another_predicate_type_is_another_statement(kind):
    with pytest.raises(VerificationError, match="wrong-predicate-type"):
        parse_sealed(Statement(STATEMENT.subjects, kind, STATEMENT.predicate))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), value=VALUES)
def test_no_predicate_raises_anything_but_our_errors(data, value):
    member = data.draw(st.sampled_from([*MEMBERS, "more"]))
    of_part = data.draw(st.sampled_from([None, *PART_MEMBERS, "more"]))
    statement = changed(**{member: value}) if of_part is None else changed_part(**{of_part: value})
    try:
        parse_sealed(statement)
    except TrustkitError as error:
        assert isinstance(error, FormatError | LimitError)  # noqa: PT017 - or it was legal after all


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_edit_of_the_signed_bytes_raises_anything_but_our_errors(data):
    raw = bytearray(json.dumps(json.loads(statement_to_bytes(STATEMENT))).encode())
    start = data.draw(st.integers(0, len(raw) - 1))
    raw[start : start + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        parse_sealed(parse_statement(bytes(raw), max_bytes=1 << 20))
    except TrustkitError as error:
        assert isinstance(error, FormatError | LimitError | VerificationError)  # noqa: PT017 - or it was legal
