"""A real API server for the whole run, and our real webhook registered in it."""

import base64
import copy
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/trustkit"
TOOLS = ("etcd", "kube-apiserver", "kubectl", "helm", "kubeconform")
NAMESPACE = "ml"
SYSTEM = "trustkit"
HOUR = 3600.0
_FIELDS = {
    "items": [
        {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
        {"path": "cpu", "resourceFieldRef": {"containerName": "server", "resource": "limits.cpu"}},
    ]
}
WITH_DEFAULTS = (
    (
        "projected",
        {
            "sources": [
                {"serviceAccountToken": {"audience": "trustkit", "path": "token"}},
                {"downwardAPI": _FIELDS},
                {"secret": {"name": "parts"}},
            ]
        },
    ),
    ("downwardAPI", _FIELDS),
    ("secret", {"secretName": "whole"}),
    ("hostPath", {"path": "/opt/identity"}),
    ("iscsi", {"iqn": "iqn.2001-04.com.example:disk", "lun": 1, "targetPortal": "192.0.2.1:3260"}),
    ("rbd", {"image": "i", "monitors": ["192.0.2.1"]}),
    ("azureDisk", {"diskName": "d", "diskURI": "https://disks.example/d"}),
    (
        "scaleIO",
        {"gateway": "https://g.example", "system": "s", "secretRef": {"name": "s"}, "volumeName": "v"},
    ),
    ("image", {"reference": "registry.example/x:1"}),
    ("image", {"reference": "registry.example/x"}),
)
"""Volumes of which the API server stores more than is written."""


@pytest.fixture(scope="session")
def makers():
    """What is in this file, for tests: folders of tests are no packages."""
    return sys.modules[__name__]


@pytest.fixture(scope="session")
def tools():
    """The programs that were built for this, by name."""
    found = {name: ROOT / ".cache/bin" / name for name in TOOLS}
    missing = [name for name, path in found.items() if not path.exists()]
    if missing:
        pytest.skip(f"there is no {', '.join(missing)} here; `.ci/tools.py cluster` builds it where Go is")
    return found


@pytest.fixture(scope="session")
def api(tools, apiservers, forger, tmp_path_factory):
    """The API server, with a namespace and its service accounts, which no controller would make here."""
    server = apiservers.ApiServer(tmp_path_factory.mktemp("api"), tools, forger)
    try:
        add_namespace(server, NAMESPACE, "bigram-server")
        yield server
    finally:
        server.end()


def add_namespace(api, name, *accounts):
    """Make a namespace in which Pods can be created."""
    api.kubectl("create", "namespace", name, ok=True)
    for account in ("default", *accounts):
        api.kubectl("create", "serviceaccount", account, "--namespace", name, ok=True)


class Hook:
    """Our webhook: the program, where it listens, and the references of models it can prove.

    Attributes:
        address: ``HOST:PORT`` of `/mutate` and `/validate`.
        ca: PEM of the CA of its certificate.
        record: Where it writes its decisions.
    """

    def __init__(self, address, ca, folder, store):
        self.address, self.ca, self.folder, self._store = address, ca, folder, store

    def reference(self, model):
        return f"trust://{self._store}/{model.path}@{model.manifest_digest}"

    @property
    def decisions(self):
        lines = (self.folder / "record.jsonl").read_text().splitlines()
        return [json.loads(line)["entry"] for line in lines]


@pytest.fixture(scope="session")
def program(api, estate, estates, store, forger):
    """The webhook as a process: it shows the API server a certificate, and demands the API server's own."""
    folder, issuer = estate.fresh("webhook"), forger.Issuer(time.time(), uris=(), name="of the webhook")
    certificate, key = issuer.leaf(uris=(), dns=("localhost",))
    (folder / "tls.crt").write_bytes(forger.pem(certificate))
    (folder / "tls.key").write_bytes(forger.key_pem(key))
    (folder / "apiserver-ca.crt").write_bytes(api.hooks_ca)
    document = {
        "listen": "127.0.0.1:0",
        "health_listen": "127.0.0.1:0",
        "tls": {"certificate": "tls.crt", "private_key": "tls.key", "client_ca": "apiserver-ca.crt"},
        "policy": str(estate.policy_file),
        "svid_directory": str(estate.svid("/webhook")),
        "record": "record.jsonl",
        "stores": [{"host": store, "spiffe_id": "spiffe://demo.test/store"}],
        "sidecar": {
            "image": "registry.example/trustkit@sha256:" + "0" * 64,
            "svid_directory": "/trustkit/svid",
            "policy_file": "/trustkit/policy/policy.yaml",
            "trust_bundle_file": "/trustkit/svid/bundle.pem",
            "broker": "broker.trustkit.svc:8443",
            "broker_id": "spiffe://demo.test/broker",
            "volumes": [
                {"name": "trustkit-policy", "configMap": {"name": "trustkit-policy"}},
                {"name": "trustkit-svid", "csi": {"driver": "svid.example", "readOnly": True}},
                *(
                    {"name": f"trustkit-{number}", kind: source}
                    for number, (kind, source) in enumerate(WITH_DEFAULTS)
                ),
            ],
            "volume_mounts": [
                {"name": "trustkit-policy", "mountPath": "/trustkit/policy"},
                {"name": "trustkit-svid", "mountPath": "/trustkit/svid"},
            ],
        },
    }
    (folder / "webhook.yaml").write_text(json.dumps(document))
    process = estates.Process("admission", ["serve", "--config", folder / "webhook.yaml"])
    with process:
        yield Hook(process.line_with("listening on "), issuer.pem, folder, store)


class Objects(list):
    """Kubernetes objects."""

    def of(self, *kinds):
        """Return those of some kinds, by name."""
        return {found["metadata"]["name"]: found for found in self if found["kind"] in kinds}


class Helm:
    """helm, with our chart; it keeps nothing at home."""

    CHART, NAMESPACE = CHART, SYSTEM

    def __init__(self, program, api, folder):
        self._program, self._folder = program, folder
        homes = {f"HELM_{name}_HOME": str(folder / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        self._environ = api.environ | homes

    def run(self, *words, values=None):
        """Run one command, with values of its own."""
        if values is not None:
            path = self._folder / "values.json"
            path.write_text(json.dumps(values))
            words += ("--values", path)
        return subprocess.run(
            [self._program, *map(str, words)],
            cwd=ROOT,
            env=self._environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def render(self, values):
        """Return the objects that an installation would create."""
        done = self.run("template", SYSTEM, CHART, "--namespace", SYSTEM, values=values)
        assert done.returncode == 0, done.stderr
        return Objects(found for found in yaml.safe_load_all(done.stdout) if found)


@pytest.fixture(scope="session")
def helm(tools, api, tmp_path_factory):
    return Helm(tools["helm"], api, tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def least():
    """The least values, as the chart's README shows them."""
    text = (CHART / "README.md").read_text(encoding="utf-8")
    pattern = r"test_the_least_values_install_everything` -->\n```yaml\n(.*?)\n```"
    [block] = re.findall(pattern, text, re.DOTALL)
    return yaml.safe_load(block)


@pytest.fixture(scope="session")
def values(least, estate, forger, api):
    """The same, whole: digests, PEM and a policy in place of dots."""
    whole = copy.deepcopy(least)
    for part in ("webhook", "sidecar", "broker"):
        whole[part]["image"] = whole[part]["image"].replace("…", "5" * 64)
    whole["policy"] = estate.policy_file.read_text() + "\n"
    whole["webhook"]["clientCa"] = api.hooks_ca.decode()
    whole["webhook"]["tls"]["caBundle"] = forger.Issuer(estate.now, uris=()).pem.decode()
    whole["broker"]["grants"] = [estate.grant()]
    return whole


@pytest.fixture(scope="session")
def with_store(values):
    """The same, and a store."""
    claim = {"persistentVolumeClaim": {"claimName": "models", "readOnly": True}}
    store = {
        "enabled": True,
        "image": "registry.example/trustkit-store@sha256:" + "5" * 64,
        "svid": values["webhook"]["svid"],
        "volume": claim,
        "readers": ["spiffe://example.org"],
        "limits": {"connections": 2048, "stall_seconds": 20.5},
    }
    return values | {"store": store}


@pytest.fixture(scope="session")
def registration(helm, values):
    """Make the chart's own registrations, but for a program on loopback in place of its Service."""

    def made(name, address, ca, *, namespaces=None, watched=()):
        chosen = values | {"webhook": values["webhook"] | {"watched": list(watched)}}
        found = [one for one in helm.render(chosen) if one["kind"].endswith("WebhookConfiguration")]
        for one in found:
            one["metadata"] = {"name": name}
            [entry] = one["webhooks"]
            service = entry["clientConfig"]["service"]
            url = f"https://localhost:{address.rpartition(':')[2]}{service['path']}"
            entry["clientConfig"] = {"url": url, "caBundle": base64.b64encode(ca).decode()}
            entry["timeoutSeconds"] = 20  # this machine is not the cluster it is meant for
            if namespaces is not None:
                [expression] = entry["namespaceSelector"]["matchExpressions"]
                expression |= {"operator": "In", "values": namespaces}
        return found

    return made


@pytest.fixture(scope="session")
def hook(api, program, registration):
    """The webhook, registered for both hooks and in effect."""
    for found in registration("spine", program.address, program.ca):
        api.create(found, ok=True)
    unknown = "trust://nowhere.example:1/x@sha256:" + "0" * 64
    for name, probe in (("mutate", pod("probe", unknown)), ("validate", deployment("probe", unknown))):
        api.until(lambda name=name, probe=probe: denied_by(name, api, probe), f"{name} to be asked")
    return program


def denied_by(hook, api, subject):
    """Say whether this hook refuses an object; nothing is stored."""
    said = api.create(subject, "--dry-run=server").stderr
    return f'admission webhook "{hook}.trustkit.dev" denied the request' in said


def plain(name, namespace=NAMESPACE):
    """Return a Pod that loads no model."""
    found = pod(name, "")
    found["metadata"]["namespace"] = namespace
    found["spec"] = {"containers": [{**found["spec"]["containers"][0], "args": ["--port", "8000"]}]}
    return found


def pod(name, argument):
    """Return a Pod whose container loads a model, as in the demo."""
    container = {
        "name": "server",
        "image": "registry.example/bigram-server@sha256:" + "5" * 64,
        "args": ["--model", argument, "--port", "8000"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"serviceAccountName": "bigram-server", "containers": [container]},
    }


def deployment(name, argument):
    """Return a Deployment of such Pods."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod(name, argument)["spec"]},
        },
    }
