"""However large a pod is within the caps, reading it ends with the deadline of its review."""

import pytest

from admission.crowd import check_crowd
from admission.exposure import exposed
from admission.lending import borrowed, lent_by
from admission.mutate import patch_for
from admission.sidecar import injection_for
from admission.validate import altered
from admission.walking import OFTEN
from trustkit.errors import UnavailableError
from trustkit.programs.deadline import Deadline
from trustkit.workloads.containers import containers_of
from trustkit.workloads.extract import references
from trustkit.workloads.notes import Notes
from trustkit.workloads.table import default_table


class Clock:
    """Every look at it takes a second."""

    def __init__(self, at=0):
        self.at = at - 1

    def __call__(self):
        self.at += 1
        return float(self.at)

    @property
    def looks(self):
        """How often it was looked at, from 0 on."""
        return self.at + 1


class Case:
    """One pod, small or as large as may be, and all that is done with it under the deadline."""

    def __init__(self, world, tools):
        self.world, self.tools = world, tools
        self.reference = world.publish("acme/llm/1")
        patient = Deadline(1e9, Clock())
        found = world.room().finding(self.reference, namespace="ml", deadline=patient)
        self.proven = {self.reference: found.proven}

    def pod(self, size):
        pod = self.tools.pod("--model", self.reference)
        pod = self.tools.applied(pod, self.world.ask(pod).patch)
        spec = pod["spec"]
        early = {"name": "early", "image": "i", "args": ["x"] * (size * OFTEN // 100)}
        spec["initContainers"].insert(0, early)
        spec["containers"] += [
            {
                "name": f"c{number}",
                "image": "i",
                "args": ["--model", self.reference],
                "env": [{"name": "A", "valueFrom": {"fieldRef": {}}}],
                "ports": [{"containerPort": 1}],
                "volumeMounts": [{"name": f"v{number}", "mountPath": f"/v{number}"}],
            }
            for number in range(size)
        ]
        spec["volumes"] += [{"name": f"v{n}", "hostPath": {"path": f"/opt/{n}"}} for n in range(size)]
        return pod

    def altered(self, pod, check):
        altered(pod, self.proven, self.world.plan, table=default_table(), check=check)

    def exposed(self, pod, check):
        injections = [injection_for(proof, 0, self.world.plan) for proof in self.proven.values()]
        exposed(pod["spec"], injections, self.world.plan, wanted=True, check=check)

    def borrowed(self, pod, check):
        borrowed(pod["spec"], lent_by(self.world.plan.sidecar.volumes), check=check)

    def patch_for(self, pod, check):
        patch_for(pod, self.proven, self.world.plan, table=default_table(), check=check)

    def containers_of(self, pod, check):
        containers_of(pod["spec"], "spec", Notes(default_table(), check=check))

    def check_crowd(self, pod, check):
        check_crowd(pod, check=check)

    def references(self, pod, check):
        references(pod, check=check)


LOOKS = {
    "altered": 6,
    "exposed": 1,
    "borrowed": 2,
    "patch_for": 80,
    "containers_of": 3,
    "check_crowd": 1,
    "references": 9,
}
"""Looks at the clock for each container more, at least; counting alone is so fast that it needs fewer."""
NAMES = list(LOOKS)


@pytest.fixture
def case(world, tools):
    return Case(world, tools)


def looks(case, name, pod):
    """How often the clock is looked at when there is time without end."""
    clock = Clock()
    getattr(case, name)(pod, Deadline(1e9, clock).check)
    return clock.looks


@pytest.mark.parametrize("name", NAMES)
def test_the_larger_the_pod_the_more_looks_at_the_clock(case, name):
    few, many = (looks(case, name, case.pod(size)) for size in (2, 200))
    assert many - few >= 198 * LOOKS[name] or (name, many > few) == ("check_crowd", True)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_read_when_the_deadline_is_over(case, name):
    pod, clock = case.pod(200), Clock(5)
    with pytest.raises(UnavailableError) as caught:
        getattr(case, name)(pod, Deadline(5.0, clock).check)
    assert (caught.value.code, clock.at) == ("deadline", 5)


@pytest.mark.parametrize("name", NAMES)
def test_a_deadline_that_ends_on_the_way_ends_the_work_there(case, name):
    pod = case.pod(200)
    half = looks(case, name, pod) // 2
    clock = Clock()
    with pytest.raises(UnavailableError) as caught:
        getattr(case, name)(pod, Deadline(float(half), clock).check)
    assert (caught.value.code, clock.at) == ("deadline", half)


@pytest.mark.parametrize("name", ["altered", "patch_for"])
def test_one_string_may_name_thousands_of_models(case, name):
    def pod(times):
        return case.tools.pod("--model", " ".join([case.reference] * times))

    assert looks(case, name, pod(2000)) - looks(case, name, pod(2)) >= 1998
    table = default_table()
    [replaced, *_] = patch_for(pod(2000), case.proven, case.world.plan, table=table, check=lambda: None)
    injection = injection_for(case.proven[case.reference], 0, case.world.plan)
    assert replaced["value"] == " ".join([injection.local_path] * 2000)


@pytest.mark.parametrize("hook", ["mutate", "validate"])
def test_a_review_whose_deadline_ends_anywhere_is_denied_and_never_late(case, hook):
    pod, review, clock = case.pod(20), case.world.review, Clock()
    judge = case.world.judge()
    whole = judge.judge(review(pod), hook, Deadline(1e9, clock))
    assert "deadline" not in [violation.code for violation in whole.violations]
    for end in range(0, clock.looks, 7):
        until = Clock()
        verdict = judge.judge(review(pod), hook, Deadline(float(end), until))
        assert [violation.code for violation in verdict.violations][-1] == "deadline"  # behind a refusal
        assert until.at <= end + 1


def test_a_long_path_in_a_long_text_cannot_outlast_it(tools):
    """A sidecar of a tenant's own says where it publishes; looking for that may not take for ever."""
    folder = "/" + "ab" * 400 + "/a"
    spec = {
        "initContainers": [{"name": "trustkit-x", "args": ["--output", folder]}],
        "containers": [
            {
                "name": "c",
                "image": "vllm/vllm-openai",
                "args": [("/" + "ab" * 400) * 1000 + "/ab"],
                "volumeMounts": [{"name": "trustkit-x", "mountPath": folder}],
            }
        ],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": spec}
    assert any(place.code == "unresolved-model" for place in references(pod).unresolved)
