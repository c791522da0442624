"""A second signature: over the same payload, only on what it describes, and nothing there is lost."""

import errno
import fcntl
import json
import os
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from trustkit import workflows
from trustkit.errors import FormatError, LimitError, UnavailableError, UsageError, VerificationError
from trustkit.signing.certificate import certified
from trustkit.signing.key import LocalSigner, generate_key, load_signer
from trustkit.storage import held
from trustkit.verifying.policy import parse_policy, policy_from_keys, policy_from_roots
from trustkit.workflows import adding
from trustkit.workflows.bundled import write_bundle

WRITTEN = Path(__file__).parents[2] / "vectors/oms/written"

NOW = float(int(time.time()))


@pytest.fixture(scope="module")
def both(keys):
    """A policy that asks for author and stranger."""
    entries = [
        {"name": name, "roles": ["author"], "key": {"file": f"{name}.pub"}} for name in ("author", "stranger")
    ]
    document = {
        "apiVersion": "trustkit.dev/v1alpha1",
        "kind": "VerificationPolicy",
        "metadata": {"name": "both"},
        "spec": {"authorities": entries, "threshold": 2},
    }
    return parse_policy(json.dumps(document).encode(), read_file=lambda name: (keys / name).read_bytes())


def parts(bundle):
    document = json.loads(bundle.read_bytes())
    return document.pop("dsseEnvelope"), document


def test_two_signers_reach_a_threshold_of_two(signed, stranger, both, refused, policy):
    with refused(VerificationError, "below-threshold"):
        workflows.verify(signed, both)
    (before, material) = parts(signed / "model.sig")
    made = workflows.add_signature(signed, stranger)
    (after, still) = parts(signed / "model.sig")
    assert after["payload"] == before["payload"]
    assert after["signatures"][:1] == before["signatures"]
    assert len(after["signatures"]) == 2
    assert still == material
    with workflows_closing(workflows.verify(signed, both)) as verified:
        assert [signer.authority for signer in verified.signed.signers] == ["author", "stranger"]
        assert verified.signed.manifest_digest == made.manifest.manifest_digest
        assert (made.bundle, made.bytes) == (signed / "model.sig", verified.bytes)
    workflows.verify(signed, policy).close()


def workflows_closing(verified):
    from contextlib import closing

    return closing(verified)


def test_a_single_file_and_a_bundle_elsewhere(tmp_path, signer, stranger, both):
    model, bundle = tmp_path / "m.gguf", tmp_path / "m.bundle"
    model.write_bytes(b"weights")
    workflows.sign(model, signer, bundle=bundle)
    workflows.add_signature(model, stranger, bundle=bundle)
    workflows.verify(model, both, bundle=bundle).close()


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (lambda model: (model / "config.json").write_bytes(b"other"), "digest-mismatch"),
        (lambda model: (model / "config.json").unlink(), "file-missing"),
        (lambda model: (model / "more").write_bytes(b"x"), "unsigned-file"),
    ],
)
def test_what_the_payload_does_not_describe_is_not_signed(signed, stranger, refused, picture, harm, code):
    harm(signed)
    before = picture(signed)
    with refused(VerificationError, code) as caught:
        workflows.add_signature(signed, stranger)
    assert "sign it anew with --overwrite, without --add" in caught.value.message
    assert picture(signed) == before


def test_one_signer_signs_once(signed, signer, refused, picture):
    before = picture(signed)
    with refused(UsageError, "already-signed"):
        workflows.add_signature(signed, signer)
    assert picture(signed) == before


def test_nothing_to_add_to(model, stranger, refused, tmp_path):
    with refused(VerificationError, "unsigned"):
        workflows.add_signature(model, stranger)
    with refused(UsageError, "no-such-file"):
        workflows.add_signature(model, stranger, bundle=tmp_path / "none")
    (model / "model.sig").write_bytes(b"no bundle")
    with refused(UsageError, "not-replaceable"):
        workflows.add_signature(model, stranger)
    assert (model / "model.sig").read_bytes() == b"no bundle"


def test_a_payload_that_is_no_manifest_is_not_signed(model, signer, stranger, refused):
    from trustkit.attest.statement import Statement, Subject
    from trustkit.workflows import signed_statement

    statement = Statement((Subject("x", {"sha256": "ab" * 32}),), "https://example.com/x", {})
    (model / "model.sig").write_bytes(signed_statement(statement, signer))
    with refused(VerificationError, "wrong-predicate-type"):
        workflows.add_signature(model, stranger)


def test_the_key_is_neither_the_bundle_nor_inside_the_model(signed, stranger, keys, refused, picture):
    before = picture(signed)
    with refused(UsageError, "output-is-input"):
        workflows.add_signature(signed, stranger, inputs=[signed / "model.sig"])
    with refused(UsageError, "key-inside-model"):
        workflows.add_signature(signed, stranger, inputs=[signed / "config.json"])
    assert picture(signed) == before


def test_a_bundle_that_somebody_else_wrote_meanwhile_is_kept(signed, stranger, signer, refused):
    other = load_signer_of("p256")

    def progress(*_):
        nonlocal done
        if not done:
            done = True
            workflows.add_signature(signed, other)

    done = False
    with refused(VerificationError, "file-changed"):
        workflows.add_signature(signed, stranger, progress=progress)
    workflows.verify(signed, policy_from_keys(other.public_pem())).close()


@pytest.fixture
def while_written(monkeypatch):
    """Have somebody else at work after everything was compared, while the new bundle is being written."""

    def arrange(rival):
        sync = os.fsync

        def synced(descriptor):
            monkeypatch.setattr(os, "fsync", sync)
            rival()
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", synced)

    return arrange


def count(bundle):
    return len(parts(bundle)[0]["signatures"])


def test_of_two_that_add_at_once_none_is_lost(signed, stranger, refused, while_written):
    def rival():
        with refused(UnavailableError, "folder-held"):
            workflows.add_signature(signed, load_signer_of("p256"), pause=lambda _: None)

    while_written(rival)
    workflows.add_signature(signed, stranger)
    assert count(signed / "model.sig") == 2


def test_who_signs_over_it_waits_too(signed, signer, stranger, refused, while_written, monkeypatch):
    monkeypatch.setattr(held, "_TRIES", 1)

    def rival():
        with refused(UnavailableError, "folder-held"):
            workflows.sign(signed, signer, overwrite=True)

    while_written(rival)
    workflows.add_signature(signed, stranger)
    assert count(signed / "model.sig") == 2


def test_who_signs_over_it_is_told_how_many_are_lost(signed, signer, stranger):
    third = load_signer_of("p256")
    for one in (stranger, third):
        workflows.add_signature(signed, one)
    bundle = (signed / "model.sig").read_bytes()
    [told] = workflows.sign(signed, signer, overwrite=True).warnings
    assert told.startswith("2 signatures of other keys went")
    (signed / "model.sig").write_bytes(bundle)
    [told] = workflows.sign(signed, third, overwrite=True).warnings
    assert told.startswith("up to 3 signatures of other keys went")
    assert workflows.sign(signed, third, overwrite=True).warnings == ()


def test_who_signs_over_it_is_told_of_one_that_came_meanwhile(signed, signer, stranger):
    rivals = [stranger]

    def meanwhile(_):
        if rivals:
            workflows.add_signature(signed, rivals.pop())

    [told] = workflows.sign(signed, signer, overwrite=True, workers=1, progress=meanwhile).warnings
    assert told.startswith("1 signature of another key went")


def test_who_waits_to_sign_over_it_is_told_of_one_that_came_while_he_waited(signed, signer, stranger):
    ours = (signed / "model.sig").read_bytes()
    with ExitStack() as rival:
        rival.enter_context(held.hold(signed))

        def meanwhile(_):
            rival.close()
            workflows.add_signature(signed, stranger)

        [told] = write_bundle(signed / "model.sig", ours, signer=signer, overwrite=True, pause=meanwhile)
    assert told.startswith("1 signature of another key went")
    assert (signed / "model.sig").read_bytes() == ours


def test_of_a_first_signature_and_of_what_cannot_be_read_nothing_is_said(signed, signer):
    document = json.loads((signed / "model.sig").read_bytes())
    chain = {"x509CertificateChain": {"certificates": [{"rawBytes": "QUJD"}]}}
    (signed / "model.sig").write_text(json.dumps({**document, "verificationMaterial": chain}))
    assert workflows.sign(signed, signer, overwrite=True).warnings == ()
    (signed / "model.sig").unlink()
    assert workflows.sign(signed, signer, overwrite=True).warnings == ()


def test_without_locks_it_is_compared_again_at_the_last_moment(
    signed, stranger, refused, while_written, monkeypatch
):
    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    other = load_signer_of("p256")
    while_written(lambda: workflows.add_signature(signed, other))
    with refused(VerificationError, "file-changed"):
        workflows.add_signature(signed, stranger)
    assert count(signed / "model.sig") == 2
    workflows.verify(signed, policy_from_keys(other.public_pem())).close()


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664])
def test_the_bundle_keeps_its_permissions(signed, stranger, mode):
    (signed / "model.sig").chmod(mode)
    workflows.add_signature(signed, stranger)
    assert (signed / "model.sig").stat().st_mode & 0o777 == mode


def test_a_link_is_neither_followed_nor_replaced(model, signer, stranger, refused, tmp_path, while_written):
    real, link = tmp_path / "real.sig", tmp_path / "link.sig"
    workflows.sign(model, signer, bundle=real)
    link.symlink_to("real.sig")
    before = real.read_bytes()
    with refused(UsageError, "not-replaceable"):
        workflows.add_signature(model, stranger, bundle=link)
    assert (link.is_symlink(), real.read_bytes()) == (True, before)

    def swap():
        real.rename(tmp_path / "moved.sig")
        real.symlink_to("moved.sig")

    while_written(swap)
    with refused(UsageError, "not-replaceable"):
        workflows.add_signature(model, stranger, bundle=real)
    assert (real.is_symlink(), real.read_bytes()) == (True, before)


@pytest.mark.parametrize("name", ["model.claims.jsonl", ".gitignore"])
def test_what_verify_refuses_gets_no_signature(model, signer, stranger, policy, refused, picture, name):
    workflows.sign(model, signer, ignore=[name], bundle=model / "model.sig")
    (model / name).mkdir()
    (model / name / "hidden.py").write_bytes(b"x")
    before = picture(model)
    with refused(VerificationError, "unsigned-file"):
        workflows.verify(model, policy)
    with refused(VerificationError, "unsigned-file"):
        workflows.add_signature(model, stranger)
    assert picture(model) == before


def test_who_adds_is_told_what_the_first_one_left_out(model, signer, stranger):
    (model / "cache").mkdir()
    (model / "cache/code.py").write_bytes(b"x")
    (model / "model.claims.jsonl").write_bytes(b"")
    (model / "link").symlink_to("config.json")
    workflows.sign(model, signer, ignore=["cache", "absent"], allow_symlinks=True, bundle=model / "here.sig")
    assert workflows.add_signature(model, stranger, bundle=model / "here.sig").warnings == (
        "what you signed leaves out 'cache', which nobody signed",
        "what you signed allows links that stay inside the model",
    )


def test_a_long_list_is_cut_and_an_ordinary_one_says_nothing(model, signer, stranger):
    workflows.sign(model, signer)
    assert workflows.add_signature(model, stranger).warnings == ()
    names = [f"n{number:02}" for number in range(12)]
    for name in names:
        (model / name).write_bytes(b"x")
    workflows.sign(model, signer, ignore=names, overwrite=True)
    [warning] = workflows.add_signature(model, stranger).warnings
    assert "'n09' and 2 more" in warning
    assert "n10" not in warning


def test_nothing_is_added_to_the_work_of_0_2_0(model, stranger, refused, picture):
    (model / "model.sig").write_bytes((WRITTEN / "0.2.0-files.sig").read_bytes())
    before = picture(model)
    with refused(VerificationError, "wrong-predicate-type") as caught:
        workflows.add_signature(model, stranger)
    assert "sign anew" in caught.value.message
    assert picture(model) == before


def load_signer_of(curve):
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return LocalSigner(load_pem_private_key(generate_key(curve, passphrase=None)[0], None))


def test_a_disk_that_takes_nothing_loses_nothing(signed, stranger, refused, picture, monkeypatch):
    def full(*_, **__):
        raise UnavailableError("unwritable", "the disk is full")

    monkeypatch.setattr(adding, "write_held", full)
    before = picture(signed)
    with refused(UnavailableError, "unwritable"):
        workflows.add_signature(signed, stranger)
    assert picture(signed) == before


def test_a_signer_that_signs_with_another_key_is_found_out(signed, stranger, signer, refused, picture):
    class Confused:
        material, fingerprint, public_pem = stranger.material, stranger.fingerprint, stranger.public_pem
        sign = signer.sign

    before = picture(signed)
    with refused(VerificationError, "wrong-signer"):
        workflows.add_signature(signed, Confused())
    assert picture(signed) == before


# -- with certificates ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def root(forger):
    return forger.Issuer(NOW, name="root", uris=())


@pytest.fixture
def certificate_signer(forger, root):
    def make(**how):
        leaf, key = root.leaf(uris=(), emails=("ml@example.com",), extended=None, **how)
        return certified(LocalSigner(key), forger.pem(leaf))

    return make


def test_signed_with_a_certificate_and_verified_under_its_root(model, root, certificate_signer, refused):
    workflows.sign(model, certificate_signer())
    with workflows_closing(workflows.verify(model, policy_from_roots(root.pem))) as verified:
        [signer] = verified.signed.signers
        assert signer.identity == "email:ml@example.com"
    with refused(VerificationError, "certificate-expired"):
        workflows.verify(model, policy_from_roots(root.pem), now=lambda: NOW + 90_000)


def test_a_key_is_the_same_with_a_certificate_and_without(model, root, forger, signer):
    leaf, key = root.leaf(uris=(), emails=("ml@example.com",), extended=None)
    bare = LocalSigner(key)
    workflows.sign(model, certified(bare, forger.pem(leaf)))
    bundle = (model / "model.sig").read_bytes()
    assert workflows.sign(model, bare, overwrite=True).warnings == ()
    (model / "model.sig").write_bytes(bundle)
    [told] = workflows.sign(model, signer, overwrite=True).warnings
    assert told.startswith("1 signature of another key went")


def test_nobody_signs_what_nobody_could_verify(model, certificate_signer, refused, picture, forger):
    before = picture(model)
    with refused(VerificationError, "certificate-expired"):
        workflows.sign(model, certificate_signer(not_after=-10))
    with refused(VerificationError, "certificate-not-yet-valid"):
        workflows.sign(model, certificate_signer(), now=lambda: NOW - 7200)
    with refused(VerificationError, "certificate-not-for-signing"):
        workflows.sign(model, certificate_signer(key_usage=forger.usage(key_agreement=True)))
    assert picture(model) == before


def test_a_key_joins_a_certificate_and_never_the_other_way(
    model, root, certificate_signer, signer, keys, refused, picture
):
    entries = [
        {
            "name": "ca",
            "roles": ["author"],
            "certificate": {"roots": {"pem": root.pem.decode()}, "identities": ["email:ml@example.com"]},
        },
        {"name": "author", "roles": ["author"], "key": {"pem": (keys / "author.pub").read_text()}},
    ]
    document = {
        "apiVersion": "trustkit.dev/v1alpha1",
        "kind": "VerificationPolicy",
        "metadata": {"name": "mixed"},
        "spec": {"authorities": entries, "threshold": 2},
    }
    policy = parse_policy(json.dumps(document).encode(), read_file=None)
    workflows.sign(model, certificate_signer())
    workflows.add_signature(model, signer)
    with workflows_closing(workflows.verify(model, policy)) as verified:
        assert [one.authority for one in verified.signed.signers] == ["author", "ca"]
    before = picture(model)
    with refused(UsageError, "certificate-not-first"):
        workflows.add_signature(model, certificate_signer())
    assert picture(model) == before


def test_a_full_bundle_and_a_keyless_one(signed, stranger, refused):
    document = json.loads((signed / "model.sig").read_bytes())
    [first] = document["dsseEnvelope"]["signatures"]
    document["dsseEnvelope"]["signatures"] = [{**first, "sig": "QUJD"}] * 32
    (signed / "model.sig").write_text(json.dumps(document))
    with refused(LimitError, "too-many-signatures"):
        workflows.add_signature(signed, stranger)
    document["dsseEnvelope"]["signatures"] = [first]
    document["verificationMaterial"] = {"certificate": {"rawBytes": "QUJD"}, "tlogEntries": [{}]}
    (signed / "model.sig").write_text(json.dumps(document))
    with refused(FormatError, "unsupported-material"):
        workflows.add_signature(signed, stranger)


def test_a_signer_from_a_file_adds(signed, keys, both):
    workflows.add_signature(
        signed, load_signer(keys / "stranger.pem", passphrase=None), inputs=[keys / "stranger.pem"]
    )
    workflows.verify(signed, both).close()
