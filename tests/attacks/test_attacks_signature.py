"""Attacks on the author's signature: a real folder, really signed, and all that an attacker can rewrite."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from trustkit.attest.dsse import PAYLOAD_TYPE, pae
from trustkit.errors import FormatError, VerificationError
from trustkit.signing.key import generate_key, load_signer
from trustkit.verifying.policy import parse_policy, policy_from_keys
from trustkit.workflows import sign, verify

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture
def model(tmp_path):
    """A model, not yet signed."""
    folder = tmp_path / "model"
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(bytes(range(256)) * 64)
    (folder / "config.json").write_text('{"layers": 2}')
    (folder / "tokenizer/vocab.txt").write_text("a\nb\n")
    return folder


@pytest.fixture
def signer(tmp_path):
    """Make a signer of that name; its key lies beside the model."""

    def make(name):
        private, _ = generate_key("p256", passphrase=None)
        path = tmp_path / f"{name}.pem"
        path.write_bytes(private)
        return load_signer(path, passphrase=None)

    return make


@pytest.fixture
def alice(signer):
    return signer("alice")


@pytest.fixture
def mallory(signer):
    return signer("mallory")


@pytest.fixture
def policy(alice):
    return policy_from_keys(alice.public_pem())


@pytest.fixture
def signed(model, alice, policy):
    """The bundle of a model that Alice signed; it verifies, or the attacks below would prove nothing."""
    bundle = sign(model, alice).bundle
    verify(model, policy).close()
    return bundle


def refused(model, policy, code, kind=VerificationError):
    with pytest.raises(kind) as caught:
        verify(model, policy)
    assert caught.value.code == code
    return caught.value


def rewrite(bundle, change):
    """Let an attacker rewrite the bundle: *change* works on the parsed JSON, in place."""
    value = json.loads(bundle.read_bytes())
    change(value)
    bundle.write_text(json.dumps(value))


def rewrite_payload(bundle, change, signer=None):
    """Let an attacker rewrite what is signed, and sign it again if they have a key."""

    def inside(value):
        envelope = value["dsseEnvelope"]
        statement = json.loads(base64.b64decode(envelope["payload"]))
        change(statement)
        payload = json.dumps(statement).encode()
        envelope["payload"] = base64.b64encode(payload).decode()
        if signer is not None:
            signature = signer.sign(pae(PAYLOAD_TYPE, payload))
            envelope["signatures"] = [{"sig": base64.b64encode(signature).decode(), "keyid": ""}]

    rewrite(bundle, inside)


def test_another_signers_key_is_refused(model, signed, policy, mallory):
    """T01: Mallory signs the same folder, and then claims Alice's hint in every place that takes one."""
    sign(model, mallory, overwrite=True)
    refused(model, policy, "wrong-signer")
    hint = policy.authorities[0].public_key.hint

    def claim(value):
        value["verificationMaterial"]["publicKey"]["hint"] = hint
        value["dsseEnvelope"]["signatures"][0]["keyid"] = hint

    rewrite(signed, claim)
    refused(model, policy, "wrong-signer")


def test_a_key_that_comes_with_the_bundle_is_refused(model, signed, policy, mallory):
    """T01: an old bundle brings its key along; nobody asked for it."""
    sign(model, mallory, overwrite=True)

    def bring(value):
        pem = base64.b64encode(mallory.public_pem()).decode()
        value["verificationMaterial"] = {
            "publicKey": {"rawBytes": pem, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
        }

    rewrite(signed, bring)
    refused(model, policy, "wrong-signer")


def test_a_changed_file_with_a_fresh_signature_is_refused(model, signed, policy, mallory):
    """T01: everything fits together, but for who signed it."""
    (model / "weights.bin").write_bytes(b"backdoor")
    sign(model, mallory, overwrite=True)
    refused(model, policy, "wrong-signer")


def test_one_signer_is_counted_once(model, signed, alice, signer):
    """T02: one key signs twice, in both spellings of an ECDSA signature, under two key IDs."""
    bob = signer("bob")
    document = {
        "apiVersion": "trustkit.dev/v1alpha1",
        "kind": "VerificationPolicy",
        "metadata": {"name": "two of two"},
        "spec": {
            "threshold": 2,
            "authorities": [
                {"name": name, "roles": ["author"], "key": {"pem": key.public_pem().decode()}}
                for name, key in (("alice", alice), ("bob", bob))
            ],
        },
    }
    both = parse_policy(json.dumps(document).encode(), read_file=lambda name: b"")

    def sign_twice(value):
        envelope = value["dsseEnvelope"]
        [first] = envelope["signatures"]
        r, s = decode_dss_signature(base64.b64decode(first["sig"]))
        twin = encode_dss_signature(r, P256_ORDER - s)
        again = alice.sign(pae(PAYLOAD_TYPE, base64.b64decode(envelope["payload"])))
        envelope["signatures"] += [
            {"sig": base64.b64encode(twin).decode(), "keyid": "bob"},
            {"sig": base64.b64encode(again).decode(), "keyid": bob.hint},
            dict(first),
        ]

    rewrite(signed, sign_twice)
    error = refused(model, both, "below-threshold")
    assert error.evidence == {"signers": ["alice"], "missing": ["bob"], "threshold": 2}

    def sign_together(value):
        envelope = value["dsseEnvelope"]
        theirs = bob.sign(pae(PAYLOAD_TYPE, base64.b64decode(envelope["payload"])))
        envelope["signatures"].append({"sig": base64.b64encode(theirs).decode()})

    rewrite(signed, sign_together)
    verify(model, both).close()


def test_another_predicate_type_is_refused(model, signed, alice, policy):
    """T02: Alice signed it, and every digest fits, but it claims something else about the folder."""

    def relabel(statement):
        statement["predicateType"] = "https://example.com/scanned-by-a-tool/v1"

    rewrite_payload(signed, relabel, alice)
    error = refused(model, policy, "wrong-predicate-type")
    assert error.evidence == {"found": "https://example.com/scanned-by-a-tool/v1"}


@pytest.mark.parametrize(
    "change",
    [
        lambda statement: statement["predicate"]["resources"].pop(),
        lambda statement: statement["predicate"]["resources"].reverse(),
        lambda statement: statement["predicate"]["serialization"]["ignore_paths"].append("tokenizer"),
        lambda statement: statement["predicate"]["serialization"].update(allow_symlinks=True),
        lambda statement: statement["subject"][0].update(name="other"),
        lambda statement: None,  # only spaces and order change
    ],
)
def test_an_edited_payload_is_refused(model, signed, policy, change):
    """T05: whatever is edited, the signature covered the bytes as they were."""
    rewrite_payload(signed, change)
    refused(model, policy, "wrong-signer")


def test_a_half_edited_payload_signed_again_is_refused(model, signed, alice, policy):
    """T05: a tool of the author's own that edits resources and forgets their root."""
    rewrite_payload(signed, lambda statement: statement["predicate"]["resources"].pop(), alice)
    refused(model, policy, "root-digest-mismatch")


def test_a_bundle_with_a_repeated_key_is_refused(model, signed, policy):
    """T05: one reader takes the first value, another the last; the signature would fit one of them."""
    raw = signed.read_bytes()
    for twice in (
        raw.replace(b'"payloadType"', b'"payload": "e30=", "payloadType"'),
        raw.replace(b'"payloadType"', b'"p\\u0061yload": "e30=", "payloadType"'),
        raw.replace(b'"mediaType"', b'"mediaType": "application/json", "mediaType"'),
        raw.replace(b'"sig"', b'"sig": "QQ==", "sig"'),
    ):
        assert twice != raw
        signed.write_bytes(twice)
        assert refused(model, policy, "duplicate-key", FormatError).exit_code == 3


def test_a_signed_payload_with_a_repeated_key_is_refused(model, signed, alice, policy):
    """T05: as above, inside what was signed, by a key that we believe."""
    value = json.loads(signed.read_bytes())
    envelope = value["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"])
    twice = payload.replace(b'"predicateType"', b'"predicateType":"https://example.com","predicateType"')
    assert twice != payload
    envelope["payload"] = base64.b64encode(twice).decode()
    envelope["signatures"] = [{"sig": base64.b64encode(alice.sign(pae(PAYLOAD_TYPE, twice))).decode()}]
    signed.write_text(json.dumps(value))
    refused(model, policy, "duplicate-key", FormatError)


def test_the_bundle_of_another_model_is_refused(tmp_path, model, signed, alice, policy):
    """T05: swapped bundles of one author: the signature is good, the folder is another."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "weights.bin").write_bytes(b"older, and worse")
    signed.write_bytes(sign(other, alice).bundle.read_bytes())
    refused(model, policy, "unsigned-file")


def test_a_bundle_without_a_signature_is_refused(model, signed, policy):
    rewrite(signed, lambda value: value["dsseEnvelope"].update(signatures=[]))
    refused(model, policy, "no-signatures", FormatError)
    signed.unlink()
    refused(model, policy, "unsigned")


def test_a_dressed_up_bundle_hides_no_file_under_git(model, signed, policy, alice):
    """T04, T05: material is not signed; a new bundle in the form of an old one still has its own list."""
    pem = base64.b64encode(alice.public_pem()).decode()
    rewrite(signed, lambda value: value.update(verificationMaterial={"publicKey": {"rawBytes": pem}}))
    verify(model, policy).close()
    (model / ".git").mkdir()
    (model / ".git/hook.py").write_text("import os")
    refused(model, policy, "unsigned-file")
