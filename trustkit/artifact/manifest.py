"""The manifest: sorted parts of an artifact with their digests, and the two digests over it.

Pure values, no files. `Manifest.manifest_digest` is what pins, caches and our
attestations rest on; `Manifest.root_digest` is OMS's digest over all resources,
which covers no names and is reported only (architecture, section 11).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from trustkit.digest import Algorithm, Digest

Method = Literal["files", "shards"]

SINGLE = "."
"""How the reference names the one file of a single-file model."""
DEFAULT_SHARD_SIZE = 1_000_000_000
"""Shard size of the reference (bytes), used where a caller names none; a document must name its own."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One part of an artifact: a whole file, or a range of one.

    Attributes:
        path: Name of the file.
        digest: Digest of the file or range.
        start: First byte of the range, or None for a whole file.
        end: First byte after the range, or None for a whole file.
    """

    path: str
    digest: Digest
    start: int | None = None
    end: int | None = None

    @property
    def name(self) -> str:
        """The name as OMS writes it: ``path`` or ``path:start:end``."""
        return self.path if self.start is None else f"{self.path}:{self.start}:{self.end}"


@dataclass(frozen=True)
class Manifest:
    """What was signed: resources in the order of the document, and how they were made.

    Attributes:
        resources: In the order of the document; a writer of ours sorts by name.
        method: ``files`` or ``shards``.
        algorithm: Hash of every resource.
        shard_size: Bytes per shard, or None for files.
        allow_symlinks: Whether links were followed when signing.
        ignore_paths: Relative names that were left out; each covers all below it.
    """

    resources: tuple[Resource, ...]
    method: Method = "files"
    algorithm: Algorithm = "sha256"
    shard_size: int | None = None
    allow_symlinks: bool = False
    ignore_paths: tuple[str, ...] = ()

    @cached_property
    def root_digest(self) -> Digest:
        """SHA-256 over the raw digests in document order (OMS v1.0, root digest). Covers no names."""
        hasher = hashlib.sha256()
        for resource in self.resources:
            hasher.update(resource.digest.value)
        return Digest("sha256", hasher.digest())

    @cached_property
    def manifest_digest(self) -> Digest:
        """SHA-256 over ``algorithm:hex "name"`` lines sorted by name (architecture, section 11)."""
        hasher = hashlib.sha256()
        for resource in sorted(self.resources, key=_by_name):
            line = f"{resource.digest} {json.dumps(resource.name, ensure_ascii=False)}\n"
            hasher.update(line.encode("utf-8"))
        return Digest("sha256", hasher.digest())

    @cached_property
    def file_names(self) -> tuple[str, ...]:
        """The distinct file names, in the order of the document."""
        return tuple(dict.fromkeys(resource.path for resource in self.resources))


def _by_name(resource: Resource) -> str:
    return resource.name
