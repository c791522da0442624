"""What is written for model-signing 1.1 where it reads less than OMS says; nothing is left out for it."""

import pytest

from trustkit.artifact.manifest import Manifest, Resource
from trustkit.attest.predicates.model_signature import parse_manifest, statement_of
from trustkit.attest.predicates.reference import named_for, suffix_for, unread_by
from trustkit.attest.statement import parse_statement, statement_to_bytes
from trustkit.digest import digest_of


def manifest(*parts, method="files", algorithm="sha256", shard_size=None):
    resources = tuple(Resource(path, digest_of(path.encode(), algorithm), *ends) for path, *ends in parts)
    return Manifest(resources, method=method, algorithm=algorithm, shard_size=shard_size)


FILES = manifest(("a",), ("b",))
SHARDS = manifest(("a", 0, 4), ("a", 4, 6), method="shards", shard_size=4)


def written(value, compat):
    return parse_statement(statement_to_bytes(statement_of(value, "model", compat=compat)), max_bytes=1 << 20)


def test_a_single_file_is_named_dot_for_it_and_by_its_name_for_everybody_else():
    one = manifest(("model.bin",))
    assert named_for(None, one, single=True) == one
    assert named_for("1.1", FILES, single=False) == FILES
    assert [part.name for part in named_for("1.1", one, single=True).resources] == ["."]
    shards = named_for("1.1", SHARDS, single=True)
    assert [part.name for part in shards.resources] == [".:0:4", ".:4:6"]
    assert shards.root_digest == SHARDS.root_digest
    assert shards.manifest_digest != SHARDS.manifest_digest, "names are covered"


@pytest.mark.parametrize(
    ("value", "compat", "algorithm"),
    [
        (FILES, None, "sha256"),
        (FILES, "1.1", "sha256"),
        (SHARDS, None, "sha256"),
        (SHARDS, "1.1", "sha256-sharded-4"),
    ],
)
def test_the_hash_of_shards_has_its_name_and_is_read_back_as_the_same(value, compat, algorithm):
    assert suffix_for(compat, value) == algorithm.removeprefix("sha256")
    raw = statement_to_bytes(statement_of(value, "model", compat=compat))
    assert raw.count(f'"algorithm":"{algorithm}"'.encode()) == 2
    assert parse_manifest(written(value, compat)) == value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (FILES, []),
        (manifest(("a:1",), ("empty",)), []),
        (manifest(("a",), algorithm="blake3"), ["verifies blake3 through its interface only"]),
        (manifest(("a",), algorithm="blake2b"), ["verifies blake2b through its interface only"]),
        (SHARDS, ["verifies shards through its interface only"]),
        (
            manifest(("a", 0, 4), ("x:y", 0, 3), ("z:y", 0, 3), method="shards", shard_size=4),
            ["through its interface", "cannot read 'x:y:0:3'"],
        ),
        (
            manifest(("a", 0, 4), ("empty", 0, 0), method="shards", shard_size=4),
            ["through its interface", "cannot read 'empty:0:0'"],
        ),
        (
            manifest(("a", 0, 4), method="shards", algorithm="blake3", shard_size=4),
            ["has no shards of blake3"],
        ),
    ],
)
def test_what_it_cannot_read_is_said_to_people(value, said):
    found = list(unread_by("1.1", value))
    assert len(found) == len(said)
    assert all(part in text for part, text in zip(said, found, strict=True)), found
    assert all(text.startswith("model-signing 1.1 ") for text in found)
    assert list(unread_by(None, value)) == []
