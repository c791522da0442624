"""Attacks by what an object says: it hides its model from the webhook, or keeps the webhook busy."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest

from admission.decide import Judge
from admission.review import parse_review
from trustkit import strictjson
from trustkit.programs.deadline import Deadline


@dataclass
class Untouched:
    """Stands for everything behind the extraction: nothing of it may be reached."""

    reached: list = field(default_factory=list)

    def __call__(self, *_: Any, **__: Any) -> Any:
        self.reached.append("called")

    def __getattr__(self, name: str) -> Any:
        return self


def review(obj, old=None):
    request = {
        "uid": "1",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "operation": "UPDATE" if old else "CREATE",
        "namespace": "n",
        "userInfo": {"username": "u"},
        "object": obj,
    }
    if old:
        request["oldObject"] = old
    document = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    return parse_review(strictjson.to_bytes(document))


def pod(**container):
    containers = [{"name": "c", "image": "example.com/app:1", **container}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}}


SLOW = {
    "words": {"args": ["a b"] * 2000},
    "a script": {"command": ["sh", "-c", "vllm serve $(a); " * 3000]},
    "variables": {"env": [{"name": f"V{n}", "value": "x"} for n in range(2000)]},
}


@pytest.mark.parametrize("container", SLOW.values(), ids=SLOW.keys())
def test_an_object_cannot_keep_the_webhook_busy_beyond_its_deadline(container):
    """Every look at the clock takes a second: reading all of it would take half an hour, and ten are left."""
    behind, ticks = Untouched(), itertools.count()
    judge = Judge(room=behind, plan=behind, rules=behind, alarm=behind)
    verdict = judge.judge(review(pod(**container)), "validate", Deadline(10.0, lambda: float(next(ticks))))
    assert [violation.code for violation in verdict.violations] == ["deadline"]
    assert next(ticks) < 20
    assert behind.reached == []


def test_reading_the_old_object_is_under_the_deadline_too():
    new, behind, ticks = pod(), Untouched(), itertools.count()
    old = {**new, "metadata": {"name": "p", "finalizers": ["x"] * 100_000}}
    judge = Judge(room=behind, plan=behind, rules=behind, alarm=behind)
    verdict = judge.judge(review(new, old), "validate", Deadline(40.0, lambda: float(next(ticks))))
    assert [violation.code for violation in verdict.violations] == ["deadline"]
    assert next(ticks) < 60
    assert behind.reached == []
