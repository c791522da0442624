"""The sidecar that brings one model: container, volume and mounts, as exact values.

The law of this file: everything the sidecar may trust stands in its arguments,
fixed by digest; nothing comes from the pod. `validate` compares whole objects,
so every member that the API server or another plugin would fill in by default
is written out here, in the form in which it is stored.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from admission.config import StoreConfig
from admission.evidence import Proven
from admission.sidecar_config import SidecarConfig
from trustkit.digest import Digest
from trustkit.strictjson import Object, Value
from trustkit.workloads.sidecars import PREFIX

MIB = 1024 * 1024
EMPTY = f"{PREFIX}empty"
"""An empty volume that keeps the service-account token out of the sidecar."""
PROBE_SECONDS = 10
"""How long the probe's program may take to start, beside a sidecar that uses all of its processor time."""
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path, no token


@dataclass(frozen=True, slots=True)
class Plan:
    """What every sidecar of this webhook is told to trust, fixed when the webhook starts.

    Attributes:
        sidecar: The operator's settings.
        stores: The allowed stores and their identities.
        policy_digest: SHA-256 of the policy file the sidecar must find.
        trust_bundle_digest: SHA-256 of the trust bundle file the sidecar must find.
    """

    sidecar: SidecarConfig
    stores: tuple[StoreConfig, ...]
    policy_digest: Digest
    trust_bundle_digest: Digest

    def store_id(self, host: str) -> str:
        """Return the SPIFFE ID of an allowed store; empty, which no peer has, for any other host."""
        return next((store.spiffe_id for store in self.stores if store.host == host), "")


@dataclass(frozen=True, slots=True)
class Injection:
    """All that one model adds to a pod.

    Attributes:
        reference: The ``trust://`` text it stands for.
        local_path: Where the published model lies inside the containers that use it.
        container: The native sidecar.
        volume: The memory volume it publishes into.
        mount: How other containers may see that volume: read-only, whole, at one place.
    """

    reference: str
    local_path: str
    container: Object
    volume: Object
    mount: Object


def injection_for(proven: Proven, index: int, plan: Plan) -> Injection:
    """Build what one proven model adds.

    Args:
        proven: The evidence; its reference is pinned and its store allowed.
        index: Position among our sidecars of this pod, which share one network namespace.
        plan: What the sidecar may trust.
    """
    config, reference = plan.sidecar, str(proven.reference)
    port = config.health_port + index
    identity = hashlib.sha256(reference.encode()).hexdigest()[:12]
    volume, folder = f"{PREFIX}model-{identity}", f"{config.mount_path}/{identity}"
    local_path = f"{folder}/model"
    size = _size_mib(proven, config)
    return Injection(
        reference=reference,
        local_path=local_path,
        container=_container(
            f"{PREFIX}sidecar-{identity}",
            _arguments(proven, local_path, plan, port),
            {"mountPath": folder, "name": volume},
            config,
            output=local_path,
            memory_mib=size + config.memory_overhead_mib,
        ),
        volume={"emptyDir": {"medium": "Memory", "sizeLimit": quantity(size)}, "name": volume},
        mount={"mountPath": folder, "name": volume, "readOnly": True},
    )


def shared_volumes(plan: Plan) -> list[Object]:
    """Return the volumes all sidecars of a pod share: the operator's, and the empty one."""
    empty: Object = {"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}, "name": EMPTY}
    return [*(dict(volume) for volume in plan.sidecar.volumes), empty]


def quantity(mib: int) -> str:
    """Write mebibytes as the API server stores them: ``1024Mi`` comes back as ``1Gi``."""
    for suffix in ("Mi", "Gi", "Ti"):
        if mib % 1024 or suffix == "Ti":
            return f"{mib}{suffix}"
        mib //= 1024
    return f"{mib}Pi"


def millicores(amount: int) -> str:
    """Write CPU as the API server stores it: ``2000m`` comes back as ``2``."""
    return f"{amount}m" if amount % 1000 else str(amount // 1000)


def _arguments(proven: Proven, output: str, plan: Plan, port: int) -> list[Value]:
    sidecar = plan.sidecar
    words: list[Value] = ["run", "--reference", str(proven.reference)]
    if proven.descriptor_digest is not None:
        words += ["--descriptor-digest", str(proven.descriptor_digest)]
    return [
        *words,
        *("--output", output),
        *("--policy", sidecar.policy_file, "--policy-digest", str(plan.policy_digest)),
        *(
            "--trust-bundle",
            sidecar.trust_bundle_file,
            "--trust-bundle-digest",
            str(plan.trust_bundle_digest),
        ),
        *("--store-id", plan.store_id(proven.reference.host)),
        *("--broker", sidecar.broker, "--broker-id", sidecar.broker_id),
        *("--svid-directory", sidecar.svid_directory),
        *("--health", f"{sidecar.health_host}:{port}"),
    ]


def _container(
    name: str, arguments: list[Value], models: Object, config: SidecarConfig, *, output: str, memory_mib: int
) -> Object:
    mounts: list[Value] = [
        models,
        *(dict(mount) for mount in config.volume_mounts),
        # The ServiceAccount plugin mounts a token wherever nothing is mounted at this path; ours needs none.
        {"mountPath": TOKEN_PATH, "name": EMPTY, "readOnly": True},
    ]
    memory = quantity(memory_mib)
    return {
        "args": arguments,
        "command": list(config.command),
        "image": config.image,
        "imagePullPolicy": "IfNotPresent",
        "name": name,
        "resources": {
            # The memory volume is charged to whoever writes it, so the limit covers the model.
            "limits": {"cpu": millicores(config.cpu_limit_millicores), "memory": memory},
            "requests": {"cpu": millicores(config.cpu_request_millicores), "memory": memory},
        },
        "restartPolicy": "Always",
        "securityContext": _security(config),
        # A startup probe holds the next containers back; a readiness probe would not (facts: admission 0.5).
        "startupProbe": _probe(config, output),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": mounts,
    }


def _probe(config: SidecarConfig, output: str) -> Object:
    """Look at the folder itself, from inside the sidecar's container, by the program that publishes there.

    Over the network others could answer: all containers of a pod share one, and who may change its rules
    (``NET_ADMIN``, which meshes need) can turn the port to where he listens. The folder is the sidecar's.
    """
    return {
        "exec": {"command": [*config.command, "published", "--output", output]},
        "failureThreshold": config.startup_failure_threshold,
        "periodSeconds": config.startup_period_seconds,
        "successThreshold": 1,
        "timeoutSeconds": PROBE_SECONDS,
    }


def _security(config: SidecarConfig) -> Object:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsGroup": config.run_as_user,
        "runAsNonRoot": True,
        "runAsUser": config.run_as_user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _size_mib(proven: Proven, config: SidecarConfig) -> int:
    """The signed total, rounded up, with room for file system overhead; a cap where nothing signed a size."""
    if proven.plaintext_bytes is None:
        return config.plain_limit_mib
    return -(-(proven.plaintext_bytes + proven.plaintext_bytes // 64) // MIB) + 16
