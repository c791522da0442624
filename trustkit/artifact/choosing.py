"""Which way of hashing fits an artifact, and what another way would have saved.

Pure arithmetic on sizes and on what was measured in the same run; no figure of
another machine stands here. A stream of bytes is hashed in order by one core, so
one file that holds most bytes leaves the other cores idle, and shards do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from trustkit.artifact.manifest import Method
from trustkit.records import dataclass

Choice = Literal["files", "shards", "auto"]
"""What a caller may ask for."""

AUTO_SHARD = 256 << 20
"""Size of the shards that ``auto`` makes (bytes), and from which file on it makes them."""
MATERIAL_SECONDS = 1.0
"""A saving below this is not worth a word."""


@dataclass(frozen=True, slots=True)
class Way:
    """A method, and the size of its shards (bytes) where it has any."""

    method: Method
    shard_size: int | None


def chosen(choice: Choice, shard_size: int, sizes: Sequence[int], *, cores: int) -> Way:
    """Say how files of these sizes are hashed.

    Args:
        choice: ``auto`` cuts files into shards if one of them is large and there is more than one core.
        shard_size: Size of shards where the caller asked for them (bytes).
        sizes: Sizes of all files (bytes).
        cores: How many there are to use.
    """
    if choice != "auto":
        return Way(choice, shard_size if choice == "shards" else None)
    if cores > 1 and max(sizes, default=0) > AUTO_SHARD:
        return Way("shards", AUTO_SHARD)
    return Way("files", None)


def saved_by_shards(way: Way, sizes: Sequence[int], *, cores: int, seconds: float) -> float:
    """Estimate how much sooner shards would have been hashed (seconds), from how long it took.

    Args:
        way: How they were hashed.
        sizes: Sizes of the files that were hashed (bytes).
        cores: How many took part.
        seconds: How long it took.
    """
    if way.method == "shards" or cores < 2 or max(sizes, default=0) <= AUTO_SHARD:
        return 0.0
    share = max(-(-sum(sizes) // cores), AUTO_SHARD)
    return seconds * (1 - min(1.0, share / max(sizes)))
