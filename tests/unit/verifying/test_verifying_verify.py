"""Verification of bundles: each numbered step, each forgery that it stops, and no way around."""

import base64
import copy
import dataclasses
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from trustkit.digest import digest_of
from trustkit.errors import FormatError, LimitError, TrustkitError, VerificationError
from trustkit.verifying.compare import Verified
from trustkit.verifying.policy import KeyAuthority, VerificationPolicy, parse_policy, policy_from_keys
from trustkit.verifying.verify import VerifiedManifest, VerifiedStatement, verify_manifest, verify_statement

MODEL = {"a": b"x", "s/b": b"y"}
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture(scope="module")
def payload(oms_payload):
    return oms_payload(MODEL)


@pytest.fixture(scope="module")
def policy(alice):
    return policy_from_keys(alice.pem)


@pytest.fixture(scope="session")
def policy_of(policy_text, no_files):
    """Make a policy of names to roles."""
    return lambda roles, **spec: parse_policy(policy_text(roles, **spec), read_file=no_files)


def refused(bundle, policy, code, kind=VerificationError, **how):
    with pytest.raises(kind) as caught:
        verify_manifest(bundle, policy, **how)
    assert caught.value.code == code
    return caught.value


def edited(bundle, **envelope):
    value = json.loads(bundle)
    value["dsseEnvelope"].update(envelope)
    return json.dumps(value).encode()


def payload_of(raw):
    return base64.b64encode(raw).decode()


# -- what is believed ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["alice", "bob", "carol"])
def test_a_bundle_of_a_believed_author(people, bundled, payload, name):
    bundle = bundled(payload, people[name])
    policy = policy_from_keys(people[name].pem)
    verified = verify_manifest(bundle, policy)
    assert verified.manifest.file_names == ("a", "s/b")
    assert verified.name == "model"
    assert [signer.authority for signer in verified.signers] == ["key"]
    assert verified.signers[0].fingerprint == policy.authorities[0].public_key.fingerprint
    assert verified.bundle_digest == digest_of(bundle)
    assert verified.policy_digest == policy.digest
    assert verified.manifest_digest == verified.manifest.manifest_digest


def test_a_statement_of_any_type_in_any_role(alice, bundled, policy):
    payload = json.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "x", "digest": {"sha256": "ab" * 32}}],
            "predicateType": "https://example.com/x",
            "predicate": {},
        }
    ).encode()
    verified = verify_statement(bundled(payload, alice), policy, role="publisher")
    assert verified.statement.predicate_type == "https://example.com/x"
    assert not verified.old


def test_the_payload_is_verified_as_it_was_received(alice, bundled, payload, policy):
    """Another order, other spaces: other bytes, another signature; nothing is serialised a second time."""
    respelled = json.dumps(json.loads(payload), sort_keys=True, separators=(",", ":")).encode()
    bundle = bundled(payload, alice)
    assert (
        verify_manifest(bundled(respelled, alice), policy).manifest
        == verify_manifest(bundle, policy).manifest
    )
    refused(edited(bundle, payload=payload_of(respelled)), policy, "wrong-signer")


# -- step 1: form and caps come first ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "kind", "code"),
    [
        (lambda raw: b"", FormatError, "bad-json"),
        (lambda raw: raw + b" x", FormatError, "bad-json"),
        (
            lambda raw: raw.replace(b'"mediaType"', b'"mediaType": 1, "mediaType"'),
            FormatError,
            "duplicate-key",
        ),
        (lambda raw: edited(raw, signatures=[]), FormatError, "no-signatures"),
        (lambda raw: edited(raw, payload="e30"), FormatError, "bad-base64"),
        (
            lambda raw: edited(raw, payloadType="application/vnd.in-t\u043eto+json"),
            FormatError,
            "bad-payload-type",
        ),
        (lambda raw: edited(raw, signatures=[{"sig": "QQ=="}] * 33), LimitError, "too-many-signatures"),
        (lambda raw: b"[" * 100_000, LimitError, "too-deep"),
    ],
)
def test_a_damaged_bundle_is_a_matter_of_form(alice, bundled, payload, policy, damage, kind, code):
    refused(damage(bundled(payload, alice)), policy, code, kind)


def test_the_name_is_the_signed_one(alice, bundled, payload, policy):
    named = payload.replace(b'"name": "model"', b'"name": "tiny-llm"')
    assert named != payload
    assert verify_manifest(bundled(named, alice), policy).name == "tiny-llm"


def test_the_cap_on_bytes_is_the_callers(alice, bundled, payload, policy):
    bundle = bundled(payload, alice)
    assert verify_manifest(bundle, policy, max_bytes=len(bundle)).name == "model"
    refused(bundle, policy, "too-large", LimitError, max_bytes=len(bundle) - 1)


# -- step 2: signatures, authorities, thresholds -------------------------------------------------------


def test_another_signers_bundle_is_refused(people, bundled, payload, policy):
    error = refused(bundled(payload, people["mallory"]), policy, "wrong-signer")
    assert error.exit_code == 1
    assert error.evidence["key_hint"] == people["mallory"].hint


def test_who_is_believed_and_whose_key_the_bundle_names_is_said(people, bundled, payload, policy_of):
    """Mallory signed: a policy does not know him, one knows him as something else, one believes nobody."""
    alice, mallory = people["alice"], people["mallory"]
    fingerprints = {
        name: str(policy_from_keys(people[name].pem).authorities[0].public_key.fingerprint)
        for name in ("alice", "mallory")
    }
    believed = f"believed is 'alice' ({fingerprints['alice']}), and the bundle names "
    bundle = bundled(payload, mallory)
    error = refused(bundle, policy_of({"alice": ["author"]}), "wrong-signer")
    assert f"{believed}a key that the policy does not hold, with the hint {mallory.hint!r}; " in error.message
    assert error.message.endswith("if that is who should be believed, name that key as author")
    assert error.evidence == {"key_hint": mallory.hint, "believed": ["alice"]}
    error = refused(bundle, policy_of({"alice": ["author"], "mallory": ["publisher"]}), "wrong-signer")
    assert f"{believed}the key of 'mallory' ({fingerprints['mallory']}), who is no author; " in error.message
    error = refused(bundle, policy_of({"alice": ["publisher"]}), "wrong-signer")
    assert "the policy has no author at all, and the bundle names a key" in error.message
    unsaid = bundled(payload, mallory, material={"publicKey": {"hint": ""}})
    error = refused(unsaid, policy_of({"alice": ["author"]}), "wrong-signer")
    assert f"{believed.removesuffix('names ')}does not say who did; " in error.message
    assert alice.hint not in error.message


def test_a_hint_chooses_nothing(people, bundled, payload, policy):
    """Mallory names Alice's key; and Alice's own signature counts whatever the hint says."""
    claimed = {"publicKey": {"hint": people["alice"].hint}}
    error = refused(bundled(payload, people["mallory"], material=claimed), policy, "wrong-signer")
    assert error.message.startswith("the bundle names a key that we believe, but")
    other = {"publicKey": {"hint": "x" * 1000}}
    assert verify_manifest(bundled(payload, people["alice"], material=other), policy).name == "model"
    refused_hint = refused(bundled(payload, people["mallory"], material=other), policy, "wrong-signer")
    assert refused_hint.evidence["key_hint"] == "x" * 128
    assert refused_hint.message.startswith("no author we believe made this signature")


def test_a_key_that_the_bundle_brings_chooses_nothing(people, bundled, payload, policy):
    brought = {
        "publicKey": {"rawBytes": payload_of(people["mallory"].pem), "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
    }
    error = refused(bundled(payload, people["mallory"], material=brought), policy, "wrong-signer")
    assert error.evidence["key_hint"] == people["mallory"].hint


@pytest.mark.parametrize(
    "edit",
    [
        lambda payload: payload.replace(b'"a"', b'"c"'),
        lambda payload: payload.replace(b"model", b"Model", 1),
        lambda payload: payload + b" ",
        lambda payload: b" " + payload,
        lambda payload: payload[:-1],
        lambda payload: b"not json",
        lambda payload: b"{}",
    ],
)
def test_an_edited_payload_is_refused_before_it_is_parsed(alice, bundled, payload, policy, edit):
    assert edit(payload) != payload
    bundle = edited(bundled(payload, alice), payload=payload_of(edit(payload)))
    assert "edited" in refused(bundle, policy, "wrong-signer").message


@pytest.mark.parametrize(
    "signed",
    [
        lambda payload: payload,  # the payload itself
        lambda payload: b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(payload) + 1, payload),
        lambda payload: b"DSSEv1 16 application/json %d %b" % (len(payload), payload),
        # what model-signing 0.2.0 signed: a wrong prefix, and the payload as Python shows bytes
        lambda payload: f"DSSEV1 28 application/vnd.in-toto+json {len(payload)} {payload}".encode(),
    ],
)
def test_signatures_over_anything_but_the_pae_are_refused(alice, bundled, payload, policy, signed):
    refused(bundled(payload, alice, signed=signed(payload)), policy, "wrong-signer")


def test_odd_signatures_are_refused_and_hide_none(alice, bundled, payload, policy):
    bundle = bundled(payload, alice, as_object=True)
    [good] = [base64.b64decode(s["sig"]) for s in bundle["dsseEnvelope"]["signatures"]]
    r, s = decode_dss_signature(good)
    odd = [
        encode_dss_signature(0, s),
        encode_dss_signature(r, 0),
        encode_dss_signature(r, s + P256_ORDER),
        bytes.fromhex("30060201ff0201ff"),
        r.to_bytes(32, "big") + s.to_bytes(32, "big"),
        good + b"\x00",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x00",
        b"x" * 4096,
    ]
    for sig in odd:
        refused(bundled(payload, signatures=[sig]), policy, "wrong-signer")
    refused(bundled(payload, signatures=odd), policy, "wrong-signer")
    assert len(verify_manifest(bundled(payload, signatures=[*odd, good]), policy).signers) == 1


def test_one_signer_is_counted_once(people, bundled, payload, policy_of):
    """Two signatures by one key, and the second spelling that every ECDSA signature has."""
    policy = policy_of({"alice": ["author"], "bob": ["author"]}, threshold=2)
    bundle = bundled(payload, people["alice"], people["alice"], as_object=True)
    signatures = bundle["dsseEnvelope"]["signatures"]
    r, s = decode_dss_signature(base64.b64decode(signatures[0]["sig"]))
    signatures.append({"sig": payload_of(encode_dss_signature(r, P256_ORDER - s)), "keyid": "bob"})
    signatures.append(dict(signatures[0]))
    error = refused(json.dumps(bundle).encode(), policy, "below-threshold")
    assert error.evidence == {"signers": ["alice"], "missing": ["bob"], "threshold": 2}
    assert "1 of 2" in error.message


def test_one_key_is_counted_once_even_in_a_policy_made_by_hand(people, bundled, payload):
    key = policy_from_keys(people["alice"].pem).authorities[0].public_key
    authorities = tuple(KeyAuthority(name, frozenset(("author",)), key) for name in ("one", "two"))
    policy = VerificationPolicy("by hand", authorities, 2, None, digest_of(b""))
    error = refused(bundled(payload, people["alice"]), policy, "below-threshold")
    assert error.evidence == {"signers": ["one", "two"], "missing": [], "threshold": 2}
    assert error.message == (
        "1 of 2 needed authors signed this: valid from 'one', 'two' (a key counts once); "
        "get the missing signatures"
    )


def test_who_signed_and_who_did_not_is_named(people, bundled, payload, policy_of):
    roles = {
        "alice": ["author"],
        "bob": ["author", "publisher"],
        "carol": ["author"],
        "mallory": ["publisher"],
    }
    policy = policy_of(roles, threshold=3)
    error = refused(bundled(payload, people["carol"], people["alice"]), policy, "below-threshold")
    assert error.message == (
        "2 of 3 needed authors signed this: valid from 'alice', 'carol', none from 'bob'; "
        "get the missing signatures"
    )
    assert error.evidence == {"signers": ["alice", "carol"], "missing": ["bob"], "threshold": 3}


def test_signatures_of_those_whom_the_policy_does_not_list_as_authors_are_said(
    people, bundled, payload, policy_of
):
    """Who adds a signature has to be listed: the message says so, and who is known to have signed."""
    policy = policy_of({"alice": ["author"], "bob": ["author"], "carol": ["publisher"]}, threshold=2)
    start = "1 of 2 needed authors signed this: valid from 'alice', none from 'bob'; "
    end = "; list that key so, or get the missing signatures"
    said = refused(bundled(payload, people["alice"], people["mallory"]), policy, "below-threshold").message
    unknown = "; list such a key only if you know whose it is, or get the missing signatures"
    assert said == f"{start}1 more signature is by nobody whom the policy lists with roles: [author]{unknown}"
    signed = bundled(payload, people["alice"], people["mallory"], people["carol"])
    assert refused(signed, policy, "below-threshold").message == (
        f"{start}2 more signatures are by nobody whom the policy lists with roles: [author] "
        f"('carol' signed, in another role){end}"
    )


def test_names_of_those_who_did_not_sign_are_capped_and_quoted(people, bundled, payload):
    """Names come from the policy, and a message may end on a terminal or in an event of a cluster."""
    keys = [policy_from_keys(people[name].pem).authorities[0].public_key for name in ("alice", "bob")]
    names = ["al\x1b[2Jice", "n" * 64, "m" * 65, *(f"other-{number}" for number in range(28))]
    authorities = tuple(KeyAuthority(name, frozenset(("author",)), keys[name[:2] != "al"]) for name in names)
    policy = VerificationPolicy("by hand", authorities, 2, None, digest_of(b""))
    error = refused(bundled(payload, people["alice"]), policy, "below-threshold")
    assert "valid from 'al\\x1b[2Jice', none from" in error.message
    listed = f"none from '{'n' * 64}', '{'m' * 64}'…, 'other-0', 'other-1', 'other-2' and 25 more; get"
    assert listed in error.message
    assert error.evidence["missing"] == names[1:21]


def test_five_who_did_not_sign_are_all_named(people, bundled, payload):
    keys = [policy_from_keys(people[name].pem).authorities[0].public_key for name in ("alice", "bob")]
    authorities = tuple(
        KeyAuthority(f"a{number}", frozenset(("author",)), keys[number > 0]) for number in range(6)
    )
    policy = VerificationPolicy("by hand", authorities, 2, None, digest_of(b""))
    message = refused(bundled(payload, people["alice"]), policy, "below-threshold").message
    assert "none from 'a1', 'a2', 'a3', 'a4', 'a5'; get" in message


def test_a_threshold_is_met_by_distinct_authors(people, bundled, payload, policy_of):
    policy = policy_of({name: ["author"] for name in ("alice", "bob", "carol")}, threshold=2)
    both = bundled(payload, people["carol"], people["mallory"], people["alice"])
    assert [signer.authority for signer in verify_manifest(both, policy).signers] == ["alice", "carol"]
    refused(bundled(payload, people["carol"], people["mallory"]), policy, "below-threshold")
    refused(bundled(payload, people["mallory"]), policy, "wrong-signer")


@pytest.mark.parametrize("threshold", [0, -1, 1])
def test_no_threshold_makes_an_unsigned_bundle_believed(people, bundled, payload, policy, threshold):
    forged = dataclasses.replace(policy, threshold=threshold)
    refused(bundled(payload, people["mallory"]), forged, "wrong-signer")
    with pytest.raises(VerificationError):
        verify_statement(bundled(payload, people["mallory"]), policy, role="author", threshold=threshold)


def test_roles_are_kept_apart(people, bundled, payload, policy_of):
    policy = policy_of({"alice": ["publisher"], "bob": ["author"]})
    refused(bundled(payload, people["alice"]), policy, "wrong-signer")
    bundle = bundled(payload, people["bob"])
    assert verify_manifest(bundle, policy).name == "model"
    with pytest.raises(VerificationError) as caught:
        verify_statement(bundle, policy, role="publisher")
    assert "publisher" in caught.value.message


def test_a_policy_without_authors_believes_no_author(people, bundled, payload, policy_of):
    refused(bundled(payload, people["alice"]), policy_of({"alice": ["publisher"]}), "wrong-signer")


@pytest.mark.parametrize(
    "material",
    [
        {"x509CertificateChain": {"certificates": [{"rawBytes": "QUJD"}]}},
        {"certificate": {"rawBytes": "QUJD"}, "tlogEntries": [{}]},
    ],
)
def test_certificates_are_not_looked_at_where_only_keys_are_believed(
    people, bundled, payload, policy, material
):
    """Whether the key that a policy names has signed needs no certificate, and no certificate replaces it."""
    by_a_stranger = bundled(payload, people["mallory"], material=material)
    error = refused(by_a_stranger, policy, "unsupported-material")
    assert (error.exit_code, "keyless" in error.message) == (1, "certificate" in material)
    by_alice_too = bundled(payload, people["mallory"], people["alice"], material=material)
    [signer] = verify_manifest(by_alice_too, policy).signers
    assert (signer.authority, signer.identity, signer.valid_until) == ("key", None, None)


# -- steps 3 to 5: what was signed ---------------------------------------------------------------------


def test_another_predicate_type_is_refused(alice, bundled, payload, policy):
    other = payload.replace(b"https://model_signing/signature/v1.0", b"https://slsa.dev/provenance/v1")
    refused(bundled(other, alice), policy, "wrong-predicate-type")


@pytest.mark.parametrize(
    ("content", "kind", "code"),
    [
        (b"not json", FormatError, "bad-json"),
        (b"\xff", FormatError, "bad-json"),
        (b"[]", FormatError, "bad-field"),
        (b'{"_type": 1, "_type": 2}', FormatError, "duplicate-key"),
        (b"[" * 100_000, LimitError, "too-deep"),
    ],
)
def test_a_signed_payload_that_is_no_statement_is_a_matter_of_form(
    alice, bundled, policy, content, kind, code
):
    refused(bundled(content, alice), policy, code, kind)


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"../x": b""}, "unsafe-name"),
        ({"/x": b""}, "unsafe-name"),
        ({"a\x00b": b""}, "unsafe-name"),
        ({"a//b": b"", "a/b": b""}, "unsafe-name"),
        ({"a": b"", "A": b""}, "name-twins"),
        ({"a": b"", "a/b": b""}, "name-twins"),
        ({}, "empty-manifest"),
    ],
)
def test_a_rightful_author_cannot_sign_just_anything(alice, bundled, oms_payload, policy, files, code):
    assert refused(bundled(oms_payload(files), alice), policy, code, FormatError).exit_code == 3


def test_a_root_digest_that_does_not_fit_is_refused(alice, bundled, payload, policy):
    root = json.loads(payload)["subject"][0]["digest"]["sha256"]
    half_edited = payload.replace(root.encode(), b"ab" * 32)
    refused(bundled(half_edited, alice), policy, "root-digest-mismatch")


# -- old bundles ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def old_material(alice):
    return {"publicKey": {"rawBytes": payload_of(alice.pem), "keyDetails": "PKIX_ECDSA_P256_SHA_256"}}


def test_a_bundle_of_an_old_writer(alice, bundled, oms_payload, policy, old_material):
    bundle = bundled(oms_payload(MODEL, ignore_paths=None), alice, material=old_material, as_object=True)
    bundle["dsseEnvelope"]["signatures"][0]["keyid"] = None
    verified = verify_manifest(json.dumps(bundle).encode(), policy)
    assert verified.manifest.ignore_paths == (".git", ".gitattributes", ".github", ".gitignore")
    assert verify_statement(json.dumps(bundle).encode(), policy, role="author").old


def test_a_new_bundle_without_a_list_ignores_nothing(alice, bundled, oms_payload, policy):
    assert (
        verify_manifest(bundled(oms_payload(MODEL, ignore_paths=None), alice), policy).manifest.ignore_paths
        == ()
    )


@pytest.mark.parametrize("listed", [[], ["model.sig"]])
def test_a_bundle_dressed_up_as_old_gains_nothing(alice, bundled, oms_payload, policy, old_material, listed):
    """Material is not signed, so anybody can dress a bundle; the signed list stands."""
    dressed = bundled(oms_payload(MODEL, ignore_paths=listed), alice, material=old_material)
    assert verify_manifest(dressed, policy).manifest.ignore_paths == tuple(listed)


# -- proofs --------------------------------------------------------------------------------------------


def test_a_proof_cannot_be_made_by_hand(alice, bundled, payload, policy):
    verified = verify_manifest(bundled(payload, alice), policy)
    statement = verify_statement(bundled(payload, alice), policy, role="author")
    fields = (verified.manifest, "model", verified.signers, verified.bundle_digest, verified.policy_digest)
    for forge in (
        lambda: VerifiedManifest(*fields),
        lambda: VerifiedManifest(*fields, proof=object()),
        lambda: VerifiedManifest(*fields, proof=True),
        lambda: dataclasses.replace(verified, name="other"),
        lambda: dataclasses.replace(statement, signers=()),
        lambda: VerifiedStatement(statement.statement, (), digest_of(b""), digest_of(b""), False),
        lambda: Verified(verified, None, ("a",), 1, (), (), ()),
    ):
        with pytest.raises(TypeError):
            forge()


def test_a_proof_cannot_be_changed(alice, bundled, payload, policy):
    verified = verify_manifest(bundled(payload, alice), policy)
    with pytest.raises(dataclasses.FrozenInstanceError):
        verified.signers = ()
    assert copy.copy(verified) == verified


def test_every_refusal_is_one_of_ours(alice, bundled, payload, policy):
    """Whatever single character of a bundle is damaged, the answer is a trustkit error, never another."""
    bundle = bundled(payload, alice)
    for place in range(0, len(bundle), 7):
        for byte in (b"\x00", b'"', b"[", b"9"):
            damaged = bundle[:place] + byte + bundle[place + 1 :]
            try:
                found = verify_manifest(damaged, policy)
            except TrustkitError:
                continue
            assert found.manifest == verify_manifest(bundle, policy).manifest
