"""The arguments of a sidecar, which are all its configuration: one frozen value, checked whole.

The law of this file: whatever the sidecar may trust stands in its arguments,
fixed by digest or by exact name (ADR 0018). No file and no variable of the
environment adds to them, a flag may be given once only, and none is guessed
from its first letters: two readings of one command line are one too many.
What has a default is about time and room, never about trust. The kubelet asks
``published`` again and again, so nothing is imported before it is needed.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from trustkit.errors import FormatError, UsageError
from trustkit.programs.arguments import Program, add_flag, path, text
from trustkit.programs.checking import add_without_svid

if TYPE_CHECKING:
    from trustkit.artifact.reference import Reference
    from trustkit.digest import Digest
    from trustkit.spiffe.names import SpiffeID

PROGRAM = "trustkit-sidecar"
Verb = Literal["run", "check-config"]
T = TypeVar("T")

_WORKERS = 4
"""Threads where cores are plenty: more of them fetch no faster (facts: sealing-and-fetch, 7d)."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """A file, and the digest it must have."""

    file: Path
    digest: Digest


@dataclass(frozen=True, slots=True)
class Address:
    """A host (a name or an IP address, without brackets) and a port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Config:
    """What one sidecar does, and all it may trust.

    Attributes:
        verb: ``run``, or ``check-config``, which fetches nothing.
        reference: The artifact; its digest is the manifest digest that counts.
        manifest_digest: That digest.
        descriptor_digest: Of the descriptor's bundle, byte for byte; None for a plain artifact.
        output: Where the opened model appears; nothing but a model of a run before may lie there.
        policy: Whom to believe.
        trust_bundle: Which CA speaks for the trust domain; the SVID directory's own bundle is not believed.
        store_id: Who the store must prove to be.
        broker: Where the broker answers.
        broker_id: Who the broker must prove to be.
        svid_directory: Where our own certificate and key lie.
        health: Where ``/healthz`` and ``/readyz`` answer.
        timeout_seconds: How long one answer of the network may take.
        budget_seconds: How long what is unavailable is asked for again, each of store, broker and SVID.
        workers: Threads that fetch.
        plain_max_bytes: Largest plain artifact (bytes); what is free on the output's disk where absent.
        without_svid: Whether ``check-config`` leaves our own SVID out.
    """

    verb: Verb
    reference: Reference
    manifest_digest: Digest
    descriptor_digest: Digest | None
    output: Path
    policy: Pinned
    trust_bundle: Pinned
    store_id: SpiffeID
    broker: Address
    broker_id: SpiffeID
    svid_directory: Path
    health: Address
    timeout_seconds: float
    budget_seconds: float
    workers: int
    plain_max_bytes: int | None
    without_svid: bool


@dataclass(frozen=True, slots=True)
class Question:
    """All that ``published`` is told: where a model may lie."""

    output: Path


def load(argv: Sequence[str]) -> Config | Question:
    """Read the arguments: what a sidecar does, or a question about one.

    Args:
        argv: Arguments without the program's name.

    Raises:
        UsageError: ``bad-arguments``, with the flag that is wrong; ``bad-reference``.
        SystemExit: After ``--help`` or ``--version``.
    """
    found = parser().parse_args(list(argv))
    if found.verb == "published":
        return Question(_output(found.output))
    reference = _reference(found.reference)
    return Config(
        verb=found.verb,
        reference=reference,
        manifest_digest=_pin_of(reference),
        descriptor_digest=found.descriptor_digest,
        output=_output(found.output),
        policy=Pinned(found.policy, found.policy_digest),
        trust_bundle=Pinned(found.trust_bundle, found.trust_bundle_digest),
        store_id=found.store_id,
        broker=found.broker,
        broker_id=found.broker_id,
        svid_directory=found.svid_directory,
        health=found.health,
        timeout_seconds=found.timeout_seconds or 30.0,
        budget_seconds=found.budget_seconds or 120.0,
        workers=found.workers or min(_WORKERS, len(os.sched_getaffinity(0))),
        plain_max_bytes=found.plain_max_bytes,
        without_svid=found.verb == "check-config" and found.without_svid,
    )


def parser() -> Program:
    """Build the parser of the command line."""
    program = Program(
        PROGRAM,
        does="Brings one verified model into a pod: fetched, opened, checked, shown at once.",
        names="run|check-config|published",
    )
    run = program.verb("run", "fetch, open, check and publish the model, then stay until SIGTERM")
    run.story(
        """
Fetch one model from its store, open it if it is sealed, hold every byte against what its author
signed, and publish the folder by one rename, read-only; then stay until SIGTERM. On any failure
nothing is published. The webhook writes the arguments; the broker is asked for sealed models alone.
""",
        "trustkit-sidecar run $(cat sidecar.arguments)",
        done="stopped after publishing; 130 before",
        refused="refused: evidence, broker or store said no; nothing is published",
    )
    check = program.verb("check-config", "validate the same arguments and the files they name; fetch nothing")
    check.story(
        """
Read the arguments of run, and the policy, CA certificates and SVID that they name, and say whose the
SVID is. Nobody is asked.
""",
        "trustkit-sidecar check-config $(cat sidecar.arguments)",
        "trustkit-sidecar check-config $(cat sidecar.arguments) --without-svid",
        done="valid",
        refused="refused: a file is not the one that its digest names, or the SVID is not valid",
    )
    for verb in (run, check):
        for flag, kind, metavar, says in _REQUIRED:
            add_flag(verb, flag, says, kind=kind, metavar=metavar, required=True)
        for flag, kind, metavar, says in _OPTIONAL:
            add_flag(verb, flag, says, kind=kind, metavar=metavar)
    add_without_svid(check)
    _add_published(program)
    return program


def _add_published(program: Program) -> None:
    does = "say whether a model was published at its output: a probe"
    published = program.verb("published", does)
    published.story(
        """
Say whether a model was published at its output: whether the folder is there and read-only. What is in
it was compared before, by the run that published it, and is not read again. The startup probe runs this
inside the sidecar's own container, since a port of the pod could be answered by others.
""",
        "trustkit-sidecar published --output /trustkit/models/0/model",
        done="published",
        refused="not published yet",
    )
    flag, kind, metavar, says = _OUTPUT
    add_flag(published, flag, says, kind=kind, metavar=metavar, required=True)


def _reference(untrusted: str) -> Reference:
    from trustkit.artifact.reference import parse_reference

    reference = parse_reference(untrusted)
    _pin_of(reference)
    return reference


def _pin_of(reference: Reference) -> Digest:
    if reference.digest is None:
        raise UsageError("bad-arguments", "argument --reference: append @sha256: and the manifest digest")
    return reference.digest


def _output(path: Path) -> Path:
    if path.name in {"", ".."}:
        raise UsageError("bad-arguments", "argument --output: the last component must be a new name")
    return path


def _told(parse: Callable[[str], T], untrusted: str) -> T:
    try:
        return parse(untrusted)
    except FormatError as error:
        raise argparse.ArgumentTypeError(error.message) from None


def _sha256(untrusted: str) -> Digest:
    from trustkit.digest import parse_digest

    digest = _told(parse_digest, untrusted)
    if digest.algorithm != "sha256":
        raise argparse.ArgumentTypeError("must be a sha256")
    return digest


def _spiffe_id(untrusted: str) -> SpiffeID:
    from trustkit.spiffe.names import parse_spiffe_id

    return _told(parse_spiffe_id, untrusted)


def _listen(untrusted: str) -> Address:
    from trustkit.programs.settings import host_and_port

    found = host_and_port(untrusted)
    if found is None:
        raise argparse.ArgumentTypeError("must be HOST:PORT")
    return Address(*found)


def _address(untrusted: str) -> Address:
    address = _listen(untrusted)
    if address.port == 0:
        raise argparse.ArgumentTypeError("must be HOST:PORT with a port from 1")
    return address


def _seconds(untrusted: str) -> float:
    return float(_number(untrusted, 86_400))


def _workers(untrusted: str) -> int:
    return _number(untrusted, 64)


def _size(untrusted: str) -> int:
    return _number(untrusted, 1 << 53)


def _number(untrusted: str, most: int) -> int:
    plain = untrusted.isascii() and untrusted.isdigit() and len(untrusted) <= 16
    if not plain or not 1 <= int(untrusted) <= most:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {most}")
    return int(untrusted)


_Flag = tuple[str, Callable[[str], object], str, str]

_OUTPUT: _Flag = ("--output", path, "PATH", "where the model appears, read-only, once every byte was checked")
_REQUIRED: tuple[_Flag, ...] = (
    ("--reference", text, "REFERENCE", "trust://HOST[:PORT]/PATH@sha256:<manifest digest>"),
    _OUTPUT,
    ("--policy", path, "FILE", "verification policy: whom to believe"),
    ("--policy-digest", _sha256, "DIGEST", "what that file must be"),
    ("--trust-bundle", path, "FILE", "CA certificates of the trust domain"),
    ("--trust-bundle-digest", _sha256, "DIGEST", "what that file must be"),
    ("--store-id", _spiffe_id, "SPIFFE-ID", "who the store must prove to be"),
    ("--broker", _address, "HOST:PORT", "where the key broker answers"),
    ("--broker-id", _spiffe_id, "SPIFFE-ID", "who the broker must prove to be"),
    ("--svid-directory", path, "FOLDER", "our own svid.pem and svid_key.pem"),
    ("--health", _listen, "HOST:PORT", "where /healthz and /readyz answer; port 0 takes any"),
)
_OPTIONAL: tuple[_Flag, ...] = (
    (
        "--descriptor-digest",
        _sha256,
        "DIGEST",
        "of a sealed model's descriptor, as trustkit seal prints it; a plain model has none",
    ),
    ("--timeout-seconds", _seconds, "SECONDS", "how long one answer may take (30)"),
    ("--budget-seconds", _seconds, "SECONDS", "how long what is unavailable is tried again (120)"),
    ("--workers", _workers, "COUNT", "threads that fetch (one a core, at most 4)"),
    ("--plain-max-bytes", _size, "BYTES", "largest plain model (what is free on the output's disk)"),
)
