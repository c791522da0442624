"""Scenes 7 and 8: Pods are judged; the admitted one's sidecar brings the model, three others nothing.

The law of this file: the sidecar is started with exactly the arguments of the
webhook's patch. The three that must fail differ from it in one argument each,
and are looked after: an exit status, a code, and an empty folder.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

from trustkit import strictjson
from trustkit.cli.demo.cluster import Cluster, config, free_port, identity
from trustkit.cli.demo.reviews import denied, pod, review
from trustkit.cli.demo.sealing import LINE, SEALED, VERSION, copy_sealed, flip, same_tree
from trustkit.cli.demo.services import Services, http_status
from trustkit.cli.demo.stage import Stage
from trustkit.strictjson import Object, Value


def judge(stage: Stage, cluster: Cluster) -> list[str]:
    """Scene 7: one Pod is allowed and patched, three are denied. Return the arguments of its sidecar."""
    named = pod(cluster.reference)
    allowed = review(stage, cluster, "a-sealed-model", named)
    if allowed.get("allowed") is not True or "patch" not in allowed:
        stage.fail(f"the signed model was not admitted: {allowed}")
    operations = _patch(allowed)
    patched = _applied(named, operations)
    stage.note("the Pod names " + cluster.reference[:90] + "…")
    for operation in operations:
        stage.note(f"patch: {operation['op']} {operation['path']}")
    stage.show("a Pod that names the sealed model by its digest is admitted, with a sidecar")
    if "patch" in review(stage, cluster, "the-patched-pod", patched):
        stage.fail("the second call changed the Pod again")
    last = review(stage, cluster, "the-patched-pod", patched, hook="validate")
    if last.get("allowed") is not True:
        stage.fail("the validating hook does not know its own sidecar")
    stage.show("the patch is a pure function: a second call changes nothing, the last word agrees")
    store = f"trust://{cluster.store}"
    unsigned = f"{store}/acme/unsigned/1@{cluster.manifest_digest}"
    denied(stage, cluster, "an-unsigned-model", pod(unsigned), code="unsigned")
    denied(stage, cluster, "a-tag", pod(f"{store}/{LINE}/{VERSION}:latest"), code="not-pinned")
    forged = pod(cluster.reference, annotations={"trustkit.dev/verified": "true"})
    denied(stage, cluster, "a-forged-annotation", forged, code="reserved-annotation")
    arguments = _arguments(patched)
    (stage.folder / "pod.json").write_bytes(strictjson.to_bytes(patched, indent=2))
    again = stage.folder / "pod" / "again"
    again.mkdir(parents=True)
    by_hand = _with(arguments, "--output", str(again / "model"))[1:]
    (stage.folder / "sidecar.arguments").write_text(" ".join(by_hand) + "\n", encoding="utf-8")
    return arguments


def fetch(stage: Stage, services: Services, cluster: Cluster, arguments: list[str]) -> None:
    """Scene 8: the sidecar of the patch, and three that must publish nothing."""
    stage.scene("The sidecar brings the model, or nothing")
    output = Path(_value(arguments, "--output"))
    output.parent.mkdir(parents=True)  # the kubelet makes the memory volume
    probe = _probe(stage)
    stage.refused("its startup probe holds the server back before that", "not-published", 1, *probe)
    sidecar = services.start("sidecar", "trustkit-sidecar", *arguments)
    health = f"http://{_value(arguments, '--health')}/readyz"
    services.until(sidecar, lambda: True if http_status(health) == 200 else None)
    stage.run(*probe)
    if not same_tree(stage.folder / "model", output):
        stage.fail("the published tree is not the author's")
    stage.show("published at once, byte for byte the author's model; ready only after that")
    if sidecar.stop() != 0:
        stage.fail("the sidecar did not end well")
    _wrong(stage, services, cluster, arguments)


def _wrong(stage: Stage, services: Services, cluster: Cluster, arguments: list[str]) -> None:
    stranger = _with(arguments, "--svid-directory", str(stage.folder / "svids/stranger"))
    _nothing(stage, services, "a sidecar with another SPIFFE ID", stranger, code="key-denied")
    digest = cluster.manifest_digest[:-1] + ("0" if cluster.manifest_digest[-1] != "0" else "1")
    other = _with(arguments, "--reference", replace(cluster, manifest_digest=digest).reference)
    _nothing(stage, services, "a sidecar pinned to another artifact", other, code="digest-mismatch")
    flip(copy_sealed(stage, f"attacks/{SEALED}"))
    config(
        stage,
        "store-flipped",
        {
            "listen": f"127.0.0.1:{free_port()}",
            "root": "attacks/store",
            "readers": [identity("ns/ml/sa/bigram-server")],
            "svid_directory": "svids/store",
        },
    )
    address = services.listening("store-flipped", "trustkit-store", "serve", "--config", "store-flipped.yaml")
    flipped = _with(arguments, "--reference", replace(cluster, store=address).reference)
    _nothing(stage, services, "a store with a flipped byte", flipped, code="tampered")


def _nothing(stage: Stage, services: Services, what: str, arguments: list[str], *, code: str) -> None:
    """Run a sidecar that must fail with this code and leave nothing where its model would be."""
    name = code if code != "tampered" else "flipped-byte"
    output = stage.folder / "pod" / "refused" / name / "model"
    output.parent.mkdir(parents=True)
    service = services.start(
        f"sidecar-{name}", "trustkit-sidecar", *_with(arguments, "--output", str(output))
    )
    status = services.ended(service)
    if status != 1 or f"[{code}]" not in service.output():
        stage.fail(f"{what}: expected exit 1 [{code}], got {status}: {service.output().strip()}")
    left = [path.name for path in output.parent.iterdir()]
    if left:
        stage.fail(f"{what}: it left {left[0]}")
    stage.show(f"{what} publishes nothing", f"exit {status} {code}")


def _patch(response: Object) -> list[Object]:
    raw = base64.b64decode(str(response["patch"]))
    operations = strictjson.parse(raw, max_bytes=1 << 20, what="patch")
    return (
        [operation for operation in operations if isinstance(operation, dict)]
        if isinstance(operations, list)
        else []
    )


def _applied(subject: Object, operations: list[Object]) -> Object:
    """Apply a JSON patch of ``add`` and ``replace``, as the API server would (RFC 6902)."""
    result = strictjson.parse_object(strictjson.to_bytes(subject), max_bytes=1 << 20, what="object")
    for operation in operations:
        *steps, last = str(operation["path"]).split("/")[1:]
        target: Value = result
        for step in steps:
            target = target[int(step)] if isinstance(target, list) else _member(target, step)
        if isinstance(target, list):
            index = len(target) if last == "-" else int(last)
            target[index : index + (operation["op"] == "replace")] = [operation["value"]]
        elif isinstance(target, dict):
            target[last] = operation["value"]
    return result


def _member(target: Value, name: str) -> Value:
    if not isinstance(target, dict):
        raise TypeError("a patch leads through objects and lists")
    return target[name]


def _arguments(patched: Object) -> list[str]:
    containers = _member(_member(patched, "spec"), "initContainers")
    words = _member(containers[0], "args") if isinstance(containers, list) else None
    return [str(word) for word in words] if isinstance(words, list) else []


def _probe(stage: Stage) -> list[str]:
    """Return the command by which the kubelet asks whether the server may start."""
    pod = strictjson.parse_object((stage.folder / "pod.json").read_bytes(), max_bytes=1 << 20, what="pod")
    containers = _member(_member(pod, "spec"), "initContainers")
    value = containers[0] if isinstance(containers, list) else None
    for name in ("startupProbe", "exec", "command"):
        value = _member(value, name)
    return [str(word) for word in value] if isinstance(value, list) else []


def _value(arguments: list[str], flag: str) -> str:
    return arguments[arguments.index(flag) + 1]


def _with(arguments: list[str], flag: str, value: str) -> list[str]:
    place = arguments.index(flag) + 1
    return [*arguments[:place], value, *arguments[place + 1 :]]
