"""Hashing throughput beside its limit: the engine against a raw loop over the same bytes.

The limit is what two threads reach that only `preadv` into a reused buffer and
feed hashlib, without stamps, names or errors. Rounds are interleaved, so that a
busy neighbor slows both; the best round of each counts, all are printed. Goal:
at least 0.92 of the limit.

Usage: bench_hashing.py [MEBIBYTES]     in /dev/shm where it exists, so that no disk is measured
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from trustkit.artifact.hashing import hash_values, units_of
from trustkit.artifact.manifest import Method
from trustkit.artifact.tree import scan
from trustkit.digest import Algorithm, new_hasher

THREADS = 2
ROUNDS = 7
GOAL = 0.92
BUFFER = 1 << 20
SMALL_FILES = 1000


def raw(ranges: Sequence[tuple[Path, int, int]], algorithm: Algorithm) -> None:
    """Hash (path, start, end) ranges, dealt out to threads beforehand, with nothing around it."""

    def work(mine: Sequence[tuple[Path, int, int]]) -> None:
        view = memoryview(bytearray(BUFFER))
        for path, start, end in mine:
            descriptor = os.open(path, os.O_RDONLY)
            hasher = hashlib.sha256() if algorithm == "sha256" else new_hasher(algorithm)
            place = start
            while place < end:
                read = os.preadv(descriptor, [view[: min(BUFFER, end - place)]], place)
                hasher.update(view[:read])
                place += read
            hasher.digest()
            os.close(descriptor)

    threads = [threading.Thread(target=work, args=(ranges[number::THREADS],)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def engine(folder: Path, method: Method, shard_size: int, algorithm: Algorithm) -> None:
    """Hash the same bytes the way `sign` and `verify` do, walk included."""
    with scan(folder) as tree:
        units = units_of(tree.files, method=method, shard_size=shard_size)
        hash_values(tree, units, algorithm=algorithm, workers=THREADS)


def timed(work: Callable[[], None]) -> float:
    """Return the seconds that some work takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def compare(title: str, size: int, limit: Callable[[], None], ours: Callable[[], None]) -> float:
    """Run both in turns, print every round, and return the ratio of the best ones."""
    rounds = [(timed(limit), timed(ours)) for _ in range(ROUNDS)]
    for number, (least, taken) in enumerate(rounds, 1):
        print(
            f"  round {number}: raw {size / least / 1e9:5.2f} GB/s   engine {size / taken / 1e9:5.2f} GB/s"
            f"   {least / taken:5.3f}"
        )
    ratio = min(least for least, _ in rounds) / min(taken for _, taken in rounds)
    print(f"{title}: {ratio:.3f} of the raw loop (goal {GOAL}): {'ok' if ratio >= GOAL else 'SHORT'}\n")
    return ratio


def fill(path: Path, size: int) -> None:
    """Write a file of bytes that do not repeat within a buffer."""
    block = os.urandom(BUFFER)
    with path.open("wb") as file:
        for start in range(0, size, BUFFER):
            file.write(block[: min(BUFFER, size - start)])


def main(mebibytes: int) -> None:
    """Measure one large file in shards, two large files, and many small ones."""
    size = mebibytes << 20
    shard = max(size // 4, 1)
    room = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=room, prefix="trustkit-bench-") as name:
        large, pair, small = (Path(name, part) for part in ("large", "pair", "small"))
        for folder in (large, pair, small):
            folder.mkdir()
        fill(large / "model.safetensors", size)
        shards = [
            (large / "model.safetensors", start, min(start + shard, size)) for start in range(0, size, shard)
        ]
        algorithms: tuple[Algorithm, ...] = ("sha256", "blake3")
        for algorithm in algorithms:
            compare(
                f"{mebibytes} MiB, one file in shards of {shard >> 20} MiB, {algorithm}",
                size,
                lambda algorithm=algorithm: raw(shards, algorithm),
                lambda algorithm=algorithm: engine(large, "shards", shard, algorithm),
            )
        (large / "model.safetensors").unlink()
        halves = [(pair / f"model-{number}.safetensors", 0, size // 2) for number in range(2)]
        for path, _, end in halves:
            fill(path, end)
        compare(
            f"2 files of {mebibytes // 2} MiB, sha256",
            size // 2 * 2,
            lambda: raw(halves, "sha256"),
            lambda: engine(pair, "files", 0, "sha256"),
        )
        for path, *_ in halves:
            path.unlink()
        each = size // SMALL_FILES
        many = [(small / f"part-{number:05d}.bin", 0, each) for number in range(SMALL_FILES)]
        for path, _, end in many:
            fill(path, end)
        compare(
            f"{SMALL_FILES} files of {each >> 10} KiB, sha256",
            each * SMALL_FILES,
            lambda: raw(many, "sha256"),
            lambda: engine(small, "files", 0, "sha256"),
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1024)
