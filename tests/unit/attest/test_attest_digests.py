"""What model-signing 0.2.0 signed: files as subjects, an encoding of its own, and nothing of it elsewhere."""

import copy
import hashlib
import json
from pathlib import Path

import pytest

from trustkit.attest.bundle import parse_bundle
from trustkit.attest.dsse import PAYLOAD_TYPE, Envelope, Signature
from trustkit.attest.predicates import digests
from trustkit.attest.predicates.digests import MAX_BYTES, encoding_of_old, in_words_of_today
from trustkit.attest.predicates.model_signature import parse_manifest
from trustkit.attest.statement import MAX_FILE_SUBJECTS, MAX_SUBJECTS, Statement, Subject, parse_statement
from trustkit.errors import FormatError, LimitError

WRITTEN = Path(__file__).parents[2] / "vectors/oms/written"
TYPE = "https://model_signing/Digests/v0.1"
CAP = 1 << 24


def of(*files, predicate=None, **annotations):
    """Make a statement about (name, content, algorithm)."""
    subjects = tuple(
        Subject(name, {"sha256": digest}, (annotations or {"actual_hash_algorithm": f"file-{algorithm}"},))
        for name, algorithm, digest in (
            (name, algorithm, hashlib.new(algorithm, content).hexdigest())
            for name, content, algorithm in files
        )
    )
    return Statement(subjects, TYPE, {"unused": "x"} if predicate is None else predicate)


def envelope(payload):
    return Envelope(payload, PAYLOAD_TYPE, (Signature(b"s"),))


@pytest.mark.parametrize("what", ["files", "blake2"])
def test_a_real_statement_says_the_same_in_words_of_today(what):
    bundle = parse_bundle((WRITTEN / f"0.2.0-{what}.sig").read_bytes())
    old = parse_statement(bundle.envelope.payload, max_bytes=CAP)
    manifest = parse_manifest(in_words_of_today(old))
    assert manifest.method == "files"
    assert manifest.algorithm == {"files": "sha256", "blake2": "blake2b"}[what]
    assert (manifest.allow_symlinks, tuple(manifest.ignore_paths)) == (False, ())
    assert {r.path: r.digest.hex for r in manifest.resources} == {
        subject.name: subject.digests["sha256"] for subject in old.subjects
    }


def test_every_other_statement_is_left_as_it_is():
    other = Statement((Subject("m", {"sha256": "ab" * 32}),), "https://model_signing/Digests/v0.2", {})
    assert in_words_of_today(other) is other


def test_a_file_without_annotations_is_hashed_with_what_its_digest_is_called():
    old = of(("a", b"1", "sha256"))
    bare = Statement((Subject("a", old.subjects[0].digests),), TYPE, {})
    assert parse_manifest(in_words_of_today(bare)) == parse_manifest(in_words_of_today(old))


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        (of(("a", b"", "sha256"), predicate={"unused": 1}), "bad-field"),
        (of(("a", b"", "sha256"), predicate={"only": ["a"]}), "unknown-field"),
        (of(("a", b"", "sha256"), actual_hash_algorithm="file-blake3"), "unknown-algorithm"),
        (of(("a", b"", "sha256"), actual_hash_algorithm="sha256"), "unknown-algorithm"),
        (of(("a", b"", "sha256"), actual_hash_algorithm=None), "bad-field"),
        (of(("a", b"", "sha256"), other="file-sha256"), "missing-field"),
        (of(("a", b"", "sha256"), actual_hash_algorithm="file-sha256", other="x"), "unknown-field"),
        (of(("a", b"", "sha256"), actual_hash_algorithm="file-blake2b"), "bad-digest"),
        (of(("a", b"", "sha256"), ("b", b"", "blake2b")), "algorithm-mismatch"),
        (of(("../a", b"", "sha256")), "unsafe-name"),
        (of(("a", b"", "sha256"), ("a", b"1", "sha256")), "duplicate-name"),
        (of(("a", b"", "sha256"), ("A", b"1", "sha256")), "name-twins"),
        (Statement((Subject("a", {"sha256": "ab" * 32}, (["x"],)),), TYPE, {}), "bad-field"),
        (Statement((Subject("a", {"sha256": "ab" * 32}, (None,)),), TYPE, {}), "bad-field"),
        (Statement((Subject("a", {"sha512": "ab" * 64}),), TYPE, {}), "bad-subject"),
        (Statement((Subject("a", {"sha256": "ab" * 32, "x": "ab"}),), TYPE, {}), "bad-subject"),
        (Statement((Subject("", {"sha256": "ab" * 32}),), TYPE, {}), "unsafe-name"),
    ],
)
def test_what_0_2_0_could_not_have_meant_is_refused(statement, code):
    with pytest.raises(FormatError) as caught:
        parse_manifest(in_words_of_today(statement))
    assert caught.value.code == code


@pytest.mark.parametrize("count", [0, 3, 20_000], ids=["none", "small", "in columns"])
def test_no_predicate_brings_resources_however_large_it_is(count):
    row = {"name": "a", "algorithm": "sha256", "digest": "ab" * 32}
    raw = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "a", "digest": {"sha256": "ab" * 32}}],
        "predicateType": TYPE,
        "predicate": {"resources": [row] * count},
    }
    statement = parse_statement(json.dumps(raw).encode(), max_bytes=CAP)
    assert (statement.resources is not None) == (count == 20_000)
    with pytest.raises(FormatError) as caught:
        in_words_of_today(statement)
    assert caught.value.code == "unknown-field"


def test_the_encoding_is_that_of_0_2_0():
    """As it wrote it: text with a literal of bytes in it, the length that of the bytes."""
    for payload in (
        b'{"predicateType": "https://model_signing/Digests/v0.1", "n": "it\'s \\u6a21"}',
        b'{\n  "predicateType": "https://model_signing/Digests/v0.1"\n}',
    ):
        pae = f"DSSEV1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} {payload}"
        assert encoding_of_old(envelope(payload)) == pae.encode()


@pytest.mark.parametrize(
    "payload",
    [
        b'{"predicateType": "https://model_signing/signature/v1.0"}',
        b'{"predicateType": "https://model_signing/Digests/v0.10"}',
        b'{"predicateType": "https:\\/\\/model_signing/Digests/v0.1"}',
        b'{"predicateType": "https://model_signing/Digests/v0.1", "n": "\xc3\xa9"}',
        b'{"predicateType": "https://model_signing/Digests/v0.1", "n": "\x00"}',
        b'{"predicateType": "https://model_signing/Digests/v0.1",\t"n": ""}',
        b'{"predicateType": "https://model_signing/Digests/v0.1", "n": "\x7f"}',
        b'"https://model_signing/Digests/v0.1"' + b" " * MAX_BYTES,
    ],
    ids=["another type", "a longer type", "escaped", "not ASCII", "NUL", "tab", "DEL", "too large"],
)
def test_no_encoding_is_made_of_what_0_2_0_did_not_write(payload):
    assert encoding_of_old(envelope(payload)) is None


def test_a_payload_may_be_as_long_as_the_cap(monkeypatch):
    assert MAX_BYTES == 64 << 20
    payload = b'"https://model_signing/Digests/v0.1"'
    monkeypatch.setattr(digests, "MAX_BYTES", len(payload))
    assert encoding_of_old(envelope(payload)) is not None
    assert encoding_of_old(envelope(payload + b" ")) is None


def test_its_files_are_subjects_and_so_there_may_be_many_of_them():
    subject = {"name": "a", "digest": {"sha256": "ab"}}

    def read(kind, count):
        raw = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [subject] * count,
            "predicateType": kind,
            "predicate": {},
        }
        return len(parse_statement(json.dumps(raw).encode(), max_bytes=CAP).subjects)

    assert MAX_FILE_SUBJECTS == 100_000
    assert read(TYPE, MAX_FILE_SUBJECTS) == MAX_FILE_SUBJECTS
    for kind, most in ((TYPE, MAX_FILE_SUBJECTS), ("https://model_signing/signature/v1.0", MAX_SUBJECTS)):
        with pytest.raises(LimitError) as caught:
            read(kind, most + 1)
        assert (caught.value.code, caught.value.evidence["limit"]) == ("too-many-subjects", most)


def test_reading_changes_nothing():
    old = of(("a", b"1", "sha256"), ("b", b"2", "sha256"))
    before = copy.deepcopy(old)
    in_words_of_today(old)
    assert old == before
