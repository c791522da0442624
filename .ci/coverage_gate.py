"""The coverage gate of `make test`: the rooms that decide, and everything together.

Usage: coverage_gate.py report|enforce, after a test run with coverage. The
thresholds are the architecture's: rooms in which a line or branch that no test
walks could release, believe or allow something are held at 100 %, the whole
house at 95 %. No line is excused there (tests/contract looks for excuses).
"""
# ruff: noqa: INP001, T201 - a script that prints, not a package

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOMS = ("trustkit/attest/", "trustkit/verifying/", "trustkit/sealing/", "trustkit/deciding/")
ROOM_THRESHOLD = 100.0
HOUSE_THRESHOLD = 95.0

Counts = dict[str, int]


def percent(summaries: list[Counts]) -> float:
    """Lines and branches covered, in percent; 0 where there is nothing, so an empty room does not pass."""
    have = sum(counts["covered_lines"] + counts["covered_branches"] for counts in summaries)
    want = sum(counts["num_statements"] + counts["num_branches"] for counts in summaries)
    return 100 * have / want if want else 0.0


def measured() -> dict[str, Counts]:
    """Read what the test run left: file name to counts."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "coverage.json")
        command = [sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(report)]
        subprocess.run(command, check=True)  # noqa: S603 - fixed words
        files = json.loads(report.read_text(encoding="utf-8"))["files"]
    return {name: found["summary"] for name, found in files.items()}


def met(files: dict[str, Counts], room: str, threshold: float) -> bool:
    """Print how far a room is, with its worst files where it falls short."""
    inside = {name: counts for name, counts in files.items() if name.startswith(room)}
    have = percent(list(inside.values()))
    word = "ok   " if have >= threshold else "SHORT"
    print(f"coverage {word} {have:6.2f} % of {threshold:.0f} %  {room or 'everything'}")
    if have < threshold:
        worst = sorted(
            (percent([counts]), name) for name, counts in inside.items() if counts["num_statements"]
        )
        for part, name in worst[:5]:
            print(f"               {part:6.2f} %           {name}")
    return have >= threshold


def main(mode: str) -> int:
    """Return 1 where a threshold is missed and the mode is ``enforce``."""
    files = measured()
    thresholds = [*((room, ROOM_THRESHOLD) for room in ROOMS), ("", HOUSE_THRESHOLD)]
    results = [met(files, room, threshold) for room, threshold in thresholds]
    if all(results):
        return 0
    if mode != "enforce":
        print("coverage is only reported; COVERAGE=enforce makes it a gate")
    return int(mode == "enforce")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "enforce"))
