"""YAML as Kubernetes reads it: values, lines, aliases and merges; what could be two things is refused."""

import json

import pytest
import yaml

from trustkit.errors import FormatError, LimitError
from trustkit.workloads import nodes
from trustkit.workloads.manifests import subjects_of
from trustkit.workloads.nodes import nodes_of

LOADERS = {name: getattr(yaml, name) for name in ("SafeLoader", "CSafeLoader") if hasattr(yaml, name)}


@pytest.fixture(params=LOADERS.values(), ids=LOADERS)
def read(request):
    """Read documents with either parser of the library."""

    def values(text):
        raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        return [node.value for node in nodes_of(raw, "a.yaml", loader=request.param)]

    return values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", {"a": 1}),
        ("a: -0.5e3", {"a": -500.0}),
        ("a: 0x10", {"a": "0x10"}),
        ("a: 010", {"a": "010"}),
        ("a: 1_000", {"a": "1_000"}),
        ("a: 1e999", {"a": "1e999"}),
        (f"a: {'1' * 65}", {"a": "1" * 65}),
        ("a: yes", {"a": "yes"}),
        ("a: ~\nb:\nc: null", {"a": None, "b": None, "c": None}),
        ("a: true\nb: 'true'\nc: \"1\"", {"a": True, "b": "true", "c": "1"}),
        ("a: 2026-01-01", {"a": "2026-01-01"}),
        ("a: !!str 1", {"a": "1"}),
        ("a: !!int '1'", {"a": 1}),
        ("a: !Ref s3://b/m", {"a": "s3://b/m"}),
        ("a: !vault [s3://b/m]", {"a": ["s3://b/m"]}),
        ("a: !!binary czM6Ly9i\n  L20=", {"a": "s3://b/m"}),
        ("1: a\ntrue: b\n? c\n: d", {"1": "a", "true": "b", "c": "d"}),
        ("a: &x s3://b/m\nb: *x", {"a": "s3://b/m", "b": "s3://b/m"}),
        ("&k a: 1\nb: *k", {"a": 1, "b": "a"}),
        ("a: &k b\n*k : 1", {"a": "b", "b": 1}),
        ("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}", {"a": {"p": 1, "q": 2}, "b": {"q": 3, "p": 1}}),
        (
            "a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc: {<<: [*x, *y]}",
            {"a": {"p": 1}, "b": {"p": 2, "q": 2}, "c": {"p": 1, "q": 2}},
        ),
        ("a: {'<<': 1}", {"a": {"<<": 1}}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("\ufeffa: ü", {"a": "ü"}),
        ('{"a": ["b\\/c"]}', {"a": ["b/c"]}),
        ("s3://b/m", "s3://b/m"),
    ],
)
def test_one_document_has_one_reading(read, text, value):
    assert read(text) == [value]
    assert json.dumps(read(text)) == json.dumps([value]), "1 is not true, and 1.0 is not 1"


def test_documents_are_read_in_order_and_empty_ones_are_none(read):
    assert read("a: 1\n---\n---\n# nothing\n---\nb: 2\n...\n") == [{"a": 1}, {"b": 2}]
    assert read("") == []
    assert read("a: &x 1\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' stands twice"),
        ("kind: A\nkind: B", "line 2: the key 'kind' stands twice; put '---' between two documents"),
        ("a: {b: 1, 'b': 2}", "line 1: the key 'b' stands twice"),
        ("a: &k b\nb: 1\n*k : 2", "line 3: a key must be a text"),
        ("a: *x", "line 1: the alias 'x' stands for nothing"),
        ("a: &x [*x]", "line 1: the alias 'x' stands for nothing"),
        ("a: &x 1\n---\nb: *x", "the alias 'x' stands for nothing"),
        ("? [a]\n: 1", "line 1: a key must be a text"),
        ("a: {<<: b}", "line 1: a merge key takes objects"),
        ("a: {<<: [b]}", "line 1: a merge key takes objects"),
        ("a: !!binary '*'", "line 1: what is tagged !!binary is not base64"),
        ("a: {{ .Values.model }}", "a template is rendered first"),
        ("a: [", "is not YAML in line"),
        ("a: 1\nb: c: d", "is not YAML in line 2, column 5: mapping values are not allowed"),
        (
            "a: 1\nb: \u00fc\x07",
            "is not YAML in line 2, column 5: it has a character that YAML does not allow",
        ),
        (b"a: \xff", "is not UTF-8"),
        ('a: "\\ud800"', "line 1"),
        ('"\\ud800": a', "line 1"),
    ],
)
def test_what_could_be_two_things_is_refused_with_its_line(read, text, why):
    with pytest.raises(FormatError) as caught:
        read(text)
    assert caught.value.code == "bad-manifest"
    assert "'a.yaml'" in caught.value.message
    assert why in caught.value.message


def test_a_bomb_of_aliases_is_counted_before_it_grows(read):
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
    with pytest.raises(LimitError) as caught:
        read("\n".join(lines))
    assert caught.value.code == "too-many-values"


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 50_000, "- " * 50_000, "? " * 50_000])
def test_nesting_stops_where_the_cap_is(read, text):
    with pytest.raises(LimitError) as caught:
        read(text)
    assert caught.value.code == "too-deep"


def test_the_deepest_nesting_is_read(read):
    assert read("[" * nodes.MAX_LEVELS + "]" * nodes.MAX_LEVELS) != []


def test_a_file_has_a_largest_size(read, monkeypatch):
    monkeypatch.setattr(nodes, "MAX_BYTES", 5)
    assert read("a: 12") == [{"a": 12}]
    with pytest.raises(LimitError) as caught:
        read("a: 123")
    assert caught.value.code == "too-large"


TEXT = """\
kind: x
spec:
  - args: ["a",
      "b"]
    env:
    - {name: A, value: &v deep}
  - *v
"a.b/c":
  d: |
    text
"a":
  b: 1
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("kind", 1),
        ("spec[0].args[0]", 3),
        ("spec[0].args[1]", 4),
        ("spec[0].env[0].value", 6),
        ("spec[1]", 7),
        ('["a.b/c"].d', 9),
        ('["a.b/c"].d#models[0]', 9),
        ("a.b", 12),
        ("spec[0].nothing.at.all", 3),
        ("spec[0].argsx", 3),
        ("nothing", 1),
        ("", 1),
    ],
)
def test_a_path_leads_to_its_line_or_to_that_of_the_last_step_there(path, line):
    [node] = nodes_of(TEXT.encode(), "a.yaml")
    assert node.line_of(path) == line


def titles(text):
    return [(found.document, found.prefix, found.title) for found in subjects_of(text.encode(), "a.yaml")]


def test_objects_are_what_names_a_version_and_a_kind():
    assert (
        titles(
            "a: 1\n---\n[]\n---\nx\n---\n{apiVersion: v1}\n---\n{kind: Pod}\n---\n{apiVersion: 1, kind: Pod}"
        )
        == []
    )
    assert titles("{apiVersion: v1, kind: Pod, metadata: {name: 1}}") == [(1, "", "Pod")]
    assert titles("{apiVersion: v1, kind: Pod, metadata: []}") == [(1, "", "Pod")]
    assert titles("{apiVersion: v1, kind: Pod, metadata: {generateName: a-}}") == [(1, "", "Pod a-")]
    assert titles("x: 1\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: n}") == [
        (2, "", "apps/Deployment n/a")
    ]


def test_lists_of_any_kind_are_their_entries():
    one, two = (f"{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}}}" for name in "ab")
    assert titles(f"[{one}, 1, {two}]") == [(1, "[0]", "Pod a"), (1, "[2]", "Pod b")]
    assert titles(f"{{apiVersion: v1, kind: List, items: [{one}, {two}]}}") == [
        (1, "items[0]", "Pod a"),
        (1, "items[1]", "Pod b"),
    ]
    assert titles("{apiVersion: apps/v1, kind: DeploymentList, items: [{metadata: {name: a}}]}") == [
        (1, "items[0]", "apps/Deployment a")
    ]
    inner = f"{{apiVersion: v1, kind: List, items: [{one}]}}"
    assert titles(f"{{apiVersion: v1, kind: List, items: [{inner}]}}") == [(1, "items[0].items[0]", "Pod a")]
    assert titles("{apiVersion: v1, kind: List, items: [{metadata: {name: a}}]}") == []
    assert titles("{apiVersion: v1, kind: List, items: 1}") == [(1, "", "List")]


def test_a_list_that_holds_more_than_entries_is_an_object_as_well():
    pod = "{apiVersion: v1, kind: Pod, metadata: {name: a}}"
    for name in ("PodList", "AllowList", "List"):
        text = f"{{apiVersion: x/v1, kind: {name}, items: [{pod}], spec: {{containers: [{{args: [a]}}]}}}}"
        assert titles(text) == [(1, "items[0]", "Pod a"), (1, "", f"x/{name}")]
        *_, found = subjects_of(text.encode(), "a.yaml")
        assert found.object["spec"] == {"containers": [{"args": ["a"]}]}
        assert found.node.lost_of("spec.containers[0].args[0]") == ""
        assert titles(text.replace(pod, "")) == [(1, "", f"x/{name}")]
    assert titles("{apiVersion: v1, kind: PodList, metadata: {}, items: []}") == []
    assert titles(f"{{kind: PodList, items: [{pod}], spec: {{}}}}") == [
        (1, "items[0]", "Pod a"),
        (1, "", "PodList"),
    ]


def test_what_only_a_renderer_reads_is_no_object():
    assert titles("{apiVersion: kustomize.config.k8s.io/v1beta1, kind: Kustomization}") == []
