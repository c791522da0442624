"""Keys, and bundles signed by hand: the signing room and our writers have no part in them."""

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HASHES = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}


class Author:
    """A key pair of somebody who signs."""

    def __init__(self, curve):
        self.key = ec.generate_private_key(curve)
        self.pem = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.hint = hashlib.sha256(self.pem).hexdigest()

    def sign(self, message):
        return self.key.sign(message, ec.ECDSA(HASHES[self.key.curve.name]))


def b64(raw):
    return base64.b64encode(raw).decode("ascii")


@pytest.fixture(scope="session")
def people():
    """Distinct signers: three on each curve would change nothing, so one on each, and spares."""
    curves = {
        "alice": ec.SECP256R1(),
        "bob": ec.SECP384R1(),
        "carol": ec.SECP521R1(),
        "mallory": ec.SECP256R1(),
    }
    return {name: Author(curve) for name, curve in curves.items()}


@pytest.fixture(scope="session")
def alice(people):
    return people["alice"]


@pytest.fixture(scope="session")
def oms_payload():
    """Make the payload of an OMS statement about {name: content}."""

    def make(files, **serialization):
        resources = [
            {"name": name, "algorithm": "sha256", "digest": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        ]
        root = hashlib.sha256(b"".join(bytes.fromhex(entry["digest"]) for entry in resources)).hexdigest()
        said = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []}
        said.update(serialization)
        return json.dumps(
            {
                "_type": "https://in-toto.io/Statement/v1",
                "subject": [{"name": "model", "digest": {"sha256": root}}],
                "predicateType": "https://model_signing/signature/v1.0",
                "predicate": {
                    "resources": resources,
                    "serialization": {key: value for key, value in said.items() if value is not None},
                },
            },
            indent=2,
        ).encode()

    return make


@pytest.fixture(scope="session")
def bundled():
    """Wrap a payload and its signatures into a bundle; the signers sign the PAE unless told otherwise."""

    def make(payload, *signers, signatures=None, signed=None, material=None, as_object=False):
        kind = "application/vnd.in-toto+json"
        pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
        made = [signer.sign(pae if signed is None else signed) for signer in signers]
        hint = signers[0].hint if signers else "00" * 32
        value = {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": material or {"publicKey": {"hint": hint}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": b64(payload),
                "payloadType": kind,
                "signatures": [{"sig": b64(sig), "keyid": ""} for sig in [*made, *(signatures or [])]],
            },
        }
        return value if as_object else json.dumps(value).encode()

    return make


@pytest.fixture(scope="session")
def policy_text(people):
    """Write a VerificationPolicy: names to roles, and what else stands in the spec."""

    def make(roles, **spec):
        authorities = [
            {"name": name, "roles": list(said), "key": {"pem": people[name].pem.decode()}}
            for name, said in roles.items()
        ]
        return json.dumps(
            {
                "apiVersion": "trustkit.dev/v1alpha1",
                "kind": "VerificationPolicy",
                "metadata": {"name": "house"},
                "spec": {"authorities": authorities, **spec},
            }
        ).encode()

    return make


@pytest.fixture(scope="session")
def no_files():
    """A reader for policies that must not ask for one."""

    def read(name):
        raise AssertionError(f"nobody asked for {name}")

    return read
