"""Both ways with model-signing 1.1.1, and its known defects: each is shown in it, and not to be had here.

The reference runs in the environment that `make test` builds, as a process of
its own each time: its command line, or a few lines that call its interface.
"""

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest

import trustkit.compat.model_signing as compat
from trustkit.attest.statement import Statement, Subject
from trustkit.digest import digest_of
from trustkit.errors import FormatError, TrustkitError, UsageError, VerificationError
from trustkit.signing.key import generate_key, load_signer
from trustkit.verifying.policy import policy_from_keys
from trustkit.workflows import sign, signed_statement, verify

PYTHON = Path(__file__).parents[2] / ".venv-reference/bin/python"

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not PYTHON.exists(), reason="there is no .venv-reference; `make test` builds it"),
]

# model-signing's own interface; what differs from call to call comes as JSON on the command line.
PROGRAM = """
import json, pathlib, sys
import model_signing
does = json.loads(sys.argv[1])
hashing = model_signing.hashing.Config()
if does.get("shards"):
    hashing.use_shard_serialization(hashing_algorithm=does["hash"], shard_size=does["shards"])
elif does.get("hash"):
    hashing.use_file_serialization(hashing_algorithm=does["hash"])
hashing.set_ignored_paths(paths=does.get("ignore", []), ignore_git_paths=does.get("git", True))
hashing.set_allow_symlinks(does.get("links", False))
model = does["model"] if does.get("text") else pathlib.Path(does["model"])
if does["do"] == "sign":
    config = model_signing.signing.Config().use_elliptic_key_signer(private_key=does["key"])
    config.set_hashing_config(hashing).sign(model, does["bundle"])
else:
    config = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=does["key"])
    if not does.get("guess"):
        config.set_hashing_config(hashing)
    config.set_ignore_unsigned_files(does.get("unsigned", False)).verify(model, does["bundle"])
"""


def run(arguments, cwd=None, timeout=60):
    """Run the reference's interpreter with an empty environment, so that nothing of ours reaches it."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(PYTHON), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=timeout, check=False
    )


@pytest.fixture(scope="module")
def api():
    """Call the reference's interface; returns the last line of its traceback, or nothing on success."""

    def call(do, model, bundle, key, **more):
        does = {"do": do, "model": str(model), "bundle": str(bundle), "key": str(key), **more}
        done = run(["-c", PROGRAM, json.dumps(does)])
        if done.returncode == 0:
            return ""
        return done.stderr.strip().splitlines()[-1]

    return call


@pytest.fixture(scope="module")
def cli():
    """Call the reference's command line."""
    return lambda *arguments, **how: run(["-m", "model_signing", *arguments], **how)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A key pair in files, as both sides read it."""
    folder = tmp_path_factory.mktemp("keys")
    private, public = generate_key("p256", passphrase=None)
    (folder / "key").write_bytes(private)
    (folder / "key.pub").write_bytes(public)
    return folder / "key", folder / "key.pub"


@pytest.fixture(scope="module")
def signer(keys):
    return load_signer(keys[0], passphrase=None)


@pytest.fixture(scope="module")
def policy(keys):
    return policy_from_keys(keys[1].read_bytes())


@pytest.fixture
def model(tmp_path):
    """A folder whose names sort differently as texts and as paths: ``a-b`` ``a.b`` ``a/b``."""
    folder = tmp_path / "model"
    for name, content in {
        "a/b": b"1",
        "a-b": b"2",
        "a.b": b"3",
        "a/c/d": b"4" * 25,
        "empty": b"",
        "name:with:7": b"5",
        "模型 é.bin": bytes(range(256)) * 10,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def bundle(tmp_path):
    return tmp_path / "model.sig"


def refused(code, kind, path, policy, **how):
    with pytest.raises(kind) as caught:
        verify(path, policy, **how)
    assert caught.value.code == code


def names_of(bundle):
    payload = base64.b64decode(json.loads(bundle.read_bytes())["dsseEnvelope"]["payload"])
    return [entry["name"] for entry in json.loads(payload)["predicate"]["resources"]]


def hand_made(signer, files):
    """Sign a manifest of (name, content) that no writer would make."""
    digests = [digest_of(content) for _, content in files]
    entries = [
        {"name": name, "algorithm": "sha256", "digest": digest.hex}
        for (name, _), digest in zip(files, digests, strict=True)
    ]
    root = digest_of(b"".join(digest.value for digest in digests)).hex
    predicate = {
        "resources": entries,
        "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
    }
    statement = Statement(
        (Subject("model", {"sha256": root}),), "https://model_signing/signature/v1.0", predicate
    )
    return signed_statement(statement, signer)


def test_the_reference_is_the_version_these_tests_speak_of(cli):
    assert cli("--version").stdout.strip().endswith("1.1.1")


# -- we sign, the reference verifies -------------------------------------------------------------------


@pytest.mark.parametrize("curve", ["p256", "p384", "p521"])
def test_its_command_line_verifies_what_we_sign(cli, tmp_path, model, curve):
    private, public = generate_key(curve, passphrase=b"secret")
    (tmp_path / "key").write_bytes(private)
    (tmp_path / "key.pub").write_bytes(public)
    made = sign(model, load_signer(tmp_path / "key", passphrase=b"secret")).bundle
    assert made == model / "model.sig"
    assert names_of(made)[:3] == ["a-b", "a.b", "a/b"]
    done = cli("verify", "key", model, "--signature", made, "--public_key", tmp_path / "key.pub")
    assert (done.returncode, done.stdout) == (0, "Verification succeeded\n"), done.stderr
    (model / "a.b").write_bytes(b"changed")
    assert (
        cli("verify", "key", model, "--signature", made, "--public_key", tmp_path / "key.pub").returncode == 1
    )


@pytest.mark.parametrize("algorithm", ["sha256", "blake3"])
def test_its_interface_verifies_what_we_sign_by_what_the_bundle_says(api, keys, signer, model, algorithm):
    made = sign(model, signer, algorithm=algorithm).bundle
    assert api("verify", model, made, keys[1], guess=True) == ""
    (model / "empty").write_bytes(b"no more")
    assert "Hash mismatch" in api("verify", model, made, keys[1], guess=True)


def test_its_interface_verifies_blake2b_when_it_is_told(api, keys, signer, model):
    made = sign(model, signer, algorithm="blake2b").bundle
    assert api("verify", model, made, keys[1], hash="blake2") == ""


def test_a_git_folder_that_we_left_out_is_left_out_there(cli, keys, signer, model):
    (model / ".git").mkdir()
    (model / ".git/HEAD").write_text("ref")
    (model / "cache/x").parent.mkdir()
    (model / "cache/x").write_text("x")
    made = sign(model, signer, ignore=["cache"]).bundle
    assert not [name for name in names_of(made) if name.startswith((".git", "cache"))]
    done = cli(
        "verify",
        "key",
        model,
        "--signature",
        made,
        "--public_key",
        keys[1],
        "--ignore-paths",
        model / "cache",
    )
    assert done.returncode == 0, done.stderr


def test_single_files_are_named_as_the_specification_says_which_the_reference_does_not_read(
    api, cli, keys, signer, tmp_path, policy
):
    """Architecture, section 11: it reads only ``.``, we read both and write the specification."""
    (tmp_path / "model.bin").write_bytes(b"weights")
    made = sign(tmp_path / "model.bin", signer).bundle
    assert names_of(made) == ["model.bin"]
    verify(tmp_path / "model.bin", policy).close()
    assert "Missing files" in api("verify", tmp_path / "model.bin", made, keys[1], guess=True)
    # A folder with that one file in it is the same manifest, and that it reads.
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/model.bin").write_bytes(b"weights")
    done = cli("verify", "key", tmp_path / "folder", "--signature", made, "--public_key", keys[1])
    assert done.returncode == 0, done.stderr


# -- the reference signs, we verify --------------------------------------------------------------------


def test_we_verify_what_its_command_line_signs_inside_the_folder(cli, keys, policy, model):
    (model / ".git").mkdir()
    (model / ".git/HEAD").write_text("ref")
    made = model / "model.sig"
    done = cli("sign", "key", model, "--signature", made, "--private_key", keys[0])
    assert done.returncode == 0, done.stderr
    assert names_of(made)[:4] == ["a/b", "a/c/d", "a-b", "a.b"], "by components, not by text"
    verified = verify(model, policy)
    assert set(verified.ignored) == {".git"}
    assert len(verified.files) == 7
    assert digest_of(made.read_bytes()) == verified.signed.bundle_digest
    verified.close()
    (model / "empty").write_bytes(b"no more")
    refused("digest-mismatch", VerificationError, model, policy)


@pytest.mark.parametrize("algorithm", ["sha256", "blake2", "blake3"])
def test_we_verify_what_its_interface_signs(api, keys, policy, model, bundle, algorithm):
    assert api("sign", model, bundle, keys[0], hash=algorithm) == ""
    verified = verify(model, policy, bundle=bundle)
    assert verified.signed.manifest.algorithm == {"blake2": "blake2b"}.get(algorithm, algorithm)
    assert len(verified.files) == 7
    verified.close()
    (model / "a.b").write_bytes(b"changed")
    refused("digest-mismatch", VerificationError, model, policy, bundle=bundle)


@pytest.mark.parametrize("algorithm", ["sha256", "blake2"])
@pytest.mark.parametrize("size", [1, 10, 25, 1_000_000_000])
def test_we_verify_what_its_interface_signs_in_shards(api, keys, policy, model, bundle, algorithm, size):
    (model / "empty").unlink()  # it leaves empty files unsigned: see below
    assert api("sign", model, bundle, keys[0], hash=algorithm, shards=size) == ""
    verified = verify(model, policy, bundle=bundle)
    assert (verified.signed.manifest.method, verified.signed.manifest.shard_size) == ("shards", size)
    assert "name:with:7" in verified.files
    verified.close()
    (model / "a/c/d").write_bytes(b"4" * 24 + b"5")
    refused("digest-mismatch", VerificationError, model, policy, bundle=bundle)


def test_an_empty_file_that_it_left_out_of_its_shards_is_unsigned(api, keys, policy, model, bundle):
    assert api("sign", model, bundle, keys[0], hash="sha256", shards=10) == ""
    refused("unsigned-file", VerificationError, model, policy, bundle=bundle)
    verified = verify(model, policy, bundle=bundle, ignore_unsigned=True)
    assert verified.unsigned == ("empty",)
    verified.close()


def test_shards_of_blake3_are_files(api, keys, policy, model, bundle):
    assert api("sign", model, bundle, keys[0], hash="blake3", shards=10) == ""
    verified = verify(model, policy, bundle=bundle)
    assert (verified.signed.manifest.method, len(verified.files)) == ("files", 7)
    verified.close()


@pytest.mark.parametrize("shards", [None, 10])
def test_we_verify_its_single_files(api, keys, policy, tmp_path, bundle, shards):
    path = tmp_path / "model.bin"
    path.write_bytes(b"x" * 25)
    assert api("sign", path, bundle, keys[0], hash="sha256", shards=shards) == ""
    assert {name.split(":")[0] for name in names_of(bundle)} == {"."}
    verified = verify(path, policy, bundle=bundle)
    assert (verified.files, verified.bytes) == (("model.bin",), 25)
    verified.close()
    path.write_bytes(b"x" * 26)
    refused("digest-mismatch", VerificationError, path, policy, bundle=bundle)


def test_we_honour_the_paths_that_it_left_out(cli, keys, policy, model):
    (model / "cache").mkdir()
    (model / "cache/x").write_bytes(b"x")
    made = model / "my.sig"
    done = cli(
        "sign", "key", model, "--signature", made, "--private_key", keys[0], "--ignore-paths", model / "cache"
    )
    assert done.returncode == 0, done.stderr
    (model / "cache/y").write_bytes(b"y")
    verified = verify(model, policy, bundle=made)
    assert set(verified.ignored) == {"cache"}
    assert "cache/x" not in verified.files
    verified.close()


def test_git_files_that_it_signed_are_compared(api, keys, policy, model, bundle):
    (model / ".gitignore").write_text("*.tmp")
    assert api("sign", model, bundle, keys[0], git=False) == ""
    verified = verify(model, policy, bundle=bundle)
    assert ".gitignore" in verified.files
    verified.close()
    (model / ".github").mkdir()
    (model / ".github/x").write_text("x")
    refused("unsigned-file", VerificationError, model, policy, bundle=bundle)


def test_links_that_it_followed_are_followed(api, keys, policy, model, bundle):
    (model / "alias").symlink_to("a.b")
    assert api("sign", model, bundle, keys[0], links=True) == ""
    verified = verify(model, policy, bundle=bundle)
    assert "alias" in verified.files
    verified.close()


# -- its defects, and that we do not have them (oms-format, 1.8) ---------------------------------------


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ({"method": "shards", "shard_size": 10}, "shards"),
        ({"algorithm": "blake2b"}, "files"),
        ({"algorithm": "blake3"}, "files"),
    ],
)
def test_defect_1_only_files_and_sha256_can_be_verified_from_its_command_line(
    cli, keys, signer, policy, model, how, kind
):
    made = sign(model, signer, **how).bundle
    assert cli("verify", "key", model, "--signature", made, "--public_key", keys[1]).returncode == 1
    verified = verify(model, policy)
    assert verified.signed.manifest.method == kind
    verified.close()


@pytest.mark.parametrize("how", [{"hash": "sha256", "shards": 10}, {"hash": "blake2"}])
def test_defect_2_it_cannot_guess_how_its_own_shards_and_blake2_were_made(
    api, keys, policy, model, bundle, how
):
    (model / "empty").unlink()
    assert api("sign", model, bundle, keys[0], **how) == ""
    assert api("verify", model, bundle, keys[1], guess=True) != ""
    verify(model, policy, bundle=bundle).close()


def test_defect_3_it_forgets_that_links_were_signed(api, keys, signer, policy, model):
    (model / "alias").symlink_to("a.b")
    made = sign(model, signer, allow_symlinks=True).bundle
    assert "symlink" in api("verify", model, made, keys[1], guess=True)
    verify(model, policy).close()


def test_defect_3_files_below_a_linked_folder_are_unsigned_there_and_signed_here(
    api, keys, signer, policy, model, bundle, tmp_path
):
    (model / "linked").symlink_to("a")
    assert api("sign", model, bundle, keys[0], links=True) == ""
    assert not [name for name in names_of(bundle) if name.startswith("linked")]
    assert api("verify", model, bundle, keys[1], links=True) == ""
    refused("unsigned-file", VerificationError, model, policy, bundle=bundle)
    ours = sign(model, signer, bundle=tmp_path / "ours.sig", allow_symlinks=True).bundle
    assert [name for name in names_of(ours) if name.startswith("linked")] == ["linked/b", "linked/c/d"]
    verify(model, policy, bundle=ours).close()


def test_defect_4_encrypted_keys_cannot_be_used(cli, tmp_path, model, bundle):
    private, public = generate_key("p256", passphrase=b"secret")
    (tmp_path / "key").write_bytes(private)
    arguments = ("sign", "key", model, "--signature", bundle, "--private_key", tmp_path / "key")
    done = cli(*arguments, "--password", "secret")
    assert done.returncode == 1
    assert not bundle.exists()
    sign(model, load_signer(tmp_path / "key", passphrase=b"secret"), bundle=bundle)
    verify(model, policy_from_keys(public), bundle=bundle).close()


def test_defect_6_tolerating_unsigned_files_breaks_on_shards_and_reads_outside(
    api, keys, signer, policy, model, tmp_path, bundle
):
    (model / "empty").unlink()
    assert api("sign", model, bundle, keys[0], hash="sha256", shards=10) == ""
    (model / "extra").write_bytes(b"x")
    assert api("verify", model, bundle, keys[1], hash="sha256", shards=10, unsigned=True) != ""
    verify(model, policy, bundle=bundle, ignore_unsigned=True).close()

    (tmp_path / "outside").write_bytes(b"secret")
    climbing = hand_made(signer, [("../outside", b"secret")])
    bundle.write_bytes(climbing)
    assert api("verify", model, bundle, keys[1], unsigned=True) == "", "it opens a file outside of the model"
    refused("unsafe-name", FormatError, model, policy, bundle=bundle, ignore_unsigned=True)


def test_defect_6_tolerating_unsigned_files_breaks_on_paths_that_are_texts(api, keys, signer, model):
    made = sign(model, signer).bundle
    assert api("verify", model, made, keys[1], guess=True, text=True) == ""
    assert api("verify", model, made, keys[1], guess=True, unsigned=True) == ""
    told = api("verify", model, made, keys[1], guess=True, text=True, unsigned=True)
    assert told.startswith(("TypeError", "AttributeError")), "it takes one, and the other, and not both"
    config = compat.verifying.Config().use_elliptic_key_verifier(public_key=str(keys[1]))
    config.set_ignore_unsigned_files(True).verify(str(model), str(made))


def test_defect_7_every_failure_is_exit_code_1(cli, keys, signer, policy, model, bundle):
    """Here they are told apart: refused is 1, the caller's mistake 2, what does not parse 3."""
    seen = set()
    for exit_code, prepare in (
        (1, lambda: (model / "a.b").write_bytes(b"changed")),
        (2, bundle.unlink),
        (3, lambda: bundle.write_text("no json")),
    ):
        if exit_code == 1:
            sign(model, signer, bundle=bundle)
        prepare()
        done = cli("verify", "key", model, "--signature", bundle, "--public_key", keys[1])
        seen.add(done.returncode)
        with pytest.raises(TrustkitError) as caught:
            verify(model, policy, bundle=bundle)
        assert caught.value.exit_code == exit_code
    assert seen == {1}


def test_defect_9_one_name_twice_with_two_digests(api, keys, signer, policy, tmp_path, bundle):
    model = tmp_path / "two"
    model.mkdir()
    (model / "a").write_bytes(b"second")
    bundle.write_bytes(hand_made(signer, [("a", b"first"), ("a", b"second")]))
    assert api("verify", model, bundle, keys[1], guess=True) == "", "the last one wins there"
    refused("duplicate-name", FormatError, model, policy, bundle=bundle)


def test_defect_9_a_repeated_json_key(api, keys, signer, policy, model):
    made = sign(model, signer).bundle
    made.write_bytes(made.read_bytes().replace(b'"sig":', b'"sig": "QQ==", "sig":'))
    assert api("verify", model, made, keys[1], guess=True) == "", "the last one wins there"
    refused("duplicate-key", FormatError, model, policy)


def test_defect_9_a_file_that_appears_under_git(cli, keys, signer, policy, model):
    made = sign(model, signer).bundle
    (model / ".git/hooks").mkdir(parents=True)
    (model / ".git/hooks/post-checkout").write_text("#!/bin/sh")
    done = cli("verify", "key", model, "--signature", made, "--public_key", keys[1])
    assert done.returncode == 0, "it does not look there, whatever was signed"
    refused("unsigned-file", VerificationError, model, policy)


def test_defect_9_the_private_key_as_the_output(cli, keys, signer, model, tmp_path):
    key = tmp_path / "key"
    key.write_bytes(keys[0].read_bytes())
    done = cli("sign", "key", model, "--signature", key, "--private_key", key)
    assert done.returncode == 0, done.stderr
    assert b"PRIVATE KEY" not in key.read_bytes(), "it overwrote the key with the bundle"
    key.write_bytes(keys[0].read_bytes())
    with pytest.raises(UsageError) as caught:
        sign(model, signer, bundle=key, inputs=[key], overwrite=True)
    assert caught.value.code == "output-is-input"
    assert key.read_bytes() == keys[0].read_bytes()


def test_defect_9_a_fifo_as_the_bundle(cli, keys, policy, model, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(subprocess.TimeoutExpired):
        cli("verify", "key", model, "--signature", fifo, "--public_key", keys[1], timeout=5)
    refused("special-file", UsageError, model, policy, bundle=fifo)


def test_defect_9_an_empty_list_of_signatures_and_deep_nesting(api, keys, policy, model, signer):
    made = sign(model, signer).bundle
    value = json.loads(made.read_bytes())
    value["dsseEnvelope"]["signatures"] = []
    made.write_text(json.dumps(value))
    assert api("verify", model, made, keys[1], guess=True).startswith("IndexError")
    refused("no-signatures", FormatError, model, policy)
    made.write_text("[" * 100_000)
    assert api("verify", model, made, keys[1], guess=True).startswith("RecursionError")


def test_an_empty_model_is_signed_there_and_refused_here(api, keys, signer, tmp_path, bundle):
    (tmp_path / "nothing").mkdir()
    assert api("sign", tmp_path / "nothing", bundle, keys[0]) == ""
    with pytest.raises(FormatError) as caught:
        sign(tmp_path / "nothing", signer)
    assert caught.value.code == "empty-model"


def test_defect_9_names_with_a_colon_in_shards(api, keys, policy, model, bundle):
    """It writes ``path:start:end`` and takes the path apart at its own colons."""
    (model / "empty").unlink()
    assert api("sign", model, bundle, keys[0], hash="sha256", shards=10) == ""
    assert "expected 3 components" in api("verify", model, bundle, keys[1], hash="sha256", shards=10)
    verify(model, policy, bundle=bundle).close()


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("\u00e9", "e\u0301"), "name-twins"),
        (("weights", "Weights"), "name-twins"),
        (("two\nlines",), "unsafe-name"),
        (("back\\slash",), "unsafe-name"),
    ],
)
def test_names_that_it_signs_without_a_word_are_refused_by_us_on_both_sides(
    api, keys, signer, policy, tmp_path, bundle, names, code
):
    model = tmp_path / "odd"
    model.mkdir()
    for name in names:
        (model / name).write_bytes(b"x")
    assert api("sign", model, bundle, keys[0]) == ""
    assert api("verify", model, bundle, keys[1], guess=True) == ""
    refused(code, FormatError, model, policy, bundle=bundle)
    with pytest.raises(FormatError) as caught:
        sign(model, signer)
    assert caught.value.code == code


def test_our_payload_is_the_same_each_time(signer, model, tmp_path):
    payloads = set()
    for number in range(2):
        made = sign(model, signer, bundle=tmp_path / f"{number}.sig").bundle
        payloads.add(json.loads(made.read_bytes())["dsseEnvelope"]["payload"])
    assert len(payloads) == 1
