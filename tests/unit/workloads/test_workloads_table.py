"""The table: rows that users add, and rows that would weaken it."""

import pytest

from trustkit.errors import FormatError, LimitError
from trustkit.workloads.extension import MAX_BYTES, extended_table
from trustkit.workloads.extract import references
from trustkit.workloads.kinds import kind_from
from trustkit.workloads.table import VERSION, default_document, default_table, table_from

HEAD = f"version: {VERSION}\n"


def extended(text):
    return extended_table((HEAD + text).encode())


def custom(kind="Server", **spec):
    return {"apiVersion": "ml.example/v1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}


def test_the_table_is_compiled_once():
    assert default_table() is default_table()
    assert default_table().scheme_of("HF://org/name") == "hf"
    assert default_table().members.role is default_table().members.role


def test_a_kind_of_the_users_own_is_known_and_its_places_are_read():
    subject = custom(brain="org/name")
    assert [place.path for place in references(subject).unresolved] == ["kind"]
    table = extended("kinds:\n  ml.example/Server: {serves: true, models: [spec.brain]}\n")
    found = references(subject, table=table)
    assert [(m.path, m.reference, m.scheme) for m in found.models] == [("spec.brain", "org/name", "hf")]
    assert found.unresolved == ()
    assert [place.path for place in references(custom(), table=table).unresolved] == ["spec"]


def test_a_pod_of_the_users_own_kind_lies_where_its_row_says():
    table = extended("kinds:\n  ml.example/Server: spec.pod\n")
    found = references(custom(pod={"spec": {"containers": [{"args": ["--model", "org/name"]}]}}), table=table)
    assert [m.path for m in found.models] == ["spec.pod.spec.containers[0].args[1]"]
    assert [place.path for place in references(custom(), table=table).unresolved] == ["spec.pod.spec"]


def test_flags_schemes_and_members_of_the_users_own_are_read():
    table = extended(
        "flags:\n  value: [brain]\n"
        "schemes:\n  anywhere: {'mine://': mine}\n"
        "members:\n  reference: [brainuri]\n"
    )
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"args": ["--brain", "org/name"]}]}}
    assert [m.reference for m in references(pod, table=table).models] == ["org/name"]
    found = references(custom(brain_uri="x/y", other="see mine://z"), table=table)
    assert {(m.reference, m.scheme) for m in found.models} == {("x/y", "hf"), ("mine://z", "mine")}
    assert references(pod).models == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("kinds:\n  v1/Pod: null\n", "table.kinds.v1/Pod"),
        ("kinds:\n  ray.io/RayJob: {}\n", "table.kinds.ray.io/RayJob"),
        ("schemes:\n  anywhere: {'hf://': path}\n", "table.schemes.anywhere.hf://"),
        ("reserved_prefix: x\n", "table.reserved_prefix"),
        ("zzz: []\n", "zzz"),
        ("flags: [x]\n", "table.flags"),
        ("kinds:\n  a/B: {zzz: 1}\n", "zzz"),
        ("kinds:\n  a/B: {models: [1]}\n", "models"),
        ("kinds:\n  a/B: [1]\n", "kinds"),
        ("flags:\n  zzz: [x]\n", "zzz"),
        ("flags:\n  value: ['']\n", "value"),
    ],
)
def test_what_takes_away_replaces_or_is_misspelt_is_refused(text, why):
    with pytest.raises(FormatError) as caught:
        extended(text)
    assert why in str(caught.value)


def test_an_extension_is_of_this_version_and_bounded():
    for raw in (b"version: trustkit.dev/workloads/v9\n", b"[]", b"x", b"a: [\n"):
        with pytest.raises(FormatError) as caught:
            extended_table(raw)
        assert caught.value.code == "bad-table"
    with pytest.raises(FormatError):
        extended_table(b" " * (MAX_BYTES + 1))
    with pytest.raises(LimitError):
        extended("\n" * 30_000)


def test_a_table_of_another_version_is_refused():
    with pytest.raises(FormatError):
        table_from({**default_document(), "version": "x"})


def test_a_kind_without_a_pod_is_plain():
    assert kind_from(None).plain
    assert kind_from("spec.template").pod == "spec.template"
    assert not kind_from({"serves": True}).plain
