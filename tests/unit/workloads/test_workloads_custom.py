"""Custom resources at their edges: too long, broken, of an odd shape, or called like something else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustkit.errors import LimitError, UnavailableError
from trustkit.workloads.extract import pod_of, references
from trustkit.workloads.grammar import answers_questions, is_service
from trustkit.workloads.places import spelled
from trustkit.workloads.table import default_table
from trustkit.workloads.values import MAX_STRING

TRUST = "trust://store.example/acme/tiny/1"
GPU = {"resources": {"limits": {"nvidia.com/gpu": 1}}}


def obj(kind, group="serving.kserve.io/v1beta1", **members):
    return {"apiVersion": group, "kind": kind, "metadata": {"name": "x"}, **members}


def service(**spec):
    return obj("InferenceService", spec=spec)


def config(**data):
    return obj("ConfigMap", "v1", data=data)


def texts(subject):
    return [model.reference for model in references(subject).models]


def places(subject):
    return [place.path for place in references(subject).unresolved]


def test_a_place_is_spelled_as_people_write_it():
    assert spelled((((("", "spec"), "a"), 0), "b.c/d")) == 'spec.a[0]["b.c/d"]'
    assert spelled((("data.x#", "a"), 1)) == "data.x#a[1]"
    assert spelled("") == ""


@pytest.mark.parametrize(
    "subject",
    [
        obj("RayJob", "ray.io/v1", spec={"entrypoint": "vllm serve a " * MAX_STRING}),
        obj("RayService", "ray.io/v1", spec={"serveConfigV2": "a: b\n" * 3_000}),
        obj("RayService", "ray.io/v1", spec={"serveConfigV2": "a: " + "b" * MAX_STRING}),
        obj("RayService", "ray.io/v1", spec={"serveConfigV2": "just a text"}),
        config(**{"run.sh": "true\n" * MAX_STRING}),
        config(**{"app.yaml": "a: b\n" * 3_000}),
        obj(
            "Workflow",
            "argoproj.io/v1alpha1",
            spec={"templates": [{"script": {"command": ["sh"], "source": "a" * (MAX_STRING + 1)}}]},
        ),
    ],
)
def test_what_is_too_long_or_no_document_is_unresolved(subject):
    assert len(places(subject)) == 1


def test_documents_of_one_object_share_what_is_read():
    few = {f"a{n}.yaml": "a: b\n" * 80 for n in range(4)}
    assert places(config(**few)) == []
    many = {f"a{n}.yaml": "a: b\n" * 80 for n in range(40)}
    assert places(config(**many))


def test_a_text_of_a_configmap_that_is_no_document_is_left_alone():
    assert places(config(a="a: [\nb", b="{broken", c="one line: of text")) == []


def test_the_clock_is_looked_at_in_a_walk_of_any_shape():
    def late():
        calls.append(1)
        if len(calls) > 4:
            raise UnavailableError("deadline", "too late")

    for wide in (
        {"a": {str(n): 1 for n in range(2_000)}},
        {"a": list(range(2_000))},
        {"env": [{"name": "a"} for _ in range(2_000)]},
    ):
        calls: list[int] = []
        with pytest.raises(UnavailableError):
            references(service(**wide), check=late)


def test_lists_of_variables_are_walked_whatever_they_hold():
    odd = [TRUST, [TRUST], {TRUST: "x"}, {"name": "A", "valueFrom": {"x": [TRUST]}}, {"a": [TRUST]}, 1]
    found = references(service(anyEnv=odd)).models
    assert {model.path for model in found} == {
        "spec.anyEnv[0]",
        "spec.anyEnv[1][0]",
        f'spec.anyEnv[2]["{TRUST}"]',
        "spec.anyEnv[3].valueFrom.x[0]",
        "spec.anyEnv[4].a[0]",
    }


def test_variables_of_a_member_of_another_name_are_variables():
    subject = service(
        workers=[{"extraEnvs": [{"name": "B", "value": "x"}, {"name": "MODEL_ID", "value": "a/$(B)"}]}]
    )
    assert [(m.path, m.reference) for m in references(subject).models] == [
        ("spec.workers[0].extraEnvs[1].value", "a/x")
    ]


def test_a_depth_that_nobody_needs_is_refused_in_documents_too():
    deep = "[" * 30 + "]" * 30
    assert texts(config(a='{"x": ' + deep + ', "storageUri": "s3://b/m"}')) == ["s3://b/m"]
    value = {"a": 1}
    for _ in range(80):
        value = {"a": value}
    with pytest.raises(LimitError):
        references(service(x=value))


@pytest.mark.parametrize(
    ("member", "value", "found"),
    [
        ("modelUri", "", []),
        ("modelUri", "  ", []),
        ("modelUri", '{"model": "org/x"}', ["org/x"]),
        ("model_uri", "plain", ["plain"]),
        ("model-url", "http://host.example/", ["http://host.example/"]),
        ("modelPath", "/m", ["/m"]),
        ("modelDir", "http://service.example:80/v1", []),
        ("draft_model", "org/draft", ["org/draft"]),
        ("tokenizer", "org/x", ["org/x"]),
        ("tokenizer", "auto", []),
        ("model", "some words here", []),
        ("comment", "org/x", []),
        ("path", "/m", []),
        ("url", "s3://bucket/m", []),
    ],
)
def test_members_by_their_names(member, value, found):
    assert texts(obj("Thing", "other.example/v1", spec={member: value})) == found


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"model": {"uri": "org/x"}}, ["org/x"]),
        ({"model": {"a": {"uri": "s3://b/m"}}}, ["s3://b/m"]),
        ({"model": {"a": {"b": {"c": {"uri": "s3://b/m"}}}}}, []),
        ({"model": {"a": {"path": "/x"}}}, ["/x"]),
        ({"model": {"a": {"b": {"path": "/x"}}}}, []),
        ({"adapter": {"path": "x.safetensors"}}, ["x.safetensors"]),
        ({"model": {"readinessProbe": {"httpGet": {"path": "/v2/models"}}}}, []),
        ({"model": {"source": "http://host.example/metrics"}}, []),
        ({"model": {"output": {"uri": "s3://b/m"}}}, []),
        ({"results": {"note": f"hf://org/x and {TRUST}"}}, [TRUST]),
        ({"image": {"repository": "nvcr.io/nim/meta/x", "tag": "1"}}, ["nvcr.io/nim/meta/x"]),
        ({"image": {"repository": "docker.io/library/nginx"}}, []),
        ({"params": [{"name": "model", "value": "org/x"}, {"name": "other", "value": "org/y"}]}, ["org/x"]),
        ({"params": [{"name": 1, "value": "org/x"}]}, []),
        ({"x": {"model_id": "tiny", "model_source": "org/x"}}, ["org/x"]),
        ({"models": ["./x.yaml", "plain", "org/y", 1]}, ["./x.yaml", "org/y"]),
        ({"modelUris": ["plain", "s3://b/m"]}, ["plain", "s3://b/m"]),
        ({"names": ["org/y"], "outputs": {"models": ["org/y"]}}, []),
        ({"x": {"model_id": "org/y", "model_source": "org/x"}}, ["org/y", "org/x"]),
    ],
)
def test_members_by_what_stands_above_and_beside_them(spec, found):
    assert texts(obj("Thing", "other.example/v1", spec=spec)) == found


def test_many_members_of_one_object_are_not_compared_with_each_other():
    crowd = {
        "".join(c.upper() if n >> i & 1 else c for i, c in enumerate("modelid")): "x" for n in range(128)
    }
    assert len(crowd) == 128
    assert references(service(model=crowd)).models != ()


def test_annotations_that_controllers_read_are_references_and_others_only_possible():
    subject = obj(
        "InferenceService",
        metadata={
            "annotations": {
                "internal.serving.kserve.io/storage-initializer-sourceuri": "org/x",
                "modelUri": "org/y",
                "note": "hf://org/z",
            }
        },
    )
    assert [(m.reference, m.confidence) for m in references(subject).models] == [
        ("org/x", "certain"),
        ("hf://org/z", "possible"),
    ]


@pytest.mark.parametrize("spec", [None, [], "x", {"csi": None}, {"csi": {"driver": 1}}, {"nfs": []}])
def test_a_volume_of_the_cluster_in_any_shape_is_survived(spec):
    references(obj("PersistentVolume", "v1", spec=spec))


def test_an_accelerator_of_a_custom_resource_is_answered_by_what_the_object_names():
    answered = service(predictor={"model": {"storageUri": "s3://b/m", **GPU}})
    assert (references(answered).gpu, places(answered)) == (True, [])
    silent = obj(
        "JobSet", "jobset.x-k8s.io/v1", spec={"jobs": [{"pod": {"containers": [{"name": "c", **GPU}]}}]}
    )
    found = references(silent)
    assert [(p.path, p.code) for p in found.unresolved] == [
        ("spec.jobs[0].pod.containers[0]", "unresolved-gpu")
    ]
    alone = obj("TrainJob", "trainer.kubeflow.org/v1", spec={"trainer": {"args": ["x"], **GPU}})
    assert places(alone) == ["spec.trainer"]
    named = obj(
        "TrainJob", "trainer.kubeflow.org/v1", spec={"trainer": {"args": ["--model", "org/x"], **GPU}}
    )
    assert places(named) == []
    open_ended = obj(
        "TrainJob", "trainer.kubeflow.org/v1", spec={"trainer": {"args": ["--model", "$(X)"], **GPU}}
    )
    assert places(open_ended) == ["spec.trainer.args[1]"]


def test_a_decoy_beside_an_accelerator_answers_for_no_other_container_of_a_plain_pod():
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": {
            "containers": [
                {"name": "a", "args": ["--model", TRUST], **GPU},
                {"name": "b", "livenessProbe": {"exec": {"command": ["--model", "org/x"]}}, **GPU},
            ]
        },
    }
    assert places(pod) == ["spec.containers[1]"]


@pytest.mark.parametrize(
    ("address", "service"),
    [
        ("http://llm.ns.svc:8000", True),
        ("https://host.example/v1/models", True),
        ("https://host.example/openai/v1/models/x", True),
        ("https://host.example/healthz", True),
        ("https://host.example/x/models/y", False),
        ("https://host.example/x.tar.gz?a=b", False),
        ("https://host.example/x.gguf", False),
        ("https://huggingface.co/org/x", False),
        ("s3://bucket/x", False),
    ],
)
def test_a_web_address_that_names_no_file_is_a_service(address, service):
    assert is_service(address, default_table()) is service


def test_where_servers_answer():
    assert answers_questions("http://x/metrics")
    assert not answers_questions("http://x/metrics/weights.bin")


def test_a_download_beside_an_accelerator_is_a_model_whatever_it_is_called():
    def pod(script):
        container = {"name": "c", "command": ["sh", "-c", script], **GPU}
        return {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}}

    assert texts(pod("curl -o /m https://host.example/blob")) == ["https://host.example/blob"]
    assert texts(pod("curl http://localhost:8000/blob; curl http://other:8000/v1/models")) == []
    assert texts(pod("git clone https://github.com/org/code.git")) == []


def test_the_pod_of_an_object_is_where_its_kind_keeps_it():
    assert pod_of(obj("Pod", "v1", spec={"a": 1}))["spec"] == {"a": 1}
    assert pod_of(obj("Job", "batch/v1", spec={"template": {"spec": {"b": 1}}})) == {"spec": {"b": 1}}
    assert pod_of(service(predictor={"containers": []})) == {}
    assert pod_of(obj("Binding", "v1")) == {}


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("SERVED_MODEL_NAME", "org/x", []),
        ("ANY_MODEL", "org/x", ["org/x"]),
        ("ANY_MODEL", "plain", []),
        ("ANY_MODEL", "http://llm.ns.svc/v1", []),
        ("ANY_MODEL", "r.example/m:1", ["r.example/m:1"]),
        ("HF_ENDPOINT", "https://huggingface.co", []),
        ("MODEL_ID", '{"model": "org/x"}', ["org/x"]),
        ("OPTIONS", "--model org/x", ["org/x"]),
        ("OPTIONS", "--level info", []),
    ],
)
def test_variables_by_their_names(name, value, found):
    container = {"name": "c", "env": [{"name": name, "value": value}]}
    assert texts({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}}) == found


def test_an_address_that_a_server_writes_to_is_no_model_and_others_are_possible():
    def found(*words):
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "spec": {"containers": [{"name": "c", "args": list(words), **GPU}]},
        }
        return [(m.reference, m.confidence) for m in references(pod).models]

    assert found("--zzz", "s3://bucket/x") == [("s3://bucket/x", "possible")]
    assert found("--output-dir", "s3://bucket/x") == []
    assert found("--log_path=s3://bucket/x") == []
    assert found("s3://bucket/x") == [("s3://bucket/x", "possible")]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--source", "org/x"], ["org/x"]),
        (["--source=s3://bucket/m"], ["s3://bucket/m"]),
        (["--source", "plain"], []),
        (["--source"], []),
        (["--source", "http://host.example/"], []),
        (["--source", "$(X)/y"], []),
    ],
)
def test_loose_flags_are_read_where_models_are_fetched(words, found):
    container = {"name": "c", "image": "example.com/model-downloader:1", "args": words}
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}}
    assert texts(pod) == found
    container["image"] = "example.com/other:1"
    assert [text for text in texts(pod) if "://" not in text] == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["copy", "store:a/b", "/m"], ["store:a/b"]),
        (["copy", ":s3,provider=AWS:bucket/x", "/m"], [":s3,provider=AWS:bucket/x"]),
        (["rcd", "--rc-addr", "0.0.0.0:5572"], []),
        (["copy", "/a", "/b"], []),
    ],
)
def test_remotes_of_rclone(words, found):
    container = {"name": "c", "image": "docker.io/rclone/rclone:1", "args": words}
    assert texts({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}}) == found


def test_kinds_that_speak_of_models_and_bring_none_in_are_quiet():
    rule = {"matches": [{"headers": [{"name": "model", "value": "org/x"}]}], "url": "hf://org/y"}
    route = obj("HTTPRoute", "gateway.networking.k8s.io/v1", spec={"rules": [rule]})
    assert (texts(route), places(route)) == ([], [])
    assert texts({**route, "note": TRUST}) == [TRUST]
    pods = [{"containers": [{"args": ["--model", "org/x"]}]}]
    assert texts(obj("HTTPRoute", "gateway.networking.k8s.io/v1", spec={"pods": pods})) == ["org/x"]


@pytest.mark.parametrize("kind", ["v1/Service", "rbac.authorization.k8s.io/Role", "keda.sh/ScaledObject"])
def test_kinds_that_stand_beside_workloads_are_known(kind):
    group, _, name = kind.partition("/")
    subject = obj(name, "v1" if group == "v1" else f"{group}/v1", spec={"model": "org/x"})
    assert (texts(subject), places(subject)) == ([], [])


def test_a_socket_of_the_node_holds_no_weights_and_a_folder_may():
    def pod(**source):
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "spec": {"containers": [], "volumes": [{"hostPath": source}]},
        }

    assert texts(pod(path="/x/y", type="Socket")) == []
    assert texts(pod(path="/x/y", type="Directory")) == ["/x/y"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("tune download org/x", ["org/x"]),
        ("litgpt serve org/x", ["org/x"]),
        ("text-generation-server download-weights org/x", ["org/x"]),
        ("ngc registry model download-version org/team/x:1", ["org/team/x:1"]),
        ("oras pull r.example/m:1", ["r.example/m:1"]),
        ("lm_eval --model_args pretrained=org/x", ["org/x"]),
        ("mlflow artifacts download --artifact-uri models:/x/1", ["models:/x/1"]),
    ],
)
def test_programs_that_fetch_or_measure_models(line, found):
    container = {"name": "c", "command": ["sh", "-c", line]}
    subject = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}}
    assert [m.reference for m in references(subject).models if m.confidence != "possible"] == found


WORDS = [
    "spec",
    "model",
    "models",
    "predictor",
    "containers",
    "env",
    "args",
    "command",
    "volumes",
    "resources",
]
WORDS += [
    "storage",
    "path",
    "uri",
    "baseRefs",
    "name",
    "value",
    "data",
    "serveConfigV2",
    "entrypoint",
    "source",
]
WORDS += ["annotations", "metadata", "storageUri", "modelUri", "image", "repository", "limits", "output"]
VALUES = st.recursive(
    st.none()
    | st.integers()
    | st.sampled_from([TRUST, "org/x", "s3://b/m", "a: [b]\n", "{}", "$(X)", "--model", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=30,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(default_table().kinds)), VALUES)
def test_any_object_of_any_kind_is_survived_and_our_scheme_is_never_missed(kind, value):
    group, _, name = kind.partition("/")
    subject = {"apiVersion": "v1" if group == "v1" else f"{group}/v1", "kind": name, "note": TRUST}
    found = references({**subject, **(value if isinstance(value, dict) else {"spec": value})})
    assert TRUST in {model.reference for model in found.models}
    assert "kind" not in {place.path for place in found.unresolved}
