"""Arbitrary trees: what is signed verifies, and nothing else does, not by one bit."""

import hashlib
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from trustkit.artifact import hashing
from trustkit.artifact.hashing import manifest_of
from trustkit.artifact.tree import scan
from trustkit.errors import TrustkitError, VerificationError
from trustkit.signing.key import generate_key, load_signer
from trustkit.verifying.policy import policy_from_keys
from trustkit.workflows import sign, verify

PARTS = st.sampled_from(["a", "b", "a.b", "a-b", "é", "模", ".git", ".x", "model", "x:0:5", "sub"])
TREES = st.dictionaries(
    st.lists(PARTS, min_size=1, max_size=3).map("/".join), st.binary(max_size=90), min_size=1, max_size=6
)
HOW = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["files", "shards"]),
        "algorithm": st.sampled_from(["sha256", "blake2b", "blake3"]),
        "shard_size": st.integers(1, 100),
        "workers": st.integers(1, 3),
    }
)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where thousands of small synced files cost nothing."""
SLOW = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def author(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    private, public = generate_key("p256", passphrase=None)
    (folder / "key.pem").write_bytes(private)
    return load_signer(folder / "key.pem", passphrase=None), policy_from_keys(public)


@contextmanager
def grown(tree):
    """Make the tree's files; a name that needs a file as its folder is left out."""
    folder = Path(tempfile.mkdtemp(prefix="trustkit-tree-", dir=MEMORY))
    made = {}
    try:
        for name, content in tree.items():
            try:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
            except OSError:
                continue
            made[name] = content
        yield folder, made
    finally:
        shutil.rmtree(folder)


def covered(made):
    """Leave out what every signature of a folder with git in it leaves out."""
    return {name: content for name, content in made.items() if name.split("/")[0] != ".git"}


def believed(folder, policy):
    """Return what is believed of a folder, or the exit code of the refusal."""
    try:
        verified = verify(folder, policy)
    except TrustkitError as error:
        return error.exit_code
    verified.close()
    return verified.signed.manifest, verified.files


@SLOW
@given(TREES, HOW)
def test_what_is_signed_verifies_and_is_handed_out_as_it_was(author, tree, how):
    signer, policy = author
    with grown(tree) as (folder, made):
        assume(covered(made))
        assert sign(folder, signer, **how).bytes == sum(map(len, covered(made).values()))
        verified = verify(folder, policy, workers=how["workers"])
        assert sorted(verified.files) == sorted(covered(made))
        for name, content in covered(made).items():
            descriptor = verified.open(name)
            assert os.read(descriptor, 1000) == content
            os.close(descriptor)
        verified.close()


@SLOW
@given(TREES, HOW, st.data())
def test_one_flipped_bit_of_any_file_is_refused(author, tree, how, data):
    signer, policy = author
    with grown(tree) as (folder, made):
        assume(any(covered(made).values()))
        sign(folder, signer, **how)
        name = data.draw(st.sampled_from(sorted(name for name, content in covered(made).items() if content)))
        bit = data.draw(st.integers(0, len(made[name]) * 8 - 1))
        raw = bytearray(made[name])
        raw[bit // 8] ^= 1 << bit % 8
        (folder / name).write_bytes(raw)
        with pytest.raises(VerificationError) as caught:
            verify(folder, policy)
        assert caught.value.code == "digest-mismatch"
        assert caught.value.evidence == {"mismatched": [name]}


@SLOW
@given(TREES, HOW, st.data())
def test_one_flipped_bit_of_the_bundle_never_makes_another_tree_believed(author, tree, how, data):
    """Most are refused; what survives (a bit of the key hint, say) believes exactly the same."""
    signer, policy = author
    with grown(tree) as (folder, made):
        assume(covered(made))
        sign(folder, signer, **how)
        raw = bytearray((folder / "model.sig").read_bytes())
        bit = data.draw(st.integers(0, 1 << 20)) % (len(raw) * 8)  # a signature has no fixed length
        raw[bit // 8] ^= 1 << bit % 8
        before = believed(folder, policy)
        (folder / "model.sig").write_bytes(raw)
        assert believed(folder, policy) in {before, 1, 3, 4}


@SLOW
@given(TREES, TREES, HOW)
def test_a_signature_is_of_one_tree_and_no_other(author, tree, other, how):
    signer, policy = author
    with grown(tree) as (folder, made), grown(other) as (another, also_made):
        assume(covered(made) and covered(made) != covered(also_made))
        sign(folder, signer, **how, bundle=folder.with_suffix(".sig"))
        try:
            with pytest.raises(VerificationError) as caught:
                verify(another, policy, bundle=folder.with_suffix(".sig"))
            assert caught.value.code in {"digest-mismatch", "file-missing", "unsigned-file"}
        finally:
            folder.with_suffix(".sig").unlink()


@SLOW
@given(TREES, HOW, st.integers(1, 40))
def test_digests_are_as_defined_however_the_bytes_are_read(tree, how, buffer):
    """OMS's digests and ours, computed once more by hand; buffers and threads leave no trace."""
    before, hashing.BUFFER = hashing.BUFFER, buffer
    try:
        with grown(tree) as (folder, made), scan(folder) as found:
            manifest = manifest_of(found, **how)
    finally:
        hashing.BUFFER = before
    size = how["shard_size"]
    expected = {}
    for name, content in made.items():
        spans = [(start, min(start + size, len(content))) for start in range(0, max(len(content), 1), size)]
        for start, end in spans:
            if how["method"] == "shards":
                expected[f"{name}:{start}:{end}"] = content[start:end]
            else:
                expected[name] = content
    assert [resource.name for resource in manifest.resources] == sorted(expected)
    if how["algorithm"] == "sha256":
        digests = {name: hashlib.sha256(part).hexdigest() for name, part in expected.items()}
        lines = [
            f"sha256:{digests[name]} {json.dumps(name, ensure_ascii=False)}\n" for name in sorted(digests)
        ]
        assert manifest.manifest_digest.hex == hashlib.sha256("".join(lines).encode()).hexdigest()
        root = b"".join(bytes.fromhex(digests[name]) for name in sorted(digests))
        assert manifest.root_digest.hex == hashlib.sha256(root).hexdigest()
