"""Volumes: the ones that name a model, the ones that can carry one, the ones that cannot.

A volume that can bring weights from outside and does not say which is a
*carrier*: certain to matter where a model is expected, possible elsewhere.
A kind of volume the table does not know is unresolved.
"""

from __future__ import annotations

import posixpath

from trustkit.strictjson import Object, Value
from trustkit.workloads.grammar import Named, is_pinned, named
from trustkit.workloads.notes import Notes
from trustkit.workloads.values import MAX_SHOWN


def read_volumes(spec: Object, path: str, notes: Notes, *, ours: frozenset[str]) -> None:
    """Note what the volumes of a pod bring in.

    Args:
        spec: The pod spec, untrusted.
        path: Where it lies.
        notes: Where to write.
        ours: Names of volumes that only our own sidecars mount.
    """
    volumes = spec.get("volumes")
    if volumes is not None and not isinstance(volumes, list):
        notes.unresolved(f"{path}.volumes", "", "volumes is no list")
        return
    for index, volume in enumerate(volumes or ()):
        place = f"{path}.volumes[{index}]"
        if not isinstance(volume, dict):
            notes.unresolved(place, "", "a volume is no object")
        elif _text(volume, "name") not in ours:
            for kind, source in volume.items():
                if kind != "name":
                    _read_volume(kind, source, f"{place}.{kind}", notes)


def read_sources(untrusted: Value, path: str, notes: Notes) -> None:
    """Note what one volume brings in whose kind is named beside other members, as a persistent volume's is.

    Args:
        untrusted: What holds it.
        path: Where it lies.
        notes: Where to write.
    """
    for kind, source in untrusted.items() if isinstance(untrusted, dict) else ():
        if kind in notes.table.volume_kinds:
            _read_volume(kind, source, f"{path}.{kind}", notes)


def _read_volume(kind: str, source: Value, place: str, notes: Notes) -> None:
    table = notes.table
    if kind in table.harmless.volumes:
        return
    fields: Object = source if isinstance(source, dict) else {}
    if kind == "image":
        _image(fields, place, notes)
    elif kind == "csi":
        _csi(fields, place, notes)
    elif kind in {"hostPath", "local"}:
        _host_path(fields, place, notes)
    elif kind == "persistentVolumeClaim":
        _carrier(_text(fields, "claimName"), "pvc", f"{place}.claimName", notes)
    elif kind == "ephemeral":
        _ephemeral(fields, place, notes)
    elif kind == "nfs":
        _carrier(f"nfs://{_text(fields, 'server')}{_text(fields, 'path')}", "nfs", f"{place}.path", notes)
    elif kind in table.carriers:
        _carrier(kind, kind, place, notes)
    else:
        notes.unresolved(place, kind, f"the kind of volume {kind[:64]!r} is not known")


def _image(source: Object, place: str, notes: Notes) -> None:
    reference = _text(source, "reference")
    if not reference:
        notes.unresolved(f"{place}.reference", "", "an image volume without a reference")
        return
    found = Named(reference[:MAX_SHOWN], "oci", is_pinned(reference, "oci"), "image")
    notes.add(f"{place}.reference", found, how="volume", confidence="certain", reason="image volume")


def _csi(source: Object, place: str, notes: Notes) -> None:
    table = notes.table
    if _text(source, "driver") in table.harmless.drivers:
        return
    attributes = source.get("volumeAttributes")
    before = notes.count
    for key, value in attributes.items() if isinstance(attributes, dict) else ():
        spot = (
            f'{place}.volumeAttributes["{key[:256]}"]'
            if "." in key
            else f"{place}.volumeAttributes.{key[:256]}"
        )
        if not isinstance(value, str) or not value:
            continue
        if key in table.bucket_attributes:
            _carrier(value, table.bucket_attributes[key], spot, notes)
        elif key in table.reference_attributes and (found := named(value, table)) is not None:
            notes.add(spot, found, how="volume", confidence="certain", reason="attribute of a CSI volume")
    if notes.count == before:
        _carrier(_text(source, "driver") or "csi", "csi", f"{place}.driver", notes)


def _host_path(source: Object, place: str, notes: Notes) -> None:
    path = posixpath.normpath("/" + _text(source, "path").lstrip("/"))
    harmless = any(path == known or path.startswith(f"{known}/") for known in notes.table.harmless.host_paths)
    harmless = harmless or _text(source, "type") in notes.table.harmless.host_types
    if not harmless and not path.startswith(notes.table.accelerators.devices):
        _carrier(_text(source, "path") or "/", "hostpath", f"{place}.path", notes)


def _ephemeral(source: Object, place: str, notes: Notes) -> None:
    """A fresh claim is empty, unless it is filled from a snapshot, another claim or a populator."""
    template = source.get("volumeClaimTemplate")
    claim = template.get("spec") if isinstance(template, dict) else None
    fields: Object = claim if isinstance(claim, dict) else {}
    if not claim or fields.get("dataSource") or fields.get("dataSourceRef") or fields.get("volumeName"):
        _carrier("volumeClaimTemplate", "pvc", f"{place}.volumeClaimTemplate", notes)


def _carrier(text: str, scheme: str, place: str, notes: Notes) -> None:
    notes.add(
        place,
        Named((text or scheme)[:MAX_SHOWN], scheme, pinned=False, strength="path"),
        how="volume",
        confidence="likely" if notes.expects else "possible",
        reason="a volume that can carry weights and does not say which",
    )


def _text(fields: Object, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""
