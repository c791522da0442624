"""Local keys: which files are keys, whose passphrase fits, and what a signature says."""

import base64
import hashlib
import os

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from trustkit.errors import FormatError, LimitError, UsageError
from trustkit.signing import key as key_module
from trustkit.signing.key import CURVES, MAX_KEY_BYTES, MAX_PASSPHRASE, LocalSigner, generate_key, load_signer

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
PKCS8, SEC1 = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
CLEAR = serialization.NoEncryption()
PASSPHRASE = b"correct horse"
LOCKED = serialization.BestAvailableEncryption(PASSPHRASE)
HASHES = {"p256": hashes.SHA256(), "p384": hashes.SHA384(), "p521": hashes.SHA512()}


@pytest.fixture(scope="module")
def keys():
    """One private key a curve, of OMS and of others."""
    curves = {**CURVES, "p192": ec.SECP192R1(), "p224": ec.SECP224R1(), "k1": ec.SECP256K1()}
    return {name: ec.generate_private_key(curve) for name, curve in curves.items()}


@pytest.fixture
def file(tmp_path):
    """Write a key file and return its path."""

    def write(content):
        path = tmp_path / "key.pem"
        path.write_bytes(content)
        return path

    return write


def refused(path, kind, code, passphrase=None):
    with pytest.raises(kind) as caught:
        load_signer(path, passphrase=passphrase)
    assert caught.value.code == code
    assert PASSPHRASE.decode() not in str(caught.value)
    assert repr(str(path)) in caught.value.message
    return caught.value


# -- signing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("curve", CURVES)
def test_a_signature_is_ecdsa_in_der_with_the_hash_of_the_curve(keys, curve):
    signature = LocalSigner(keys[curve]).sign(b"message")
    keys[curve].public_key().verify(signature, b"message", ec.ECDSA(HASHES[curve]))
    assert signature[0] == 0x30
    with pytest.raises(InvalidSignature):
        keys[curve].public_key().verify(signature, b"massage", ec.ECDSA(HASHES[curve]))


@pytest.mark.parametrize("curve", CURVES)
def test_hint_and_fingerprint_name_the_public_key(keys, curve):
    signer, public = LocalSigner(keys[curve]), keys[curve].public_key()
    assert signer.public_pem() == public.public_bytes(PEM, SPKI)
    assert signer.hint == hashlib.sha256(public.public_bytes(PEM, SPKI)).hexdigest()
    assert signer.fingerprint.value == hashlib.sha256(public.public_bytes(DER, SPKI)).digest()


@pytest.mark.parametrize("curve", ["p192", "p224", "k1"])
def test_a_signer_is_made_of_the_curves_of_oms_alone(keys, curve):
    with pytest.raises(UsageError) as caught:
        LocalSigner(keys[curve])
    assert caught.value.code == "unsupported-key"


def test_a_signer_shows_nothing_of_its_key(keys):
    shown = repr(LocalSigner(keys["p256"]))
    secret = keys["p256"].private_numbers().private_value
    assert str(secret) not in shown
    assert f"{secret:x}" not in shown


# -- files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("form", [PKCS8, SEC1])
@pytest.mark.parametrize(("protection", "passphrase"), [(CLEAR, None), (LOCKED, PASSPHRASE)])
def test_every_form_of_a_key_file_is_read(keys, file, curve, form, protection, passphrase):
    path = file(keys[curve].private_bytes(PEM, form, protection))
    assert load_signer(path, passphrase=passphrase).public_pem() == keys[curve].public_key().public_bytes(
        PEM, SPKI
    )


def test_a_file_may_have_windows_lines_comments_and_curve_parameters(keys, file):
    oid = base64.b64encode(bytes.fromhex("06082a8648ce3d030107"))
    parameters = b"-----BEGIN EC PARAMETERS-----\n" + oid + b"\n-----END EC PARAMETERS-----\n"
    content = b"our key\n" + parameters + keys["p256"].private_bytes(PEM, SEC1, CLEAR)
    signer = load_signer(file(content.replace(b"\n", b"\r\n")), passphrase=None)
    assert signer.public_pem() == keys["p256"].public_key().public_bytes(PEM, SPKI)


def outcome(path):
    """Return the key that a file was read as, or why it was refused."""
    try:
        return load_signer(path, passphrase=None).public_pem()
    except (FormatError, UsageError) as error:
        return type(error), error.code


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("number", [1, 2, 255, -1, None], ids=str)
def test_a_key_as_we_write_it_is_read_without_what_reads_all_others(monkeypatch, file, curve, number):
    monkeypatch.setattr(serialization, "load_pem_private_key", None)
    if number is None:
        key = ec.generate_private_key(CURVES[curve])
    else:
        key = ec.derive_private_key(number % CURVES[curve].group_order, CURVES[curve])
    signer = load_signer(file(key.private_bytes(PEM, PKCS8, CLEAR)), passphrase=None)
    assert signer.public_pem() == key.public_key().public_bytes(PEM, SPKI)
    key.public_key().verify(signer.sign(b"m"), b"m", ec.ECDSA(HASHES[curve]))


@pytest.mark.parametrize("curve", CURVES)
def test_a_key_that_differs_in_any_byte_is_what_the_library_says(monkeypatch, keys, file, curve):
    written = keys[curve].private_bytes(PEM, PKCS8, CLEAR)
    changed = [
        written[:place] + bytes((written[place] ^ 1,)) + written[place + 1 :] for place in range(len(written))
    ]
    changed += [written + b"\n", b"\n" + written, written[:-1], written.replace(b"\n", b"\r\n")]
    ours = [outcome(file(content)) for content in changed]
    monkeypatch.setattr(key_module, "_plain", lambda _: None)
    assert ours == [outcome(file(content)) for content in changed]
    assert ours.count((FormatError, "bad-key")) > 50


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("number", [0, 1, 5], ids=["zero", "one more than it may be", "of another point"])
def test_a_number_that_does_not_fit_its_point_makes_no_key(monkeypatch, file, curve, number):
    one = ec.derive_private_key(1, CURVES[curve])
    size = (CURVES[curve].key_size + 7) // 8
    wrong = number + CURVES[curve].group_order if number == 1 else number
    der = one.private_bytes(DER, PKCS8, CLEAR)
    der = der.replace((1).to_bytes(size, "big"), wrong.to_bytes(size, "big"), 1)
    text = base64.b64encode(der).decode()
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    path = file(f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n".encode())
    ours = outcome(path)
    monkeypatch.setattr(key_module, "_plain", lambda _: None)
    assert ours == outcome(path)
    assert ours == (FormatError, "bad-key")


@pytest.mark.parametrize("form", [PKCS8, SEC1])
def test_an_encrypted_key_needs_its_passphrase(keys, file, form):
    path = file(keys["p256"].private_bytes(PEM, form, LOCKED))
    refused(path, UsageError, "passphrase-needed")
    refused(path, UsageError, "passphrase-needed", b"")
    for wrong in (b"wrong", PASSPHRASE + b"\n", b"\x00", b"x" * 2000):
        assert refused(path, UsageError, "wrong-passphrase", wrong).exit_code == 2


@pytest.mark.parametrize("form", [PKCS8, SEC1])
@pytest.mark.parametrize("passphrase", [PASSPHRASE, b""])
def test_a_passphrase_for_a_key_that_has_none_is_a_mistake_somewhere(keys, file, form, passphrase):
    refused(file(keys["p256"].private_bytes(PEM, form, CLEAR)), UsageError, "passphrase-unused", passphrase)


@pytest.mark.parametrize("curve", ["p192", "p224", "k1"])
@pytest.mark.parametrize(("protection", "passphrase"), [(CLEAR, None), (LOCKED, PASSPHRASE)])
def test_other_curves_are_refused(keys, file, curve, protection, passphrase):
    refused(
        file(keys[curve].private_bytes(PEM, PKCS8, protection)), UsageError, "unsupported-key", passphrase
    )


@pytest.mark.parametrize("key", [ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)])
def test_other_kinds_of_keys_are_refused(file, key):
    refused(file(key.private_bytes(PEM, PKCS8, CLEAR)), UsageError, "unsupported-key")


def test_a_curve_that_nobody_knows_is_refused(keys, file):
    der = keys["p256"].private_bytes(DER, PKCS8, CLEAR)
    unknown = der.replace(bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d030106"))
    pem = b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(unknown) + b"-----END PRIVATE KEY-----\n"
    refused(file(pem), UsageError, "unsupported-key")


def test_two_keys_in_one_file_are_refused(keys, file):
    one, other = (keys[curve].private_bytes(PEM, PKCS8, CLEAR) for curve in ("p256", "p384"))
    for content in (one + other, one + one, one + keys["p384"].private_bytes(PEM, SEC1, LOCKED)):
        refused(file(content), FormatError, "bad-key")


def test_a_public_key_is_told_from_garbage(keys, file):
    refused(file(keys["p256"].public_key().public_bytes(PEM, SPKI)), UsageError, "public-key-given")


def test_what_is_no_private_key_is_refused(keys, file):
    private = keys["p256"].private_bytes(PEM, PKCS8, CLEAR)
    for content in (
        b"",
        b"\x00" * 100,
        b"hello",
        keys["p256"].private_bytes(DER, PKCS8, CLEAR),
        private[:-30],
        private.replace(b"MIG", b"AAA"),
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n",
    ):
        assert refused(file(content), FormatError, "bad-key").exit_code == 3


def test_a_damaged_encrypted_key_cannot_be_told_from_a_wrong_passphrase(keys, file):
    locked = keys["p256"].private_bytes(PEM, PKCS8, LOCKED)
    refused(file(locked.replace(b"\nMI", b"\nAA", 1)), UsageError, "wrong-passphrase", PASSPHRASE)


def test_a_key_file_is_a_regular_file_within_its_cap(tmp_path, file):
    refused(tmp_path / "absent", UsageError, "no-such-file")
    refused(file(b"x" * (MAX_KEY_BYTES + 1)), LimitError, "too-large")
    os.mkfifo(tmp_path / "fifo")
    refused(tmp_path / "fifo", UsageError, "special-file")
    refused(tmp_path, UsageError, "special-file")


# -- new keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("passphrase", [None, PASSPHRASE, b"x" * MAX_PASSPHRASE])
def test_a_new_key_is_read_again(file, curve, passphrase):
    private, public = generate_key(curve, passphrase=passphrase)
    assert private.startswith(
        b"-----BEGIN ENCRYPTED PRIVATE KEY" if passphrase else b"-----BEGIN PRIVATE KEY"
    )
    signer = load_signer(file(private), passphrase=passphrase)
    assert signer.public_pem() == public
    serialization.load_pem_public_key(public).verify(signer.sign(b"m"), b"m", ec.ECDSA(HASHES[curve]))


def test_new_keys_differ():
    assert generate_key("p256", passphrase=None) != generate_key("p256", passphrase=None)


@pytest.mark.parametrize("curve", ["p192", "secp256k1", "P256", "x25519", ""])
def test_a_new_key_has_a_curve_of_oms(curve):
    with pytest.raises(UsageError) as caught:
        generate_key(curve, passphrase=None)
    assert caught.value.code == "unsupported-key"


@pytest.mark.parametrize("passphrase", [b"", b"x" * (MAX_PASSPHRASE + 1)])
def test_a_passphrase_that_no_reader_would_take_encrypts_nothing(passphrase):
    with pytest.raises(UsageError) as caught:
        generate_key("p256", passphrase=passphrase)
    assert caught.value.code == "bad-passphrase"
