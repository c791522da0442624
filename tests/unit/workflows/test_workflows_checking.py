"""Checking manifests: what is pinned, locked, mutable, unresolved; what a lockfile and the caller change."""

import json

import pytest

from trustkit.errors import FormatError, LimitError
from trustkit.workflows.checking import REMEDIES, check_manifests
from trustkit.workloads.basefile import parse_bases
from trustkit.workloads.extension import extended_table
from trustkit.workloads.lock import MAX_BYTES, parse_lock
from trustkit.workloads.manifests import subjects_of
from trustkit.workloads.table import default_table

A, B = "a" * 64, "b" * 64
OWN = f"trust://store/llama@sha256:{A}"


def pod(*args, name="web", kind="v1 Pod", metadata=""):
    version, kind = kind.split()
    return (
        f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: team{metadata}}}\n"
        "spec:\n  containers:\n  - name: server\n    image: vllm/vllm-openai:v0.9\n"
        f"    args: {json.dumps(args)}\n"
    )


def check(*texts, **options):
    subjects = [found for n, text in enumerate(texts) for found in subjects_of(text.encode(), f"{n}.yaml")]
    return list(check_manifests(subjects, **options))


def told(*texts, **options):
    return [(found.reference, found.state, found.code, found.refused) for found in check(*texts, **options)]


def lock(*rows):
    models = [
        {"reference": reference, "digest": f"sha256:{digest}", **({"object": title[0]} if title else {})}
        for reference, digest, *title in rows
    ]
    return parse_lock(json.dumps({"version": "trustkit.dev/lock/v1", "models": models}).encode())


def test_a_digest_in_the_reference_pins_it():
    assert told(pod("--model", OWN)) == [(OWN, "pinned", "", False)]
    commit = f"hf://org/name@{'0' * 40}"
    assert told(pod("--model", commit)) == [(commit, "pinned", "", False)]


@pytest.mark.parametrize(
    "reference", ["trust://store/llama", "trust://store/llama:v1", "s3://b/m", "/mnt/m", "org/m"]
)
def test_what_can_be_moved_is_refused(reference):
    assert told(pod("--model", reference)) == [(reference, "mutable", "not-pinned", True)]


def test_where_it_stands_is_told_by_file_document_line_and_path():
    [found] = check("x: 1\n", "# nothing\n---\na: 1\n---\n" + pod("--model", "s3://b/m"))
    assert (found.subject.file, found.subject.document, found.line) == ("1.yaml", 2, 12)
    assert found.path == "spec.containers[0].args[1]"
    assert found.subject.title == "Pod team/web"
    assert (found.model.scheme, found.model.how) == ("s3", "argument")
    body = "".join(f"\n  {line}" for line in pod("--model", "s3://b/m").splitlines())
    [found] = check("apiVersion: v1\nkind: List\nitems:\n-" + body[2:])
    assert found.path == "items[0].spec.containers[0].args[1]"
    assert found.line == 11


def test_an_accelerator_without_a_model_is_unresolved_and_the_caller_may_accept_it():
    asks = "resources: {limits: {nvidia.com/gpu: 1}}"
    text = f"{{apiVersion: v1, kind: Pod, spec: {{containers: [{{name: a, image: b, {asks}}}]}}}}"
    [(_, state, code, refused)] = told(text)
    assert (state, code, refused) == ("unresolved", "unresolved-gpu", True)
    [(_, state, code, refused)] = told(text, allowed=["unresolved-gpu"])
    assert (state, code, refused) == ("unresolved", "unresolved-gpu", False)


@pytest.mark.parametrize(
    "name", ["cert-manager.io/Certificate", "argoproj.io/Application", "external-secrets.io/ExternalSecret"]
)
def test_a_kind_that_nobody_listed_is_refused_until_a_row_says_that_it_holds_no_model(name):
    group, _, kind = name.partition("/")
    text = f"{{apiVersion: {group}/v1, kind: {kind}, metadata: {{name: a}}, spec: {{name: b}}}}"
    [found] = check(text)
    assert (found.reference, found.state, found.code, found.refused) == (
        name,
        "unresolved",
        "unknown-kind",
        True,
    )
    assert (repr(name) in found.reason, "bystanders" in found.reason) == (True, True)
    assert "bystanders: [GROUP/KIND]" in REMEDIES[found.code]
    own = extended_table(f"version: trustkit.dev/workloads/v1\nbystanders: [{name}]\n".encode())
    assert check(text, table=own) == []
    assert [found.refused for found in check(text, allowed=["unknown-kind"])] == [False]


def test_who_lets_unknown_kinds_pass_lets_no_model_pass_that_they_name():
    text = pod("--model", "s3://b/m", kind="a.example/v1 Unheard")
    assert told(text, allowed=["unknown-kind", "unresolved-model"]) == [
        ("a.example/Unheard", "unresolved", "unknown-kind", False),
        ("s3://b/m", "mutable", "not-pinned", True),
    ]


def test_who_lets_unresolved_places_pass_lets_no_reference_pass_that_stands_at_one():
    image = "vllm/vllm-openai:v0.9\n    command: [sh, -c]"
    default = pod("vllm serve ${M:-org/name}").replace("vllm/vllm-openai:v0.9", image)
    found = told(default, allowed=["unresolved-model"])
    assert ("org/name", "unresolved", "unresolved-model", False) in found
    assert ("org/name", "mutable", "not-pinned", True) in found
    variable = pod("--model", "s3://$(X)/m")
    assert told(variable) == [("s3://$(X)/m", "unresolved", "unresolved-model", True)]
    assert told(variable, allowed=["unresolved-model"])[0][3] is False


def test_what_is_accepted_is_one_code_and_no_other():
    assert told(pod("--model", "s3://b/m"), allowed=["not-pinned"]) == [
        ("s3://b/m", "mutable", "not-pinned", False)
    ]
    assert told(pod("--model", "s3://b/m"), allowed=["not-locked"]) == [
        ("s3://b/m", "mutable", "not-pinned", True)
    ]


def test_an_annotation_that_only_trustkit_writes_is_refused():
    text = pod("--model", OWN, metadata=', annotations: {"trustkit.dev/decision": x}')
    assert told(text)[:1] == [("trustkit.dev/decision", "forbidden", "reserved-annotation", True)]
    assert check(text)[0].line == 3


def test_what_only_may_be_a_model_is_told_and_refused_by_nobody():
    text = "{apiVersion: mlops.seldon.io/v1alpha1, kind: Pipeline, spec: {steps: [{name: income}]}}"
    assert told(text) == [("income", "possible", "", False)]
    assert told(text, lock=lock()) == [("income", "possible", "", False)]


def test_a_lockfile_says_what_a_reference_means():
    text = pod("--model", "s3://b/m")
    assert told(text, lock=lock(("s3://b/m", A))) == [("s3://b/m", "locked", "", False)]
    assert told(text, lock=lock(("s3://b/m2", A))) == [("s3://b/m", "mutable", "not-locked", True)]
    assert told(text, lock=lock(("s3://b/m", A, "Pod team/web"))) == [("s3://b/m", "locked", "", False)]
    assert told(text, lock=lock(("s3://b/m", A, "Pod team/other")))[0][2] == "not-locked"


@pytest.mark.parametrize(
    "reference", ["/mnt/models", "llama3", "pvc://claim/m", "file:///mnt/m", "host:///m"]
)
def test_what_means_another_model_in_every_object_is_locked_for_one_object(reference):
    text = pod("--model", reference)
    assert told(text, lock=lock((reference, A)))[0][2] == "not-locked"
    assert told(text, lock=lock((reference, A, "Pod team/web"))) == [(reference, "locked", "", False)]


def test_a_reference_of_our_own_carries_the_digest_of_the_lockfile():
    assert told(pod("--model", OWN), lock=lock(("trust://store/llama", A))) == [(OWN, "pinned", "", False)]
    assert told(pod("--model", OWN), lock=lock(("trust://store/llama", B))) == [
        (OWN, "pinned", "lock-mismatch", True)
    ]
    assert told(pod("--model", OWN), lock=lock()) == [(OWN, "pinned", "not-locked", True)]
    mutable = "trust://store/llama"
    assert told(pod("--model", mutable), lock=lock((mutable, A))) == [(mutable, "locked", "", False)]


def config(name, uri, namespace="team"):
    return (
        "apiVersion: serving.kserve.io/v1alpha1\nkind: LLMInferenceServiceConfig\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\nspec: {{model: {{uri: '{uri}'}}}}\n"
    )


SERVICE = (
    "apiVersion: serving.kserve.io/v1alpha1\nkind: LLMInferenceService\n"
    "metadata: {name: s, namespace: team}\nspec: {baseRefs: [{name: base}]}\n"
)


def of_service(*texts, **options):
    return [
        (found.reference, found.state)
        for found in check(*texts, **options)
        if found.subject.object["kind"] == "LLMInferenceService"
    ]


def test_an_object_is_read_with_those_of_the_run_that_it_is_based_on():
    assert of_service(SERVICE, config("base", OWN)) == [(OWN, "pinned")]
    assert of_service(config("base", OWN), SERVICE) == [(OWN, "pinned")]


@pytest.mark.parametrize(
    "others",
    [
        (),
        (config("other", OWN),),
        (config("base", OWN, namespace="elsewhere"),),
        (config("base", OWN), config("base", "s3://b/m")),
    ],
)
def test_a_base_that_is_not_at_hand_or_not_one_is_unresolved(others):
    assert "unresolved" in {state for _, state in of_service(SERVICE, *others)}


def test_bases_that_are_given_stand_behind_those_of_the_run():
    given = parse_bases(config("base", OWN).encode(), default_table())
    assert of_service(SERVICE, given=given) == [(OWN, "pinned")]
    assert of_service(SERVICE, config("base", "s3://b/m"), given=given) == [("s3://b/m", "mutable")]
    twice = (config("base", OWN), config("base", "s3://b/m"))
    assert "unresolved" in {state for _, state in of_service(SERVICE, *twice, given=given)}


def test_every_code_has_a_remedy_and_is_one_that_can_be_accepted_and_is_explained(pytestconfig):
    from trustkit.cli.verbs.check import CODES

    text = (pytestconfig.rootpath / "trustkit/design/codes.md").read_text(encoding="utf-8")
    rows = [line.split("`")[1] for line in text.split("\n## Findings\n")[1].splitlines() if line[:3] == "| `"]
    assert sorted(REMEDIES) == list(CODES) == rows


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"version": "trustkit.dev/lock/v2", "models": []}, "bad-lock"),
        ({"version": "trustkit.dev/lock/v1"}, "missing-field"),
        ({"version": "trustkit.dev/lock/v1", "models": [], "more": 1}, "unknown-field"),
        ({"version": "trustkit.dev/lock/v1", "models": [1]}, "bad-field"),
        ([{"reference": "s3://b/m", "digest": "x"}], "bad-digest"),
        ([{"reference": "s3://b/m", "digest": f"blake3:{A}"}], "bad-lock"),
        ([{"reference": "", "digest": f"sha256:{A}"}], "bad-lock"),
        ([{"reference": "s3://b/m", "digest": f"sha256:{A}", "note": "x"}], "unknown-field"),
        ([{"reference": "s3://b/m", "digest": f"sha256:{A}"}] * 2, "bad-lock"),
    ],
)
def test_a_lockfile_is_read_strictly(document, code):
    if isinstance(document, list):
        document = {"version": "trustkit.dev/lock/v1", "models": document}
    with pytest.raises(FormatError) as caught:
        parse_lock(json.dumps(document).encode())
    assert caught.value.code == code


def test_a_lockfile_has_a_largest_size():
    with pytest.raises(LimitError):
        parse_lock(b" " * (MAX_BYTES + 1))
