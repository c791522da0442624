"""The last word: decoys, altered sidecars, other writers; and a patch that is stable."""

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admission.evidence import remedy_for
from admission.sidecar import injection_for, millicores, quantity
from trustkit.workloads.sidecars import sidecars_of


@pytest.fixture
def admitted(world, tools):
    pod = tools.pod("--model", world.publish("acme/llm/1"))
    return tools.applied(pod, world.ask(pod).patch)


def codes(verdict):
    return [violation.code for violation in verdict.violations]


def side(pod):
    return pod["spec"]["initContainers"][0]


def app(pod):
    return pod["spec"]["containers"][0]


def volume(pod, part):
    return next(v for v in pod["spec"]["volumes"] if part in v["name"])


def flag(pod, name, value):
    words = side(pod)["args"]
    words[words.index(name) + 1] = value


ALTERED = {
    "another image": lambda p: side(p).update(image="evil"),
    "another command": lambda p: side(p).update(command=["sleep", "infinity"]),
    "another policy digest": lambda p: flag(p, "--policy-digest", "sha256:" + "0" * 64),
    "another trust bundle": lambda p: flag(p, "--trust-bundle-digest", "sha256:" + "0" * 64),
    "another broker": lambda p: flag(p, "--broker", "evil:1"),
    "another broker ID": lambda p: flag(p, "--broker-id", "spiffe://evil/x"),
    "another store ID": lambda p: flag(p, "--store-id", "spiffe://evil/x"),
    "another SVID": lambda p: flag(p, "--svid-directory", "/tmp"),
    "another output": lambda p: flag(p, "--output", "/tmp"),
    "another health port": lambda p: flag(p, "--health", "0.0.0.0:9"),
    "an argument more": lambda p: side(p)["args"].append("--insecure"),
    "an argument less": lambda p: side(p)["args"].pop(),
    "a variable": lambda p: side(p).update(env=[{"name": "LD_PRELOAD", "value": "/x"}]),
    "variables from elsewhere": lambda p: side(p).update(envFrom=[{"configMapRef": {"name": "x"}}]),
    "no restart": lambda p: side(p).pop("restartPolicy"),
    "no startup probe": lambda p: side(p).pop("startupProbe"),
    "a readiness probe instead": lambda p: side(p).update(readinessProbe=side(p).pop("startupProbe")),
    "a probe that always succeeds": lambda p: side(p)["startupProbe"].update(exec={"command": ["true"]}),
    "a probe of another place": lambda p: side(p)["startupProbe"]["exec"]["command"].append("/"),
    "a probe that others can answer": lambda p: _replace(
        side(p)["startupProbe"], httpGet={"path": "/readyz", "port": port_of(p), "scheme": "HTTP"}
    ),
    "a lifecycle hook": lambda p: side(p).update(lifecycle={"postStart": {"exec": {"command": ["sh"]}}}),
    "privileges": lambda p: side(p)["securityContext"].update(privileged=True),
    "escalation": lambda p: side(p)["securityContext"].update(allowPrivilegeEscalation=True),
    "a capability": lambda p: side(p)["securityContext"]["capabilities"].update(add=["SYS_ADMIN"]),
    "one for true": lambda p: side(p)["securityContext"].update(runAsNonRoot=1),
    "another mount": lambda p: side(p)["volumeMounts"].append({"name": "x", "mountPath": "/x"}),
    "no mount": lambda p: side(p).update(volumeMounts=[]),
    "another name": lambda p: side(p).update(name="trustkit-sidecar-decoy"),
    "a decoy beside it": lambda p: p["spec"]["initContainers"].append(
        {"name": "trustkit-decoy", "image": "evil"}
    ),
    "a decoy as a container": lambda p: p["spec"]["containers"].append(
        {"name": "trustkit-x", "image": "evil"}
    ),
    "a decoy as an ephemeral container": lambda p: p["spec"].update(
        ephemeralContainers=[{"name": "trustkit-x", "image": "evil"}]
    ),
    "twice": lambda p: p["spec"]["initContainers"].append(copy.deepcopy(side(p))),
    "models on a claim": lambda p: _replace(volume(p, "model"), persistentVolumeClaim={"claimName": "evil"}),
    "models on disk": lambda p: _replace(volume(p, "model"), emptyDir={}),
    "a larger volume": lambda p: volume(p, "model")["emptyDir"].update(sizeLimit="1Ti"),
    "SVID from a secret": lambda p: _replace(volume(p, "svid"), secret={"secretName": "evil"}),
    "no volume": lambda p: p["spec"]["volumes"].remove(volume(p, "model")),
    "a volume with our name": lambda p: p["spec"]["volumes"].append({"name": "trustkit-x", "emptyDir": {}}),
    "a writable mount": lambda p: app(p)["volumeMounts"][0].pop("readOnly"),
    "a mount with a sub path": lambda p: app(p)["volumeMounts"][0].update(subPath="x"),
    "a second writer": lambda p: p["spec"]["containers"].append(
        {"name": "w", "volumeMounts": [{"name": volume(p, "model")["name"], "mountPath": "/w"}]}
    ),
    "an init writer": lambda p: p["spec"]["initContainers"].append(
        {"name": "w", "volumeMounts": [{"name": volume(p, "model")["name"], "mountPath": "/w"}]}
    ),
    "an ephemeral reader": lambda p: p["spec"].update(
        ephemeralContainers=[{"name": "e", "volumeMounts": copy.deepcopy(app(p)["volumeMounts"])}]
    ),
    "a device": lambda p: app(p).update(
        volumeDevices=[{"name": volume(p, "model")["name"], "devicePath": "/d"}]
    ),
    "a variable from a file of the model": lambda p: app(p).update(
        env=[
            {"name": "K", "valueFrom": {"fileKeyRef": {"volumeName": volume(p, "model")["name"], "key": "k"}}}
        ]
    ),
    "a variable of a volume of ours that is not there": lambda p: p["spec"]["initContainers"].append(
        {"name": "w", "env": [{"valueFrom": {"fileKeyRef": {"volumeName": "trustkit-x"}}}]}
    ),
    "a stolen SVID": lambda p: app(p)["volumeMounts"].append(
        {"name": "trustkit-svid", "mountPath": "/s", "readOnly": True}
    ),
    "a mount over the model": lambda p: app(p)["volumeMounts"].append(
        {"name": "x", "mountPath": app(p)["args"][1]}
    ),
    "a mount inside the model": lambda p: app(p)["volumeMounts"].append(
        {"name": "x", "mountPath": app(p)["args"][1] + "/weights"}
    ),
    "a mount above the model": lambda p: app(p)["volumeMounts"].append(
        {"name": "x", "mountPath": "/trustkit"}
    ),
    "a relative mount over it": lambda p: app(p)["volumeMounts"].append(
        {"name": "x", "mountPath": app(p)["args"][1].lstrip("/")}
    ),
    "a dotted mount over it": lambda p: app(p)["volumeMounts"].append(
        {"name": "x", "mountPath": "/a/.." + app(p)["args"][1]}
    ),
}


REACHED = {
    "a shared process namespace": lambda p: p["spec"].update(shareProcessNamespace=True),
    "the host's processes": lambda p: p["spec"].update(hostPID=True),
    "a container attached to its processes": lambda p: p["spec"].update(
        ephemeralContainers=[{"name": "e", "targetContainerName": side(p)["name"]}]
    ),
    "the node's volumes": lambda p: p["spec"]["volumes"].append(
        {"name": "x", "hostPath": {"path": "/var/lib/kubelet/pods"}}
    ),
    "the whole node": lambda p: p["spec"]["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
    "the node by dots": lambda p: p["spec"]["volumes"].append(
        {"name": "x", "hostPath": {"path": "/opt/../var//lib"}}
    ),
    "the node without its first slash": lambda p: p["spec"]["volumes"].append(
        {"name": "x", "hostPath": {"path": "var/lib/kubelet"}}
    ),
    "the node's processes": lambda p: p["spec"]["volumes"].append(
        {"name": "x", "hostPath": {"path": "/proc/1/root"}}
    ),
    "privileges beside it": lambda p: app(p).update(securityContext={"privileged": True}),
    "the power to mount": lambda p: app(p).update(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}),
    "that power by its other name": lambda p: app(p).update(
        securityContext={"capabilities": {"add": ["CAP_SYS_ADMIN"]}}
    ),
    "every power": lambda p: app(p).update(securityContext={"capabilities": {"add": ["all"]}}),
    "an unmasked proc": lambda p: app(p).update(securityContext={"procMount": "Unmasked"}),
    "the runtime's socket": lambda p: p["spec"]["volumes"].append(
        {"name": "s", "hostPath": {"path": "/run/containerd/containerd.sock"}}
    ),
    "the runtime's socket by another way": lambda p: p["spec"]["volumes"].append(
        {"name": "s", "hostPath": {"path": "/var/run/containerd/containerd.sock"}}
    ),
    "the socket of docker": lambda p: p["spec"]["volumes"].append(
        {"name": "s", "hostPath": {"path": "/run/docker.sock"}}
    ),
    "that by another way": lambda p: p["spec"]["volumes"].append(
        {"name": "s", "hostPath": {"path": "/var/./run//docker.sock"}}
    ),
    "the socket of another runtime": lambda p: p["spec"]["volumes"].append(
        {"name": "s", "hostPath": {"path": "/var/run/crio"}}
    ),
    "all sockets": lambda p: p["spec"]["volumes"].append({"name": "s", "hostPath": {"path": "/var/run"}}),
    "a debugger": lambda p: p["spec"].update(
        ephemeralContainers=[{"name": "e", "securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}}}]
    ),
}


def _replace(entry, **source):
    for key in [key for key in entry if key != "name"]:
        del entry[key]
    entry.update(source)


@pytest.mark.parametrize("hook", ["mutate", "validate"])
@pytest.mark.parametrize(
    ("change", "code"),
    [(change, "sidecar-altered") for change in ALTERED.values()]
    + [(change, "sidecar-reachable") for change in REACHED.values()],
    ids=[*ALTERED, *REACHED],
)
def test_altered(world, admitted, change, code, hook):
    assert world.ask(admitted, hook).allowed
    change(admitted)
    verdict = world.ask(admitted, hook)
    assert not verdict.allowed
    assert code in codes(verdict)
    assert {violation.remedy for violation in verdict.violations if violation.code == code} == {
        remedy_for(code)
    }
    assert remedy_for(code) != remedy_for("no-such-code")
    assert verdict.patch == ()


def test_who_debugs_is_told_how(world, admitted):
    """As `kubectl debug` does it by default: with the capability to trace."""
    REACHED["a debugger"](admitted)
    [violation] = world.ask(admitted, "validate").violations
    assert violation.code == "sidecar-reachable"
    assert "--profile=baseline" in violation.remedy


def early(pod, **members):
    """Put an init container before the sidecar, as another webhook would."""
    container = {"name": "early", "image": "i", **members}
    pod["spec"]["initContainers"].insert(0, container)
    return container


def port_of(pod):
    words = sidecars_of(pod["spec"])[0].container["args"]
    return int(words[words.index("--health") + 1].rpartition(":")[2])


EXPOSED = {
    "the node's network": lambda p: p["spec"].update(hostNetwork=True),
    "a native sidecar before it on its port": lambda p: early(
        p, restartPolicy="Always", ports=[{"containerPort": port_of(p)}]
    ),
    "a native sidecar after it on its port": lambda p: p["spec"]["initContainers"].append(
        {
            "name": "w",
            "restartPolicy": "Always",
            "ports": [{"containerPort": 1}, {"containerPort": port_of(p)}],
        }
    ),
    "a container on its port": lambda p: app(p).update(ports=[{"containerPort": port_of(p), "name": "http"}]),
}
LATE = {
    "it mounts the model": lambda p: early(p, volumeMounts=copy.deepcopy(app(p)["volumeMounts"])),
    "it names the path": lambda p: early(p, args=["--model", app(p)["args"][1]]),
    "it names the folder in a script": lambda p: early(
        p, command=["sh", "-c", f"ls {app(p)['volumeMounts'][0]['mountPath']}"]
    ),
    "it names a path below in a variable": lambda p: early(
        p, env=[{"name": "M", "value": app(p)["args"][1] + "/x"}]
    ),
    "it is a native sidecar": lambda p: early(
        p, restartPolicy="Always", volumeMounts=copy.deepcopy(app(p)["volumeMounts"])
    ),
}


@pytest.mark.parametrize("hook", ["mutate", "validate"])
@pytest.mark.parametrize(
    ("change", "code"),
    [(change, "sidecar-exposed") for change in EXPOSED.values()]
    + [(change, "sidecar-late") for change in LATE.values()],
    ids=[*EXPOSED, *LATE],
)
def test_nobody_answers_for_a_sidecar_or_uses_a_model_before_it_is_there(world, admitted, change, code, hook):
    change(admitted)
    verdict = world.ask(admitted, hook)
    assert (verdict.allowed, verdict.patch) == (False, ())
    assert code in codes(verdict)
    [violation] = [violation for violation in verdict.violations if violation.code == code]
    assert violation.remedy == remedy_for(code) != remedy_for("no-such-code")


def test_other_ports_other_volumes_and_users_that_come_later_are_borne(world, admitted):
    early(
        admitted,
        restartPolicy="Always",
        ports=[{"containerPort": port_of(admitted) + 1}],
        args=["/trustkit/models", "trustkit"],
        volumeMounts=[{"name": "scratch", "mountPath": "/scratch"}],
    )
    admitted["spec"]["initContainers"].append(
        {"name": "late", "image": "i", "volumeMounts": copy.deepcopy(app(admitted)["volumeMounts"])}
    )
    admitted["spec"].update(hostNetwork=False)
    app(admitted).update(ports=None)
    early(admitted, ports=[None, {"hostPort": port_of(admitted)}, {"containerPort": str(port_of(admitted))}])
    assert world.ask(admitted, "validate").allowed


def test_every_sidecar_has_its_port_and_its_place(world, tools):
    one, two = world.publish("a/1"), world.publish("b/1", content=b"2")
    pod = tools.pod("--model", one, "--draft-model", two)
    after = tools.applied(pod, world.ask(pod).patch)
    assert world.ask(after, "validate").allowed
    app(after)["ports"] = [{"containerPort": port_of(after) + 1}]
    assert codes(world.ask(after, "validate")) == ["sidecar-exposed"]
    del app(after)["ports"]
    mounts = app(after)["volumeMounts"]
    between = {"name": "between", "image": "i", "volumeMounts": [copy.deepcopy(mounts[0])]}
    after["spec"]["initContainers"].insert(1, between)
    assert world.ask(after, "validate").allowed
    between["volumeMounts"] = [copy.deepcopy(mounts[1])]
    assert codes(world.ask(after, "validate")) == ["sidecar-late"]


def test_a_pod_in_the_nodes_network_is_told_before_anything_is_injected(world, tools):
    pod = tools.pod("--model", world.publish("a/1"), hostNetwork=True)
    verdict = world.ask(pod)
    assert (codes(verdict), verdict.patch) == (["sidecar-exposed"], ())
    agent = tools.pod(hostNetwork=True)
    agent["spec"]["containers"][0]["image"] = "node-agent:1"
    assert world.ask(agent).allowed


def test_a_sidecar_for_a_model_that_is_not_proven_is_a_decoy(world, tools, admitted):
    flag(admitted, "--reference", world.publish("acme/evil", signer=world.stranger))
    assert set(codes(world.ask(admitted, "validate"))) == {"wrong-signer", "sidecar-altered"}


def test_a_sidecar_may_not_be_swapped_for_one_of_another_model(world, tools, admitted):
    """The container's path names the model of its own reference, whatever sidecar stands beside it."""
    other = world.publish("acme/other/1", content=b"other")
    pod = tools.pod("--model", other)
    swapped = tools.applied(pod, world.ask(pod).patch)
    app(swapped)["args"] = app(admitted)["args"]
    verdict = world.ask(swapped, "validate")
    assert codes(verdict) == ["unsupported-scheme"]


def test_what_the_api_server_does_afterwards_is_borne(world, admitted):
    """Other plugins may add volumes, tolerations and containers of their own; ours stays as it is."""
    spec = admitted["spec"]
    spec["volumes"].append({"name": "kube-api-access-x", "projected": {"defaultMode": 420, "sources": []}})
    app(admitted)["volumeMounts"].append(
        {
            "name": "kube-api-access-x",
            "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
            "readOnly": True,
        }
    )
    spec["initContainers"].insert(0, {"name": "istio-init", "image": "istio"})
    spec["tolerations"] = []
    assert world.ask(admitted, "validate").allowed
    assert world.ask(admitted).patch == ()


def test_other_folders_of_the_node_and_other_targets_are_not_ours_to_refuse(world, tools, admitted):
    admitted["spec"]["volumes"].append({"name": "shm", "hostPath": {"path": "/dev/shm"}})
    admitted["spec"]["ephemeralContainers"] = [{"name": "e", "image": "i", "targetContainerName": "server"}]
    assert world.ask(admitted, "validate").allowed
    quiet = tools.pod(volumes=[{"name": "x", "hostPath": {"path": "/var/lib/kubelet/device-plugins"}}])
    quiet["spec"]["containers"][0]["image"] = "device-plugin:1"
    assert world.ask(quiet, "validate").allowed


@pytest.mark.parametrize(
    "context",
    [{}, {"privileged": False}, {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}, None],
)
def test_ordinary_security_contexts_are_borne(world, admitted, context):
    app(admitted)["securityContext"] = context
    assert world.ask(admitted, "validate").allowed


def test_the_sidecar_cannot_be_given_a_token(admitted):
    paths = [mount["mountPath"] for mount in side(admitted)["volumeMounts"]]
    assert "/var/run/secrets/kubernetes.io/serviceaccount" in paths


def test_sizes_are_written_as_they_are_stored():
    assert [quantity(n) for n in (1, 1024, 1025, 3 * 1024, 1024**2, 5 * 1024**3)] == [
        "1Mi",
        "1Gi",
        "1025Mi",
        "3Gi",
        "1Ti",
        "5120Ti",
    ]
    assert [millicores(n) for n in (250, 1000, 2500, 3000)] == ["250m", "1", "2500m", "3"]


def test_the_sidecar_is_a_function_of_reference_and_plan(world, tools):
    pod = tools.pod("--model", world.publish("acme/llm/1"))
    assert world.ask(pod).patch == world.ask(pod).patch


def test_a_string_with_several_references_is_rewritten_whole(world, tools):
    one, two = world.publish("a/1"), world.publish("b/1", content=b"2")
    script = f"serve --model '{one}' --draft={two} # {one}"
    pod = tools.pod()
    pod["spec"]["containers"][0]["command"] = ["sh", "-c", script]
    after = tools.applied(pod, world.ask(pod).patch)
    paths = {s.reference: s.output for s in sidecars_of(after["spec"])}
    assert app(after)["command"][2] == f"serve --model '{paths[one]}' --draft={paths[two]} # {paths[one]}"
    assert len(app(after)["volumeMounts"]) == 2
    assert world.ask(after, "validate").allowed


def test_null_lists_are_as_good_as_absent_ones(world, tools):
    pod = tools.pod("--model", world.publish("a/1"), initContainers=None, volumes=None)
    pod["spec"]["containers"][0]["volumeMounts"] = None
    after = tools.applied(pod, world.ask(pod).patch)
    assert world.ask(after, "validate").allowed


WORD = st.sampled_from(
    ["{0}", "--model={0}", "{1}", "x {0} y {1}", "--port", "80", "$(HOME)", "", "{0},{1}", "{0} {0}"]
)
CONTAINER = st.fixed_dictionaries(
    {"args": st.lists(WORD, max_size=4)},
    optional={
        "command": st.lists(WORD, max_size=3),
        "env": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from(["A", "MODEL_ID"]), "value": WORD}), max_size=2
        ),
        "volumeMounts": st.just([{"name": "scratch", "mountPath": "/scratch"}]),
    },
)


def _filled(value, one, two):
    if isinstance(value, str):
        return value.replace("{0}", one).replace("{1}", two)
    if isinstance(value, list):
        return [_filled(item, one, two) for item in value]
    return {key: _filled(item, one, two) for key, item in value.items()} if isinstance(value, dict) else value


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    containers=st.lists(CONTAINER, min_size=1, max_size=3),
    inits=st.lists(CONTAINER, max_size=2),
    volumes=st.booleans(),
)
def test_patched_twice_is_patched_once_and_valid(world, tools, containers, inits, volumes):
    one, two = world.publish("a/1"), world.publish("b/1", content=b"2")
    named = [{"name": f"c{n}", "image": "i", **_filled(c, one, two)} for n, c in enumerate(containers)]
    first = [{"name": f"i{n}", "image": "i", **_filled(c, one, two)} for n, c in enumerate(inits)]
    spec = {"containers": named, "volumes": [{"name": "scratch", "emptyDir": {}}] if volumes else []}
    if first:
        spec["initContainers"] = first
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": spec}
    verdict = world.ask(pod)
    if not verdict.allowed:
        return
    after = tools.applied(pod, verdict.patch)
    assert tools.applied(after, world.ask(after).patch) == after
    assert world.ask(after, "validate").allowed
    assert one not in str(after["spec"]["containers"])
    for container in after["spec"]["containers"]:
        paths = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
        assert len(set(paths)) == len(paths)


def test_an_injection_without_an_allowed_store_names_no_peer(world, tools):
    reference = world.publish("a/1")
    world.ask(tools.pod("--model", reference))
    finding = world.room().finding(reference, namespace="ml", deadline=None)
    plan = type(world.plan)(world.plan.sidecar, (), world.plan.policy_digest, world.plan.trust_bundle_digest)
    words = injection_for(finding.proven, 0, plan).container["args"]
    assert words[words.index("--store-id") + 1] == ""


TRICKS = [
    ("--model", "{}/$(ELSEWHERE)"),
    ("--model", "{}/$0"),
    ("--model", "{}/{{a,../../../mnt/evil}}"),
    ("--model", "{}/*"),
    ("--model", "{},/mnt/evil"),
]


@pytest.mark.parametrize("words", TRICKS)
def test_text_beside_a_published_path_is_no_published_path(world, admitted, words):
    path = app(admitted)["args"][1]
    app(admitted)["args"] = [word.format(path) for word in words]
    verdict = world.ask(admitted, "validate")
    assert not verdict.allowed
    assert {"unresolved-model", "unsupported-scheme"} & set(codes(verdict))


@pytest.mark.parametrize(
    "place", ["lifecycle.postStart", "lifecycle.preStop", "livenessProbe", "startupProbe"]
)
def test_commands_of_hooks_and_probes_are_read(world, tools, admitted, place):
    for command in (
        ["ollama", "pull", "llama3"],
        ["sh", "-c", "hf download org/evil"],
        ["vllm", "serve", "org/x"],
    ):
        pod = tools.applied(admitted, ())
        owner = app(pod)
        *steps, last = place.split(".")
        for step in steps:
            owner = owner.setdefault(step, {})
        owner[last] = {"exec": {"command": command}}
        verdict = world.ask(pod, "validate")
        assert "unsupported-scheme" in codes(verdict), command


def test_a_published_path_is_one_only_where_it_is_mounted(world, admitted):
    """Without the mount, whatever the image holds at that path is what gets loaded."""
    path = app(admitted)["args"][1]
    twin = {"name": "twin", "image": "evil/vllm", "args": ["--model", path]}
    admitted["spec"]["containers"].append(twin)
    assert "unsupported-scheme" in codes(world.ask(admitted, "validate"))
    twin["volumeMounts"] = copy.deepcopy(app(admitted)["volumeMounts"])
    assert world.ask(admitted, "validate").allowed
    app(admitted).pop("volumeMounts")
    assert "unsupported-scheme" in codes(world.ask(admitted, "validate"))
