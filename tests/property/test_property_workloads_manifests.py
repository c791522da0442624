"""Manifests under fire: whatever the bytes, the answer is objects or an error of ours; both parsers agree."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trustkit.errors import FormatError, LimitError
from trustkit.workloads.manifests import subjects_of
from trustkit.workloads.nodes import nodes_of

PIECES = st.sampled_from(
    [
        "a",
        ": ",
        "- ",
        "\n",
        "  ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "&x ",
        "*x",
        "<<",
        "? ",
        "|\n",
        "'",
        '"',
        "!!str ",
        "!!binary ",
        "---\n",
        "#",
        "apiVersion: v1\n",
        "kind: Pod\n",
        "items: ",
        "1",
        "~",
        "\t",
        "\\u0041",
        "%",
    ]
)
BREAKS = "\x85\u2028\u2029"
texts = st.text(st.characters(codec="utf-8", exclude_characters=BREAKS), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=200) | st.lists(PIECES, max_size=30).map(lambda parts: "".join(parts).encode()))
def test_any_bytes_are_objects_or_one_error_of_ours(raw):
    try:
        found = list(subjects_of(raw, "a.yaml"))
    except (FormatError, LimitError) as error:
        code = error.code
    else:
        code = ""
        assert all(isinstance(subject.object["apiVersion"], str) for subject in found)
    assert code in {"", "bad-manifest", "too-many-values", "too-deep"}


@given(st.dictionaries(texts, values, min_size=1, max_size=4))
def test_what_is_written_is_read(value):
    written = yaml.safe_dump(value, allow_unicode=True, sort_keys=False, default_style='"', width=10_000)
    [node] = nodes_of(written.encode(), "a.yaml")
    assert json.dumps(node.value) == json.dumps(value)


@pytest.mark.skipif(not hasattr(yaml, "CSafeLoader"), reason="the library has one parser here")
@given(st.lists(PIECES, max_size=30).map("".join))
def test_what_both_parsers_read_they_read_alike(text):
    read = []
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        try:
            read.append(json.dumps([node.value for node in nodes_of(text.encode(), "a.yaml", loader=loader)]))
        except FormatError:
            return
    assert read[0] == read[1]
