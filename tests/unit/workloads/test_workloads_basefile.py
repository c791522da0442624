"""A file of bases: whose each of them is, and what makes the whole file refused."""

import pytest
import yaml

from trustkit.digest import digest_of
from trustkit.errors import FormatError, LimitError
from trustkit.workloads.basefile import MAX_BYTES, Bases, parse_bases
from trustkit.workloads.table import default_table


def base(name="one", *, namespace=None, kind="LLMInferenceServiceConfig", **spec):
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": kind,
        "metadata": metadata,
        "spec": {"model": {"uri": f"hf://org/{namespace or 'any'}"}, **spec},
    }


def parsed(*documents):
    return parse_bases(yaml.safe_dump_all(documents).encode(), default_table())


def uris(bases, namespace):
    return {name: found["spec"]["model"]["uri"] for name, found in bases.seen_from(namespace).items()}


def test_a_namespace_sees_its_own_first_and_then_everybodys():
    bases = parsed(base("one"), base("two"), base("one", namespace="a"), base("three", namespace="b"))
    assert uris(bases, "a") == {"one": "hf://org/a", "two": "hf://org/any"}
    assert uris(bases, "b") == {"one": "hf://org/any", "two": "hf://org/any", "three": "hf://org/b"}
    assert uris(bases, "") == uris(bases, "c") == {"one": "hf://org/any", "two": "hf://org/any"}


def test_what_a_cluster_lists_is_taken_as_it_is():
    listed = {"apiVersion": "v1", "kind": "List", "items": [base("one"), base("two")]}
    raw = yaml.safe_dump(listed).encode()
    bases = parse_bases(raw, default_table())
    assert sorted(bases.seen_from("a")) == ["one", "two"]
    assert bases.digest == digest_of(raw)


def test_without_a_file_there_is_nothing():
    assert (Bases().digest, Bases().seen_from("a")) == (None, {})


WRONG = {
    "another kind": [base(kind="ServingRuntime")],
    "what others are merged into": [base(kind="LLMInferenceService")],
    "a kind nobody knows": [base(kind="LLMInferenceServiceKonfig")],
    "no name": [{**base(), "metadata": {}}],
    "no spec": [{**base(), "spec": None}],
    "bases of its own": [base(baseRefs=[{"name": "two"}])],
    "twice": [base("one"), base("one")],
    "twice in one namespace": [base("one", namespace="a"), base("one", namespace="a")],
    "no object": [base(), {"a": 1}],
    "a text": ["x"],
    "a list with something else in it": [{"apiVersion": "v1", "kind": "List", "items": [base(), {"a": 1}]}],
}


@pytest.mark.parametrize("documents", WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_placed_makes_the_whole_file_refused(documents):
    with pytest.raises(FormatError) as caught:
        parsed(*documents)
    assert caught.value.code == "bad-bases"


@pytest.mark.parametrize("raw", [b"", b"a: [", b"\xff", b"a: 1\na: 2\n", b" " * (MAX_BYTES + 1)])
def test_what_is_no_file_of_bases(raw):
    with pytest.raises(FormatError) as caught:
        parse_bases(raw, default_table())
    assert caught.value.code == "bad-bases"


def test_a_cap_keeps_its_class():
    with pytest.raises(LimitError) as caught:
        parse_bases(b"[" * 200 + b"]" * 200, default_table())
    assert caught.value.code == "too-deep"
