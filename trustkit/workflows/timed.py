"""Hashing with a clock beside it: in which way, what was left unread, and what would have been faster.

The law of this file: what is promised of another way comes from this run alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from trustkit.artifact.choosing import MATERIAL_SECONDS, Choice, Way, chosen, saved_by_shards
from trustkit.artifact.hashing import Engine, Progress, manifest_of
from trustkit.artifact.manifest import Manifest
from trustkit.artifact.tree import Tree
from trustkit.digest import Algorithm, digest_of
from trustkit.records import dataclass
from trustkit.workflows.resigning import Memory
from trustkit.workflows.workers import engine_of

if TYPE_CHECKING:
    from concurrent.futures import Executor

MANY = 1 << 16
"""How many cores an executor is taken to have: it does not say."""
_SAMPLE = 1 << 20
_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """How a caller wants an artifact hashed; the members are those of `trustkit.workflows.signed.sign`.

    The engine is what hashes where files lie on no disk; the one that fits the workers where absent.
    """

    method: Choice
    algorithm: Algorithm
    shard_size: int
    allow_symlinks: bool
    ignored: tuple[str, ...]
    workers: int | Executor
    progress: Progress | None
    clock: Callable[[], float]
    engine: Engine | None = None


@dataclass(frozen=True, slots=True)
class Timed:
    """A manifest, how many files were left unread, and which flags would have saved how many seconds."""

    manifest: Manifest
    unread: int
    faster: dict[str, float]


def timed_manifest(tree: Tree, asked: Asked, memory: Memory) -> Timed:
    """Hash what the memory does not hold, and say what faster ways would have saved.

    Raises:
        FormatError: ``empty-model``.
        UsageError: ``bad-shard-size``.
        VerificationError: ``file-changed``.
    """
    sizes = tree.files.sizes()
    cores = asked.workers if isinstance(asked.workers, int) else MANY
    way = chosen(asked.method, asked.shard_size, sizes, cores=cores)
    known = memory.unread(tree.files, way, asked.algorithm)
    begun = asked.clock()
    manifest = manifest_of(
        tree,
        method=way.method,
        algorithm=asked.algorithm,
        shard_size=way.shard_size,
        allow_symlinks=asked.allow_symlinks,
        ignore_paths=asked.ignored,
        known=known,
        workers=cores,
        engine=asked.engine or engine_of(asked.workers),
        progress=asked.progress,
    )
    seconds = asked.clock() - begun
    read = [file.stamp.size for file in tree.files if file.name not in known] if known else sizes
    return Timed(manifest, len(known), savings(way, asked, read, seconds))


def savings(way: Way, asked: Asked, sizes: Sequence[int], seconds: float) -> dict[str, float]:
    """Estimate what faster ways would have saved (seconds), where that is worth a word.

    Args:
        way: How the files were hashed.
        asked: With which hash, how many workers, and a clock: both hashes are tried on a sample, since
            this machine alone knows its speed.
        sizes: Sizes of the files that were hashed (bytes).
        seconds: How long it took.
    """
    if seconds <= MATERIAL_SECONDS or not isinstance(asked.workers, int):
        return {}
    found = {"--method auto": saved_by_shards(way, sizes, cores=asked.workers, seconds=seconds)}
    if asked.algorithm != "blake3":
        used, other = _pace(asked.algorithm, asked.clock), _pace("blake3", asked.clock)
        # A tree: all cores share a file. But nothing is known of a disk that was waited for.
        left = (seconds - found["--method auto"]) * min(1.0, other / used)
        found["--hash blake3"] = seconds - left
    return {flag: saved for flag, saved in found.items() if saved > MATERIAL_SECONDS}


def _pace(algorithm: Algorithm, clock: Callable[[], float]) -> float:
    """Return how long one core takes for a sample that lies in memory: the best of a few."""
    sample = bytes(_SAMPLE)
    found = []
    for _ in range(_SAMPLES):
        begun = clock()
        digest_of(sample, algorithm)
        found.append(clock() - begun)
    return max(min(found), 1e-9)
