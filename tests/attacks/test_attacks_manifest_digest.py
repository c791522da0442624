"""Two manifests, one manifest digest: the method is not in it, and nothing is gained by that."""

import dataclasses

import pytest

from trustkit.artifact.manifest import Manifest, Resource
from trustkit.attest.bundle import Bundle, PublicKeyHint, bundle_to_bytes
from trustkit.attest.dsse import PAYLOAD_TYPE, Envelope, Signature, pae
from trustkit.attest.predicates.model_signature import statement_of
from trustkit.attest.predicates.sealed import statement_of_sealed
from trustkit.attest.statement import statement_to_bytes
from trustkit.digest import digest_of
from trustkit.errors import VerificationError
from trustkit.sealing.descriptor import SUITE_FLOE_AES256GCM, Descriptor, Part
from trustkit.sealing.documents import SealedDocuments
from trustkit.sealing.floe import Parameters, ciphertext_length
from trustkit.signing.key import generate_key, load_signer
from trustkit.verifying.compare import verify_tree
from trustkit.verifying.policy import policy_from_keys
from trustkit.verifying.sealed import verify_sealed
from trustkit.verifying.verify import verify_manifest

BYTES = b"12345"
AS_FILE = Manifest((Resource("a:0:5", digest_of(BYTES)),))
AS_SHARD = Manifest((Resource("a", digest_of(BYTES), 0, 5),), method="shards", shard_size=5)
NAMES = {"files": "a:0:5", "shards": "a"}


@pytest.fixture(scope="module")
def author(tmp_path_factory):
    key = tmp_path_factory.mktemp("keys") / "author.key"
    key.write_bytes(generate_key("p256", passphrase=None)[0])
    return load_signer(key, passphrase=None)


def bundle(statement, signer):
    payload = statement_to_bytes(statement)
    envelope = Envelope(payload, PAYLOAD_TYPE, (Signature(signer.sign(pae(PAYLOAD_TYPE, payload))),))
    return bundle_to_bytes(Bundle(envelope, PublicKeyHint(signer.hint)))


def believed(manifest, author):
    policy = policy_from_keys(author.public_pem())
    return verify_manifest(bundle(statement_of(manifest, "m"), author), policy)


def test_both_have_one_digest():
    """The formula is settled, and pins rest on it: this is how it is."""
    assert AS_FILE.manifest_digest == AS_SHARD.manifest_digest
    assert AS_FILE.root_digest == AS_SHARD.root_digest
    assert AS_FILE != AS_SHARD


@pytest.mark.parametrize("manifest", [AS_FILE, AS_SHARD])
def test_a_folder_is_held_against_the_method_that_was_signed(manifest, author, tmp_path):
    signed = believed(manifest, author)
    for method, name in NAMES.items():
        folder = tmp_path / method
        folder.mkdir()
        (folder / name).write_bytes(BYTES)
        if method == manifest.method:
            assert verify_tree(folder, signed).files == (name,)
            continue
        with pytest.raises(VerificationError) as caught:
            verify_tree(folder, signed)
        assert caught.value.code == "file-missing"


def descriptor_for(manifest, publisher):
    name = NAMES[manifest.method]
    length = ciphertext_length(len(BYTES), Parameters(1 << 20))
    part = Part(name, len(BYTES), length, digest_of(b"blob"), digest_of(b"header"))
    return Descriptor(
        line="acme/tiny",
        version=1,
        suite=SUITE_FLOE_AES256GCM,
        segment_length=1 << 20,
        dek_id="0" * 32,
        key_commitment=digest_of(b"commitment"),
        publisher_key=publisher.fingerprint,
        manifest_digest=manifest.manifest_digest,
        parts=(part,),
    )


@pytest.mark.parametrize(("sealed", "signed"), [(AS_FILE, AS_SHARD), (AS_SHARD, AS_FILE)])
def test_a_descriptor_fits_the_manifest_whose_files_it_lists(sealed, signed, author):
    """Digests agree, and the names of files do not."""
    policy = dataclasses.replace(policy_from_keys(author.public_pem()))
    outer = bundle(
        statement_of_sealed(descriptor_for(sealed, author), root_digest=sealed.root_digest), author
    )
    for manifest in (sealed, signed):
        documents = SealedDocuments(outer, bundle(statement_of(manifest, "m"), author), b"")
        if manifest is sealed:
            assert verify_sealed(documents, policy).manifest_digest == sealed.manifest_digest
            continue
        with pytest.raises(VerificationError) as caught:
            verify_sealed(documents, policy)
        assert caught.value.code == "parts-mismatch"
