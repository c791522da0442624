"""A verdict is about one moment: what is added, removed or written during a long hash is noticed."""

import os

import pytest

from trustkit import workflows
from trustkit.errors import VerificationError
from trustkit.signing.key import generate_key, load_signer
from trustkit.verifying.policy import policy_from_keys


@pytest.fixture
def key(tmp_path):
    private, public = generate_key("p256", passphrase=None)
    (tmp_path / "key.pem").write_bytes(private)
    return load_signer(tmp_path / "key.pem", passphrase=None), policy_from_keys(public)


@pytest.fixture
def model(tmp_path):
    """A large file, hashed first, and small ones; what is done to them comes with the last of its bytes."""
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "a-large").write_bytes(bytes(3 << 20))
    (folder / "b-small").write_bytes(b"good")
    (folder / "sub/c").write_bytes(b"also good")
    return folder


def overwritten(folder):
    (folder / "b-small").write_bytes(b"evil")


def added(folder):
    (folder / "sub/modeling.py").write_text("import os")


def removed(folder):
    (folder / "sub/c").unlink()


def replaced_by_a_link(folder):
    (folder / "b-small").unlink()
    (folder / "b-small").symlink_to("/etc/passwd")


def a_fifo(folder):
    os.mkfifo(folder / "sub/pipe")


CHANGES = [overwritten, added, removed, replaced_by_a_link, a_fifo]


def at_the_end(folder, change):
    """Return a progress callback that changes the folder once every byte of it was hashed."""
    left = sum(
        path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != "model.sig"
    )
    seen = []

    def progress(size):
        seen.append(size)
        if sum(seen) == left:
            change(folder)

    return progress


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_it_is_no_longer_what_was_verified(key, model, change):
    signer, policy = key
    workflows.sign(model, signer)
    with pytest.raises(VerificationError) as caught:
        workflows.verify(model, policy, workers=1, progress=at_the_end(model, change))
    assert caught.value.code == "file-changed"


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_nothing_is_signed_that_is_not_there_any_more(key, model, change):
    with pytest.raises(VerificationError) as caught:
        workflows.sign(model, key[0], workers=1, progress=at_the_end(model, change))
    assert caught.value.code == "file-changed"
    assert not (model / "model.sig").exists()


def test_a_single_file_is_looked_at_again_as_well(key, tmp_path):
    signer, policy = key
    file = tmp_path / "weights.bin"
    file.write_bytes(b"good")
    workflows.sign(file, signer)
    with pytest.raises(VerificationError) as caught:
        workflows.verify(file, policy, progress=lambda _: file.write_bytes(b"evil"))
    assert caught.value.code == "file-changed"
    file.write_bytes(b"good")
    assert workflows.verify(file, policy).files == ("weights.bin",)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("nowhere"), os.mkdir])
def test_what_is_no_file_under_a_name_of_ours_is_refused(key, model, make):
    signer, policy = key
    workflows.sign(model, signer)
    make(model / "model.claims.jsonl")
    with pytest.raises(VerificationError) as caught:
        workflows.verify(model, policy)
    assert caught.value.code == "unsigned-file"


def test_every_pattern_must_select_something(key, model):
    signer, policy = key
    workflows.sign(model, signer)
    with pytest.raises(Exception, match="nothing-selected"):
        workflows.verify(model, policy, only=("b-small", "typo*"))


def test_the_umask_is_kept_by_what_is_opened(key, model, tmp_path):
    from trustkit.sealing.hpke import generate_opener
    from trustkit.sealing.recipients import opener_from_pem, recipient_from_pem

    signer, policy = key
    private, public = generate_opener("x25519", passphrase=None)
    workflows.sign(model, signer)
    before = os.umask(0o077)
    try:
        workflows.seal(
            model,
            signer,
            output=tmp_path / "sealed",
            line="acme/x",
            version=1,
            recipients=[recipient_from_pem(public)],
            policy=policy,
        )
        opener = opener_from_pem(private, passphrase=None)
        workflows.open_sealed(tmp_path / "sealed", [opener], policy, output=tmp_path / "opened")
    finally:
        os.umask(before)
    for path in (tmp_path / "sealed", tmp_path / "opened", tmp_path / "opened/b-small"):
        assert path.stat().st_mode & 0o077 == 0
