"""KServe's own definitions in a real API server: what our webhook says to an InferenceService."""

import json
from pathlib import Path

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("apiserver")]
DEFINITIONS = Path(__file__).parents[2] / ".cache/kserve-v0.16.0"


@pytest.fixture(scope="module", autouse=True)
def definitions(api, hook, makers):
    """Define InferenceServices as KServe v0.16 does, and wait until they are judged."""
    path = DEFINITIONS / "serving.kserve.io_inferenceservices.yaml"
    if not path.exists():
        pytest.skip("KServe's definitions are not here; `.ci/tools.py cluster` fetches its Go module")
    api.kubectl("create", "-f", str(path), ok=True)
    probe = service("probe", "s3://bucket/model")
    api.until(lambda: makers.denied_by("validate", api, probe), "InferenceServices to be served and judged")


def service(name, uri, **predictor):
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "namespace": "ml"},
        "spec": {
            "predictor": {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": uri}, **predictor},
        },
    }


def said(done):
    assert done.returncode == 1
    start = 'admission webhook "validate.trustkit.dev" denied the request: '
    assert start in done.stderr
    return done.stderr.partition(start)[2]


def test_a_proven_model_is_let_in_as_it_was_written(api, hook, model):
    reference = hook.reference(model)
    made = api.created(service("proven", reference))
    assert made["spec"]["predictor"]["model"]["storageUri"] == reference


def test_a_bucket_that_nobody_vouches_for_is_denied(api):
    assert "[unsupported-scheme] " in said(api.create(service("bucket", "s3://bucket/model")))
    assert api.kubectl("get", "inferenceservice", "bucket", "-n", "ml").returncode == 1


def test_a_proven_service_may_be_scaled_and_may_not_be_moved(api, hook, model):
    reference = hook.reference(model)
    api.created(service("kept", reference))
    words = ("patch", "inferenceservice", "kept", "-n", "ml", "--type=merge", "--patch")
    api.kubectl(*words, json.dumps({"spec": {"predictor": {"minReplicas": 2}}}), ok=True)
    moved = {"spec": {"predictor": {"model": {"storageUri": reference.partition("@")[0]}}}}
    assert "[not-pinned] " in said(api.kubectl(*words, json.dumps(moved)))
    kept = api.get("inferenceservice", "kept", "-n", "ml")["spec"]["predictor"]
    assert (kept["model"]["storageUri"], kept["minReplicas"]) == (reference, 2)


def test_a_server_of_ones_own_is_read_as_a_pod_is(api, hook):
    container = {
        "name": "kserve-container",
        "image": "registry.example/vllm@sha256:" + "5" * 64,
        "args": ["--model", "meta-llama/Llama-3.1-8B"],
    }
    subject = service("own", "")
    subject["spec"]["predictor"] = {"containers": [container]}
    assert "containers[0].args" in said(api.create(subject))
