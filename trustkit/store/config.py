"""Configuration of the store: one frozen value, built once by a pure function, validated whole.

Defaults < file < environment < flags. An unknown member is an error that names
its path, because a misspelt restriction is no restriction. Readers are named
one by one, or as a whole trust domain; there is no default that lets anybody
in. Units stand in the names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from trustkit import strictjson
from trustkit.errors import FormatError, UnavailableError, UsageError
from trustkit.programs.arguments import given
from trustkit.programs.settings import host_port, listen, parse_settings
from trustkit.spiffe.listening import Limits
from trustkit.spiffe.names import SpiffeID, demand_own_domain, parse_spiffe_id
from trustkit.spiffe.svid import BUNDLE, CHAIN, KEY
from trustkit.strictjson import Fields

MAX_READERS = 10_000
"""Most readers."""
ENVIRONMENT = "TRUSTKIT_STORE_LISTEN"
"""The one variable that may override the file: where to listen, and nothing that trust rests on."""

MEMBERS = {
    "config": ("root", "svid_directory", "listen", "readers", "limits"),
    "limits": tuple(member.name for member in fields(Limits)),
}
"""Every member of the file, by where it stands; `trustkit/design/configuration.md` explains each."""

_MOST = {
    "connections": 65_536,
    "headers": 1_000,
    "head_bytes": 1 << 20,
    "answer_bytes_per_second": 1 << 30,
}
_MOST_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Config:
    """The store's configuration. Paths are absolute or relative to the configuration file.

    Attributes:
        root: The folder that is served, whole.
        svid_directory: Our SVID.
        listen: ``HOST:PORT``.
        readers: Who may read: exact SPIFFE IDs, or whole trust domains (an ID without a path).
        limits: What peers may take.
    """

    root: Path
    svid_directory: Path
    listen: str
    readers: tuple[SpiffeID, ...]
    limits: Limits

    def may_read(self, peer: SpiffeID) -> bool:
        """Say whether this peer is one of the readers."""
        return any(reader.covers(peer) for reader in self.readers)


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
    config = parse_settings(raw, lambda members: _config(members, base), known=MEMBERS["config"])
    if not (flag or variable):
        return config
    return replace(config, listen=host_port(flag or variable or "", "--listen" if flag else ENVIRONMENT))


def check_places(config: Config, file: Path) -> None:
    """Refuse to serve a folder through which our own key, or this configuration, could be read.

    Where the files of our SVID are links, what counts is where they lead.

    Raises:
        UsageError: ``bad-config``.
    """
    root, svid = os.path.realpath(config.root), config.svid_directory
    places = [("svid_directory", svid), ("the configuration file", file)]
    places += [(f"{name} of svid_directory", svid / name) for name in (KEY, CHAIN, BUNDLE)]
    for what, path in places:
        real = os.path.realpath(path)
        if real == root or real.startswith(root.rstrip("/") + "/"):
            raise UsageError(
                "bad-config",
                f"the configuration is not valid: {what} lies below config.root and would be served; move it",
                field="config.root",
            )


def check_readers(config: Config, ours: SpiffeID) -> None:
    """Refuse readers who can never come: our trust bundle speaks for our own trust domain alone.

    Raises:
        UsageError: ``foreign-trust-domain``.
    """
    demand_own_domain(
        ours, ((f"config.readers[{index}]", reader) for index, reader in enumerate(config.readers))
    )


def opened(root: Path) -> int:
    """Open the folder that is served.

    Raises:
        UsageError: ``no-such-folder``.
        UnavailableError: ``unreadable``.
    """
    try:
        return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            "no-such-folder", f"there is no folder at {str(root)!r}, which config.root names", path=str(root)
        ) from None
    except OSError as error:
        raise UnavailableError(
            "unreadable", f"cannot read {str(root)!r}: {error.strerror}", path=str(root)
        ) from None


def _config(members: Fields, base: Path) -> Config:
    config = Config(
        root=base / _path(members.take("root", str), "config.root"),
        svid_directory=base / _path(members.take("svid_directory", str), "config.svid_directory"),
        listen=listen(members, "listen", "0.0.0.0:8443"),
        readers=_readers(members.take("readers", list)),
        limits=_limits(Fields(members.maybe("limits", dict) or {}, "config.limits", MEMBERS["limits"])),
    )
    members.done()
    return config


def _path(text: str, name: str) -> str:
    if not text or "\0" in text:
        raise FormatError("bad-config", f"{name} must be a path", field=name)
    return text


def _readers(entries: list[strictjson.Value]) -> tuple[SpiffeID, ...]:
    if not 1 <= len(entries) <= MAX_READERS:
        raise FormatError(
            "bad-config", f"config.readers needs 1 to {MAX_READERS} SPIFFE IDs", field="config.readers"
        )
    readers: list[SpiffeID] = []
    for index, entry in enumerate(entries):
        where = f"config.readers[{index}]"
        try:
            reader = parse_spiffe_id(entry if isinstance(entry, str) else "", allow_trust_domain=True)
        except FormatError as error:
            raise FormatError("bad-config", f"{where}: {error.message}", field=where) from None
        if reader in readers:
            raise FormatError("bad-config", f"{where} is there twice", field=where)
        readers.append(reader)
    return tuple(readers)


def _limits(members: Fields) -> Limits:
    """Read the limits by the names and types they have in `Limits`."""
    limits = Limits()
    for member in fields(Limits):
        if members.has(member.name):
            limits = replace(limits, **{member.name: _limit(members, member.name)})  # type: ignore[arg-type] # by name
    members.done()
    return limits


def _limit(members: Fields, name: str) -> int | float:
    value, whole = members.raw(name), name in _MOST
    most = _MOST.get(name, _MOST_SECONDS)
    if (
        isinstance(value, bool)
        or not isinstance(value, int if whole else int | float)
        or not 0 < value <= most
    ):
        what = "a whole number" if whole else "a number of seconds"
        raise FormatError(
            "bad-config", f"config.limits.{name} must be {what}, more than 0 and at most {most}", field=name
        )
    return value if whole else float(value)
