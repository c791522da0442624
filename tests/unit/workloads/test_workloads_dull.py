"""Quick looks: words and variables that are passed over say nothing, in any line and beside any other."""

import itertools
from pathlib import Path

import pytest
import yaml

from trustkit.errors import LimitError
from trustkit.workloads import commands, pairs
from trustkit.workloads.dull import count_if_dull
from trustkit.workloads.extract import references
from trustkit.workloads.places import spelled, spot
from trustkit.workloads.shell import SHELLS
from trustkit.workloads.table import default_document, default_table
from trustkit.workloads.values import MAX_STRING

FOLDER = Path(__file__).parents[2] / "vectors" / "workloads"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
OBJECTS = [
    case["object"] for file in sorted(FOLDER.glob("*.yaml")) for case in yaml.load(file.read_text(), LOADER)
]
PLAIN = ["--port", "8080", "--log-level=info", "-v", "0.0.0.0:9000", "", "A=b", "registry.example.com/a:1"]


def count(*words):
    return count_if_dull({"args": [*words]}, default_table(), lists=("command", "args"))


def pod(**container):
    containers = [{"name": "c", "image": "app:1", **container}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {"containers": containers}}


def programs():
    document = default_document()
    rows = [row["words"][0] for row in document["commands"]]
    return sorted({*document["servers"], *document["short_flags"], *document["remotes"], *rows, *SHELLS})


def test_ordinary_words_are_dull_and_counted():
    assert count(*PLAIN) == len(PLAIN)
    assert count_if_dull({"command": ["run"], "args": PLAIN}, default_table(), lists=("command",)) == 1
    assert count_if_dull({}, default_table(), lists=("command", "args")) == 0


@pytest.mark.parametrize("program", programs())
def test_no_program_of_the_table_is_dull(program):
    assert count(program) is None
    assert count(f"/usr/bin/{program}") is None


@pytest.mark.parametrize("row", ["value", "pairs", "json", "config", "names", "likely", "loose"])
def test_no_flag_of_the_table_is_dull(row):
    for flag in default_document()["flags"][row]:
        assert count(f"--{flag}") is None
        assert count(f"--{flag.upper()}=x") is None


def test_no_address_of_storage_and_no_file_of_weights_is_dull():
    """What is a model wherever it stands is found by the walk over all texts, and so may be dull here."""
    table = default_table()
    assert not [prefix for prefix, _ in table.storage if count(f"{prefix}a/b") is not None]
    assert not [ending for ending in table.weights if count(f"m{ending}") is not None]


@pytest.mark.parametrize(
    "word",
    [
        *(
            "a b",
            "a\tb",
            "a\nb",
            "\u2003vllm",
            "é",
            "$(A)",
            "$A",
            "`a`",
            "(a)",
            "'a'",
            '"a"',
            "a;b",
            "a|b",
            "{a}",
        ),
        *("<a", "a>", "http://x/api/pull", "/api/create", "x" * 65, None, 1, ["a"]),
    ],
)
def test_what_a_shell_or_a_reader_might_take_apart_is_not_dull(word):
    assert count(word) is None


def test_what_is_no_list_of_words_and_what_is_long_is_not_dull():
    table = default_table()
    assert count_if_dull({"args": "a"}, table, lists=("args",)) is None
    assert count_if_dull({"args": ["a"] * 257}, table, lists=("args",)) is None


def test_every_vector_is_read_alike_without_quick_looks(monkeypatch):
    quick = [references(subject) for subject in OBJECTS]
    monkeypatch.setattr(commands, "count_if_dull", lambda *_, **__: None)
    monkeypatch.setattr(pairs.Lists, "pairs_of", lambda *_: None)
    assert [references(subject) for subject in OBJECTS] == quick


def test_two_lists_of_names_are_not_taken_for_one_another():
    """A name may hold a line end."""
    env = [{"name": "MODEL_ID\nA", "value": "x"}]
    two = [{"name": "MODEL_ID", "value": "org/name"}, {"name": "A", "value": "x"}]
    subject = pod(env=env)
    subject["spec"]["containers"].append({"name": "d", "image": "app:1", "env": two})
    assert [model.reference for model in references(subject).models] == ["org/name"]


def test_a_variable_of_the_table_is_heeded_whatever_it_ends_in():
    env = [{"name": "A", "value": "x"}, {"name": "MODEL_STORE", "value": "/m/x"}]
    assert [model.path for model in references(pod(env=env)).models] == ["spec.containers[0].env[1].value"]


def test_a_name_that_is_defined_twice_and_says_nothing_holds_what_it_held_last():
    env = [{"name": "A", "value": "one"}, {"name": "A", "value": "two"}]
    found = references(pod(env=env, args=["vllm", "serve", "$(A)"])).models
    assert [(model.path, model.reference) for model in found] == [("spec.containers[0].env[1].value", "two")]


def test_a_variable_that_names_another_one_is_expanded():
    env = [{"name": "A", "value": "org"}, {"name": "B", "value": "$(A)-x"}]
    found = references(pod(env=env, args=["vllm", "serve", "$(B)"])).models
    assert [model.reference for model in found] == ["org-x"]


def test_long_values_are_counted_however_little_they_say():
    env = [{"name": f"A{n}", "value": "x" * MAX_STRING} for n in range(200)]
    with pytest.raises(LimitError, match="words"):
        references(pod(env=env))


def test_variables_that_are_passed_over_are_still_put_into_words():
    env = [{"name": "A", "value": "org"}, {"name": "B", "value": "name"}]
    found = references(pod(env=env, args=["--model", "$(A)/$(B)", "--tokenizer=$(B)"])).models
    assert [(model.path, model.reference) for model in found][:1] == [
        ("spec.containers[0].args[1]", "org/name")
    ]


def test_a_whole_variable_stands_where_it_is_defined_also_in_a_second_list():
    subject = {
        "apiVersion": "ml.example/v1",
        "kind": "Server",
        "spec": {
            "server": {
                "image": "vllm/vllm-openai",
                "args": ["--model", "$(B)", "--tokenizer", "$(A)"],
                "env": [{"name": "A", "value": "org-a"}],
                "extraEnv": [{"name": "B", "value": "org-b"}],
            }
        },
    }
    found = {model.path: model.reference for model in references(subject).models}
    assert found["spec.server.extraEnv[0].value"] == "org-b"
    assert found["spec.server.env[0].value"] == "org-a"


@pytest.mark.parametrize("start", ["", "spec", 'data["a.yaml"]#', "."])
def test_a_place_that_is_spelled_at_once_is_spelled_as_step_by_step(start):
    keys = [0, "a", "a-b", "a.b", "", "#", "a#", "/", "é", "."]
    for chain in itertools.product(keys, repeat=3):
        place, path = start, start
        for key in chain:
            place, path = (place, key), spot(path, key)
        assert spelled(place) == path
