"""Scene 6: a throw-away trust domain, a store and a broker, each a process with an identity of its own.

The law of this file: what is written is what an operator would write, checked
by the program it is for before that program is started; the authority's key
stays in this process and ends with it.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from trustkit.cli.demo.sealing import LINE, OPENER, VERSION
from trustkit.cli.demo.services import Services
from trustkit.cli.demo.signing import AUTHOR, PASSPHRASE, PUBLISHER
from trustkit.cli.demo.stage import Stage
from trustkit.spiffe.authority import Authority

DOMAIN = "demo.trustkit.test"
LIFETIME_SECONDS = 30 * 86400.0
"""Long enough for a person who explores the folder; README says it (seconds)."""
WORKLOAD, STRANGER = "ns/ml/sa/bigram-server", "ns/ml/sa/stranger"
UNSIGNED = "store/acme/unsigned/1"


@dataclass(frozen=True, slots=True)
class Cluster:
    """What runs: addresses, the reference of the sealed model, and its Pod's free port."""

    store: str
    broker: str
    webhook: str
    manifest_digest: str

    @property
    def reference(self) -> str:
        """The sealed model, pinned."""
        return f"trust://{self.store}/{LINE}/{VERSION}@{self.manifest_digest}"


def identify(stage: Stage) -> None:
    """Make a throw-away trust domain and an X.509-SVID for each process."""
    stage.scene("Store and broker, each with an identity")
    now = time.time()
    authority = Authority(DOMAIN, now=now, lifetime_seconds=LIFETIME_SECONDS)
    for place, path in (
        ("store", "store"),
        ("broker", "broker"),
        ("webhook", "webhook"),
        ("apiserver", "apiserver"),
        ("pod", WORKLOAD),
        ("stranger", STRANGER),
    ):
        folder = stage.folder / "svids" / place
        folder.mkdir(parents=True)
        dns = ("localhost",) if place == "webhook" else ()
        for name, raw in authority.files(
            f"/{path}", now=now, lifetime_seconds=LIFETIME_SECONDS, dns=dns
        ).items():
            _write(folder / name, raw)
    stage.commands.append("# svids/ were issued by an authority that lived in the demo's memory only")
    stage.note(f"trust domain {DOMAIN}: its authority's key was never written")


def serve(stage: Stage, services: Services, manifest_digest: str) -> Cluster:
    """Scenes 6 and 7 up to listening servers."""
    folder = stage.folder
    _write(folder / "policy.yaml", _policy(folder))
    (folder / UNSIGNED).mkdir(parents=True)
    (folder / UNSIGNED / "config.json").write_text("{}\n")
    svid = {"svid_directory": "svids/store"}
    readers = [identity("webhook"), identity(WORKLOAD), identity(STRANGER)]
    config(
        stage, "store", {"listen": f"127.0.0.1:{free_port()}", "root": "store", "readers": readers, **svid}
    )
    store = services.listening("store", "trustkit-store", "serve", "--config", "store.yaml")
    grant = {
        "spiffe_id": identity(WORKLOAD),
        "lines": [LINE],
        "publishers": ["publisher"],
        "authors": ["author"],
    }
    config(
        stage,
        "broker",
        {
            "listen": f"127.0.0.1:{free_port()}",
            "svid_directory": "svids/broker",
            "policy": "policy.yaml",
            "openers": [{"file": OPENER, "passphrase_file": PASSPHRASE}],
            "record": "broker.record.jsonl",
            "grants": [grant],
        },
    )
    broker = services.listening("broker", "trustkit-broker", "serve", "--config", "broker.yaml")
    stage.show("the store holds ciphertext and no key; the broker holds keys and no ciphertext")
    stage.scene("The webhook judges Pods")
    config(stage, "webhook", _webhook(stage, store, broker))
    webhook = services.listening("webhook", "trustkit-admission", "serve", "--config", "webhook.yaml")
    return Cluster(store, broker, webhook, manifest_digest)


def free_port() -> int:
    """Return a port of loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _webhook(stage: Stage, store: str, broker: str) -> dict[str, object]:
    svid, pods = "svids/webhook", stage.folder / "pod"
    return {
        "listen": f"127.0.0.1:{free_port()}",
        "health_listen": f"127.0.0.1:{free_port()}",
        "tls": {
            "certificate": f"{svid}/svid.pem",
            "private_key": f"{svid}/svid_key.pem",
            "client_ca": f"{svid}/bundle.pem",
        },
        "policy": "policy.yaml",
        "svid_directory": svid,
        "record": "webhook.record.jsonl",
        "stores": [{"host": store, "spiffe_id": identity("store")}],
        "sidecar": {
            "image": "registry.example/trustkit@sha256:" + "7" * 64,
            # In a cluster these are paths inside the sidecar's container; here they are the demo's own.
            "mount_path": str(pods / "models"),
            "svid_directory": str(stage.folder / "svids/pod"),
            "policy_file": str(stage.folder / "policy.yaml"),
            "trust_bundle_file": str(stage.folder / "svids/pod/bundle.pem"),
            "broker": broker,
            "broker_id": identity("broker"),
            "health_listen": f"127.0.0.1:{free_port()}",
            "volumes": [{"name": "trustkit-demo", "hostPath": {"path": str(stage.folder)}}],
            "volume_mounts": [{"name": "trustkit-demo", "mountPath": str(stage.folder)}],
        },
    }


def _policy(folder: Path) -> bytes:
    """Whom to believe: the author for manifests, the publisher for descriptors, for one line."""
    lines = [
        "apiVersion: trustkit.dev/v1alpha1",
        "kind: VerificationPolicy",
        "metadata: {name: acme}",
        "spec:",
        "  threshold: 1",
        f"  lines: [{LINE}]",
        "  authorities:",
    ]
    for name, key in (("author", AUTHOR), ("publisher", PUBLISHER)):
        lines += [f"    - name: {name}", f"      roles: [{name}]", "      key:", "        pem: |"]
        lines += [f"          {text}" for text in (folder / f"{key}.pub").read_text("ascii").splitlines()]
    return ("\n".join(lines) + "\n").encode()


def config(stage: Stage, name: str, document: dict[str, object]) -> None:
    """Write a program's configuration and have the program check it."""
    _write(stage.folder / f"{name}.yaml", yaml.safe_dump(document, sort_keys=False).encode())
    program = "trustkit-admission" if name == "webhook" else f"trustkit-{name.partition('-')[0]}"
    stage.run(program, "check-config", "--config", f"{name}.yaml")


def _write(path: Path, raw: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if "key" in path.name else 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)


def identity(path: str) -> str:
    """Return a SPIFFE ID of the throw-away trust domain."""
    return f"spiffe://{DOMAIN}/{path}"
