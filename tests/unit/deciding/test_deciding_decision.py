"""Every way of not getting a decision is a denial (threats, F01, F02, F07), through real compiled rules."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustkit.deciding import decision
from trustkit.deciding.decision import (
    ADMISSION,
    BROKER,
    MAX_TEXT,
    MAX_VIOLATIONS,
    Violation,
    decide,
    demand_denial_of_nothing,
)
from trustkit.deciding.facts import release_facts
from trustkit.deciding.wasm import WasmEngine
from trustkit.errors import DeniedError, UnavailableError, UsageError

ALLOWED = {"allowed": True, "violations": []}
REASON = {"code": "a-b", "message": "why", "remedy": "what to do"}


def asked(odd, answer):
    return decide(odd, "odd/echo", {"answer": answer})


def test_exactly_one_answer_allows(odd):
    found = asked(odd, ALLOWED)
    assert (found.allowed, found.violations, found.rules_digest) == (True, (), odd.digest)


NOT_ALLOWED = {
    "undefined": {},
    "null": None,
    "true": True,
    "one": 1,
    "a text": "true",
    "a list": [ALLOWED],
    "nothing": {"answer": {}},
    "allowed alone": {"allowed": True},
    "violations alone": {"violations": []},
    "a member more": {**ALLOWED, "more": 1},
    "one for true": {**ALLOWED, "allowed": 1},
    "a text for true": {**ALLOWED, "allowed": "true"},
    "null for true": {**ALLOWED, "allowed": None},
    "violations that are null": {**ALLOWED, "violations": None},
    "violations that are an object": {**ALLOWED, "violations": {}},
    "violations that are false": {**ALLOWED, "violations": False},
    "allowed, with a violation": {**ALLOWED, "violations": [REASON]},
    "allowed, with something": {**ALLOWED, "violations": [None]},
    "too many violations": {
        "allowed": False,
        "violations": [{**REASON, "message": str(n)} for n in range(MAX_VIOLATIONS + 1)],
    },
    "a violation that is a text": {"allowed": False, "violations": ["a-b"]},
    "a violation without a remedy": {"allowed": False, "violations": [{"code": "a", "message": "b"}]},
    "a violation with more": {"allowed": False, "violations": [{**REASON, "more": ""}]},
    "a code that is none": {"allowed": False, "violations": [{**REASON, "code": "A B"}]},
    "a code that is empty": {"allowed": False, "violations": [{**REASON, "code": ""}]},
    "a code that is long": {"allowed": False, "violations": [{**REASON, "code": "a" * 65}]},
    "a code that is a number": {"allowed": False, "violations": [{**REASON, "code": 1}]},
    "a message that is empty": {"allowed": False, "violations": [{**REASON, "message": ""}]},
    "a message that is null": {"allowed": False, "violations": [{**REASON, "message": None}]},
    "a remedy that is a list": {"allowed": False, "violations": [{**REASON, "remedy": []}]},
}


@pytest.mark.parametrize("answer", NOT_ALLOWED.values(), ids=NOT_ALLOWED.keys())
def test_any_other_answer_is_a_denial_that_says_so(odd, answer):
    found = asked(odd, answer) if answer != {} else decide(odd, "odd/echo", {})
    assert not found.allowed
    assert [violation.code for violation in found.violations] == ["no-decision"]
    assert found.violations[0].remedy
    assert found.rules_digest == odd.digest


def test_a_denial_with_reasons_carries_them_sorted_and_once(odd):
    other = {**REASON, "code": "a-a"}
    found = asked(odd, {"allowed": False, "violations": [REASON, other, REASON]})
    assert not found.allowed
    assert found.violations == (Violation("a-a", "why", "what to do"), Violation("a-b", "why", "what to do"))


def test_a_denial_without_a_reason_is_given_one(odd):
    found = asked(odd, {"allowed": False, "violations": []})
    assert [violation.code for violation in found.violations] == ["denied"]


@pytest.mark.parametrize("name", ["undefined", "conflict", "slow", "memory", "large", "gone"])
def test_rules_that_do_not_answer_are_a_denial(odd, name):
    found = decide(odd, f"odd/{name}", {"x": 1, "y": 1, "text": "x" * 2_000, "list": list(range(3_000))})
    code = "bad-rules" if name == "gone" else "no-decision"
    assert (found.allowed, [violation.code for violation in found.violations]) == (False, [code])


def test_facts_that_are_too_large_are_a_denial(odd):
    found = asked(odd, "x" * (1 << 20))
    assert (found.allowed, [violation.code for violation in found.violations]) == (False, ["too-large"])


class Raising:
    """An engine that fails."""

    digest = None

    def __init__(self, error):
        self._error = error

    def evaluate(self, entrypoint, facts, /):
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("secret"),
        KeyError("secret"),
        RecursionError("secret"),
        MemoryError("secret"),
        OSError(5, "secret"),
    ],
)
def test_whatever_is_raised_is_a_denial_that_quotes_nothing(error):
    found = decide(Raising(error), ADMISSION, {})
    assert not found.allowed
    assert [violation.code for violation in found.violations] == ["no-decision"]
    assert "secret" not in found.violations[0].message
    assert type(error).__name__ in found.violations[0].message


@pytest.mark.parametrize(
    ("error", "unavailable"),
    [
        (UnavailableError("no-decision", "late"), True),
        (DeniedError("no-decision", "undefined"), False),
        (RuntimeError("a bug"), False),
    ],
)
def test_rules_that_could_not_answer_are_told_from_those_that_said_no(odd, error, unavailable):
    assert decide(Raising(error), ADMISSION, {}).unavailable is unavailable
    assert decide(odd, "odd/slow", {"list": list(range(3_000))}).unavailable
    assert not asked(odd, {"allowed": False, "violations": [REASON]}).unavailable


def test_whoever_stops_the_process_is_obeyed():
    with pytest.raises(KeyboardInterrupt):
        decide(Raising(KeyboardInterrupt()), ADMISSION, {})


def test_texts_are_cut_and_paint_over_nothing(odd):
    message = "\x1b[2J\u202ea\nb" + "x" * 5_000
    found = asked(odd, {"allowed": False, "violations": [{**REASON, "message": message}]})
    shown = found.violations[0].message
    assert shown.startswith("?[2J?a?b")
    assert shown.endswith(" ...")
    assert len(shown) == MAX_TEXT


@pytest.mark.parametrize("length", [MAX_TEXT - 1, MAX_TEXT])
def test_a_text_that_fits_is_left_whole(odd, length):
    found = asked(odd, {"allowed": False, "violations": [{**REASON, "message": "x" * length}]})
    assert found.violations[0].message == "x" * length


def test_facts_that_are_no_json_are_a_denial(odd):
    for facts in ({"a": float("nan")}, {"a": b"bytes"}, {"a": "\ud800"}):
        assert not decide(odd, "odd/echo", facts).allowed


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["allowed", "violations", "code", "message", "remedy"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_no_answer_but_one_allows(odd, answer):
    found = asked(odd, answer)
    assert found.allowed is (answer == ALLOWED and answer["allowed"] is True)
    assert found.allowed is (not found.violations)


# The compiled rules of this version -------------------------------------------------------------


@pytest.mark.parametrize("entrypoint", [ADMISSION, BROKER])
def test_the_rules_of_this_version_may_be_served(engine, entrypoint):
    demand_denial_of_nothing(engine, entrypoint)


def test_a_release_is_allowed_by_a_grant_and_denied_without(engine, proofs):
    peer = "spiffe://demo.test/ns/ml/sa/server"
    grant = {
        "spiffe_id": peer,
        "lines": ["acme/tiny-llm"],
        "publishers": ["publisher-key"],
        "authors": ["author-key"],
    }
    assert decide(engine, BROKER, release_facts(peer, "demo.test", proofs.sealed, [grant])).allowed
    for name, value, code in (
        ("spiffe_id", f"{peer}x", "no-grant"),
        ("lines", ["acme/tiny-llm-2"], "line-not-granted"),
        ("publishers", ["author-key"], "publisher-not-granted"),
        ("authors", ["publisher-key"], "author-not-granted"),
    ):
        facts = release_facts(peer, "demo.test", proofs.sealed, [{**grant, name: value}])
        found = decide(engine, BROKER, facts)
        assert (found.allowed, [violation.code for violation in found.violations]) == (False, [code])
    plain = release_facts(peer, "demo.test", proofs.plain, [grant])
    assert "not-sealed" in [violation.code for violation in decide(engine, BROKER, plain).violations]


def test_rules_that_allow_nothing_at_all_are_not_served(vector):
    engine = WasmEngine.load(vector("open_fail"))
    with pytest.raises(UsageError) as caught:
        demand_denial_of_nothing(engine, ADMISSION)
    engine.close()
    assert (caught.value.code, "allow an empty document" in caught.value.message) == ("bad-rules", True)


def test_rules_without_an_answer_are_not_served(odd, engine):
    for rules, entrypoint in ((odd, "odd/undefined"), (odd, "odd/echo"), (engine, "trustkit/other/decision")):
        with pytest.raises(UsageError) as caught:
            demand_denial_of_nothing(rules, entrypoint)
        assert caught.value.code == "bad-rules"


def test_the_entry_points_are_what_the_rules_have():
    assert {decision.ADMISSION, decision.BROKER} == {
        "trustkit/admission/decision",
        "trustkit/broker/decision",
    }
