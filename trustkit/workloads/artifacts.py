"""Artifacts that a workflow hands to its steps: a bucket and a key beside each other, as Argo writes them.

The law of this file: an artifact counts only if its name, its path or its key speaks of
models, or ends as weights do; where its storage is configured elsewhere it is unresolved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from trustkit.strictjson import Object, Value
from trustkit.workloads.grammar import ends_like_weights, named
from trustkit.workloads.kinds import Kind, reached
from trustkit.workloads.notes import Notes
from trustkit.workloads.places import Place, spelled

_REGION = r"[a-z]{2}(?:-[a-z]{1,16}){1,3}-?[0-9]{0,2}"
_AWS = rf"s3(?:-accelerate|-fips)?(?:\.dualstack)?(?:[.-]{_REGION})?\.amazonaws\.com(?:\.cn)?"
_PUBLIC = (
    ("s3", re.compile(_AWS)),
    ("oss", re.compile(r"oss-[a-z0-9-]{1,64}\.aliyuncs\.com")),
    ("gs", re.compile(r"storage\.googleapis\.com")),
)
"""The hosts whose buckets a bare address of a scheme means; machines of anybody lie in their domains too."""
_ENDPOINT = re.compile(r"(?:https?://)?([a-z0-9.-]{1,253})(?::(?:80|443))?/?", re.IGNORECASE)
_OWN_HOST = "gs"
"""The scheme of storage that needs no endpoint; of any other without one, a repository says where it lies."""
_LISTS = frozenset(("artifacts", "artifactPaths"))
_WRITTEN = "outputs"
_NO_SCHEME, _WHOLE = "none", "url"
"""What the table says of storage that makes no address, and of what holds a whole one."""
_KEYS = ("key", "blob", "path", "url", "repo")


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
    address = _whole(source) if scheme == _WHOLE else _address(source, scheme)
    found = named(address, notes.table) if address else None
    if found is None:
        shown = next((text for name in _KEYS if isinstance(text := source.get(name), str)), "")
        notes.unresolved(place, shown, "an artifact of a storage, or of a name, that is configured elsewhere")
    else:
        why = "an artifact of a workflow that speaks of models"
        notes.add(place, found, how="field", confidence="likely", reason=why)


def _whole(source: Object) -> str:
    text = source.get("url", source.get("repo"))
    return str(text) if _is_plain(text) else ""


def _address(source: Object, scheme: str) -> str:
    bucket, key = source.get("bucket"), source.get("key")
    where = _scheme_at(source.get("endpoint"), scheme)
    return f"{where}://{bucket}/{key}" if where and _is_plain(bucket) and _is_plain(key) else ""


def _is_plain(value: Value) -> bool:
    return isinstance(value, str) and value != "" and "{{" not in value


def _scheme_at(endpoint: Value, scheme: str) -> str:
    """Return the scheme of the buckets at an endpoint; empty where no scheme says which they are."""
    if endpoint is None or endpoint == "" or scheme == _NO_SCHEME:
        return scheme if scheme == _OWN_HOST else ""
    whole = _ENDPOINT.fullmatch(endpoint) if isinstance(endpoint, str) else None
    host = whole[1].lower() if whole is not None else ""
    return next((public for public, pattern in _PUBLIC if pattern.fullmatch(host)), "")
