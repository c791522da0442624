"""Hashing without signing says what signing would say; and what is written for the reference."""

import base64
import json

import pytest

from trustkit import workflows
from trustkit.errors import FormatError, UsageError


def names_of(manifest):
    return [part.name for part in manifest.resources]


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"method": "shards", "shard_size": 1000},
        {"algorithm": "blake2b", "ignore": ["tokenizer"]},
        {"git": "always"},
        {"git": "never"},
        {"compat": "1.1"},
    ],
)
def test_what_is_hashed_is_what_is_signed(model, signer, how):
    (model / ".gitignore").write_text("*")
    hashed = workflows.hashed(model, **how)
    assert hashed == workflows.sign(model, signer, **how).manifest
    assert (".gitignore" in names_of(hashed)) == (how.get("git") == "never")
    single = workflows.hashed(model / "config.json", **how)
    assert single == workflows.sign(model / "config.json", signer, **how).manifest


def test_some_files_only(model, refused):
    assert names_of(workflows.hashed(model, only=["tokenizer/vocab.txt", "config.json"])) == [
        "config.json",
        "tokenizer/vocab.txt",
    ]
    assert names_of(
        workflows.hashed(model, only=["config.json", "tokenizer/vocab.txt"], ignore=["tokenizer"])
    ) == ["config.json"]
    with refused(UsageError, "no-such-file"):
        workflows.hashed(model, only=["config.json", "gone"])
    with refused(FormatError, "empty-model"):
        workflows.hashed(model, only=[])
    with refused(UsageError, "no-such-path"):
        workflows.hashed("")


def test_links_are_followed_where_they_may_be(model, refused):
    (model / "alias").symlink_to("config.json")
    with refused(FormatError, "symlink"):
        workflows.hashed(model)
    hashed = workflows.hashed(model, allow_symlinks=True)
    assert "alias" in names_of(hashed)
    assert hashed.allow_symlinks


def payload_of(bundle):
    return json.loads(base64.b64decode(json.loads(bundle.read_bytes())["dsseEnvelope"]["payload"]))


def test_a_single_file_for_the_reference(model, signer, policy):
    """Architecture, section 11: the specification by default, what the reference reads on demand."""
    path = model / "config.json"
    plain = workflows.sign(path, signer)
    assert [entry["name"] for entry in payload_of(plain.bundle)["predicate"]["resources"]] == ["config.json"]
    made = workflows.sign(path, signer, compat="1.1", overwrite=True)
    assert [entry["name"] for entry in payload_of(made.bundle)["predicate"]["resources"]] == ["."]
    assert made.warnings == ()
    with workflows.verify(path, policy).tree as tree:
        assert tree.single


def test_shards_for_the_reference(model, signer, policy):
    made = workflows.sign(model, signer, method="shards", shard_size=4096, compat="1.1")
    entries = payload_of(made.bundle)["predicate"]["resources"]
    assert {entry["algorithm"] for entry in entries} == {"sha256-sharded-4096"}
    assert len(made.warnings) == 2, "told of shards, and of an empty file"
    verified = workflows.verify(model, policy)
    assert verified.signed.manifest == made.manifest
    verified.close()


def test_git_s_names_that_are_not_there_yet_can_be_recorded(model, signer, policy, refused):
    made = workflows.sign(model, signer, git="always")
    assert {".git", ".github"} <= set(made.manifest.ignore_paths)
    (model / ".git").mkdir()
    (model / ".git/HEAD").write_text("ref")
    verified = workflows.verify(model, policy)
    assert verified.ignored == (".git",)
    verified.close()
