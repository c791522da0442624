"""Real schemas (the API server's, KServe's, KubeRay's): every place of a text is judged, and extracted so."""

from pathlib import Path

import pytest
import yaml

from trustkit.workloads.extract import references

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("apiserver")]
CACHE = Path(__file__).parents[2] / ".cache"
OURS = {
    "core": ("Pod", "PersistentVolume", "PodTemplate", "ReplicationController"),
    "apps": ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"),
    "batch": ("Job", "CronJob"),
}
"""Kinds of the API server's own, by their groups."""
THEIRS = {"kserve-v0.16.0": 11, "kuberay-v1.4.2": 3}
"""Folders of definitions, and how many each holds."""


@pytest.fixture(scope="module")
def definitions():
    missing = [name for name in THEIRS if not (CACHE / name).exists()]
    if missing:
        pytest.skip(f"there is no {', '.join(missing)} here; `.ci/tools.py cluster` fetches their Go modules")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    read = {
        name: [
            yaml.load(path.read_text(), Loader=loader) for path in sorted((CACHE / name).rglob("*.io_*.yaml"))
        ]
        for name in THEIRS
    }
    assert {name: len(found) for name, found in read.items()} == THEIRS
    return [document for found in read.values() for document in found]


@pytest.fixture(scope="module")
def walk(api, schemas, listed):
    """Return a new walk, which has been through what the API server says of its own kinds."""
    described = api.raw("/openapi/v2")["definitions"]

    def walk():
        made = schemas.Walk(listed.members, described)
        for group, kind in ((group, kind) for group, kinds in OURS.items() for kind in kinds):
            name = "v1" if group == "core" else group
            made.kind(f"{name}/{kind}", {"$ref": f"#/definitions/io.k8s.api.{group}.v1.{kind}"})
        return made

    return walk


@pytest.fixture(scope="module")
def found(walk, definitions):
    made = walk()
    for document in definitions:
        made.definition(document)
    return made.found


def test_every_place_of_a_text_is_listed_once(listed, found):
    assert listed.unlisted(found) == []


def test_no_line_names_what_no_schema_has(listed, found):
    assert listed.idle(found) == []


def test_the_extractor_says_of_every_place_what_the_list_says(listed, mutants, found):
    kinds = [kind for kind in found if not kind.startswith("@")]
    assert len(kinds) == sum(map(len, OURS.values())) + sum(THEIRS.values())
    made = [one for kind in kinds for one in mutants.of(listed.places(kind, found), kind)]
    assert len(made) > 10_000
    assert [fault for one in made for fault in one.faults(references)] == []


def test_a_new_member_of_a_container_is_noticed_wherever_it_lies(listed, walk, definitions):
    made = walk()
    [document] = [one for one in definitions if one["spec"]["names"]["kind"] == "ClusterStorageContainer"]
    spec = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    container = {**spec["properties"]["container"]}
    container["properties"] = {**container["properties"], "weightsFrom": {"type": "string"}}
    made.kind(
        "serving.kserve.io/ClusterStorageContainer",
        {"properties": {"spec": {"properties": {"container": container}}}},
    )
    assert listed.unlisted(made.found) == [
        "serving.kserve.io/ClusterStorageContainer spec.container.weightsFrom : named by no line"
    ]


def test_a_line_that_is_taken_away_is_missed(lists, listed, found):
    """Every line but those of classes: without one, members of a class would lie where the class does."""
    sections = {section for section in found if section[0] != "@"}
    lines = [line for line in listed.lines if line.section in sections and not line.below]
    for line in lines[:: len(lines) // 20]:
        fewer = lists.List({})
        fewer.sections = {
            **listed.sections,
            line.section: [one for one in listed.sections[line.section] if one != line],
        }
        assert any(fault.startswith(f"{line.section} ") for fault in fewer.unlisted(found)), line
