"""Certificates, both ways with model-signing 1.1.1, and its defects around them (each shown in it).

The reference runs as a process of its own, as in `test_reference_interop.py`.
"""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

from trustkit.errors import VerificationError
from trustkit.signing.certificate import certified
from trustkit.signing.key import generate_key, load_signer
from trustkit.verifying.policy import policy_from_keys, policy_from_roots
from trustkit.workflows import add_signature, sign, verify

PYTHON = Path(__file__).parents[2] / ".venv-reference/bin/python"
NOW = float(int(time.time()))

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not PYTHON.exists(), reason="there is no .venv-reference; `make test` builds it"),
]


@pytest.fixture(scope="module")
def cli():
    """Call the reference's command line in an empty environment."""

    def run(*arguments):
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
        command = [str(PYTHON), "-m", "model_signing", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=60, check=False
        )

    return run


class Party:
    """A root, an intermediate, and a signer's key and certificate below it, in files."""

    def __init__(self, forger, folder, **leaf):
        root = forger.Issuer(NOW, name="root", uris=())
        between = forger.Issuer(NOW, name="intermediate-ca", parent=root, uris=())
        # OpenSSL takes a leaf of its issuer's name for self-signed unless key identifiers tell them apart.
        key = ec.generate_private_key(ec.SECP256R1())
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        leaf = {"uris": (), "emails": ("ml@example.com",), "extended": (Usage.CODE_SIGNING,), **leaf}
        certificate, _ = between.leaf(key=key, extensions=((identifier, False),), **leaf)
        self.root, self.policy = root, policy_from_roots(root.pem)
        self.pems = forger.pem(certificate), between.pem
        self.files = {}
        for name, raw in {
            "root": root.pem,
            "chain": between.pem,
            "leaf": self.pems[0],
            "key": forger.key_pem(key),
        }.items():
            (folder / f"{name}.pem").write_bytes(raw)
            self.files[name] = folder / f"{name}.pem"

    def signer(self):
        key = load_signer(self.files["key"], passphrase=None)
        return certified(key, *self.pems)

    def signs_there(self, cli, model, bundle):
        done = cli(
            *("sign", "certificate", model, "--signature", bundle, "--private_key", self.files["key"]),
            *("--signing_certificate", self.files["leaf"], "--certificate_chain", self.files["chain"]),
        )
        assert done.returncode == 0, done.stderr

    def verifies_there(self, cli, model, bundle):
        return cli(
            *("verify", "certificate", model, "--signature", bundle),
            *("--certificate_chain", self.files["root"]),
        ).returncode


@pytest.fixture
def party(forger, tmp_path):
    def make(**leaf):
        folder = tmp_path / f"party{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return Party(forger, folder, **leaf)

    return make


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "a").mkdir(parents=True)
    for name in ("a/b", "a-b", "a.b"):
        (folder / name).write_bytes(name.encode())
    return folder


def refused(code, model, policy, **how):
    with pytest.raises(VerificationError) as caught:
        verify(model, policy, **how)
    assert caught.value.code == code


@pytest.mark.parametrize("ca", [False, True])
def test_its_command_line_verifies_what_we_sign(cli, party, model, ca):
    ours = party(ca=ca, subject="intermediate-ca")
    made = sign(model, ours.signer()).bundle
    assert ours.verifies_there(cli, model, made) == 0
    assert party().verifies_there(cli, model, made) == 1
    (model / "a.b").write_bytes(b"changed")
    assert ours.verifies_there(cli, model, made) == 1


@pytest.mark.parametrize("ca", [False, True])
def test_we_verify_what_its_command_line_signs(cli, party, model, ca):
    """Also where the leaf is a CA and bears its issuer's name, as in its own fixtures."""
    theirs = party(ca=ca, subject="intermediate-ca")
    theirs.signs_there(cli, model, model / "model.sig")
    verified = verify(model, theirs.policy)
    [signer] = verified.signed.signers
    assert signer.identity == "email:ml@example.com"
    assert len(verified.files) == 3
    verified.close()
    refused("certificate-untrusted", model, party().policy)
    (model / "a.b").write_bytes(b"changed")
    refused("digest-mismatch", model, theirs.policy)


def test_a_signature_that_we_add_keeps_its_verification_whole(cli, party, model, tmp_path):
    theirs = party()
    theirs.signs_there(cli, model, model / "model.sig")
    private, public = generate_key("p256", passphrase=None)
    (tmp_path / "second.pem").write_bytes(private)
    before = json.loads((model / "model.sig").read_bytes())
    add_signature(model, load_signer(tmp_path / "second.pem", passphrase=None))
    after = json.loads((model / "model.sig").read_bytes())
    assert after["dsseEnvelope"]["signatures"][:1] == before["dsseEnvelope"]["signatures"]
    assert after["verificationMaterial"] == before["verificationMaterial"]
    assert theirs.verifies_there(cli, model, model / "model.sig") == 0, "it looks at the first signature"
    for policy in (theirs.policy, policy_from_keys(public)):
        verify(model, policy).close()


def test_defect_5_an_expired_certificate_signs_and_verifies_there(cli, party, model):
    late = party(not_after=-60)
    late.signs_there(cli, model, model / "model.sig")
    assert late.verifies_there(cli, model, model / "model.sig") == 0
    refused("certificate-expired", model, late.policy)
    verify(model, late.policy, now=lambda: NOW - 120).close()
    with pytest.raises(VerificationError) as caught:
        sign(model, late.signer(), overwrite=True)
    assert caught.value.code == "certificate-expired"


def test_defect_5_a_tls_server_signs_models_there(cli, party, model):
    server = party(dns=("host.example",), emails=(), extended=(Usage.SERVER_AUTH,))
    server.signs_there(cli, model, model / "model.sig")
    assert server.verifies_there(cli, model, model / "model.sig") == 0
    refused("certificate-not-for-signing", model, server.policy)


def test_defect_5_there_is_no_identity_there(cli, party, model):
    somebody = party()
    somebody.signs_there(cli, model, model / "model.sig")
    policy = policy_from_roots(somebody.root.pem, ["email:boss@example.com"])
    refused("identity-mismatch", model, policy)
    verify(model, policy_from_roots(somebody.root.pem, ["email:ml@example.com"])).close()
