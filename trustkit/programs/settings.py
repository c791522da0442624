"""Configuration files, and readers for the kinds of values that stand in them.

The law of this file: YAML is read strictly, a value is checked where it is
read, the error names the member that is wrong, and nothing is guessed, rounded
or normalized. Whatever is wrong with a configuration is the caller's mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar, cast

from trustkit import strictjson
from trustkit.errors import FormatError, LimitError, UsageError
from trustkit.strictjson import Fields

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MAX_BYTES = 1 << 20
"""Largest configuration file (bytes)."""

OF_MEMBERS = frozenset(("bad-config", "foreign-trust-domain", "recipient-signs"))
"""Codes for what a member says: whoever uses a configuration names its file with these (`of_file`)."""

TELLING = {
    "trustkit-admission": frozenset(("stores", "sidecar", "tls")),
    "trustkit-broker": frozenset(("openers", "grants")),
    "trustkit-store": frozenset(("root", "readers")),
}
"""Members that stand in the configuration of one program alone, by its name."""

_HOST_PORT = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9.-]{1,253}):([0-9]{1,5})")


class Load(Protocol[T_co]):
    """Builds a configuration from its file, the environment and the flags; pure."""

    def __call__(self, raw: bytes, *, base: Path, environ: Mapping[str, str], argv: Sequence[str]) -> T_co:
        """Build it; as the `load` of each face says."""
        ...


def load_file(path: Path, load: Load[T], *, environ: Mapping[str, str], argv: Sequence[str]) -> T:
    """Read a configuration file and build the configuration; relative paths in it are relative to it."""
    from trustkit.artifact.inputs import of_file, read_input

    raw = read_input(path, max_bytes=MAX_BYTES, what="configuration")
    with of_file(path):
        return load(raw, base=path.resolve().parent, environ=environ, argv=argv)


def parse_settings(raw: bytes, read: Callable[[Fields], T], *, known: Collection[str] = ()) -> T:
    """Build a configuration from its file.

    Args:
        raw: The YAML or JSON file; the operator's, read strictly.
        read: Takes every member, named from ``config`` on.
        known: Every member that there can be, so that a misspelt one is named first.

    Raises:
        UsageError: ``bad-config``, with the path of the member that is wrong.
    """
    theirs = ""
    try:
        document = _yaml(raw)
        theirs = _another_program(document, known)
        return read(Fields(document, "config", known))
    except (FormatError, LimitError) as error:
        raise UsageError(
            "bad-config", f"the configuration is not valid: {error.message}{theirs}", **error.evidence
        ) from None


def _another_program(document: strictjson.Value, known: Collection[str]) -> str:
    """Say whose configuration it looks like, where it is another program's."""
    members = document if isinstance(document, dict) else {}
    programs = [
        name for name, own in TELLING.items() if not own.isdisjoint(members) and own.isdisjoint(known)
    ]
    return f"; this looks like the configuration of {programs[0]}" if programs and known else ""


def host_and_port(untrusted: str) -> tuple[str, int] | None:
    """Split ``HOST:PORT``, with an IPv6 address in brackets; None where it is something else."""
    found = _HOST_PORT.fullmatch(untrusted)
    if found is None or int(found[2]) > 65535:
        return None
    return found[1].strip("[]"), int(found[2])


def split_host_port(text: str, name: str) -> tuple[str, int]:
    """Split ``HOST:PORT``; an IPv6 address stands in brackets.

    Raises:
        UsageError: ``bad-config``.
    """
    found = host_and_port(text)
    if found is None:
        raise UsageError("bad-config", f"the configuration is not valid: {_wanted(name)}", field=name)
    return found


def _wanted(name: str) -> str:
    example = "0.0.0.0:8443" if "listen" in name.lower() else "host.example:8443"
    return f"{name} must be HOST:PORT, such as {example}, with an IPv6 address in brackets"


def host_port(text: str, name: str) -> str:
    """Check ``HOST:PORT`` as `split_host_port` does and return it unchanged."""
    split_host_port(text, name)
    return text


def listen(fields: Fields, name: str, default: str) -> str:
    """Read where to listen, ``HOST:PORT``; a port alone, which YAML takes for a number, is refused so.

    Raises:
        FormatError, UsageError: ``bad-config``.
    """
    value = fields.raw(name) if fields.has(name) else default
    if not isinstance(value, str):
        raise FormatError("bad-config", _wanted(f"config.{name}"), field=f"config.{name}")
    return host_port(value, f"config.{name}")


def seconds(fields: Fields, name: str, default: float, *, most: float, within: str = "config.") -> float:
    """Read a duration in seconds, more than 0 and at most *most*; *within* names the member's place."""
    value = fields.raw(name) if fields.has(name) else default
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise FormatError(
            "bad-config", f"{within}{name} must be more than 0 and at most {most} seconds", field=name
        )
    return float(value)


def count(fields: Fields, name: str, default: int, *, most: int, within: str = "") -> int:
    """Read a whole number from 1 to *most*; *within* names the member's place."""
    value = fields.maybe(name, int)
    if value is None:
        return default
    if not 1 <= value <= most:
        raise FormatError("bad-config", f"{within}{name} must be from 1 to {most}", field=name)
    return value


def _yaml(raw: bytes) -> strictjson.Value:
    import yaml

    from trustkit.verifying.strictyaml import StrictLoader, check_marks, fault_in

    if len(raw) > MAX_BYTES:
        raise LimitError("too-large", f"the configuration is larger than {MAX_BYTES} bytes")
    check_marks(raw, "configuration")
    try:
        text = raw.decode("utf-8")
        return cast("strictjson.Value", yaml.load(text, Loader=StrictLoader))  # noqa: S506 - a SafeLoader, stricter
    except (yaml.YAMLError, ValueError) as error:
        raise FormatError("bad-config", f"not valid YAML{fault_in(raw, error)}") from None
