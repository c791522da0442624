"""Configuration of the broker: one frozen value, built once by a pure function, validated whole.

Defaults < file < environment < flags. An unknown member is an error that names
its path, because a misspelt restriction is no restriction; a grant that names
nobody's identity, line or authority says so at start and not at the first
request. Secrets are named by file, or lie in a service. No option, and no environment
variable, turns verification, the rules or the record off. Units stand in names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import fields as fields_of
from pathlib import Path

from trustkit import strictjson
from trustkit.broker.shares import SHARE
from trustkit.errors import FormatError, UsageError
from trustkit.programs.arguments import given
from trustkit.programs.settings import count, host_port, listen, parse_settings, seconds
from trustkit.sealing.awskms import KmsKey, parse_key
from trustkit.sealing.descriptor import check_line
from trustkit.sealing.release import MAX_REQUEST_BYTES
from trustkit.spiffe.names import SpiffeID, parse_spiffe_id
from trustkit.strictjson import Fields, Object
from trustkit.verifying.authorities import Role
from trustkit.verifying.policy import VerificationPolicy

MAX_OPENERS = 100
"""Most private keys of one broker: each wrapped key is tried with those that fit it."""
MAX_GRANTS = 1_000
"""Most grants. Whom none names is turned away unread, whatever the rules would say."""
BODY_BUDGET_BYTES = 2 * MAX_REQUEST_BYTES
"""Bytes of requests that are held at once, unless configured otherwise; judging takes a few times that."""
MAX_NAMES = 1_000
"""Most lines, publishers or authors in one grant: the rules read all grants of the peer that asks."""
ENVIRONMENT = "TRUSTKIT_BROKER_LISTEN"
"""The one variable that may override the file: where to listen, and nothing that trust rests on."""


@dataclass(frozen=True, slots=True)
class OpenerConfig:
    """A private key of the broker in a file, and the file that holds its passphrase where it has one."""

    file: Path
    passphrase_file: Path | None


@dataclass(frozen=True, slots=True)
class Grant:
    """What the operator lets one workload have: these lines, from these publishers, by these authors.

    Attributes:
        spiffe_id: The workload, exactly.
        lines: Model lines, exactly.
        publishers: Authorities of the policy that may have sealed it, by name.
        authors: Authorities of the policy that may have signed it, by name.
    """

    spiffe_id: SpiffeID
    lines: tuple[str, ...]
    publishers: tuple[str, ...]
    authors: tuple[str, ...]

    def to_object(self) -> Object:
        """Return the grant as the rules see it."""
        return {
            "spiffe_id": str(self.spiffe_id),
            "lines": list(self.lines),
            "publishers": list(self.publishers),
            "authors": list(self.authors),
        }


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request, and all of them together, may take.

    Attributes:
        body_max_bytes: Largest request (bytes).
        body_timeout_seconds: How long a request may take to arrive.
        deadline_seconds: How long an answer may take from then on.
        workers: Requests that are judged at the same time.
        queue: Requests that may arrive or wait beside those; one more is told to come again.
        requests_per_peer: Of all these, how many one SPIFFE ID may have.
        body_budget_bytes: Bytes of requests that are held at once; who would go beyond, or beyond half
            of them alone, comes again.
    """

    body_max_bytes: int
    body_timeout_seconds: float
    deadline_seconds: float
    workers: int
    queue: int
    requests_per_peer: int
    body_budget_bytes: int


MEMBERS = {
    "config": ("listen", "svid_directory", "policy", "openers", "rules", "record", "grants", "limits"),
    "openers[]": ("file", "passphrase_file", "kms"),
    "grants[]": ("spiffe_id", "lines", "publishers", "authors"),
    "limits": tuple(member.name for member in fields_of(Limits)),
}
"""Every member of the file, by where it stands; `trustkit/design/configuration.md` explains each."""


@dataclass(frozen=True, slots=True)
class Config:
    """The broker's configuration. Paths are absolute or relative to the configuration file."""

    listen: str
    svid_directory: Path
    policy: Path
    openers: tuple[OpenerConfig | KmsKey, ...]
    rules: Path | None
    record: Path
    grants: tuple[Grant, ...]
    limits: Limits


def load(raw: bytes, *, base: Path, environ: Mapping[str, str], argv: Sequence[str] = ()) -> Config:
    """Build the configuration.

    Args:
        raw: The YAML or JSON file; the operator's, read strictly.
        base: Folder of the file, which relative paths are relative to.
        environ: The environment; only the variable of `ENVIRONMENT` is read.
        argv: Flags that override the file: ``--listen``.

    Raises:
        UsageError: ``bad-config``, with the path of the member that is wrong.
    """
    flag, variable = given(argv, "--listen").get("listen"), environ.get(ENVIRONMENT)
    config = parse_settings(raw, lambda fields: _config(fields, base), known=MEMBERS["config"])
    if not (flag or variable):
        return config
    return replace(config, listen=host_port(flag or variable or "", "--listen" if flag else ENVIRONMENT))


def check_grants(grants: Sequence[Grant], policy: VerificationPolicy) -> None:
    """Refuse grants that can never apply, or that name what the policy does not know.

    Raises:
        UsageError: ``bad-config``.
    """
    for index, grant in enumerate(grants):
        roles: tuple[tuple[Role, tuple[str, ...]], ...] = (
            ("publisher", grant.publishers),
            ("author", grant.authors),
        )
        unknown = [
            (f"config.grants[{index}].{role}s", name, f"{role} of the policy")
            for role, names in roles
            for name in sorted(set(names) - {authority.name for authority in policy.acting_as(role)})
        ]
        unknown += [
            (f"config.grants[{index}].lines", line, "line the policy speaks for")
            for line in grant.lines
            if policy.lines is not None and line not in policy.lines
        ]
        for where, name, what in unknown:
            raise UsageError(
                "bad-config", f"the configuration is not valid: {where}: {name!r} is no {what}", field=where
            )


def _config(fields: Fields, base: Path) -> Config:
    rules = fields.maybe("rules", str)
    config = Config(
        listen=listen(fields, "listen", "0.0.0.0:8443"),
        svid_directory=base / _nonempty(fields.take("svid_directory", str), "config.svid_directory"),
        policy=base / _nonempty(fields.take("policy", str), "config.policy"),
        openers=tuple(
            _opener(entry, base, f"config.openers[{index}]")
            for index, entry in enumerate(_some(fields, "openers", 1, MAX_OPENERS))
        ),
        rules=base / _nonempty(rules, "config.rules") if rules is not None else None,
        record=base / _nonempty(fields.take("record", str), "config.record"),
        grants=tuple(
            _grant(entry, f"config.grants[{index}]")
            for index, entry in enumerate(_some(fields, "grants", 0, MAX_GRANTS))
        ),
        limits=_limits(Fields(fields.maybe("limits", dict) or {}, "config.limits", MEMBERS["limits"])),
    )
    fields.done()
    return config


def _opener(untrusted: strictjson.Value, base: Path, where: str) -> OpenerConfig | KmsKey:
    fields = Fields(untrusted, where, MEMBERS["openers[]"])
    passphrase_file = fields.maybe("passphrase_file", str)
    if fields.has("kms"):
        key = _kms_key(fields.take("kms", str), f"{where}.kms")
        if fields.has("file") or passphrase_file is not None:
            raise FormatError(
                "bad-config",
                f"{where} needs file or kms, not both; only a file has a passphrase",
                field=where,
            )
        fields.done()
        return key
    if not fields.has("file"):
        raise FormatError(
            "bad-config", f"{where} needs file, a private key, or kms, a key in AWS KMS", field=where
        )
    opener = OpenerConfig(
        base / _nonempty(fields.take("file", str), f"{where}.file"),
        base / _nonempty(passphrase_file, f"{where}.passphrase_file")
        if passphrase_file is not None
        else None,
    )
    fields.done()
    return opener


def _kms_key(untrusted: str, where: str) -> KmsKey:
    try:
        return parse_key(untrusted)
    except UsageError as error:
        raise FormatError("bad-config", f"{where}: {error.message}", field=where) from None


def _grant(untrusted: strictjson.Value, where: str) -> Grant:
    fields = Fields(untrusted, where, MEMBERS["grants[]"])
    untrusted_id, untrusted_lines = fields.take("spiffe_id", str), _texts(fields, "lines", where)
    publishers, authors = _texts(fields, "publishers", where), _texts(fields, "authors", where)
    fields.done()
    try:
        spiffe_id = parse_spiffe_id(untrusted_id)
        lines = tuple(check_line(line) for line in untrusted_lines)
    except FormatError as error:
        raise FormatError("bad-config", f"{where}: {error.message}", field=where) from None
    return Grant(spiffe_id, lines, publishers, authors)


def _limits(fields: Fields) -> Limits:
    where = "config.limits."
    body_max = count(fields, "body_max_bytes", MAX_REQUEST_BYTES, most=1 << 30, within=where)
    budget = max(SHARE * body_max, BODY_BUDGET_BYTES)
    limits = Limits(
        body_max_bytes=body_max,
        body_timeout_seconds=seconds(fields, "body_timeout_seconds", 30.0, most=600.0, within=where),
        deadline_seconds=seconds(fields, "deadline_seconds", 10.0, most=120.0, within=where),
        workers=count(fields, "workers", 4, most=64, within=where),
        queue=count(fields, "queue", 12, most=1_000, within=where),
        requests_per_peer=count(fields, "requests_per_peer", 4, most=1_064, within=where),
        body_budget_bytes=count(fields, "body_budget_bytes", budget, most=1 << 36, within=where),
    )
    if limits.body_budget_bytes < SHARE * limits.body_max_bytes:
        raise FormatError(
            "bad-config",
            f"{where}body_budget_bytes must be at least {SHARE} times body_max_bytes: one peer may hold half "
            "of it, and the largest request must fit there",
            field="body_budget_bytes",
        )
    fields.done()
    return limits


def _some(fields: Fields, name: str, least: int, most: int) -> list[strictjson.Value]:
    entries = fields.take(name, list)
    if not least <= len(entries) <= most:
        raise FormatError("bad-config", f"config.{name} needs {least} to {most} entries", field=name)
    return entries


def _texts(fields: Fields, name: str, where: str) -> tuple[str, ...]:
    entries = fields.take(name, list)
    if not 1 <= len(entries) <= MAX_NAMES:
        raise FormatError(
            "bad-config", f"{where}.{name} needs 1 to {MAX_NAMES} entries", field=f"{where}.{name}"
        )
    return tuple(_nonempty(entry, f"{where}.{name}") for entry in entries)


def _nonempty(value: strictjson.Value, where: str) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise FormatError("bad-config", f"{where} must be a non-empty text", field=where)
    return value
