"""Whatever a 0.2.0 statement holds, it is read as the manifest it means, or refused with an error of ours."""

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from trustkit.attest.dsse import PAYLOAD_TYPE, Envelope, Signature
from trustkit.attest.predicates.digests import encoding_of_old, in_words_of_today
from trustkit.attest.predicates.model_signature import parse_manifest
from trustkit.attest.statement import parse_statement
from trustkit.errors import FormatError, LimitError

TYPE = "https://model_signing/Digests/v0.1"
NAMES = st.text("abc", min_size=1, max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "a", "file-sha256", "ab" * 32]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "digest", "sha256", "annotations", "actual_hash_algorithm", "unused", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def read(subjects, predicate):
    raw = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": TYPE,
        "predicate": predicate,
    }
    return parse_manifest(in_words_of_today(parse_statement(json.dumps(raw).encode(), max_bytes=1 << 20)))


@given(
    st.dictionaries(NAMES, st.binary(max_size=4), min_size=1, max_size=5),
    st.sampled_from(["sha256", "blake2b"]),
)
def test_files_are_read_as_they_were_meant(files, algorithm):
    digests = {name: hashlib.new(algorithm, content).hexdigest() for name, content in files.items()}
    subjects = [
        {
            "name": name,
            "digest": {"sha256": value},
            "annotations": {"actual_hash_algorithm": f"file-{algorithm}"},
        }
        for name, value in digests.items()
    ]
    manifest = read(subjects, {"unused": "x"})
    assert {part.path: str(part.digest) for part in manifest.resources} == {
        name: f"{algorithm}:{value}" for name, value in digests.items()
    }
    root = hashlib.sha256(b"".join(bytes.fromhex(value) for value in digests.values())).hexdigest()
    assert manifest.root_digest.hex == root


@given(st.lists(JSON, max_size=4), st.dictionaries(st.sampled_from(["unused", "x"]), JSON, max_size=2))
def test_anything_else_is_read_or_refused(subjects, predicate):
    try:
        manifest = read(subjects, predicate)
    except (FormatError, LimitError):
        return
    assert manifest.method == "files"
    assert not manifest.allow_symlinks
    assert len(manifest.resources) == len(subjects)


@given(st.text(st.sampled_from([*map(chr, range(0x20, 0x7F)), "\n"]), max_size=60))
def test_the_encoding_is_what_python_made_of_bytes(text):
    payload = f'{{"predicateType": "{TYPE}"}}{text}'.encode()
    made = encoding_of_old(Envelope(payload, PAYLOAD_TYPE, (Signature(b"s"),)))
    assert made == f"DSSEV1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} {payload}".encode()
    literal = made.partition(b" b'")[2]
    assert literal.removesuffix(b"'").replace(b"\\'", b"'").count(b"\\\\") == payload.count(b"\\"), (
        "as FORMAT.md has it"
    )


@given(st.binary(max_size=80))
def test_what_is_not_its_work_has_no_encoding(payload):
    assert encoding_of_old(Envelope(payload, PAYLOAD_TYPE, (Signature(b"s"),))) is None
