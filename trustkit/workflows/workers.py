"""Who hashes: threads of this process, one per core, or an executor that the caller brings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from trustkit.artifact.hashing import Engine


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0))


def engine_of(workers: int | Executor | None) -> Engine | None:
    """Return what hashes files on an executor; None for threads of our own."""
    if workers is None or isinstance(workers, int):
        return None
    from trustkit.artifact.executors import engine_on  # executors take long to load, and few bring one

    return engine_on(workers)
