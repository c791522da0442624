"""The manifest's two digests: one covers names and is pinned, the other is OMS's and covers none."""

import hashlib

import pytest

from trustkit.artifact.manifest import Manifest, Resource
from trustkit.digest import digest_of

A, B = digest_of(b"a"), digest_of(b"b", "blake3")


def test_the_manifest_digest_is_what_the_definition_says():
    manifest = Manifest((Resource('b/"x"', A), Resource("é", B), Resource("a", A, 0, 5)))
    lines = f'sha256:{A.hex} "a:0:5"\nsha256:{A.hex} "b/\\"x\\""\nblake3:{B.hex} "é"\n'
    assert manifest.manifest_digest.value == hashlib.sha256(lines.encode()).digest()
    assert manifest.manifest_digest.algorithm == "sha256"


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
    assert Manifest(shards, method="shards", shard_size=5).file_names == ("b", "a")
