"""The schema of facts: well-formed itself, met by what the faces make, and no wider than the rules."""

import json
from dataclasses import replace

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admission.evidence import Finding
from admission.facts import facts_for
from admission.reading import Reading
from admission.review import parse_review
from trustkit import strictjson
from trustkit.deciding.decision import ADMISSION, decide
from trustkit.deciding.facts import VERSION
from trustkit.errors import TrustkitError
from trustkit.workloads.extract import references

TRUST = "trust://store.ml:8443/acme/llm@sha256:" + "0" * 64


def test_the_schema_is_one(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$defs"]["version"]["const"] == VERSION


def test_the_schema_describes_every_member_that_it_requires(schema, demand_described):
    demand_described(schema["$defs"])


@pytest.fixture
def demand_described():
    def demand(definitions):
        for name, definition in definitions.items():
            for member in definition.get("required", []):
                places = [definition, definition.get("then", {}), definition.get("else", {})]
                assert any(member in place.get("properties", {}) for place in places), f"{name}.{member}"

    return demand


def test_good_documents_fit(fits, documents):
    assert fits(documents.admission())
    assert fits(documents.admission(models=[documents.refused()]))
    assert fits(documents.admission(models=[documents.model(evidence=documents.plain())]))
    assert fits(documents.release())
    assert fits(documents.admission(more=1))


@pytest.mark.parametrize("name", ["version", "action", "object", "models", "unresolved"])
def test_nothing_may_be_missing(fits, documents, name):
    facts = documents.admission()
    del facts[name]
    assert not fits(facts)


def test_what_the_rules_would_not_know_does_not_fit(fits, documents):
    for facts in (
        documents.admission(version="trustkit.dev/facts/v2"),
        documents.admission(action="release"),
        documents.admission(models=[documents.model(evidence=None)]),
        documents.admission(models=[documents.refused(evidence=documents.evidence())]),
        documents.admission(models=[documents.refused(code="")]),
        documents.admission(models=[documents.model(evidence=documents.evidence(authors=[]))]),
        documents.admission(models=[documents.model(evidence=documents.evidence(publishers=[]))]),
        documents.admission(models=[documents.model(evidence=documents.plain(line="x"))]),
        documents.release(artifact=documents.evidence(manifest_digest="sha256:0")),
        documents.release(peer={"spiffe_id": "x", "trust_domain": "demo.test"}),
    ):
        assert not fits(facts)


def review_of(obj, **request):
    group, _, version = obj.get("apiVersion", "v1").rpartition("/")
    body = {
        "uid": "u",
        "kind": {"group": group, "version": version, "kind": obj.get("kind", "Pod")},
        "operation": "CREATE",
        "namespace": "ml",
        "name": "",
        "object": obj,
        **request,
    }
    return parse_review(
        strictjson.to_bytes({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": body})
    )


def facts_of(obj, finding, *, strict=True, **request):
    extraction = references(obj)
    findings = {model.reference: finding for model in extraction.models if model.scheme == "trust"}
    return facts_for(
        review_of(obj, **request), extraction, findings, reading=Reading(), strict_volumes=strict
    )


def pod(**spec):
    containers = [{"name": "c", "image": "vllm/vllm-openai:v1", "args": ["--model", TRUST]}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": containers, **spec},
    }


REFUSED = Finding("refused", "unsigned", "the model carries no signature", "sign it")
UNAVAILABLE = Finding("unavailable", "store-unreachable", "no answer", "try again")

OBJECTS = {
    "a pod": pod(),
    "a pod with everything": pod(
        serviceAccountName="robot",
        volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}, {"name": "w", "novel": {}}],
        initContainers=[{"name": "i", "env": [{"name": "MODEL_ID", "valueFrom": {"fieldRef": {}}}]}],
        runtimeClassName="nvidia",
    ),
    "a deployment": {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"annotations": {"trustkit.dev/verified": "true"}},
        "spec": {"template": {"spec": pod()["spec"]}},
    },
    "a kind nobody knows": {"apiVersion": "x.y/v1", "kind": "Z", "spec": {"model": TRUST}},
    "an accelerator and no model": pod(
        containers=[{"name": "c", "image": "cuda", "resources": {"limits": {"nvidia.com/gpu": 1}}}]
    ),
}


@pytest.mark.parametrize("finding", [REFUSED, UNAVAILABLE], ids=["refused", "unavailable"])
@pytest.mark.parametrize("obj", OBJECTS.values(), ids=OBJECTS.keys())
def test_what_the_webhook_makes_fits_and_is_denied(schema, engine, obj, finding):
    facts = facts_of(obj, finding)
    jsonschema.validate(facts, schema, cls=jsonschema.Draft202012Validator)
    codes = {violation.code for violation in decide(engine, ADMISSION, facts).violations}
    assert codes
    assert "unknown-facts" not in codes


def test_what_the_webhook_makes_of_a_proof_fits_and_is_allowed(schema, engine, estate, model):
    from admission.evidence import Proven
    from trustkit.artifact.reference import parse_reference

    proof = estate.proof(model)
    text = f"trust://store.ml:8443/acme/llm@{proof.manifest_digest}"
    obj = pod()
    obj["spec"]["containers"][0]["args"][1] = text
    finding = Finding("verified", proven=Proven(parse_reference(text), proof, proof.descriptor_digest, 1))
    facts = facts_of(obj, finding)
    jsonschema.validate(facts, schema, cls=jsonschema.Draft202012Validator)
    assert decide(engine, ADMISSION, facts).allowed
    elsewhere = facts_of(pod(), replace(finding))
    codes = [violation.code for violation in decide(engine, ADMISSION, elsewhere).violations]
    assert codes == ["not-pinned"]


def test_an_update_of_a_subresource_fits(schema):
    facts = facts_of(pod(), REFUSED, operation="UPDATE", subResource="ephemeralcontainers")
    jsonschema.validate(facts, schema, cls=jsonschema.Draft202012Validator)
    assert (facts["object"]["operation"], facts["object"]["subresource"]) == ("UPDATE", "ephemeralcontainers")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text(max_size=8)
    | st.sampled_from([TRUST, "hf://a/b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "containers",
                    "args",
                    "env",
                    "name",
                    "value",
                    "volumes",
                    "image",
                    "metadata",
                    "annotations",
                    "serviceAccountName",
                    "hostPath",
                    "valueFrom",
                    "trustkit.dev/x",
                    "resources",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=120, deadline=None)
@given(JSON, st.booleans())
def test_facts_of_any_object_fit_and_nothing_unproven_is_allowed(schema, engine, spec, strict):
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": spec}
    try:
        facts = facts_of(obj, REFUSED, strict=strict)
    except TrustkitError:
        return
    jsonschema.validate(facts, schema, cls=jsonschema.Draft202012Validator)
    found = decide(engine, ADMISSION, facts)
    assert found.allowed is (not facts["models"] and not facts["unresolved"] and not found.violations)
    assert "unknown-facts" not in {violation.code for violation in found.violations}
    assert json.dumps(facts)
