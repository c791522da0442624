"""The walk over schemas: no place of a text is passed over, whatever its schema looks like."""

import pytest

TEXT = {"type": "string"}
CONTAINER = dict.fromkeys(("image", "args", "command", "env", "volumeMounts"), TEXT)


@pytest.fixture
def paths(schemas):
    """Return what a walk finds in a schema of one member ``x``, and in the classes."""

    def paths(schema, **definitions):
        walk = schemas.Walk({"@Container": set(CONTAINER)}, definitions)
        walk.kind("Kind", {"type": "object", "properties": {"x": schema}})
        return walk.found

    return paths


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        (TEXT, "x"),
        ({"type": "string", "format": "int-or-string"}, "x"),
        ({"anyOf": [{"type": "integer"}, TEXT], "x-kubernetes-int-or-string": True}, "x"),
        ({"type": "array", "items": TEXT}, "x[]"),
        ({"type": "array", "items": {"type": "array", "items": TEXT}}, "x[][]"),
        ({"type": "object", "additionalProperties": TEXT}, "x{}"),
        ({"type": "object", "additionalProperties": {"type": "array", "items": TEXT}}, "x{}[]"),
        ({"type": "object", "properties": {"y": TEXT}}, "x.y"),
        ({"$ref": "#/definitions/Named"}, "x.named"),
        ({"type": "array", "items": {"$ref": "#/definitions/Named"}}, "x[].named"),
        ({}, "x{?}"),
        ({"type": "object"}, "x{?}"),
        ({"x-kubernetes-preserve-unknown-fields": True}, "x{?}"),
        ({"type": "array", "items": {"x-kubernetes-preserve-unknown-fields": True}}, "x[]{?}"),
    ],
)
def test_every_place_of_a_text_is_found(paths, schema, path):
    named = {"type": "object", "properties": {"named": TEXT}}
    assert paths(schema, Named=named)["Kind"] == {path: ""}


def test_what_is_known_and_what_is_kept_though_unknown_are_both_found(paths):
    schema = {"type": "object", "properties": {"y": TEXT}, "x-kubernetes-preserve-unknown-fields": True}
    assert paths(schema)["Kind"] == {"x.y": "", "x{?}": ""}


@pytest.mark.parametrize("kind", ["integer", "number", "boolean"])
def test_what_is_no_text_is_left_out(paths, kind):
    assert paths({"type": kind})["Kind"] == {}


def test_a_class_is_named_where_it_lies_and_walked_on_its_own(paths):
    found = paths({"type": "object", "properties": CONTAINER})
    assert found == {"Kind": {"x": "@Container"}, "@Container": dict.fromkeys(CONTAINER, "")}


def test_a_class_that_keeps_what_is_unknown_is_open_too(paths):
    found = paths({"type": "object", "properties": CONTAINER, "x-kubernetes-preserve-unknown-fields": True})
    assert found["Kind"] == {"x": "@Container", "x{?}": ""}


def test_members_beside_those_of_a_class_are_found_where_they_stand(paths):
    found = paths({"type": "object", "properties": {**CONTAINER, "storageUri": TEXT}})
    assert found["Kind"] == {"x": "@Container", "x.storageUri": ""}
    assert set(found["@Container"]) == set(CONTAINER)


def test_a_class_may_be_wider_in_one_place_than_in_another(schemas):
    walk = schemas.Walk({"@Container": {*CONTAINER, "name"}})
    for number, more in enumerate(({}, {"name": TEXT})):
        place = {"type": "object", "properties": {**CONTAINER, **more}}
        walk.kind(f"Kind{number}", {"properties": {"x": place}})
    assert set(walk.found["@Container"]) == {*CONTAINER, "name"}


def test_every_version_of_a_definition_is_walked(schemas):
    versions = [
        {"schema": {"openAPIV3Schema": {"type": "object", "properties": {name: TEXT}}}}
        for name in ("old", "new")
    ]
    walk = schemas.Walk({})
    document = {"spec": {"group": "x.example", "names": {"kind": "Kind"}, "versions": versions}}
    assert walk.definition(document) == "x.example/Kind"
    assert walk.found == {"x.example/Kind": {"old": "", "new": ""}}


def test_samples_are_schemas_in_short(schemas):
    walk = schemas.Walk({"@Container": set(CONTAINER)})
    sample = {
        "a": "text",
        "b": ["any"],
        "c": {"{}": "text"},
        "d": "@Container",
        "e": {"+": "@Container", "f": "text"},
    }
    walk.samples({"_note": "left out", "x.example/Kind": {"spec": sample}})
    common = {"apiVersion": "", "kind": "", "metadata{?}": "", "status{?}": ""}
    places = {"a": "", "b[]{?}": "", "c{}": "", "d": "@Container", "e": "@Container", "e.f": ""}
    assert walk.found == {"x.example/Kind": common | {f"spec.{path}": name for path, name in places.items()}}
