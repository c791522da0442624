"""Golden facts through the compiled rules: what each document is answered, code by code."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustkit.deciding.decision import ADMISSION, BROKER, decide


def codes(engine, entrypoint, facts):
    found = decide(engine, entrypoint, facts)
    assert found.allowed is (not found.violations)
    assert all(violation.remedy for violation in found.violations)
    return [violation.code for violation in found.violations]


def place(code="unresolved-model"):
    return {"path": "spec.containers[0].env[0]", "reason": "it comes from a ConfigMap", "code": code}


def about(**changes):
    """Change the object the facts are about."""
    return lambda d: d.admission(object={**d.admission()["object"], **changes})


ADMITTED = {
    "a sealed model": lambda d: d.admission(),
    "a plain model": lambda d: d.admission(models=[d.model(evidence=d.plain())]),
    "two models": lambda d: d.admission(models=[d.model(), d.model(path="spec.containers[1].args[0]")]),
    "no model and no accelerator": lambda d: about(gpu=False)(d) | {"models": []},
    "a cluster's object without a name": about(namespace="", name=""),
    "members that were added": lambda d: d.admission(models=[d.model(since=1)], more={}),
}
DENIED = {
    "not pinned": (lambda d: d.admission(models=[d.refused()]), ["not-pinned"]),
    "one of two refused": (lambda d: d.admission(models=[d.model(), d.refused()]), ["not-pinned"]),
    "unsigned": (lambda d: d.admission(models=[d.refused(code="unsigned")]), ["unsigned"]),
    "unavailable": (
        lambda d: d.admission(models=[d.refused(outcome="unavailable", code="store-unreachable")]),
        ["store-unreachable"],
    ),
    "a refusal without a code": (lambda d: d.admission(models=[d.refused(code="")]), ["not-verified"]),
    "two reasons": (
        lambda d: d.admission(models=[d.refused(code="wrong-signer"), d.refused(code="bad-json")]),
        ["bad-json", "wrong-signer"],
    ),
    "one reason twice": (lambda d: d.admission(models=[d.refused(), d.refused()]), ["not-pinned"]),
    "called verified, not pinned": (lambda d: d.admission(models=[d.model(pinned=False)]), ["not-pinned"]),
    "pinned to another digest": (
        lambda d: d.admission(models=[d.model(reference=d.model()["reference"][:-1] + "0")]),
        ["not-pinned"],
    ),
    "signed by nobody": (
        lambda d: d.admission(models=[d.model(evidence=d.evidence(authors=[]))]),
        ["no-author"],
    ),
    "published by nobody": (
        lambda d: d.admission(models=[d.model(evidence=d.evidence(publishers=[]))]),
        ["no-publisher"],
    ),
    "unresolved": (lambda d: d.admission(unresolved=[place()]), ["unresolved-model"]),
    "an accelerator without a model": (
        lambda d: d.admission(models=[], unresolved=[place("unresolved-gpu")]),
        ["unresolved-gpu"],
    ),
    "an accelerator nobody noticed": (lambda d: d.admission(models=[]), ["unresolved-gpu"]),
    "a reserved annotation": (
        about(reserved_annotations=["trustkit.dev/verified"]),
        ["reserved-annotation"],
    ),
    "all at once": (
        lambda d: (
            about(reserved_annotations=["trustkit.dev/x"])(d)
            | {"models": [d.refused(code="unsigned")], "unresolved": [place(), place("unresolved-gpu")]}
        ),
        ["reserved-annotation", "unresolved-gpu", "unresolved-model", "unsigned"],
    ),
    "another version": (lambda d: d.admission(version="trustkit.dev/facts/v2"), ["unknown-facts"]),
    "another action": (lambda d: d.admission(action="release"), ["unknown-facts"]),
    "verified without evidence": (
        lambda d: d.admission(models=[d.model(evidence=None)]),
        ["no-author", "no-publisher", "not-pinned", "unknown-facts"],
    ),
    "an outcome nobody knows": (
        lambda d: d.admission(models=[d.model(outcome="allowed", code="fine", message="yes", remedy="-")]),
        ["fine", "unknown-facts"],
    ),
    "models that are none": (lambda d: d.admission(models=None), ["unknown-facts"]),
}


@pytest.mark.parametrize("make", ADMITTED.values(), ids=ADMITTED.keys())
def test_admitted(engine, documents, fits, make):
    facts = make(documents)
    assert fits(facts)
    assert codes(engine, ADMISSION, facts) == []


@pytest.mark.parametrize(("make", "expected"), DENIED.values(), ids=DENIED.keys())
def test_not_admitted(engine, documents, make, expected):
    assert codes(engine, ADMISSION, make(documents)) == expected


def test_reasons_say_where_and_what_to_do(engine, documents):
    (violation,) = decide(engine, ADMISSION, documents.admission(models=[documents.refused()])).violations
    assert violation.message == "spec.containers[0].args[1]: the reference names no digest"
    assert violation.remedy == "append the digest"


RELEASED = {
    "a grant": lambda d: d.release(),
    "one grant of several": lambda d: d.release(
        grants=[d.grant(lines=[]), d.grant(spiffe_id="x"), d.grant()]
    ),
    "one publisher and author of several": lambda d: d.release(
        artifact=d.evidence(publishers=["stranger", "registry"], authors=["training", "stranger"])
    ),
}
WITHHELD = {
    "no grant": (lambda d: d.release(grants=[]), ["no-grant"]),
    "another's grant": (
        lambda d: d.release(grants=[d.grant(spiffe_id="spiffe://demo.test/x")]),
        ["no-grant"],
    ),
    "a grant with a pattern": (
        lambda d: d.release(grants=[d.grant(spiffe_id="spiffe://demo.test/*", lines=["*"])]),
        ["no-grant"],
    ),
    "another line": (lambda d: d.release(grants=[d.grant(lines=["acme/tiny-llm-2"])]), ["line-not-granted"]),
    "a line above": (lambda d: d.release(grants=[d.grant(lines=["acme"])]), ["line-not-granted"]),
    "another publisher": (
        lambda d: d.release(grants=[d.grant(publishers=["stranger"])]),
        ["publisher-not-granted"],
    ),
    "another author": (lambda d: d.release(grants=[d.grant(authors=["stranger"])]), ["author-not-granted"]),
    "neither": (
        lambda d: d.release(grants=[d.grant(authors=[], publishers=[])]),
        ["author-not-granted", "publisher-not-granted"],
    ),
    "two grants that only together say all": (
        lambda d: d.release(grants=[d.grant(authors=[]), d.grant(publishers=[])]),
        ["author-not-granted"],
    ),
    "a plain artifact": (lambda d: d.release(artifact=d.plain()), ["line-not-granted", "not-sealed"]),
    "a plain artifact, and a grant of no line": (
        lambda d: d.release(artifact=d.plain(publishers=["registry"]), grants=[d.grant(lines=[""])]),
        ["not-sealed", "unknown-facts"],
    ),
    "a foreign workload": (
        lambda d: d.release(peer={"spiffe_id": "spiffe://evil.test/x", "trust_domain": "demo.test"}),
        ["foreign-trust-domain", "no-grant"],
    ),
    "a foreign workload with a grant": (
        lambda d: d.release(
            peer={"spiffe_id": "spiffe://demo.test.evil/x", "trust_domain": "demo.test"},
            grants=[d.grant(spiffe_id="spiffe://demo.test.evil/x")],
        ),
        ["foreign-trust-domain"],
    ),
    "another action": (lambda d: d.release(action="admit"), ["unknown-facts"]),
    "another version": (lambda d: d.release(version="v2"), ["unknown-facts"]),
    "a grant of another form": (
        lambda d: d.release(grants=[d.grant(), {**d.grant(), "authors": "*"}]),
        ["unknown-facts"],
    ),
}


@pytest.mark.parametrize("make", RELEASED.values(), ids=RELEASED.keys())
def test_released(engine, documents, fits, make):
    facts = make(documents)
    assert fits(facts)
    assert codes(engine, BROKER, facts) == []


@pytest.mark.parametrize(("make", "expected"), WITHHELD.values(), ids=WITHHELD.keys())
def test_not_released(engine, documents, make, expected):
    assert codes(engine, BROKER, make(documents)) == expected


@pytest.mark.parametrize("entrypoint", [ADMISSION, BROKER])
@pytest.mark.parametrize("facts", [{}, {"version": "trustkit.dev/facts/v1"}, {"models": []}, {"grants": []}])
def test_nothing_is_denied(engine, entrypoint, facts):
    assert "unknown-facts" in codes(engine, entrypoint, facts)


def test_the_facts_of_one_face_are_not_the_other_s(engine, documents):
    assert "unknown-facts" in codes(engine, BROKER, documents.admission())
    assert "unknown-facts" in codes(engine, ADMISSION, documents.release())


def members_of(value, path=()):
    """Yield the path of every member and item inside a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from members_of(inner, (*path, key))


def changed(document, path, value, *, gone=False):
    result = copy.deepcopy(document)
    owner = result
    for step in path[:-1]:
        owner = owner[step]
    if gone:
        del owner[path[-1]]
    else:
        owner[path[-1]] = value
    return result


ODD_VALUES = st.sampled_from(
    [None, True, False, 0, 1, -1, 0.5, "", "x", "verified", [], [None], [1], {}, {"x": 1}]
)


UNREAD = {"scheme", "confidence", "operation", "kind", "service_account", "version"}
"""Members that the rules pass over, or ask only for their type."""


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_facts_that_the_schema_refuses_are_denied(engine, documents, fits, data):
    """Whatever one member becomes, the rules do not allow what the schema does not know."""
    entrypoint, document = data.draw(
        st.sampled_from([(ADMISSION, documents.admission()), (BROKER, documents.release())])
    )
    path = data.draw(st.sampled_from(list(members_of(document))))
    facts = changed(document, path, data.draw(ODD_VALUES), gone=data.draw(st.booleans()))
    found = decide(engine, entrypoint, facts)
    if found.allowed:
        assert fits(facts) or path[-1] in UNREAD
    assert found.allowed is (not found.violations)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "spiffe_id": st.sampled_from(
                    ["spiffe://demo.test/ns/ml/sa/server", "spiffe://demo.test/x", "*"]
                ),
                "lines": st.lists(st.sampled_from(["acme/tiny-llm", "acme/other", "*"]), max_size=2),
                "publishers": st.lists(st.sampled_from(["registry", "other"]), max_size=2),
                "authors": st.lists(st.sampled_from(["training", "other"]), max_size=2),
            }
        ),
        max_size=4,
    ),
    st.lists(st.sampled_from(["registry", "other", "third"]), max_size=2),
    st.lists(st.sampled_from(["training", "other", "third"]), max_size=2),
)
def test_a_key_is_released_exactly_by_one_whole_grant(engine, documents, grants, publishers, authors):
    facts = documents.release(
        grants=grants, artifact=documents.evidence(publishers=publishers, authors=authors)
    )
    whole = any(
        grant["spiffe_id"] == facts["peer"]["spiffe_id"]
        and "acme/tiny-llm" in grant["lines"]
        and set(publishers) & set(grant["publishers"])
        and set(authors) & set(grant["authors"])
        for grant in grants
    )
    assert decide(engine, BROKER, facts).allowed is bool(whole)


def test_a_thousand_refused_models_are_each_named(engine, documents):
    models = [
        documents.refused(path=f"spec.containers[{n}].args[1]", reference=f"hf://org/m{n}")
        for n in range(1000)
    ]
    found = decide(engine, ADMISSION, documents.admission(models=models))
    assert {violation.code for violation in found.violations} == {"not-pinned"}
    assert len(found.violations) == 1000
