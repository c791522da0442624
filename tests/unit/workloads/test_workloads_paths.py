"""The checked list of places that name models, against samples of schemas and against the extractor.

What needs real schemas is in ``tests/cluster``; here every line that names one path is tried.
"""

import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from trustkit.workloads.extract import references
from trustkit.workloads.table import default_table
from trustkit.workloads.values import Extraction

FOLDER = Path(__file__).parents[2] / "vectors" / "paths"
SOME = ("kubeai.org/Model", "serving.kserve.io/TrainedModel", "nvidia.com/DynamoModel")


@pytest.fixture(scope="module")
def samples():
    return yaml.load(
        (FOLDER / "samples.yaml").read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    )


@pytest.fixture(scope="module")
def walked(schemas, listed):
    """Return what a walk over samples finds."""

    def walked(samples):
        walk = schemas.Walk(listed.members)
        walk.samples(samples)
        return walk.found

    return walked


@pytest.fixture(scope="module")
def tried(listed, mutants):
    """Return the faults of an extractor, for some kinds; what every Pod has is tried whole in a Pod alone."""
    common = {line.section for line in listed.lines if line.at.startswith("pods.paths:")}

    def tried(*kinds, extractor=references):
        places = {kind: listed.places(kind, brief=() if kind in common else common) for kind in kinds}
        made = [mutant for kind in kinds for mutant in mutants.of(places[kind], kind)]
        assert made
        return [fault for mutant in made for fault in mutant.faults(extractor)]

    return tried


def test_no_line_hides_more_than_it_says(listed):
    assert [fault for line in listed.lines for fault in line.faults] == []


def test_every_place_of_the_samples_is_listed_once(listed, walked, samples):
    assert listed.unlisted(walked(samples)) == []


def test_no_line_names_what_no_sample_has(listed, walked, samples):
    assert listed.idle(walked(samples)) == []


def test_the_extractor_says_what_the_list_says(tried, listed):
    assert tried(*listed.kinds) == []


def test_every_kind_that_serves_models_is_listed(listed):
    serving = {name for name, kind in default_table().kinds.items() if kind.serves}
    assert serving <= {kind.rstrip("+") for kind in listed.kinds}


# -- what the checks above are worth ------------------------------------------------------------------------


def test_a_new_member_is_noticed(listed, walked, samples):
    sample = {**samples["kubeai.org/Model"]["spec"], "weightsFrom": "text"}
    found = walked({"kubeai.org/Model": {"spec": sample}})
    assert listed.unlisted(found) == ["kubeai.org/Model spec.weightsFrom : named by no line"]


def test_a_place_that_becomes_a_class_is_noticed(listed, walked, samples):
    sample = {**samples["kubeai.org/Model"]["spec"], "image": "@Container"}
    [fault] = listed.unlisted(walked({"kubeai.org/Model": {"spec": sample}}))
    assert fault.startswith("kubeai.org/Model spec.image @Container: samples.paths:")
    assert fault.endswith("says weights:nim")


def test_a_member_that_is_gone_is_noticed(listed, walked, samples):
    sample = {name: value for name, value in samples["kubeai.org/Model"]["spec"].items() if name != "url"}
    [fault] = listed.idle(walked({"kubeai.org/Model": {"spec": sample}}))
    assert fault.endswith("kubeai.org/Model spec.url: no schema has it")


@pytest.fixture
def list_of(lists):
    """Make a list of these lines, of one kind."""
    return lambda *lines: lists.List({"x.paths": "\n".join(("[x.example/Kind]", *lines))})


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("spec.** cannot all", "it would hide a new member of spec"),
        ("resource.** cannot all", "it would hide a new member of resource"),
        ("spec.*.** may all", "a pattern names what cannot carry weights, or a volume"),
        ("spec.x.* weights:hub name", "a pattern names what cannot carry weights, or a volume"),
        ("spec.x maybe why", "there is no verdict 'maybe'"),
        ("spec.x cannot", "it does not say why"),
    ],
)
def test_a_line_that_hides_something_is_noticed(list_of, line, fault):
    assert [found for one in list_of(line).lines for found in one.faults] == [f"x.paths:2: {fault}"]


def test_two_lines_for_one_place_are_noticed(list_of):
    found = {"x.example/Kind": {"spec.x.y": ""}}
    [fault] = list_of("spec.x.y cannot a", "spec.x.** cannot b").unlisted(found)
    assert fault == "x.example/Kind spec.x.y : named by x.paths:2, x.paths:3"


def test_alternatives_are_lines_of_their_own(list_of):
    faults = list_of("spec.(x|y).(z|w) cannot a").idle({"x.example/Kind": {"spec.x.z": "", "spec.y.w": ""}})
    assert [fault.split()[2] for fault in faults] == ["spec.x.w:", "spec.y.z:"]


def report(path, reference, confidence="certain"):
    return SimpleNamespace(path=path, reference=reference, confidence=confidence)


def blind(_):
    return Extraction((), (), gpu=False, reserved_annotations=())


def chatty(subject):
    """Report every text, in the manner of the extractor, wherever it stands."""
    found = []

    def walk(value, path):
        if isinstance(value, str):
            found.append(report(path, value))
        pairs = (
            enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
        )
        for key, below in pairs:
            walk(below, f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}".lstrip("."))

    walk(subject, "")
    return Extraction(tuple(found), (), gpu=False, reserved_annotations=())


def verdicts(faults):
    return {re.search(r"' (\w+): said", fault)[1] for fault in faults}


def test_an_extractor_that_sees_nothing_fails_for_every_model(tried):
    assert verdicts(tried(*SOME, extractor=blind)) == {"weights", "may"}
    assert verdicts(tried("nvidia.com/DynamoComponentDeployment", extractor=blind)) == {
        "weights",
        "asks",
        "may",
    }


def test_an_extractor_that_reports_everything_fails_where_no_model_can_stand(tried):
    assert "cannot" in verdicts(tried(*SOME, extractor=chatty))


def test_a_model_that_is_only_possible_is_no_report(tried):
    def doubtful(subject):
        said = references(subject)
        doubt = tuple(report(model.path, model.reference, "possible") for model in said.models)
        return dataclasses.replace(said, models=doubt)

    assert verdicts(tried(*SOME, extractor=doubtful)) == {"weights"}


def test_a_model_that_is_reported_elsewhere_is_no_report(tried):
    def elsewhere(subject):
        moved = tuple(report("spec", model.reference) for model in references(subject).models)
        return Extraction(moved, (), gpu=False, reserved_annotations=())

    assert verdicts(tried(*SOME, extractor=elsewhere)) == {"weights", "may"}


def test_a_variable_from_elsewhere_must_be_unresolved(tried):
    def resolved(subject):
        return dataclasses.replace(references(subject), unresolved=())

    faults = tried("v1/Pod", extractor=resolved)
    assert faults
    assert all(".valueFrom." in fault for fault in faults)
