"""The vectors of ways to name a model: each form, its place, its text, its scheme, and how sure it is.

``tests/vectors/workloads`` says what its members mean. Every case is compared whole:
what is found beside what it lists is a failure too.
"""

from pathlib import Path

import pytest
import yaml

from trustkit.workloads.extract import references

FOLDER = Path(__file__).parents[2] / "vectors" / "workloads"
CASES = [
    pytest.param(case, id=f"{file.stem}/{case['case']}")
    for file in sorted(FOLDER.glob("*.yaml"))
    for case in yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
]
MEMBERS = {"case", "form", "object", "models", "possible", "unresolved", "gpu"}


def told(rows):
    return sorted((r["path"], r["reference"], r["scheme"], r["state"], r["how"]) for r in rows)


def found_in(extraction, *, possible):
    unresolved = {place.path for place in extraction.unresolved}
    return sorted(
        (
            model.path,
            model.reference,
            model.scheme,
            "pinned" if model.pinned else "unresolved" if model.path in unresolved else "mutable",
            model.how,
        )
        for model in extraction.models
        if (model.confidence == "possible") is possible
    )


@pytest.mark.parametrize("case", CASES)
def test_a_form_is_read_as_its_vector_says(case):
    assert set(case) <= MEMBERS
    extraction = references(case["object"])
    assert found_in(extraction, possible=False) == told(case.get("models", []))
    assert found_in(extraction, possible=True) == told(case.get("possible", []))
    assert sorted({place.path for place in extraction.unresolved}) == sorted(case.get("unresolved", []))
    assert extraction.gpu is case.get("gpu", False)


def test_no_two_vectors_show_the_same_form():
    forms = [case.values[0]["form"] for case in CASES]
    assert sorted(forms) == sorted(set(forms))


def test_no_two_vectors_hold_the_same_object():
    objects = [yaml.safe_dump(case.values[0]["object"]) for case in CASES]
    assert len(objects) == len(set(objects))
