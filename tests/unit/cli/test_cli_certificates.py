"""Certificates and second signatures at the command line."""

import base64
import importlib
import json
import time
import types
import warnings

import pytest

from trustkit import workflows
from trustkit.signing.key import load_signer

NOW = float(int(time.time()))


@pytest.fixture(scope="module")
def signing(forger, tmp_path_factory):
    """A root, and keys, certificates and chain of a signer and of a TLS server, in files."""
    folder = tmp_path_factory.mktemp("ca")
    root = forger.Issuer(NOW, name="root", uris=())
    between = forger.Issuer(NOW, name="between", parent=root, uris=())
    leaf, key = between.leaf(uris=(), emails=("ml@example.com",), subject="ml", extended=None)
    server, server_key = between.leaf(uris=(), dns=("host.example",))
    for name, raw in {
        "roots.pem": root.pem,
        "root.key": forger.key_pem(root.key),
        "chain.pem": between.pem,
        "ml.pem": forger.key_pem(key),
        "ml.crt": forger.pem(leaf),
        "server.pem": forger.key_pem(server_key),
        "server.crt": forger.pem(server),
    }.items():
        (folder / name).write_bytes(raw)
    return folder


@pytest.fixture
def plain(world, tmp_path):
    """A model that nobody signed yet."""
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"weights")
    return folder


@pytest.fixture
def sign(cli, signing, plain):
    """Sign the model with a certificate."""

    def run(*more, key="ml.pem", certificate="ml.crt"):
        return cli(
            *("sign", plain, "--key", signing / key, "--certificate", signing / certificate),
            *("--chain", signing / "chain.pem", *more),
        )

    return run


def test_sign_and_verify_with_a_certificate(cli, sign, signing, plain):
    made = sign("--json").document
    assert made["signer"]["identity"] == "email:ml@example.com"
    ran = cli("verify", plain, "--ca", signing / "roots.pem", "--identity", "email:ml@example.com")
    assert ran.status == 0
    assert "ca (email:ml@example.com, sha256:" in ran.out
    document = cli("verify", plain, "--ca", signing / "roots.pem", "--json").document
    assert document["signer"]["identity"] == "email:ml@example.com"
    assert document["signers"] == [document["signer"]]
    assert document["signer"]["fingerprint"] == made["signer"]["fingerprint"]
    assert "certified as" in sign("--overwrite").out


def test_the_identity_is_the_one_that_was_named_or_one_of_several(cli, sign, signing, plain):
    sign()
    verify = ("verify", plain, "--ca", signing / "roots.pem")
    ran = cli(*verify, "--identity", "email:other@example.com")
    assert (ran.status, ran.code) == (1, "identity-mismatch")
    assert cli(*verify, "--identity", "email:other@example.com", "--identity", "cn:ml").status == 0
    for untrusted in ("ml@example.com", "mail:", "email:", "email:a\nb"):
        ran = cli(*verify, "--identity", "cn:ml", "--identity", untrusted)
        assert (ran.status, ran.code) == (2, "bad-identity")
        assert ran.err.startswith(f"trustkit: --identity: {untrusted!r} is no identity; write uri:, dns:")


def test_roots_without_an_identity_believe_anybody_and_say_so(cli, sign, signing, plain):
    sign()
    verify = ("verify", plain, "--ca", signing / "roots.pem")
    said = "--ca without --identity believes whoever its roots certified, here 'email:ml@example.com'; "
    said += "add --identity with the name that you expect"
    ran = cli(*verify)
    assert (ran.status, ran.err) == (0, f"trustkit: warning: {said}\n")
    assert cli(*verify, "--json").document["warnings"] == [said]
    assert cli(*verify, "--quiet").err == ran.err
    named = cli(*verify, "--identity", "cn:ml", "--json")
    assert (named.err, named.document["warnings"]) == ("", [])


def test_roots_without_an_identity_may_believe_somebody_without_a_name(cli, forger, plain, tmp_path):
    root = forger.Issuer(NOW, name="root", uris=())
    leaf, key = root.leaf(uris=(), subject=None, extended=None)
    for name, raw in {"root": root.pem, "key": forger.key_pem(key), "crt": forger.pem(leaf)}.items():
        (tmp_path / name).write_bytes(raw)
    assert cli("sign", plain, "--key", tmp_path / "key", "--certificate", tmp_path / "crt").status == 0
    ran = cli("verify", plain, "--ca", tmp_path / "root")
    assert ran.status == 0
    assert "certified, here somebody whom his certificate does not name; add --identity" in ran.err


def test_a_policy_that_leaves_identities_out_is_warned_of_as_a_bare_ca_is(
    cli, sign, signing, plain, tmp_path
):
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "apiVersion: trustkit.dev/v1alpha1\nkind: VerificationPolicy\nmetadata: {name: ours}\nspec:\n"
        "  authorities:\n"
        f"  - {{name: ml, roles: [author], certificate: {{roots: {{file: {signing / 'roots.pem'}}}}}}}\n"
    )
    sign()
    ran = cli("verify", plain, "--policy", policy)
    said = "believes whoever its roots certified, here 'email:ml@example.com'; "
    assert ran.status == 0
    assert ran.err == (
        f"trustkit: warning: the authority 'ml' of the policy has no identities and {said}"
        "list in it whom you expect\n"
    )
    policy.write_text(policy.read_text().replace("roots:", "identities: ['email:ml@example.com'], roots:"))
    ran = cli("verify", plain, "--policy", policy)
    assert (ran.status, ran.err) == (0, "")


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("--identity", "cn:ml", "--key", "ml.pem"), 2, "bad-arguments"),
        (("--ca", "roots.pem", "--key", "ml.pem"), 2, "bad-arguments"),
        (("--ca", "roots.pem", "--policy", "ml.pem"), 2, "bad-arguments"),
        (("--ca", "ml.pem"), 2, "private-key-given"),
        (("--ca", "none.pem"), 2, "no-such-file"),
        (("--ca", "junk"), 3, "bad-certificate"),
        (("--ca", "chain.pem"), 0, ""),
        (("--ca", "server.crt"), 1, "certificate-untrusted"),
        (("--policy", "roots.pem"), 2, "bad-policy"),
        ((), 2, "no-authority"),
    ],
)
def test_whom_to_believe_is_said_once(cli, sign, signing, plain, words, status, code):
    (signing / "junk").write_bytes(b"junk")
    sign()
    named = [signing / word if "." in word or word == "junk" else word for word in words]
    ran = cli("verify", plain, *named)
    assert ran.status == status, ran.err
    assert status == 0 or ran.code == code


def test_a_bare_key_verifies_what_a_certificate_signed(cli, sign, signing, plain, world, tmp_path):
    sign()
    (tmp_path / "ml.pub").write_text(cli("key", "public", signing / "ml.pem").out)
    assert cli("verify", plain, "--key", tmp_path / "ml.pub").status == 0
    ran = cli("verify", plain, "--key", world.public(world.author))
    assert (ran.status, ran.code) == (1, "unsupported-material")


def test_certificates_that_cannot_sign(cli, sign, signing, plain):
    ran = sign(key="server.pem", certificate="server.crt")
    assert (ran.status, ran.code) == (1, "certificate-not-for-signing")
    ran = sign(key="server.pem", certificate="ml.crt")
    assert (ran.status, ran.code) == (2, "certificate-key-mismatch")
    ran = cli("sign", plain, "--key", signing / "ml.pem", "--chain", signing / "chain.pem")
    assert (ran.status, ran.code) == (2, "bad-arguments")
    ran = sign("--bundle", signing / "chain.pem", "--overwrite")
    assert (ran.status, ran.code) == (2, "output-is-input")
    assert not list(plain.glob("*.sig"))


def test_a_policy_of_certificates(cli, sign, signing, plain, tmp_path):
    (tmp_path / "roots.pem").write_bytes((signing / "roots.pem").read_bytes())
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "apiVersion: trustkit.dev/v1alpha1\nkind: VerificationPolicy\nmetadata: {name: ours}\nspec:\n"
        "  authorities:\n"
        "  - name: ml\n    roles: [author]\n    certificate:\n"
        "      roots: {file: roots.pem}\n      identities: ['email:ml@example.com']\n"
        "  - name: anybody\n    roles: [publisher]\n    certificate: {roots: {file: roots.pem}}\n"
    )
    sign()
    document = cli("verify", plain, "--policy", policy, "--json").document
    assert document["signer"]["authority"] == "ml"
    shown = cli("policy", "check", policy)
    assert "ml (email:ml@example.com, certified under sha256:" in shown.out
    assert "anybody (anybody, certified under sha256:" in shown.out
    [one, other] = cli("policy", "check", policy, "--json").document["authorities"]
    assert (one["kind"], one["identities"], len(one["roots"])) == ("certificate", ["email:ml@example.com"], 1)
    assert other["identities"] == []


def test_inspecting_what_certificates_claim(cli, sign, signing, plain):
    sign()
    ran = cli("inspect", plain / "model.sig")
    assert "UNVERIFIED" in ran.err + ran.out
    fingerprint = cli("inspect", signing / "ml.crt", "--json").document["certificates"][0]["key_fingerprint"]
    assert f"email:ml@example.com, cn:ml; key {fingerprint}; issued by CN=between; from 2" in ran.out
    assert fingerprint in cli("verify", plain, "--ca", signing / "roots.pem").out
    [leaf, between] = cli("inspect", plain / "model.sig", "--json").document["certificates"]
    assert leaf["identities"] == ["email:ml@example.com", "cn:ml"]
    assert (between["subject"], between["identities"]) == ("CN=between", ["cn:between"])
    document = cli("inspect", signing / "chain.pem", "--json").document
    assert (document["kind"], document["verified"]) == ("certificates", False)
    assert document["certificates"] == [between]


# -- a second signature --------------------------------------------------------------------------------


def test_adding_a_signature(cli, model, world):
    before = json.loads((model / "model.sig").read_bytes())
    ran = cli("sign", model, "--key", world.stranger, "--add", "--json")
    assert ran.status == 0
    assert ran.document["signer"]["identity"] is None
    after = json.loads((model / "model.sig").read_bytes())
    assert after["dsseEnvelope"]["signatures"][0] == before["dsseEnvelope"]["signatures"][0]
    for key in (world.author, world.stranger):
        assert cli("verify", model, "--key", world.public(key)).status == 0


def test_adding_a_signature_twice_says_what_is_there_and_what_to_do(cli, model, world):
    assert cli("sign", model, "--key", world.stranger, "--add").status == 0
    once = (model / "model.sig").read_bytes()
    ran = cli("sign", model, "--key", world.stranger, "--add", "--json")
    assert (ran.status, ran.code) == (2, "already-signed")
    signer = cli("verify", model, "--key", world.public(world.stranger), "--json").document["signer"]
    said = {"bundle": str(model / "model.sig"), "fingerprint": signer["fingerprint"]}
    assert ran.document["evidence"] == said
    assert f"this key has signed {said['bundle']!r} already, and it was left as it is" in ran.err
    assert "sign anew with --overwrite, without --add" in ran.err
    assert (model / "model.sig").read_bytes() == once


def test_who_adds_is_warned_of_what_is_left_out(cli, model, world):
    (model / "cache").write_bytes(b"x")
    assert cli("sign", model, "--key", world.author, "--ignore", "cache", "--overwrite").status == 0
    ran = cli("sign", model, "--key", world.stranger, "--add")
    assert ran.status == 0
    assert "leaves out 'cache'" in ran.err


def test_neither_a_certified_author_nor_his_root_is_a_recipient(cli, model, signing, world, tmp_path):
    roots = {"pem": (signing / "roots.pem").read_text()}
    authorities = [
        {"name": "corp", "roles": ["author"], "certificate": {"roots": roots}},
        {"name": "pub", "roles": ["publisher"], "key": {"pem": world.public(world.publisher).read_text()}},
    ]
    document = {
        "apiVersion": "trustkit.dev/v1alpha1",
        "kind": "VerificationPolicy",
        "metadata": {"name": "p"},
        "spec": {"authorities": authorities, "lines": ["acme/x"]},
    }
    (tmp_path / "policy.json").write_text(json.dumps(document))
    words = ("sign", model, "--key", signing / "ml.pem", "--certificate", signing / "ml.crt", "--overwrite")
    assert cli(*words, "--chain", signing / "chain.pem").status == 0
    public, certifies = tmp_path / "ml.pub", tmp_path / "root.pub"
    public.write_text(cli("key", "public", signing / "ml.pem").out)
    certifies.write_text(cli("key", "public", signing / "root.key").out)
    for recipient, status in ((public, 2), (certifies, 2), (world.public(world.opener), 0)):
        ran = cli(
            *("seal", model, "--key", world.publisher, "--recipient", recipient),
            *("--policy", tmp_path / "policy.json", "--line", "acme/x", "--version", "1"),
            *("--output", tmp_path / "sealed"),
        )
        assert ran.status == status, ran.err
        assert ran.err.endswith("[recipient-signs]\n") or not status
        assert (tmp_path / "sealed").exists() == (status == 0)
    ran = cli(
        *("rewrap", tmp_path / "sealed", "--opener", world.opener, "--add", public),
        *("--policy", tmp_path / "policy.json"),
    )
    assert (ran.status, ran.code) == (2, "recipient-signs")
    ran = cli(
        *("open", tmp_path / "sealed", "--opener", world.opener, "--output", tmp_path / "opened"),
        *("--policy", tmp_path / "policy.json"),
    )
    assert ran.status == 0
    assert "warning: the authority 'corp' of the policy has no identities and believes whoever" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ("--method", "shards"),
        ("--hash", "blake3"),
        ("--ignore", "x"),
        ("--allow-symlinks",),
        ("--overwrite",),
    ],
)
def test_what_a_bundle_says_is_not_said_again(cli, model, world, words):
    ran = cli("sign", model, "--key", world.stranger, "--add", *words)
    assert (ran.status, ran.code) == (2, "bad-arguments")
    assert words[0] in ran.err


def test_a_certificate_cannot_be_added(cli, model, signing):
    ran = cli("sign", model, "--key", signing / "ml.pem", "--certificate", signing / "ml.crt", "--add")
    assert (ran.status, ran.code) == (2, "certificate-not-first")


def test_a_changed_model_gets_no_second_signature(cli, model, world):
    (model / "weights.bin").write_bytes(b"other")
    ran = cli("sign", model, "--key", world.stranger, "--add")
    assert (ran.status, ran.code) == (1, "digest-mismatch")
    workflows.sign(model, load_signer(world.author, passphrase=None), overwrite=True)
    assert cli("sign", model, "--key", world.stranger, "--add").status == 0


def test_what_a_library_warns_of_is_not_printed(program, sign, signing, plain):
    """A country of two letters is the library's wish; strangers write nothing to a terminal."""
    sign()
    bundle = plain / "model.sig"
    value = json.loads(bundle.read_bytes())
    for certificate in value["verificationMaterial"]["x509CertificateChain"]["certificates"]:
        raw = base64.b64decode(certificate["rawBytes"])
        odd = raw.replace(bytes.fromhex("0603550403"), bytes.fromhex("0603550406"))
        certificate["rawBytes"] = base64.b64encode(odd).decode()
    bundle.write_text(json.dumps(value))
    ran = program("verify", plain, "--ca", signing / "roots.pem")
    assert (ran.status, ran.code) == (1, "certificate-untrusted")
    assert "Attribute" not in ran.err + program("inspect", bundle).err


@pytest.mark.parametrize(
    "program",
    [
        "admission.main",
        "trustkit.broker.main",
        "trustkit.cli.main",
        "trustkit.compat.model_signing.main",
        "trustkit.sidecar.main",
        "trustkit.store.main",
    ],
)
def test_every_program_says_once_who_sees_warnings(monkeypatch, program):
    """The last filter, so that an operator's own come first."""
    module = importlib.import_module(program)
    monkeypatch.setattr(module, "sys", types.SimpleNamespace(argv=["it"], exit=lambda _status: None))
    monkeypatch.setattr(module, "main", lambda *_arguments: 0)
    if program == "trustkit.cli.main":
        for name in ("_heed_signals", "_occupy_streams"):
            monkeypatch.setattr(module, name, lambda: None)
        monkeypatch.setattr(module, "_attend", lambda *_arguments: 0)
        monkeypatch.setattr(module, "_settled", lambda status: status)
    with warnings.catch_warnings():
        module.run()
        assert warnings.filters[-1][:3] == ("ignore", None, UserWarning)


def test_a_key_that_stands_for_no_certificate_is_told_which_flags_do(cli, world, sign, plain, tmp_path):
    assert sign().status == 0
    (tmp_path / "pod.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n"
        "  - {name: a, image: vllm/vllm-openai, args: [--model, trust://s/m]}\n"
    )
    key = world.public(world.author)
    ran = cli("pin", tmp_path / "pod.yaml", "--from", f"trust://s/m={plain}", "--key", key)
    assert (ran.status, ran.code) == (1, "unsupported-material")
    assert "give that key, or --policy with an authority of certificates" in ran.err
    assert "--ca" not in ran.err
    ran = cli("verify", plain, "--key", key)
    assert ran.code == "unsupported-material"
    assert "give that key, or --ca with its roots and --identity, or --policy" in ran.err


def test_the_key_of_a_certificate_is_enough(cli, sign, signing, plain, tmp_path):
    assert sign().status == 0
    public = tmp_path / "ml.pub"
    public.write_text(cli("key", "public", signing / "ml.pem").out)
    assert cli("verify", plain, "--key", public).status == 0


def test_who_signed_with_a_certificate_has_to_come_first_again(cli, world, sign, plain):
    assert sign().status == 0
    ran = cli("sign", plain, "--key", world.author, "--overwrite")
    assert ran.status == 0
    assert "1 signature of another key went with the replaced bundle; one with a certificate" in ran.err
    ran = sign("--add")
    assert (ran.status, ran.code) == (2, "certificate-not-first")


def test_roots_that_no_bare_key_leads_to_are_told_the_other_flag(cli, world, signing):
    ran = cli("verify", world.model, "--ca", signing / "roots.pem")
    assert ran.code == "unsupported-material"
    assert "name the key with --key" in ran.err
