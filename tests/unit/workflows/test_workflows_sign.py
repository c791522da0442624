"""Signing: what the bundle says, where it may lie, and that a refusal leaves everything as it was."""

import base64
import hashlib
import json
import os
from pathlib import Path

import pytest

from trustkit.attest import bundle as bundles
from trustkit.errors import FormatError, LimitError, UnavailableError, UsageError, VerificationError
from trustkit.workflows import default_bundle, sign, timed, verify


def statement(path):
    return json.loads(base64.b64decode(json.loads(path.read_bytes())["dsseEnvelope"]["payload"]))


def test_the_statement_is_oms(model, signer):
    made = sign(model, signer)
    assert made.bundle == model / "model.sig"
    said = statement(made.bundle)
    names = [resource["name"] for resource in said["predicate"]["resources"]]
    assert names == ["config.json", "model.safetensors", "tokenizer/empty.txt", "tokenizer/vocab.txt"]
    for resource in said["predicate"]["resources"]:
        assert resource["algorithm"] == "sha256"
        assert resource["digest"] == hashlib.sha256((model / resource["name"]).read_bytes()).hexdigest()
    assert said["predicate"]["serialization"] == {
        "method": "files",
        "hash_type": "sha256",
        "allow_symlinks": False,
        "ignore_paths": ["model.claims.jsonl", "model.sig"],
    }
    assert said["subject"] == [{"name": "model", "digest": {"sha256": made.manifest.root_digest.hex}}]
    assert made.bytes == sum((model / name).stat().st_size for name in names)
    assert made.warnings == ()


def test_the_same_model_gives_the_same_payload(model, signer):
    one = statement(sign(model, signer).bundle)
    (model / "model.sig").unlink()
    os.utime(model / "config.json", ns=(1, 1))
    assert statement(sign(model, signer, workers=3).bundle) == one


@pytest.mark.parametrize("method", ["files", "shards"])
@pytest.mark.parametrize("algorithm", ["sha256", "blake2b", "blake3"])
def test_every_method_and_hash_is_verified(method, algorithm, model, signer, policy):
    made = sign(model, signer, method=method, algorithm=algorithm, shard_size=1000)
    said = statement(made.bundle)["predicate"]["serialization"]
    assert said["hash_type"] == algorithm
    assert said.get("shard_size") == (1000 if method == "shards" else None)
    with verify(model, policy).tree as tree:
        assert len(tree.files) == 4


@pytest.mark.parametrize("path", ["model", "model/", "./model", "model/tokenizer/..", "alias", "."])
def test_the_model_may_be_named_in_any_way(path, model, signer, policy, monkeypatch):
    (model.parent / "alias").symlink_to("model")
    monkeypatch.chdir(model if path == "." else model.parent)
    sign(Path(path), signer)
    assert (model / "model.sig").is_file()
    assert statement(model / "model.sig")["subject"][0]["name"] == "model"
    verify(Path(path), policy).close()


def test_a_single_file_goes_under_its_own_name(model, signer, policy):
    made = sign(model / "config.json", signer)
    assert made.bundle == model / "config.json.sig"
    assert [r["name"] for r in statement(made.bundle)["predicate"]["resources"]] == ["config.json"]
    verified = verify(model / "config.json", policy)
    assert verified.files == ("config.json",)
    os.close(verified.open("config.json"))
    verified.close()


def test_the_default_places(model):
    assert default_bundle(model) == model / "model.sig"
    assert default_bundle(model / "config.json") == model / "config.json.sig"
    assert default_bundle(model / "absent") == model / "absent.sig"
    assert default_bundle(Path()) == Path("model.sig")
    assert default_bundle(Path("/")) == Path("/model.sig")


def test_the_default_place_in_a_current_folder_that_is_gone(tmp_path, monkeypatch, signer, refused):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert default_bundle(Path()) == Path("model.sig")
    with refused(UsageError, "no-such-path"):
        sign(Path("x"), signer)


@pytest.mark.parametrize("where", ["elsewhere.sig", "model/my.sig", "model/tokenizer/my.sig"])
def test_a_bundle_in_another_place(where, model, signer, policy):
    bundle = model.parent / where
    sign(model, signer, bundle=bundle)
    verify(model, policy, bundle=bundle).close()
    ignored = statement(bundle)["predicate"]["serialization"]["ignore_paths"]
    assert set(ignored) - {"model.claims.jsonl", "model.sig"} == (
        {where.removeprefix("model/")} if where.startswith("model/") else set()
    )


@pytest.mark.parametrize("name", [b"\xff", b"mo\ndel", b"\x1b[2J"])
def test_a_folder_whose_name_others_cannot_read(name, model, signer, policy):
    moved = model.rename(model.parent / os.fsdecode(name))
    assert statement(sign(moved, signer).bundle)["subject"][0]["name"] == "model"
    verify(moved, policy).close()


def test_git_is_left_out_where_it_is(model, signer, policy):
    (model / ".git").mkdir()
    (model / ".git" / "HEAD").write_text("ref")
    made = sign(model, signer)
    assert ".git" in made.manifest.ignore_paths
    (model / ".git" / "HEAD").write_text("another")
    verified = verify(model, policy)
    assert verified.ignored == (".git",)
    verified.close()


def test_what_is_ignored_is_recorded(model, signer, policy, refused):
    made = sign(model, signer, ignore=["tokenizer/", "notes.txt"])
    assert made.manifest.ignore_paths == ("model.claims.jsonl", "model.sig", "notes.txt", "tokenizer")
    assert len(made.warnings) == 1
    assert "notes.txt" in made.warnings[0]
    verified = verify(model, policy)
    assert verified.ignored == ("tokenizer",)
    with refused(UsageError, "not-verified"):
        verified.open("tokenizer/vocab.txt")
    verified.close()


def test_claims_added_later_break_nobody(signed, policy):
    (signed / "model.claims.jsonl").write_text("{}\n")
    verify(signed, policy).close()


def test_hard_links_are_a_warning(model, signer):
    os.link(model / "config.json", model.parent / "outside")
    [warning] = sign(model, signer).warnings
    assert "config.json" in warning
    assert "1 such file)" in warning


def test_links_only_when_allowed_and_recorded(model, signer, policy, refused):
    (model / "latest").symlink_to("model.safetensors")
    with refused(FormatError, "symlink"):
        sign(model, signer)
    assert sign(model, signer, allow_symlinks=True).manifest.allow_symlinks
    verified = verify(model, policy)
    assert "latest" in verified.files
    verified.close()


def test_a_snapshot_of_a_hugging_face_cache(tmp_path, signer, policy):
    snapshot = tmp_path / "models--acme--tiny" / "snapshots" / "rev"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "blobs").mkdir()
    (snapshot.parents[1] / "blobs" / "aa").write_bytes(b"weights")
    (snapshot / "model.bin").symlink_to("../../blobs/aa")
    sign(snapshot, signer, allow_symlinks=True)
    verified = verify(snapshot, policy)
    descriptor = verified.open("model.bin")
    assert os.read(descriptor, 100) == b"weights"
    os.close(descriptor)
    verified.close()


@pytest.mark.parametrize("given", ["tokenizer", "linked"])
def test_a_bundle_in_a_folder_that_a_link_shows_again(given, model, signer, policy):
    (model / "linked").symlink_to("tokenizer")
    target = model / given / "x.sig"
    for _ in range(2):
        sign(model, signer, bundle=target, allow_symlinks=True, overwrite=True)
        for name in ("tokenizer", "linked"):
            verified = verify(model, policy, bundle=model / name / "x.sig")
            assert "linked/vocab.txt" in verified.files
            verified.close()


def test_what_a_killed_run_left_is_gone_after_the_next(model, signer, policy, refused):
    """Killed between link and rename: the old signature stands, and the new one has a name of its own."""
    sign(model, signer)
    left = model / "left"
    left.write_bytes(b"half a signature")
    left.rename(model / f".trustkit-{left.stat().st_ino}.part")
    with refused(VerificationError, "unsigned-file"):
        verify(model, policy)
    sign(model, signer, overwrite=True)
    verified = verify(model, policy)
    assert not list(model.glob(".trustkit-*"))
    verified.close()


# Refusals: each leaves everything as it was.


@pytest.fixture
def untouched(model, keys, picture):
    """Compare everything around the model before and after a test."""
    before = picture(model.parent), picture(keys)
    yield
    assert (picture(model.parent), picture(keys)) == before


@pytest.mark.parametrize("path", ["absent", "model/absent", "absent/absent", "n" * 256])
def test_no_model(path, model, signer, untouched, refused):
    with refused(UsageError, "no-such-path"):
        sign(model.parent / path, signer)


def test_a_bundle_that_exists_stays(signed, signer, refused, picture):
    before = picture(signed)
    with refused(UsageError, "output-exists"):
        sign(signed, signer)
    assert picture(signed) == before


def test_a_bundle_may_be_replaced_by_a_bundle(signed, signer, policy):
    (signed / "config.json").write_text("{}")
    sign(signed, signer, overwrite=True)
    verify(signed, policy).close()


@pytest.mark.parametrize(
    ("bundle", "code"),
    [
        ("model/config.json", "not-replaceable"),
        ("model/tokenizer", "not-replaceable"),
        ("model", "not-replaceable"),
        ("fifo", "not-replaceable"),
        ("dangling", "not-replaceable"),
        ("absent/x.sig", "no-such-folder"),
        ("model/config.json/x.sig", "no-such-folder"),
    ],
)
def test_places_where_no_bundle_may_go(bundle, code, model, signer, refused):
    os.mkfifo(model.parent / "fifo")
    (model.parent / "dangling").symlink_to("gone")
    with refused(UsageError, code):
        sign(model, signer, bundle=model.parent / bundle, overwrite=True)
    assert not (model.parent / "gone").exists()


def test_a_bundle_that_is_part_of_the_model_is_not_replaced(signed, signer, refused):
    """A bundle among the files, such as a base model's: it looks replaceable, but it is signed content."""
    sign(signed, signer, bundle=signed.parent / "outside.sig")
    (signed.parent / "outside.sig").rename(signed / "base.sig")
    os.link(signed / "base.sig", signed.parent / "linked.sig")
    with refused(UsageError, "output-is-input"):
        sign(signed, signer, bundle=signed.parent / "linked.sig", overwrite=True)
    with refused(UsageError, "output-is-input"):
        sign(signed / "base.sig", signer, bundle=signed / "base.sig", overwrite=True)


@pytest.mark.parametrize("overwrite", [False, True])
def test_never_over_an_input(overwrite, model, signer, keys, untouched, refused):
    with refused(UsageError, "output-is-input"):
        sign(model, signer, bundle=keys / "author.pem", inputs=[keys / "author.pem"], overwrite=overwrite)


def test_a_key_inside_the_model(model, signer, keys, refused):
    (model / "tokenizer" / "key.pem").write_bytes((keys / "author.pem").read_bytes())
    with refused(UsageError, "key-inside-model"):
        sign(model, signer, inputs=[model / "tokenizer" / "key.pem"])
    assert not (model / "model.sig").exists()


@pytest.mark.parametrize("name", ["..", "/etc", "a//b", ""])
def test_names_to_ignore_are_of_the_model(name, model, signer, untouched, refused):
    with refused(UsageError, "bad-ignore"):
        sign(model, signer, ignore=[name])


def test_more_names_to_ignore_than_a_reader_accepts(model, signer, untouched, refused):
    with refused(LimitError, "too-many-ignores"):
        sign(model, signer, ignore=[f"x{number}" for number in range(10_000)])


def test_a_folder_under_one_of_our_names(model, signer, refused):
    (model / "model.claims.jsonl").mkdir()
    with refused(FormatError, "special-file"):
        sign(model, signer)
    assert not (model / "model.sig").exists()


def test_an_empty_model(tmp_path, signer, refused):
    (tmp_path / "empty" / "folder").mkdir(parents=True)
    (tmp_path / "empty" / ".git").mkdir()
    with refused(FormatError, "empty-model"):
        sign(tmp_path / "empty", signer)


def test_a_file_that_changes_while_it_is_signed(model, signer, refused):
    def progress(size):
        (model / "config.json").write_text("changed")

    with refused(VerificationError, "file-changed"):
        sign(model, signer, progress=progress, workers=1)
    assert not (model / "model.sig").exists()


def test_ctrl_c_leaves_nothing(model, signer, picture):
    def progress(size):
        raise KeyboardInterrupt

    before = picture(model.parent)
    with pytest.raises(KeyboardInterrupt):
        sign(model, signer, progress=progress)
    assert picture(model.parent) == before


def test_a_signer_that_fails_leaves_nothing(model, signer, refused, picture):
    class Gone:
        material, fingerprint, public_pem = signer.material, signer.fingerprint, signer.public_pem

        def sign(self, message):
            raise UnavailableError("unreadable", "the token was pulled out")

    before = picture(model.parent)
    with refused(UnavailableError, "unreadable"):
        sign(model, Gone())
    assert picture(model.parent) == before


def test_a_bundle_nobody_would_read_is_not_written(model, signer, untouched, refused, monkeypatch):
    monkeypatch.setattr(bundles, "MAX_BYTES", 1000)
    with refused(LimitError, "too-large"):
        sign(model, signer)


def test_the_waist_counts_cores(model, signer, monkeypatch):
    seen = []
    hashed = timed.manifest_of

    def manifest_of(tree, **how):
        seen.append(how["workers"])
        return hashed(tree, **how)

    monkeypatch.setattr(timed, "manifest_of", manifest_of)
    sign(model, signer)
    sign(model, signer, workers=3, overwrite=True)
    assert seen == [len(os.sched_getaffinity(0)), 3]
