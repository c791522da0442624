"""JWE as KServe has it: its own library reads ours and writes what we read; what is altered is refused."""

import base64
import json
import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto import jwe, jwk

from trustkit.errors import FormatError, LimitError, SealError, TrustkitError
from trustkit.sealing import jwe as room
from trustkit.sealing.jwe import (
    CHUNK,
    MAX_HEAD,
    MAX_KEY_FILE,
    MAX_PLAINTEXT,
    TAIL,
    TEXT_CHUNK,
    JweKey,
    JweOpener,
    JweSealer,
    check_length,
    parse_jwe_key,
    plaintext_length,
)

SHARED = bytes(range(200, 232))
KEY = JweKey(SHARED)


def encoded(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def decoded(text):
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


JWK = jwk.JWK(kty="oct", k=encoded(SHARED).decode())


def sealed(plaintext, key=KEY, chunk=CHUNK):
    sealer = JweSealer(key, entropy=os.urandom)
    pieces = [sealer.seal(memoryview(plaintext)[at : at + chunk]) for at in range(0, len(plaintext), chunk)]
    return b"".join((sealer.head, *pieces, sealer.finish()))


def opened(text, key=KEY, chunk=TEXT_CHUNK):
    opener = JweOpener(key, text[:MAX_HEAD])
    body = text[opener.head : len(text) - TAIL]
    assert plaintext_length(len(body)) >= 0
    plain = b"".join(opener.open(body[at : at + chunk]) for at in range(0, len(body), chunk))
    opener.finish(text[opener.head + len(body) :])
    return plain


def theirs(plaintext, header=None, key=JWK):
    """Write as KServe's guide does, with the library of its decryptor."""
    token = jwe.JWE(plaintext, json.dumps(header or {"alg": "A256KW", "enc": "A256GCM"}))
    token.add_recipient(key)
    return token.serialize(compact=True).encode()


def read_by_theirs(text):
    """Read as KServe's decryptor does."""
    token = jwe.JWE()
    token.deserialize(text.decode())
    token.decrypt(JWK)
    return token.payload


def reader(text):
    """Read independently, from RFC 7516 and 7518 alone."""
    header, wrapped, iv, body, tag = text.split(b".")
    key = aes_key_unwrap(SHARED, decoded(wrapped))
    return AESGCM(key).decrypt(decoded(iv), decoded(body) + decoded(tag), header)


def refused(kind, code, call):
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.code == code
    return caught.value


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 2])
def test_both_sides_read_each_other_at_every_length(length):
    plaintext = os.urandom(length)
    ours = sealed(plaintext)
    assert ours.startswith(b"eyJ")  # by which KServe knows it
    assert json.loads(decoded(ours.split(b".")[0])) == {"alg": "A256KW", "enc": "A256GCM"}
    assert reader(ours) == opened(ours) == plaintext
    if length:
        assert read_by_theirs(ours) == plaintext
    assert opened(theirs(plaintext)) == plaintext


def test_their_library_calls_a_jwe_of_nothing_broken():
    """Why empty files are not sealed in this layout; where this test fails, they can be."""
    with pytest.raises(jwe.InvalidJWEData, match="Success"):
        read_by_theirs(theirs(b""))


def test_chunks_are_one_text_and_one_chunk_is_three_quarters_of_its_text():
    plaintext = os.urandom(3000)
    assert TEXT_CHUNK == CHUNK * 4 // 3
    assert CHUNK % 3 == 0
    text = sealed(plaintext, chunk=3)
    assert reader(text) == opened(text, chunk=4) == plaintext


def test_nothing_repeats_from_file_to_file():
    texts = [sealed(b"the same") for _ in range(50)]
    for part in (1, 2, 3, 4):
        assert len({text.split(b".")[part] for text in texts}) == 50


def test_headers_that_describe_are_read():
    header = {"alg": "A256KW", "enc": "A256GCM", "kid": "k1", "typ": "JWE", "cty": "octet-stream"}
    assert opened(theirs(b"weights", header)) == b"weights"


@pytest.mark.parametrize(
    ("header", "kind", "code"),
    [
        ({"alg": "A256KW", "enc": "A128GCM"}, FormatError, "unknown-suite"),
        ({"alg": "dir", "enc": "A256GCM"}, FormatError, "unknown-suite"),
        ({"alg": "A256GCMKW", "enc": "A256GCM", "iv": "x", "tag": "x"}, FormatError, "unknown-field"),
        ({"alg": "A256KW", "enc": "A256GCM", "zip": "DEF"}, FormatError, "unknown-field"),
        ({"alg": "A256KW", "enc": "A256GCM", "crit": ["exp"]}, FormatError, "unknown-field"),
        ({"alg": "A256KW", "enc": "A256GCM", "kid": 5}, FormatError, "bad-field"),
        ({"alg": "A256KW"}, FormatError, "missing-field"),
        ({"enc": "A256GCM"}, FormatError, "missing-field"),
        ([], FormatError, "bad-field"),
        ("text", FormatError, "bad-field"),
    ],
)
def test_a_header_is_obeyed_in_nothing(header, kind, code):
    parts = sealed(b"weights").split(b".")
    parts[0] = encoded(json.dumps(header).encode())
    refused(kind, code, lambda: opened(b".".join(parts)))


def test_a_header_twice_and_one_that_is_no_json():
    parts = sealed(b"weights").split(b".")
    for raw, code in (
        (b'{"alg":"A256KW","alg":"A256KW","enc":"A256GCM"}', "duplicate-key"),
        (b"{", "bad-json"),
    ):
        text = b".".join([encoded(raw), *parts[1:]])
        refused(FormatError, code, lambda text=text: opened(text))


def test_the_header_is_authenticated():
    parts = theirs(b"weights", {"alg": "A256KW", "enc": "A256GCM", "kid": "one"}).split(b".")
    parts[0] = encoded(b'{"alg":"A256KW","enc":"A256GCM","kid":"two"}')
    refused(SealError, "tampered", lambda: opened(b".".join(parts)))


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"weights in the clear",
        b"eyJhbGciOiJBMjU2S1ciLCJlbmMiOiJBMjU2R0NNIn0",
        b"eyJ.eyJ.",
        b"..." * 10,
        b"{}.a.b.",
        b"a" * MAX_HEAD + b".b.c.d.e",
        b" " + b"eyJ.a.b.",
    ],
)
def test_what_is_no_jwe_is_not_passed_through(start):
    refused(SealError, "not-encrypted", lambda: JweOpener(KEY, start))


@pytest.mark.parametrize("part", range(5))
def test_every_altered_character_is_refused(part):
    text = sealed(b"weights!")
    parts = text.split(b".")
    for at in range(len(parts[part])):
        altered = [*parts]
        other = b"A" if parts[part][at : at + 1] != b"A" else b"B"
        altered[part] = parts[part][:at] + other + parts[part][at + 1 :]
        with pytest.raises((SealError, FormatError)):
            opened(b".".join(altered))


def test_every_truncation_is_refused():
    text = sealed(b"weights!")
    for length in range(len(text)):
        with pytest.raises((SealError, FormatError)):
            opened(text[:length])


@pytest.mark.parametrize("more", [b".", b"=", b"\n", b" ", b"A", b".AAAA", b"\0"])
def test_what_is_appended_is_refused(more):
    with pytest.raises((SealError, FormatError)):
        opened(sealed(b"weights!") + more)


@pytest.mark.parametrize("tail", [b"", b".", b"." + b"A" * 21, b"A" * 23, b"." + b"A" * 23])
def test_a_tail_of_another_form(tail):
    text = sealed(b"weights!")
    opener = JweOpener(KEY, text)
    opener.open(text[opener.head : -TAIL])
    refused(FormatError, "bad-jwe", lambda: opener.finish(tail))


def test_another_key_opens_nothing():
    other = JweKey(bytes(32))
    refused(SealError, "wrong-context", lambda: opened(sealed(b"weights"), key=other))
    refused(SealError, "wrong-context", lambda: opened(sealed(b"weights", key=other)))


@pytest.mark.parametrize(("wrapped", "iv"), [(24, 12), (48, 12), (40, 11), (40, 13), (39, 12)])
def test_keys_and_ivs_of_another_length(wrapped, iv):
    parts = sealed(b"weights").split(b".")
    parts[1], parts[2] = encoded(bytes(wrapped)), encoded(bytes(iv))
    refused(FormatError, "bad-jwe", lambda: opened(b".".join(parts)))


def test_a_key_of_another_length_that_was_truly_wrapped():
    parts = sealed(b"weights").split(b".")
    parts[1] = encoded(aes_key_wrap(SHARED, bytes(16)))
    refused(FormatError, "bad-jwe", lambda: opened(b".".join(parts)))


@pytest.mark.parametrize("text", [b"A+B/", b"AA==", b"AAA=", b"A A", b"AAAAA", b"AB\n", b"AB", b"AAB"])
def test_text_that_is_not_canonical(text):
    """Padding, another alphabet, white space, and last characters with bits that mean nothing."""
    opener = JweOpener(KEY, sealed(b"weights"))
    refused(FormatError, "bad-base64", lambda: opener.open(text))


@pytest.mark.parametrize(("text", "length"), [(0, 0), (2, 1), (3, 2), (4, 3), (6, 4)])
def test_lengths_that_follow(text, length):
    assert plaintext_length(text) == length


@pytest.mark.parametrize("text", [-1, 1, 5])
def test_lengths_that_nothing_has(text):
    refused(FormatError, "bad-jwe", lambda: plaintext_length(text))


def test_more_than_one_jwe_holds():
    check_length(MAX_PLAINTEXT)
    refused(LimitError, "too-large", lambda: check_length(MAX_PLAINTEXT + 1))
    refused(LimitError, "too-large", lambda: plaintext_length(MAX_PLAINTEXT * 2))


# The shared key


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps({"kty": "oct", "k": encoded(SHARED).decode()}).encode(),
        JWK.export().encode(),
        json.dumps(
            {"kty": "oct", "k": encoded(SHARED).decode(), "kid": "a", "alg": "A256KW", "use": "enc"}
        ).encode(),
        json.dumps({"kty": "oct", "k": encoded(SHARED).decode(), "key_ops": ["unwrapKey"]}).encode() + b"\n",
        encoded(SHARED),
        encoded(SHARED) + b"\n",
        SHARED,
    ],
)
def test_a_key_is_read_in_the_forms_that_kserve_reads(raw):
    key = parse_jwe_key(raw)
    assert reader(sealed(b"weights", key=key)) == b"weights"
    assert repr(key) == "<JweKey>"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "bad-jwk"),
        (b"short", "bad-jwk"),
        (b"x" * 32, "bad-jwk"),  # thirty-two bytes that are text: KServe would take them for a k
        (SHARED[:31], "bad-jwk"),
        (SHARED + b"\xff", "bad-jwk"),
        (encoded(bytes(31)), "bad-jwk"),
        (encoded(SHARED) + b"=", "bad-jwk"),
        (b"A" * 42 + b"B", "bad-base64"),
        (b'{"kty":"oct","k":"AAAA"}', "bad-jwk"),
        (b'{"kty":"RSA","k":"%s"}' % encoded(SHARED), "bad-jwk"),
        (b'{"kty":"oct","k":"%s","alg":"A128KW"}' % encoded(SHARED), "bad-jwk"),
        (b'{"kty":"oct","k":"%s","use":"sig"}' % encoded(SHARED), "bad-jwk"),
        (b'{"kty":"oct","k":"%s","d":"x"}' % encoded(SHARED), "unknown-field"),
        ('{"kty":"oct","k":"\u00e9"}'.encode(), "bad-base64"),
        (b'{"kty":"oct"}', "missing-field"),
        (b"{", "bad-json"),
    ],
)
def test_what_is_no_key_is_refused(raw, code):
    refused(FormatError, code, lambda: parse_jwe_key(raw))
    assert len(raw) <= MAX_KEY_FILE


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=200))
def test_whatever_the_bytes_are_there_is_an_answer(raw):
    for call in (lambda: JweOpener(KEY, raw), lambda: parse_jwe_key(raw), lambda: room._decoded(raw, "text")):
        try:
            call()
        except TrustkitError:
            continue


@settings(max_examples=50, deadline=None)
@given(plaintext=st.binary(min_size=1, max_size=500), chunk=st.integers(1, 40))
def test_whatever_is_sealed_is_read_by_theirs(plaintext, chunk):
    assert read_by_theirs(sealed(plaintext, chunk=3 * chunk)) == plaintext
    assert opened(theirs(plaintext), chunk=4 * chunk) == plaintext
