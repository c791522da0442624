"""The front door as a program uses it: lazily, completely, and as its own docstring says."""

import os
import subprocess
import sys

import pytest

import trustkit


def test_a_program_signs_and_verifies_through_the_door(tmp_path):
    private, public = trustkit.generate_key("p256", passphrase=b"secret")
    (tmp_path / "key.pem").write_bytes(private)
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"weights")
    signer = trustkit.load_signer(tmp_path / "key.pem", passphrase=b"secret")
    signed = trustkit.sign(model, signer)
    assert isinstance(signed, trustkit.Signed)
    assert isinstance(signed.manifest, trustkit.Manifest)
    policy = trustkit.policy_from_keys(public)
    assert isinstance(policy, trustkit.VerificationPolicy)
    verified = trustkit.verify(model, policy)
    assert isinstance(verified, trustkit.Verified)
    descriptor = verified.open("model.safetensors")
    assert os.read(descriptor, 100) == b"weights"
    os.close(descriptor)
    verified.close()
    digest = verified.signed.manifest_digest
    assert trustkit.parse_digest(str(digest)) == digest
    assert isinstance(digest, trustkit.Digest)
    (model / "model.safetensors").write_bytes(b"weighty")
    with pytest.raises(trustkit.VerificationError, match="digest-mismatch"):
        trustkit.verify(model, policy)

    (model / "model.safetensors").write_bytes(b"weights")
    kek, recipient = trustkit.generate_opener("x25519", passphrase=None)
    sealed = trustkit.seal(
        model,
        signer,
        output=tmp_path / "sealed",
        line="acme/tiny",
        version=1,
        recipients=[trustkit.recipient_from_pem(recipient)],
        policy=policy,
    )
    assert isinstance(sealed, trustkit.Sealed)
    opener = trustkit.opener_from_pem(kek, passphrase=None)
    opened = trustkit.open_sealed(tmp_path / "sealed", [opener], policy, output=tmp_path / "opened")
    assert isinstance(opened, trustkit.Opened)
    assert isinstance(opened.signed, trustkit.VerifiedSealed)
    assert (tmp_path / "opened/model.safetensors").read_bytes() == b"weights"


def test_paths_may_be_texts(tmp_path, world):
    policy = trustkit.policy_from_keys(world.public(world.author).read_bytes())
    verified = trustkit.verify(str(world.model), policy, bundle=str(world.model / "model.sig"))
    digest = verified.signed.manifest_digest
    assert repr(digest) == f"Digest('{digest}')"
    assert repr(verified) == f"<Verified {digest} by key: 3 files>"
    verified.close()
    signer = trustkit.load_signer(world.author, passphrase=None)
    assert trustkit.sign(str(world.model), signer, bundle=str(tmp_path / "new.sig")).bundle.is_file()
    private, public = trustkit.generate_opener("x25519", passphrase=None)
    sealed = trustkit.seal(
        str(world.model),
        signer,
        output=str(tmp_path / "sealed"),
        line="acme/tiny",
        version=1,
        recipients=[trustkit.recipient_from_pem(public)],
        policy=policy,
        inputs=[str(world.author)],
    )
    opener = trustkit.opener_from_pem(private, passphrase=None)
    opened = trustkit.open_sealed(str(sealed.output), [opener], policy, output=str(tmp_path / "opened"))
    assert opened.output.is_dir()


def test_an_empty_path_is_not_the_current_folder(world):
    signer = trustkit.load_signer(world.author, passphrase=None)
    with pytest.raises(trustkit.UsageError, match="no-such-path"):
        trustkit.sign("", signer)


def test_errors_are_one_tree():
    for name in (
        "UsageError",
        "FormatError",
        "LimitError",
        "VerificationError",
        "SealError",
        "UnavailableError",
    ):
        assert issubclass(getattr(trustkit, name), trustkit.TrustkitError)


def test_the_door_lists_itself_and_is_opened_by_a_star():
    assert sorted(dir(trustkit)) == sorted(trustkit.__all__)
    code = "import sys; from trustkit import *; print(verify.__module__.split('.')[1], Digest.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "workflows Digest\n"


def test_rooms_are_found_behind_the_door_all_the_same():
    """`from trustkit import strictjson` must find the room, not ask the door."""
    code = "from trustkit import strictjson, workflows; print(strictjson.__name__, workflows.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "trustkit.strictjson trustkit.workflows\n"


def test_the_example_is_what_works(tmp_path, world, monkeypatch):
    """The lines of the docstring, run as they stand."""
    from types import SimpleNamespace

    example = trustkit.__doc__.split("Example::\n")[1]
    lines = "\n".join(line.removeprefix("    ") for line in example.splitlines())
    (tmp_path / "author.pem.pub").write_bytes(world.public(world.author).read_bytes())
    (tmp_path / "model").symlink_to(world.model)
    monkeypatch.chdir(tmp_path)
    names = SimpleNamespace()
    exec(lines.replace("model.safetensors", "weights.bin"), vars(names))
    assert os.read(names.descriptor, 4) == b"\x00\x01\x02\x03"
    os.close(names.descriptor)
    names.verified.close()
