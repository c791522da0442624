"""Bundles under fire: whatever the bytes, a proof or an error of ours; a flipped bit is refused."""

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from trustkit.attest.bundle import Bundle, PublicKeyHint, bundle_to_bytes, parse_bundle
from trustkit.attest.dsse import PAYLOAD_TYPE, Envelope, Signature, decode_base64, pae
from trustkit.errors import FormatError, TrustkitError
from trustkit.verifying.policy import policy_from_keys
from trustkit.verifying.verify import verify_manifest

KEY = ec.derive_private_key(0xC0FFEE, ec.SECP256R1())
POLICY = policy_from_keys(
    KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def signed_bundle():
    digest = hashlib.sha256(b"x").hexdigest()
    payload = json.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [
                {"name": "m", "digest": {"sha256": hashlib.sha256(bytes.fromhex(digest)).hexdigest()}}
            ],
            "predicateType": "https://model_signing/signature/v1.0",
            "predicate": {
                "resources": [{"name": "a", "algorithm": "sha256", "digest": digest}],
                "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
            },
        }
    ).encode()
    signature = KEY.sign(pae(PAYLOAD_TYPE, payload), ec.ECDSA(hashes.SHA256()))
    return bundle_to_bytes(
        Bundle(Envelope(payload, PAYLOAD_TYPE, (Signature(signature),)), PublicKeyHint("00" * 32))
    )


BUNDLE = signed_bundle()
PARSED = json.loads(BUNDLE)


def places(value, path=()):
    """Yield the path of every value inside a document."""
    yield path
    for key, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from places(inner, (*path, key))


def put(value, path, new):
    """Return a copy of the document with another value at a path."""
    if not path:
        return new
    copied = value.copy()
    copied[path[0]] = put(value[path[0]], path[1:], new)
    return copied


def test_the_bundle_that_is_damaged_below_is_believed():
    assert verify_manifest(BUNDLE, POLICY).manifest.file_names == ("a",)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_answered(raw):
    with pytest.raises(TrustkitError):
        parse_bundle(raw)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(list(places(PARSED))), json_values)
def test_any_value_in_any_place_is_answered(path, value):
    try:
        found = verify_manifest(json.dumps(put(PARSED, path, value)).encode(), POLICY)
    except TrustkitError:
        return
    assert found.manifest.file_names == ("a",), "what was signed, or nothing"


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(["payload", "sig"]), st.data())
def test_one_flipped_bit_of_payload_or_signature_is_always_refused(member, data):
    envelope = json.loads(BUNDLE)["dsseEnvelope"]
    holder = envelope if member == "payload" else envelope["signatures"][0]
    raw = bytearray(base64.b64decode(holder[member]))
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    holder[member] = base64.b64encode(bytes(raw)).decode()
    with pytest.raises(TrustkitError) as caught:
        verify_manifest(json.dumps({**PARSED, "dsseEnvelope": envelope}).encode(), POLICY)
    assert caught.value.code == "wrong-signer"


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 8 * len(BUNDLE) - 1))
def test_one_flipped_bit_of_the_file_never_changes_what_is_believed(bit):
    raw = bytearray(BUNDLE)
    raw[bit // 8] ^= 1 << bit % 8
    try:
        found = verify_manifest(bytes(raw), POLICY)
    except TrustkitError:
        return
    assert found.manifest == verify_manifest(BUNDLE, POLICY).manifest


@settings(deadline=None)
@given(
    st.binary(min_size=1, max_size=400),
    st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=5),
    st.text(),
)
def test_what_is_written_is_read(payload, signatures, hint):
    written = Bundle(
        Envelope(payload, PAYLOAD_TYPE, tuple(Signature(sig, "") for sig in signatures)), PublicKeyHint(hint)
    )
    assert parse_bundle(bundle_to_bytes(written)) == written
    assert bundle_to_bytes(parse_bundle(bundle_to_bytes(written))) == bundle_to_bytes(written)


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="ABQRZaz09+/=-_ \n", max_size=12))
def test_base64_has_one_spelling(text):
    try:
        canonical = base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
    except ValueError:
        canonical = False
    if canonical:
        assert base64.b64encode(decode_base64(text, "it")).decode() == text
        return
    with pytest.raises(FormatError) as caught:
        decode_base64(text, "it")
    assert caught.value.code == "bad-base64"


@settings(deadline=None)
@given(st.text(max_size=40), st.binary(max_size=40), st.text(max_size=40), st.binary(max_size=40))
def test_what_is_signed_has_one_meaning(kind, payload, other_kind, other_payload):
    same = (kind, payload) == (other_kind, other_payload)
    assert (pae(kind, payload) == pae(other_kind, other_payload)) == same
