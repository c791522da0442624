"""What the sidecar is known by is nobody else's, under whatever name and in whatever spelling."""

import copy
import dataclasses

import pytest

from admission.evidence import remedy_for
from admission.lending import lent_by, overlap

OURS = {
    "csi": {"driver": "csi.spiffe.io", "readOnly": True},
    "csi-secret": {"driver": "vault.example", "nodePublishSecretRef": {"name": "unlock"}},
    "secret": {"secretName": "svid", "defaultMode": 420},
    "projected": {
        "defaultMode": 420,
        "sources": [
            {"secret": {"name": "bundle", "items": [{"key": "a", "path": "a"}]}},
            {"configMap": {"name": "policy"}},
            {"serviceAccountToken": {"audience": "trustkit", "path": "token"}},
            {"podCertificate": {"signerName": "example.org/svid", "keyType": "ECDSAP256"}},
            {"downwardAPI": {"items": []}},
        ],
    },
    "hostPath": {"path": "/opt/identity/agent", "type": ""},
    "persistentVolumeClaim": {"claimName": "svids"},
    "configMap": {"name": "policy", "defaultMode": 420},
    "nfs": {"server": "nas", "path": "/svids"},
    "emptyDir": {},
}


def volume(name, source):
    return {"name": f"trustkit-{name}", name.partition("-")[0]: source}


@pytest.fixture
def admitted(world, tools):
    """A pod whose sidecar has a volume of every kind, as the webhook made it."""
    sidecar = dataclasses.replace(
        world.plan.sidecar, volumes=tuple(volume(name, source) for name, source in OURS.items())
    )
    world.plan = dataclasses.replace(world.plan, sidecar=sidecar)
    pod = tools.pod("--model", world.publish("acme/llm/1"))
    return tools.applied(pod, world.ask(pod).patch)


def codes(verdict):
    return [violation.code for violation in verdict.violations]


def app(pod):
    return pod["spec"]["containers"][0]


def mount(**source):
    """Add a volume of a name of the tenant's own, and mount it."""

    def change(pod):
        pod["spec"]["volumes"].append({"name": "mine", **source})
        app(pod)["volumeMounts"].append({"name": "mine", "mountPath": "/mine"})

    return change


def parts(*sources):
    return mount(projected={"sources": [{"configMap": {"name": "other"}}, *sources]})


BORROWED = {
    "the same driver": mount(csi={"driver": "csi.spiffe.io", "readOnly": True}),
    "with other attributes": mount(csi={"driver": "csi.spiffe.io", "volumeAttributes": {"a": "b"}}),
    "writable": mount(csi={"driver": "csi.spiffe.io"}),
    "in other letters": mount(csi={"driver": "CSI.SPIFFE.io"}),
    "the agent's socket itself": mount(hostPath={"path": "/run/spire/agent-sockets", "type": "Directory"}),
    "the socket by the link of the node": mount(hostPath={"path": "/var/run/spire/agent-sockets"}),
    "that by dots": mount(hostPath={"path": "/var/./run/../run/spire"}),
    "all that the link leads to": mount(hostPath={"path": "/var/run"}),
    "a folder above the socket": mount(hostPath={"path": "/run"}),
    "the socket by a relative path": mount(hostPath={"path": "run/spire"}),
    "the Secret": mount(secret={"secretName": "svid"}),
    "some of its items": mount(secret={"secretName": "svid", "items": [{"key": "k", "path": "p"}]}),
    "if it is there": mount(secret={"secretName": "svid", "optional": True, "defaultMode": 256}),
    "as a part of a volume": parts({"secret": {"name": "svid", "optional": True}}),
    "a part of ours as a volume": mount(secret={"secretName": "bundle"}),
    "a part of ours as a part": parts({"secret": {"name": "bundle"}}),
    "a Secret for another driver": mount(csi={"driver": "other", "nodePublishSecretRef": {"name": "svid"}}),
    "the Secret of our driver": mount(secret={"secretName": "unlock"}),
    "for an old kind of driver": mount(flexVolume={"driver": "x/y", "secretRef": {"name": "svid"}}),
    "for a share": mount(azureFile={"secretName": "svid", "shareName": "s"}),
    "for a cluster of disks": mount(rbd={"image": "i", "monitors": [], "secretRef": {"name": "svid"}}),
    "a token for our audience": parts({"serviceAccountToken": {"audience": "trustkit", "path": "t"}}),
    "for a shorter time": parts(
        {"serviceAccountToken": {"audience": "trustkit", "path": "t", "expirationSeconds": 600}}
    ),
    "a certificate by our signer": parts({"podCertificate": {"signerName": "example.org/svid"}}),
    "the same folder": mount(hostPath={"path": "/opt/identity/agent"}),
    "a folder below": mount(hostPath={"path": "/opt/identity/agent/sockets"}),
    "a folder above": mount(hostPath={"path": "/opt"}),
    "the same folder by dots": mount(hostPath={"path": "/opt/x/../identity//agent"}),
    "the same claim": mount(persistentVolumeClaim={"claimName": "svids", "readOnly": True}),
    "another of a kind nobody compares": mount(nfs={"server": "other", "path": "/"}),
    "not mounted yet": lambda p: p["spec"]["volumes"].append(
        {"name": "mine", "secret": {"secretName": "svid"}}
    ),
    "in a variable": lambda p: app(p).update(
        env=[{"name": "K", "valueFrom": {"secretKeyRef": {"name": "svid", "key": "svid_key.pem"}}}]
    ),
    "in all variables": lambda p: app(p).update(envFrom=[{"prefix": "X", "secretRef": {"name": "svid"}}]),
    "in a variable of an init container": lambda p: p["spec"]["initContainers"].append(
        {"name": "i", "image": "i", "envFrom": [{"secretRef": {"name": "bundle"}}]}
    ),
    "in a variable of an ephemeral container": lambda p: p["spec"].update(
        ephemeralContainers=[{"name": "e", "image": "i", "envFrom": [{"secretRef": {"name": "unlock"}}]}]
    ),
}


@pytest.mark.parametrize("hook", ["mutate", "validate"])
@pytest.mark.parametrize("change", BORROWED.values(), ids=BORROWED.keys())
def test_no_other_container_gets_what_the_sidecar_is_known_by(world, admitted, change, hook):
    assert world.ask(admitted, hook).allowed
    change(admitted)
    verdict = world.ask(admitted, hook)
    assert (verdict.allowed, verdict.patch) == (False, ())
    assert "identity-shared" in codes(verdict)
    [violation] = [violation for violation in verdict.violations if violation.code == "identity-shared"]
    assert violation.remedy == remedy_for("identity-shared") != remedy_for("no-such-code")
    assert violation.message.startswith("spec.")


def test_it_is_told_before_anything_is_injected(world, tools, admitted):
    pod = tools.pod("--model", world.publish("acme/llm/1"))
    pod["spec"]["volumes"] = [{"name": "mine", "csi": {"driver": "csi.spiffe.io"}}]
    assert codes(world.ask(pod)) == ["identity-shared"]
    quiet = tools.pod(volumes=copy.deepcopy(pod["spec"]["volumes"]))
    quiet["spec"]["containers"][0]["image"] = "nginx:1"
    assert world.ask(quiet).allowed


ALLOWED = {
    "another driver": mount(csi={"driver": "csi.example", "nodePublishSecretRef": {"name": "other"}}),
    "another Secret": mount(secret={"secretName": "svid-of-mine"}),
    "the policy, which is no secret": mount(configMap={"name": "policy"}),
    "a ConfigMap of the Secret's name": mount(configMap={"name": "svid"}),
    "the token of every container": parts({"serviceAccountToken": {"path": "token"}}),
    "a token for somebody else": parts({"serviceAccountToken": {"audience": "vault", "path": "t"}}),
    "a certificate by another signer": parts({"podCertificate": {"signerName": "example.org/web"}}),
    "another folder": mount(hostPath={"path": "/opt/data"}),
    "a folder that begins alike": mount(hostPath={"path": "/opt/identity/agents"}),
    "another claim": mount(persistentVolumeClaim={"claimName": "data"}),
    "an empty folder": mount(emptyDir={"medium": "Memory"}),
    "another variable": lambda p: app(p).update(
        env=[
            {"name": "K", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "svid"}}},
            {"name": "svid", "value": "svid"},
        ],
        envFrom=None,
    ),
    "odd shapes": lambda p: p["spec"]["volumes"].extend(
        [
            None,
            "svid",
            {"name": "a", "csi": None},
            {"name": "b", "csi": {"driver": 1}},
            {"name": "c", "projected": {"sources": {"secret": {"name": ["svid"]}}}},
            {"name": "d", "projected": {"sources": [None, {"secret": None}]}},
            {"name": "e", "hostPath": {"path": None}},
        ]
    ),
}


@pytest.mark.parametrize("change", ALLOWED.values(), ids=ALLOWED.keys())
def test_what_is_somebody_elses_is_borne(world, admitted, change):
    change(admitted)
    assert "identity-shared" not in codes(world.ask(admitted, "validate"))


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("/var/run/spire", "/run/spire", True),
        ("/run", "/var/run/spire", True),
        ("/var/run/spire/x", "/run/spire", True),
        ("/var", "/var/run/spire", True),  # where /var/run is a folder of its own
        ("/var", "/run/spire", False),
        ("/var/runner", "/run", False),
        ("/var/run", "/var/runner", False),
        ("/var/lib", "/lib", False),
        ("/srv/var/run", "/run", False),
    ],
)
def test_var_run_is_run(one, other, meet):
    assert overlap(one, other) is overlap(other, one) is meet


def test_a_driver_that_is_not_ours_guards_no_folders(world):
    """The agent's socket is the sidecar's identity only where the sidecar gets it from the agent."""
    assert lent_by([volume("csi", OURS["csi"])]).folders != ()
    assert lent_by([volume("csi", {"driver": "other"})]).folders == ()
