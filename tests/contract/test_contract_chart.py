"""The chart and the images keep step with the programs: what needs no helm to be known."""

import dataclasses
import json
import re

import pytest
import yaml

from admission.config import Config
from admission.sidecar_config import SidecarConfig
from trustkit.broker.config import Limits as BrokerLimits
from trustkit.spiffe.listening import Limits as StoreLimits
from trustkit.version import __version__

CONTAINERFILES = (
    "admission/Containerfile",
    "trustkit/broker/Containerfile",
    "trustkit/sidecar/Containerfile",
    "trustkit/store/Containerfile",
)
NOT_WATCHED = {
    "Binding.v1": "carries no pod and no model",
    "ConfigMap.v1": "every controller writes them; a Pod that reads a model's name out of one is denied",
    "Eviction.policy": "carries no pod and no model",
    "PersistentVolume.v1": "a Pod that mounts it is judged",
    "PersistentVolumeClaim.v1": "a Pod that mounts it is judged",
    "ReplicaSet.apps": "a Deployment must be able to shrink while the webhook is away; its Pods are judged",
    "Scale.autoscaling": "carries no pod and no model",
    "PodAutoscaler.autoscaling.aibrix.ai": "names no model",
    "HTTPRoute.gateway.networking.k8s.io": "names no model",
    "InferencePool.inference.networking.k8s.io": "names no model",
    "InferencePool.inference.networking.x-k8s.io": "names no model",
    "InferenceModel.inference.networking.x-k8s.io": "names a model for clients, and loads none",
    "InferenceObjective.inference.networking.x-k8s.io": "names no model",
    "ModelValidation.rhtas.redhat.com": "runs nothing",
    "ModelValidation.ml.sigstore.dev": "runs nothing",
}
BUILT_IN = {
    "Pod.v1",
    "PodTemplate.v1",
    "ReplicationController.v1",
    "Deployment.apps",
    "StatefulSet.apps",
    "DaemonSet.apps",
    "Job.batch",
    "CronJob.batch",
}
"""Rules that stand in the template itself; tests/cluster meets them in a real API server."""


@pytest.fixture(scope="module")
def chart(root):
    return root / "charts/trustkit"


@pytest.fixture(scope="module")
def schema(chart):
    return json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))


def names(where):
    return set(where["properties"])


def fields(cls):
    return {field.name for field in dataclasses.fields(cls)}


def test_the_chart_is_of_this_version(chart):
    described = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))
    assert described["appVersion"] == __version__
    assert described["version"] == __version__


def test_settings_are_those_of_the_programs(schema):
    """What the chart does not set itself can be set, and nothing else."""
    parts = schema["properties"]
    ours = {
        "listen",
        "health_listen",
        "tls",
        "policy",
        "table",
        "bases",
        "trust_bundle",
        "svid_directory",
        "record",
        "stores",
        "sidecar",
    }
    assert names(parts["webhook"]["properties"]["settings"]) == fields(Config) - ours - {"rules"}
    ours = {"image", "command", "svid_directory", "policy_file", "trust_bundle_file", "broker", "broker_id"}
    ours |= {"volumes", "volume_mounts", "health_host", "health_port"}
    assert names(parts["sidecar"]["properties"]["settings"]) == fields(SidecarConfig) - ours | {
        "health_listen"
    }
    assert names(parts["broker"]["properties"]["limits"]) == fields(BrokerLimits)
    assert names(schema["$defs"]["store"]["properties"]["limits"]) == fields(StoreLimits)


def test_every_object_of_the_schema_refuses_what_it_does_not_know(schema, demand_none):
    def open_ones(node, path):
        if isinstance(node, list):
            for index, item in enumerate(node):
                yield from open_ones(item, f"{path}[{index}]")
        elif isinstance(node, dict):
            closed = node.get("additionalProperties") is False or "if" in node
            conditional = path.endswith((".if", ".then", ".else"))
            if isinstance(node.get("properties"), dict) and not closed and not conditional:
                yield path
            for name, inner in node.items():
                yield from open_ones(inner, f"{path}.{name}")

    demand_none(open_ones(schema, "schema"))


def test_every_default_is_known_to_the_schema(chart, schema, demand_none):
    defaults = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    store = schema["$defs"]["store"]

    def unknown(value, node, path):
        node = store if path == "values.store" else node
        if isinstance(value, dict) and value and "properties" in node:
            for name, inner in value.items():
                if name not in node["properties"]:
                    yield f"{path}.{name}"
                else:
                    yield from unknown(inner, node["properties"][name], f"{path}.{name}")

    demand_none(unknown(defaults, schema, "values"))


def test_tests_that_its_readme_names_exist(root, chart, demand_none):
    named = re.findall(
        r"shown by: `(tests/[\w./]+)::(\w+)`", (chart / "README.md").read_text(encoding="utf-8")
    )
    assert len(named) == 2
    demand_none(
        name for path, name in named if f"def {name}(" not in (root / path).read_text(encoding="utf-8")
    )


def test_nothing_in_the_chart_weakens_anything(chart, demand_none):
    demand_none(
        f"{path.name}: {word}"
        for path in chart.rglob("*")
        if path.is_file()
        for word in (
            "insecure",
            "Ignore\n",
            "failurePolicy: Ignore",
            "privileged: true",
            "hostPath",
            "latest",
        )
        if word in path.read_text(encoding="utf-8")
    )


def test_every_kind_that_can_name_a_model_is_watched_or_left_out_for_a_reason(root, chart, demand_none):
    table = yaml.safe_load((root / "trustkit/workloads/table.v1.yaml").read_text(encoding="utf-8"))
    watched = yaml.safe_load((chart / "files/watched.yaml").read_text(encoding="utf-8"))["watched"]
    groups = {entry["group"]: entry["resources"] for entry in watched}
    assert len(groups) == len(watched)

    def seen(kind, group):
        resources = groups.get(group, [])
        word = kind.lower()
        plurals = {f"{word}s", f"{word}es", f"{word.removesuffix('y')}ies"}
        return resources == ["*"] or bool(plurals & set(resources))

    kinds = [tuple(reversed(row.split("/"))) for row in table["kinds"]]
    known = {f"{kind}.{group}" for kind, group in kinds}
    assert known >= NOT_WATCHED.keys() | BUILT_IN
    demand_none(
        f"{kind}.{group}"
        for kind, group in kinds
        if seen(kind, group) + (f"{kind}.{group}" in NOT_WATCHED) + (f"{kind}.{group}" in BUILT_IN) != 1
    )
    demand_none(group for group in groups if group not in {group for _, group in kinds})


# Images ------------------------------------------------------------------


@pytest.fixture(scope="module", params=CONTAINERFILES)
def containerfile(request, root):
    text = (root / request.param).read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_every_containerfile_is_looked_at(root):
    found = {
        path.relative_to(root).as_posix()
        for room in ("admission", "trustkit", "charts", "policies")
        for path in (root / room).rglob("Containerfile*")
    }
    assert found == set(CONTAINERFILES)


def test_an_image_starts_from_what_its_builder_names_and_from_nothing_else(containerfile):
    assert containerfile[0] == "ARG BASE"
    assert [line for line in containerfile if line.startswith("FROM")] == [
        "FROM ${BASE} AS build",
        "FROM ${BASE}",
    ]


def test_an_image_runs_as_nobody_and_holds_only_what_is_hashed(containerfile, root, demand_none):
    assert "USER 65532:65532" in containerfile
    installs = [step for line in containerfile for step in line.split("&&") if " install " in step]
    assert len(installs) == 3
    demand_none(step for step in installs if "--require-hashes" not in step and "--no-index" not in step)
    locks = {name for line in containerfile for name in re.findall(r"\.requirements/[a-z]+\.txt", line)}
    assert len(locks) == 2
    demand_none(name for name in locks if not (root / name).exists())


def test_an_image_starts_the_program_beside_it(root, demand_none):
    scripts = (root / "pyproject.toml").read_text(encoding="utf-8")
    for name in CONTAINERFILES:
        text = (root / name).read_text(encoding="utf-8")
        [program] = re.findall(r'^ENTRYPOINT \["([a-z-]+)"\]$', text, re.MULTILINE)
        module = name.removesuffix("/Containerfile").replace("/", ".")
        assert f'{program} = "{module}.main:run"' in scripts


def test_the_images_are_made_alike(root):
    """One text, less their names; one file they cannot be, since an entry point takes no build argument."""
    texts = set()
    for name in CONTAINERFILES:
        text = (root / name).read_text(encoding="utf-8").partition("\n")[2].replace(name, "FILE")
        text = re.sub(r"trustkit-(admission|broker|sidecar|store)", "PROGRAM", text)
        texts.add(re.sub(r"\.requirements/(core|serve)\.txt", "LOCK", text))
    assert len(texts) == 1


def test_what_is_copied_is_not_ignored(root, containerfile, demand_none):
    let_in = [
        line[1:] for line in (root / ".containerignore").read_text().splitlines() if line.startswith("!")
    ]
    copied = [
        word
        for line in containerfile
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    assert copied
    demand_none(
        word for word in copied if not any(word == name or word.startswith(f"{name}/") for name in let_in)
    )
