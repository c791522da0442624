"""Configuration of the webhook: one frozen value, built once by a pure function, validated whole.

Defaults < file < environment < flags. An unknown member is an error that names
its path, because a misspelt restriction is no restriction. No option, and no
environment variable, turns verification off; what weakens anything else is
spelled ``insecure_...`` and said at every start. Units stand in the names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from admission.fields import spiffe_id
from admission.sidecar_config import MEMBERS as SIDECAR_MEMBERS
from admission.sidecar_config import SidecarConfig, sidecar_from
from trustkit import strictjson
from trustkit.errors import FormatError
from trustkit.programs.arguments import given
from trustkit.programs.settings import count, host_port, listen, parse_settings, seconds
from trustkit.strictjson import Fields

DOCUMENT_MAX_BYTES = 32 << 20
"""Largest signed document that is fetched, unless it is configured otherwise (bytes)."""
ENVIRONMENT = {"TRUSTKIT_ADMISSION_LISTEN": "listen", "TRUSTKIT_ADMISSION_HEALTH_LISTEN": "health_listen"}
"""Variables that may override the file: where to listen, and nothing that trust rests on."""

MEMBERS = {
    "config": (
        "listen",
        "health_listen",
        "tls",
        "policy",
        "trust_bundle",
        "svid_directory",
        "rules",
        "table",
        "bases",
        "record",
        "stores",
        "sidecar",
        "deadline_seconds",
        "fetch_timeout_seconds",
        "body_timeout_seconds",
        "workers",
        "queue",
        "cache_entries",
        "cache_seconds",
        "document_max_bytes",
        "strict_volumes",
    ),
    "tls": ("certificate", "private_key", "client_ca", "insecure_no_client_ca"),
    "stores[]": ("host", "spiffe_id"),
    **SIDECAR_MEMBERS,
}
"""Every member of the file, by where it stands; `trustkit/design/configuration.md` explains each."""


@dataclass(frozen=True, slots=True)
class TLSConfig:
    """The certificate the API server sees, and the CA that must have signed the API server's own.

    Without a CA (``insecure_no_client_ca``), whoever reaches the port may ask.
    """

    certificate: Path
    private_key: Path
    client_ca: Path | None


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """A store that references may name: its exact ``HOST:PORT`` and the SPIFFE ID it must prove."""

    host: str
    spiffe_id: str


@dataclass(frozen=True, slots=True)
class Config:
    """The webhook's configuration. Paths are absolute or relative to the configuration file."""

    listen: str
    health_listen: str
    tls: TLSConfig
    policy: Path
    trust_bundle: Path
    svid_directory: Path
    rules: Path | None
    table: Path | None
    bases: Path | None
    record: Path | None
    stores: tuple[StoreConfig, ...]
    sidecar: SidecarConfig
    deadline_seconds: float
    fetch_timeout_seconds: float
    body_timeout_seconds: float
    workers: int
    queue: int
    cache_entries: int
    cache_seconds: float
    document_max_bytes: int
    strict_volumes: bool


def load(raw: bytes, *, base: Path, environ: Mapping[str, str], argv: Sequence[str] = ()) -> Config:
    """Build the configuration.

    Args:
        raw: The YAML or JSON file; the operator's, read strictly.
        base: Folder of the file, which relative paths are relative to.
        environ: The environment; only the variables of `ENVIRONMENT` are read.
        argv: Flags that override the file: ``--listen`` and ``--health-listen``.

    Raises:
        UsageError: ``bad-config``, with the path of the member that is wrong.
    """
    config = parse_settings(raw, lambda fields: _config(fields, base), known=MEMBERS["config"])
    flags = given(argv, "--listen", "--health-listen")
    overrides: dict[str, str] = {}
    for variable, name in ENVIRONMENT.items():
        if value := flags.get(name) or environ.get(variable):
            where = f"--{name.replace('_', '-')}" if name in flags else variable
            overrides[name] = host_port(value, where)
    return replace(
        config,
        listen=overrides.get("listen", config.listen),
        health_listen=overrides.get("health_listen", config.health_listen),
    )


def _config(fields: Fields, base: Path) -> Config:
    svid_directory = base / fields.take("svid_directory", str)
    trust_bundle = fields.maybe("trust_bundle", str)
    config = Config(
        listen=listen(fields, "listen", "0.0.0.0:8443"),
        health_listen=listen(fields, "health_listen", "0.0.0.0:8080"),
        tls=_tls(Fields(fields.take("tls", dict), "config.tls", MEMBERS["tls"]), base),
        policy=base / fields.take("policy", str),
        trust_bundle=base / trust_bundle if trust_bundle else svid_directory / "bundle.pem",
        svid_directory=svid_directory,
        rules=_maybe_path(fields, "rules", base),
        table=_maybe_path(fields, "table", base),
        bases=_maybe_path(fields, "bases", base),
        record=_maybe_path(fields, "record", base),
        stores=_stores(fields.take("stores", list)),
        sidecar=sidecar_from(Fields(fields.take("sidecar", dict), "config.sidecar", MEMBERS["sidecar"])),
        deadline_seconds=seconds(fields, "deadline_seconds", 4.5, most=29.5),
        fetch_timeout_seconds=seconds(fields, "fetch_timeout_seconds", 2.0, most=29.5),
        body_timeout_seconds=seconds(fields, "body_timeout_seconds", 5.0, most=30.0),
        workers=count(fields, "workers", 4, most=64),
        queue=count(fields, "queue", 64, most=10_000),
        cache_entries=count(fields, "cache_entries", 1_000, most=100_000),
        cache_seconds=seconds(fields, "cache_seconds", 300.0, most=86_400.0),
        document_max_bytes=count(fields, "document_max_bytes", DOCUMENT_MAX_BYTES, most=256 << 20),
        strict_volumes=fields.maybe("strict_volumes", bool) or False,
    )
    fields.done()
    return config


def _maybe_path(fields: Fields, name: str, base: Path) -> Path | None:
    path = fields.maybe(name, str)
    return base / path if path else None


def _tls(fields: Fields, base: Path) -> TLSConfig:
    client_ca = fields.maybe("client_ca", str)
    insecure = fields.maybe("insecure_no_client_ca", bool) or False
    if insecure == bool(client_ca):
        raise FormatError(
            "bad-config",
            "config.tls needs client_ca, the CA of the API server's own certificate, or, to answer whoever "
            "reaches the port, insecure_no_client_ca: true; not both",
            field="config.tls.client_ca",
        )
    config = TLSConfig(
        certificate=base / fields.take("certificate", str),
        private_key=base / fields.take("private_key", str),
        client_ca=base / client_ca if client_ca else None,
    )
    fields.done()
    return config


def _stores(entries: list[strictjson.Value]) -> tuple[StoreConfig, ...]:
    stores = []
    for index, entry in enumerate(entries):
        where = f"config.stores[{index}]"
        fields = Fields(entry, where, MEMBERS["stores[]"])
        host = host_port(fields.take("host", str), f"{where}.host")
        stores.append(StoreConfig(host, spiffe_id(fields.take("spiffe_id", str), f"{where}.spiffe_id")))
        fields.done()
    if not stores or len({store.host for store in stores}) != len(stores):
        raise FormatError("bad-config", "config.stores needs at least one store, and each host once")
    return tuple(stores)
