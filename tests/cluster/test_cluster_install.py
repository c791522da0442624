"""The chart in a real API server, where nothing runs it: what is stored, who may do what, what is left."""

import json
import re
from pathlib import Path

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("apiserver")]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(api, hook, helm, with_store, makers):
    """The chart in the API server. Nothing runs it, so from here on every namespace but its own is closed."""
    makers.add_namespace(api, helm.NAMESPACE)
    api.created(makers.plain("before-the-chart"))
    running = makers.deployment("before-the-chart", "")
    running["spec"] |= {
        "replicas": 2,
        "template": running["spec"]["template"] | {"spec": makers.plain("")["spec"]},
    }
    api.created(running)
    done = helm.run(*shown(), values=with_store)
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        api.until(lambda: "failed calling webhook" in closed(api, makers), "the registration to be in effect")
        yield
    finally:
        helm.run("uninstall", "trustkit", "--namespace", helm.NAMESPACE)


def shown():
    """Return the words that README says install it."""
    [line] = re.findall(
        r"^helm (install .*) --values values.yaml$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert f"helm {line} --values values.yaml\n" in (ROOT / "charts/trustkit/README.md").read_text()
    return line.split()


def closed(api, makers):
    return api.create(makers.plain("after-the-chart"), "--dry-run=server").stderr


def test_the_least_values_install_everything(installed, api, helm, with_store):
    for found in helm.render(with_store):
        where = ["-n", found["metadata"]["namespace"]] if "namespace" in found["metadata"] else []
        stored = api.get(found["kind"], found["metadata"]["name"], *where)
        assert stored["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"


def test_until_it_runs_nothing_starts_anywhere_but_where_it_is_excluded(installed, api, helm, makers):
    assert "failed calling webhook" in closed(api, makers)
    api.created(makers.plain("excluded", helm.NAMESPACE), "--dry-run=server")


def test_finalizers_come_off_pods_while_it_is_away_and_labels_do_not_change(installed, api):
    words = ("patch", "pod", "before-the-chart", "-n", "ml", "--type=merge", "--patch")
    for finalizers in (["trustkit.test/one"], None):
        api.kubectl(*words, json.dumps({"metadata": {"finalizers": finalizers}}), ok=True)
    done = api.kubectl(*words, json.dumps({"metadata": {"labels": {"a": "b"}}}))
    assert "failed calling webhook" in done.stderr


def test_what_runs_may_shrink_while_it_is_away_and_may_not_change(installed, api):
    words = ("deployment/before-the-chart", "-n", "ml")
    api.kubectl("scale", "--replicas=1", *words, ok=True)
    done = api.kubectl("set", "image", *words, "server=registry.example/other:1")
    assert "failed calling webhook" in done.stderr


def test_its_pods_can_be_created(installed, api, helm, with_store):
    """As the controllers would: accounts, priority and every field are what this API server takes."""
    for name, found in helm.render(with_store).of("Deployment", "StatefulSet").items():
        template = found["spec"]["template"]
        claims = [claim["metadata"]["name"] for claim in found["spec"].get("volumeClaimTemplates", ())]
        template["spec"]["volumes"] += [
            {"name": claim, "persistentVolumeClaim": {"claimName": f"{claim}-{name}-0"}} for claim in claims
        ]
        template["metadata"] |= {"name": f"{name}-0", "namespace": helm.NAMESPACE}
        made = api.created({"apiVersion": "v1", "kind": "Pod", **template}, "--dry-run=server")
        assert made["spec"]["priority"] == 2_000_000_000
        assert not [
            volume for volume in made["spec"]["volumes"] if "serviceAccountToken" in json.dumps(volume)
        ]


def test_its_pods_meet_the_strictest_standard(installed, api, helm, with_store):
    label = "pod-security.kubernetes.io/warn=restricted"
    api.kubectl("label", "namespace", helm.NAMESPACE, label, ok=True)
    objects = helm.render(with_store)
    workloads = objects.of("Deployment", "StatefulSet")
    for found in workloads.values():
        assert "would violate PodSecurity" not in warned(api, found)
        found["spec"]["template"]["spec"]["containers"][0]["securityContext"] = {"privileged": True}
        assert "would violate PodSecurity" in warned(api, found)


def warned(api, subject):
    return api.kubectl("replace", "--dry-run=server", "-f", "-", stdin=subject, ok=True).stderr


def test_its_accounts_may_do_nothing(installed, api, helm):
    def rights(account):
        user = f"system:serviceaccount:{helm.NAMESPACE}:{account}"
        return api.kubectl("auth", "can-i", "--list", "-n", helm.NAMESPACE, user=user, ok=True).stdout

    nobody = rights("nobody-of-this-name")
    for component in ("webhook", "broker", "store"):
        account = api.get("serviceaccount", f"trustkit-{component}", "-n", helm.NAMESPACE)
        assert account["automountServiceAccountToken"] is False
        assert rights(f"trustkit-{component}") == nobody


def test_nothing_is_left_when_it_goes(installed, api, helm, with_store):
    done = helm.run("uninstall", "trustkit", "--namespace", helm.NAMESPACE)
    assert done.returncode == 0, done.stderr
    for found in helm.render(with_store):
        where = ["-n", found["metadata"]["namespace"]] if "namespace" in found["metadata"] else []
        done = api.kubectl("get", found["kind"], found["metadata"]["name"], *where)
        assert "NotFound" in done.stderr
