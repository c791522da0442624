"""HPKE recipients and openers: what they wrap, what they refuse, and that they never say why."""

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x448, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from trustkit.digest import digest_of
from trustkit.errors import FormatError, SealError, UsageError
from trustkit.sealing.hpke import (
    MAX_PASSPHRASE,
    WRAPPED_LENGTHS,
    HPKEOpener,
    ephemeral_opener,
    generate_opener,
    opener_from_pem,
    recipient_from_pem,
    recipient_from_raw,
)
from trustkit.sealing.keys import Dek

KINDS = ("x25519", "p256", "mlkem768-x25519")
INFO = b"what it is for"
LOW_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


def private_pem(key, protection=None):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        protection or serialization.NoEncryption(),
    )


def public_pem(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.fixture(scope="module", params=KINDS)
def pair(request):
    """One recipient and its opener."""
    private, public = generate_opener(request.param, passphrase=None)
    return recipient_from_pem(public), opener_from_pem(private, passphrase=None)


def dek():
    return Dek(bytearray(range(32)))


def test_what_is_wrapped_unwraps_into_a_buffer_that_can_be_wiped(pair):
    recipient, opener = pair
    wrapped = recipient.wrap(dek(), INFO)
    assert len(wrapped) == WRAPPED_LENGTHS[recipient.kind]
    unwrapped = opener.unwrap(wrapped, INFO)
    assert unwrapped == bytearray(range(32))
    assert isinstance(unwrapped, bytearray)


def test_a_wrapped_key_shows_nothing_and_never_repeats(pair):
    wrapped = [pair[0].wrap(dek(), INFO) for _ in range(50)]
    assert len({one[:32] for one in wrapped}) == 50
    assert not any(bytes(range(8)) in one for one in wrapped)


def test_kind_and_key_id_are_those_of_both_sides(pair):
    recipient, opener = pair
    assert recipient.kind == opener.kind
    assert recipient.key_id == opener.key_id
    assert recipient_from_pem(opener.public_pem()).key_id == opener.key_id


def test_the_key_id_is_the_fingerprint_of_the_public_key():
    key = x25519.X25519PrivateKey.generate()
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert opener_from_pem(private_pem(key), passphrase=None).key_id == digest_of(der)


def rfc9180(private, wrapped, info):
    """Open in HPKE base mode, from RFC 9180 alone: sections 4, 4.1 and 5.1."""
    x = isinstance(private, x25519.X25519PrivateKey)
    kem, size = (b"\0\x20", 32) if x else (b"\0\x10", 65)

    def extract(suite, salt, label, ikm):
        return hmac.digest(salt, b"HPKE-v1" + suite + label + ikm, hashlib.sha256)

    def expand(suite, prk, label, context, length):
        info = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + context
        return hmac.digest(prk, info + b"\1", hashlib.sha256)[:length]

    share = wrapped[:size]
    if x:
        own = private.public_key().public_bytes_raw()
        dh = private.exchange(x25519.X25519PublicKey.from_public_bytes(share))
    else:
        point = (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        own = private.public_key().public_bytes(*point)
        peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), share)
        dh = private.exchange(ec.ECDH(), peer)
    inner = extract(b"KEM" + kem, b"", b"eae_prk", dh)
    shared = expand(b"KEM" + kem, inner, b"shared_secret", share + own, 32)
    return scheduled(kem, shared, wrapped[size:], info)


def scheduled(kem, shared, ciphertext, info):
    """The key schedule of base mode, and one message: RFC 9180, sections 5.1 and 5.2."""
    suite = b"HPKE" + kem + b"\0\1" + b"\0\2"  # HKDF-SHA256, AES-256-GCM

    def extract(salt, label, ikm):
        return hmac.digest(salt, b"HPKE-v1" + suite + label + ikm, hashlib.sha256)

    def expand(prk, label, context, length):
        labeled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + context
        return hmac.digest(prk, labeled + b"\1", hashlib.sha256)[:length]

    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared, b"secret", b"")
    key, nonce = expand(secret, b"key", context, 32), expand(secret, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, ciphertext, b"")


@pytest.mark.parametrize("kind", ["x25519", "p256"])
def test_an_independent_reader_of_the_standard_opens_what_we_wrap(kind):
    private, public = generate_opener(kind, passphrase=None)
    recipient, opener = recipient_from_pem(public), opener_from_pem(private, passphrase=None)
    assert rfc9180(opener._key, recipient.wrap(dek(), INFO), INFO) == bytes(range(32))


@pytest.mark.parametrize("info", [b"", b"what it is fo", b"what it is for ", b"What it is for"])
def test_another_context_opens_nothing(info, pair):
    wrapped = pair[0].wrap(dek(), INFO)
    with pytest.raises(SealError, match="wrong-context"):
        pair[1].unwrap(wrapped, info)


def test_every_flipped_bit_of_a_wrapped_key_is_refused(pair):
    """The top bit of an X25519 share is among them: the curve ignores it, the key schedule does not."""
    wrapped = pair[0].wrap(dek(), INFO)
    for place in range(8 * len(wrapped)):
        flipped = bytearray(wrapped)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(SealError, match="wrong-context"):
            pair[1].unwrap(bytes(flipped), INFO)


def test_every_length_but_the_right_one_is_refused(pair):
    wrapped = pair[0].wrap(dek(), INFO)
    for length in (*range(len(wrapped)), len(wrapped) + 1, 4096):
        with pytest.raises(SealError, match="wrong-context"):
            pair[1].unwrap((wrapped * 60)[:length], INFO)


@pytest.mark.parametrize("kind", KINDS)
def test_another_opener_of_the_same_kind_opens_nothing(kind):
    public = generate_opener(kind, passphrase=None)[1]
    stranger = opener_from_pem(generate_opener(kind, passphrase=None)[0], passphrase=None)
    with pytest.raises(SealError, match="wrong-context"):
        stranger.unwrap(recipient_from_pem(public).wrap(dek(), INFO), INFO)


@pytest.mark.parametrize("share", LOW_ORDER)
def test_low_order_shares_wrap_nothing_and_open_nothing(share):
    opener, raw = ephemeral_opener()
    wrapped = recipient_from_raw(raw).wrap(dek(), INFO)
    with pytest.raises(SealError, match="wrong-context"):
        opener.unwrap(bytes.fromhex(share) + wrapped[32:], INFO)
    with pytest.raises(FormatError, match="bad-recipient-key"):
        recipient_from_raw(bytes.fromhex(share)).wrap(dek(), INFO)


@pytest.mark.parametrize("head", ["00", "02", "03", "05", "04"])
def test_points_that_are_not_on_the_curve_or_not_uncompressed_open_nothing(head):
    private, public = generate_opener("p256", passphrase=None)
    wrapped = recipient_from_pem(public).wrap(dek(), INFO)
    coordinates = bytes(64) if head == "04" else wrapped[1:65]
    with pytest.raises(SealError, match="wrong-context"):
        opener_from_pem(private, passphrase=None).unwrap(
            bytes.fromhex(head) + coordinates + wrapped[65:], INFO
        )


@settings(max_examples=150, deadline=None)
@given(
    raw=st.one_of(st.binary(max_size=200), st.binary(min_size=80, max_size=80)), info=st.binary(max_size=9)
)
def test_openers_raise_nothing_but_wrong_context(pair, raw, info):
    with pytest.raises(SealError, match="wrong-context"):
        pair[1].unwrap(raw, info)


def test_the_ephemeral_key_travels_raw_and_serves_once_made():
    opener, raw = ephemeral_opener()
    assert len(raw) == 32
    assert opener.unwrap(recipient_from_raw(raw).wrap(dek(), INFO), INFO) == dek().key
    assert ephemeral_opener()[1] != raw


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_raw_key_of_another_length_is_no_key(length):
    with pytest.raises(FormatError, match="bad-recipient-key"):
        recipient_from_raw(bytes(length))


def test_a_wiped_key_is_not_wrapped(pair):
    gone = dek()
    gone.wipe()
    with pytest.raises(ValueError, match="wiped"):
        pair[0].wrap(gone, INFO)


def test_nothing_shows_a_private_key(pair):
    recipient, opener = pair
    assert repr(recipient) == f"<HPKERecipient {recipient.kind} {recipient.key_id}>"
    assert repr(opener) == f"<HPKEOpener {opener.kind} {opener.key_id}>"
    key = x25519.X25519PrivateKey.generate()
    assert key.private_bytes_raw().hex() not in repr(vars(HPKEOpener(key)))


class TestFiles:
    """PEM files: what is read, and what is said about the rest."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_encrypted_and_plain_keys_are_read(self, kind):
        for passphrase in (None, b"open sesame", b"x" * MAX_PASSPHRASE):
            private, public = generate_opener(kind, passphrase=passphrase)
            assert (b"ENCRYPTED" in private) == (passphrase is not None)
            opener = opener_from_pem(private, passphrase=passphrase)
            assert opener.public_pem() == public

    def test_passphrases_that_do_not_fit(self):
        plain, encrypted = (generate_opener("x25519", passphrase=p)[0] for p in (None, b"open sesame"))
        for pem, passphrase, code in (
            (encrypted, None, "passphrase-needed"),
            (encrypted, b"open", "wrong-passphrase"),
            (encrypted, b"", "passphrase-needed"),
            (plain, b"open", "passphrase-unused"),
            (plain, b"", "passphrase-unused"),
        ):
            with pytest.raises(UsageError, match=code):
                opener_from_pem(pem, passphrase=passphrase)

    @pytest.mark.parametrize("passphrase", [b"", b"x" * (MAX_PASSPHRASE + 1)])
    def test_passphrases_that_no_reader_would_take(self, passphrase):
        with pytest.raises(UsageError, match="bad-passphrase"):
            generate_opener("p256", passphrase=passphrase)

    def test_kinds_that_do_not_exist(self):
        with pytest.raises(UsageError, match="unsupported-key"):
            generate_opener("rsa", passphrase=None)

    @pytest.mark.parametrize(
        "key",
        [
            ec.generate_private_key(ec.SECP384R1()),
            ec.generate_private_key(ec.SECP256K1()),
            ed25519.Ed25519PrivateKey.generate(),
            x448.X448PrivateKey.generate(),
            rsa.generate_private_key(65537, 2048),
        ],
        ids=["p384", "secp256k1", "ed25519", "x448", "rsa"],
    )
    def test_keys_of_other_kinds_are_refused(self, key):
        with pytest.raises(UsageError, match="unsupported-key"):
            recipient_from_pem(public_pem(key))
        with pytest.raises(UsageError, match="unsupported-key"):
            opener_from_pem(private_pem(key), passphrase=None)

    def test_a_private_key_is_no_recipient(self):
        for passphrase in (None, b"open sesame"):
            with pytest.raises(UsageError, match="private-key-given"):
                recipient_from_pem(generate_opener("x25519", passphrase=passphrase)[0])

    @pytest.mark.parametrize(
        "pem", [b"", b"junk", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
    )
    def test_what_is_no_public_key(self, pem):
        with pytest.raises(UsageError, match="bad-public-key"):
            recipient_from_pem(pem)

    def test_two_keys_in_one_file_are_none(self):
        private, public = generate_opener("x25519", passphrase=None)
        with pytest.raises(UsageError, match="bad-public-key"):
            recipient_from_pem(public * 2)
        with pytest.raises(FormatError, match="bad-key"):
            opener_from_pem(private * 2, passphrase=None)

    def test_what_is_no_private_key(self):
        private, public = generate_opener("x25519", passphrase=None)
        spoiled = private.replace(b"\nM", b"\nA", 1)
        for pem in (b"", b"junk", public, private[:-30], spoiled):
            with pytest.raises(FormatError, match="bad-key"):
                opener_from_pem(pem, passphrase=None)

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_spoiled_files_are_refused_or_say_the_same(self, data):
        private, public = PAIR
        for pem, read in (
            (private, lambda raw: opener_from_pem(raw, passphrase=None)),
            (public, recipient_from_pem),
        ):
            spoiled = bytearray(pem)
            place = data.draw(st.integers(0, len(spoiled) - 1))
            spoiled[place] = data.draw(st.integers(0, 255))
            try:
                found = read(bytes(spoiled))
            except (UsageError, FormatError):
                continue
            assert found.key_id == recipient_from_pem(public).key_id


PAIR = generate_opener("p256", passphrase=None)
