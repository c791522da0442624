"""The table: rows that users add, and rows that would weaken it."""

import pytest
import yaml

from trustkit import strictjson
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


@pytest.mark.skipif(not hasattr(yaml, "CSafeLoader"), reason="the library has one parser here")
def test_both_parsers_read_the_table_alike(monkeypatch):
    fast = default_document()
    monkeypatch.delattr(yaml, "CSafeLoader")
    assert strictjson.to_bytes(default_document()) == strictjson.to_bytes(fast)


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
        ("commands: [{words: [ollama, pull, llama3], positional: 1}]\n", "'ollama pull llama3'"),
        ("commands: [{words: [ollama, pull], positional: 2}]\n", "'ollama pull'"),
        ("members:\n  environment: [args]\n", "'args' of members.environment"),
        ("members:\n  environment: [ownargs]\n", "'ownargs' of members.environment"),
        ("zzz: []\n", "zzz"),
        ("flags: [x]\n", "table.flags"),
        ("kinds:\n  a/B: {zzz: 1}\n", "zzz"),
        ("kinds:\n  a/B: {models: [1]}\n", "models"),
        ("kinds:\n  a/B: [1]\n", "kinds"),
        ("flags:\n  zzz: [x]\n", "zzz"),
        ("flags:\n  value: ['']\n", "value"),
        ("flags:\n  value: [--brain]\n", "write 'brain'"),
        ("flags:\n  config: [Brain_Config]\n", "write 'brain-config'"),
        ("members:\n  reference: [brain_uri]\n", "write 'brainuri'"),
        ("weights: [.PT]\n", "write '.pt'"),
        ("json_members: [Brain]\n", "write 'brain'"),
        ("kinds:\n  ml.example/v1/Server: {}\n", "without the version"),
        ("kinds:\n  Server: {}\n", "group/Kind"),
        ("bystanders: [Server]\n", "group/Kind"),
        ("bystanders: [v1/Pod]\n", "v1/Pod"),
        ("schemes:\n  anywhere: {'mine': mine}\n", "prefix"),
        ("schemes:\n  anywhere: {'mine@': mine}\n", "':/'"),
        ("schemes:\n  anywhere: {'': mine}\n", "prefix"),
        ("schemes:\n  anywhere: {'Mine://': mine}\n", "lower case"),
        ("schemes:\n  anywhere: {'mine://': 1}\n", "non-empty string"),
        ("schemes:\n  model: {'mine://': ''}\n", "non-empty string"),
        (f"schemes:\n  model: {{'{'x' * 64}://': mine}}\n", "64 characters"),
        ("schemes:\n  anywhere: {'trust://store/': path}\n", "trust://"),
        ("schemes:\n  model: {'TRUST://store/': path}\n", "trust://"),
        ("commands:\n  - {words: [], positional: 1}\n", "words"),
        ("commands:\n  - {words: [1], positional: 1}\n", "words"),
        ("commands:\n  - {words: [brain], positional: 0}\n", "counted from 1"),
        ("commands: [brain]\n", "commands"),
        ("images:\n  - {part: Brain, program: [brain]}\n", "lower case"),
        ("images:\n  - {part: brain, program: []}\n", "program"),
        ("images:\n  - {part: brain}\n", "program"),
        ("images:\n  - {part: brain, program: [brain], tag: x}\n", "tag"),
        ("short_flags:\n  brain: m\n", "brain"),
        ("short_flags:\n  brain: {m: 1}\n", "brain.m"),
        ("short_flags:\n  brain: {m: reference}\n", "is a value"),
        ("volumes:\n  bucket_attributes: {x: 1}\n", "bucket_attributes.x"),
    ],
)
def test_what_takes_away_replaces_or_is_misspelt_is_refused(text, why):
    with pytest.raises(FormatError) as caught:
        extended(text)
    assert why in str(caught.value)
    assert caught.value.code == "bad-table"


def test_two_tables_of_one_digest_read_alike():
    one, same = (extended("flags:\n  value: [brain]\n") for _ in range(2))
    assert one.digest == same.digest != default_table().digest
    assert extended("").digest == default_table().digest
    assert extended("flags:\n  value: [brains]\n").digest != one.digest


def test_what_takes_something_out_of_judgement_is_told():
    text = (
        "kinds:\n  a/Quiet: {quiet: true}\n  a/Template: {template: true}\n  a/None: null\n  a/Pod: spec\n"
        "  a/Server: {serves: true}\n"
        "bystanders: [a/Other]\nvolumes:\n  harmless_drivers: [my.csi]\n  carriers: [disk]\n"
        "weights: [.brain]\n"
    )
    told = {"kinds.a/Quiet", "kinds.a/Template", "kinds.a/None", "bystanders", "volumes.harmless_drivers"}
    assert set(extended(text).exempts) == told
    assert default_table().exempts == extended("weights: [.brain]\n").exempts == ()


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
