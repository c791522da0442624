"""Edits by position: either only what was meant has changed, or nothing is handed out."""

import json

import yaml
from hypothesis import given
from hypothesis import strategies as st

from trustkit.errors import FormatError
from trustkit.workloads.editing import edited, repinned
from trustkit.workloads.nodes import nodes_of

OWN = "trust://store/a/b"
PINNED = f"{OWN}@sha256:{'a' * 64}"
BREAKS = "\x85\u2028\u2029"
plain = st.text(st.characters(codec="utf-8", exclude_characters=BREAKS), max_size=8)
texts = plain | st.just(OWN) | st.tuples(plain, plain).map(lambda pair: f"{pair[0]} {OWN} {pair[1]}")
values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain, inner, max_size=4),
    max_leaves=12,
)
styles = st.sampled_from([None, '"', "'", "|", ">"])


def pin(reference):
    return PINNED if reference == OWN else reference


def text_nodes(node):
    if isinstance(node.members, dict):
        return [found for child in node.members.values() for found in text_nodes(child)]
    if isinstance(node.members, list):
        return [found for child in node.members for found in text_nodes(child)]
    return [node] if isinstance(node.value, str) else []


def mapped(value):
    if isinstance(value, dict):
        return {key: mapped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [mapped(item) for item in value]
    return repinned(value, pin) if isinstance(value, str) else value


@given(st.lists(values, min_size=1, max_size=4), styles, st.booleans(), st.booleans())
def test_only_what_was_meant_changes_or_nothing_does(value, style, flow, mark):
    written = yaml.safe_dump(value, allow_unicode=True, default_style=style, default_flow_style=flow)
    raw = f"# {OWN}\n{written}# {OWN}\n".encode("utf-8-sig" if mark else "utf-8")
    documents = list(nodes_of(raw, "a.yaml"))
    chosen = [found for node in documents for found in text_nodes(node) if OWN in found.value]
    try:
        result = edited(raw, "a.yaml", documents, places=chosen, pin=pin)
    except FormatError as error:
        code = error.code
    else:
        code = ""
        [after] = [node.value for node in nodes_of(result, "a.yaml")]
        assert json.dumps(after) == json.dumps(mapped(documents[0].value))
        assert result.startswith(raw[: raw.index(b"\n")])
        assert result.endswith(f"# {OWN}\n".encode())
        assert result.replace(PINNED.encode(), OWN.encode()) == raw
    assert code in {"", "not-editable"}


@given(st.lists(st.just(OWN), min_size=1, max_size=4), styles)
def test_a_reference_that_is_written_plainly_can_always_be_changed(value, style):
    raw = yaml.safe_dump(value, default_style=style).encode()
    documents = list(nodes_of(raw, "a.yaml"))
    result = edited(raw, "a.yaml", documents, places=text_nodes(documents[0]), pin=pin)
    assert [node.value for node in nodes_of(result, "a.yaml")] == [[PINNED] * len(value)]


def test_an_edit_of_a_text_leaves_its_like_alone():
    raw = f"- {OWN}\n- {OWN}\n".encode()
    documents = list(nodes_of(raw, "a.yaml"))
    result = edited(raw, "a.yaml", documents, places=text_nodes(documents[0])[1:], pin=pin)
    assert result == f"- {OWN}\n- {PINNED}\n".encode()
