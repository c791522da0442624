"""Whether a key is released, and to whom: a numbered list. The only place where an opener is used.

    1. The request parses within its cap.            stops bombs, and requests with two readings
    2. Descriptor and author's bundle verify under   stops a wrapped key dressed in a descriptor of the
       the broker's own policy.                      asker's making (the broker as an oracle)
    3. The asker is pinned to that very manifest.    stops a mix-up of two artifacts, however it came about
    4. The rules allow it, for the SPIFFE ID that    stops a workload that asks for a key that is another's;
       mutual TLS proved, on facts from proofs.      no answer of the rules is a denial
    5. The record holds the decision, on disk.       stops a release without a trace: no record, no answer
    6. The key is unwrapped in the context of the    stops a wrapped key of another artifact, and a key that
       proof, by a key that signed nothing of it,    is not the one that sealed this one
       and fits the signed commitment.
    7. It is wrapped again, in the same context, to  stops whoever sees the answer: a proxy, a log, a
       the key the asker made for this request.      recorded connection

The law of this file: no step is left out, none is moved, and nothing that was
refused is silent. Who has no grant is turned away unread, and leaves a record:
a line in a minute and a count (`trustkit.broker.strangers`). Whatever can be
read as a request leaves its own, whatever becomes of it; of several entries for
one request, each names the one before it in ``after``, and the last one is what
was answered (`trustkit.programs.answer`). The record
holds identities, names, digests and codes; the key is in memory between steps 6
and 7 alone, in a buffer that is wiped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trustkit.broker.config import Grant
from trustkit.broker.openers import demand_apart, in_time
from trustkit.broker.strangers import Strangers
from trustkit.deciding.decision import Decision
from trustkit.deciding.facts import release_facts
from trustkit.digest import Digest, digest_of
from trustkit.errors import DeniedError, TrustkitError, UnavailableError, VerificationError
from trustkit.programs.answer import Answer
from trustkit.programs.deadline import Deadline
from trustkit.sealing.recipients import Opener, recipient_from_raw, unwrap_document
from trustkit.sealing.release import ReleaseAnswer, ReleaseRequest, answer_to_bytes, parse_request
from trustkit.spiffe.names import SpiffeID
from trustkit.strictjson import Object, Value
from trustkit.verifying.policy import VerificationPolicy
from trustkit.verifying.sealed import VerifiedSealed, verify_sealed

EVENT = "key-release"
"""What the entries of this face are called in a record."""
_NO_DECISION = "no-decision"
"""The rules were late, busy or broken: nothing was decided, so the asker may come again."""

Rules = Callable[[Object], Decision]
"""The rules with their entry point bound; undefined, late or malformed answers are already a denial."""
Append = Callable[[Object], Digest]
"""Writes one entry durably and returns its digest, or raises."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Under what the broker releases: whom it believes, what it may, and who is to have what.

    Attributes:
        policy: Whom to believe as author and as publisher, for which lines.
        rules: The compiled rules.
        grants: Who is to have what; the rules see those of the peer that asks.
        openers: The private keys that stored keys are wrapped for.
        trust_domain: The broker's own.
    """

    policy: VerificationPolicy
    rules: Rules
    grants: tuple[Grant, ...]
    openers: Sequence[Opener]
    trust_domain: str


class Broker:
    """Releases keys under fixed terms; safe to use from several threads.

    Args:
        terms: Under what.
        record: Where every decision goes before it is answered.
        body_max_bytes: Largest request (bytes).
        now: Seconds since the epoch, for certificates of signers.
        alarm: Told of what the operator must look at, and the asker must not see.
    """

    def __init__(
        self,
        terms: Terms,
        *,
        record: Append,
        body_max_bytes: int,
        now: Callable[[], float],
        alarm: Callable[[TrustkitError], None],
    ) -> None:
        self._terms = terms
        self._granted = frozenset(grant.spiffe_id for grant in terms.grants)
        self._append = record
        self._max_bytes = body_max_bytes
        self._now = now
        self._alarm = alarm
        self._strangers = Strangers(self._turn_away, now)

    def knows(self, peer: SpiffeID) -> bool:
        """Say whether any grant names this peer: nobody else is read at all."""
        return peer in self._granted

    def turned_away(self, peer: SpiffeID) -> DeniedError:
        """Record or count that a peer came whom no grant names, and return why it is refused unread.

        Raises:
            UnavailableError: The record cannot be written.
        """
        self._strangers.refuse(peer)
        return DeniedError("no-grant", f"no grant names {peer}; ask the operator of the broker")

    def catch_up(self, *, everything: bool) -> bool:
        """Record what was counted of peers without a grant, and say whether any of them is still counted.

        Args:
            everything: Whether also those are written whose minute is not over.

        Raises:
            UnavailableError: The record cannot be written.
        """
        return self._strangers.catch_up(everything=everything)

    def release(
        self,
        peer: SpiffeID,
        untrusted_body: bytes,
        deadline: Deadline,
        answer: Answer[TrustkitError] | None = None,
    ) -> bytes:
        """Answer one request, or refuse it.

        Args:
            peer: Who asks, as mutual TLS proved it.
            untrusted_body: The request.
            deadline: Asked before every step that costs something.
            answer: Where whoever waits may have answered instead: that is recorded last then, and raised.

        Returns:
            The body of the answer.

        Raises:
            FormatError, LimitError: The request, or a document in it, does not parse.
            VerificationError: A document does not verify, or is not the pinned artifact's.
            DeniedError: The rules said no; the code is that of their first reason.
            SealError: No opener fits, or the wrapped key is another's.
            UnavailableError: ``deadline``, ``no-decision``, the record cannot be written, or a service does
                not open.
        """
        request = parse_request(untrusted_body, max_bytes=self._max_bytes)  # step 1
        trail = _Trail(self._record, self._account(peer, request))
        answer = answer or Answer()
        try:
            released = self._released(peer, request, deadline, trail)
        except TrustkitError as error:
            trail.agree(answer, said=error)
            raise
        trail.agree(answer, said=None)
        return released

    def _released(self, peer: SpiffeID, request: ReleaseRequest, deadline: Deadline, trail: _Trail) -> bytes:
        try:
            deadline.check()
            policy, at = self._terms.policy, self._now()
            proof = verify_sealed(request.documents, policy, at=at, max_bytes=self._max_bytes)  # step 2
            _same(proof, request)  # step 3
            deadline.check()
        except TrustkitError as error:
            trail.refused(error)
            raise
        trail.account |= {"line": proof.descriptor.line, "version": proof.descriptor.version}
        record = self._decided(peer, proof, trail)  # steps 4 and 5
        try:
            deadline.check()
            wrapped = self._wrapped(request, proof, deadline)  # steps 6 and 7
        except TrustkitError as error:
            trail.refused(error)
            raise
        return answer_to_bytes(ReleaseAnswer(wrapped, record))

    def _turn_away(self, peer: SpiffeID, left_out: int) -> None:
        account = self._account(peer, None)
        self._record({**account, "decision": "denied", "codes": ["no-grant"], "left_out": left_out})

    def _account(self, peer: SpiffeID, request: ReleaseRequest | None) -> Object:
        """Say who asked for what, before anything of it is believed: digests are of the bytes that came."""
        manifest = str(request.manifest_digest) if request else ""
        descriptor = str(digest_of(request.documents.descriptor)) if request else ""
        return {
            "event": EVENT,
            "peer": str(peer),
            "line": "",
            "version": 0,
            "manifest_digest": manifest,
            "descriptor_digest": descriptor,
            "policy_digest": str(self._terms.policy.digest),
            "rules_digest": "",
        }

    def _decided(self, peer: SpiffeID, proof: VerifiedSealed, trail: _Trail) -> Digest:
        # Grants of others can allow nothing here, and all of them might not fit the rules' memory.
        grants = [grant.to_object() for grant in self._terms.grants if grant.spiffe_id == peer]
        decision = self._terms.rules(release_facts(str(peer), self._terms.trust_domain, proof, grants))
        codes: list[Value] = [violation.code for violation in decision.violations]
        trail.account |= {"rules_digest": str(decision.rules_digest)}
        undecided = not decision.allowed and codes == [_NO_DECISION]
        outcome = "allowed" if decision.allowed else "unavailable" if undecided else "denied"
        record = trail.write(outcome, codes)
        if undecided:
            raise UnavailableError("no-decision", decision.violations[0].message)
        if not decision.allowed:
            raise _denied(decision)
        return record

    def _record(self, entry: Object) -> Digest:
        """Write an entry; what goes wrong with our own file is our operator's business, not the asker's."""
        try:
            return self._append(entry)
        except TrustkitError as error:
            self._alarm(error)
            raise UnavailableError(
                "record-failed", "the decision cannot be recorded, so there is none; look at the broker"
            ) from None

    def _wrapped(self, request: ReleaseRequest, proof: VerifiedSealed, deadline: Deadline) -> bytes:
        context = proof.descriptor.context
        signed = {proof.descriptor.publisher_key, *(author.fingerprint for author in proof.author.signers)}
        demand_apart(self._terms.openers, signed, self._alarm)
        openers = in_time(self._terms.openers, deadline, self._alarm)
        with unwrap_document(request.documents.recipients, context, openers) as dek:
            return recipient_from_raw(request.ephemeral_key).wrap(dek, context.to_bytes())


@dataclass(slots=True)
class _Trail:
    """What is recorded of one request, entry by entry.

    Attributes:
        append: Records.
        account: What every entry holds, so far as it is known.
        last: The entry before.
    """

    append: Append
    account: Object
    last: Digest | None = None

    def write(self, outcome: str, codes: list[Value]) -> Digest:
        after: Object = {} if self.last is None else {"after": str(self.last)}
        self.last = self.append({**self.account, **after, "decision": outcome, "codes": codes})
        return self.last

    def refused(self, error: TrustkitError) -> None:
        self.write("unavailable" if isinstance(error, UnavailableError) else "refused", [error.code])

    def agree(self, answer: Answer[TrustkitError], *, said: TrustkitError | None) -> None:
        """Let what is recorded be the answer; where another was given meanwhile, record and raise that."""
        late = answer.give()
        if late is not None:
            if said is None or said.code != late.code:
                self.refused(late)
            raise late


def _denied(decision: Decision) -> DeniedError:
    if not decision.violations:
        return DeniedError("denied", "the rules did not allow this release and gave no reason")
    reasons = (
        f"[{violation.code}] {violation.message}" + (f"; {violation.remedy}" if violation.remedy else "")
        for violation in decision.violations
    )
    return DeniedError(decision.violations[0].code, " ".join(reasons))


def _same(proof: VerifiedSealed, request: ReleaseRequest) -> None:
    if not proof.manifest_digest.matches(request.manifest_digest):
        raise VerificationError(
            "digest-mismatch",
            f"the documents are of the artifact {proof.manifest_digest}, the request is about another one",
        )
