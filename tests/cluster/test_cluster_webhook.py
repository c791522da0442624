"""What a person sees who creates things in a cluster whose API server asks our webhook."""

import copy
import json

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("apiserver")]
REPLICASETS = "system:serviceaccount:kube-system:replicaset-controller"


def sidecars(spec):
    return [c for c in spec.get("initContainers", []) if c["name"].startswith("trustkit-sidecar-")]


def refused(done, *, hook="mutate"):
    """Return what a person reads after a denial by one of our hooks."""
    start = f'admission webhook "{hook}.trustkit.dev" denied the request: '
    assert done.returncode == 1
    assert start in done.stderr
    return done.stderr.partition(start)[2]


@pytest.fixture(scope="module")
def reference(hook, model):
    return hook.reference(model)


@pytest.fixture(scope="module")
def second(hook, estate):
    """Another model that may be loaded."""
    return hook.reference(estate.sealed("acme/tiny-llm-here/2", seed=2, version=2))


@pytest.fixture(scope="module")
def stored(api, hook, reference, makers):
    """A Pod that was allowed, as the API server keeps it."""
    return api.created(makers.pod("admitted", reference))


# Allowed -----------------------------------------------------------------


def test_an_admitted_pod_is_stored_with_its_sidecar_and_names_a_local_path(stored, reference):
    [sidecar] = sidecars(stored["spec"])
    assert sidecar["restartPolicy"] == "Always"
    assert reference in sidecar["args"]
    [server] = stored["spec"]["containers"]
    output = sidecar["args"][sidecar["args"].index("--output") + 1]
    assert server["args"][:2] == ["--model", output]
    assert reference not in json.dumps(server)
    mounts = {mount["mountPath"]: mount for mount in server["volumeMounts"]}
    assert mounts[output.rpartition("/")[0]]["readOnly"] is True


def test_volumes_of_the_operator_are_injected_as_the_api_server_stores_them(stored, makers):
    """It fills in what is not written, and the last word compares all of it: so this Pod is there at all."""
    volumes = {volume["name"]: volume for volume in stored["spec"]["volumes"]}
    for number, (kind, source) in enumerate(makers.WITH_DEFAULTS):
        assert volumes[f"trustkit-{number}"][kind] != source


def test_no_service_account_token_is_mounted_into_the_sidecar(stored):
    """The API server's own plugin does that wherever nothing else is mounted."""
    [sidecar] = sidecars(stored["spec"])
    volumes = {volume["name"]: volume for volume in stored["spec"]["volumes"]}
    tokens = {
        name
        for name, volume in volumes.items()
        if any("serviceAccountToken" in source for source in volume.get("projected", {}).get("sources", []))
    }
    assert tokens
    assert not tokens & {mount["name"] for mount in sidecar["volumeMounts"]}
    assert tokens & {mount["name"] for mount in stored["spec"]["containers"][0]["volumeMounts"]}


def test_a_crowded_pod_is_admitted_whole(api, hook, reference, second, makers):
    """Two models, in an argument and a variable; volumes, an init container and a sidecar of its own."""
    subject = makers.pod("crowded", reference)
    spec = subject["spec"]
    [server] = spec["containers"]
    server["env"] = [{"name": "DRAFT_MODEL", "value": second}]
    server["volumeMounts"] = [{"name": "scratch", "mountPath": "/scratch"}]
    spec["volumes"] = [{"name": "scratch", "emptyDir": {}}]
    other = {"image": "registry.example/tools@sha256:" + "6" * 64}
    spec["initContainers"] = [
        {**other, "name": "proxy", "restartPolicy": "Always"},
        {**other, "name": "warm-up", "args": ["--model", second]},
    ]
    made = api.created(subject)["spec"]
    assert [container["name"].rpartition("-")[0] for container in made["initContainers"]] == [
        *("trustkit-sidecar", "trustkit-sidecar", "", "warm"),
    ]
    assert len({s["args"][s["args"].index("--health") + 1] for s in sidecars(made)}) == 2
    assert "trust://" not in json.dumps([made["containers"], made["initContainers"][2:]])


def test_a_stored_pod_can_be_created_again_and_gets_no_second_sidecar(api, stored):
    again = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "again", "namespace": "ml"},
        "spec": stored["spec"],
    }
    made = api.created(again)
    assert made["spec"]["initContainers"] == stored["spec"]["initContainers"]
    assert made["spec"]["containers"] == stored["spec"]["containers"]


def test_what_names_no_model_is_left_alone(api, hook, makers):
    made = api.created(makers.plain("plain"))
    assert sidecars(made["spec"]) == []


def test_labels_of_an_admitted_pod_may_change_and_it_may_be_deleted(api, hook, reference, makers):
    api.created(makers.pod("short-lived", reference))
    api.kubectl("label", "pod", "short-lived", "-n", "ml", "tier=gold", ok=True)
    api.kubectl("delete", "pod", "short-lived", "-n", "ml", "--force", ok=True)


def test_the_record_says_who_was_let_in(stored, hook, reference):
    [entry] = [
        entry
        for entry in hook.decisions
        if entry["object"] == {"kind": "Pod", "namespace": "ml", "name": "admitted"}
    ]
    assert (entry["allowed"], entry["models"]) == (True, [reference])


# Denied ------------------------------------------------------------------


@pytest.fixture(scope="module")
def spoiled(estate, model):
    """Folders in the store that nobody may load: unsigned, and signed by a stranger."""
    (estate.root / "acme/unsigned-here/1").mkdir(parents=True)
    (estate.root / "acme/unsigned-here/1/config.json").write_text("{}")
    return estate.sealed("acme/strange-here/1", author=estate.stranger)


def test_a_pod_is_denied_with_the_code_and_what_to_do(api, hook, reference, spoiled, makers):
    cases = {
        "not-pinned": reference.partition("@")[0] + ":latest",
        "unsigned": reference.replace("/acme/tiny-llm/1@", "/acme/unsigned-here/1@"),
        "wrong-signer": hook.reference(spoiled),
    }
    for code, text in cases.items():
        said = refused(api.create(makers.pod(f"not-{code}", text)))
        assert said.startswith(f"[{code}] "), (code, said)
        assert ";" in said
        assert api.kubectl("get", "pod", f"not-{code}", "-n", "ml").returncode == 1


def test_an_accelerator_without_a_model_is_denied(api, hook, makers):
    subject = makers.plain("greedy")
    subject["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": "1"}}
    assert "[unresolved-gpu] " in refused(api.create(subject))


def test_an_annotation_of_ours_is_denied(api, hook, reference, makers):
    subject = makers.pod("forger", reference)
    subject["metadata"]["annotations"] = {"trustkit.dev/verified": "true"}
    assert "[reserved-annotation] " in refused(api.create(subject))


def test_the_last_word_is_had_on_what_others_made_of_the_sidecar(api, hook, stored):
    """A decoy: our container, as it is stored, with one more argument."""
    decoy = copy.deepcopy(stored["spec"])
    sidecars(decoy)[0]["args"] += ["--health", "0.0.0.0:1"]
    subject = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "decoy", "namespace": "ml"},
        "spec": decoy,
    }
    assert "[sidecar-altered] " in refused(api.create(subject))


def test_the_image_of_an_admitted_pod_may_change_but_not_its_sidecar(api, hook, stored, reference):
    [sidecar] = sidecars(stored["spec"])
    patch = {"spec": {"initContainers": [{"name": sidecar["name"], "image": "registry.example/other:1"}]}}
    done = api.kubectl("patch", "pod", "admitted", "-n", "ml", "--patch", json.dumps(patch))
    assert "[sidecar-altered] " in refused(done, hook="validate")
    assert api.get("pod", "admitted", "-n", "ml")["spec"] == stored["spec"]


# Subresources ------------------------------------------------------------


def debug(api, container, *words, pod="admitted", profile="baseline", target=""):
    """Add an ephemeral container, as people do."""
    options = (
        "--image=registry.example/tools:1",
        "--attach=false",
        f"--profile={profile}",
        f"--target={target}",
    )
    return api.kubectl("debug", pod, "-n", "ml", *options, "--container", container, "--", *words)


def test_an_ephemeral_container_may_be_added_to_look_around(api, hook, reference, makers):
    api.created(makers.pod("looked-at", reference))
    assert debug(api, "looking", "sleep", "9", pod="looked-at").returncode == 0
    [added] = api.get("pod", "looked-at", "-n", "ml")["spec"]["ephemeralContainers"]
    assert added["name"] == "looking"


def test_an_ephemeral_container_may_not_bring_a_model(api, stored, reference):
    said = refused(debug(api, "loader", "serve", "--model", reference), hook="validate")
    assert said.startswith("[unresolved-model] spec.ephemeralContainers[0].")
    assert "ephemeralContainers" not in api.get("pod", "admitted", "-n", "ml")["spec"]


@pytest.mark.parametrize("more", [{"profile": "general"}, {"profile": "sysadmin"}, {"target": "the sidecar"}])
def test_an_ephemeral_container_that_can_reach_into_the_sidecar_is_denied(api, stored, more):
    """`general` may trace others' processes; a target shares its processes with the container."""
    [sidecar] = sidecars(stored["spec"])
    wanted = {name: text.replace("the sidecar", sidecar["name"]) for name, text in more.items()}
    assert "[sidecar-reachable] " in refused(debug(api, "peeping", "sleep", "9", **wanted), hook="validate")


def test_a_sidecar_may_not_be_resized(api, stored):
    [sidecar] = sidecars(stored["spec"])
    smaller = {"name": sidecar["name"], "resources": {"limits": {"cpu": "1"}}}
    patch = json.dumps({"spec": {"initContainers": [smaller]}})
    done = api.kubectl("patch", "pod", "admitted", "-n", "ml", "--subresource=resize", "--patch", patch)
    assert "[sidecar-altered] " in refused(done, hook="validate")


# What makes Pods ---------------------------------------------------------


def test_a_deployment_may_name_a_proven_model_and_is_stored_as_it_was_written(api, hook, reference, makers):
    made = api.created(makers.deployment("proven", reference))
    [server] = made["spec"]["template"]["spec"]["containers"]
    assert server["args"][1] == reference


def test_a_deployment_is_denied_before_any_of_its_pods(api, hook, reference, makers):
    unpinned = reference.partition("@")[0]
    said = refused(api.create(makers.deployment("early", unpinned)), hook="validate")
    assert "[not-pinned] " in said


def test_a_pod_of_a_deployment_gets_its_sidecar_whoever_creates_it(api, hook, reference, makers):
    """As the ReplicaSet controller posts it: a generated name, an owner, its own user."""
    subject = makers.pod("", reference)
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "proven-1",
        "uid": "0" * 8,
        "controller": True,
    }
    subject["metadata"] = {"generateName": "proven-1-", "namespace": "ml", "ownerReferences": [owner]}
    made = api.created(subject, user=REPLICASETS)
    assert made["metadata"]["name"].startswith("proven-1-")
    assert len(sidecars(made["spec"])) == 1


# The world does not answer -----------------------------------------------


def test_without_a_webhook_nothing_starts(api, hook, registration, apiservers, makers):
    """Fail closed: an address where nobody listens, for one namespace."""
    makers.add_namespace(api, "deserted")
    for found in registration(
        "nobody", f"127.0.0.1:{apiservers.free_port()}", hook.ca, namespaces=["deserted"]
    ):
        api.create(found, ok=True)
    subject = makers.plain("waiting", "deserted")

    def fails():
        return "failed calling webhook" in api.create(subject, "--dry-run=server").stderr

    try:
        api.until(fails, "the registration to be in effect")
        assert api.create(subject).returncode == 1
    finally:
        for kind in ("mutatingwebhookconfiguration", "validatingwebhookconfiguration"):
            api.kubectl("delete", kind, "nobody", ok=True)
