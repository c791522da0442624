"""Ways around the extractor that were open once: each one is a row, beside an honest pod that stays quiet."""

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from trustkit.errors import UnavailableError
from trustkit.workloads.accelerators import reaches_device
from trustkit.workloads.extract import references
from trustkit.workloads.grammar import ends_like_weights
from trustkit.workloads.sidecars import mounted_by
from trustkit.workloads.table import default_table
from trustkit.workloads.variables import Variables

PIN = "sha256:" + "a" * 64
TRUST = f"trust://store.ml:8443/acme/tiny-llm/1@{PIN}"
OUT = "/trustkit/models/1/model"
GPU = {"resources": {"limits": {"nvidia.com/gpu": 1}}}
C0 = "spec.containers[0]"
SECRET = {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}


def pod(*containers, **spec):
    named = [{"name": f"c{n}", "image": "example.com/app:1", **c} for n, c in enumerate(containers or [{}])]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": named, **spec},
    }


def sh(script, **more):
    return {"command": ["sh", "-c", script], **more}


def env(**values):
    entries = [
        {"name": name, **(value if isinstance(value, dict) else {"value": value})}
        for name, value in values.items()
    ]
    return {"env": entries}


def published(container):
    """A pod as the mutating hook leaves it: our sidecar publishes, the container mounts."""
    sidecar = {"name": "trustkit-sidecar-1", "args": ["run", "--reference", TRUST, "--output", OUT]}
    mount = {"name": "trustkit-model-1", "mountPath": "/trustkit/models/1"}
    return pod({"volumeMounts": [mount], **container}, initContainers=[sidecar])


def places(obj):
    return [place.path for place in references(obj).unresolved]


def seen(obj):
    return {(m.path, m.reference) for m in references(obj).models if m.confidence != "possible"}


# -- the deadline -------------------------------------------------------------------------------------------


class Clock:
    """Raises at the n-th call."""

    def __init__(self, calls):
        self.left = calls

    def __call__(self):
        self.left -= 1
        if self.left < 0:
            raise UnavailableError("deadline", "late")


HOSTILE = {
    "words": pod({"args": ["a"] * 5000}),
    "scripts": pod({"args": ["a b"] * 1000}),
    "commands of one script": pod(sh("a;" * 5000)),
    "scripts in scripts": pod(sh("$(a)" * 500)),
    "variables": pod(env(**{f"V{n}": "x" for n in range(500)})),
    "members": {**pod(), "extra": ["x"] * 100_000},
    "objects": {**pod(), "extra": [{}] * 500},
    "one long text": {**pod(), "extra": ":/" * 2_000_000},
    "one long variable": pod(env(V="https://a " * 6000)),
}


@pytest.mark.parametrize("obj", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_deadline_is_looked_at_again_and_again(obj):
    calls = Clock(10**9)
    references(obj, check=calls)
    made = 10**9 - calls.left
    quiet = Clock(10**9)
    references(pod(), check=quiet)
    assert made > 10**9 - quiet.left + 3
    for last in (0, made // 2, made - 1):
        with pytest.raises(UnavailableError) as caught:
            references(obj, check=Clock(last))
        assert caught.value.code == "deadline"


def test_windows_of_a_long_text_miss_nothing_and_find_nothing_twice():
    filler = "x" * 16_380
    text = f"{filler}{TRUST} {filler} hf://org/a{filler}"
    found = [model.reference for model in references({**pod(), "extra": text}).models]
    assert found[0] == TRUST
    assert len(found) == 2
    assert found[1].startswith("hf://org/axx")
    glued = f"trust://{filler}{TRUST}"
    assert len(references({**pod(), "extra": glued}).models) == 1


def test_every_address_that_counts_anywhere_holds_what_is_looked_for_first():
    assert all(":/" in prefix for prefix, _ in default_table().anywhere)


# -- shells -------------------------------------------------------------------------------------------------

SERVED = "vllm serve {}"
TRICKS = [
    # (script, variables): each one runs another model than what it shows
    (f"vllm serve ${{M:-{OUT}}}", {"M": SECRET}),
    (f"vllm serve ${{M-{OUT}}}", {"M": SECRET}),
    (f"vllm serve ${{M:={OUT}}}", {"M": SECRET}),
    (f"vllm serve ${{M:+{OUT}}}", {"M": SECRET}),
    (f"vllm serve ${{M:-{OUT}}}", {}),
    (f"vllm serve --model ${{M:-{OUT}}}", {"M": SECRET}),
    (f"M={OUT}; . /cfg/env; vllm serve $M", {}),
    (f"M={OUT}; source /cfg/env; vllm serve $M", {}),
    (f"M={OUT}; read M </cfg/m; vllm serve $M", {}),
    (f"M={OUT}; for M in evil; do vllm serve $M; done", {}),
    (f"M={OUT}; while read M; do vllm serve $M; done", {}),
    (f'M={OUT}; eval "$X"; vllm serve $M', {"X": SECRET}),
    (f"M={OUT}; mapfile M </cfg/m; vllm serve $M", {}),
    ("set -- evil; vllm serve $1", {"M": OUT}),
    (f"M={OUT}; export M=$(cat /cfg/m); vllm serve $M", {}),
    (f"M=evil; vllm serve $M; M={OUT}", {}),
    (f"vllm serve $M; M={OUT}", {"M": SECRET}),
    ("M=evil; vllm serve $M", {"M": OUT, "BASH_ENV": "/cfg/env"}),
    ("vllm serve $0", {}),
    ('vllm serve "$@"', {}),
    ("vllm serve $*", {}),
    ("vllm serve $PWD", {"PWD": OUT}),
    (f"vllm serve {OUT}/../*", {}),
    (f"vllm serve {OUT}{{,/../..}}", {}),
    ("vllm serve ~/m", {}),
    ("vllm serve `cat /cfg/m`", {}),
    (f"vllm serve $'{OUT}'", {}),
    (f"vllm serve {OUT} $X", {"X": SECRET}),
    (f"vllm serve {OUT} --port $X", {"X": SECRET}),
    (f'vllm serve {OUT} "$X"', {"X": SECRET}),
    (f'vllm serve {OUT} "--$X" evil', {"X": SECRET}),
    (f"vllm serve {OUT} ${{X:---port}} 1", {}),
    (f"$X --model {OUT}; vllm --version", {"X": SECRET}),
    (f"false && M={OUT}; vllm serve $M", {}),
    (f"MODEL_ID=$X vllm serve {OUT}", {"X": SECRET}),
    (f"echo $'\\'' vllm serve {OUT}", {}),
]


@pytest.mark.parametrize(("script", "variables"), TRICKS, ids=[row[0] for row in TRICKS])
def test_what_only_a_shell_could_know_is_unresolved(script, variables):
    assert f"{C0}.command[2]" in places(published({**sh(script), **env(**variables)}))


HIDDEN = [
    # Scripts that really serve org/evil.
    "vllm serve >/dev/null org/evil",
    "vllm serve 2>&1 org/evil",
    "sh -c 'vllm serve org/evil'",
    "eval 'vllm serve org/evil'",
    'eval "vllm serve" org/evil',
    "echo $(vllm serve org/evil)",
    "echo `vllm serve org/evil`",
    'echo "$(vllm serve org/evil)"',
    "cat <(vllm serve org/evil)",
    "sh <<E\nvllm serve org/evil\nE",
    "cat <<E\nit's\nE\nvllm serve org/evil",
    "echo a#b; vllm serve org/evil",
    'echo "$(echo "\'")" ; vllm serve org/evil; \'',
    "A='--model org/evil'; vllm serve $A",
    "if true; then vllm serve org/evil; fi",
    "vllm serve --enforce-eager org/evil",
    "A=; vllm serve $A org/evil",
    "vllm serve --model-t x --tokenize org/evil",
    f"vllm serve {OUT} --toke org/evil",
    "(case x in x) true;; esac; vllm serve org/evil)",
    "python3 - <<E\nM.from_pretrained('org/evil')\nE",
    "$(echo $(echo $(vllm serve org/evil)))",
]


@pytest.mark.parametrize("script", HIDDEN)
def test_a_model_that_a_script_hides_is_found(script):
    assert (f"{C0}.command[2]", "org/evil") in seen(pod(sh(script)))


def test_scripts_nest_as_deep_as_is_read_and_no_deeper():
    deep = "vllm serve org/evil"
    for _ in range(12):
        deep = f"echo $({deep})"
    assert f"{C0}.command[2]" in places(pod(sh(deep)))
    assert (f"{C0}.command[2]", "org/evil") not in seen(pod(sh(deep)))


def test_what_a_script_gets_as_arguments_is_read():
    container = {"command": ["sh", "-c", 'exec app "$@"', "--"], "args": ["--model", "org/evil"]}
    assert (f"{C0}.args[1]", "org/evil") in seen(pod(container))


def test_a_secret_may_not_write_the_script_of_a_server():
    container = {**env(X=SECRET), "command": ["sh", "-c", f"echo $(X); vllm serve {OUT}"]}
    assert f"{C0}.command[2]" in places(published(container))
    assert places(published(sh(f"echo $(date); vllm serve {OUT}"))) == []


HONEST = [
    f"set -e; mkdir -p /tmp/x; exec vllm serve {OUT} --port 8000",
    f"export M={OUT}\nexec vllm serve $M --port ${{PORT}}",
    f"M={OUT} && vllm serve $M",
    f'if [ -f /x ]; then echo ok; fi; vllm serve {OUT} --api-key "$KEY" --host $IP',
    f"until curl -s http://localhost:8000/health; do sleep 1; done & vllm serve {OUT}",
    f"source /opt/venv/bin/activate && vllm serve {OUT}",
    f"echo '$M' it\\'s $(date) | tee /tmp/log; vllm serve \"{OUT}\"",
    f'vllm serve {OUT} --served-model-name "$NAME" # $X',
]


@pytest.mark.parametrize("script", HONEST)
def test_honest_scripts_of_servers_are_resolved(script):
    ip = {"valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    found = references(published({**sh(script), **env(PORT="8000", KEY=SECRET, IP=ip, NAME=SECRET)}))
    assert found.unresolved == ()
    assert {m.reference for m in found.models if m.confidence != "possible"} == {TRUST}


# -- variables as the kubelet expands them ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expanded", "missing"),
    [
        ("$(A)", "x", ()),
        ("$(1M)/$(a.b-c)/$(a b)", "one/abc/blank", ()),
        ("$$(A)", "$(A)", ()),
        ("$$$(A)", "$x", ()),
        ("$a$(A)$", "$ax$", ()),
        ("$(b()", "bracket", ()),
        ("$(a$(A))", "$(a$(A))", ("a$(A",)),
        ("$()", "$()", ("",)),
        ("$(A", "$(A", ()),
        ("$(A $$", "$(A $", ()),
        ("$(none) $(A)", "$(none) x", ("none",)),
    ],
)
def test_references_are_expanded_as_the_kubelet_does(text, expanded, missing):
    known = {"A": "x", "1M": "one", "a.b-c": "abc", "a b": "blank", "b(": "bracket"}
    assert Variables(known=known).expand(text) == (expanded, missing)


@pytest.mark.parametrize("name", ["1M", "a.b-c", "a b", "M", "(", "~"])
def test_a_name_of_any_letters_is_a_reference(name):
    assert f"{C0}.args[1]" in places(pod({"args": ["--model", f"$({name})"]}))
    assert f"{C0}.args[1]" in places(pod({**env(**{name: SECRET}), "args": ["--model", f"$({name})"]}))
    assert (f"{C0}.env[0].value", "org/x") in seen(
        pod({**env(**{name: "org/x"}), "args": ["--model", f"$({name})"]})
    )


def test_the_last_of_two_variables_of_one_name_counts():
    twice = {"env": [{"name": "M", **SECRET}, {"name": "M", "value": "org/x"}], "args": ["--model", "$(M)"]}
    assert seen(pod(twice)) == {(f"{C0}.env[1].value", "org/x")}
    assert places(pod(twice)) == []
    twice["env"].reverse()
    assert seen(pod(twice)) == {(f"{C0}.args[1]", "$(M)")}  # as it is written, and unresolved beside
    assert places(pod(twice)) == [f"{C0}.args[1]"]
    twice["env"].reverse()
    twice["env"].append({"name": "MODEL_ID", "value": "org/y"})
    twice["env"].append({"name": "MODEL_ID", **SECRET})
    assert places(pod(twice)) == [f"{C0}.env[3].value"]
    twice["env"].append({"name": "MODEL_ID", "value": "org/z"})
    assert places(pod(twice)) == []


@pytest.mark.parametrize(
    "source", [SECRET["valueFrom"], {"fieldRef": {"fieldPath": "metadata.labels['x']"}}, {"x": 1}, 1]
)
def test_a_whole_argument_of_a_server_from_elsewhere_is_unresolved(source):
    container = {"args": ["vllm", "serve", OUT, "$(X)"], "env": [{"name": "X", "valueFrom": source}]}
    assert places(published(container)) == [f"{C0}.args[3]"]
    container["args"][3:] = ["--api-key", "$(X)"]
    assert places(published(container)) == []
    container["args"][3:] = ["--api-key=$(X)"]
    assert places(published(container)) == []
    container["args"][3:] = ["--$(X)=1"]
    assert places(published(container)) == [f"{C0}.args[3]"]


@pytest.mark.parametrize("field", ["status.podIP", "metadata.labels['x']"])
def test_an_address_of_the_pod_is_one_word_and_a_label_is_not(field):
    ip = {"valueFrom": {"fieldRef": {"fieldPath": field}}}
    script = sh(f"vllm serve {OUT} --host $IP")
    assert (places(published({**script, **env(IP=ip)})) == []) is (field == "status.podIP")
    cpu = {"valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}
    assert places(published({**script, **env(IP=cpu)})) == []
    assert places(published({**script, "env": [{"name": "IP", **cpu}, {"name": "IP", **SECRET}]}))


# -- accelerators, container by container -------------------------------------------------------------------

ASKING = [
    env(NVIDIA_VISIBLE_DEVICES="all"),
    env(NVIDIA_VISIBLE_DEVICES="0"),
    env(NVIDIA_VISIBLE_DEVICES="None"),
    env(NVIDIA_VISIBLE_DEVICES=SECRET),
    env(NVIDIA_VISIBLE_DEVICES="$(X)"),
    env(X="all", ROCR_VISIBLE_DEVICES="$(X)"),
    env(HABANA_VISIBLE_DEVICES="all"),
    env(ASCEND_VISIBLE_DEVICES="0"),
    env(CUDA_VISIBLE_DEVICES="0,1"),
    env(HIP_VISIBLE_DEVICES="0"),
    {"securityContext": {"privileged": True}},
    {"volumeMounts": [{"name": "any", "mountPath": "/var/run/nvidia-container-devices/all"}]},
    {"volumeMounts": [{"name": "any", "mountPath": "run/nvidia-container-devices/0"}]},
    GPU,
]


@pytest.mark.parametrize("container", ASKING, ids=str)
def test_a_container_asks_by_itself(container):
    found = references(pod({"args": ["--model", TRUST]}, container))
    assert found.gpu
    assert [(place.path, place.code) for place in found.unresolved] == [
        ("spec.containers[1]", "unresolved-gpu")
    ]
    resolved = {**container, "args": ["--model", TRUST]}
    assert references(pod(resolved, {})).unresolved == ()


@pytest.mark.parametrize(
    "container",
    [
        env(NVIDIA_VISIBLE_DEVICES="none"),
        env(NVIDIA_VISIBLE_DEVICES="void"),
        env(NVIDIA_VISIBLE_DEVICES=""),
        env(CUDA_VISIBLE_DEVICES="-1"),
        env(VISIBLE_DEVICES_X="all"),
        {"securityContext": {"privileged": False}},
        {"securityContext": "x"},
        {"volumeMounts": [{"name": "any", "mountPath": "/var/run"}, "x"]},
        {"resources": {"limits": {"cpu": 1}, "requests": []}},
    ],
    ids=str,
)
def test_a_container_that_asks_for_nothing(container):
    found = references(pod(container))
    assert not found.gpu
    assert found.unresolved == ()


def test_resources_of_the_pod_count():
    found = references(pod(resources={"limits": {"nvidia.com/gpu": 1}}))
    assert found.gpu
    assert [(place.path, place.code) for place in found.unresolved] == [("spec", "unresolved-gpu")]
    assert references(pod({"args": ["--model", TRUST]}, resources={"claims": [{"name": "g"}]})).gpu


@pytest.mark.parametrize("name", ["nvidia", "nvidia-cdi", "kata-qemu-nvidia-gpu", "habana", "my-gpu"])
def test_runtimes_of_accelerators(name):
    assert references(pod(runtimeClassName=name)).gpu
    assert not references(pod(runtimeClassName="gvisor")).gpu


@pytest.mark.parametrize(
    ("path", "reaches"),
    [
        ("/dev", True),
        ("/", True),
        ("", True),
        ("//dev/nvidia0", True),
        ("/dev/nvidia0", True),
        ("/dev/../dev/dri", True),
        ("/dev/dri/renderD128", True),
        ("/x/../dev/vfio/", True),
        ("/proc/1/root/dev/nvidia0", True),
        ("/proc/1/root", True),
        ("/dev/shm", False),
        ("/dev/fuse", False),
        ("/dev/nvidia0/../../data", False),
        ("/device", False),
        ("/proc", False),
        ("/var/log", False),
    ],
)
def test_folders_of_the_node_that_reach_a_device(path, reaches):
    assert reaches_device(path, default_table()) is reaches
    volume = {"name": "d", "hostPath": {"path": path}}
    assert references(pod(volumes=[volume])).gpu is reaches
    mounting = {"volumeMounts": [{"name": "d", "mountPath": "/x"}]}
    found = references(pod({"args": ["--model", TRUST]}, mounting, volumes=[volume]))
    bare = [place.path for place in found.unresolved] == ["spec.containers[1]"]
    carries = [m.confidence for m in found.models if m.how == "volume"] == ["likely"]
    assert (bare or carries) is reaches  # the decoy of the other container does not answer for it


DECOYS = {
    "another container": {"args": ["--model", TRUST]},
    "a hook": {"lifecycle": {"preStop": {"exec": {"command": ["ls", TRUST]}}}},
}


@pytest.mark.parametrize(
    "image", ["vllm/vllm-openai:v1", "r.io:5000/x/tritonserver@sha256:0", "ollama/ollama"]
)
@pytest.mark.parametrize("command", [None, ["sleep", "1"]])
def test_a_server_next_to_a_decoy_is_unresolved(image, command):
    server = {"image": image, "command": command, **DECOYS["a hook"]}
    found = references(pod(DECOYS["another container"], server))
    assert [(place.path, place.code) for place in found.unresolved] == [
        ("spec.containers[1]", "unresolved-model")
    ]
    server["env"] = [{"name": "X", "value": TRUST}]
    assert references(pod(server)).unresolved == ()


@pytest.mark.parametrize(
    "command",
    [
        ["vllm", "serve"],
        ["python3", "-m", "vllm.entrypoints.openai.api_server"],
        ["env", "A=b", "tini", "--", "tritonserver"],
        ["sh", "-c", "cd /x; exec nohup ollama serve"],
    ],
)
def test_a_program_that_serves_and_names_nothing_is_unresolved(command):
    assert "spec.containers[1]" in places(pod(DECOYS["another container"], {"command": command}))


def test_a_volume_that_names_a_model_answers_for_who_mounts_it():
    image = {"name": "m", "image": {"reference": f"r.io/m@{PIN}"}}
    mounting = {"volumeMounts": [{"name": "m", "mountPath": "/m"}], **GPU}
    assert places(pod(mounting, volumes=[image])) == []
    assert places(pod(GPU, volumes=[image])) == [C0]
    others = [{"name": f"v{n}", "emptyDir": {}} for n in range(10)]
    assert places(
        pod({**mounting, "volumeMounts": [{"name": "v1", "mountPath": "/m"}]}, volumes=[*others, image])
    ) == [C0]


@pytest.mark.parametrize(
    "container",
    [{"args": [OUT]}, {"command": ["run", f"--x={OUT}/a"]}, env(ANY=OUT), sh(f"serve {OUT}; true")],
    ids=str,
)
def test_a_published_path_answers_wherever_it_was_written(container):
    assert places(published({**container, **GPU})) == []


@pytest.mark.parametrize("text", [f"{OUT}2", f"{OUT}-x", "/trustkit/models/2/model", ""])
def test_another_path_does_not(text):
    assert places(published({"args": [text], **GPU})) == [C0]


def test_a_device_counts_as_mounted_like_a_folder():
    mounts = [
        {"volumeMounts": [{"name": "a"}, {"name": 1}, 2]},
        {"volumeDevices": [{"name": "b"}]},
        {"volumeMounts": 1},
    ]
    assert mounted_by(mounts) == {"a", "b"}


@pytest.mark.parametrize("part", ["volumeMounts", "volumeDevices"])
def test_a_volume_of_our_name_that_others_use_is_read(part):
    volume = {"name": "trustkit-x", "persistentVolumeClaim": {"claimName": "c"}}
    assert references(pod(volumes=[volume])).models == ()
    assert [
        m.reference for m in references(pod({part: [{"name": "trustkit-x"}]}, volumes=[volume])).models
    ] == ["c"]


# -- files of options, files of weights, names ---------------------------------------------------------------


@pytest.mark.parametrize(
    "flag", ["--config", "--config-file", "--config_file", "--conf", "--extra_llm_api_options"]
)
@pytest.mark.parametrize("value", ["/cfg/x.yaml", f"{OUT}/x.yaml"])
def test_a_file_of_options_of_a_server_is_unresolved(flag, value):
    for words in ([flag, value], [f"{flag}={value}"], [flag]):
        server = {"image": "vllm/vllm-openai", "args": [OUT, *words]}
        assert f"{C0}.args[1]" in places(published(server))
        assert f"{C0}.command[3]" in places(published({"command": ["vllm", "serve", OUT, *words]}))
        assert places(pod({"args": words})) == []


ENDINGS = [
    "safetensors",
    "gguf",
    "bin",
    "pt",
    "pth",
    "onnx",
    "ckpt",
    "h5",
    "pkl",
    "joblib",
    "tflite",
    "engine",
    "plan",
    "llamafile",
    "keras",
    "npz",
    "mar",
]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_of_weights_is_a_model_wherever_it_stands(ending):
    path = f"/models/x.{ending}"
    for words in (
        ["-m", path],
        [f"-m={path}"],
        [path.upper()],
        [f"x={path},y"],
        [f'{{"a": "{path}"}}'],
        [f"{path}#a"],
    ):
        assert seen(pod({"args": words})), words
        assert seen(pod({"command": words})), words
        assert seen(pod(sh(f"app {words[-1]!r}"))), words
        assert seen(pod(env(ANY=words[-1]))), words
    assert (f"{C0}.args[0]", f"x.{ending}") in seen(pod({"args": [f"x.{ending}"]}))
    assert f"{C0}.command[2]" in places(pod(sh(f"app -m /models/*.{ending}")))
    assert f"{C0}.args[0]" in places(pod({"args": [f"/$(X)/x.{ending}"]}))


@pytest.mark.parametrize(
    "text",
    [
        "db.empresa.pt",
        "https://www.site.pt",
        "https://site.pt:443",
        "ops@site.pt",
        "*.gguf",
        ".bin",
        "/usr/bin",
        "a.binary",
    ],
)
def test_what_only_looks_like_weights_is_none(text):
    assert seen(pod({"args": [text], **env(X=text)})) == set()


@pytest.mark.parametrize(
    "text", ["/m/x.pt", "x.pt", "https://h/x.pt", "/a/b.c.d.pt", "/m/a#b.pt", "/m/a?b.gguf/"]
)
def test_files_that_end_like_a_country_are_weights(text):
    assert ends_like_weights(text, default_table())


@pytest.mark.parametrize("word", ["llama", "1", "auto", "none", "-x", "true"])
def test_any_word_is_the_name_of_a_folder_to_a_server(word):
    assert (f"{C0}.args[0]", word) in seen(pod({"args": [f"--model={word}"], "image": "vllm/vllm-openai"}))
    assert (f"{C0}.args[3]", word) in seen(pod({"args": ["vllm", "serve", "--model", word]}))
    assert (f"{C0}.args[1]", word) in seen(pod({"args": ["x", f"--model={word}"], **GPU}))
    assert (f"{C0}.env[0].value", word) in seen(pod({**env(MODEL=word), **GPU}))
    assert seen(pod({"args": [f"--model={word}"]})) == set()
    assert seen(pod({"args": ["--model=", f"--x={word}"], "image": "vllm/vllm-openai"})) == set()


# -- kinds, and who stays quiet ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "obj",
    [
        {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}, "deleteOptions": {}},
        {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": "p"}},
        {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 2}, "status": {"replicas": 1}},
    ],
)
def test_objects_without_a_pod_are_known(obj):
    found = references(obj)
    assert (found.models, found.unresolved, found.gpu) == ((), (), False)
    assert references({**obj, "x": TRUST}).models


ISTIO = {
    "name": "istio-proxy",
    "image": "docker.io/istio/proxyv2:1.24.0",
    "args": [
        "proxy",
        "sidecar",
        "--domain",
        "$(POD_NAMESPACE).svc.cluster.local",
        "--proxyLogLevel=warning",
        "--log_output_level=default:info",
        "--concurrency",
        "2",
    ],
    "env": [
        {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        {"name": "INSTANCE_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "PROXY_CONFIG", "value": "{}\n"},
        {"name": "ISTIO_CPU_LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "CA_ADDR", "value": "istiod.istio-system.svc:15012"},
    ],
    "volumeMounts": [{"name": "istio-token", "mountPath": "/var/run/secrets/tokens"}],
    "securityContext": {"privileged": False, "capabilities": {"drop": ["ALL"]}},
}
ORDINARY = {
    "istio": pod(ISTIO, volumes=[{"name": "istio-token", "projected": {"sources": []}}]),
    "web": pod({"image": "nginx:1.27", "command": ["nginx", "-g", "daemon off;"]}),
    "web in a shell": pod(
        {**sh('envsubst < /t > /etc/nginx.conf && exec "$@"'), "args": ["nginx", "-c", "/etc/n.conf"]}
    ),
    "database": pod(
        {
            "image": "postgis/postgis:16-3.4",
            "args": ["-c", "config_file=/etc/p.conf"],
            "envFrom": [{"secretRef": {"name": "s"}}],
        }
    ),
    "script with everything": pod(
        sh(
            'set -eu; for f in /d/*; do . "$f"; done; case "$1" in a) eval "$X";; esac; '
            "$CMD --config ${C:-/etc/c.yaml}"
        )
    ),
    "client of a server": pod(
        env(OLLAMA_BASE_URL="http://ollama:11434", MODEL_NAME="gpt-4"), {"image": "ghcr.io/x/ollama-webui:1"}
    ),
    "helper of a server": pod({"image": "r.io/vllm-router:1", "args": ["--config", "/etc/r.yaml"]}),
    "exporter": pod(
        {"image": "prom/node-exporter", "args": ["--path.procfs=/host/proc"]},
        volumes=[{"name": "p", "hostPath": {"path": "/sys/fs/cgroup"}}],
    ),
    "config": pod({"image": "envoyproxy/envoy", "command": ["envoy", "--config-path", "/etc/envoy.yaml"]}),
    "beside a GPU": published({"args": ["--model", OUT], **GPU}),
}
ORDINARY["beside a GPU"]["spec"]["containers"].append(ISTIO)


@pytest.mark.parametrize("obj", ORDINARY.values(), ids=ORDINARY.keys())
def test_ordinary_pods_stay_quiet(obj):
    found = references(obj)
    assert {model.reference for model in found.models if model.confidence != "possible"} <= {TRUST}
    assert found.unresolved == ()


# -- real manifests -----------------------------------------------------------------------------------------

FOLDER = Path(os.environ.get("TRUSTKIT_VECTORS", "/nowhere"), "workloads")


def canonical(path):
    """``a[0]["b/c"]#d`` and ``a.0.b/c.d`` are one place."""
    for mark in ('["', '"]', "[", "]", "#"):
        path = path.replace(mark, ".")
    return re.sub(r"\.+", ".", path).strip(".")


def lies_in(place, places):
    return any(place == known or place.startswith(f"{known}.") for known in places)


@pytest.mark.skipif(not FOLDER.is_dir(), reason="TRUSTKIT_VECTORS names no folder with workloads/ in it")
def test_real_manifests_with_labels():
    """What must be found is found as it is written; nothing is found where no label is."""
    missed, wrong, extra, count = [], [], [], 0
    for row in yaml.safe_load((FOLDER / "labels.yaml").read_text()):
        obj = json.loads(json.dumps(yaml.safe_load((FOLDER / row["file"]).read_text()), default=str))
        found = [(canonical(m.path), m.reference.strip("'\"")) for m in references(obj).models]
        count += len(found)
        at = {
            canonical(path)
            for label in row["expected"]
            for path in [label["path"], *label.get("alt_paths", [])]
        }
        stray = [(row["file"], *place) for place in found if not lies_in(place[0], at)]
        (wrong if row["negative"] else extra).extend(stray)
        for label in row["expected"]:
            places = [canonical(path) for path in [label["path"], *label.get("alt_paths", [])]]
            texts = [label["reference"], *label.get("alt_references", [])]
            if label["level"] == "must" and not any(
                lies_in(place, places) and text in texts for place, text in found
            ):
                missed.append((row["file"], label["path"], label["reference"]))
    assert (missed, wrong) == ([], [])
    assert len(extra) <= count * 0.02
