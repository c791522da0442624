"""The manifest's two digests: one covers names and is pinned, the other is OMS's and covers none."""

import hashlib

import pytest

from trustkit.artifact.manifest import Manifest, Resource, Resources
from trustkit.digest import digest_of

A, B = digest_of(b"a"), digest_of(b"b")


def test_the_manifest_digest_is_what_the_definition_says():
    manifest = Manifest((Resource('b/"x"', A), Resource("é", B), Resource("a:0:5", A)))
    lines = f'sha256:{A.hex} "a:0:5"\nsha256:{A.hex} "b/\\"x\\""\nsha256:{B.hex} "é"\n'
    assert manifest.manifest_digest.value == hashlib.sha256(lines.encode()).digest()
    assert manifest.manifest_digest.algorithm == "sha256"


@pytest.mark.parametrize("algorithm", ["blake2b", "blake3"])
def test_the_manifest_digest_covers_the_algorithm(algorithm):
    digest = digest_of(b"a", algorithm)
    manifest = Manifest((Resource("a", digest),), algorithm=algorithm)
    assert manifest.manifest_digest == digest_of(f'{algorithm}:{digest.hex} "a"\n'.encode())
    assert manifest.root_digest == digest_of(digest.value)


def test_a_known_answer():
    """Pins rest on this digest: it may never change."""
    manifest = Manifest((Resource("config.json", digest_of(b"{}")), Resource("model.bin", digest_of(b""))))
    assert manifest.manifest_digest.hex == KNOWN_MANIFEST
    assert manifest.root_digest.hex == KNOWN_ROOT


KNOWN_MANIFEST = hashlib.sha256(
    b'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a "config.json"\n'
    b'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 "model.bin"\n'
).hexdigest()
KNOWN_ROOT = hashlib.sha256(
    bytes.fromhex(
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
).hexdigest()


def test_a_rename_that_keeps_the_order_keeps_the_root_and_moves_the_pin():
    before, after = (Manifest((Resource(name, A), Resource("z", B))) for name in ("a", "b"))
    assert before.root_digest == after.root_digest
    assert before.manifest_digest != after.manifest_digest


def test_order_moves_the_root_and_keeps_the_pin():
    one, other = Resource("a", A), Resource("b", B)
    assert Manifest((one, other)).root_digest != Manifest((other, one)).root_digest
    assert Manifest((one, other)).manifest_digest == Manifest((other, one)).manifest_digest


def test_names_sort_by_code_points():
    names = ["a/b", "a-b", "a.b", "f:10:12", "f:2:4", "\N{GRINNING FACE}", "\ufffd"]
    manifest = Manifest(tuple(Resource(name, A) for name in names))
    lines = "".join(f'sha256:{A.hex} "{name}"\n' for name in sorted(names, key=lambda n: [*map(ord, n)]))
    assert manifest.manifest_digest.value == hashlib.sha256(lines.encode()).digest()


@pytest.mark.parametrize(
    ("resource", "name"), [(Resource("a/b", A), "a/b"), (Resource("a:1:2", A, 0, 10), "a:1:2:0:10")]
)
def test_names_of_resources(resource, name):
    assert resource.name == name


def test_files_of_shards_are_named_once_in_document_order():
    shards = (Resource("b", A, 0, 5), Resource("a", A, 0, 5), Resource("b", A, 5, 9))
    manifest = Manifest(shards, method="shards", shard_size=5)
    assert (manifest.file_names, manifest.file_count) == (("b", "a"), 2)
    assert Manifest(PARTS).file_count == 3


PARTS = (Resource("b", A), Resource("a", B), Resource("c/d", A))
SHARDS = (Resource("b:1", A, 0, 5), Resource("b:1", B, 5, 9))


@pytest.mark.parametrize(("parts", "more"), [(PARTS, {}), (SHARDS, {"method": "shards", "shard_size": 5})])
def test_columns_are_the_parts_they_were_made_of(parts, more):
    found = Manifest(parts, **more).resources
    assert (found, tuple(found), len(found)) == (parts, parts, len(parts))
    assert (found[0], found[-1], found[1:]) == (parts[0], parts[-1], parts[1:])
    assert found == Manifest(list(parts), **more).resources
    assert hash(found) == hash(parts)
    assert found != Manifest(parts[:1], **more).resources
    assert repr(found) == f"<{len(parts)} resources, sha256>"
    with pytest.raises(IndexError):
        found[len(parts)]


def test_thousands_of_parts_are_sorted_and_digested_as_a_few():
    names = [f"d{number % 7}/{number}" for number in range(10_000)]
    manifest = Manifest([Resource(name, digest_of(name.encode())) for name in names])
    lines = "".join(f'sha256:{digest_of(name.encode()).hex} "{name}"\n' for name in sorted(names))
    assert manifest.manifest_digest == digest_of(lines.encode())
    values = b"".join(digest_of(name.encode()).value for name in names)
    assert manifest.root_digest == digest_of(values)


@pytest.mark.parametrize(
    ("parts", "more"),
    [
        (PARTS, {"algorithm": "blake3"}),
        ((PARTS[0], SHARDS[0]), {}),
        ((SHARDS[0], PARTS[0]), {"method": "shards", "shard_size": 5}),
        (SHARDS, {}),
        (Resources("blake3", ["a"], b"x" * 32, ranged=False), {}),
    ],
)
def test_parts_of_another_hash_or_method_make_no_manifest(parts, more):
    with pytest.raises(ValueError, match="hash"):
        Manifest(parts, **more)


def test_every_name_has_a_digest():
    with pytest.raises(ValueError, match="a digest for every name"):
        Resources("sha256", ["a", "b"], A.value, ranged=False)
