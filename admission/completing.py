"""A volume of the operator's as the API server will store it: with the defaults that it fills in.

The law of this file: what is there stays as it is, and what is not understood stays as well; the
API server has the last word, and a volume that differs from the stored one is refused by the
validating hook. Source: ``SetObjectDefaults_Pod`` of Kubernetes 1.34, ``pkg/apis/core/v1``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trustkit.strictjson import Object, Value

_MODE: Object = {"defaultMode": 0o644}
_DEFAULTS: Mapping[str, Object] = {
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "kind": "Shared", "readOnly": False},
    "configMap": _MODE,
    "downwardAPI": _MODE,
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "projected": _MODE,
    "rbd": {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"},
    "scaleIO": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    "secret": _MODE,
}
_TOKEN: Object = {"expirationSeconds": 3600}
_FIELD: Object = {"apiVersion": "v1"}
_RESOURCE: Object = {"divisor": "0"}


def completed(kind: str, source: Value) -> Value:
    """Return the source of a volume as it is stored.

    Args:
        kind: The name of the source, such as ``projected``.
        source: What the operator wrote.
    """
    if not isinstance(source, dict):
        return source
    whole = {**_DEFAULTS.get(kind, {}), **source}
    reference = source.get("reference")
    if kind == "image" and isinstance(reference, str):
        return {"pullPolicy": _pull_policy(reference), **whole}
    if kind == "downwardAPI":
        return _with_fields(whole)
    sources = source.get("sources")
    if kind == "projected" and isinstance(sources, list):
        return {**whole, "sources": _each(sources, _part)}
    return whole


def _part(source: Object) -> Object:
    """One of the sources of a projected volume, which have no modes of their own."""
    token, fields = source.get("serviceAccountToken"), source.get("downwardAPI")
    return {
        **source,
        **({"serviceAccountToken": {**_TOKEN, **token}} if isinstance(token, dict) else {}),
        **({"downwardAPI": _with_fields(fields)} if isinstance(fields, dict) else {}),
    }


def _with_fields(source: Object) -> Object:
    items = source.get("items")
    return {**source, "items": _each(items, _item)} if isinstance(items, list) else source


def _item(item: Object) -> Object:
    """One file of the downward API: from a field of the pod, or from what a container may use."""
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    return {
        **item,
        **({"fieldRef": {**_FIELD, **field}} if isinstance(field, dict) else {}),
        **({"resourceFieldRef": {**_RESOURCE, **resource}} if isinstance(resource, dict) else {}),
    }


def _pull_policy(reference: str) -> str:
    """``Always`` for the tag that moves, which is meant where neither tag nor digest is written."""
    name, _, digest = reference.partition("@")
    _, _, tag = name.rpartition("/")[2].partition(":")
    return "Always" if tag == "latest" or not (tag or digest) else "IfNotPresent"


def _each(entries: list[Value], complete: Callable[[Object], Object]) -> list[Value]:
    return [complete(entry) if isinstance(entry, dict) else entry for entry in entries]
