"""Published schemas and vectors of OMS v1.0, where TRUSTKIT_VECTORS names a folder that holds them."""

import base64
import json
import os
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from trustkit.artifact import manifest as artifact
from trustkit.attest.bundle import Bundle, CertificateChain, PublicKeyHint, bundle_to_bytes, parse_bundle
from trustkit.attest.dsse import PAYLOAD_TYPE, Envelope, Signature
from trustkit.attest.predicates.model_signature import parse_manifest, statement_of
from trustkit.attest.statement import parse_statement, statement_to_bytes
from trustkit.digest import digest_of
from trustkit.errors import FormatError, TrustkitError, VerificationError

FOLDER = Path(os.environ.get("TRUSTKIT_VECTORS", "/nowhere"), "oms")
VECTORS = FOLDER / "test-vectors/v1.0"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="TRUSTKIT_VECTORS names no folder with oms/ in it"
)


@pytest.fixture(scope="session")
def schema():
    """Make a validator for one of the four published schemas, which refer to each other."""
    documents = [json.loads(path.read_text()) for path in (FOLDER / "schemas/v1.0").glob("*.json")]
    registry = Registry().with_resources((d["$id"], Resource.from_contents(d)) for d in documents)

    def validator(name):
        [found] = [d for d in documents if d["$id"] == f"https://model_signing/{name}/v1.0/schema"]
        return Draft202012Validator(found, registry=registry)

    return validator


def manifest(method, algorithm, **more):
    digest = digest_of(b"x", algorithm)
    ranges = [(0, 5), (5, 6)] if method == "shards" else [(None, None)]
    resources = tuple(artifact.Resource(path, digest, *pair) for path in ("a", "b:c/d e") for pair in ranges)
    size = 5 if method == "shards" else None
    return artifact.Manifest(resources, method, algorithm, size, **more)


@pytest.mark.parametrize("method", ["files", "shards"])
@pytest.mark.parametrize("algorithm", ["sha256", "blake2b", "blake3"])
@pytest.mark.parametrize("more", [{}, {"ignore_paths": (".git", "model.sig"), "allow_symlinks": True}])
def test_what_we_write_validates_against_all_four_schemas(schema, method, algorithm, more):
    payload = statement_to_bytes(statement_of(manifest(method, algorithm, **more), "model"))
    envelope = Envelope(payload, PAYLOAD_TYPE, (Signature(b"signature"),))
    bundle = json.loads(bundle_to_bytes(Bundle(envelope, PublicKeyHint("ab" * 32))))
    statement = json.loads(payload)
    schema("bundle").validate(bundle)
    schema("envelope").validate(bundle["dsseEnvelope"])
    schema("statement").validate(statement)
    schema("predicate").validate(statement["predicate"])


def test_the_schemas_can_fail(schema):
    assert not schema("bundle").is_valid({"mediaType": "application/json"})
    assert not schema("statement").is_valid({})


@pytest.mark.parametrize(
    ("name", "kind"),
    [("key", PublicKeyHint), ("certificate", CertificateChain), ("sigstore", CertificateChain)],
)
def test_valid_bundles_are_read_whole(name, kind):
    raw = (VECTORS / f"valid/{name}.bundle.json").read_bytes()
    bundle = parse_bundle(raw)
    assert isinstance(bundle.material, kind)
    found = parse_manifest(parse_statement(bundle.envelope.payload, max_bytes=1 << 20))
    payload = json.loads(base64.b64decode(json.loads(raw)["dsseEnvelope"]["payload"]))
    assert [r.name for r in found.resources] == [r["name"] for r in payload["predicate"]["resources"]]
    assert set(found.ignore_paths) == set(payload["predicate"]["serialization"]["ignore_paths"])


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("empty", "bad-json"),
        ("missing-envelope", "missing-field"),
        ("missing-verification-material", "missing-field"),
        ("missing-tlog-entries", "missing-log-entry"),
    ],
)
def test_invalid_bundles_are_refused_by_form(name, code):
    with pytest.raises(FormatError) as caught:
        parse_bundle((VECTORS / f"invalid/{name}.bundle.json").read_bytes())
    assert caught.value.code == code


def test_every_invalid_bundle_is_refused():
    paths = sorted((VECTORS / "invalid").glob("*.json"))
    assert len(paths) >= 4
    for path in paths:
        with pytest.raises(TrustkitError):
            parse_bundle(path.read_bytes())


def test_another_predicate_is_refused_when_it_is_read():
    bundle = parse_bundle((VECTORS / "invalid-payload/wrong-predicate.bundle.json").read_bytes())
    with pytest.raises(VerificationError) as caught:
        parse_manifest(parse_statement(bundle.envelope.payload, max_bytes=1 << 20))
    assert caught.value.code == "wrong-predicate-type"
