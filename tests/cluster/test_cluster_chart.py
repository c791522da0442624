"""The chart: refused where it is wrong, rendered as programs read it, installed into a real API server."""

import copy
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from admission.config import load as load_webhook
from trustkit.broker.config import check_grants
from trustkit.broker.config import load as load_broker
from trustkit.store.config import load as load_store
from trustkit.verifying.policy import parse_policy
from trustkit.workloads.basefile import parse_bases
from trustkit.workloads.extension import extended_table

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("apiserver")]
TABLE = (
    "version: trustkit.dev/workloads/v1\nkinds:\n  ml.example/Server: {serves: true, models: [spec.brain]}\n"
)
BASES = """
apiVersion: serving.kserve.io/v1alpha2
kind: LLMInferenceServiceConfig
metadata: {name: shared}
spec: {model: {uri: "hf://org/base"}}
"""
CONFIGURATIONS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


# Refused -----------------------------------------------------------------


def test_lint_finds_nothing(helm, with_store):
    done = helm.run("lint", "--strict", helm.CHART, values=with_store)
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_values_it_says_all_that_is_missing(helm):
    done = helm.run("template", "trustkit", helm.CHART)
    assert done.returncode != 0
    for path in ("/policy", "/webhook/image", "/webhook/clientCa", "/sidecar/image", "/broker/openers"):
        assert path in done.stderr


WRONG = {
    "misspelt": lambda v: v["webhook"].update(replica=5),
    "unknown part": lambda v: v.update(weebhook={}),
    "a tag": lambda v: v["sidecar"].update(image="registry.example/trustkit:1.0"),
    "weaker TLS": lambda v: v["webhook"]["tls"].update(insecure_no_client_ca=True),
    "no client CA": lambda v: v["webhook"].pop("clientCa"),
    "a misspelt restriction": lambda v: v["broker"]["grants"][0].update(line=["x"]),
    "a setting of the program's that the chart owns": lambda v: v["webhook"].update(
        settings={"record": "/x"}
    ),
    "a setting out of range": lambda v: v["webhook"].update(settings={"workers": 65}),
    "CA and issuer": lambda v: v["webhook"]["tls"].update(issuerRef={"name": "x", "kind": "Issuer"}),
    "neither CA nor issuer": lambda v: v["webhook"]["tls"].update(caBundle=""),
    "two sources": lambda v: v["broker"]["svid"]["volume"].update(emptyDir={}),
    "a node's folder": lambda v: v["broker"]["svid"].update(volume={"hostPath": {"path": "/run"}}),
    "a store without readers": lambda v: v.update(store={"enabled": True}),
    "a table that is no text": lambda v: v["webhook"].update(table={"kinds": {}}),
    "everything watched": lambda v: v["webhook"].update(watched=[{"group": "*", "resources": ["*"]}]),
    "a version among what is watched": lambda v: v["webhook"].update(
        watched=[{"group": "a.b", "version": "v1", "resources": ["x"]}]
    ),
    "the webhook let go": lambda v: v["webhook"].update(failurePolicy="Ignore"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_before_anything_is_rendered(helm, values, name):
    spoiled = copy.deepcopy(values)
    WRONG[name](spoiled)
    done = helm.run("template", "trustkit", helm.CHART, values=spoiled)
    assert done.returncode != 0
    assert "schema" in done.stderr
    assert done.stdout == ""


# Rendered ----------------------------------------------------------------


def test_every_object_is_what_this_api_server_takes(api, tools, helm, with_store, tmp_path):
    rendered = helm.render(with_store)
    schemas(api, {(found["apiVersion"], found["kind"]) for found in rendered}, tmp_path)
    documents = tmp_path / "all.yaml"
    documents.write_text(yaml.safe_dump_all(rendered))

    def conforms():
        location = f"{tmp_path}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"
        command = [tools["kubeconform"], "-strict", "-summary", "-output", "json"]
        done = subprocess.run(
            [*command, "-schema-location", location, documents], capture_output=True, text=True, check=False
        )
        return json.loads(done.stdout)

    said = conforms()
    assert said["summary"] == {"valid": len(rendered), "invalid": 0, "errors": 0, "skipped": 0}, said[
        "resources"
    ]
    spoiled = copy.deepcopy(rendered)
    next(iter(spoiled.of("Deployment").values()))["spec"]["template"]["spec"]["hostNetwrk"] = True
    documents.write_text(yaml.safe_dump_all(spoiled))
    assert conforms()["summary"]["invalid"] == 1


def schemas(api, kinds, folder):
    """Write a closed JSON schema for each kind, from what the API server says of itself."""
    definitions = api.raw("/openapi/v2")["definitions"]
    definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = {"type": ["string", "integer"]}
    definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {"type": ["string", "number"]}
    for definition in definitions.values():
        if "properties" in definition:
            definition.setdefault("additionalProperties", False)
    for name, definition in definitions.items():
        for known in definition.get("x-kubernetes-group-version-kind", ()):
            group, version, kind = known["group"], known["version"], known["kind"]
            if (f"{group}/{version}" if group else version, kind) in kinds:
                suffix = f"-{group.partition('.')[0]}-{version}" if group else f"-{version}"
                closed = {"$ref": f"#/definitions/{name}", "definitions": reached(definitions, name)}
                (folder / f"{kind.lower()}{suffix}.json").write_text(json.dumps(closed))


def reached(definitions, name):
    found, waiting = {}, [name]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found[one] = definitions[one]
            waiting += re.findall(r'"#/definitions/([^"]+)"', json.dumps(definitions[one]))
    return found


def test_the_programs_read_what_the_chart_writes(helm, with_store):
    maps = helm.render(with_store).of("ConfigMap")
    base = Path("/trustkit/config")
    webhook = load_webhook(maps["trustkit-webhook"]["data"]["webhook.yaml"].encode(), base=base, environ={})
    assert webhook.sidecar.broker == f"trustkit-broker.{helm.NAMESPACE}.svc:8443"
    assert webhook.policy == base / "policy.yaml"
    broker = load_broker(maps["trustkit-broker"]["data"]["broker.yaml"].encode(), base=base, environ={})
    assert broker.openers[0].passphrase_file == Path("/trustkit/openers/0/passphrase")
    policies = {
        name: found["data"]["policy.yaml"] for name, found in maps.items() if "policy.yaml" in found["data"]
    }
    assert set(policies) == {"trustkit-webhook", "trustkit-broker", "trustkit-policy"}
    assert set(policies.values()) == {with_store["policy"]}  # to the byte: sidecars compare its digest
    check_grants(broker.grants, parse_policy(policies["trustkit-broker"].encode(), read_file=Path.read_bytes))
    store = load_store(maps["trustkit-store"]["data"]["store.yaml"].encode(), base=base, environ={})
    assert (store.limits.connections, store.limits.stall_seconds) == (2048, 20.5)


def test_rows_of_the_operators_own_reach_the_webhook_and_the_api_server(helm, values):
    plain = helm.render(values)
    [data] = (found["data"] for name, found in plain.of("ConfigMap").items() if name == "trustkit-webhook")
    assert not {"table.yaml", "bases.yaml"} & set(data)
    own = copy.deepcopy(values)
    own["webhook"] |= {
        "table": TABLE,
        "bases": BASES,
        "watched": [{"group": "ml.example", "resources": ["*"]}],
    }
    objects = helm.render(own)
    data = objects.of("ConfigMap")["trustkit-webhook"]["data"]
    base = Path("/trustkit/config")
    config = load_webhook(data["webhook.yaml"].encode(), base=base, environ={})
    assert (config.table, config.bases) == (base / "table.yaml", base / "bases.yaml")
    table = extended_table(data["table.yaml"].encode())
    assert table.kinds["ml.example/Server"].serves
    assert list(parse_bases(data["bases.yaml"].encode(), table).seen_from("ml")) == ["shared"]

    def asked(found):
        [entry] = found.of("ValidatingWebhookConfiguration")["trustkit"]["webhooks"]
        return {group for rule in entry["rules"] for group in rule["apiGroups"]}

    assert asked(objects) - asked(plain) == {"ml.example"}


def test_every_file_of_a_configuration_is_mounted(helm, with_store):
    """Paths in the configurations lie below a mount of the very container that reads them."""
    objects = helm.render(with_store)
    workloads = objects.of("Deployment", "StatefulSet")
    assert set(workloads) == {"trustkit-webhook", "trustkit-broker", "trustkit-store"}
    for name, found in workloads.items():
        spec = found["spec"]["template"]["spec"]
        [container] = spec["containers"]
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        component = name.removeprefix("trustkit-")
        data = objects.of("ConfigMap")[name]["data"]
        read = yaml.safe_load(data[f"{component}.yaml"])
        read.pop("sidecar", None)
        paths = re.findall(r"/trustkit/[a-z0-9/._-]+", json.dumps(read))
        assert container["args"] == ["serve", "--config", f"/trustkit/config/{component}.yaml"]
        assert paths
        assert [
            path for path in paths if not any(f"{path}/".startswith(f"{mount}/") for mount in mounts)
        ] == []
        volumes = {volume["name"] for volume in spec["volumes"]}
        volumes |= {claim["metadata"]["name"] for claim in found["spec"].get("volumeClaimTemplates", ())}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def test_another_policy_restarts_who_reads_it_at_start(helm, values):
    def digests(objects):
        workloads = objects.of("Deployment", "StatefulSet")
        return {
            name: found["spec"]["template"]["metadata"]["annotations"] for name, found in workloads.items()
        }

    before, again = digests(helm.render(values)), digests(helm.render(values))
    after = digests(helm.render(values | {"policy": values["policy"] + "\n"}))
    assert before == again
    assert all(before[name] != after[name] for name in before)


def test_with_an_issuer_the_certificate_and_its_ca_come_from_cert_manager(helm, values):
    issued = copy.deepcopy(values)
    issued["webhook"]["tls"] = {
        "secretName": "made",
        "issuerRef": {"name": "internal", "kind": "ClusterIssuer"},
    }
    objects = helm.render(issued)
    [certificate] = objects.of("Certificate").values()
    assert certificate["spec"]["secretName"] == "made"
    assert certificate["spec"]["dnsNames"] == [f"trustkit-webhook.{helm.NAMESPACE}.svc"]
    for kind in CONFIGURATIONS:
        [found] = objects.of(kind).values()
        where = f"{helm.NAMESPACE}/{certificate['metadata']['name']}"
        assert found["metadata"]["annotations"]["cert-manager.io/inject-ca-from"] == where
        assert "caBundle" not in found["webhooks"][0]["clientConfig"]


def test_nothing_passes_while_nobody_answers(helm, values):
    for kind in CONFIGURATIONS:
        [found] = helm.render(values).of(kind).values()
        [entry] = found["webhooks"]
        assert entry["failurePolicy"] == "Fail"
        [expression] = entry["namespaceSelector"]["matchExpressions"]
        assert (expression["key"], expression["operator"]) == ("kubernetes.io/metadata.name", "NotIn")
        assert expression["values"] == ["kube-node-lease", "kube-public", "kube-system", helm.NAMESPACE]
        assert "objectSelector" not in entry
    settings = load_webhook(
        helm.render(values).of("ConfigMap")["trustkit-webhook"]["data"]["webhook.yaml"].encode(),
        base=Path("/"),
        environ={},
    )
    assert settings.deadline_seconds < entry["timeoutSeconds"]


def test_the_documented_commands_make_a_certificate_for_the_service(helm, tmp_path):
    text = (helm.CHART / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"test_the_documented_commands_[a-z_]+` -->\n```sh\n(.*?)\n```", text, re.DOTALL)
    subprocess.run(["sh", "-ec", block], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    verify = ["openssl", "verify", "-CAfile", "ca.crt", "-purpose", "sslserver", "-verify_hostname"]

    def verified(host):
        done = subprocess.run([*verify, host, "tls.crt"], cwd=tmp_path, capture_output=True, check=False)
        return done.returncode == 0

    assert verified(f"trustkit-webhook.{helm.NAMESPACE}.svc")
    assert not verified(f"trustkit-broker.{helm.NAMESPACE}.svc")
