"""Tables of pods: what is found, what is unresolved, what is left alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustkit.errors import LimitError, TrustkitError
from trustkit.workloads.extract import references
from trustkit.workloads.values import MAX_REFERENCES

PIN = "sha256:" + "a" * 64
TRUST = f"trust://store.ml:8443/acme/tiny-llm/1@{PIN}"
GPU = {"resources": {"limits": {"nvidia.com/gpu": 1}}}


def pod(container=None, **spec):
    containers = [{"name": "c", "image": "example.com/app:1", **(container or {})}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": containers, **spec},
    }


def args(*words, **more):
    return {"args": list(words), **more}


def env(name, value, **more):
    return {"env": [{"name": name, "value": value}], **more}


def seen(obj):
    found = references(obj)
    return {(m.path, m.reference, m.scheme) for m in found.models if m.confidence != "possible"}


C0 = "spec.containers[0]"

FOUND = [
    # (name, container, path below the container, reference, scheme)
    ("trust in an argument", args("--model", TRUST), "args[1]", TRUST, "trust"),
    ("trust glued to a flag", args(f"--model={TRUST}"), "args[0]", TRUST, "trust"),
    ("trust under an unknown flag", args("--whatever", TRUST), "args[1]", TRUST, "trust"),
    ("trust in a command", {"command": ["serve", TRUST]}, "command[1]", TRUST, "trust"),
    (
        "trust in a shell line",
        {"command": ["sh", "-c", f"serve '{TRUST}' && ls"]},
        "command[2]",
        TRUST,
        "trust",
    ),
    ("trust in a variable", env("ANY", TRUST), "env[0].value", TRUST, "trust"),
    ("trust inside a longer value", env("ANY", f"a;{TRUST};b"), "env[0].value", TRUST, "trust"),
    ("trust glued to text", args(f"x{TRUST}"), "args[0]", TRUST, "trust"),
    ("trust in upper case", args("TRUST://h/p"), "args[0]", "TRUST://h/p", "trust"),
    ("trust with a tag", args("trust://h/p:v1"), "args[0]", "trust://h/p:v1", "trust"),
    ("trust in JSON", args('{"m": "' + TRUST + '"}'), "args[0]", TRUST, "trust"),
    ("vllm --model", args("--model", "org/name"), "args[1]", "org/name", "hf"),
    ("vllm --model=", args("--model=org/name"), "args[0]", "org/name", "hf"),
    ("vllm with underscores", args("--model_path", "org/name"), "args[1]", "org/name", "hf"),
    ("quotes inside the word", args('--model="org/name"'), "args[0]", "org/name", "hf"),
    ("stray backslash", args("--model=org/name \\"), "args[0]", "org/name", "hf"),
    ("vllm serve", {"command": ["vllm", "serve", "org/name"]}, "command[2]", "org/name", "hf"),
    (
        "vllm serve behind a path",
        {"command": ["/usr/bin/vllm", "serve", "org/name"]},
        "command[2]",
        "org/name",
        "hf",
    ),
    (
        "vllm serve after flags",
        {"command": ["vllm", "serve"], "args": ["--port", "1", "org/name"]},
        "args[2]",
        "org/name",
        "hf",
    ),
    (
        "vllm serve after a switch",
        args("vllm", "serve", "--trust-remote-code", "org/name"),
        "args[3]",
        "org/name",
        "hf",
    ),
    ("image's own program", args("org/name", image="vllm/vllm-openai:v1"), "args[0]", "org/name", "hf"),
    (
        "speculative JSON",
        args("--speculative-config", '{"model": "org/draft"}'),
        "args[1]",
        "org/draft",
        "hf",
    ),
    ("LoRA pairs", args("--lora-modules", "a=org/x", "b=s3://k/y"), "args[2]", "s3://k/y", "s3"),
    ("LoRA JSON", args("--lora-modules", '{"name":"a","path":"org/x"}'), "args[1]", "org/x", "hf"),
    ("draft model", args("--speculative-model", "org/draft"), "args[1]", "org/draft", "hf"),
    ("tokenizer", args("--tokenizer", "org/tok"), "args[1]", "org/tok", "hf"),
    (
        "SGLang",
        args("python3", "-m", "sglang.launch_server", "--model-path", "org/name"),
        "args[4]",
        "org/name",
        "hf",
    ),
    (
        "TGI",
        args("--model-id", "org/name", image="ghcr.io/huggingface/text-generation-inference:3"),
        "args[1]",
        "org/name",
        "hf",
    ),
    (
        "Triton",
        args("tritonserver", "--model-repository=s3://b/repo"),
        "args[0]".replace("0", "1"),
        "s3://b/repo",
        "s3",
    ),
    (
        "llama.cpp -m",
        args("-m", "/models/x.gguf", image="ghcr.io/ggml-org/llama.cpp:server"),
        "args[1]",
        "/models/x.gguf",
        "path",
    ),
    (
        "llama.cpp -hf",
        {"command": ["llama-server", "-hf", "org/name-GGUF:Q4"]},
        "command[2]",
        "org/name-GGUF:Q4",
        "hf",
    ),
    ("Ollama", {"command": ["ollama", "run", "llama3:8b"]}, "command[2]", "llama3:8b", "ollama"),
    (
        "Ollama in a shell",
        {"command": ["sh", "-c", "ollama serve & ollama pull llama3"]},
        "command[2]",
        "llama3",
        "ollama",
    ),
    (
        "TorchServe",
        args("torchserve", "--models", "m=https://h/x.mar"),
        "args[2]",
        "https://h/x.mar",
        "https",
    ),
    ("TF Serving", args("--model_base_path=gs://b/m"), "args[0]", "gs://b/m", "gs"),
    ("MLServer", {"command": ["mlserver", "start", "/mnt/m"]}, "command[2]", "/mnt/m", "path"),
    (
        "KServe initializer",
        args("s3://b/m", "/mnt/models", image="kserve/storage-initializer:v0.16"),
        "args[0]",
        "s3://b/m",
        "s3",
    ),
    ("path", args("--model", "/models/x"), "args[1]", "/models/x", "path"),
    ("relative path", args("--model", "./x"), "args[1]", "./x", "path"),
    ("bare name, server", args("--model", "gpt2", image="vllm/vllm-openai"), "args[1]", "gpt2", "name"),
    ("bare name, accelerator", args("--model", "gpt2", **GPU), "args[1]", "gpt2", "name"),
    ("hf scheme anywhere", args("fetch", "hf://org/name"), "args[1]", "hf://org/name", "hf"),
    (
        "hub URL anywhere",
        args("curl", "https://huggingface.co/org/name"),
        "args[1]",
        "https://huggingface.co/org/name",
        "hf",
    ),
    (
        "weights URL anywhere",
        args("curl", "https://h/x.safetensors"),
        "args[1]",
        "https://h/x.safetensors",
        "https",
    ),
    (
        "weights URL with a query",
        args("wget", "https://h/x.gguf?sig=1"),
        "args[1]",
        "https://h/x.gguf?sig=1",
        "https",
    ),
    ("pvc", env("STORAGE_URI", "pvc://claim/m"), "env[0].value", "pvc://claim/m", "pvc"),
    (
        "oci native",
        env("STORAGE_URI", "oci+native://r.io/m:1"),
        "env[0].value",
        "oci+native://r.io/m:1",
        "oci",
    ),
    ("oci", env("STORAGE_URI", "oci://r.io/m:1"), "env[0].value", "oci://r.io/m:1", "oci"),
    ("ngc", env("NIM_MODEL_NAME", "ngc://nim/meta/llama:1"), "env[0].value", "ngc://nim/meta/llama:1", "ngc"),
    ("ollama scheme", args("ollama://llama3"), "args[0]", "ollama://llama3", "ollama"),
    ("modelscope", args("ms://org/name"), "args[0]", "ms://org/name", "modelscope"),
    ("mlflow", env("MODEL_URI", "models:/churn/3"), "env[0].value", "models:/churn/3", "mlflow"),
    ("model registry", args("model-registry://m/1"), "args[0]", "model-registry://m/1", "model-registry"),
    ("HF variable", env("HF_MODEL_ID", "org/name"), "env[0].value", "org/name", "hf"),
    ("suffix of a variable", env("TEXT_MODEL_ID", "org/name"), "env[0].value", "org/name", "hf"),
    (
        "redirected hub",
        env("HF_ENDPOINT", "https://mirror.example"),
        "env[0].value",
        "https://mirror.example",
        "https",
    ),
    (
        "JSON variable",
        env("DYN_DEPLOYMENT_CONFIG", '{"a": [{"model": "org/name"}]}'),
        "env[0].value",
        "org/name",
        "hf",
    ),
    ("kit", env("MODELKIT_REF", "ghcr.io/org/kit:1"), "env[0].value", "ghcr.io/org/kit:1", "oci"),
    (
        "variable in an argument",
        {**env("M", "org/name"), "args": ["--model", "$(M)"]},
        "env[0].value",
        "org/name",
        "hf",
    ),
    ("half a variable", {**env("M", "name"), "args": ["--model", "org/$(M)"]}, "args[1]", "org/name", "hf"),
    (
        "shell variable",
        {**env("M", "org/name"), "command": ["sh", "-c", "vllm serve ${M}"]},
        "env[0].value",
        "org/name",
        "hf",
    ),
    (
        "shell assignment",
        {"command": ["bash", "-ec", "M=org/name\nexec vllm serve $M"]},
        "command[2]",
        "org/name",
        "hf",
    ),
    ("shell default", {"command": ["sh", "-c", "vllm serve ${M:-org/name}"]}, "command[2]", "org/name", "hf"),
    (
        "shell, script in args",
        {"command": ["/bin/sh", "-c"], "args": ["vllm serve org/name --port 1"]},
        "args[0]",
        "org/name",
        "hf",
    ),
    (
        "shell, joined lines",
        {"command": ["sh", "-c", "vllm serve \\\n  org/name \\\n  --x"]},
        "command[2]",
        "org/name",
        "hf",
    ),
    ("many flags in one word", args("--port 1 --model org/name"), "args[0]", "org/name", "hf"),
    (
        "hub download",
        {"command": ["sh", "-c", "pip install x && hf download org/name"]},
        "command[2]",
        "org/name",
        "hf",
    ),
    (
        "download of a model",
        {"command": ["sh", "-c", "aws s3 cp s3://b/models/x /m"]},
        "command[2]",
        "s3://b/models/x",
        "s3",
    ),
    ("code", {"command": ["python", "-c", "M.from_pretrained('org/name')"]}, "command[2]", "org/name", "hf"),
    ("Hydra argument", args("model_name_or_path=org/name"), "args[0]", "org/name", "hf"),
    ("NIM image", {"image": "nvcr.io/nim/meta/llama:1"}, "image", "nvcr.io/nim/meta/llama:1", "oci"),
]


@pytest.mark.parametrize(
    ("name", "container", "path", "reference", "scheme"), FOUND, ids=[row[0] for row in FOUND]
)
def test_found(name, container, path, reference, scheme):
    assert (f"{C0}.{path}", reference, scheme) in seen(pod(container))


LISTS = ["containers", "initContainers", "ephemeralContainers"]


@pytest.mark.parametrize("where", LISTS)
@pytest.mark.parametrize("reference", [TRUST, "org/name", "s3://b/m"])
def test_every_list_of_containers(where, reference):
    container = {"name": "x", "image": "i", "args": ["--model", reference]}
    obj = pod()
    obj["spec"].setdefault(where, []).append(container)
    index = len(obj["spec"][where]) - 1
    assert f"spec.{where}[{index}].args[1]" in {path for path, _, _ in seen(obj)}


def test_native_sidecar():
    container = {"name": "x", "image": "i", "restartPolicy": "Always", "args": ["--model", TRUST]}
    assert ("spec.initContainers[0].args[1]", TRUST, "trust") in seen(pod(initContainers=[container]))


KINDS = [
    ("apps/v1", "Deployment", ("spec", "template")),
    ("apps/v1", "StatefulSet", ("spec", "template")),
    ("apps/v1", "DaemonSet", ("spec", "template")),
    ("apps/v1", "ReplicaSet", ("spec", "template")),
    ("batch/v1", "Job", ("spec", "template")),
    ("batch/v1", "CronJob", ("spec", "jobTemplate", "spec", "template")),
    ("v1", "ReplicationController", ("spec", "template")),
    ("v1", "PodTemplate", ("template",)),
]


@pytest.mark.parametrize(("version", "kind", "steps"), KINDS)
def test_every_kind_of_template_is_read_as_the_pod_is(version, kind, steps):
    template = pod(args("--model", "org/name", **GPU))
    obj = {"metadata": {}, "spec": template["spec"]}
    for step in reversed(steps):
        obj = {step: obj}
    found = references({"apiVersion": version, "kind": kind, **obj})
    plain = references(template)
    prefix = ".".join(steps)
    assert [m.path for m in found.models] == [f"{prefix}.{m.path}" for m in plain.models]
    assert (found.gpu, found.unresolved) == (plain.gpu, plain.unresolved)


VOLUMES = [
    ({"image": {"reference": f"r.io/m@{PIN}"}}, "image.reference", "oci", True, "certain"),
    ({"image": {"reference": "r.io/m:1"}}, "image.reference", "oci", False, "certain"),
    (
        {"persistentVolumeClaim": {"claimName": "m"}},
        "persistentVolumeClaim.claimName",
        "pvc",
        False,
        "possible",
    ),
    ({"hostPath": {"path": "/data"}}, "hostPath.path", "hostpath", False, "possible"),
    ({"hostPath": {"path": "/dev/shm/../../data"}}, "hostPath.path", "hostpath", False, "possible"),
    ({"nfs": {"server": "s", "path": "/m"}}, "nfs.path", "nfs", False, "possible"),
    ({"csi": {"driver": "d"}}, "csi.driver", "csi", False, "possible"),
    (
        {
            "csi": {
                "driver": "model.csi.modelpack.org",
                "volumeAttributes": {"model.csi.modelpack.org/reference": "r.io/m:1"},
            }
        },
        'csi.volumeAttributes["model.csi.modelpack.org/reference"]',
        "oci",
        False,
        "certain",
    ),
    (
        {"csi": {"driver": "d", "volumeAttributes": {"bucketName": "b"}}},
        "csi.volumeAttributes.bucketName",
        "s3",
        False,
        "possible",
    ),
    ({"cephfs": {}}, "cephfs", "cephfs", False, "possible"),
    ({"gitRepo": {"repository": "x"}}, "gitRepo", "gitRepo", False, "possible"),
    (
        {"ephemeral": {"volumeClaimTemplate": {"spec": {"dataSource": {"name": "s"}}}}},
        "ephemeral.volumeClaimTemplate",
        "pvc",
        False,
        "possible",
    ),
]


@pytest.mark.parametrize(("source", "path", "scheme", "pinned", "confidence"), VOLUMES)
def test_volumes(source, path, scheme, pinned, confidence):
    (model,) = references(pod(volumes=[{"name": "v", **source}])).models
    assert (model.path, model.scheme, model.pinned, model.confidence) == (
        f"spec.volumes[0].{path}",
        scheme,
        pinned,
        confidence,
    )
    assert model.how == "volume"


@pytest.mark.parametrize(
    "source",
    [
        {"emptyDir": {}},
        {"configMap": {"name": "c"}},
        {"secret": {"secretName": "s"}},
        {"projected": {}},
        {"downwardAPI": {}},
        {"csi": {"driver": "csi.spiffe.io"}},
        {"hostPath": {"path": "/dev/shm"}},
        {"hostPath": {"path": "/dev/nvidia0"}},
        {"ephemeral": {"volumeClaimTemplate": {"spec": {"resources": {}}}}},
    ],
)
def test_volumes_that_bring_nothing_in(source):
    assert references(pod(volumes=[{"name": "v", **source}])).models == ()


def test_a_carrier_matters_where_a_model_is_expected():
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "m"}}]
    for container in (GPU, {"image": "vllm/vllm-openai"}, {"command": ["ollama", "serve"]}):
        assert [m.confidence for m in references(pod(container, volumes=volumes)).models] == ["likely"]


UNRESOLVED = [
    ("undefined variable", pod(args("--model", "$(M)")), f"{C0}.args[1]"),
    ("half undefined", pod(args("--model=gs://$(B)/$(M)")), f"{C0}.args[0]"),
    (
        "from a ConfigMap",
        pod({"env": [{"name": "MODEL_ID", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]}),
        f"{C0}.env[0].value",
    ),
    (
        "from a Secret, through an argument",
        pod({"env": [{"name": "M", "valueFrom": {"secretKeyRef": {}}}], "args": ["--model", "$(M)"]}),
        f"{C0}.args[1]",
    ),
    (
        "from a field",
        pod({"env": [{"name": "MODEL_ID", "valueFrom": {"fieldRef": {}}}]}),
        f"{C0}.env[0].value",
    ),
    (
        "envFrom with an accelerator",
        pod({**GPU, "envFrom": [{"configMapRef": {"name": "c"}}]}),
        f"{C0}.envFrom",
    ),
    ("shell substitution", pod({"command": ["sh", "-c", "vllm serve $(cat /m)"]}), f"{C0}.command[2]"),
    ("shell backquote", pod({"command": ["sh", "-c", "vllm serve --model `cat /m`"]}), f"{C0}.command[2]"),
    ("unknown shell variable", pod({"command": ["sh", "-c", 'vllm serve "$M"']}), f"{C0}.command[2]"),
    ("JSON that is none", pod(args("--speculative-config", "{model: x}")), f"{C0}.args[1]"),
    ("unknown volume", pod(volumes=[{"name": "v", "teleport": {}}]), "spec.volumes[0].teleport"),
    ("volume that is none", pod(volumes=["x"]), "spec.volumes[0]"),
    (
        "image volume without reference",
        pod(volumes=[{"name": "v", "image": {}}]),
        "spec.volumes[0].image.reference",
    ),
    ("words that are none", pod({"args": [{"a": 1}]}), f"{C0}.args[0]"),
    ("args that are none", pod({"args": "x"}), f"{C0}.args"),
    ("containers that are none", pod(initContainers="x"), "spec.initContainers"),
    ("a container that is none", pod(ephemeralContainers=[1]), "spec.ephemeralContainers"),
    ("a word too long", pod(args("x" * 70000)), f"{C0}.args[0]"),
    ("no spec", {"apiVersion": "v1", "kind": "Pod"}, "spec"),
    ("unknown kind", {"apiVersion": "ml.example/v1", "kind": "Server", "spec": {}}, "kind"),
    ("unknown version of nothing", {}, "kind"),
    ("another group's Deployment", {"apiVersion": "evil/v1", "kind": "Deployment"}, "kind"),
]


@pytest.mark.parametrize(("name", "obj", "path"), UNRESOLVED, ids=[row[0] for row in UNRESOLVED])
def test_unresolved(name, obj, path):
    found = references(obj)
    assert path in [place.path for place in found.unresolved]
    assert all(place.code == "unresolved-model" for place in found.unresolved)


ACCELERATORS = [
    pod(GPU),
    pod({"resources": {"requests": {"amd.com/gpu": "1"}}}),
    pod({"resources": {"limits": {"nvidia.com/mig-1g.5gb": 1}}}),
    pod({"resources": {"limits": {"google.com/tpu": 4}}}),
    pod({"resources": {"claims": [{"name": "gpu"}]}}),
    pod(resourceClaims=[{"name": "gpu"}]),
    pod(runtimeClassName="nvidia"),
    pod(volumes=[{"name": "d", "hostPath": {"path": "/dev/nvidia0"}}]),
    pod(initContainers=[{"name": "i", **GPU}]),
]


@pytest.mark.parametrize("obj", ACCELERATORS)
def test_an_accelerator_without_a_model_is_unresolved(obj):
    found = references(obj)
    assert found.gpu
    assert [place.code for place in found.unresolved] == ["unresolved-gpu"]


def test_an_accelerator_with_a_model_is_resolved():
    found = references(pod(args("--model", TRUST, **GPU)))
    assert found.gpu
    assert not found.unresolved


def test_no_accelerator_where_the_amount_is_zero():
    assert not references(pod({"resources": {"limits": {"nvidia.com/gpu": "0"}}})).gpu


QUIET = [
    pod(),
    pod({"command": ["nginx", "-g", "daemon off;"]}),
    pod(args("--listen", "https://example.com/hook", "--config", "/etc/app.yaml")),
    pod({"command": ["sh", "-c", "aws s3 cp /backup s3://backups/today"]}),
    pod({"command": ["git", "clone", "https://github.com/org/repo.git"]}),
    pod(env("DATABASE_URL", "postgres://db/x")),
    pod(env("MODEL_NAME", "resnet50")),
    pod(args("docker", "run", "-v", "/data/models:/models")),
    pod(args("--model", "auto")),
    pod({"envFrom": [{"secretRef": {"name": "s"}}]}),
    {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"name": "n"}},
]


@pytest.mark.parametrize("obj", QUIET)
def test_left_alone(obj):
    found = references(obj)
    assert seen(obj) == set()
    assert found.unresolved == ()
    assert not found.gpu


@pytest.mark.parametrize(
    "place",
    [
        {"metadata": {"annotations": {"note": TRUST}}},
        {"metadata": {"labels": {"x": TRUST}}},
        {"metadata": {"annotations": {TRUST: "x"}}},
        {
            "spec": {
                "containers": [
                    {"name": "c", "lifecycle": {"postStart": {"exec": {"command": ["get", TRUST]}}}}
                ]
            }
        },
        {"spec": {"containers": [{"name": "c", "livenessProbe": {"exec": {"command": [TRUST]}}}]}},
        {"spec": {"containers": [{"name": "c"}], "newField": {"deep": [[TRUST]]}}},
    ],
)
def test_our_scheme_is_found_anywhere(place):
    obj = {"apiVersion": "v1", "kind": "Pod", **place}
    obj.setdefault("spec", {"containers": [{"name": "c"}]})
    assert TRUST in {model.reference for model in references(obj).models}


def test_copies_and_status_are_not_read():
    obj = pod()
    obj["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": TRUST}
    obj["metadata"]["managedFields"] = [{"x": TRUST}]
    obj["status"] = {"message": TRUST}
    assert references(obj).models == ()


def test_reserved_annotations_of_object_and_template():
    template = {"metadata": {"annotations": {"Trustkit.dev/verified": "true"}}, "spec": {"containers": []}}
    obj = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"annotations": {"trustkit.dev/x": "", "trustkit.dev/models": "{}"}},
        "spec": {"template": template},
    }
    assert references(obj).reserved_annotations == ("Trustkit.dev/verified", "trustkit.dev/x")


def sidecar(output):
    words = ["run", "--reference", TRUST, "--output", output]
    return {"name": "trustkit-sidecar-1", "restartPolicy": "Always", "args": words}


@pytest.mark.parametrize(
    ("path", "resolved"),
    [
        ("/trustkit/models/1/model", True),
        ("/trustkit/models/1/model/config.json", True),
        ("/trustkit//models/./1/model", True),
        ("/trustkit/models/1/model/../../other", False),
        ("/trustkit/models/1/model2", False),
        ("/other", False),
    ],
)
def test_a_path_below_what_our_sidecar_publishes_is_resolved_by_it(path, resolved):
    subject = pod(args("--model", path), initContainers=[sidecar("/trustkit/models/1/model")])
    [container] = subject["spec"]["containers"]
    assert path in {m.reference for m in references(subject).models}, "it is not mounted there"
    container["volumeMounts"] = [{"name": "trustkit-model-1", "mountPath": "/trustkit/models/1"}]
    found = references(subject)
    assert (path in {m.reference for m in found.models}) is not resolved
    assert TRUST in {m.reference for m in found.models}


def test_pinned():
    commit = "c" * 40
    for reference, pinned in (
        (f"org/name@{commit}", True),
        ("org/name", False),
        (TRUST, True),
        ("s3://b/m", False),
    ):
        (model,) = references(pod(args("--model", reference))).models
        assert model.pinned is pinned


def test_too_many_references():
    with pytest.raises(LimitError) as caught:
        references(pod(args(*(f"hf://org/m{n}" for n in range(MAX_REFERENCES + 1)))))
    assert caught.value.code == "too-many-references"


def test_too_deep():
    deep = "x"
    for _ in range(100):
        deep = [deep]
    with pytest.raises(LimitError) as caught:
        references({**pod(), "extra": deep})
    assert caught.value.code == "too-deep"


def test_a_thousand_containers_are_read_within_reason():
    obj = pod(args("--model", TRUST))
    obj["spec"]["containers"] = [{"name": f"c{n}", "args": ["serve"]} for n in range(999)] + obj["spec"][
        "containers"
    ]
    assert [m.path for m in references(obj).models] == ["spec.containers[999].args[1]"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from([TRUST, "hf://a/b", "--model", "sh", "-c", "$(X)"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "spec",
                    "containers",
                    "initContainers",
                    "args",
                    "command",
                    "env",
                    "name",
                    "value",
                    "volumes",
                    "image",
                    "metadata",
                    "annotations",
                    "resources",
                    "limits",
                    "csi",
                    "hostPath",
                    "valueFrom",
                    "volumeMounts",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=40,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_object_is_survived(value):
    obj = {"apiVersion": "v1", "kind": "Pod", **(value if isinstance(value, dict) else {"spec": value})}
    try:
        found = references(obj)
    except TrustkitError:
        return
    assert references(obj) == found


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_script_is_survived_and_our_scheme_never_missed(text):
    script = f"{text}\n{TRUST}\n"
    found = references(pod({"command": ["sh", "-c", script]}))
    assert TRUST in {model.reference for model in found.models}


def env(count, value):
    return [{"name": f"V{n}", "value": value(n)} for n in range(count)]


BOMBS = {
    "scripts times variables": {"env": env(6000, str), "args": ["a b"] * 6000},
    "a long variable in many words": {"env": env(1, lambda _: "x" * 65_000), "args": ["$(V0)y"] * 40_000},
    "variables of variables": {"env": env(20_000, lambda n: "x" * 65_000 if n == 0 else "$(V0)")},
    "many words": {"args": ["a"] * 60_000},
}


@pytest.mark.parametrize("container", BOMBS.values(), ids=BOMBS.keys())
def test_work_is_counted_before_it_is_done(container):
    """Each of these took seconds to minutes, or gigabytes, before it was counted."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": {"containers": [{"name": "c", "image": "i", **container}]},
    }
    with pytest.raises(LimitError) as caught:
        references(pod)
    assert caught.value.code == "too-many-words"


def test_what_is_honestly_long_is_read():
    container = {
        "name": "c",
        "image": "i",
        "env": env(300, str),
        "args": ["sh", "-c", "\n".join(["echo a b"] * 500)],
    }
    references({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container] * 20}})
