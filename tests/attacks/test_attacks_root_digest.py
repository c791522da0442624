"""A tree whose files were renamed in order has the root digest of the other; nothing of ours takes it for it.

The rename is honestly signed by the same author, so that the digests alone tell
the two apart: weights and the checkpoint before it changed places, say.
"""

import dataclasses
import shutil
import signal

import pytest

from admission.evidence import EvidenceCache, EvidenceRoom
from trustkit import workflows
from trustkit.artifact.leaving_out import SIGNATURE
from trustkit.cli.main import main
from trustkit.digest import digest_of
from trustkit.errors import UnavailableError, VerificationError
from trustkit.programs.deadline import Deadline
from trustkit.sealing.documents import DESCRIPTOR, SealedDocuments
from trustkit.verifying.policy import policy_from_keys
from trustkit.verifying.sealed import verify_sealed
from trustkit.verifying.verify import verify_manifest

HOST = "store.ml:8443"


@pytest.fixture(scope="session")  # as long as the estate: what it puts there has fixed names
def pair(estate):
    """Two models in the store: one, and one of the same bytes under names that keep the order."""
    first = estate.plain("acme/first/1", seed=1, size=2_000)
    renamed = estate.fresh("renamed")
    shutil.copytree(first.source, renamed, dirs_exist_ok=True)
    (renamed / "config.json").rename(renamed / "configuration.json")
    (renamed / "model.safetensors").rename(renamed / "model_old.safetensors")
    workflows.sign(renamed, estate.author)
    shutil.copytree(renamed, estate.root / "acme/second/1")
    return first, estate.root / "acme/second/1"


@pytest.fixture(scope="session")
def policy(estate):
    """Believe the author for whatever line, as plain models need."""
    return policy_from_keys(estate.author_pem)


def signed(folder, policy):
    return verify_manifest((folder / SIGNATURE).read_bytes(), policy)


def test_the_root_digest_is_the_same_and_the_manifest_digest_is_not(pair, policy, capsys):
    first, second = (signed(folder, policy) for folder in (pair[0].folder, pair[1]))
    assert first.manifest.root_digest == second.manifest.root_digest
    assert first.manifest_digest != second.manifest_digest
    said = []
    for folder in (pair[0].folder, pair[1]):
        assert main(["manifest", str(folder), "--digest"], {}) == 0
        said.append(capsys.readouterr().out.splitlines())
    assert said == [
        [f"manifest {one.manifest_digest}", f"root {one.manifest.root_digest}"] for one in (first, second)
    ]


def test_the_bundle_of_one_does_not_verify_the_other(pair, policy):
    with pytest.raises(VerificationError) as caught:
        workflows.verify(pair[1], policy, bundle=pair[0].folder / SIGNATURE)
    assert caught.value.code == "file-missing"


class Folder:
    """One artifact's documents, read from the store's disk."""

    def __init__(self, folder):
        self.folder = folder

    def document(self, name, *, max_bytes):
        if name == DESCRIPTOR:
            raise UnavailableError("not-found", "there is no such document")
        return (self.folder / name).read_bytes()

    def close(self):
        pass


def room_over(place, policy):
    """Make a webhook's evidence room whose store holds what `place` says at the moment."""
    return EvidenceRoom(
        policy,
        lambda _reference, _deadline: Folder(place["now"]),
        allowed_hosts=frozenset((HOST,)),
        document_max_bytes=1 << 20,
        cache=EvidenceCache(entries=8, seconds=60, clock=lambda: 0.0),
        now=lambda: 0.0,
    )


def test_the_webhook_pins_and_caches_by_the_manifest_digest(pair, policy):
    """The store swaps one for the other between reviews; a root digest is no pin, and nobody's key."""
    first, second = (signed(folder, policy) for folder in (pair[0].folder, pair[1]))
    place = {"now": pair[0].folder}
    room = room_over(place, policy)

    def ask(digest, where=room):
        deadline = Deadline(10.0, lambda: 0.0)
        found = where.finding(f"trust://{HOST}/acme/m@{digest}", namespace="ml", deadline=deadline)
        return found.code or found.outcome

    assert ask(first.manifest_digest) == "verified"
    assert ask(second.manifest_digest) == "digest-mismatch", "what is cached is the first alone"
    place["now"] = pair[1]
    assert ask(second.manifest_digest) == "verified"
    assert ask(first.manifest_digest) == "verified", "from the cache, by its own reference"
    assert ask(first.manifest.root_digest) == "digest-mismatch"
    assert ask(first.manifest_digest, room_over(place, policy)) == "digest-mismatch"


@pytest.fixture(scope="session")
def renamed(estate, model):
    """A sealed model of the same line, version, author and publisher: the same bytes under other names."""
    source = estate.fresh("renamed")
    shutil.copytree(model.source, source, dirs_exist_ok=True)
    (source / "config.json").rename(source / "configuration.json")
    made = workflows.sign(source, estate.author)
    folder = estate.root / "acme/renamed/1"
    folder.parent.mkdir(parents=True)
    workflows.seal(
        source,
        estate.publisher,
        output=folder,
        line="acme/tiny-llm",
        version=1,
        recipients=[estate.recipient],
        policy=policy_from_keys(estate.author_pem),
    )
    descriptor = digest_of((folder / DESCRIPTOR).read_bytes())
    return dataclasses.replace(
        model,
        source=source,
        folder=folder,
        path="acme/renamed/1",
        manifest_digest=made.manifest.manifest_digest,
        descriptor_digest=descriptor,
    )


def test_a_descriptor_of_one_does_not_seal_the_other(estate, model, renamed):
    """The author's bundle is swapped for that of the renamed model: root digest right, names wrong."""
    sound, others = estate.documents(model), estate.documents(renamed)
    mixed = SealedDocuments(sound.descriptor, others.author_bundle, sound.recipients)
    one, other = verify_sealed(sound, estate.policy), verify_sealed(others, estate.policy)
    assert one.author.manifest.root_digest == other.author.manifest.root_digest
    assert one.manifest_digest != other.manifest_digest
    with pytest.raises(VerificationError) as caught:
        verify_sealed(mixed, estate.policy)
    assert caught.value.code == "manifest-mismatch"


def test_a_sidecar_that_is_pinned_to_one_does_not_publish_the_other(
    estate, estates, model, renamed, broker, store
):
    """The renamed model is served, its own descriptor is pinned, and the manifest digest is the first's."""
    words, output = estate.arguments(renamed, store=store, broker=broker)
    with estates.Process("trustkit.sidecar", words) as process:
        process.line_with("published ")
        process.end(signal.SIGTERM)
    assert (output / "configuration.json").is_file(), "pinned as it is, it is published"
    words, output = estate.arguments(renamed, store=store, broker=broker)
    place = words.index("--reference") + 1
    words[place] = words[place].rpartition("@")[0] + f"@{model.manifest_digest}"
    with estates.Process("trustkit.sidecar", words) as process:
        assert process.end() == 1
    assert process.complained.endswith(" [digest-mismatch]\n")
    assert list(output.parent.iterdir()) == []
