"""Everything a broker needs, built from its configuration: what fails here fails at start.

The law of this file: the policy holds its keys inline, because its digest goes
into every record; passphrases come from files alone; rules that do not answer,
or allow an empty document, are not served.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trustkit.artifact.inputs import of_file, read_input
from trustkit.broker.config import Config, OpenerConfig, check_grants
from trustkit.broker.openers import openers_from
from trustkit.broker.release import Broker, Terms
from trustkit.deciding.decision import BROKER, decide, demand_denial_of_nothing
from trustkit.deciding.record import RecordFile
from trustkit.deciding.wasm import MAX_BYTES as RULES_MAX_BYTES
from trustkit.deciding.wasm import WasmEngine, packaged_bundle
from trustkit.errors import Evidence, TrustkitError, UsageError
from trustkit.sealing.recipients import Opener
from trustkit.spiffe.names import demand_own_domain
from trustkit.spiffe.svid import SVIDSource
from trustkit.verifying.policy import MAX_BYTES as POLICY_MAX_BYTES
from trustkit.verifying.policy import VerificationPolicy, parse_policy

_SVID_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Composed:
    """A broker that is ready to serve, the source of its identity, and what it was built from."""

    broker: Broker
    source: SVIDSource
    summary: dict[str, Evidence]


def compose(
    config: Config,
    *,
    clock: Callable[[], float],
    monotonic: Callable[[], float],
    alarm: Callable[[TrustkitError], None],
) -> Composed:
    """Load and check everything the configuration names.

    Args:
        config: The configuration.
        clock: Seconds since the epoch, for SVIDs and records.
        monotonic: A monotonic clock (seconds), for services that hold keys.
        alarm: Told of what the operator must look at: an SVID that was not taken, a record that fails, a
            service that does not open.

    Raises:
        TrustkitError: Whatever is missing, unreadable or wrong.
    """
    parts = _parts(config, clock=clock, monotonic=monotonic)
    source = SVIDSource(
        lambda name: _svid_file(config, name), clock, alarm=alarm, place=str(config.svid_directory)
    )
    identity = source.current().spiffe_id
    demand_own_domain(
        identity, ((f"config.grants[{n}].spiffe_id", one.spiffe_id) for n, one in enumerate(config.grants))
    )
    terms = Terms(
        policy=parts.policy,
        rules=lambda facts: decide(parts.engine, BROKER, facts),
        grants=config.grants,
        openers=parts.openers,
        trust_domain=identity.trust_domain,
    )
    return Composed(
        Broker(
            terms,
            record=parts.record.append,
            body_max_bytes=config.limits.body_max_bytes,
            now=clock,
            alarm=alarm,
        ),
        source,
        {"spiffe_id": str(identity), **parts.summary},
    )


def examined(
    config: Config, *, clock: Callable[[], float], monotonic: Callable[[], float]
) -> dict[str, Evidence]:
    """Load and check everything but our own SVID, and return what was found; arguments as for `compose`.

    Raises:
        TrustkitError: Whatever is missing, unreadable or wrong.
    """
    return _parts(config, clock=clock, monotonic=monotonic).summary


@dataclass(frozen=True, slots=True)
class _Parts:
    """What needs no SVID."""

    policy: VerificationPolicy
    openers: tuple[Opener, ...]
    engine: WasmEngine
    record: RecordFile

    @property
    def summary(self) -> dict[str, Evidence]:
        return {
            "policy_digest": str(self.policy.digest),
            "rules_digest": str(self.engine.digest),
            "openers": [str(opener.key_id) for opener in self.openers],
        }


def _parts(config: Config, *, clock: Callable[[], float], monotonic: Callable[[], float]) -> _Parts:
    policy = _policy(config)
    check_grants(config.grants, policy)
    openers = openers_from(config, monotonic=monotonic)
    _check_apart(config, openers, policy)
    record = RecordFile(config.record, clock=clock)
    parts = _Parts(policy, openers, _engine(config), record)
    record.check()
    return parts


def _check_apart(config: Config, openers: tuple[Opener, ...], policy: VerificationPolicy) -> None:
    """Refuse a key that both signs and opens: whoever leaks one of its uses leaks the other."""
    signing = policy.signing()
    for index, (opener, said) in enumerate(zip(openers, config.openers, strict=True)):
        if opener.key_id in signing:
            name = f" {str(said.file)!r}" if isinstance(said, OpenerConfig) else ""
            raise UsageError(
                "recipient-signs",
                f"config.openers[{index}]{name} is a key that signs for the policy, or that of a root in it; "
                "open with a pair of its own, of `trustkit key generate --type x25519`",
                field=f"config.openers[{index}]",
            )


def _policy(config: Config) -> VerificationPolicy:
    raw = read_input(config.policy, max_bytes=POLICY_MAX_BYTES, what="policy")
    with of_file(config.policy):
        return parse_policy(raw, read_file=_no_other_file)


def _no_other_file(name: str) -> bytes:
    """A key in a file of its own would escape the policy's digest, which every record names."""
    raise UsageError(
        "policy-not-self-contained", f"the policy must hold its keys inline (key.pem), not in {name!r}"
    )


def _engine(config: Config) -> WasmEngine:
    if config.rules is None:
        raw = packaged_bundle()
    else:
        raw = read_input(config.rules, max_bytes=RULES_MAX_BYTES, what="rules bundle")
    engine = WasmEngine.load(raw)
    demand_denial_of_nothing(engine, BROKER)
    return engine


def _svid_file(config: Config, name: str) -> bytes:
    return read_input(config.svid_directory / name, max_bytes=_SVID_MAX_BYTES, what="SVID")
