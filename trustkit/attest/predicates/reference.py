"""How a manifest is written for model-signing 1.1, which reads less than OMS v1.0 says.

Pure. The specification names a single file by its basename and a hash of shards
by the hash; that reader knows only ``.`` and ``sha256-sharded-SIZE``. Nothing
is left out of a signature for its sake: what it cannot read even so is said in
a warning, and signed all the same (FORMAT.md, section 4).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from trustkit.artifact.manifest import SINGLE, Manifest
from trustkit.records import replace

Compat = Literal["1.1"]
"""The version of the reference whose reader a signature is written for."""


def named_for(compat: Compat | None, manifest: Manifest, *, single: bool) -> Manifest:
    """Return the manifest with the names that the reader knows: ``.`` for the file of a single-file model."""
    if compat is None or not single:
        return manifest
    return replace(manifest, resources=tuple(replace(part, path=SINGLE) for part in manifest.resources))


def suffix_for(compat: Compat | None, manifest: Manifest) -> str:
    """Return what the reader expects after the name of a resource's hash."""
    return "" if compat is None or manifest.shard_size is None else f"-sharded-{manifest.shard_size}"


def unread_by(compat: Compat | None, manifest: Manifest) -> Iterator[str]:
    """Yield what stops that reader from verifying this manifest, in words for people."""
    if compat is None:
        return
    who = f"model-signing {compat}"
    if manifest.method == "shards":
        if manifest.algorithm == "blake3":
            yield f"{who} has no shards of blake3, and cannot verify this"
        else:
            yield f"{who} verifies shards through its interface only, when it is told their size and hash"
        for part in manifest.resources:
            if part.start == part.end or ":" in part.path:
                yield f"{who} cannot read {part.name!r}: it knows neither empty shards nor colons in names"
                return
    elif manifest.algorithm != "sha256":
        yield f"{who} verifies {manifest.algorithm} through its interface only"
