"""Public keys: one key has one fingerprint, other keys are refused, signatures are strict DER."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from trustkit.errors import UsageError
from trustkit.verifying.keys import Message, public_key_from_pem

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
CURVES = {
    "p256": (ec.SECP256R1(), hashes.SHA256()),
    "p384": (ec.SECP384R1(), hashes.SHA384()),
    "p521": (ec.SECP521R1(), hashes.SHA512()),
}
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
# P-256 spelled out: field, coefficients with their seed, generator, order and cofactor (RFC 5480, 2.1.1).
P256_PARAMETERS = bytes.fromhex(
    "3081f7020101302c06072a8648ce3d0101022100ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"
    "305b0420ffffffff00000001000000000000000000000000fffffffffffffffffffffffc04205ac635d8aa3a93e7b3ebbd55769886bc"
    "651d06b0cc53b0f63bce3c3e27d2604b031500c49d360886e704936a6678e1139d26b7819f7e900441046b17d1f2e12c4247f8bce6e5"
    "63a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f50221"
    "00ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551020101"
)


@pytest.fixture(scope="module")
def private():
    return {name: ec.generate_private_key(curve) for name, (curve, _) in CURVES.items()}


def pem_of(der):
    return b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(der) + b"-----END PUBLIC KEY-----\n"


def public_pem(key):
    return key.public_key().public_bytes(PEM, SPKI)


def tlv(tag, content):
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return tag + length + content


def point(key, form):
    return key.public_key().public_bytes(serialization.Encoding.X962, form)


def spki(algorithm, encoded_point):
    return tlv(b"\x30", algorithm + tlv(b"\x03", b"\x00" + encoded_point))


NAMED_P256 = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
EXPLICIT_P256 = tlv(b"\x30", bytes.fromhex("06072a8648ce3d0201") + P256_PARAMETERS)


def refused(pem, code, what="the key"):
    with pytest.raises(UsageError) as caught:
        public_key_from_pem(pem, what=what)
    assert caught.value.code == code
    assert what in caught.value.message
    return caught.value


@pytest.mark.parametrize("curve", CURVES)
def test_a_key_knows_its_fingerprint_and_hint(private, curve):
    key = public_key_from_pem(public_pem(private[curve]), what="the key")
    assert (
        key.fingerprint.value == hashlib.sha256(private[curve].public_key().public_bytes(DER, SPKI)).digest()
    )
    assert key.hint == hashlib.sha256(public_pem(private[curve])).hexdigest()


def test_spellings_of_one_key_have_one_fingerprint_and_one_hint(private):
    pem = public_pem(private["p256"])
    compressed = pem_of(spki(NAMED_P256, point(private["p256"], serialization.PublicFormat.CompressedPoint)))
    unfolded = (
        b"-----BEGIN PUBLIC KEY-----\n" + b"".join(pem.splitlines()[1:-1]) + b"\n-----END PUBLIC KEY-----\n"
    )
    spellings = [
        pem,
        pem.replace(b"\n", b"\r\n"),
        b"our author\n" + pem + b"\n\n",
        pem.rstrip(),
        unfolded,
        compressed,
    ]
    keys = [public_key_from_pem(spelling, what="the key") for spelling in spellings]
    assert len(set(spellings)) == 6
    assert len({(key.fingerprint, key.hint) for key in keys}) == 1


@pytest.mark.parametrize("curve", CURVES)
def test_a_compressed_key_is_the_key_on_each_curve(private, curve):
    whole = public_pem(private[curve])
    named = spki_algorithm(private[curve])
    short = pem_of(spki(named, point(private[curve], serialization.PublicFormat.CompressedPoint)))
    one, other = (public_key_from_pem(pem, what="the key") for pem in (whole, short))
    assert (one.fingerprint, one.hint) == (other.fingerprint, other.hint)
    assert other.key.public_numbers() == private[curve].public_key().public_numbers()


def spki_algorithm(key):
    """The AlgorithmIdentifier as the library writes it."""
    der = key.public_key().public_bytes(DER, SPKI)
    start = der.index(b"\x30", 1)
    return der[start : start + 2 + der[start + 1]]


@pytest.mark.parametrize("curve", CURVES)
def test_a_coordinate_that_begins_with_zeros_keeps_its_length(curve):
    known = CURVES[curve][0]
    short = 8 * ((known.key_size + 7) // 8 - 1)  # bits of a coordinate that needs a byte less
    keys = (ec.derive_private_key(secret, known) for secret in range(2, 9999))
    key = next(key for key in keys if key.public_key().public_numbers().x.bit_length() <= short)
    found = public_key_from_pem(public_pem(key), what="the key")
    assert found.fingerprint.value == hashlib.sha256(key.public_key().public_bytes(DER, SPKI)).digest()
    assert found.hint == hashlib.sha256(public_pem(key)).hexdigest()


def test_explicit_parameters_are_refused_even_where_they_are_right(private):
    right = pem_of(spki(EXPLICIT_P256, point(private["p256"], serialization.PublicFormat.UncompressedPoint)))
    assert serialization.load_pem_public_key(right).curve.name == "secp256r1", "the library would take it"
    assert "named_curve" in refused(right, "unsupported-key").message


def test_parameters_of_somebody_s_own_are_refused(private):
    """CVE-2020-0601: with a generator of one's own choice, every public key has a known private one."""
    own = point(ec.generate_private_key(ec.SECP256R1()), serialization.PublicFormat.UncompressedPoint)
    at = EXPLICIT_P256.index(bytes.fromhex("046b17d1f2"))
    bent = EXPLICIT_P256[:at] + own + EXPLICIT_P256[at + len(own) :]
    refused(
        pem_of(spki(bent, point(private["p256"], serialization.PublicFormat.UncompressedPoint))),
        "unsupported-key",
    )


def test_a_hybrid_point_is_refused(private):
    plain = point(private["p256"], serialization.PublicFormat.UncompressedPoint)
    hybrid = bytes([6 + (plain[-1] & 1)]) + plain[1:]
    refused(pem_of(spki(NAMED_P256, hybrid)), "unsupported-key")


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP192R1()),
        ec.generate_private_key(ec.SECP224R1()),
        ec.generate_private_key(ec.SECP256K1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
)
def test_other_keys_are_refused(key):
    assert "on P-256, P-384 or P-521" in refused(public_pem(key), "unsupported-key").message


def test_a_curve_that_nobody_knows_is_refused(private):
    der = private["p256"].public_key().public_bytes(DER, SPKI)
    unknown = der.replace(bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d030106"))
    refused(pem_of(unknown), "unsupported-key")


def test_a_private_key_is_not_taken_for_a_public_one(private):
    for form in (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL):
        secret = private["p256"].private_bytes(PEM, form, serialization.NoEncryption())
        for content in (secret, public_pem(private["p256"]) + secret):
            error = refused(content, "private-key-given")
            assert secret.splitlines()[1].decode() not in str(error)


def test_what_is_not_exactly_one_public_key_is_refused(private):
    pem, other = public_pem(private["p256"]), public_pem(private["p384"])
    der = private["p256"].public_key().public_bytes(DER, SPKI)
    broken = bytearray(der)
    broken[-1] ^= 1
    for content in (
        b"",
        b"hello",
        der,
        pem + other,
        pem + pem,
        pem + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        pem.replace(b"PUBLIC", b"RSA PUBLIC"),
        pem.split(b"-----END")[0],
        pem_of(bytes(broken)),  # no point of the curve
        pem_of(der + b"\x00"),
        pem_of(der[:-1]),
        pem_of(
            b"\x30\x39" + NAMED_P256 + b"\x03\x22\x00" + der[-65:]
        ),  # a whole point, said to be compressed
        pem_of(b""),
        b"-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN PUBLIC KEY-----\nAAAAA\n-----END PUBLIC KEY-----\n",
        pem.replace(b"\n-----END", b"\nAAAA\n-----END"),  # after the padding of what would be the key
    ):
        refused(content, "bad-public-key", what="spec.authorities[3].key")


@pytest.mark.parametrize("curve", CURVES)
def test_a_signature_is_checked_with_the_hash_of_the_curve(private, curve):
    key = public_key_from_pem(public_pem(private[curve]), what="the key")
    message = Message(b"message")
    for name, (_, algorithm) in CURVES.items():
        signature = private[curve].sign(b"message", ec.ECDSA(algorithm))
        assert key.signed(message, signature) == (name == curve)
    assert not key.signed(Message(b"massage"), private[curve].sign(b"message", ec.ECDSA(CURVES[curve][1])))


def test_a_message_is_hashed_once_for_each_hash():
    message = Message(b"message")
    first = message.digest(hashes.SHA256())
    assert first == hashlib.sha256(b"message").digest()
    assert message.digest(hashes.SHA256()) is first
    assert message.digest(hashes.SHA512()) == hashlib.sha512(b"message").digest()


def integer(number, *, padding=0):
    raw = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return tlv(b"\x02", b"\x00" * padding + raw)


def test_a_signature_has_one_form(private):
    key = public_key_from_pem(public_pem(private["p256"]), what="the key")
    message = Message(b"message")
    good = private["p256"].sign(b"message", ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(good)
    assert key.signed(message, good)
    assert tlv(b"\x30", integer(r) + integer(s)) == good, "the forgeries below differ in one thing alone"
    for bad in (
        b"",
        b"\x00",
        b"\x30\x00",
        b"x" * 4096,
        good[:-1],
        good + b"\x00",
        r.to_bytes(32, "big") + s.to_bytes(32, "big"),
        encode_dss_signature(0, s),
        encode_dss_signature(r, 0),
        encode_dss_signature(0, 0),
        encode_dss_signature(r + P256_ORDER, s),
        encode_dss_signature(r, s + P256_ORDER),
        encode_dss_signature(s, r),
        encode_dss_signature(1, 1),
        encode_dss_signature(P256_ORDER, P256_ORDER),
        bytes.fromhex("30060201ff0201ff"),  # minus one, twice
        tlv(b"\x30", integer(r, padding=1) + integer(s)),
        tlv(b"\x30", integer(r) + integer(s) + b"\x05\x00"),
        tlv(b"\x30", tlv(b"\x02", b"\x7f" * 4000) + integer(s)),
        b"\x30\x84" + (len(good) - 2).to_bytes(4, "big") + good[2:],
        b"\x30\x80" + good[2:] + b"\x00\x00",
        b"\x30\xff" + good[2:],
        b"\x30\x84\xff\xff\xff\xff" + good[2:],
        b"\x31" + good[1:],
    ):
        assert not key.signed(message, bad), bad.hex()


@pytest.mark.parametrize("header", [b"A: bb\n\n", b"A: b==\n\n", b"Proc-Type: 4,ENCRYPTED\n\n", b"!!\n"])
def test_a_block_with_anything_but_base64_in_it_is_no_key(header):
    from trustkit.errors import UsageError
    from trustkit.signing.key import generate_key
    from trustkit.verifying.keys import public_key_from_pem

    first, rest = generate_key("p256", passphrase=None)[1].split(b"\n", 1)
    with pytest.raises(UsageError) as caught:
        public_key_from_pem(first + b"\n" + header + rest, what="the key")
    assert caught.value.code == "bad-public-key"
