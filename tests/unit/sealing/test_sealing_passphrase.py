"""A passphrase as a recipient: bound, committed, and bounded in what it costs."""

import hashlib
import hmac
import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from hypothesis import given, settings
from hypothesis import strategies as st

from trustkit.digest import digest_of
from trustkit.errors import FormatError, LimitError, SealError, UnavailableError, UsageError
from trustkit.sealing import passphrase as room
from trustkit.sealing.keys import Dek
from trustkit.sealing.passphrase import (
    KEY_ID,
    MAX_LENGTH,
    MAX_LOG_N,
    MIN_LENGTH,
    MIN_LOG_N,
    PassphraseOpener,
    PassphraseRecipient,
    check_wrapped,
)

WORDS = b"correct horse battery staple"
INFO = b"what it is for"
SECRET = bytes(range(32))


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Stretch as by the format, but at a price that tests can pay; one pays the real one."""
    real = Scrypt

    def cheap(*, salt, length, n, r, p):
        return real(salt=salt + n.to_bytes(8, "big"), length=length, n=2, r=r, p=p)

    monkeypatch.setattr(room, "Scrypt", cheap)


def wrapped(words=WORDS, info=INFO, entropy=os.urandom, **options):
    return PassphraseRecipient(words, entropy=entropy, **options).wrap(Dek(bytearray(SECRET)), info)


def refusal(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return caught.value.code


def real_scrypt(words, salt, log_n):
    return hashlib.scrypt(words, salt=salt, n=1 << log_n, r=8, p=1, maxmem=1 << 29, dklen=32)


def test_an_independent_reader_opens_what_we_wrap(monkeypatch):
    monkeypatch.setattr(room, "Scrypt", Scrypt)  # the real price, once
    raw = wrapped()
    assert (len(raw), raw[0]) == (113, 17)
    prk = real_scrypt(WORDS, raw[1:33], 17)
    label = b"trustkit.dev/passphrase/v1:" + INFO
    key = hmac.digest(prk, label + b"\1", hashlib.sha256)
    assert hmac.digest(prk, key + label + b"\2", hashlib.sha256) == raw[33:65]
    assert AESGCM(key).decrypt(bytes(12), raw[65:], None) == SECRET
    assert PassphraseOpener(WORDS).unwrap(raw, INFO) == SECRET


def test_kind_and_key_id_are_those_of_both_sides():
    recipient, opener = PassphraseRecipient(WORDS, entropy=os.urandom), PassphraseOpener(WORDS)
    assert recipient.kind == opener.kind == "scrypt"
    assert recipient.key_id == opener.key_id == KEY_ID == digest_of(b"trustkit.dev/passphrase/v1")
    assert "correct" not in repr(recipient) + repr(opener)


def test_what_is_unwrapped_can_be_wiped():
    assert isinstance(PassphraseOpener(WORDS).unwrap(wrapped(), INFO), bytearray)


def test_both_costs_are_read():
    for log_n in (MIN_LOG_N, MAX_LOG_N):
        assert PassphraseOpener(WORDS).unwrap(wrapped(log_n=log_n), INFO) == SECRET


def test_a_salt_never_repeats_and_nothing_shows():
    found = [wrapped() for _ in range(50)]
    assert len({raw[1:33] for raw in found}) == len({raw[65:] for raw in found}) == 50
    assert not any(SECRET[:8] in raw or WORDS[:8] in raw for raw in found)


@pytest.mark.parametrize("words", [b"correct horse battery stapl", b"Correct horse battery staple", b"x"])
def test_another_passphrase_opens_nothing(words):
    assert refusal(SealError, lambda: PassphraseOpener(words).unwrap(wrapped(), INFO)) == "wrong-context"


@pytest.mark.parametrize("info", [b"", b"what it is fo", b"what it is for "])
def test_another_context_opens_nothing(info):
    assert refusal(SealError, lambda: PassphraseOpener(WORDS).unwrap(wrapped(), info)) == "wrong-context"


def test_every_flipped_bit_is_refused():
    raw = wrapped()
    for place in range(8, 8 * len(raw)):
        flipped = bytearray(raw)
        flipped[place // 8] ^= 1 << place % 8
        assert (
            refusal(SealError, lambda f=flipped: PassphraseOpener(WORDS).unwrap(bytes(f), INFO))
            == "wrong-context"
        )


def test_the_commitment_alone_does_not_open():
    """Right words, right commitment, a tag that does not fit: still one error, and no other."""
    raw = bytearray(wrapped())
    raw[-1] ^= 1
    assert refusal(SealError, lambda: PassphraseOpener(WORDS).unwrap(bytes(raw), INFO)) == "wrong-context"


def test_the_commitment_is_compared_before_the_key_is_used(monkeypatch):
    """A wrapped key that opens under many passphrases tells nobody which of them it was."""

    def forbidden(key):
        raise AssertionError("a key was used that nobody committed to")

    raw = bytearray(wrapped())
    raw[40] ^= 1
    monkeypatch.setattr(room, "AESGCM", forbidden)
    assert refusal(SealError, lambda: PassphraseOpener(WORDS).unwrap(bytes(raw), INFO)) == "wrong-context"


@pytest.mark.parametrize("log_n", [0, 1, MIN_LOG_N - 1, MAX_LOG_N + 1, 30, 63, 255])
def test_the_cost_is_bounded_before_it_is_paid(monkeypatch, log_n):
    def forbidden(**_):
        raise AssertionError("it was paid")

    raw = bytes([log_n]) + wrapped()[1:]
    monkeypatch.setattr(room, "Scrypt", forbidden)
    kind, code = (LimitError, "too-costly") if log_n > MAX_LOG_N else (FormatError, "bad-wrapped-key")
    for call in (lambda: check_wrapped(raw), lambda: PassphraseOpener(WORDS).unwrap(raw, INFO)):
        assert refusal(kind, call) == code


@pytest.mark.parametrize("length", [0, 1, 112, 114, 2048])
def test_every_length_but_the_right_one_is_refused(length):
    raw = (wrapped() * 20)[:length]
    assert refusal(FormatError, lambda: PassphraseOpener(WORDS).unwrap(raw, INFO)) == "bad-wrapped-key"


def test_passphrases_that_protect_nothing_are_refused():
    for words in (b"", b"x" * (MIN_LENGTH - 1)):
        assert (
            refusal(UsageError, lambda w=words: PassphraseRecipient(w, entropy=os.urandom))
            == "weak-passphrase"
        )
    assert PassphraseRecipient(b"x" * MIN_LENGTH, entropy=os.urandom)
    long = b"x" * (MAX_LENGTH + 1)
    assert refusal(UsageError, lambda: PassphraseRecipient(long, entropy=os.urandom)) == "bad-passphrase"
    for words in (b"", long):
        assert refusal(UsageError, lambda w=words: PassphraseOpener(w)) == "bad-passphrase"


def test_a_source_of_randomness_that_gives_less_is_a_bug():
    with pytest.raises(ValueError, match="another number of bytes"):
        wrapped(entropy=lambda size: bytes(size - 1))


def test_too_little_memory_is_told(monkeypatch):
    class Greedy:
        def __init__(self, **_):
            pass

        def derive(self, words):
            raise MemoryError

    raw = wrapped()
    monkeypatch.setattr(room, "Scrypt", Greedy)
    assert refusal(UnavailableError, wrapped) == "out-of-memory"
    assert refusal(UnavailableError, lambda: PassphraseOpener(WORDS).unwrap(raw, INFO)) == "out-of-memory"


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=130))
def test_whatever_the_bytes_are_the_check_knows_an_answer(raw):
    try:
        check_wrapped(raw)
    except (FormatError, LimitError):
        assert len(raw) != 113 or raw[0] not in (17, 18)
    else:
        assert len(raw) == 113
        assert raw[0] in (17, 18)
