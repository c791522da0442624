"""Signing and verifying through the reference's interface, and where it is stricter than the reference."""

import hashlib
import importlib.util
import json
import logging
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from trustkit.compat.model_signing import hashing, signing, verifying

LOG = "trustkit.compat.model_signing"


def signer(**how):
    return signing.Config().use_elliptic_key_signer(private_key="key", **how)


def verifier():
    return verifying.Config().use_elliptic_key_verifier(public_key="key.pub")


@pytest.fixture
def signed(place):
    signer().sign("model", "out.sig")
    return place


def test_sign_again_and_verify_again(signed):
    config = signer()
    before = (signed / "out.sig").read_bytes()
    assert config.sign("model", b"out.sig") is None
    assert (signed / "out.sig").read_bytes() != before, "an older signature is replaced"
    assert verifier().verify(Path("model"), "out.sig") is None
    assert verifier().verify(b"model", b"out.sig") is None


@pytest.mark.parametrize("password", ["secret", b"secret"])
def test_encrypted_keys(place, password, refused):
    config = signing.Config().use_elliptic_key_signer(private_key="locked", password=password)
    config.sign("model.bin", "out.sig")
    verifying.Config().use_elliptic_key_verifier(public_key="locked.pub").verify("model.bin", "out.sig")
    with refused("wrong-passphrase"):
        signing.Config().use_elliptic_key_signer(private_key="locked", password="wrong")
    with refused("passphrase-needed"):
        signing.Config().use_elliptic_key_signer(private_key="locked")
    with refused("passphrase-unused"):
        signer(password="secret")


@pytest.mark.parametrize(
    "how",
    [
        hashing.Config().use_shard_serialization(shard_size=10),
        hashing.Config().use_file_serialization(hashing_algorithm="blake2"),
        hashing.Config().use_file_serialization(hashing_algorithm="blake3"),
    ],
)
def test_the_signature_says_how_to_verify_whatever_the_configuration_says(place, how):
    signer().set_hashing_config(how).sign("model", "out.sig")
    for config in (None, how, hashing.Config(), hashing.Config().use_shard_serialization(shard_size=3)):
        check = verifier() if config is None else verifier().set_hashing_config(config)
        check.verify("model", "out.sig")


def test_links_are_followed_where_the_signature_says_so_and_only_there(place, refused):
    (place / "model/alias").symlink_to("a-b")
    signer().set_hashing_config(hashing.Config().set_allow_symlinks(True)).sign("model", "out.sig")
    verifier().verify("model", "out.sig")
    (place / "model/alias").unlink()
    signer().sign("model", "out.sig")
    (place / "model/alias").symlink_to("a-b")
    with refused("symlink"):
        verifier().set_hashing_config(hashing.Config().set_allow_symlinks(True)).verify("model", "out.sig")


def test_nothing_is_ignored_that_was_not_signed_as_ignored(signed, refused):
    (signed / "model/.git").mkdir()
    (signed / "model/.git/HEAD").write_text("ref")
    verifier().verify("model", "out.sig")  # recorded when signing, as the reference does
    never = hashing.Config().set_ignored_paths(paths=[".git"], ignore_git_paths=False)
    signer().set_hashing_config(never).sign("model", "out.sig")
    (signed / "model/.gitignore").write_text("*")
    with refused("unsigned-file"):
        verifier().verify("model", "out.sig")


def test_ignored_paths_may_hold_unsigned_files_and_hide_no_signed_one(signed, refused, caplog):
    (signed / "model/cache").mkdir()
    (signed / "model/cache/x").write_text("x")
    (signed / "model/cached").write_text("x")
    check = verifier().set_hashing_config(hashing.Config().set_ignored_paths(paths=["cache", "notes"]))
    with refused("unsigned-file") as caught:
        check.verify("model", "out.sig")
    assert caught.value.evidence["unsigned"] == ["cached"]
    (signed / "model/cached").unlink()
    with caplog.at_level(logging.INFO, LOG):
        check.verify("model", "out.sig")
    assert "not compared, signed by nobody, and tolerated: 'cache/x'" in caplog.messages
    (signed / "model/notes/README.md").write_text("changed")
    with refused("digest-mismatch"):
        check.verify("model", "out.sig")
    (signed / "model/notes/README.md").unlink()
    with refused("file-missing"):
        check.verify("model", "out.sig")


def test_more_unsigned_files_than_one_are_counted(signed, refused):
    (signed / "model/x").write_text("x")
    (signed / "model/y").write_text("y")
    check = verifier().set_hashing_config(hashing.Config().set_ignored_paths(paths=["cache"]))
    with refused("unsigned-file") as caught:
        check.verify("model", "out.sig")
    assert "'x' and 1 more" in str(caught.value)


def test_unsigned_files_are_tolerated_on_demand_also_with_shards(place, refused):
    signer().set_hashing_config(hashing.Config().use_shard_serialization(shard_size=10)).sign(
        "model", "o.sig"
    )
    (place / "model/extra").write_text("x")
    with refused("unsigned-file"):
        verifier().verify("model", "o.sig")
    verifier().set_ignore_unsigned_files(True).verify("model", "o.sig")
    with refused("unsigned-file"):
        verifier().set_ignore_unsigned_files(True).set_ignore_unsigned_files(False).verify("model", "o.sig")


def test_no_call_changes_the_configuration_of_the_next(place, refused):
    """The reference adds the ignore list of one signature to the configuration of the next (#650)."""
    shared = hashing.Config()
    left_out = hashing.Config().set_ignored_paths(paths=["notes"])
    signer().set_hashing_config(left_out).sign("model", "part.sig")
    check = verifier().set_hashing_config(shared)
    check.verify("model", "part.sig")
    signer().sign("model", "whole.sig")
    (place / "model/notes/README.md").write_text("changed")
    with refused("digest-mismatch"):
        check.verify("model", "whole.sig")


def test_nothing_but_a_signature_is_replaced(place, refused):
    for output, code in (
        ("key", "output-is-input"),
        ("model/a-b", "not-replaceable"),
        ("other", "not-replaceable"),
    ):
        before = (place / output).read_bytes()
        with refused(code):
            signer().sign("model", output)
        assert (place / output).read_bytes() == before


def test_a_key_inside_the_model_is_not_published(place, refused):
    (place / "model/key").write_bytes((place / "key").read_bytes())
    config = signing.Config().use_elliptic_key_signer(private_key="model/key")
    with refused("key-inside-model"):
        config.sign("model", "out.sig")
    config.set_hashing_config(hashing.Config().set_ignored_paths(paths=["key"])).sign("model", "out.sig")


def test_somebody_else_and_nobody(signed, refused):
    with refused("wrong-signer"):
        verifying.Config().use_elliptic_key_verifier(public_key="other.pub").verify("model", "out.sig")
    with refused("no-authority"):
        verifying.Config().verify("model", "out.sig")
    with refused("no-such-file", FileNotFoundError):
        verifier().verify("model", "gone.sig")
    with refused("no-such-path", FileNotFoundError):
        verifier().verify("gone", "out.sig")
    with refused("private-key-given"):
        verifying.Config().use_elliptic_key_verifier(public_key="key")
    with refused("no-such-file", FileNotFoundError):
        signing.Config().use_elliptic_key_signer(private_key="gone")


def test_what_is_not_built_is_refused_at_once(place, refused):
    for call in (
        lambda: signing.sign("model", "out.sig"),
        lambda: signing.Config().sign("model", "out.sig"),
        lambda: signing.Config().use_sigstore_signer(identity_token="x", use_staging=True),
        lambda: signing.Config().use_pkcs11_signer(pkcs11_uri="pkcs11:x"),
        lambda: signing.Config().use_pkcs11_certificate_signer(
            pkcs11_uri="x", signing_certificate="x", certificate_chain=[]
        ),
        lambda: verifying.Config().use_sigstore_verifier(identity="x", oidc_issuer="y"),
    ):
        with refused("unsupported-method") as caught:
            call()
        assert "use_elliptic_key_signer" in str(caught.value)
    assert not (place / "out.sig").exists()


def test_warnings_go_to_the_log(place, caplog):
    config = hashing.Config().use_shard_serialization(shard_size=10).set_ignored_paths(paths=["gone"])
    signer().set_hashing_config(config).sign("model", "out.sig")
    assert any("model-signing 1.1 verifies shards" in text for text in caplog.messages)
    assert any("no 'gone' to ignore" in text for text in caplog.messages)


# -- certificates --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forge():
    """The certificate forger, loaded by its path: test folders are no packages."""
    path = Path(__file__).parents[2] / "simulators/certificates.py"
    spec = importlib.util.spec_from_file_location("trustkit_tests_certificates", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def chain(forge, place):
    """Write a root, an intermediate, and leaves by kind; returns a function that signs with one of them."""
    root = forge.Issuer(time.time())
    middle = forge.Issuer(time.time(), parent=root, name="middle")
    (place / "root.crt").write_bytes(root.pem)
    (place / "middle.crt").write_bytes(middle.pem)
    code = (ExtendedKeyUsageOID.CODE_SIGNING,)
    for name, how in {
        "leaf": {"extended": code},
        "expired": {"extended": code, "not_before": -7200, "not_after": -3600},
        "server": {"extended": (ExtendedKeyUsageOID.SERVER_AUTH,)},
    }.items():
        leaf, key = middle.leaf(**how)
        (place / f"{name}.crt").write_bytes(forge.pem(leaf))
        (place / f"{name}.key").write_bytes(forge.key_pem(key))

    def sign(name="leaf", certificates=("middle.crt",)):
        config = signing.Config().use_certificate_signer(
            private_key=f"{name}.key", signing_certificate=f"{name}.crt", certificate_chain=certificates
        )
        config.sign("model", "out.sig")

    return sign


def believing(*roots, **how):
    return verifying.Config().use_certificate_verifier(certificate_chain=roots, **how)


def test_certificates(chain, place, refused):
    chain()
    believing("root.crt").verify("model", "out.sig")
    believing(b"middle.crt", "root.crt").verify("model", "out.sig")
    (place / "model/a-b").write_text("changed")
    with refused("digest-mismatch"):
        believing("root.crt").verify("model", "out.sig")


def test_nobody_is_believed_by_default(chain, refused):
    """The reference takes the roots of the web."""
    for call in (lambda: verifying.Config().use_certificate_verifier(), lambda: believing(*[])):
        with refused("no-authority"):
            call()


@pytest.mark.parametrize(
    ("name", "code"), [("expired", "certificate-expired"), ("server", "certificate-not-for-signing")]
)
def test_certificates_that_the_reference_takes(chain, place, name, code, refused):
    with refused(code):
        chain(name)
    assert not (place / "out.sig").exists()


def test_certificates_that_lead_elsewhere(chain, forge, place, refused):
    chain(certificates=[])
    with refused("certificate-untrusted"):
        believing("root.crt").verify("model", "out.sig")
    (place / "other.crt").write_bytes(forge.Issuer(time.time()).pem)
    chain()
    with refused("certificate-untrusted"):
        believing("other.crt").verify("model", "out.sig")
    with refused("certificate-key-mismatch"):
        signing.Config().use_certificate_signer(private_key="key", signing_certificate="leaf.crt")
    with refused("private-key-given"):
        believing("leaf.key")
    with refused("no-such-file", FileNotFoundError):
        believing("gone.crt")


def test_fingerprints_are_logged_on_demand(chain, place, caplog):
    chain()
    caplog.set_level(logging.INFO, LOG)
    believing("root.crt").verify("model", "out.sig")
    assert caplog.messages == []
    believing("root.crt", log_fingerprints=True).verify("model", "out.sig")
    pem = (place / "leaf.crt").read_bytes()
    der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
    leaf = f"sha256:{hashlib.sha256(der).hexdigest()}"
    assert [text.split(": ", 1)[0] for text in caplog.messages] == [
        "root, believed",
        "in the signature, not yet verified",
        "in the signature, not yet verified",
    ]
    assert caplog.messages[1].endswith(leaf)


def test_fingerprints_of_a_signature_by_a_key_are_none(chain, place, caplog, refused):
    signer().sign("model", "out.sig")
    caplog.set_level(logging.INFO, LOG)
    with refused("unsupported-material"):
        believing("root.crt", log_fingerprints=True).verify("model", "out.sig")
    assert len(caplog.messages) == 1
    caplog.clear()
    again = believing("root.crt", log_fingerprints=True).use_elliptic_key_verifier(public_key="key.pub")
    again.verify("model", "out.sig")
    assert caplog.messages == []


def test_the_material_is_that_of_the_reference(chain, place):
    chain()
    material = json.loads((place / "out.sig").read_bytes())["verificationMaterial"]
    assert len(material["x509CertificateChain"]["certificates"]) == 2
    assert material["tlogEntries"] == []
