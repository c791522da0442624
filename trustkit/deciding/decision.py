"""May it: the rules' answer as a value, and every way of not getting one as a denial.

The law of this file: `decide` returns a decision that allows only if the rules
answered exactly ``{"allowed": true, "violations": []}``. Undefined, late, null,
a member more or less, an exception of whatever kind: all of that is *no*, with
a violation that says so. Nothing here has a default that allows, and nothing a
rule says reaches a person unchecked: codes are kebab-case, texts are cut and
cannot paint over a terminal (facts: threats, F01 and F07).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from trustkit.digest import Digest
from trustkit.errors import DeniedError, TrustkitError, UnavailableError, UsageError
from trustkit.strictjson import Object, Value

ADMISSION = "trustkit/admission/decision"
"""Entry point of the rules about objects that name models."""
BROKER = "trustkit/broker/decision"
"""Entry point of the rules about the release of keys."""
MAX_VIOLATIONS = 2_000
"""Most violations that are read of one answer: more than the extractor finds in one object."""
MAX_TEXT = 1_024
"""Longest message or remedy that is carried on (characters)."""

MAX_CODE = 64
"""Longest code of a violation (characters)."""

_CODE = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_MEMBERS = frozenset(("code", "message", "remedy"))
_ASK = "look at the rules, or report this"


class Engine(Protocol):
    """What evaluates compiled rules."""

    @property
    def digest(self) -> Digest:
        """Digest of the rules that answer."""

    def evaluate(self, entrypoint: str, facts: Object, /) -> Value:
        """Return what an entry point says of these facts, or raise."""


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """One reason for a denial: a stable code, one line for people, what to do about it."""

    code: str
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome.

    Attributes:
        allowed: Whether it may.
        violations: Why not, sorted, each once; empty exactly where allowed.
        rules_digest: SHA-256 of the compiled rules that were asked.
        unavailable: Whether the rules were asked and could not answer: a "no" that may be tried again.
    """

    allowed: bool
    violations: tuple[Violation, ...]
    rules_digest: Digest
    unavailable: bool = False


def decide(engine: Engine, entrypoint: str, facts: Object) -> Decision:
    """Ask the rules. Never raises; what goes wrong is a denial.

    Args:
        engine: The compiled rules.
        entrypoint: `ADMISSION` or `BROKER`.
        facts: What they may know: `trustkit.deciding.facts` and the faces make it, from proofs.
    """
    allowed, unavailable = False, False
    try:
        allowed, violations = _read(engine.evaluate(entrypoint, facts))
    except TrustkitError as error:
        unavailable = isinstance(error, UnavailableError)
        violations = (Violation(error.code, _shown(error.message), _ASK),)
    except Exception as error:  # noqa: BLE001 - decide is where every exception becomes a denial
        # The class alone: its text may quote the facts.
        violations = (Violation("no-decision", f"the rules failed with {type(error).__name__}", _ASK),)
    return Decision(allowed, violations, engine.digest, unavailable)


def demand_denial_of_nothing(engine: Engine, entrypoint: str) -> None:
    """Refuse, when a face starts, rules that do not answer, or that allow an empty document.

    Raises:
        UsageError: ``bad-rules``.
        UnavailableError: ``no-decision``: they did not answer in time.
    """
    try:
        allowed, _ = _read(engine.evaluate(entrypoint, {}))
    except DeniedError as error:
        raise UsageError("bad-rules", f"asked {entrypoint} about nothing, {error.message}") from None
    if allowed:
        raise UsageError(
            "bad-rules", f"the rules behind {entrypoint} allow an empty document; do not use them"
        )


def _read(answer: Value) -> tuple[bool, tuple[Violation, ...]]:
    """Read an answer, exactly as rules must give it; a boolean is true only if it is `True`."""
    if not isinstance(answer, dict) or answer.keys() != {"allowed", "violations"}:
        raise _odd("gave no decision")
    allowed, entries = answer["allowed"], answer["violations"]
    if not isinstance(allowed, bool) or not isinstance(entries, list) or len(entries) > MAX_VIOLATIONS:
        raise _odd("gave no decision of the form that is read")
    violations = tuple(sorted({_violation(entry) for entry in entries}))
    if allowed and violations:
        raise _odd("allowed what they object to")
    if not allowed and not violations:
        return False, (Violation("denied", "the rules did not allow this and gave no reason", _ASK),)
    return allowed, violations


def _violation(entry: Value) -> Violation:
    texts = list(entry.values()) if isinstance(entry, dict) else []
    if not isinstance(entry, dict) or entry.keys() != _MEMBERS or not all(isinstance(t, str) for t in texts):
        raise _odd("gave a reason without code, message and remedy")
    code, message, remedy = (str(entry[name]) for name in ("code", "message", "remedy"))
    if len(code) > MAX_CODE or _CODE.fullmatch(code) is None or not message:
        raise _odd("gave a reason whose code or message cannot be shown")
    return Violation(code, _shown(message), _shown(remedy))


def _shown(untrusted: str) -> str:
    """Cut, and keep one line that paints over nothing."""
    text = untrusted[:MAX_TEXT]
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown if len(untrusted) <= MAX_TEXT else f"{shown[:-4]} ..."


def _odd(why: str) -> DeniedError:
    return DeniedError("no-decision", f"the rules {why}")
