"""Configuration: defaults < file < environment < flags; what is unknown is an error with a path."""

import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from admission.config import load
from trustkit.errors import UsageError
from trustkit.programs.settings import split_host_port

GOOD = {
    "tls": {"certificate": "tls.pem", "private_key": "tls.key", "client_ca": "apiserver.pem"},
    "policy": "policy.yaml",
    "svid_directory": "svid",
    "stores": [{"host": "store.ml:8443", "spiffe_id": "spiffe://demo.test/store"}],
    "sidecar": {
        "image": "registry.example/trustkit@sha256:" + "0" * 64,
        "svid_directory": "/svid",
        "policy_file": "/policy/policy.yaml",
        "trust_bundle_file": "/svid/bundle.pem",
        "broker": "broker:8443",
        "broker_id": "spiffe://demo.test/broker",
    },
}


def loaded(document=GOOD, environ=None, argv=()):
    return load(yaml.safe_dump(document).encode(), base=Path("/etc/x"), environ=environ or {}, argv=argv)


def test_defaults_and_paths_relative_to_the_file():
    config = loaded()
    assert config.listen == "0.0.0.0:8443"
    assert config.policy == Path("/etc/x/policy.yaml")
    assert config.trust_bundle == Path("/etc/x/svid/bundle.pem")
    assert config.tls.client_ca == Path("/etc/x/apiserver.pem")
    assert config.sidecar.command == ("trustkit-sidecar",)
    assert not config.strict_volumes


TLS = {"certificate": "tls.pem", "private_key": "tls.key"}


def test_answering_anybody_must_be_spelled_out():
    assert loaded({**GOOD, "tls": {**TLS, "insecure_no_client_ca": True}}).tls.client_ca is None
    same = {**TLS, "client_ca": "ca.pem", "insecure_no_client_ca": False}
    assert loaded({**GOOD, "tls": same}).tls.client_ca == Path("/etc/x/ca.pem")


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"client_ca": ""},
        {"insecure_no_client_ca": False},
        {"client_ca": "", "insecure_no_client_ca": False},
        {"client_ca": "ca.pem", "insecure_no_client_ca": True},
    ],
)
def test_who_may_ask_has_no_default_and_one_answer(members):
    with pytest.raises(UsageError) as caught:
        loaded({**GOOD, "tls": {**TLS, **members}})
    assert (caught.value.code, caught.value.evidence["field"]) == ("bad-config", "config.tls.client_ca")
    assert "insecure_no_client_ca: true" in caught.value.message


@pytest.mark.parametrize("value", [1, "true", [True]])
def test_only_true_is_true(value):
    with pytest.raises(UsageError) as caught:
        loaded({**GOOD, "tls": {**TLS, "insecure_no_client_ca": value}})
    assert caught.value.code == "bad-config"


def test_file_then_environment_then_flags():
    document = {**GOOD, "listen": "127.0.0.1:1"}
    environ = {"TRUSTKIT_ADMISSION_LISTEN": "127.0.0.1:2"}
    assert loaded(document).listen == "127.0.0.1:1"
    assert loaded(document, environ).listen == "127.0.0.1:2"
    assert loaded(document, environ, ["serve", "--listen", "127.0.0.1:3"]).listen == "127.0.0.1:3"
    assert loaded(document, environ, ["serve", "--health-listen", "[::1]:0"]).health_listen == "[::1]:0"
    with pytest.raises(UsageError, match="TRUSTKIT_ADMISSION_LISTEN must be HOST:PORT"):
        loaded(document, {"TRUSTKIT_ADMISSION_LISTEN": "nowhere"})
    with pytest.raises(UsageError, match="--health-listen must be HOST:PORT"):
        loaded(document, environ, ["serve", "--health-listen", "nowhere"])


def test_no_variable_weakens_anything():
    environ = {f"TRUSTKIT_ADMISSION_{n}": "x" for n in ("POLICY", "STORES", "VERIFY", "INSECURE", "RULES")}
    assert loaded(GOOD, environ) == loaded()


def _set(path, value):
    def change(document):
        *steps, last = path.split(".")
        for step in steps:
            document = document[int(step)] if step.isdigit() else document[step]
        document[last] = value

    return change


def _mounted(*mounts):
    def change(document):
        document["sidecar"]["volumes"] = [{"name": "trustkit-x", "csi": {"driver": "csi.spiffe.io"}}]
        document["sidecar"]["volume_mounts"] = list(mounts)

    return change


WRONG = {
    "unknown member": _set("verify", False),
    "unknown TLS member": _set("tls.verify", False),
    "unknown sidecar member": _set("sidecar.privileged", True),
    "unknown store member": _set("stores.0.insecure", True),
    "no stores": _set("stores", []),
    "stores twice": _set("stores", GOOD["stores"] * 2),
    "store without a port": _set("stores.0.host", "store.ml"),
    "store with a bad ID": _set("stores.0.spiffe_id", "https://x"),
    "broker with a bad ID": _set("sidecar.broker_id", "spiffe://demo.test"),
    "broker whose ID climbs": _set("sidecar.broker_id", "spiffe://demo.test/a/../broker"),
    "store in upper case": _set("stores.0.spiffe_id", "spiffe://Demo.test/store"),
    "port out of range": _set("listen", "x:70000"),
    "listen that is a number": _set("listen", 1),
    "no image": _set("sidecar.image", ""),
    "an image by tag": _set("sidecar.image", "registry.example/trustkit:1"),
    "an image with a short digest": _set("sidecar.image", "registry.example/trustkit@sha256:00"),
    "an image with two digests": _set("sidecar.image", "a@sha256:" + "0" * 64 + "@sha256:" + "0" * 64),
    "relative mount path": _set("sidecar.mount_path", "models"),
    "mount path with dots": _set("sidecar.mount_path", "/models/../etc"),
    "mount path with a blank": _set("sidecar.mount_path", "/my models"),
    "mount path of letters that commands do not have": _set("sidecar.mount_path", "/mod\u00e8les"),
    "mount path with a mark": _set("sidecar.mount_path", "/a,b"),
    "any health port": _set("sidecar.health_listen", "0.0.0.0:0"),
    "command that is none": _set("sidecar.command", [1]),
    "deadline of nothing": _set("deadline_seconds", 0),
    "deadline above the API server's": _set("deadline_seconds", 31),
    "deadline that is a boolean": _set("deadline_seconds", True),
    "no workers": _set("workers", 0),
    "workers as text": _set("workers", "4"),
    "foreign volume name": _set("sidecar.volumes", [{"name": "x", "emptyDir": {}}]),
    "volume without a source": _set("sidecar.volumes", [{"name": "trustkit-x"}]),
    "the token of every container": _set(
        "sidecar.volumes",
        [{"name": "trustkit-t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}],
    ),
    "a token for nobody": _set(
        "sidecar.volumes",
        [
            {
                "name": "trustkit-t",
                "projected": {"sources": [None, {"serviceAccountToken": {"path": "t", "audience": ""}}]},
            }
        ],
    ),
    "writable mount": _mounted({"name": "trustkit-x", "mountPath": "/x", "readOnly": False}),
    "odd mount": _mounted({"name": "trustkit-x", "mountPath": "/x", "subPath": "y"}),
    "mount of no volume": _mounted({"name": "trustkit-y", "mountPath": "/y"}),
    "policy that is no path": _set("policy", 1),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_wrong(change):
    document = copy.deepcopy(GOOD)
    change(document)
    with pytest.raises(UsageError) as caught:
        loaded(document)
    assert caught.value.code == "bad-config"


@pytest.mark.parametrize("member", [*GOOD, "sidecar.image", "sidecar.broker", "tls.certificate"])
def test_missing(member):
    document = copy.deepcopy(GOOD)
    owner, _, last = member.rpartition(".")
    del (document[owner] if owner else document)[last]
    with pytest.raises(UsageError) as caught:
        loaded(document)
    assert caught.value.code == "bad-config"


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"a: &x 1\nb: *x", b"listen: a\nlisten: b", b"\xff", b"{", b"x" * 2_000_000]
)
def test_what_is_no_configuration(raw):
    with pytest.raises(UsageError) as caught:
        load(raw, base=Path(), environ={})
    assert caught.value.code == "bad-config"


def test_operator_volumes_are_completed_as_the_api_server_stores_them():
    document = copy.deepcopy(GOOD)
    document["sidecar"]["volumes"] = [
        {"name": "trustkit-a", "configMap": {"name": "x"}},
        {"name": "trustkit-b", "hostPath": {"path": "/run/spire"}},
        {"name": "trustkit-c", "csi": {"driver": "csi.spiffe.io"}},
        {"name": "trustkit-d", "projected": {"sources": [{"serviceAccountToken": {"audience": "trustkit"}}]}},
    ]
    found = loaded(document).sidecar.volumes
    assert found[0]["configMap"] == {"name": "x", "defaultMode": 420}
    assert found[1]["hostPath"] == {"path": "/run/spire", "type": ""}
    assert found[2]["csi"] == {"driver": "csi.spiffe.io"}
    [token] = found[3]["projected"]["sources"]
    assert token == {"serviceAccountToken": {"audience": "trustkit", "expirationSeconds": 3600}}


@pytest.mark.parametrize(
    ("folders", "unmounted"),
    [
        ([], ("svid_directory", "policy_file", "trust_bundle_file")),
        (["/svid"], ("policy_file",)),
        (["/svid/"], ("policy_file",)),
        (["/policy"], ("svid_directory", "trust_bundle_file")),
        (["/svid", "/policy/policy.yaml"], ()),
        (["/sv", "/pol"], ("svid_directory", "policy_file", "trust_bundle_file")),
        (["/svid/bundle.pem", "/policy"], ("svid_directory",)),
        (["/"], ()),
    ],
)
def test_what_the_sidecar_reads_and_no_mount_brings_is_known(folders, unmounted):
    document = copy.deepcopy(GOOD)
    _mounted(*({"name": "trustkit-x", "mountPath": folder} for folder in folders))(document)
    assert loaded(document).sidecar.unmounted == unmounted


def test_host_and_port():
    assert split_host_port("[::1]:80", "x") == ("::1", 80)
    assert split_host_port("a.b:0", "x") == ("a.b", 0)


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_an_error_of_the_caller(raw):
    with pytest.raises(UsageError):
        load(raw, base=Path(), environ={})
