"""How long a command takes that does nothing but start: ours, the bare interpreter's, and the reference's.

Programs take turns, round by round, so that a busy moment of the machine hits all of them; what is printed is
every round and the median of each program. The limit is an interpreter that starts and does nothing: nobody
who is written in Python can be below it. `trustkit --help` is to stay within 0.15 s on a quiet core.

    python tests/bench/bench_startup.py [ROUNDS]
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROUNDS = 21
LIMIT_SECONDS = 0.15
PYTHON = sys.executable
OURS = Path(sys.executable).with_name("trustkit")
PEER = ROOT / ".venv-reference/bin/model_signing"

PROGRAMS = {
    "python -c pass (the limit)": [PYTHON, "-c", "pass"],
    "python -c 'import argparse'": [PYTHON, "-c", "import argparse"],
    "trustkit --help": [OURS, "--help"],
    "python -m trustkit --help": [PYTHON, "-m", "trustkit", "--help"],
    "trustkit --version": [OURS, "--version"],
    "trustkit verify --help": [OURS, "verify", "--help"],
    "trustkit seal --help": [OURS, "seal", "--help"],
    "compat.model_signing --help": [PYTHON, "-m", "trustkit.compat.model_signing", "--help"],
    "model_signing --help (the reference)": [PEER, "--help"],
}


def seconds(command):
    """Run a program once, with nobody reading, and return how long it took."""
    started = time.perf_counter()
    subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
        cwd=ROOT,
    )
    return time.perf_counter() - started


def main(rounds):
    """Measure and print; the first round of each program fills caches and does not count."""
    present = {name: command for name, command in PROGRAMS.items() if Path(command[0]).exists()}
    for command in present.values():
        seconds(command)
    found = {name: [] for name in present}
    for _ in range(rounds):
        for name, command in present.items():
            found[name].append(seconds(command))
    load = ", ".join(f"{number:.2f}" for number in os.getloadavg())
    print(f"start-up, seconds of wall time, {rounds} interleaved rounds, load {load}")
    for name in PROGRAMS:
        if name not in found:
            print(f"  {name:<38} not measured")
            continue
        print(f"  {name:<38} median {statistics.median(found[name]):.3f}   least {min(found[name]):.3f}")
        print("    " + " ".join(f"{value:.3f}" for value in found[name]))
    if "trustkit --help" in found:
        median = statistics.median(found["trustkit --help"])
        verdict = "within" if median <= LIMIT_SECONDS else "ABOVE"
        print(f"trustkit --help is {verdict} {LIMIT_SECONDS} s: {median:.3f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
