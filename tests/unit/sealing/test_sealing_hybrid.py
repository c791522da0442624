"""The hybrid key pair: what it is made of, and that neither half does for both."""

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from trustkit.digest import digest_of
from trustkit.errors import FormatError, SealError, UsageError
from trustkit.sealing.hpke import generate_opener, opener_from_pem, recipient_from_pem
from trustkit.sealing.keys import Dek
from trustkit.sealing.wraps import KINDS, WRAPPED_LENGTHS

INFO = b"what it is for"
SECRET = bytes(range(32))
PRIVATE, PUBLIC = generate_opener("mlkem768-x25519", passphrase=None)
OTHER_PRIVATE, OTHER_PUBLIC = generate_opener("mlkem768-x25519", passphrase=None)
BEGIN = b"-----BEGIN "


def halves(pem):
    """Cut a key file into its two PEM blocks."""
    place = pem.index(BEGIN, 1)
    return pem[:place], pem[place:]


def private_halves(pem):
    return [serialization.load_pem_private_key(half, None) for half in halves(pem)]


def wrapped(public=PUBLIC, info=INFO):
    return recipient_from_pem(public).wrap(Dek(bytearray(SECRET)), info)


def refusal(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return caught.value.code


def test_the_kind_is_one_that_documents_may_name():
    assert recipient_from_pem(PUBLIC).kind in KINDS
    assert len(wrapped()) == WRAPPED_LENGTHS[recipient_from_pem(PUBLIC).kind] == 1120 + 48


def test_a_file_holds_ml_kem_and_then_x25519():
    post_quantum, classic = private_halves(PRIVATE)
    assert isinstance(post_quantum, mlkem.MLKEM768PrivateKey)
    assert isinstance(classic, x25519.X25519PrivateKey)
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    ders = [key.public_key().public_bytes(*form) for key in (post_quantum, classic)]
    opener = opener_from_pem(PRIVATE, passphrase=None)
    assert opener.key_id == recipient_from_pem(PUBLIC).key_id == digest_of(b"".join(ders))
    assert opener.public_pem() == PUBLIC


def scheduled(shared, ciphertext, info):
    """RFC 9180, sections 5.1 and 5.2, for MLKEM768-X25519, HKDF-SHA256 and AES-256-GCM."""
    suite = b"HPKE" + bytes.fromhex("647a") + b"\0\1" + b"\0\2"

    def extract(salt, label, ikm):
        return hmac.digest(salt, b"HPKE-v1" + suite + label + ikm, hashlib.sha256)

    def expand(label, length):
        labeled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + context
        return hmac.digest(secret, labeled + b"\1", hashlib.sha256)[:length]

    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared, b"secret", b"")
    return AESGCM(expand(b"key", 32)).decrypt(expand(b"base_nonce", 12), ciphertext, b"")


def test_an_independent_reader_of_x_wing_opens_what_we_wrap():
    """SHA3-256 over both secrets, share and public key of X25519, and a label (X-Wing, section 5.3)."""
    post_quantum, classic = private_halves(PRIVATE)
    raw = wrapped()
    kem, share, ciphertext = raw[:1088], raw[1088:1120], raw[1120:]
    both = post_quantum.decapsulate(kem)
    both += classic.exchange(x25519.X25519PublicKey.from_public_bytes(share))
    label = b"\\.//^\\"
    shared = hashlib.sha3_256(both + share + classic.public_key().public_bytes_raw() + label).digest()
    assert scheduled(shared, ciphertext, INFO) == SECRET


@pytest.mark.parametrize("kept", [0, 1])
def test_one_half_of_the_key_opens_nothing(kept):
    """Whoever broke one of the two problems has one right half, and a wrong one."""
    mixed = [halves(OTHER_PRIVATE)[0], halves(OTHER_PRIVATE)[1]]
    mixed[kept] = halves(PRIVATE)[kept]
    opener = opener_from_pem(b"".join(mixed), passphrase=None)
    assert opener.key_id != recipient_from_pem(PUBLIC).key_id
    with pytest.raises(SealError, match="wrong-context"):
        opener.unwrap(wrapped(), INFO)


@pytest.mark.parametrize("part", [slice(0, 1088), slice(1088, 1120), slice(1120, 1168)])
def test_parts_of_another_wrap_open_nothing(part):
    mixed = bytearray(wrapped())
    mixed[part] = wrapped()[part]
    with pytest.raises(SealError, match="wrong-context"):
        opener_from_pem(PRIVATE, passphrase=None).unwrap(bytes(mixed), INFO)


def test_a_low_order_share_opens_nothing():
    raw = wrapped()
    for share in (bytes(32), b"\1" + bytes(31)):
        with pytest.raises(SealError, match="wrong-context"):
            opener_from_pem(PRIVATE, passphrase=None).unwrap(raw[:1088] + share + raw[1120:], INFO)


def test_other_files_are_refused():
    first, second = halves(PUBLIC)
    p256 = generate_opener("p256", passphrase=None)[1]
    for pem in (second + first, first + first, second + second, first + p256, p256 + second, p256 + p256):
        assert refusal(UsageError, lambda pem=pem: recipient_from_pem(pem)) == "bad-public-key"
    assert refusal(UsageError, lambda: recipient_from_pem(PUBLIC + second)) == "bad-public-key"
    assert refusal(UsageError, lambda: recipient_from_pem(first)) == "unsupported-key"
    first, second = halves(PRIVATE)
    for pem in (second + first, first + first, second + second, PRIVATE + second):
        assert refusal(FormatError, lambda pem=pem: opener_from_pem(pem, passphrase=None)) == "bad-key"
    assert refusal(UsageError, lambda: opener_from_pem(first, passphrase=None)) == "unsupported-key"
    assert refusal(UsageError, lambda: recipient_from_pem(PRIVATE)) == "private-key-given"


def test_both_halves_are_locked_with_one_passphrase():
    private, public = generate_opener("mlkem768-x25519", passphrase=b"correct horse")
    assert private.count(b"BEGIN ENCRYPTED PRIVATE KEY") == 2
    assert opener_from_pem(private, passphrase=b"correct horse").unwrap(wrapped(public), INFO) == SECRET
    for passphrase, code in ((None, "passphrase-needed"), (b"another", "wrong-passphrase")):
        assert refusal(UsageError, lambda p=passphrase: opener_from_pem(private, passphrase=p)) == code
    assert (
        refusal(UsageError, lambda: opener_from_pem(PRIVATE, passphrase=b"correct horse"))
        == "passphrase-unused"
    )
    half_locked = halves(private)[0] + halves(PRIVATE)[1]
    assert (
        refusal(UsageError, lambda: opener_from_pem(half_locked, passphrase=b"correct horse"))
        == "passphrase-unused"
    )


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_spoiled_files_are_refused_or_say_the_same(data):
    for pem, read in (
        (PRIVATE, lambda raw: opener_from_pem(raw, passphrase=None)),
        (PUBLIC, recipient_from_pem),
    ):
        spoiled = bytearray(pem)
        place = data.draw(st.integers(0, len(spoiled) - 1))
        spoiled[place] = data.draw(st.integers(0, 255))
        try:
            found = read(bytes(spoiled))
        except (UsageError, FormatError):
            continue
        assert found.kind == recipient_from_pem(PUBLIC).kind, "one half was taken for the pair"


@pytest.mark.parametrize("line", [0, 1, 5, -2, -1])
def test_a_half_that_is_damaged_or_cut_does_not_leave_the_other_one_alone(line):
    """A file with one readable half must not seal to X25519 alone."""
    first, second = halves(PUBLIC)
    lines = first.splitlines(keepends=True)
    for replaced in (b"", b"-----BEGAN PUBLIC KEY-----\n", b"x\n"):
        lines[line] = replaced
        with pytest.raises(UsageError) as caught:
            recipient_from_pem(b"".join(lines) + second)
        assert caught.value.code == "bad-public-key"
