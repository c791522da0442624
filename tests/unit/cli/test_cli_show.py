"""What is shown without being verified says so first, and refuses what it cannot read."""

import base64

import pytest

from trustkit import strictjson
from trustkit.attest.bundle import Bundle, CertificateChain, PublicKeyHint, bundle_to_bytes
from trustkit.attest.dsse import PAYLOAD_TYPE, Envelope, Signature
from trustkit.attest.statement import Statement, Subject, statement_to_bytes


def unverified(ran):
    """The text of a run that shows; it starts with the word and ends with success."""
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("UNVERIFIED: ")
    assert "trusted" not in ran.out
    return ran.out


def claims(ran):
    document = ran.document
    assert document["verified"] is False
    assert document["message"].startswith("UNVERIFIED: ")
    return document


def test_a_manifest_lists_what_is_signed(cli, world):
    text = unverified(cli("manifest", world.model))
    assert [line.split("  ")[1] for line in text.splitlines()[-3:]] == [
        "config.json",
        "nested/tokenizer.json",
        "weights.bin",
    ]
    document = claims(cli("manifest", world.model, "--json"))
    assert [resource["name"] for resource in document["resources"]] == [
        "config.json",
        "nested/tokenizer.json",
        "weights.bin",
    ]
    assert document["files"] == 3
    verified = cli("verify", world.model, "--key", world.public(world.author), "--json").document
    assert (document["manifest_digest"], document["root_digest"]) == (
        verified["manifest_digest"],
        verified["root_digest"],
    )


def test_only_the_digests(cli, world):
    """Two lines for scripts; that nobody verified them is said where people look."""
    document = claims(cli("manifest", world.model, "--digest", "--json"))
    assert "resources" not in document
    for more in ((), ("--quiet",)):
        ran = cli("manifest", world.model, "--digest", *more)
        assert ran.status == 0
        assert ran.out == f"manifest {document['manifest_digest']}\nroot {document['root_digest']}\n"
        assert ran.err.startswith("UNVERIFIED: digests of the manifest in ")


def test_what_exists_to_be_printed_is_printed_quietly_too(cli, world):
    for words in (("manifest", world.model), ("inspect", world.model / "model.sig")):
        assert cli(*words, "--quiet").out == cli(*words).out != ""


def test_a_manifest_of_shards(cli, world, model):
    words = ("--method", "shards", "--shard-size", "1000", "--overwrite")
    assert cli("sign", model, "--key", world.author, *words).status == 0
    text = unverified(cli("manifest", model))
    assert "3 files in 19 shards, sha256" in text
    assert "weights.bin:16000:16384" in text


def test_a_manifest_by_its_bundle(cli, world, model, tmp_path):
    moved = (model / "model.sig").rename(tmp_path / "elsewhere.sig")
    ran = cli("manifest", model)
    assert (ran.status, ran.code) == (1, "unsigned")
    assert "elsewhere.sig" in unverified(cli("manifest", model, "--bundle", moved))
    ran = cli("manifest", model, "--bundle", tmp_path / "absent")
    assert (ran.status, ran.code) == (2, "no-such-file")
    ran = cli("manifest", tmp_path / "absent")
    assert (ran.status, ran.code) == (2, "no-such-path")


def test_a_descriptor_is_no_manifest(cli, sealed):
    ran = cli("manifest", sealed, "--bundle", sealed / "descriptor.sigstore.json")
    assert (ran.status, ran.code) == (1, "wrong-predicate-type")


def test_inspecting_a_signature(cli, world):
    text = unverified(cli("inspect", world.model / "model.sig"))
    for part in (
        "1 signature, by a public key\n",
        "key hint",
        "whose key",
        "model_signing/signature/v1.0",
        "subject",
        "3 files",
    ):
        assert part in text
    document = claims(cli("inspect", world.model / "model.sig", "--json"))
    assert (document["kind"], document["signatures"], document["material"]) == (
        "model-signature",
        1,
        "public key",
    )
    assert document["subjects"] == [{"name": "model", "digest": {"sha256": document["root_digest"][7:]}}]


def test_inspecting_a_sealed_folder(cli, world, sealed):
    text = unverified(cli("inspect", sealed / "descriptor.sigstore.json"))
    for part in ("acme/tiny version 3", "publisher key", "data key", "3 files, 16.4 kB"):
        assert part in text
    document = claims(cli("inspect", sealed / "descriptor.sigstore.json", "--json"))
    assert (document["kind"], document["line"], document["version"]) == ("descriptor", "acme/tiny", 3)
    document = claims(cli("inspect", sealed / "recipients.json", "--json"))
    assert document["kind"] == "recipients"
    assert [recipient["kind"] for recipient in document["recipients"]] == ["hpke-x25519", "hpke-x25519"]
    assert "2 recipients" in unverified(cli("inspect", sealed / "recipients.json"))


def test_a_folder_is_no_file_to_inspect(cli, world):
    ran = cli("inspect", world.model)
    assert (ran.status, ran.code) == (2, "special-file")
    assert f"is a folder; name a file in it, such as {world.model / 'model.sig'}" in ran.err


@pytest.mark.parametrize(
    "text",
    [
        "# mine\nkind: VerificationPolicy\n",
        '{\n  "kind": "VerificationPolicy"}',
        "{kind: VerificationPolicy}",
    ],
)
def test_inspecting_a_policy_says_who_reads_it(cli, tmp_path, text):
    policy = tmp_path / "policy.yaml"
    policy.write_text(text)
    ran = cli("inspect", policy)
    assert (ran.status, ran.code) == (3, "unknown-document")
    assert f"trustkit policy check {policy}" in ran.err


def test_inspecting_a_private_key_shows_nothing_of_it(cli, world):
    for key, protected in ((world.author, False), (world.locked, True), (world.opener, False)):
        ran = cli("inspect", key, "--json")
        assert claims(ran)["encrypted"] is protected
        body = key.read_text().splitlines()[1]
        assert body not in ran.out
    assert "NOT encrypted" in unverified(cli("inspect", world.author))


def test_inspecting_a_public_key(cli, world):
    for key, uses in (
        (world.author, ["verify signatures", "seal to"]),
        (world.locked, ["verify signatures"]),
        (world.opener, ["seal to"]),
    ):
        document = claims(cli("inspect", world.public(key), "--json"))
        assert (document["kind"], document["uses"]) == ("public-key", uses)
        assert document["fingerprint"].startswith("sha256:")


def test_a_public_key_tells_the_hint_that_bundles_carry(cli, world):
    hint = claims(cli("inspect", world.model / "model.sig", "--json"))["key_hint"]
    assert claims(cli("inspect", world.public(world.author), "--json"))["key_hint"] == hint
    assert hint in unverified(cli("inspect", world.public(world.author)))
    assert claims(cli("inspect", world.public(world.opener), "--json"))["key_hint"] is None


def test_a_key_is_called_alike_wherever_it_is_shown(cli, world, model):
    """What a bundle claims can be compared with what signing and verifying said, and with the key."""
    shown = claims(cli("inspect", world.public(world.author), "--json"))
    fingerprint, hint = shown["fingerprint"], shown["key_hint"]
    signing = ("sign", model, "--key", world.author, "--overwrite")
    verifying = ("verify", model, "--key", world.public(world.author))
    for words in (signing, verifying, ("inspect", world.public(world.author))):
        rows = [line.split() for line in cli(*words).out.splitlines()]
        assert ["key", "hint", hint] in rows
        assert any(fingerprint in " ".join(row) for row in rows)
    assert hint in unverified(cli("inspect", model / "model.sig"))
    for words in (signing, verifying):
        signer = cli(*words, "--json").document["signer"]
        assert (signer["fingerprint"], signer["key_hint"]) == (fingerprint, hint)


def test_inspecting_a_public_key_of_no_use(cli, tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate().public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pub").write_bytes(pem)
    ran = cli("inspect", tmp_path / "key.pub")
    assert (ran.status, ran.code) == (3, "bad-public-key")


def bundle_of(statement, material=None):
    envelope = Envelope(statement_to_bytes(statement), PAYLOAD_TYPE, (Signature(b"x"),))
    return strictjson.parse_object(
        bundle_to_bytes(Bundle(envelope, PublicKeyHint("0" * 64))), max_bytes=1 << 20, what="bundle"
    )


def test_inspecting_what_this_version_does_not_read(cli, tmp_path):
    statement = Statement(
        (Subject("dangerous \x1b[31m name", {"sha256": "00"}),), "https://example.com/other/v1", {}
    )
    (tmp_path / "other.json").write_bytes(strictjson.to_bytes(bundle_of(statement)))
    text = unverified(cli("inspect", tmp_path / "other.json"))
    assert "a signed statement of a type that this version does not read" in text
    assert "\x1b" not in text
    document = claims(cli("inspect", tmp_path / "other.json", "--json"))
    assert (document["kind"], document["predicate_type"]) == ("attestation", "https://example.com/other/v1")


def test_inspecting_certificates(cli, tmp_path, world):
    bundle = strictjson.parse_object(
        (world.model / "model.sig").read_bytes(), max_bytes=1 << 20, what="bundle"
    )
    raw = base64.b64encode(b"not looked into").decode()
    bundle["verificationMaterial"] = {"x509CertificateChain": {"certificates": [{"rawBytes": raw}] * 2}}
    (tmp_path / "chain.json").write_bytes(strictjson.to_bytes(bundle))
    text = unverified(cli("inspect", tmp_path / "chain.json"))
    assert "1 signature, by a certificate\n" in text
    assert text.count("  certificate ") == text.count("  in its chain ") == 1
    document = claims(cli("inspect", tmp_path / "chain.json", "--json"))
    assert (document["material"], document["key_hint"]) == ("certificate", None)
    assert CertificateChain.__name__


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"", 3, "unknown-document"),
        (b"\xff\xfe", 3, "unknown-document"),
        (b"not json", 3, "unknown-document"),
        (b"[]", 3, "bad-json"),
        (b"{}", 3, "unknown-document"),
        (b'{"a": 1, "a": 2}', 3, "duplicate-key"),
        (b'{"a": NaN}', 3, "bad-json"),
        (b"[" * 100, 4, "too-deep"),
        (b'{"apiVersion": "trustkit.dev/v1alpha1"}', 3, "unknown-document"),
        (b'{"mediaType": "text/plain"}', 3, "bad-media-type"),
        (b'{"dsseEnvelope": {}}', 3, "missing-field"),
        (b'{"recipients": []}', 3, "missing-field"),
        (b"-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----\n", 3, "bad-public-key"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 3, "bad-certificate"),
        (b"-----BEGIN " + b"x" * (64 << 10), 4, "too-large"),
        (b" " * (5 << 20), 3, "unknown-document"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_garbage_is_refused_by_its_class(cli, tmp_path, raw, status, code):
    (tmp_path / "file").write_bytes(raw)
    ran = cli("inspect", tmp_path / "file", "--json")
    assert (ran.status, ran.document["code"]) == (status, code)
    assert str(tmp_path / "file") in ran.document["message"] or status == 4


def test_a_file_too_large_to_be_any_of_ours(cli, tmp_path):
    with (tmp_path / "file").open("wb") as file:
        file.truncate((256 << 20) + 1)
    ran = cli("inspect", tmp_path / "file")
    assert (ran.status, ran.code) == (4, "too-large")
