"""The operator's settings of the injected sidecar.

The law of this file: what becomes part of a pod is completed here as the API
server will store it, because the validating hook compares it whole; and it can
neither be writable nor bear a name that is not ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from admission.completing import completed
from admission.fields import folder, nonempty, spiffe_id
from trustkit import strictjson
from trustkit.errors import FormatError
from trustkit.programs.settings import count, host_port, split_host_port
from trustkit.strictjson import Fields, Object
from trustkit.workloads.notes import PLAIN
from trustkit.workloads.sidecars import PREFIX, bears_our_name

MEMBERS = {
    "sidecar": (
        "image",
        "command",
        "mount_path",
        "svid_directory",
        "policy_file",
        "trust_bundle_file",
        "broker",
        "broker_id",
        "health_listen",
        "volumes",
        "volume_mounts",
        "run_as_user",
        "cpu_request_millicores",
        "cpu_limit_millicores",
        "memory_overhead_mib",
        "plain_limit_mib",
        "startup_period_seconds",
        "startup_failure_threshold",
    ),
    "sidecar.volume_mounts[]": ("name", "mountPath", "readOnly"),
}
"""Every member below ``sidecar``, by where it stands; `trustkit/design/configuration.md` explains each."""

_IMAGE = re.compile(r"[^\s@]{1,512}@sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class SidecarConfig:
    """What is injected. Paths are paths inside the sidecar's container."""

    image: str
    command: tuple[str, ...]
    mount_path: str
    svid_directory: str
    policy_file: str
    trust_bundle_file: str
    broker: str
    broker_id: str
    health_host: str
    health_port: int
    volumes: tuple[Object, ...]
    volume_mounts: tuple[Object, ...]
    run_as_user: int
    cpu_request_millicores: int
    cpu_limit_millicores: int
    memory_overhead_mib: int
    plain_limit_mib: int
    startup_period_seconds: int
    startup_failure_threshold: int

    @property
    def unmounted(self) -> tuple[str, ...]:
        """The members that name what the sidecar reads and that lies under none of its mounts."""
        read = {
            "svid_directory": self.svid_directory,
            "policy_file": self.policy_file,
            "trust_bundle_file": self.trust_bundle_file,
        }
        mounted = [str(mount["mountPath"]).rstrip("/") for mount in self.volume_mounts]
        return tuple(
            name
            for name, path in read.items()
            if not any(path == folder or path.startswith(f"{folder}/") for folder in mounted)
        )


def sidecar_from(fields: Fields) -> SidecarConfig:
    """Read the ``sidecar`` member.

    Raises:
        FormatError: A member is missing, unknown or out of range.
        UsageError: ``bad-config`` for a bad ``health_listen``.
    """
    host, port = split_host_port(
        fields.maybe("health_listen", str) or "0.0.0.0:8090", "config.sidecar.health_listen"
    )
    command = fields.maybe("command", list) or ["trustkit-sidecar"]
    volumes = _volumes(fields.maybe("volumes", list) or [])
    config = SidecarConfig(
        image=_pinned(fields.take("image", str)),
        command=tuple(nonempty(word, "config.sidecar.command") for word in command),
        mount_path=_mount_path(fields.maybe("mount_path", str) or "/trustkit/models"),
        svid_directory=folder(fields.take("svid_directory", str), "config.sidecar.svid_directory"),
        policy_file=folder(fields.take("policy_file", str), "config.sidecar.policy_file"),
        trust_bundle_file=folder(fields.take("trust_bundle_file", str), "config.sidecar.trust_bundle_file"),
        broker=host_port(fields.take("broker", str), "config.sidecar.broker"),
        broker_id=spiffe_id(fields.take("broker_id", str), "config.sidecar.broker_id"),
        health_host=host,
        health_port=port,
        volumes=volumes,
        volume_mounts=_mounts(fields.maybe("volume_mounts", list) or [], volumes),
        run_as_user=count(fields, "run_as_user", 65532, most=2**31 - 1),
        cpu_request_millicores=count(fields, "cpu_request_millicores", 250, most=1_000_000),
        cpu_limit_millicores=count(fields, "cpu_limit_millicores", 2_000, most=1_000_000),
        memory_overhead_mib=count(fields, "memory_overhead_mib", 256, most=1 << 20),
        plain_limit_mib=count(fields, "plain_limit_mib", 16 * 1024, most=1 << 24),
        startup_period_seconds=count(fields, "startup_period_seconds", 2, most=3_600),
        startup_failure_threshold=count(fields, "startup_failure_threshold", 1_800, most=1_000_000),
    )
    fields.done()
    if not 1 <= config.health_port <= 65_000:
        raise FormatError("bad-config", "config.sidecar.health_listen needs a fixed port from 1 to 65000")
    return config


def _mount_path(text: str) -> str:
    """Check where models appear: of other paths a command would not surely be known to name them alone."""
    name = "config.sidecar.mount_path"
    path = folder(text, name)
    if PLAIN.fullmatch(path) is None:
        why = f"{name} may hold letters, digits and '.', '_', '-' between its slashes"
        raise FormatError("bad-config", why, field=name)
    return path


def _pinned(untrusted: str) -> str:
    """The sidecar checks everything else, so its image may not be one that can be moved."""
    if _IMAGE.fullmatch(untrusted) is None:
        raise FormatError(
            "bad-config",
            "config.sidecar.image must name a digest, as NAME@sha256:<64 lower-case hex digits>",
            field="config.sidecar.image",
        )
    return untrusted


def _volumes(entries: list[strictjson.Value]) -> tuple[Object, ...]:
    """The operator's volumes for the sidecar (SVID, policy), completed as the API server stores them."""
    found = []
    for index, entry in enumerate(entries):
        where = f"config.sidecar.volumes[{index}]"
        if not isinstance(entry, dict) or not bears_our_name(entry) or len(entry) != 2:
            raise FormatError(
                "bad-config", f"{where} must have one source and a name that starts with {PREFIX}"
            )
        found.append({name: completed(name, source) for name, source in entry.items()})
        _demand_audiences(entry, where)
    return tuple(found)


def _demand_audiences(volume: Object, where: str) -> None:
    """A token for the API server is every container's, so it can be no identity of the sidecar's own."""
    projected = volume.get("projected")
    sources = projected.get("sources") if isinstance(projected, dict) else None
    for source in sources if isinstance(sources, list) else ():
        token = source.get("serviceAccountToken") if isinstance(source, dict) else None
        if isinstance(token, dict) and not token.get("audience"):
            raise FormatError(
                "bad-config", f"{where} must name the audience of its serviceAccountToken", field=where
            )


def _mounts(entries: list[strictjson.Value], volumes: tuple[Object, ...]) -> tuple[Object, ...]:
    """Where the sidecar sees them; the API server refuses every pod with a mount of no volume."""
    names = [volume["name"] for volume in volumes]
    found: list[Object] = []
    for index, entry in enumerate(entries):
        where = f"config.sidecar.volume_mounts[{index}]"
        fields = Fields(entry, where, MEMBERS["sidecar.volume_mounts[]"])
        mount: Object = {
            "mountPath": fields.take("mountPath", str),
            "name": fields.take("name", str),
            "readOnly": True,
        }
        if fields.maybe("readOnly", bool) is False:
            raise FormatError("bad-config", f"{where} must be read-only")
        fields.done()
        if mount["name"] not in names:
            raise FormatError(
                "bad-config", f"{where}.name must be that of one of sidecar.volumes", field=where
            )
        found.append(mount)
    return tuple(found)
