"""Artifacts that a workflow hands to its steps: a bucket and a key beside each other, as Argo writes them.

The law of this file: an artifact counts only if its name, its path or its key speaks of
models, or ends as weights do; where its storage is configured elsewhere it is unresolved.
"""

from __future__ import annotations

from collections.abc import Iterator

from trustkit.strictjson import Object, Value
from trustkit.workloads.grammar import ends_like_weights, named
from trustkit.workloads.kinds import Kind, reached
from trustkit.workloads.notes import Notes
from trustkit.workloads.places import Place, spelled

_PUBLIC = (".amazonaws.com", ".aliyuncs.com", ".storage.googleapis.com")
"""Where the buckets lie that a bare address of their scheme means."""
_LISTS = frozenset(("artifacts", "artifactPaths"))
_WRITTEN = "outputs"
_NO_SCHEME = "none"
_KEYS = ("key", "blob", "path")


def read_artifacts(untrusted: Object, kind: Kind, notes: Notes) -> None:
    """Note what the artifacts bring in that lie below the places of a kind's row; not what they take away.

    Args:
        untrusted: The object; the walk over it has seen that it is not too deep.
        kind: Its row.
        notes: Where to write.
    """
    for place, below in reached(untrusted, kind.artifacts):
        for where, artifact in _artifacts(below, place, notes):
            for member, scheme in notes.table.artifacts.items():
                source = artifact.get(member)
                if isinstance(source, dict) and _speaks(artifact, source, notes):
                    told = next((name for name in _KEYS if name in source), "key")
                    _read(source, scheme, spelled(((where, member), told)), notes)


def _artifacts(value: Value, place: Place, notes: Notes) -> Iterator[tuple[Place, Object]]:
    """Yield every artifact below a place that is read, wherever its list lies."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _artifacts(item, (place, index), notes)
    elif isinstance(value, dict):
        notes.check()
        for key, item in value.items():
            if key in _LISTS:
                listed = enumerate(item) if isinstance(item, list) else ()
                yield from ((((place, key), index), one) for index, one in listed if isinstance(one, dict))
                if isinstance(item, dict):  # `artifactPaths` is one artifact
                    yield (place, key), item
            if key != _WRITTEN:
                yield from _artifacts(item, (place, key), notes)


def _speaks(artifact: Object, source: Object, notes: Notes) -> bool:
    told = (artifact.get("name"), artifact.get("path"), *(source.get(name) for name in _KEYS))
    texts = [text for text in told if isinstance(text, str)]
    if any(hint in text.lower() for hint in notes.table.hints for text in texts):
        return True
    return any(text and ends_like_weights(text, notes.table) for text in texts)


def _read(source: Object, scheme: str, place: str, notes: Notes) -> None:
    bucket, key, endpoint = (source.get(name, "") for name in ("bucket", "key", "endpoint"))
    found = None
    if _is_plain(bucket) and _is_plain(key) and _is_public(endpoint) and scheme != _NO_SCHEME:
        found = named(f"{scheme}://{bucket}/{key}", notes.table)
    if found is None:
        shown = key if isinstance(key, str) else ""
        notes.unresolved(place, shown, "an artifact of a storage, or of a name, that is configured elsewhere")
    else:
        why = "an artifact of a workflow that speaks of models"
        notes.add(place, found, how="field", confidence="likely", reason=why)


def _is_plain(value: Value) -> bool:
    return isinstance(value, str) and value != "" and "{{" not in value


def _is_public(endpoint: Value) -> bool:
    """Say whether an endpoint is none, or one of those that a bare address means."""
    if not isinstance(endpoint, str):
        return False
    return not endpoint or f".{endpoint.partition(':')[0]}".endswith(_PUBLIC)
