"""Artifacts that a workflow hands to its steps: a bucket and a key beside each other, as Argo writes them.

The law of this file: an artifact counts only if its name, its path or its key speaks of
models, or ends as weights do; where its storage is configured elsewhere it is unresolved.
"""

from __future__ import annotations

from trustkit.strictjson import Object, Value
from trustkit.workloads.grammar import ends_like_weights, named
from trustkit.workloads.kinds import Kind, reached
from trustkit.workloads.notes import Notes
from trustkit.workloads.places import spelled

_PUBLIC = (".amazonaws.com", ".aliyuncs.com", "storage.googleapis.com")
"""Where the buckets lie that a bare address of their scheme means."""


def read_artifacts(untrusted: Object, kind: Kind, notes: Notes) -> None:
    """Note what the artifacts bring in that a kind's row leads to.

    Args:
        untrusted: The object.
        kind: Its row.
        notes: Where to write.
    """
    for place, artifact in reached(untrusted, kind.artifacts):
        notes.check()
        if not isinstance(artifact, dict):
            continue
        for member, scheme in notes.table.artifacts.items():
            source = artifact.get(member)
            if isinstance(source, dict) and _speaks(artifact, source, notes):
                _read(source, scheme, spelled(((place, member), "key")), notes)


def _speaks(artifact: Object, source: Object, notes: Notes) -> bool:
    texts = [_text(artifact.get("name")), _text(artifact.get("path")), _text(source.get("key"))]
    if any(hint in text.lower() for hint in notes.table.hints for text in texts):
        return True
    return any(text and ends_like_weights(text, notes.table) for text in texts)


def _read(source: Object, scheme: str, place: str, notes: Notes) -> None:
    bucket, key, endpoint = (_text(source.get(name)) for name in ("bucket", "key", "endpoint"))
    elsewhere = not bucket or bool(endpoint and not endpoint.partition(":")[0].endswith(_PUBLIC))
    found = named(f"{scheme}://{bucket}/{key}", notes.table)
    if elsewhere or not key or "{{" in bucket + key or found is None:
        notes.unresolved(place, key, "an artifact of a storage, or of a name, that is configured elsewhere")
    else:
        why = "an artifact of a workflow that speaks of models"
        notes.add(place, found, how="field", confidence="likely", reason=why)


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""
