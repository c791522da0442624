"""Kinds of somebody's own in a real API server: it asks about those that the chart's `watched` names."""

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("apiserver")]
WATCHED, OTHER = "ml.example", "elsewhere.example"


@pytest.fixture(scope="module")
def judged(api, hook, registration, makers):
    """Two groups with a kind each, of which one is watched, in a namespace where nothing else is."""
    makers.add_namespace(api, "own-kinds")
    for group in (WATCHED, OTHER):
        api.create(definition(group), ok=True)
    entry = {"group": WATCHED, "resources": ["servers"]}
    made = registration("own", hook.address, hook.ca, namespaces=["own-kinds"], watched=[entry])
    for found in made:
        api.create(found, ok=True)
    probe = server(WATCHED, "probe", "s3://bucket/model")
    api.until(lambda: makers.denied_by("validate", api, probe), "own kinds to be served and judged")


def definition(group):
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"servers.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "servers", "singular": "server", "kind": "Server"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }


def server(group, name, model):
    return {
        "apiVersion": f"{group}/v1",
        "kind": "Server",
        "metadata": {"name": name, "namespace": "own-kinds"},
        "spec": {"modelUri": model},
    }


def test_an_unproven_model_of_a_watched_kind_is_denied_with_its_place(api, judged):
    done = api.create(server(WATCHED, "bucket", "s3://bucket/model"))
    assert done.returncode == 1
    assert "[unsupported-scheme] " in done.stderr
    assert "spec.modelUri" in done.stderr


def test_a_kind_without_a_row_is_denied_whatever_it_names(api, judged, hook, model):
    """Nobody said where it names models, so there may be more than was found."""
    done = api.create(server(WATCHED, "proven", hook.reference(model)))
    assert done.returncode == 1
    assert "one under bystanders says that it holds no model" in done.stderr


def test_what_is_not_watched_is_never_asked_about(api, judged):
    made = api.created(server(OTHER, "bucket", "s3://bucket/model"))
    assert made["spec"] == {"modelUri": "s3://bucket/model"}
