"""What model-signing 0.2.0 signed is believed for its own predicate type, and for nothing else."""

import base64
import hashlib
import importlib.util
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from trustkit.errors import FormatError, VerificationError
from trustkit.verifying.keys import Message, public_key_from_pem
from trustkit.verifying.policy import parse_policy, policy_from_keys, policy_from_roots
from trustkit.verifying.verify import verify_manifest, verify_statement

VECTORS = Path(__file__).parents[2] / "vectors/oms"
TYPE = "https://model_signing/Digests/v0.1"
KIND = "application/vnd.in-toto+json"


def payload_of(files, kind=TYPE, **more):
    subjects = [
        {
            "name": name,
            "digest": {"sha256": hashlib.sha256(content).hexdigest()},
            "annotations": {"actual_hash_algorithm": "file-sha256"},
        }
        for name, content in files.items()
    ]
    return json.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": subjects,
            "predicateType": kind,
            "predicate": {"unused": "x"},
            **more,
        },
        indent=2,
    ).encode()


def buggy(payload):
    """Encode as 0.2.0 did."""
    return f"DSSEV1 {len(KIND)} {KIND} {len(payload)} {payload}".encode()


def with_sha256(person, message):
    return person.key.sign(message, ec.ECDSA(hashes.SHA256()))


@pytest.fixture
def believing(people):
    return lambda name: policy_from_keys(people[name].pem)


@pytest.mark.parametrize(("what", "name"), [("files", "alice"), ("p384", "bob"), ("p521", "carol")])
def test_its_own_bundles_verify_on_every_curve(what, name):
    policy = policy_from_keys((VECTORS / f"keys/{name}.pub").read_bytes())
    verified = verify_manifest((VECTORS / f"written/0.2.0-{what}.sig").read_bytes(), policy)
    assert len(verified.manifest.resources) == 7
    assert (verified.name, tuple(verified.manifest.ignore_paths)) == ("model", ())
    other = policy_from_keys((VECTORS / "keys/mallory.pub").read_bytes())
    with pytest.raises(VerificationError) as caught:
        verify_manifest((VECTORS / f"written/0.2.0-{what}.sig").read_bytes(), other)
    assert caught.value.code == "wrong-signer"


def test_git_files_are_not_left_out_for_it_because_it_signed_them(people, bundled, believing):
    """That it brings the key itself makes it look like 0.3.1, which left them out and had no list."""
    payload = payload_of({"a": b"1"})
    pem = base64.b64encode(people["alice"].pem).decode()
    raw = bundled(
        payload,
        signatures=[with_sha256(people["alice"], buggy(payload))],
        material={"publicKey": {"rawBytes": pem}},
    )
    assert verify_statement(raw, believing("alice"), role="author").old
    assert tuple(verify_manifest(raw, believing("alice")).manifest.ignore_paths) == ()


def test_a_signature_over_the_real_encoding_counts_for_it_too(people, bundled, believing):
    raw = bundled(payload_of({"a": b"1"}), people["bob"])
    assert verify_manifest(raw, believing("bob")).manifest.resources[0].path == "a"


@pytest.mark.parametrize(
    "kind",
    ["https://model_signing/signature/v1.0", "https://x/y", f"{TYPE}0"],
    ids=["today's", "other", "longer"],
)
def test_its_encoding_counts_for_no_other_predicate(people, bundled, believing, kind):
    """The type is named in the payload, so that the encoding is tried, and parsed to be another."""
    payload = payload_of({"a": b"1", TYPE: b"2"}, kind)
    raw = bundled(payload, signatures=[with_sha256(people["alice"], buggy(payload))])
    with pytest.raises(VerificationError) as caught:
        verify_statement(raw, believing("alice"), role="author")
    assert caught.value.code == "wrong-signer"


@pytest.mark.parametrize("name", ["bob", "carol"])
def test_its_encoding_goes_with_sha256_alone_and_the_real_one_with_the_curves_own(
    people, bundled, believing, name
):
    payload, person = payload_of({"a": b"1"}), people[name]
    pae = b"DSSEv1 %d %b %d %b" % (len(KIND), KIND.encode(), len(payload), payload)
    for signature in (person.sign(buggy(payload)), with_sha256(person, pae)):
        with pytest.raises(VerificationError) as caught:
            verify_manifest(bundled(payload, signatures=[signature]), believing(name))
        assert caught.value.code == "wrong-signer"


@pytest.mark.parametrize(
    "change",
    [
        lambda message: message.replace(b"DSSEV1", b"DSSEv1"),
        lambda message: message.replace(b" b'", b" '"),
        lambda message: message.replace(b"\\n", b"\n"),
        lambda message: message + b" ",
    ],
    ids=["the real prefix", "no literal", "raw lines", "longer"],
)
def test_half_of_its_encoding_counts_for_nothing(people, bundled, believing, change):
    payload = payload_of({"a": b"1"})
    changed = change(buggy(payload))
    assert changed != buggy(payload)
    raw = bundled(payload, signatures=[with_sha256(people["alice"], changed)])
    with pytest.raises(VerificationError) as caught:
        verify_manifest(raw, believing("alice"))
    assert caught.value.code == "wrong-signer"


def test_the_threshold_holds_for_it(people, bundled, policy_text, no_files):
    policy = parse_policy(
        policy_text({"alice": ["author"], "bob": ["author"]}, threshold=2), read_file=no_files
    )
    payload = payload_of({"a": b"1"})
    one, two = (with_sha256(people[name], buggy(payload)) for name in ("alice", "bob"))
    with pytest.raises(VerificationError) as caught:
        verify_manifest(bundled(payload, signatures=[one, one]), policy)
    assert caught.value.code == "below-threshold"
    assert len(verify_manifest(bundled(payload, signatures=[one, two]), policy).signers) == 2


def test_it_signed_with_certificates_in_the_same_way(people, bundled):
    """Its signer with a certificate is its signer with a key, and other material."""
    path = Path(__file__).parents[2] / "simulators/certificates.py"
    spec = importlib.util.spec_from_file_location("old_certificates", path)
    forger = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(forger)
    now = 1_700_000_000
    issuer = forger.Issuer(now)
    leaf, _ = issuer.leaf(key=people["bob"].key, extended=(ExtendedKeyUsageOID.CODE_SIGNING,))
    chain = [{"rawBytes": base64.b64encode(forger.der(leaf)).decode()}]
    payload = payload_of({"a": b"1"})
    raw = bundled(
        payload,
        signatures=[with_sha256(people["bob"], buggy(payload))],
        material={"x509CertificateChain": {"certificates": chain}},
    )
    policy = policy_from_roots(issuer.pem)
    assert verify_manifest(raw, policy, at=now).manifest.resources[0].path == "a"
    with pytest.raises(VerificationError) as caught:
        verify_manifest(raw, policy, at=now + 86_400)
    assert caught.value.code == "certificate-expired"


def test_a_message_is_hashed_as_its_writer_did():
    curves = ("secp256r1", "secp384r1", "secp521r1")
    assert [Message(b"x").algorithm_for(curve).name for curve in curves] == ["sha256", "sha384", "sha512"]
    assert {Message(b"x", always_sha256=True).algorithm_for(curve).name for curve in curves} == {"sha256"}
    key = public_key_from_pem((VECTORS / "keys/alice.pub").read_bytes(), what="it")
    assert not key.signed(Message(b"x", always_sha256=True), b"no signature")


def test_a_subject_may_be_nameless_in_old_bundles_alone(people, bundled, believing, oms_payload):
    """Up to 1.0.x nothing was named where ``.`` was signed; OMS asks for a name."""
    value = json.loads(oms_payload({"a": b"1"}))
    del value["subject"][0]["name"]
    payload = json.dumps(value).encode()
    pem = base64.b64encode(people["alice"].pem).decode()
    old = bundled(payload, people["alice"], material={"publicKey": {"rawBytes": pem}})
    assert verify_manifest(old, believing("alice")).name == "model"
    with pytest.raises(FormatError) as caught:
        verify_manifest(bundled(payload, people["alice"]), believing("alice"))
    assert caught.value.code == "missing-field"
