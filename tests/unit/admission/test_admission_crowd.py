"""How much one object may hold, before anything looks at pairs of it."""

import pytest

from admission.crowd import MAX_CONTAINERS, MAX_MODELS, MAX_MOUNTS, check_crowd
from trustkit.errors import LimitError


def pod(**spec):
    return {"kind": "Pod", "spec": spec}


def named(name, count):
    return [{"name": f"{name}{number}"} for number in range(count)]


AT_MOST = [
    pod(containers=named("c", MAX_CONTAINERS - 1), initContainers=named("i", 1)),
    pod(
        containers=[{"name": "a", "volumeMounts": named("m", MAX_MOUNTS - 1), "volumeDevices": named("d", 1)}]
    ),
    pod(volumes=named("v", MAX_MOUNTS)),
    pod(initContainers=named("trustkit-", MAX_MODELS)),
]
MORE = [
    {"ephemeralContainers": named("x", 1)},
    {"containers": [{"volumeMounts": named("x", 1)}]},
    {"volumes": named("x", 1)},
    {"containers": named("trustkit-x", 1)},
]


@pytest.mark.parametrize("subject", AT_MOST)
def test_what_a_workload_may_hold(subject):
    check_crowd(subject, check=lambda: None)


@pytest.mark.parametrize(("subject", "more"), list(zip(AT_MOST, MORE, strict=True)))
def test_one_more_is_refused_wherever_it_stands(subject, more):
    with pytest.raises(LimitError, match="too-many-containers"):
        check_crowd({"items": [subject, {"template": {"spec": more}}]}, check=lambda: None)


def test_a_crowd_is_denied_by_the_webhook(world, tools):
    subject = tools.pod("--model", world.publish("acme/llm/1"))
    subject["spec"]["initContainers"] = named("trustkit-sidecar-", MAX_MODELS + 1)
    verdict = world.ask(subject)
    assert [violation.code for violation in verdict.violations] == ["too-many-containers"]
