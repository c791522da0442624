"""Documents as writers make them, written by hand: nothing here goes through the code under test."""

import base64
import copy
import hashlib
import json

import pytest


@pytest.fixture(scope="session")
def b64():
    return lambda raw: base64.b64encode(raw).decode("ascii")


@pytest.fixture
def envelope(b64):
    """A well-formed envelope, to be damaged."""
    return {
        "payload": b64(b'{"a": 1}'),
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"sig": b64(b"signature"), "keyid": ""}],
    }


@pytest.fixture
def bundle(envelope):
    """A well-formed bundle as model-signing 1.1 writes it, to be damaged."""
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": "ab" * 32}, "tlogEntries": []},
        "dsseEnvelope": envelope,
    }


@pytest.fixture(scope="session")
def resource():
    """Make one resource of a manifest; the content decides the digest."""

    def make(name, content=b"x", algorithm="sha256", **more):
        digest = hashlib.new("sha256" if algorithm.startswith("sha256") else algorithm, content).hexdigest()
        return {"name": name, "algorithm": algorithm, "digest": digest, **more}

    return make


@pytest.fixture(scope="session")
def oms():
    """Make an OMS statement whose root digest fits its resources."""

    def make(resources, *, subject=None, **serialization):
        root = hashlib.sha256(b"".join(bytes.fromhex(entry["digest"]) for entry in resources)).hexdigest()
        said = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []}
        said.update(serialization)
        return {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "model", "digest": {"sha256": root}}] if subject is None else subject,
            "predicateType": "https://model_signing/signature/v1.0",
            "predicate": {
                "resources": copy.deepcopy(resources),
                "serialization": {key: value for key, value in said.items() if value is not None},
            },
        }

    return make


@pytest.fixture(scope="session")
def to_bytes():
    return lambda value: json.dumps(value).encode()
