"""Volumes are completed as the API server stores them; tests/cluster asks a real one about the same."""

import pytest

from admission.completing import completed

FIELD, VERSIONED = {"fieldPath": "metadata.name"}, {"apiVersion": "v1", "fieldPath": "metadata.name"}
CPU = {"containerName": "c", "resource": "limits.cpu"}
STORED = {
    "a token": (
        "projected",
        {"sources": [{"serviceAccountToken": {"audience": "a", "path": "t"}}]},
        {
            "defaultMode": 420,
            "sources": [{"serviceAccountToken": {"audience": "a", "expirationSeconds": 3600, "path": "t"}}],
        },
    ),
    "fields": (
        "downwardAPI",
        {"items": [{"path": "n", "fieldRef": FIELD}, {"path": "c", "resourceFieldRef": CPU}]},
        {
            "defaultMode": 420,
            "items": [
                {"path": "n", "fieldRef": VERSIONED},
                {"path": "c", "resourceFieldRef": CPU | {"divisor": "0"}},
            ],
        },
    ),
    "fields as a part": (
        "projected",
        {"sources": [{"downwardAPI": {"items": [{"path": "n", "fieldRef": FIELD}]}}]},
        {
            "defaultMode": 420,
            "sources": [{"downwardAPI": {"items": [{"path": "n", "fieldRef": VERSIONED}]}}],
        },
    ),
    "parts without defaults": (
        "projected",
        {"sources": [{"secret": {"name": "s"}}, {"configMap": {"name": "c"}}, {"downwardAPI": {}}]},
        {
            "defaultMode": 420,
            "sources": [{"secret": {"name": "s"}}, {"configMap": {"name": "c"}}, {"downwardAPI": {}}],
        },
    ),
    "a ConfigMap": ("configMap", {"name": "c"}, {"name": "c", "defaultMode": 420}),
    "a Secret": ("secret", {"secretName": "s"}, {"secretName": "s", "defaultMode": 420}),
    "a folder of the node": ("hostPath", {"path": "/p"}, {"path": "/p", "type": ""}),
    "a disk": (
        "iscsi",
        {"iqn": "iqn.2001-04.com.example:disk", "lun": 1, "targetPortal": "192.0.2.1:3260"},
        {
            "iqn": "iqn.2001-04.com.example:disk",
            "iscsiInterface": "default",
            "lun": 1,
            "targetPortal": "192.0.2.1:3260",
        },
    ),
    "a driver": ("csi", {"driver": "d"}, {"driver": "d"}),
}


@pytest.mark.parametrize(("kind", "written", "stored"), STORED.values(), ids=STORED.keys())
def test_what_is_missing_is_filled_in(kind, written, stored):
    assert completed(kind, written) == stored
    assert completed(kind, stored) == stored


def test_what_is_written_stays():
    for kind, whole in {
        "projected": {
            "defaultMode": 0,
            "sources": [
                {"serviceAccountToken": {"audience": "a", "expirationSeconds": 600, "path": "t"}},
                {"downwardAPI": {"items": [{"fieldRef": {"apiVersion": "v2", "fieldPath": "x"}}]}},
            ],
        },
        "hostPath": {"path": "/", "type": "Directory"},
        "image": {"reference": "x:latest", "pullPolicy": "Never"},
        "downwardAPI": {
            "defaultMode": 1,
            "items": [{"resourceFieldRef": CPU | {"divisor": "1Mi"}}],
        },
    }.items():
        assert completed(kind, whole) == whole


@pytest.mark.parametrize(
    ("reference", "policy"),
    [
        ("registry.example/x", "Always"),
        ("registry.example:5000/x", "Always"),
        ("registry.example/x:latest", "Always"),
        ("x:latest@sha256:" + "0" * 64, "Always"),
        ("registry.example:5000/x:v1", "IfNotPresent"),
        ("registry.example/x@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
def test_images_are_pulled_as_their_tags_say(reference, policy):
    assert completed("image", {"reference": reference}) == {"reference": reference, "pullPolicy": policy}


def test_odd_shapes_stay_odd():
    for kind, odd in [
        ("projected", None),
        ("secret", "x"),
        ("projected", {"defaultMode": 420, "sources": [None, {"serviceAccountToken": 1, "downwardAPI": []}]}),
        ("projected", {"defaultMode": 420, "sources": {}}),
        ("downwardAPI", {"defaultMode": 420, "items": [1, {"fieldRef": None, "resourceFieldRef": 1}]}),
        ("downwardAPI", {"defaultMode": 420, "items": None}),
        ("image", {"reference": None}),
    ]:
        assert completed(kind, odd) == odd
