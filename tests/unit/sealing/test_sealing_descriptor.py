"""Descriptors obey the arithmetic of the format, and bind keys and parts to exact bytes."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustkit.digest import Digest, digest_of
from trustkit.errors import FormatError, LimitError
from trustkit.sealing.descriptor import (
    MAX_LINE,
    MAX_NUMBER,
    PREDICATE_TYPE,
    SUITE_FLOE_AES256GCM,
    Descriptor,
    Part,
    check_line,
    part_aad,
)
from trustkit.sealing.documents import BLOBS, DESCRIPTOR, RECIPIENTS, SIGNATURE, SealedDocuments, blob_name
from trustkit.sealing.floe import Parameters, ciphertext_length


def part(name, length=5, segment=64):
    sealed = ciphertext_length(length, Parameters(segment))
    return Part(name, length, sealed, digest_of(f"blob {name}".encode()), digest_of(f"head {name}".encode()))


def descriptor(**changes):
    whole = {
        "line": "acme/tiny-llm",
        "version": 3,
        "suite": SUITE_FLOE_AES256GCM,
        "segment_length": 64,
        "dek_id": "0123456789abcdef" * 2,
        "key_commitment": digest_of(b"key"),
        "publisher_key": digest_of(b"publisher"),
        "manifest_digest": digest_of(b"manifest"),
        "parts": (part("a"), part("b/c", 0), part("b/d", 65)),
    }
    return Descriptor(**(whole | changes))


def test_what_it_derives_from_its_members():
    whole = descriptor()
    assert whole.parameters == Parameters(64)
    assert whole.part("b/d") is whole.parts[2]
    with pytest.raises(KeyError):
        whole.part("b")
    assert descriptor(segment_length=1 << 20, parts=(part("a", 7, 1 << 20),)).parameters == Parameters()


def test_the_wrap_context_is_these_bytes():
    whole = descriptor()
    assert whole.context.to_bytes() == (
        b'{"dek_id":"0123456789abcdef0123456789abcdef","format":"trustkit.dev/wrap/v1",'
        b'"key_commitment":"%b","line":"acme/tiny-llm","manifest_digest":"sha256:%b",'
        b'"publisher_key":"sha256:%b","version":3}'
        % tuple(digest_of(word).hex.encode() for word in (b"key", b"manifest", b"publisher"))
    )


def test_the_aad_of_a_part_is_these_bytes():
    whole = descriptor(parts=(part('ä "\x7f b', 65),))
    expected = (
        '{"dek_id":"0123456789abcdef0123456789abcdef","format":"trustkit.dev/sealed-part/v1",'
        f'"line":"acme/tiny-llm","manifest_digest":"sha256:{digest_of(b"manifest").hex}",'
        '"name":"ä \\"\x7f b","plaintext_length":65,"version":3}'
    )
    assert whole.aad_of(whole.parts[0]) == expected.encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"line": "acme/tiny"},
        {"version": 4},
        {"dek_id": "f" * 32},
        {"manifest_digest": digest_of(b"x")},
        {"publisher_key": digest_of(b"x")},
        {"key_commitment": digest_of(b"x")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_context_and_aad_move_with_what_they_bind(changes):
    one, other = descriptor(), descriptor(**changes)
    assert one.context.to_bytes() != other.context.to_bytes()
    bound_by_parts = changes.keys() & {"line", "version", "dek_id", "manifest_digest"}
    assert (one.aad_of(one.parts[0]) != other.aad_of(other.parts[0])) == bool(bound_by_parts)


def test_parts_of_one_descriptor_are_told_apart():
    whole = descriptor(parts=(part("a"), part("b"), part("c", 6)))
    assert len({whole.aad_of(one) for one in whole.parts}) == 3
    longer = dataclasses.replace(whole.parts[0], plaintext_length=6)
    assert whole.aad_of(longer) != whole.aad_of(whole.parts[0])


def test_the_sealers_aad_is_the_descriptors():
    whole = descriptor()
    for one in whole.parts:
        assert whole.aad_of(one) == part_aad(
            one.name,
            one.plaintext_length,
            line=whole.line,
            version=whole.version,
            dek_id=whole.dek_id,
            manifest_digest=whole.manifest_digest,
        )


REFUSED = {
    "bad-line": [{"line": "Acme"}, {"line": ""}],
    "bad-version": [{"version": 0}, {"version": -1}, {"version": MAX_NUMBER + 1}],
    "unknown-suite": [{"suite": 0}, {"suite": 2}, {"suite": 256}],
    "bad-segment-length": [{"segment_length": 32}, {"segment_length": -1}, {"segment_length": (1 << 24) + 1}],
    "bad-dek-id": [{"dek_id": "0" * 31}, {"dek_id": "G" * 32}],
    "bad-digest": [
        {name: Digest(algorithm, bytes(size))}
        for name in ("key_commitment", "publisher_key", "manifest_digest")
        for algorithm, size in (("blake3", 32), ("blake2b", 64))
    ]
    + [
        {"parts": (dataclasses.replace(part("a"), **{name: Digest("blake3", bytes(32))}),)}
        for name in ("blob", "header")
    ],
    "no-parts": [{"parts": ()}],
    "bad-part-order": [
        {"parts": (part("b"), part("a"))},
        {"parts": (part("a"), part("a"))},
        {"parts": (part("a"), part("a", 6))},
        {"parts": (part("a"), part("c"), part("b"))},
    ],
    "bad-part-length": [
        {"parts": (dataclasses.replace(part("a"), plaintext_length=4),)},
        {"parts": (dataclasses.replace(part("a"), ciphertext_length=110),)},
        {"parts": (dataclasses.replace(part("a"), ciphertext_length=-1),)},
        {"parts": (dataclasses.replace(part("a"), plaintext_length=-1),)},
        {"parts": (part("a"), part("b", 65, 65))},
        {"parts": (dataclasses.replace(part("a"), plaintext_length=MAX_NUMBER + 1),)},
        {"segment_length": 128, "parts": (part("a", 200, 64),)},
    ],
    "duplicate-blob": [{"parts": (part("a"), dataclasses.replace(part("a"), name="b"))}],
}


@pytest.mark.parametrize(
    ("code", "changes"), [(code, changes) for code, every in REFUSED.items() for changes in every]
)
def test_what_a_descriptor_cannot_be(code, changes):
    with pytest.raises(FormatError, match=rf"\[{code}\]"):
        descriptor(**changes)


def test_a_part_of_more_segments_than_floe_has():
    with pytest.raises(LimitError, match="too-many-segments"):
        descriptor(segment_length=33, parts=(dataclasses.replace(part("a"), plaintext_length=(1 << 40) + 1),))


def test_the_largest_numbers_there_may_be():
    length = MAX_NUMBER
    whole = descriptor(version=MAX_NUMBER, segment_length=1 << 24, parts=(part("a", length, 1 << 24),))
    assert str(MAX_NUMBER).encode() in whole.aad_of(whole.parts[0])


@pytest.mark.parametrize("line", ["a", "0", "acme/tiny-llm", "a.b_c-d/e/f", "a" * MAX_LINE, "a/" * 127 + "b"])
def test_lines(line):
    assert check_line(line) == line


NO_LINES = [
    "",
    "/",
    "a/",
    "/a",
    "a//b",
    "A",
    "a b",
    "a\n",
    "ä",
    "a/../b",
    "a/.b",
    "-a",
    "_a",
    ".",
    "a\\b",
    "a:b",
]


@pytest.mark.parametrize("line", [*NO_LINES, "٣", "a" * (MAX_LINE + 1), "a/" * 127 + "bc"])
def test_what_is_no_line(line):
    with pytest.raises(FormatError, match="bad-line"):
        check_line(line)


@given(st.text(max_size=20))
def test_lines_are_decided_for_any_text(text):
    try:
        assert check_line(text) == text
    except FormatError as error:
        assert error.code == "bad-line"  # noqa: PT017 - either outcome is legal
    else:
        assert text.isascii()
        assert not set(text) & set(" \\:@?#%")


def test_documents_and_blobs_have_these_names():
    assert (DESCRIPTOR, RECIPIENTS, SIGNATURE, BLOBS) == (
        "descriptor.sigstore.json",
        "recipients.json",
        "model.sig",
        "blobs",
    )
    assert PREDICATE_TYPE == "https://trustkit.dev/sealed/v1"
    assert blob_name(Digest("sha256", bytes(32))) == f"blobs/{'00' * 32}"
    assert SealedDocuments(b"d", b"a", b"r") == SealedDocuments(
        descriptor=b"d", author_bundle=b"a", recipients=b"r"
    )
