"""What the signer left out is a hole in the signature: it is seen, told, and goes nowhere.

The list is the signer's, word for word: nothing else is ignored, and nothing
under it is compared, opened, sealed, published or handed out. Then the layout
whose files are all links, a Hugging Face cache: one flag signs it, none verifies it.
"""

import hashlib
import json
import os
import signal
from contextlib import closing

import pytest

from trustkit import workflows
from trustkit.cli.main import main
from trustkit.errors import TrustkitError, UsageError, VerificationError
from trustkit.sealing.hpke import generate_opener, opener_from_pem, recipient_from_pem
from trustkit.verifying.policy import policy_from_keys

HOLES = {
    "cache/compiled.so": b"\x7fELF",
    "cache/deep/er/x": b"x",
    ".git/hooks/post-checkout": b"#!/bin/sh\nevil",
    "model.claims.jsonl": b"{}\n",
}


def fill(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def names_in(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture
def policy(estate):
    return policy_from_keys(estate.author_pem, estate.publisher_pem)


@pytest.fixture
def holed(estate):
    """A model that was signed with holes in its list, and what then came to lie in them."""
    folder = estate.files(7, 3_000)
    fill(folder, {".git/HEAD": b"ref"})
    workflows.sign(folder, estate.author, ignore=["cache"])
    fill(folder, HOLES)
    return folder


SIGNED = {"model.safetensors", "config.json", "sub/tokenizer.json", "empty"}


def test_it_is_reported_and_never_opened(holed, policy):
    with closing(workflows.verify(holed, policy)) as verified:
        assert set(verified.files) == SIGNED
        assert set(verified.ignored) == {".git", "cache", "model.claims.jsonl"}
        for name in (*HOLES, *verified.ignored, ".git/HEAD"):
            with pytest.raises(UsageError) as caught:
                verified.open(name)
            assert caught.value.code == "not-verified"


def test_no_flag_of_the_caller_opens_it(holed, policy):
    """Neither tolerance nor a pattern that names it makes it one of the verified files."""
    with closing(workflows.verify(holed, policy, ignore_unsigned=True)) as verified:
        assert set(verified.files) == SIGNED
        assert verified.unsigned == ()
    for pattern in ("cache/*", ".git/*", "model.claims.jsonl"):
        with pytest.raises(TrustkitError) as caught:
            workflows.verify(holed, policy, only=[pattern])
        assert caught.value.code == "nothing-selected"


@pytest.mark.parametrize(
    "name", [".gitattributes", ".github/x", ".gitmodules", "cache-2/x", "sub/cache/x", "sub/.git/x"]
)
def test_what_the_list_does_not_name_is_not_ignored(holed, policy, name):
    fill(holed, {name: b"x"})
    with pytest.raises(VerificationError) as caught:
        workflows.verify(holed, policy)
    assert caught.value.code == "unsigned-file"


def test_it_is_not_sealed_and_does_not_come_out_again(estate, holed, policy, tmp_path):
    private, public = generate_opener("x25519", passphrase=None)
    sealed = workflows.seal(
        holed,
        estate.publisher,
        output=tmp_path / "sealed",
        line="acme/tiny-llm",
        version=1,
        recipients=[recipient_from_pem(public)],
        policy=policy,
    )
    assert sealed.files == len(SIGNED)
    assert {part.name for part in sealed.descriptor.parts} == SIGNED
    opener = opener_from_pem(private, passphrase=None)
    workflows.open_sealed(tmp_path / "sealed", [opener], policy, output=tmp_path / "opened")
    assert names_in(tmp_path / "opened") == SIGNED


def test_a_sidecar_does_not_publish_it(estate, estates, broker, store):
    """The store's folder holds unsigned files under names that the author's list leaves out."""
    model = estate.sealed("acme/holed/1", seed=8, size=3_000)
    fill(model.folder, HOLES)
    process, output = estate.sidecar(model, store=store, broker=broker)
    with process:
        process.line_with("published ")
        process.end(signal.SIGTERM)
    assert names_in(output) == SIGNED


# -- a Hugging Face cache ------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path):
    """A snapshot as huggingface_hub lays it out: blobs named by their hash, links, refs, a nested folder."""
    hub = tmp_path / "hub/models--acme--tiny-llm"
    commit = hashlib.sha1(b"commit", usedforsecurity=False).hexdigest()
    snapshot = hub / "snapshots" / commit
    files = {
        "config.json": b'{"model_type": "tiny"}',
        "model-00001-of-00002.safetensors": bytes(range(256)) * 20,
        "model-00002-of-00002.safetensors": bytes(reversed(range(256))) * 20,
        "onnx/model.onnx": b"onnx",
        "README.md": b"",
    }
    for name, content in files.items():
        large = name.endswith(".safetensors")
        algorithm = hashlib.sha256 if large else hashlib.sha1  # LFS and git name their blobs so
        blob = hub / "blobs" / algorithm(content).hexdigest()
        fill(hub, {blob.relative_to(hub).as_posix(): content})
        place = snapshot / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(os.path.relpath(blob, place.parent))
    fill(hub, {"refs/main": commit.encode(), f".no_exist/{commit}/added_tokens.json": b""})
    return snapshot, files


def told(capsys):
    return json.loads(capsys.readouterr().out)


def test_a_snapshot_signs_with_one_flag_and_verifies_with_none(cache, tmp_path, capsys):
    snapshot, files = cache
    key = tmp_path / "author.pem"
    assert main(["key", "generate", "--output", str(key)], {}) == 0
    capsys.readouterr()
    sign = ["sign", str(snapshot), "--key", str(key), "--json"]
    assert main(sign, {}) == 3
    refusal = told(capsys)
    assert refusal["code"] == "symlink"
    assert "--allow-symlinks" in refusal["message"]
    assert main([*sign, "--allow-symlinks"], {}) == 0
    assert told(capsys)["files"] == len(files)
    verify = ["verify", str(snapshot), "--key", f"{key}.pub", "--json"]
    assert main(verify, {}) == 0
    assert told(capsys)["files"] == len(files)
    blob = (snapshot / "onnx/model.onnx").resolve()
    blob.write_bytes(b"evil")
    assert main(verify, {}) == 1
    assert told(capsys)["code"] == "digest-mismatch"


def test_a_copy_without_links_verifies_against_the_same_bundle(estate, cache, policy, tmp_path):
    snapshot, files = cache
    workflows.sign(snapshot, estate.author, allow_symlinks=True)
    fill(tmp_path / "copy", files)
    bundle = snapshot / "model.sig"
    with closing(workflows.verify(tmp_path / "copy", policy, bundle=bundle)) as verified:
        assert set(verified.files) == set(files)
