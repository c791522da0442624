"""A digest knows its algorithm, is written one way, and is compared whole."""

import hashlib

import pytest
from blake3 import blake3

from trustkit.digest import SIZES, Digest, digest_from_hex, digest_of, new_hasher, parse_digest
from trustkit.errors import FormatError

ABC = {
    "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "blake2b": "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
    "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
    "blake3": "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
}
"""Of the three bytes ``abc``: FIPS 180-4, RFC 7693 appendix A, and the BLAKE3 authors' test vectors."""


@pytest.mark.parametrize("algorithm", SIZES)
def test_known_answers(algorithm):
    assert digest_of(b"abc", algorithm).hex == ABC[algorithm]
    assert str(digest_of(b"abc", algorithm)) == f"{algorithm}:{ABC[algorithm]}"
    assert parse_digest(f"{algorithm}:{ABC[algorithm]}") == digest_of(b"abc", algorithm)


@pytest.mark.parametrize("algorithm", SIZES)
def test_hashing_is_streamed(algorithm):
    hasher = new_hasher(algorithm)
    for chunk in (b"a", bytearray(b""), memoryview(b"bc")):
        hasher.update(chunk)
    assert hasher.digest().hex() == ABC[algorithm]
    assert len(hasher.digest()) == SIZES[algorithm]


def test_sha256_is_what_you_get_without_asking():
    assert digest_of(b"x") == Digest("sha256", hashlib.sha256(b"x").digest())
    assert digest_of(b"x", "blake3").value == blake3(b"x").digest()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        ABC["sha256"],
        f"SHA256:{ABC['sha256']}",
        f"sha256:{ABC['sha256'].upper()}",
        f"sha256:{ABC['sha256'][:-1]}",
        f"sha256:{ABC['sha256']}0",
        f"sha256:{ABC['blake2b']}",
        f"blake2b:{ABC['sha256']}",
        f"sha512:{ABC['blake2b']}",
        f" sha256:{ABC['sha256']}",
        f"sha256:{ABC['sha256']}\n",
        f"sha256: {ABC['sha256']}",
        "sha256:" + "g" * 64,
        "sha256:" + "\N{ARABIC-INDIC DIGIT ONE}" * 64,
    ],
)
def test_other_spellings_are_refused(text):
    with pytest.raises(FormatError) as caught:
        parse_digest(text)
    assert caught.value.code == "bad-digest"


@pytest.mark.parametrize(
    ("algorithm", "text", "code"),
    [
        ("md5", "0" * 32, "unknown-algorithm"),
        ("", ABC["sha256"], "unknown-algorithm"),
        ("blake2b", ABC["sha256"], "bad-digest"),
        ("sha256", "A" * 64, "bad-digest"),
        ("sha256", "0x" + "0" * 62, "bad-digest"),
        ("sha256", "", "bad-digest"),
    ],
)
def test_hex_and_algorithm_apart(algorithm, text, code):
    with pytest.raises(FormatError) as caught:
        digest_from_hex(algorithm, text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("algorithm", "size"), [("sha256", 31), ("sha256", 64), ("blake2b", 32), ("md5", 16)]
)
def test_a_digest_has_the_length_of_its_algorithm(algorithm, size):
    with pytest.raises(FormatError) as caught:
        Digest(algorithm, bytes(size))
    assert caught.value.code == "bad-digest"


def test_digests_of_different_algorithms_never_match():
    one, other = Digest("sha256", bytes(32)), Digest("blake3", bytes(32))
    assert one.matches(Digest("sha256", bytes(32)))
    assert not one.matches(other)
    assert not one.matches(Digest("sha256", bytes(31) + b"\1"))
    assert one != other
    assert len({one, other, Digest("sha256", bytes(32))}) == 2
