"""The walk of one AdmissionReview: extraction, evidence, facts, rules, decision (architecture, section 10).

    1. DELETE and CONNECT bring no pod; an update that changes neither the pod nor
       what it names was judged before. Both pass, and neither needs the network.
    2. The extractor lists every model, and every place it could not read.
    3. Each distinct reference is proven or not, under one deadline.
    4. Facts are built from proofs and plain metadata alone; the rules decide.
    5. `mutate` patches what was allowed; `validate` compares the final object.

The law of this file: every exception becomes a denial. Nothing here has a
default that allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from admission.crowd import MAX_MODELS, check_crowd
from admission.evidence import EvidenceRoom, Finding, Proven, remedy_for
from admission.facts import facts_for
from admission.mutate import patch_for
from admission.reading import Reading
from admission.review import Review
from admission.sidecar import Plan
from admission.validate import altered, remaining
from trustkit import strictjson
from trustkit.deciding.decision import Decision, Violation
from trustkit.errors import EXIT_BUG, DeniedError, TrustkitError, UnavailableError
from trustkit.programs.answer import Answer
from trustkit.programs.deadline import Deadline
from trustkit.strictjson import Object
from trustkit.workloads.values import Extraction, ModelReference

Hook = Literal["mutate", "validate"]
Rules = Callable[[Object], Decision]
"""The rules with their entry point bound; undefined, late or malformed answers are already a denial."""


class Record(Protocol):
    """Where decisions are written: each before it is answered, but a denial for lateness after it.

    That one is written when the judge is done, by himself. What is denied unjudged, because too much is
    asked for at once, is not written (`admission.overload`).
    """

    def __call__(self, review: Review, verdict: Verdict, /) -> None:
        """Write one decision durably, or raise."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is answered to one review.

    Attributes:
        allowed: Whether the object may be stored.
        violations: Why not; empty exactly where allowed.
        patch: Operations, only where allowed and only from the mutating hook.
        warnings: Lines for people.
        audit: Annotations for the audit log.
        reason: ``judged``, ``unchanged``, ``not-judged`` or ``error``.
        denied_with: Exit status of the class of a denial (architecture, section 5): 5 only where nothing
            was refused, and so the same question may be answered otherwise later.
    """

    allowed: bool
    violations: tuple[Violation, ...] = ()
    patch: tuple[Object, ...] = ()
    warnings: tuple[str, ...] = ()
    audit: Mapping[str, str] = field(default_factory=dict)
    reason: str = "judged"
    denied_with: int = DeniedError.exit_code

    @property
    def message(self) -> str:
        """The violations for people: one line each, code first, remedy last."""
        return "\n".join(
            f"[{violation.code}] {violation.message}" + (f"; {violation.remedy}" if violation.remedy else "")
            for violation in self.violations
        )


def denial(code: str, message: str, exit_code: int = DeniedError.exit_code) -> Verdict:
    """Build a denial that no rule had to speak; *exit_code* is that of its class."""
    violations = (Violation(code, message, remedy_for(code)),)
    return Verdict(allowed=False, violations=violations, reason="error", denied_with=exit_code)


class Judge:
    """Judges reviews under one policy, one plan and one set of rules; safe to use from several threads."""

    def __init__(
        self,
        *,
        room: EvidenceRoom,
        plan: Plan,
        rules: Rules,
        reading: Reading | None = None,
        strict_volumes: bool = False,
        alarm: Callable[[TrustkitError], None],
        record: Record | None = None,
    ) -> None:
        self._room = room
        self._plan = plan
        self._rules = rules
        self._reading = reading or Reading()
        self._strict = strict_volumes
        self._alarm = alarm
        self._record = record

    def judge(
        self, review: Review, hook: Hook, deadline: Deadline, answer: Answer[Verdict] | None = None
    ) -> Verdict:
        """Return the verdict on one review. Never raises; what goes wrong is a denial.

        Args:
            review: The request, untrusted.
            hook: As which hook.
            deadline: When the answer must be there.
            answer: Where whoever waits may have answered instead: that is recorded then, and returned.
        """
        answer = answer or Answer()
        verdict = _guarded(lambda: self._verdict(review, hook, deadline))
        said = answer.late or verdict
        recorded = _guarded(lambda: self._recorded(review, hook, said))
        late = answer.give()
        return recorded if late is None or late is recorded else self._corrected(review, hook, late)

    def _corrected(self, review: Review, hook: Hook, late: Verdict) -> Verdict:
        """Record what was answered instead; where that fails, somebody must hear that the record is wrong."""
        recorded = _guarded(lambda: self._recorded(review, hook, late))
        if recorded is not late:
            self._alarm(
                UnavailableError(
                    "record-failed",
                    f"the review {review.uid} was denied for lateness, and the record does not say so, "
                    f"whatever its last entry of it says: {recorded.message}",
                    uid=review.uid,
                )
            )
        return recorded

    def _recorded(self, review: Review, hook: Hook, verdict: Verdict) -> Verdict:
        """Record what is final: a denial in either hook, an allowance only in the last one."""
        final = hook == "validate" or not verdict.allowed
        if self._record is not None and final and not review.dry_run and verdict.reason != "not-judged":
            self._record(review, verdict)
        return verdict

    def _verdict(self, review: Review, hook: Hook, deadline: Deadline) -> Verdict:
        if review.operation in {"DELETE", "CONNECT"}:
            return Verdict(allowed=True, reason="not-judged")  # step 1
        if review.object is None:
            return denial("bad-review", f"{review.operation} without an object")
        for subject in filter(None, (review.object, review.old_object)):
            check_crowd(subject, check=deadline.check)
        extraction = self._reading.references(review.object, review.namespace, check=deadline.check)  # step 2
        if _unchanged(review, extraction, self._reading, deadline):
            return Verdict(allowed=True, reason="unchanged")  # step 1
        findings = self._findings(extraction, review.namespace, deadline)  # step 3
        proven = {text: finding.proven for text, finding in findings.items() if finding.proven is not None}
        facts = facts_for(review, extraction, findings, reading=self._reading, strict_volumes=self._strict)
        decision = self._rules(facts)  # step 4
        try:
            deadline.check()
            objections = self._objections(review, hook, extraction, proven, check=deadline.check)  # step 5
            judged = _Judged(extraction, findings, proven, decision, objections)
            return self._final(review, hook, judged, check=deadline.check)
        except UnavailableError as error:
            return _too_late(error, findings, decision)

    def _findings(self, extraction: Extraction, namespace: str, deadline: Deadline) -> dict[str, Finding]:
        texts = list(dict.fromkeys(model.reference for model in extraction.models if model.scheme == "trust"))
        found: dict[str, Finding] = {}
        for index, text in enumerate(texts):
            if index >= MAX_MODELS:
                why = f"the object names more than {MAX_MODELS} models"
                found[text] = Finding("refused", "too-large", why, "split the workload")
            else:
                found[text] = self._room.finding(text, namespace=namespace, deadline=deadline)
        return found

    def _objections(
        self,
        review: Review,
        hook: Hook,
        extraction: Extraction,
        proven: Mapping[str, Proven],
        *,
        check: Callable[[], None],
    ) -> tuple[Violation, ...]:
        """Return what no rule can switch off: our part of a pod is exactly ours, and complete in the end."""
        if review.kind != "Pod" or review.object is None:
            return ()
        found = altered(review.object, proven, self._plan, table=self._reading.table, check=check)
        return found + remaining(review.object, extraction) if hook == "validate" else found

    def _final(self, review: Review, hook: Hook, judged: _Judged, *, check: Callable[[], None]) -> Verdict:
        decision, proven = judged.decision, judged.proven
        violations = (*decision.violations, *judged.objections)
        allowed = decision.allowed is True and not violations
        if not allowed and not violations:
            violations = (
                Violation("denied", "the rules did not allow this and gave no reason", remedy_for("denied")),
            )
        mutating = allowed and hook == "mutate" and review.kind == "Pod" and review.operation == "CREATE"
        table = self._reading.table
        return Verdict(
            allowed=allowed,
            violations=tuple(dict.fromkeys(violations)),
            patch=patch_for(review.object or {}, proven, self._plan, table=table, check=check)
            if mutating
            else (),
            warnings=tuple(
                _warning(model) for model in judged.extraction.models if model.confidence == "possible"
            ),
            audit=_audit(decision, proven, self._plan, self._reading),
            denied_with=_status_of(violations, judged.findings, decision),
        )


@dataclass(frozen=True, slots=True)
class _Judged:
    """What was found out about one object."""

    extraction: Extraction
    findings: Mapping[str, Finding]
    proven: Mapping[str, Proven]
    decision: Decision
    objections: tuple[Violation, ...]


def _status_of(violations: Iterable[Violation], findings: Mapping[str, Finding], decision: Decision) -> int:
    """Return the exit status of a denial: one thing that was refused outweighs all that did not answer."""
    outcomes = [finding.outcome for finding in findings.values()]
    could_not_tell = {finding.code for finding in findings.values() if finding.outcome == "unavailable"}
    if decision.unavailable:
        could_not_tell |= {violation.code for violation in decision.violations}
    codes = {violation.code for violation in violations}
    only_that = codes and codes <= could_not_tell and "refused" not in outcomes
    return UnavailableError.exit_code if only_that else DeniedError.exit_code


def _too_late(error: UnavailableError, findings: Mapping[str, Finding], decision: Decision) -> Verdict:
    """Deny what was not looked at to its end, and keep why the rules denied it: time hides no refusal."""
    late = denial(error.code, error.message, error.exit_code)
    if decision.allowed is True or not decision.violations:
        return late
    violations = tuple(dict.fromkeys((*decision.violations, *late.violations)))
    return replace(
        late, violations=violations, denied_with=_status_of(decision.violations, findings, decision)
    )


def _guarded(step: Callable[[], Verdict]) -> Verdict:
    try:
        return step()
    except TrustkitError as error:
        return denial(error.code, error.message, error.exit_code)
    except Exception as error:  # noqa: BLE001 - decide is where every exception becomes a denial
        # The class alone: its text may quote the object, which may hold secrets.
        return denial("internal-error", f"the webhook failed with {type(error).__name__}", EXIT_BUG)


def _unchanged(review: Review, extraction: Extraction, reading: Reading, deadline: Deadline) -> bool:
    """Skip an update only if what may run is the same, and so is all it names (CVE-2023-34091)."""
    if review.operation != "UPDATE" or review.object is None or review.old_object is None:
        return False
    if _runs(review.object, reading) != _runs(review.old_object, reading):
        return False
    return reading.references(review.old_object, review.namespace, check=deadline.check) == extraction


def _runs(subject: Object, reading: Reading) -> bytes:
    """The pod inside an object; where we know none, all of it but what no workload reads.

    As JSON, and not as Python values: in Python ``1 == True``.
    """
    spec = reading.pod_of(subject).get("spec")
    rest = {name: value for name, value in subject.items() if name not in {"metadata", "status"}}
    return strictjson.to_bytes(rest if spec is None else spec)


def _warning(model: ModelReference) -> str:
    return f"trustkit: {model.path} may carry a model that nobody verified ({model.reason})"


def _audit(decision: Decision, proven: Mapping[str, Proven], plan: Plan, reading: Reading) -> dict[str, str]:
    return {
        "policy-digest": str(plan.policy_digest),
        "rules-digest": str(decision.rules_digest),
        **{name.replace("_", "-"): digest for name, digest in reading.digests.items()},
        "models": " ".join(sorted(proven)),
    }
