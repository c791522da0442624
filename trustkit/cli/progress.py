"""How far the work is: bytes, rate and time left on one line of stderr, for whoever watches a terminal.

The library never prints; it calls `Meter.advance` from its worker threads.
The line is rewritten a few times a second and taken away at the end, so that
what remains on the screen is the answer.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from trustkit.cli.answer import size

EVERY_SECONDS = 0.1
"""Between two drawings of the line."""
STEADY_SECONDS = 1.0
"""From here on a rate says something; before, none and no time left is shown."""
MAX_COUNTED = 200_000
"""Entries that are looked at to learn the total; beyond them no time left is promised."""


class Meter:
    """One line that shows progress; a context manager that takes the line away, safe from several threads.

    Args:
        stream: Where the line is drawn; None where nobody watches.
        verb: What is being done, such as ``verifying``.
        paths: What it is done to, to know how much there is.
        erase: What takes the line away before it is drawn again.
        now: The clock (seconds).
    """

    def __init__(
        self,
        stream: TextIO | None,
        verb: str,
        paths: Sequence[Path],
        *,
        erase: str,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._verb = verb
        self._total = None if stream is None else total_of(paths)
        self._erase = erase
        self._now = now
        self._lock = threading.Lock()
        self._done = 0
        self._wide = 0
        self._started = now()
        self._drawn = self._started

    def __enter__(self) -> Callable[[int], None] | None:
        """Return what the work calls with the bytes just done, or None where nobody watches."""
        return None if self._stream is None else self.advance

    def __exit__(self, *_: object) -> None:
        """Take the line away, whatever happened."""
        self.close()

    def advance(self, count: int) -> None:
        """Add bytes just done, and draw if the last drawing is old enough."""
        with self._lock:
            self._done += count
            now = self._now()
            if now - self._drawn >= EVERY_SECONDS:
                self._drawn = now
                self._draw(self._text(now - self._started))

    def close(self) -> None:
        """Take the line away."""
        with self._lock:
            if self._wide:
                self._draw("")
                self._draw_raw("\r")
            self._stream = None

    def _text(self, seconds: float) -> str:
        total = None if self._total is None or self._done > self._total else self._total
        told = f"{self._verb} {size(self._done)}" + ("" if total is None else f" of {size(total)}")
        if seconds < STEADY_SECONDS:
            return told
        rate = self._done / seconds
        if total is None:
            return f"{told}, {size(int(rate))}/s"
        left = (total - self._done) / rate if rate else 0.0
        return f"{told}, {size(int(rate))}/s, {clock(left)} left"

    def _draw(self, text: str) -> None:
        padding = " " * (self._wide - len(text)) if self._erase == "\r" else ""
        self._wide = len(text)
        self._draw_raw(f"{self._erase}{text}{padding}")

    def _draw_raw(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None  # nobody watches any more; the work goes on


def clock(seconds: float) -> str:
    """Write a duration for people: ``9 s``, ``2 min 05 s``, ``3 h 20 min``."""
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def total_of(paths: Sequence[Path]) -> int | None:
    """Add up the sizes of all files below some paths, for display only; None for too many of them."""
    total, seen = 0, 0
    waiting = [str(path) for path in paths]
    while waiting:
        found = waiting.pop()
        try:
            with os.scandir(found) as entries:
                for entry in entries:
                    seen += 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
        except NotADirectoryError:
            total += _size_of(found)
        except OSError:
            continue  # whoever does the work will say what is wrong with it
        if seen > MAX_COUNTED:
            return None
    return total


def _size_of(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0
