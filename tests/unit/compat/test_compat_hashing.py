"""Hashing through the reference's interface: settings have effects, and no call changes the next one."""

import os
from pathlib import Path

import pytest

from trustkit.compat.model_signing import hashing


def items(manifest):
    return [item.identifier for item in manifest.resource_descriptors()]


def test_the_default_is_whole_files_and_sha256_in_the_order_of_components(place):
    found = hashing.hash("model")
    assert items(found) == ["a/b", "a-b", "a.b", "notes/README.md"]
    assert found.model_name == "model"
    kind = found.serialization_type
    assert (kind["method"], kind["hash_type"], kind["allow_symlinks"]) == ("files", "sha256", False)
    assert "shard_size" not in kind
    assert {".git", ".gitattributes", ".github", ".gitignore", "model.sig"} <= set(kind["ignore_paths"])
    digest = next(found.resource_descriptors()).digest
    assert (digest.algorithm, digest.digest_size) == ("sha256", 32)
    assert digest.digest_hex == digest.digest_value.hex()
    assert repr(found) == "<Manifest of 'model': 4 items>"


def test_equality_is_of_items_alone(place):
    one, two = hashing.hash("model"), hashing.Config().set_ignored_paths(paths=["nothing"]).hash("model")
    assert one == two
    assert hash(one) == hash(two)
    assert one != hashing.Config().use_file_serialization(hashing_algorithm="blake3").hash("model")
    assert one != "model"


def test_shards(place):
    config = hashing.Config().use_shard_serialization(shard_size=10, hashing_algorithm="blake2")
    found = config.hash("model.bin")
    assert items(found) == [".:0:10", ".:10:20", ".:20:25"]
    assert found.serialization_type["shard_size"] == 10
    assert {item.digest.algorithm for item in found.resource_descriptors()} == {"blake2b-sharded-10"}
    assert items(hashing.Config().use_shard_serialization(hashing_algorithm="blake3").hash("model.bin")) == [
        "."
    ]


@pytest.mark.parametrize("path", [".", "../model", "a/.."])
def test_the_name_of_a_model_that_is_reached_sideways(place, monkeypatch, path):
    monkeypatch.chdir(place / "model")
    assert hashing.hash(path).model_name == "model"


@pytest.mark.parametrize("kind", [str, os.fsencode, Path])
def test_paths_of_every_kind(place, kind):
    config = hashing.Config().set_ignored_paths(paths=[kind("notes"), kind(str(place / "model/a"))])
    config.add_ignored_paths(model_path=kind("model"), paths=[kind("a-b")])
    assert items(config.hash(kind("model"))) == ["a.b"]
    files = [kind("model/a.b"), kind("model/a"), kind("model/notes/README.md")]
    assert items(config.hash(kind("model"), files_to_hash=files)) == ["a.b"]
    assert items(hashing.Config().hash("model.bin", files_to_hash=[kind("./model.bin")])) == ["."]


def test_what_lies_outside_is_no_part_of_the_model(place, refused):
    config = hashing.Config().set_ignored_paths(paths=["../key", "/elsewhere", "."])
    assert len(items(config.hash("model"))) == 4
    for model in ("model", "model.bin"):
        with refused("no-such-file", FileNotFoundError):
            hashing.Config().hash(model, files_to_hash=["key"])
    with refused("no-such-file", FileNotFoundError):
        hashing.Config().hash("model", files_to_hash=["model/gone"])


def test_git_paths(place):
    (place / "model/.gitignore").write_text("*")
    assert ".gitignore" not in items(hashing.hash("model"))
    assert ".gitignore" in items(
        hashing.Config().set_ignored_paths(paths=[], ignore_git_paths=False).hash("model")
    )


def test_links_the_last_word_is_that_of_the_configuration(place, refused):
    (place / "model/alias").symlink_to("a-b")
    with refused("symlink"):
        hashing.hash("model")
    allowed = hashing.Config().use_file_serialization(allow_symlinks=True)
    assert "alias" in items(allowed.hash("model"))
    assert "alias" in items(hashing.Config().set_allow_symlinks(True).use_file_serialization().hash("model"))
    with refused("symlink"):
        allowed.set_allow_symlinks(False).hash("model")
    with refused("symlink"):
        hashing.Config().use_file_serialization(allow_symlinks=True).use_shard_serialization().hash("model")


def test_what_the_serialization_leaves_out_is_left_out(place):
    config = hashing.Config().use_file_serialization(ignore_paths=["notes"]).set_ignored_paths(paths=["a"])
    found = config.hash("model")
    assert items(found) == ["a-b", "a.b"]
    assert {"a", "notes"} <= set(found.serialization_type["ignore_paths"])
    assert items(config.use_file_serialization().hash("model")) == ["a-b", "a.b", "notes/README.md"]


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"hashing_algorithm": "md5"}, "bad-hashing-config"),
        ({"chunk_size": -1}, "bad-hashing-config"),
        ({"max_workers": 0}, "bad-hashing-config"),
        ({"shard_size": 0}, "bad-shard-size"),
        ({"shard_size": -5, "hashing_algorithm": "blake3"}, "bad-shard-size"),
        ({"ignore_paths": [""]}, "no-such-path"),
    ],
)
def test_settings_that_nothing_can_be_hashed_with(settings, code, refused):
    with refused(code):
        hashing.Config().use_shard_serialization(**settings)


def test_refusals_are_value_errors(place, refused):
    (place / "nothing").mkdir()
    with refused("empty-model"):
        hashing.hash("nothing")
    with refused("no-such-path", FileNotFoundError):
        hashing.hash("gone")
    with refused("no-such-path"):
        hashing.hash("")
    with refused("no-such-path"):
        hashing.Config().set_ignored_paths(paths=[""])
