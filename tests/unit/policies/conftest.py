"""The compiled rules, the sources they were compiled from, and documents to ask them about."""

import copy
import json
import os
import shutil
from pathlib import Path

import jsonschema
import pytest

from trustkit.deciding.wasm import WasmEngine, packaged_bundle

ROOT = Path(__file__).parents[3]
POLICIES = ROOT / "policies"
DIGEST = "sha256:" + "0123456789abcdef" * 4

EVIDENCE = {
    "line": "acme/tiny-llm",
    "version": 3,
    "manifest_digest": DIGEST,
    "descriptor_digest": "sha256:" + "fedcba9876543210" * 4,
    "publishers": ["registry"],
    "authors": ["training"],
    "sealed": True,
}
MODEL = {
    "path": "spec.containers[0].args[1]",
    "reference": f"trust://store.ml:8443/acme/tiny-llm@{DIGEST}",
    "scheme": "trust",
    "pinned": True,
    "confidence": "certain",
    "outcome": "verified",
    "code": "",
    "message": "",
    "remedy": "",
    "evidence": EVIDENCE,
}
ADMISSION = {
    "version": "trustkit.dev/facts/v1",
    "action": "admit",
    "object": {
        "kind": "Pod",
        "namespace": "ml",
        "name": "server",
        "operation": "CREATE",
        "subresource": "",
        "service_account": "default",
        "gpu": True,
        "reserved_annotations": [],
    },
    "models": [MODEL],
    "unresolved": [],
}
GRANT = {
    "spiffe_id": "spiffe://demo.test/ns/ml/sa/server",
    "lines": ["acme/tiny-llm"],
    "publishers": ["registry"],
    "authors": ["training"],
}
RELEASE = {
    "version": "trustkit.dev/facts/v1",
    "action": "release",
    "peer": {"spiffe_id": "spiffe://demo.test/ns/ml/sa/server", "trust_domain": "demo.test"},
    "artifact": EVIDENCE,
    "grants": [GRANT],
}


class Documents:
    """Good facts of both kinds, fresh each time, and ways to change them."""

    def admission(self, **changes):
        return {**copy.deepcopy(ADMISSION), **changes}

    def release(self, **changes):
        return {**copy.deepcopy(RELEASE), **changes}

    def model(self, **changes):
        return {**copy.deepcopy(MODEL), **changes}

    def evidence(self, **changes):
        return {**EVIDENCE, **changes}

    def plain(self, **changes):
        empty = {"line": "", "version": 0, "descriptor_digest": "", "publishers": [], "sealed": False}
        return {**EVIDENCE, **empty, **changes}

    def grant(self, **changes):
        return {**GRANT, **changes}

    def refused(self, **changes):
        return self.model(
            **{
                "reference": "trust://store.ml:8443/acme/tiny-llm:latest",
                "pinned": False,
                "outcome": "refused",
                "code": "not-pinned",
                "message": "the reference names no digest",
                "remedy": "append the digest",
                "evidence": None,
                **changes,
            }
        )


@pytest.fixture(scope="session")
def documents():
    return Documents()


@pytest.fixture(scope="session")
def engine():
    engine = WasmEngine.load(packaged_bundle())
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def policies():
    return POLICIES


@pytest.fixture(scope="session")
def sources():
    """The rules, without their tests: name to text."""
    return {
        path.relative_to(POLICIES).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(POLICIES.rglob("*.rego"))
        if not path.name.endswith("_test.rego")
    }


@pytest.fixture(scope="session")
def schema():
    return json.loads((POLICIES / "schemas" / "facts.v1.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def fits(schema):
    """Say whether a document is what the schema describes."""
    return jsonschema.Draft202012Validator(schema).is_valid


@pytest.fixture
def copied(tmp_path):
    """A copy of the policies that a test may change; nothing in it is compiled again by itself."""
    return shutil.copytree(POLICIES, tmp_path / "policies")


@pytest.fixture(scope="session")
def opa():
    """The environment in which `opa` is the one that the rules are compiled with."""
    environment = {**os.environ, "PATH": f"{ROOT / '.cache' / 'bin'}:{os.environ['PATH']}"}
    if shutil.which("opa", path=environment["PATH"]) is None:
        pytest.skip("there is no opa here; .ci/run builds it from its Go module")
    return environment
