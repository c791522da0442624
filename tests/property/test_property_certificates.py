"""Certificates under fire: whatever the bytes, an error of ours or a certificate."""

import base64
import hashlib
import json
import sys
from importlib import util
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trustkit.attest.bundle import Bundle, CertificateChain, bundle_to_bytes
from trustkit.attest.dsse import PAYLOAD_TYPE, Envelope, Signature, pae
from trustkit.errors import FormatError, LimitError, TrustkitError, UsageError
from trustkit.spiffe.certificates import certificate_from_der, certificates_from_pem
from trustkit.verifying.certificates import describe, identities_in
from trustkit.verifying.policy import policy_from_roots
from trustkit.verifying.presenting import check_signer
from trustkit.verifying.verify import verify_manifest

NOW = 1_800_000_000.0


def forger():
    path = Path(__file__).parents[1] / "simulators" / "certificates.py"
    spec = util.spec_from_file_location("trustkit_property_certificates", path)
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


FORGER = forger()
ROOT = FORGER.Issuer(NOW, name="root", uris=())
LEAF, KEY = ROOT.leaf(
    uris=("spiffe://demo.test/ml",), dns=("ml.example",), emails=("ml@example.com",), extended=None
)
DER = FORGER.der(LEAF)
POLICY = policy_from_roots(ROOT.pem)


def payload():
    digest = hashlib.sha256(b"x").digest()
    resource = {"name": "a", "algorithm": "sha256", "digest": digest.hex()}
    said = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
    return json.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "m", "digest": {"sha256": hashlib.sha256(digest).hexdigest()}}],
            "predicateType": "https://model_signing/signature/v1.0",
            "predicate": {"resources": [resource], "serialization": said},
        }
    ).encode()


PAYLOAD = payload()
SIGNATURE = Signature(KEY.sign(pae(PAYLOAD_TYPE, PAYLOAD), ec.ECDSA(hashes.SHA256())))


def bundle(*chain):
    return bundle_to_bytes(Bundle(Envelope(PAYLOAD, PAYLOAD_TYPE, (SIGNATURE,)), CertificateChain(chain)))


def edited(raw, edits):
    changed = bytearray(raw)
    for place, value in edits:
        changed[place % len(changed)] = value
    return bytes(changed)


edits = st.lists(st.tuples(st.integers(0, 4096), st.integers(0, 255)), min_size=1, max_size=6)


def read(raw):
    """Everything that is done with the bytes of one certificate."""
    certificate_from_der(raw, "it")
    describe(raw)
    check_signer(CertificateChain((raw,)), at=NOW)


UNFIT = ("certificate-expired", "certificate-not-yet-valid", "certificate-not-for-signing")


def refusal_of(does, *arguments):
    """Return the code of the error of ours, or None; any other exception is a failure."""
    try:
        does(*arguments)
    except TrustkitError as error:
        return error.code
    return None


def test_the_certificate_is_good_to_begin_with():
    read(DER)
    [signer] = verify_manifest(bundle(DER), POLICY, at=NOW).signers
    assert signer.identity == "uri:spiffe://demo.test/ml"
    assert len(identities_in(LEAF)) == 4


@given(st.binary(max_size=2000))
@settings(max_examples=400, deadline=None)
def test_arbitrary_bytes_are_no_certificate(raw):
    with pytest.raises(FormatError) as caught:
        certificate_from_der(raw, "it")
    assert caught.value.code == "bad-certificate"


@given(edits)
@settings(max_examples=1500, deadline=None)
def test_a_damaged_certificate_is_read_or_refused_with_an_error_of_ours(changes):
    raw = edited(DER, changes)
    if refusal_of(certificate_from_der, raw, "it") is None:
        describe(raw)  # what was read can be shown
        assert refusal_of(read, raw) in {None, "bad-certificate", *UNFIT}  # a leaf of an unusable key
    else:
        assert refusal_of(certificate_from_der, raw, "it") == "bad-certificate"


UNUSED = DER.rindex(LEAF.signature) - 1
"""Where DER says how many bits of the signature's last byte do not count; nobody signs that."""


@given(st.integers(0, len(DER) * 8 - 1))
@example(UNUSED * 8)
@settings(max_examples=600, deadline=None)
def test_a_flipped_bit_is_believed_by_nobody(bit):
    raw = edited(DER, [(bit // 8, DER[bit // 8] ^ (1 << bit % 8))])
    with pytest.raises(TrustkitError):
        verify_manifest(bundle(raw), POLICY, at=NOW)


@given(st.lists(edits, max_size=4))
@settings(max_examples=150, deadline=None)
def test_strangers_beside_the_leaf_change_nothing_or_are_refused_whole(strangers):
    """What cannot be read makes the bundle unreadable; what can be read adds no authority."""
    others = [edited(FORGER.der(ROOT.certificate), changes) for changes in strangers]
    raw = bundle(DER, *others)
    code = refusal_of(lambda: verify_manifest(raw, POLICY, at=NOW))
    assert code in {None, "bad-certificate"}
    if code is None:
        [signer] = verify_manifest(raw, POLICY, at=NOW).signers
        assert signer.identity == "uri:spiffe://demo.test/ml"


pem_parts = st.lists(
    st.sampled_from(
        [
            b"-----BEGIN CERTIFICATE-----\n",
            b"-----END CERTIFICATE-----\n",
            b"-----BEGIN X509 CRL-----\n",
            base64.encodebytes(DER),
            base64.b64encode(DER),
            b"words\n",
            b"\r\n",
            b"====",
            b"\xff",
            ROOT.pem,
        ]
    )
    | st.binary(max_size=40),
    max_size=12,
)


@given(pem_parts)
@settings(max_examples=600, deadline=None)
def test_any_text_is_certificates_or_refused(parts):
    raw = b"".join(parts)
    try:
        found = certificates_from_pem(raw, "it", most=5)
    except (FormatError, LimitError, UsageError):
        return
    assert raw.count(b"-----BEGIN ") == len(found) >= 1
