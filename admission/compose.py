"""Everything the webhook needs, built from its configuration: what fails here fails at start.

The law of this file: the policy holds its keys inline, because its digest is
what sidecars are told to trust; rules that do not answer, or allow an empty
document, are not served; and a store is reached with today's SVID, as the exact
machine that was configured, once, within the time that is left.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from admission.config import Config
from admission.deadline import Clocks
from admission.decide import Judge, Record, Rules, Verdict
from admission.evidence import Connect, Documents, EvidenceCache, EvidenceRoom
from admission.reading import Reading
from admission.review import Review
from admission.sidecar import Plan
from trustkit.artifact.inputs import of_file, read_input
from trustkit.artifact.reference import Reference
from trustkit.deciding.decision import ADMISSION, MAX_TEXT, decide, demand_denial_of_nothing
from trustkit.deciding.record import RecordFile
from trustkit.deciding.wasm import MAX_BYTES as RULES_MAX_BYTES
from trustkit.deciding.wasm import WasmEngine, packaged_bundle
from trustkit.digest import Digest, digest_of
from trustkit.errors import TrustkitError, UnavailableError, UsageError
from trustkit.programs.deadline import Deadline
from trustkit.spiffe import chains
from trustkit.spiffe.mtls import client_context
from trustkit.spiffe.names import SpiffeID, demand_own_domain, parse_spiffe_id
from trustkit.spiffe.svid import SVID, SVIDSource
from trustkit.storage.http import HTTPSource
from trustkit.strictjson import Object
from trustkit.verifying.policy import MAX_BYTES as POLICY_MAX_BYTES
from trustkit.verifying.policy import VerificationPolicy, parse_policy
from trustkit.workflows.naming import exempted_by, table_and_bases

MAX_RECORDED = 50
"""Most violations that are written into a record; all are counted."""


@dataclass(frozen=True, slots=True)
class Composed:
    """A judge that is ready, and what it was built from."""

    judge: Judge
    summary: Object


def compose(config: Config, *, clocks: Clocks, alarm: Callable[[TrustkitError], None]) -> Composed:
    """Load and check everything the configuration names.

    Args:
        config: The configuration.
        clocks: The clocks.
        alarm: Told of a new SVID that could not be taken while we run, of a record that is wrong, and of
            rows of the operator's own that take something out of judgement.

    Raises:
        TrustkitError: Whatever is missing, unreadable or wrong.
    """
    policy = _policy(config)
    stores = _Stores(config, clocks, alarm)
    plan = Plan(config.sidecar, config.stores, policy.digest, _trust_bundle(config, stores.identity))
    engine = _engine(config)
    reading = _reading(config, alarm)
    judge = Judge(
        room=_room(config, clocks, policy, stores.connect),
        plan=plan,
        rules=_rules(engine),
        reading=reading,
        strict_volumes=config.strict_volumes,
        alarm=alarm,
        record=_record(config, clocks, _under(plan, engine.digest, reading)),
    )
    return Composed(judge, _summary(plan, engine.digest, reading, stores.identity))


def without_stores(config: Config, *, clocks: Clocks, alarm: Callable[[TrustkitError], None]) -> Judge:
    """Build a judge that asks no store and needs no SVID; nothing is recorded. Arguments as for `compose`.

    What only a store can prove is denied, as one that could not tell; so nothing is ever proven, and no
    sidecar is told which trust bundle it may believe.

    Raises:
        TrustkitError: Whatever is missing, unreadable or wrong.
    """
    policy = _policy(config)
    return Judge(
        room=_room(config, clocks, policy, _nobody),
        plan=Plan(config.sidecar, config.stores, policy.digest, digest_of(b"")),
        rules=_rules(_engine(config)),
        reading=_reading(config, alarm),
        strict_volumes=config.strict_volumes,
        alarm=alarm,
    )


def _nobody(reference: Reference, deadline: Deadline) -> Documents:  # noqa: ARG001 - as `Connect` has it
    raise UnavailableError("store-not-asked", "only its store can prove it, and no store was asked")


def _room(config: Config, clocks: Clocks, policy: VerificationPolicy, connect: Connect) -> EvidenceRoom:
    return EvidenceRoom(
        policy,
        connect,
        allowed_hosts=frozenset(store.host for store in config.stores),
        document_max_bytes=config.document_max_bytes,
        cache=EvidenceCache(
            entries=config.cache_entries, seconds=config.cache_seconds, clock=clocks.monotonic
        ),
        now=clocks.now,
    )


def examined(config: Config, *, clocks: Clocks, alarm: Callable[[TrustkitError], None]) -> Object:
    """Load and check everything but our own SVID, and return what was found; arguments as for `compose`.

    A trust bundle in the SVID directory is a part of that.

    Raises:
        TrustkitError: Whatever is missing, unreadable or wrong.
    """
    policy, engine, reading = _policy(config), _engine(config), _reading(config, alarm)
    _record(config, clocks, {})
    found: Object = {
        "policy_digest": str(policy.digest),
        "rules_digest": str(engine.digest),
        **reading.digests,
    }
    if config.trust_bundle.parent == config.svid_directory:
        return found
    return {**found, "trust_bundle_digest": str(_trust_bundle(config, None))}


def _under(plan: Plan, rules: Digest, reading: Reading) -> Object:
    """What decisions are made under."""
    return {"policy_digest": str(plan.policy_digest), "rules_digest": str(rules), **reading.digests}


def _summary(plan: Plan, rules: Digest, reading: Reading, identity: SpiffeID) -> Object:
    return {
        "spiffe_id": str(identity),
        **_under(plan, rules, reading),
        "trust_bundle_digest": str(plan.trust_bundle_digest),
    }


def _policy(config: Config) -> VerificationPolicy:
    raw = read_input(config.policy, max_bytes=POLICY_MAX_BYTES, what="policy")
    with of_file(config.policy):
        return parse_policy(raw, read_file=_no_other_file)


def _no_other_file(name: str) -> bytes:
    """A key in a file of its own would escape the policy's digest, which every sidecar checks."""
    raise UsageError(
        "policy-not-self-contained", f"the policy must hold its keys inline (key.pem), not in {name!r}"
    )


def _trust_bundle(config: Config, identity: SpiffeID | None) -> Digest:
    """Return the digest of the bundle that sidecars are told to trust, if it is of our trust domain."""
    raw = read_input(config.trust_bundle, max_bytes=chains.MAX_BYTES, what="trust bundle")
    with of_file(config.trust_bundle):
        anchors = chains.parse_certificates(raw, "the trust bundle", most=chains.MAX_ANCHORS)
        if identity is not None:
            chains.check_anchors(anchors, identity.trust_domain)
    return digest_of(raw)


def _reading(config: Config, alarm: Callable[[TrustkitError], None]) -> Reading:
    """The table with what the operator added, and the objects that others are merged with."""
    table, bases = table_and_bases(config.table, config.bases)
    for told in exempted_by(table, config.table):
        alarm(UsageError("table-exempts", told))
    return Reading(table, bases)


def _engine(config: Config) -> WasmEngine:
    if config.rules is None:
        bundle = packaged_bundle()
    else:
        bundle = read_input(config.rules, max_bytes=RULES_MAX_BYTES, what="bundle of rules")
    engine = WasmEngine.load(bundle, instances=config.workers)
    demand_denial_of_nothing(engine, ADMISSION)
    return engine


def _rules(engine: WasmEngine) -> Rules:
    return lambda facts: decide(engine, ADMISSION, facts)


class _Stores:
    """The allowed stores, each reached over mutual TLS as the machine that was configured for its host."""

    def __init__(self, config: Config, clocks: Clocks, alarm: Callable[[TrustkitError], None]) -> None:
        self._clocks = clocks
        self._timeout = config.fetch_timeout_seconds
        self._identities = {store.host: parse_spiffe_id(store.spiffe_id) for store in config.stores}
        self._source = SVIDSource(
            lambda name: read_input(config.svid_directory / name, max_bytes=chains.MAX_BYTES, what="SVID"),
            clocks.now,
            alarm=alarm,
            place=str(config.svid_directory),
        )
        self.identity = self._source.current().spiffe_id
        named = [(f"config.stores[{n}]", one) for n, one in enumerate(self._identities.values())]
        broker = parse_spiffe_id(config.sidecar.broker_id)
        demand_own_domain(self.identity, [*named, ("config.sidecar.broker_id", broker)])
        self._built: tuple[SVID, ssl.SSLContext] | None = None

    def connect(self, reference: Reference, deadline: Deadline) -> HTTPSource:
        """Return the folder of a reference whose host is allowed; nothing travels before it is asked."""
        return HTTPSource(
            reference,
            context_of=self._context,
            expected=self._identities[reference.host],
            timeout_seconds=min(self._timeout, deadline.left),
            clock_now=self._clocks.now,
            monotonic=self._clocks.monotonic,
        )

    def _context(self) -> ssl.SSLContext:
        """Today's context; built once for each SVID, since threads may share it."""
        svid = self._source.current()
        built = self._built
        if built is None or built[0] is not svid:
            built = self._built = (svid, client_context(svid))
        return built[1]


def _record(config: Config, clocks: Clocks, under: Object) -> Record | None:
    if config.record is None:
        return None
    file = RecordFile(config.record, clock=clocks.now)
    file.check()

    def record(review: Review, verdict: Verdict, /) -> None:
        file.append(entry_of(review, verdict) | under)

    return record


def entry_of(review: Review, verdict: Verdict) -> Object:
    """Return what a record keeps of one decision: who asked for what, the models, and why not."""
    return {
        "kind": "admission",
        "uid": review.uid,
        "operation": review.operation,
        "subresource": review.subresource,
        "object": {"kind": review.kind, "namespace": review.namespace, "name": review.name},
        "allowed": verdict.allowed,
        "reason": verdict.reason,
        "models": [*verdict.audit.get("models", "").split()],
        "violations": [
            {"code": violation.code, "message": violation.message[:MAX_TEXT]}
            for violation in verdict.violations[:MAX_RECORDED]
        ],
        "violation_count": len(verdict.violations),
    }
