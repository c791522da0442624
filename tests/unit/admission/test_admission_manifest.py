"""What `decide` is given: a review, or a manifest that is judged as if it were created."""

import json

import pytest
import yaml

from admission.manifest import question_in
from trustkit.errors import FormatError, LimitError

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "llm", "namespace": "team"}, "spec": {}}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generateName": "llm-"}, "spec": {}}


def as_yaml(*documents):
    return yaml.safe_dump_all(documents).encode()


def refused(raw, kind=FormatError):
    with pytest.raises(kind) as caught:
        question_in(raw, "x.yaml")
    return caught.value


def test_a_review_is_itself_and_nothing_is_assumed(tools):
    review = json.dumps(tools.review(POD)).encode()
    question = question_in(b"\n " + review, "x.json")
    assert (question.assumed, question.about) == ({}, "")
    assert (question.review.uid, question.review.object) == ("705ab4f5-6393-11e8-b7cc-42010a800002", POD)


@pytest.mark.parametrize("write", [as_yaml, lambda document: json.dumps(document).encode()])
def test_a_manifest_is_created_where_it_says(write):
    question = question_in(write(POD), "x.yaml")
    review = question.review
    assert (review.operation, review.kind, review.namespace, review.name) == ("CREATE", "Pod", "team", "llm")
    assert (review.object, review.old_object, review.subresource) == (POD, None, "")
    assert question.assumed == {"operation": "CREATE"}
    assert question.about == "Pod team/llm, as if it were created as it is written, in the namespace 'team'"


def test_what_nobody_said_is_assumed_and_told():
    question = question_in(as_yaml(DEPLOYMENT), "x.yaml")
    assert (question.review.kind, question.review.namespace, question.review.name) == (
        "Deployment",
        "default",
        "",
    )
    assert question.assumed == {"operation": "CREATE", "namespace": "default"}
    assert question.about.startswith("apps/Deployment llm-, as if it were created")
    assert question.about.endswith("in the namespace 'default', assumed since it names none")
    assert question.review.object == DEPLOYMENT


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("v1", "Namespace"),
        ("rbac.authorization.k8s.io/v1", "ClusterRole"),
        ("serving.kserve.io/v1alpha1", "ClusterServingRuntime"),
        ("storage.k8s.io/v1", "VolumeAttributesClass"),
    ],
)
def test_what_is_in_no_namespace_is_put_into_none(version, kind):
    question = question_in(
        as_yaml({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}}), "x.yaml"
    )
    assert (question.review.kind, question.review.namespace, question.review.name) == (kind, "", "x")
    assert question.assumed == {"operation": "CREATE"}
    assert question.about.endswith(
        "x, as if it were created as it is written, in no namespace, as all of its kind"
    )


def test_a_kind_of_another_group_with_such_a_name_is_in_a_namespace():
    node = {"apiVersion": "example.org/v1", "kind": "Node", "metadata": {"name": "x"}}
    assert question_in(as_yaml(node), "x.yaml").review.namespace == "default"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nothing",
        b"[]",
        b"{}",
        as_yaml({"apiVersion": "v1", "spec": {}}),
        b"kind: AdmissionReview\napiVersion: v1",
    ],
)
def test_what_is_neither_is_told_what_is_wanted(raw):
    error = refused(raw)
    assert error.code == "bad-review"
    assert "'x.yaml' holds neither an AdmissionReview (JSON) nor the manifest of an object" in error.message


def test_several_objects_are_named_and_none_is_judged():
    error = refused(as_yaml(POD, DEPLOYMENT))
    assert error.code == "bad-review"
    assert "holds 2 objects (Pod team/llm, apps/Deployment llm-), and one is judged" in error.message
    assert "and 2 more)" in refused(as_yaml(*[POD] * 7)).message


@pytest.mark.parametrize(
    ("raw", "kind", "code"),
    [
        (b'{"kind": "AdmissionReview", "kind": "x"}', FormatError, "duplicate-key"),
        (b'{"kind": "AdmissionReview"}', FormatError, "bad-review"),
        (as_yaml(POD) + b"kind: Pod\n", FormatError, "bad-manifest"),
        (
            as_yaml({**POD, "spec": [[]]}).replace(b"- []", b"- " + b"[" * 90 + b"]" * 90),
            LimitError,
            "too-deep",
        ),
    ],
)
def test_a_manifest_is_read_as_strictly_as_a_review(raw, kind, code):
    assert refused(raw, kind).code == code


def test_decide_judges_a_manifest_and_says_what_it_assumed(webhook, tools, model):
    pod = tools.pod("--model", webhook.reference(model).partition("@")[0] + ":latest")
    del pod["metadata"]["namespace"]
    file = webhook.folder / "pod.yaml"
    file.write_bytes(as_yaml(pod))
    words = ("decide", "--config", webhook.config(), "--review", file)
    done = webhook.run(*words)
    assert done.stderr == ""
    first, *denials = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (1, "")
    assert first.startswith("judged is Pod ")
    assert first.endswith("'default', assumed since it names none")
    assert any(line.startswith("[not-pinned] ") for line in denials)
    evidence = json.loads(webhook.run(*words, "--json").stdout)["evidence"]
    assert evidence["assumed"] == {"operation": "CREATE", "namespace": "default"}
    assert evidence["review"]["response"]["allowed"] is False
    file.write_bytes(as_yaml(pod, pod))
    done = webhook.run(*words)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.endswith("[bad-review]\n")
