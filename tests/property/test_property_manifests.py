"""Signed manifests: what we write we read, order is kept where it counts, documents hold no surprise."""

import hashlib
import json
import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trustkit.artifact.manifest import Manifest, Resource
from trustkit.attest.predicates.model_signature import parse_manifest, statement_of
from trustkit.attest.statement import parse_statement, statement_to_bytes
from trustkit.digest import digest_of
from trustkit.errors import FormatError, TrustkitError

CAP = 1 << 20

# Letters that neither fold into each other nor normalise: distinct texts stay distinct names.
components = st.text(alphabet="abxyz019:_-+ é模", min_size=1, max_size=6)
files = st.lists(components, min_size=1, max_size=3).map("/".join)
contents = st.binary(max_size=30)
algorithms = st.sampled_from(["sha256", "blake2b", "blake3"])


def unclashing(names):
    """Leave out what would be a file and a folder at once."""
    folders = {name.rsplit("/", level)[0] for name in names for level in range(1, name.count("/") + 1)}
    return [name for name in names if name not in folders]


@st.composite
def manifests(draw):
    tree = draw(st.dictionaries(files, contents, min_size=1, max_size=6))
    algorithm = draw(algorithms)
    size = draw(st.none() | st.integers(1, 40))
    resources = []
    for name in unclashing(list(tree)):
        content = tree[name]
        if size is None:
            resources.append(Resource(name, digest_of(content, algorithm)))
            continue
        for start in range(0, max(len(content), 1), size):
            part = content[start : start + size]
            resources.append(Resource(name, digest_of(part, algorithm), start, start + len(part)))
    ignores = draw(st.lists(st.sampled_from(["Model.sig", ".git", "Q/R"]), unique=True))
    return Manifest(
        tuple(draw(st.permutations(resources))),
        "files" if size is None else "shards",
        algorithm,
        size,
        allow_symlinks=draw(st.booleans()),
        ignore_paths=tuple(ignores),
    )


def read(raw):
    return parse_manifest(parse_statement(raw, max_bytes=CAP))


@settings(deadline=None, max_examples=200)
@given(manifests(), st.text(min_size=1, max_size=10))
def test_what_is_written_is_read(manifest, name):
    raw = statement_to_bytes(statement_of(manifest, name))
    assert read(raw) == manifest
    assert statement_to_bytes(statement_of(read(raw), name)) == raw


@settings(deadline=None)
@given(manifests(), st.randoms(use_true_random=False))
def test_order_moves_the_root_digest_and_not_the_manifest_digest(manifest, random):
    shuffled = list(manifest.resources)
    random.shuffle(shuffled)
    other = Manifest(
        tuple(shuffled),
        manifest.method,
        manifest.algorithm,
        manifest.shard_size,
        ignore_paths=manifest.ignore_paths,
    )
    assert other.manifest_digest == manifest.manifest_digest
    digests = [resource.digest.value for resource in other.resources]
    assert other.root_digest.value == hashlib.sha256(b"".join(digests)).digest()
    assert read(statement_to_bytes(statement_of(other, "m"))).resources == tuple(shuffled)


@settings(deadline=None)
@given(manifests(), st.data())
def test_any_other_name_or_digest_moves_the_manifest_digest(manifest, data):
    index = data.draw(st.integers(0, len(manifest.resources) - 1))
    chosen = manifest.resources[index]
    changed = data.draw(
        st.sampled_from(
            [
                Resource(chosen.path + "!", chosen.digest, chosen.start, chosen.end),
                Resource(
                    chosen.path, digest_of(b"other content", manifest.algorithm), chosen.start, chosen.end
                ),
            ]
        )
    )
    resources = (*manifest.resources[:index], changed, *manifest.resources[index + 1 :])
    other = Manifest(resources, manifest.method, manifest.algorithm, manifest.shard_size)
    assert other.manifest_digest != manifest.manifest_digest


@settings(deadline=None, max_examples=300)
@given(st.lists(st.text(alphabet="aAbB/.é\u0301É\\\n", min_size=1, max_size=6), min_size=1, max_size=4))
def test_names_that_are_believed_stay_apart_on_any_file_system(names):
    """An oracle of its own: fold, normalise, and look at every folder on the way."""
    resources = tuple(Resource(name, digest_of(b"")) for name in names)
    entries = [
        {"name": resource.name, "algorithm": "sha256", "digest": resource.digest.hex}
        for resource in resources
    ]
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "m", "digest": {"sha256": Manifest(resources).root_digest.hex}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "resources": entries,
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
        },
    }
    try:
        found = read(json.dumps(statement).encode())
    except FormatError:
        return
    assume(found.file_names != (".",))
    folded = [unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold()) for name in names]
    assert len(set(folded)) == len(names)
    for name in folded:
        assert not any(other.startswith(f"{name}/") for other in folded)
        assert not {"", ".", ".."} & set(name.split("/"))
        assert not {"\\", "\n"} & set(name)


damaged = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["a", "a:0:5", "a:5:9", "b:0:0", ".", "../x", "a/b", "A", "a:0:5:0:5"]) | st.text(
    max_size=8
)
resources = st.lists(
    st.fixed_dictionaries(
        {
            "name": names | damaged,
            "algorithm": st.sampled_from(["sha256", "sha256-sharded-5", "blake3"]) | damaged,
            "digest": st.sampled_from(["ab" * 32, "AB" * 32, "ab"]) | damaged,
        }
    )
    | damaged,
    max_size=4,
)
serializations = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["files", "shards"]) | damaged,
        "hash_type": st.sampled_from(["sha256", "blake3"]) | damaged,
        "allow_symlinks": st.booleans() | damaged,
    },
    optional={
        "shard_size": st.sampled_from([5, 5.0, 0, -1, 1e308, 2**63, 5.5]) | damaged,
        "ignore_paths": st.lists(names | damaged, max_size=3) | damaged,
        "extra": damaged,
    },
)


@settings(deadline=None, max_examples=500)
@given(
    resources | damaged, serializations | damaged, st.dictionaries(st.text(max_size=5), damaged, max_size=1)
)
def test_any_predicate_is_answered(entries, serialization, more):
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "m", "digest": {"sha256": "ab" * 32}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {"resources": entries, "serialization": serialization, **more},
    }
    with pytest.raises(TrustkitError):  # at the latest, the root digest does not fit
        read(json.dumps(statement).encode())
