"""Objects that are merged into another one: what the controller would see is what is read."""

import pytest

from trustkit.workloads.bases import MAX_BASES, merged
from trustkit.workloads.extract import references

BASE = {
    "spec": {
        "model": {"uri": "hf://org/base", "lora": {"adapters": [{"name": "a", "uri": "hf://org/a"}]}},
        "template": {"containers": [{"name": "main", "image": "i:1", "args": ["--tokenizer", "org/tokens"]}]},
    }
}


def service(*names, **spec):
    return {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": "x"},
        "spec": {"baseRefs": [{"name": name} for name in names], **spec},
    }


def read(subject, **bases):
    found = references(subject, bases=bases)
    return {m.path: m.reference for m in found.models}, [place.path for place in found.unresolved]


def test_what_the_base_names_is_named_by_the_object():
    assert read(service("one"), one=BASE) == (
        {
            "spec.model.uri": "hf://org/base",
            "spec.model.lora.adapters[0].uri": "hf://org/a",
            "spec.template.containers[0].args[1]": "org/tokens",
        },
        [],
    )


def test_the_object_has_the_last_word_and_a_later_base_the_one_before():
    other = {"spec": {"model": {"uri": "s3://bucket/other"}}}
    assert read(service("one", "two"), one=BASE, two=other)[0]["spec.model.uri"] == "s3://bucket/other"
    own = service("one", model={"uri": "s3://bucket/own"})
    assert read(own, one=BASE)[0]["spec.model.uri"] == "s3://bucket/own"


def test_lists_of_containers_are_merged_by_name_and_those_of_texts_replaced():
    adapters = [{"name": "a", "uri": "s3://bucket/a"}, {"name": "b", "uri": "s3://bucket/b"}]
    own = service(
        "one",
        model={"lora": {"adapters": adapters}},
        template={"containers": [{"name": "main", "args": ["--port", "1"]}]},
    )
    assert read(own, one=BASE)[0] == {
        "spec.model.uri": "hf://org/base",
        "spec.model.lora.adapters[0].uri": "hf://org/a",
        "spec.model.lora.adapters[1].uri": "s3://bucket/a",
        "spec.model.lora.adapters[2].uri": "s3://bucket/b",
    }


EMPTY = [None, "", [], {}]


@pytest.mark.parametrize("empty", [*EMPTY, 1, False, "text", ["text"]])
def test_what_is_empty_or_of_another_type_erases_no_model_of_a_base(empty):
    whole = read(service("one"), one=BASE)
    for spec in (
        {"model": empty},
        {"model": {"uri": empty if empty != "text" else ["text"]}},
        {"model": {"lora": empty}},
        {"model": {"lora": {"adapters": empty if empty != ["text"] else "text"}}},
        {"template": empty},
        {"template": {"containers": empty if empty != ["text"] else "text"}},
        {"template": {"containers": [{"name": "main", "args": empty if empty != ["text"] else "text"}]}},
    ):
        assert read(service("one", **spec), one=BASE) == whole, spec
        assert read(service("one", "two"), one=BASE, two={"spec": spec}) == whole, spec


@pytest.mark.parametrize("empty", EMPTY)
def test_what_is_empty_in_a_base_is_filled(empty):
    spec = {"model": {"uri": "s3://bucket/own"}}
    for base in ({"spec": empty}, {"spec": {"model": empty}}, {"spec": {"model": {"uri": empty}}}):
        assert read(service("one", **spec), one=base)[0] == {"spec.model.uri": "s3://bucket/own"}


def test_things_that_share_a_name_do_not_replace_each_other_where_names_say_nothing():
    """Two mounts of one volume have one name; so may two containers, written to be taken for one."""
    mounts = [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]
    container = {"name": "main", "volumeMounts": mounts}
    base = {"spec": {"template": {"containers": [container]}}}
    own = service("one", template={"containers": [{"name": "main", "volumeMounts": mounts[:1]}]})
    [found] = merged(own, {"one": base}, print)["spec"]["template"]["containers"]
    assert found["volumeMounts"] == [*mounts, mounts[0]]
    twins = [{"name": "main", "args": ["--model", f"hf://org/{n}"]} for n in range(2)]
    found = read(service("one", template={"containers": twins}), one=BASE)[0]
    assert {"org/tokens", "hf://org/0", "hf://org/1"} <= set(found.values())
    nameless = [{"args": ["--model", "hf://org/0"]}]
    found = read(service("one", template={"containers": nameless}), one=BASE)[0]
    assert {"org/tokens", "hf://org/0"} <= set(found.values())


def test_a_base_that_names_bases_is_followed_no_further():
    base = {"spec": {**BASE["spec"], "baseRefs": [{"name": "other"}]}}
    assert read(service("one"), one=base) == read(service("one"), one=BASE)


def test_a_base_that_is_not_at_hand_stays_unresolved():
    assert read(service("one", "two"), one=BASE)[1] == ["spec.baseRefs[0].name"]
    assert read(service("two"), one=BASE)[1] == ["spec.baseRefs[0].name"]
    assert read(service("one"))[1] == ["spec.baseRefs[0].name"]


def test_only_so_many_bases_are_followed_with_a_look_at_the_clock_for_each():
    looks = []
    subject = merged(service(*["one"] * (MAX_BASES + 2)), {"one": BASE}, lambda: looks.append(1))
    assert len(looks) == MAX_BASES
    assert subject["spec"]["baseRefs"] == [{"name": "one"}] * 2
    assert read(service(*["one"] * (MAX_BASES + 1)), one=BASE)[1] == ["spec.baseRefs[0].name"]


def test_any_shape_is_survived():
    for spec in (None, [], {"baseRefs": "x"}, {"baseRefs": [1, {"name": 1}, {}]}):
        subject = {**service(), "spec": spec}
        references(subject, bases={"one": BASE})
    assert merged({"spec": {"baseRefs": [{"name": "one"}]}}, {"one": {}}, print)["spec"] == {"baseRefs": []}
    deep = value = {}
    for _ in range(200):
        value["a"] = {}
        value = value["a"]
    merged({"spec": {"baseRefs": [{"name": "one"}], **deep}}, {"one": {"spec": deep}}, print)
