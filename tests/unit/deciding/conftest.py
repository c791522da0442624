"""Engines and proofs for the rooms that decide: the compiled rules, odd rules, a model that was verified."""

from pathlib import Path

import pytest

from trustkit.artifact.manifest import Manifest, Resource
from trustkit.attest.bundle import Bundle, PublicKeyHint, bundle_to_bytes
from trustkit.attest.dsse import PAYLOAD_TYPE, Envelope, Signature, pae
from trustkit.attest.predicates.model_signature import statement_of
from trustkit.attest.predicates.sealed import statement_of_sealed
from trustkit.attest.statement import statement_to_bytes
from trustkit.deciding.wasm import WasmEngine, packaged_bundle
from trustkit.digest import digest_of
from trustkit.sealing.descriptor import SUITE_FLOE_AES256GCM, Descriptor, Part
from trustkit.sealing.documents import SealedDocuments
from trustkit.sealing.floe import Parameters, ciphertext_length
from trustkit.signing.key import generate_key, load_signer
from trustkit.verifying.policy import policy_from_keys
from trustkit.verifying.sealed import verify_sealed
from trustkit.verifying.verify import verify_manifest

VECTORS = Path(__file__).parents[2] / "vectors" / "rules"


@pytest.fixture(scope="session")
def vector():
    """Read the bundle of a case of tests/vectors/rules."""
    return lambda name: (VECTORS / name / "rules.tar.gz").read_bytes()


@pytest.fixture(scope="session")
def engine():
    """The rules of this version."""
    engine = WasmEngine.load(packaged_bundle())
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def odd(vector):
    """Rules that give no decisions, each entry point in its own way."""
    engine = WasmEngine.load(vector("odd"))
    yield engine
    engine.close()


class Proofs:
    """A manifest that an author signed, and the same model sealed by a publisher; both really verified."""

    def __init__(self, folder):
        author, author_pem = _signer(folder, "author")
        publisher, publisher_pem = _signer(folder, "publisher")
        policy = policy_from_keys(author_pem, publisher_pem)
        manifest = Manifest((Resource("model.safetensors", digest_of(b"weights")),))
        signature = _signed(statement_of(manifest, "model"), author)
        parameters = Parameters()
        part = Part(
            "model.safetensors", 7, ciphertext_length(7, parameters), digest_of(b"blob"), digest_of(b"header")
        )
        descriptor = Descriptor(
            line="acme/tiny-llm",
            version=3,
            suite=SUITE_FLOE_AES256GCM,
            segment_length=parameters.segment_length,
            dek_id="ab" * 16,
            key_commitment=digest_of(b"key"),
            publisher_key=publisher.fingerprint,
            manifest_digest=manifest.manifest_digest,
            parts=(part,),
        )
        bundle = _signed(statement_of_sealed(descriptor, root_digest=manifest.root_digest), publisher)
        self.plain = verify_manifest(signature, policy)
        self.sealed = verify_sealed(SealedDocuments(bundle, signature, b""), policy)


def _signer(folder, name):
    private, public = generate_key("p256", passphrase=None)
    path = folder / f"{name}.pem"
    path.write_bytes(private)
    return load_signer(path, passphrase=None), public


def _signed(statement, signer):
    payload = statement_to_bytes(statement)
    envelope = Envelope(payload, PAYLOAD_TYPE, (Signature(signer.sign(pae(PAYLOAD_TYPE, payload))),))
    return bundle_to_bytes(Bundle(envelope, PublicKeyHint(signer.hint)))


@pytest.fixture(scope="session")
def proofs(tmp_path_factory):
    return Proofs(tmp_path_factory.mktemp("proofs"))
