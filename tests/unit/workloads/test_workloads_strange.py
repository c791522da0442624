"""What no row knows: flags, members and settings of servers, scripts that stand nowhere, rows that add."""

import pytest

from trustkit.errors import FormatError
from trustkit.workloads.extension import extended_table
from trustkit.workloads.extract import references
from trustkit.workloads.table import VERSION, default_table

PIN = "sha256:" + "a" * 64
TRUST = f"trust://store.ml:8443/acme/tiny-llm/1@{PIN}"
OUT = "/trustkit/models/1/model"
C0 = "spec.containers[0]"
GPU = {"resources": {"limits": {"nvidia.com/gpu": 1}}}
VLLM = "vllm/vllm-openai:v1"


def extended(text):
    return extended_table(f"version: {VERSION}\n{text}".encode())


def pod(**container):
    named = {"name": "c", "image": "example.com/app:1", **container}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [named]}}


def vllm(*words):
    return pod(image=VLLM, args=["--model", TRUST, *words])


def script(text, **more):
    return pod(command=["sh", "-c", text], env=[{"name": "MODEL_ID", "value": TRUST}], **{**GPU, **more})


def places(obj, table=None):
    return [place.path for place in references(obj, table=table).unresolved]


def seen(obj, table=None):
    return {m.reference for m in references(obj, table=table).models if m.confidence != "possible"}


# -- flags --------------------------------------------------------------------------------------------------

# Flags of vLLM that take no value, from its own parser (EngineArgs, FrontendArgs).
SWITCHES = (
    *("enforce-eager", "trust-remote-code", "fully-sharded-loras", "calculate-kv-scales", "grpc", "headless"),
    *("data-parallel-hybrid-lb", "data-parallel-external-lb", "language-model-only", "mm-encoder-only"),
    *("kv-sharing-fast-prefill", "interleave-mm-strings", "skip-mm-profiling", "numa-bind", "tokens-only"),
    *("aggregate-engine-logging", "cudagraph-metrics", "kv-cache-metrics", "scheduler-reserve-full-isl"),
    *(
        "ray-workers-use-nsight",
        "use-tqdm-on-load",
        "specialize-active-lora",
        "log-error-stack",
        "async-scheduling",
    ),
    *("exclude-tools-when-tool-choice-none", "trust-request-chat-template", "allow-credentials"),
    *("enable-lora", "disable-log-stats", "return-tokens-as-token-ids", "no-enable-prefix-caching"),
)
# Those that take one.
VALUED = (
    *("host", "port", "tensor-parallel-size", "max-model-len", "gpu-memory-utilization", "max-num-seqs"),
    *("served-model-name", "chat-template", "tool-call-parser", "reasoning-parser", "kv-transfer-config"),
    *("load-format", "download-dir", "uvicorn-log-level", "distributed-executor-backend", "seed", "dtype"),
    *("compilation-config", "limit-mm-per-prompt", "disable-access-log-for-endpoints", "quantization"),
    *("revision", "api-key", "middleware", "ssl-keyfile", "all2all-backend", "kv-cache-dtype", "tp"),
)


@pytest.mark.parametrize("flag", SWITCHES)
def test_what_stands_behind_a_switch_is_a_word_of_its_own(flag):
    assert default_table().takes_value(flag) is False
    assert "/mnt/x" in seen(vllm(f"--{flag}", "/mnt/x"))


@pytest.mark.parametrize("flag", VALUED)
def test_what_stands_behind_another_flag_is_its_value(flag):
    assert default_table().takes_value(flag) is True
    first = pod(image=VLLM, args=[f"--{flag}", "auto", TRUST])
    assert (seen(first), places(first)) == ({TRUST}, [])


def test_a_flag_that_nobody_knows_may_take_a_value_or_none():
    assert default_table().takes_value("zzz") is None
    assert default_table().takes_value("f") is None
    assert places(vllm("--f", "gpt2")) == [f"{C0}.args[3]"]  # it may be short for another
    assert places(vllm("--zzz", "gpt2")) == [f"{C0}.args[3]"]
    assert places(vllm(f"--{'z' * 100}", "gpt2")) == [f"{C0}.args[3]"]
    assert places(vllm("--zzz", "true")) == places(vllm("--zzz", '{"a": 1}')) == places(vllm("--zzz")) == []
    behind = pod(image=VLLM, args=[TRUST, "--zzz", "gpt2"])
    assert places(behind) == []  # the model stands before it, and there is one


def test_what_a_flag_of_one_letter_takes_is_known_of_its_programs_alone():
    table = default_table()
    known = {(name, f) for name, flags in table.short_flags.items() for f, takes in flags.items()}
    assert {len(flag) for _, flag in known} >= {1, 2}
    assert [table.takes_value("d", name) for name in ("kit", "ramalama", "oras", "vllm", "")] == [
        True,
        False,
        False,
        None,
        None,
    ]
    every = {letter for letter in "abcdefghijklmnopqrstuvwxyz" if table.takes_value(letter) is not None}
    assert every <= table.model_flags | table.flags.loose


@pytest.mark.parametrize(
    "words",
    [
        ["ramalama", "serve", "-d", "granite3/x"],
        ["ramalama", "run", "-c", "0", "-d", "granite3/x"],
        ["ramalama", "serve", "-dq", "granite3/x"],
        ["ramalama", "--store", "/s", "serve", "granite3/x"],
        ["ramalama", "serve", "--device", "granite3/x"],
        ["hf", "download", "-q", "granite3/x"],
        ["vllm", "serve", "-d", "granite3/x"],
        ["vllm", "serve", "-d", "granite3/x", "--port", "1"],
        ["oras", "pull", "-d", "ghcr.io/granite3/x:1"],
        ["oras", "pull", "-o", "/m", "-v", "ghcr.io/granite3/x:1"],
        ["oras", "pull", "--zzz", "ghcr.io/granite3/x:1"],
        ["oras", "copy", "ghcr.io/granite3/x:1", "--to-oci-layout", "/m"],
        ["kit", "unpack", "-o", "/m", "ghcr.io/granite3/x:1"],
        ["kit", "unpack", "-d", "/m", "ghcr.io/granite3/x:1"],
        ["kit", "unpack", "-o", "ghcr.io/granite3/x:1", "-d", "/m"],
    ],
    ids=" ".join,
)
def test_a_model_behind_a_short_flag_is_found(words):
    """Beside a model of ours as a decoy, and in a container that asks for nothing."""
    wanted = next(word for word in words if "granite3" in word)
    decoy = pod(command=words, env=[{"name": "MODEL_ID", "value": TRUST}], **GPU)
    assert seen(decoy) == {TRUST, wanted}
    assert seen(pod(command=words)) == {wanted}


def test_what_a_server_surely_takes_for_a_setting_is_no_model_beside_one():
    assert seen(vllm("--revision", "refs/pr/1")) == {TRUST}
    first = pod(image=VLLM, args=["--revision", "refs/pr/1", TRUST])
    assert (seen(first), places(first)) == ({TRUST}, [])
    assert places(pod(command=["ramalama", "serve", "-d", TRUST], **GPU)) == []


def test_a_row_of_short_flags_that_says_that_one_is_no_model_is_said_aloud():
    table = extended("short_flags:\n  mine: {x: setting}\n  theirs: {m: value}\n")
    assert table.exempts == ("short_flags.mine",)
    assert table.takes_value("x", "mine") is True
    with pytest.raises(FormatError, match="a value, a setting, a switch"):
        extended("short_flags:\n  mine: {x: model}\n")


def test_what_is_wrong_with_a_line_of_a_server_is_said():
    again = pod(image=VLLM, args=["serve", "org/x"])
    assert [place.reason for place in references(again).unresolved] == [
        "the image starts 'vllm serve' itself, and 'serve' is said again; leave it out, or give the command"
    ]
    filled = pod(image=VLLM, args=["--model", "{{ .ModelPath }}"])
    assert [place.reason for place in references(filled).unresolved] == [
        "{{ .ModelPath }} is a template that another program fills in; with what is not known here"
    ]
    broken = pod(image=VLLM, args=["--model", "{a: b"])
    assert [place.reason for place in references(broken).unresolved] == ["JSON of --model cannot be read"]


def test_a_bare_word_is_no_model_where_nothing_serves():
    told = pod(command=["kit", "unpack", "--zzz", "x"])
    assert places(told) == [f"{C0}.command[3]"]
    assert places(pod(command=["tune", "download", "--zzz", "x"])) == []


def test_a_row_of_the_users_own_makes_a_flag_a_known_one():
    for word in ("gpt2", "org/x", '{"a": "org/x"}'):
        assert places(vllm("--zzz", word)) != []
        for row in ("zzz", "zz-, -zzz" if word == "gpt2" else "zzz"):
            table = extended(f"flags:\n  valued: [{row}]\n")
            assert places(vllm("--zzz", word), table) == []
            assert table.exempts == ("flags.valued",)


@pytest.mark.parametrize("row", ["--zzz", "zzz--", "-zzz-", "-", "Zzz", "z_z"])
@pytest.mark.parametrize("rows", ["switches", "valued", "runtime"])
def test_a_row_of_flags_that_nothing_can_equal_is_refused(rows, row):
    with pytest.raises(FormatError) as caught:
        extended(f"flags:\n  {rows}: ['{row}']\n")
    assert caught.value.code == "bad-table"


@pytest.mark.parametrize(
    ("rows", "flag"), [("zzz", "--zzz"), ("zz-", "--zz-x"), ("-zzz", "--x-zzz"), ("zzz-of-all", "--zzz-of-a")]
)
def test_a_flag_that_takes_weights_later_is_unresolved_whatever_it_holds(rows, flag):
    table = extended(f"flags:\n  runtime: [{rows}]\n")
    assert places(vllm(flag, "1"), table) == [f"{C0}.args[2]"]
    assert places(vllm(flag, "1")) == []


@pytest.mark.parametrize(
    "word",
    [
        "--zzz=org/x",
        "--zzz=hf://org/x",
        "--zzz=r.example.com/org/x",
        "--zzz=https://x.example/model.bin",
        "--zzz-checkpoint=/mnt/x",
        "--zzz-lora=./x",
        '--zzz={"a": {"b": ["org/x"]}}',
        "--zzz=[org/x",
    ],
)
def test_what_looks_like_a_model_behind_a_flag_that_no_row_knows_is_unresolved(word):
    assert f"{C0}.args[2]" in places(vllm(word))


@pytest.mark.parametrize(
    "word",
    [
        "--zzz=/mnt/x",
        "--zzz=https://x.example/v1",
        "--zzz=1/2",
        "--zzz=-x/y",
        "--zzz-log-folder=org/x",
        f"--zzz={TRUST}",
        '--zzz={"a": 1, "b": "c", "method": "org/x"}',
        '--zzz={"a": "/mnt/x"}',
        "--load-format=GGUF",
        "--load-format=auto",
    ],
)
def test_what_looks_like_none_stays_quiet(word):
    assert places(vllm(word)) == []


def test_a_published_path_is_no_strange_one():
    obj = vllm(f"--zzz-weights={OUT}", "--zzz-lora=/mnt/x")
    mount = {"name": "trustkit-model-1", "mountPath": "/trustkit/models/1"}
    obj["spec"]["containers"][0]["volumeMounts"] = [mount]
    sidecar = {"name": "trustkit-sidecar-1", "args": ["run", "--reference", TRUST, "--output", OUT]}
    obj["spec"]["initContainers"] = [sidecar]
    assert places(obj) == [f"{C0}.args[3]"]


def test_strange_flags_of_what_is_no_server_stay_quiet():
    assert places(pod(args=["app", "--zzz=org/x"], **GPU, env=[{"name": "MODEL_ID", "value": TRUST}])) == []


# -- variables ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "0", "False", "no", " off "])
def test_a_setting_that_is_switched_off_leads_nowhere(value):
    off = pod(image=VLLM, args=["--model", TRUST], env=[{"name": "VLLM_X_RUNTIME_LORA", "value": value}])
    assert places(off) == []
    assert places(script(f"export VLLM_X_RUNTIME_LORA='{value}'")) == []
    assert places(script("export VLLM_X_RUNTIME_LORA=1")) == [f"{C0}.command[2]"]


def test_a_flag_in_a_variable_is_judged_by_its_value():
    for value, found in (("4096", []), ("/mnt/x", []), ("org/x", [f"{C0}.env[0].value"])):
        environment = [{"name": "LLAMA_ARG_ZZZ", "value": value}]
        assert places(pod(image="llama-server", args=["-m", TRUST], env=environment)) == found


def test_what_a_program_sets_for_another_is_read():
    own = {"env": [{"name": "OWN", "value": TRUST}], **GPU}
    assert places(pod(command=["env", "VLLM_MODEL_REDIRECT_PATH=/x", "/app"], **own)) == [f"{C0}.command[1]"]
    assert seen(pod(command=["env", "X_MODEL_ID=org/x", "/app"], **own)) == {TRUST, "org/x"}
    assert seen(pod(command=["env", "X_OTHER=org/x", "/app"], **own)) == {TRUST}


def test_settings_of_what_serves_nothing_lead_nowhere():
    assert places(pod(env=[{"name": "VLLM_MODEL_REDIRECT_PATH", "value": "/x"}])) == []


# -- scripts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "cat x | sh -",
        "cat x | exec bash -x -o pipefail",
        "cat x | timeout 60 sh",
        "sh /dev/fd/3 3<x",
        "sh <(cat x)",
        "true <<E\nE\ncat x | sh",
        "sh <<E\ntrue\nE\nsh <x",
        "cat x >/tmp/y; sh /tmp/y",
        "cat x | tee /tmp/y; /tmp/y",
        "set x; exec $@",
        "set -- $X; exec $*",
        "xargs sh -c",
        "xargs -I {} {}",
        "cat x | python3 -",
        "cat x | nohup perl",
        "python3 -u <x",
        "python3 <(cat x)",
        "coproc sh",
        "cat x | dd of=/tmp/y; sh /tmp/y",
        "cat x >y; mv y z; sh ./z",
    ],
)
def test_a_script_that_stands_nowhere_is_unresolved(text):
    assert places(script(text)) == [f"{C0}.command[2]"]
    assert places(pod(command=["sh", "-c", text])) == []  # nothing there computes with a model


@pytest.mark.parametrize(
    "text",
    [
        "sh /app/x.sh",
        'sh "$DIR/x.sh"',
        "sh -c 'true'",
        "sh <<E\ntrue\nE",
        "sh -s <<-E\n\ttrue\n\tE",
        "command -v bash",
        "cat <<E >/tmp/y\ntrue\nE\nsh /tmp/y",
        "cat x >/tmp/y; sh /tmp/z",
        ". /app/env",
        ".",
        "set -eu -o pipefail; exec $@",
        "ls | xargs -n 1 rm",
        "xargs",
        "exec",
        "sudo apt-get install -y bash",
        "python3 -c 'print(1)'",
        "python3 -V",
        "python3 -u /app/x.py -",
        "python3 - <<E\nprint\nE",
        "trap 'kill $P' EXIT",
        "env A='b c' app",
        "cat x >test; test -f y",
        "cp /app/x /tmp/y; sh /tmp/y",
    ],
)
def test_a_script_that_is_read_or_lies_in_the_image_stays_quiet(text):
    assert places(script(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "su app -c 'vllm serve org/evil'",
        "nohup flock /x -c 'vllm serve org/evil'",
        "env -S 'vllm serve org/evil'",
        "env --split-string='vllm serve org/evil'",
        "trap 'vllm serve org/evil' EXIT",
        "alias v='vllm serve org/evil'; v",
    ],
)
def test_a_word_that_a_program_gives_to_a_shell_is_read(text):
    assert "org/evil" in seen(script(text))


# -- schemes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ["hf://org/name", "hf://org/name/", "pvc://claim/", "hf://org:"])
def test_a_row_that_is_a_reference_itself_hides_none(row):
    table = extended(f"schemes:\n  anywhere: {{'{row}': hf}}\n")
    assert row.rstrip(":") in seen(pod(args=[row]), table)


@pytest.mark.parametrize("text", ["hf://", "models:/", "https://huggingface.co/", "git@"])
def test_a_prefix_with_nothing_behind_it_is_no_reference(text):
    assert default_table().is_bare(text)
    assert seen(pod(args=[text], **GPU, env=[{"name": "MODEL_ID", "value": TRUST}])) == {TRUST}


def test_a_host_of_the_users_own_with_nothing_behind_it_is_no_reference():
    table = extended("schemes:\n  anywhere: {'https://models.example/': hf, 'https://h.example/a/': hf}\n")
    assert seen(pod(args=["https://models.example/", "https://h.example/a/"]), table) == {
        "https://h.example/a/"
    }


# -- resources ----------------------------------------------------------------------------------------------


def test_a_harmless_row_of_the_users_own_takes_no_accelerator_away():
    own = pod(resources={"requests": {"example.org/card": 1}})
    assert references(own).gpu
    table = extended("harmless_resources: [example.org/, nvidia.com/]\n")
    assert not references(own, table=table).gpu
    assert references(pod(**GPU), table=table).gpu
    assert table.exempts == ("harmless_resources",)
