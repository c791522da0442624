"""What the extractor does not look at twice: quick ways find what slow ones find, and keep nothing."""

import tracemalloc

import pytest

from trustkit.workloads.extract import references
from trustkit.workloads.table import default_table
from trustkit.workloads.values import MAX_REFERENCES


def pod(**container):
    containers = [{"name": "c", "image": "vllm/vllm-openai:v1", "args": ["--model", "org/name"], **container}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {"containers": containers}}


def custom(**spec):
    return {"apiVersion": "ml.example/v1", "kind": "Server", "metadata": {"name": "x"}, "spec": spec}


def found(subject):
    return {model.path: model.reference for model in references(subject).models}


def test_any_number_of_names_is_read():
    names = [f"part{n}" for n in range(3_000)]
    wanted = names[:: len(names) // (MAX_REFERENCES // 2)]
    spec = {name: {"x": "y", **({"modelUri": f"s3://b/{name}"} if name in wanted else {})} for name in names}
    assert found(custom(**spec)) == {f"spec.{name}.modelUri": f"s3://b/{name}" for name in wanted}


def test_an_object_of_more_members_than_between_two_looks_at_the_clock_is_read_to_its_end():
    looks = []
    wide = {f"k{n}": "x" for n in range(10_000)} | {"modelUri": "s3://b/m"}
    long = ["x"] * 10_000 + [{"modelUri": "s3://b/n"}]
    subject = custom(wide=wide, long=long)
    assert found(subject) == {"spec.wide.modelUri": "s3://b/m", "spec.long[10000].modelUri": "s3://b/n"}
    references(subject, check=lambda: looks.append(1))
    assert len(looks) > 20_000 // 256


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ({"name": 1, "value": "hf://org/other"}, "value"),
        ({"name": "hf://org/other", "value": "x"}, "name"),
        ({"name": "A", "value": "hf://org/other"}, "value"),
        ({"name": "A", "value": "x", "more": "hf://org/other"}, "more"),
        ({"name": "A", "value": "x", "hf://org/other": "y"}, '["hf://org/other"]'),
        ({"value": "hf://org/other", "more": "y"}, "value"),
    ],
)
def test_an_address_in_a_variable_is_found_whatever_the_variable_looks_like(entry, place):
    [path] = (path for path, text in found(pod(env=[entry])).items() if text == "hf://org/other")
    assert path == f"spec.containers[0].env[0]{'' if place[0] == '[' else '.'}{place}"


def test_what_is_no_variable_defines_nothing():
    odd = [None, 1, "A", [], {}, {"name": 1, "value": "x"}, {"name": ["A"], "value": "x"}]
    assert found(pod(env=odd)) == {"spec.containers[0].args[1]": "org/name"}


@pytest.mark.parametrize("name", ["MODEL_ID", "MY_MODEL_URI", "OLLAMA_MODEL", "MY_CHECKPOINT"])
def test_a_name_that_says_model_is_heeded_among_many_that_do_not(name):
    plain = [{"name": f"VARIABLE_{n}", "value": "some text"} for n in range(600)]
    env = [*plain, {"name": name, "value": "org/other"}]
    assert found(pod(env=env))["spec.containers[0].env[600].value"] == "org/other"


def test_a_name_that_is_defined_twice_counts_as_it_was_defined_last():
    before, after = {"name": "MODEL_ID", "value": "org/one"}, {"name": "MODEL_ID", "value": "org/two"}
    assert "org/one" not in found(pod(env=[before, after])).values()
    assert found(pod(env=[before, after]))["spec.containers[0].env[1].value"] == "org/two"
    indirect = {"name": "MODEL_ID", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    assert references(pod(env=[indirect, after])).unresolved == ()
    assert references(pod(env=[after, indirect])).unresolved != ()
    options = [{"name": "A", "value": "x"}, {"name": "A", "value": "--model org/two"}]
    assert found(pod(env=options))["spec.containers[0].env[1].value"] == "org/two"


def test_variables_are_read_in_the_order_in_which_their_names_came_first():
    env = [("A", "x"), ("MODEL_ID", "org/one"), ("A", "/m/two.gguf")]
    texts = list(found(pod(env=[{"name": name, "value": value} for name, value in env])).values())
    assert texts == ["/m/two.gguf", "org/one", "org/name"]


def test_variables_of_two_lists_stand_where_they_stand():
    subject = custom(
        server={
            "image": "vllm/vllm-openai",
            "env": [{"name": "A", "value": "x"}, {"name": "MODEL_ID", "value": "org/one"}],
            "extraEnv": [{"name": "MODEL_PATH", "value": "/m/two"}, {"name": "B", "value": "x"}],
        }
    )
    assert found(subject) == {
        "spec.server.env[1].value": "org/one",
        "spec.server.extraEnv[0].value": "/m/two",
    }


@pytest.mark.parametrize(
    "text",
    [
        "hf://org/m",
        "HF://org/m",
        "see http://a/ and http://b/ and hf://org/m",
        "http://a/ http://b/ http://c/ http://d/ http://e/ hf://org/m",
        "hf://org/m and then http://a/",
        "x:/ hf://org/m",
        "TRUST://store/m".replace("S", "\u017f"),
        "h\u212a://x \u212aaggle://org/m",
        "é hf://org/m",
    ],
)
def test_what_a_quick_look_does_not_rule_out_is_all_that_the_pattern_finds(text):
    table = default_table()
    assert table.anywhere_pattern.search(text)
    assert table.may_be_anywhere(text)
    assert any(path == "spec.note" for path in found(custom(note=text)))


@pytest.mark.parametrize("text", ["http://a/", "s3://b/m", "x:/y", "hf2:/"])
def test_a_quick_look_rules_out_what_the_pattern_does_not_find(text):
    assert not default_table().anywhere_pattern.search(text)
    assert not default_table().may_be_anywhere(text)


def test_a_text_of_many_addresses_is_left_to_the_pattern_which_looks_at_the_clock():
    assert default_table().may_be_anywhere("x:/ " * 5)
    assert not default_table().may_be_anywhere("x:/ " * 4)


def test_every_prefix_of_the_table_has_its_scheme():
    table = default_table()
    for prefix, scheme in {**dict(table.storage), **dict(table.anywhere)}.items():
        longer = [s for p, s in (*table.anywhere, *table.storage) if p.startswith(prefix) and p != prefix]
        assert table.scheme_of(f"{prefix}zz") == table.scheme_of(f"{prefix.upper()}ZZ") == scheme, longer
    assert table.scheme_of("zz://x") is table.scheme_of("") is table.scheme_of("x") is None


def test_what_one_object_says_is_not_kept_however_long_it_is():
    """A cache of names that anybody may give would hold as much memory as anybody likes."""

    def large(n):
        name = f"{n}" + "n" * 50_000
        return [pod(image=name, args=[f"--flag{name}", "x"]), custom(**{name: {name: "x"}, "env": [name]})]

    def read(numbers):
        for n in numbers:
            for subject in large(n):
                references(subject)

    read(range(3))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        read(range(3, 60))
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
