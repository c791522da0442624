"""Signing and verifying beside model-signing 1.1.1, whole processes, the same pages, in turns.

Every program is started anew for every round, as its users start it; programs take turns, so that a busy
moment hits all of them. Printed are every round, the medians, and the ratio to the peer beside its goal.
Where the peer's command line has no such mode, a few lines that call its API stand for it. Memory is the
largest `ru_maxrss` of any of our processes, less that of an interpreter that does nothing.

    python tests/bench/bench_peers.py [ROW...] [--mib 4096] [--files 2000] [--rounds 5] [--folder /dev/shm]

Rows: single, several, many, tiny, resign. The peer lives in an environment of its own, which `make test`
builds; without it our own times are printed, and "not measured".
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = Path(sys.executable).with_name("trustkit")
PEER = ROOT / ".venv-reference/bin/model_signing"
PEER_PYTHON = PEER.with_name("python")
MIB = 1 << 20
SHARD = 256 * MIB
TINY_SECONDS = 0.15
MEMORY_MIB = 48
SETTLED_SECONDS = 2.5
"""Files touched later than two seconds before a signature are not recorded: they are read again."""
BLAKE3_SIGN = """
import sys
from model_signing import hashing, signing
model, signature, key = sys.argv[1:]
how = hashing.Config().use_file_serialization(hashing_algorithm="blake3").set_ignored_paths(paths=[signature])
signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(how).sign(model, signature)
"""
BLAKE3_VERIFY = """
import sys
from model_signing import verifying
model, signature, key = sys.argv[1:]
verifying.Config().use_elliptic_key_verifier(public_key=key).verify(model, signature)
"""
RAW = """
import hashlib, os, sys, threading
def work(paths):
    view = memoryview(bytearray(1 << 19))
    for path in paths:
        descriptor, place, hasher = os.open(path, os.O_RDONLY), 0, hashlib.sha256()
        while read := os.preadv(descriptor, [view], place):
            hasher.update(view[:read])
            place += read
        hasher.digest()
paths = sys.argv[1:]
for thread in (threads := [threading.Thread(target=work, args=(paths[number::2],)) for number in (0, 1)]):
    thread.start()
for thread in threads:
    thread.join()
"""
"""Two threads that read and hash whole files, and nothing else: what nobody with this hash can beat."""
WAYS = {
    "files sha256": (),
    "shards sha256": ("--method", "shards", "--shard-size", SHARD),
    "blake3": ("--hash", "blake3"),
}


@dataclass(frozen=True)
class Run:
    """One process: seconds of wall time and its peak memory (bytes)."""

    seconds: float
    memory: int


def run(command):
    """Start a program, wait for it, and return what it took; a program that fails ends the benchmark."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    complaint = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{complaint.decode(errors='replace')}")
    return Run(seconds, usage.ru_maxrss * 1024)


class Bench:
    """What is measured where, and whether every goal was met.

    Args:
        folder: Where models are made and removed.
        rounds: How often each program runs; one more run of each fills caches and does not count.
    """

    def __init__(self, folder, rounds):
        self.folder, self.rounds = folder, rounds
        self.key = folder / "key.pem"
        run([OURS, "key", "generate", "--output", self.key, "--quiet"])
        self.public = folder / "key.pem.pub"
        self.bare = max(run([sys.executable, "-c", "pass"]).memory for _ in range(5))
        self.memory = 0
        self.short = []

    def sign(self, model, *how, to):
        """Say how we sign."""
        return [OURS, "sign", model, "--key", self.key, "--bundle", to, "--overwrite", "--quiet", *how]

    def verify(self, model, bundle):
        """Say how we verify."""
        return [OURS, "verify", model, "--key", self.public, "--bundle", bundle, "--quiet"]

    def peer_sign(self, model, to):
        """Say how the peer signs."""
        return [PEER, "sign", "key", "--signature", to, "--private_key", self.key, model]

    def peer_verify(self, model, bundle):
        """Say how the peer verifies."""
        return [PEER, "verify", "key", "--signature", bundle, "--public_key", self.public, model]

    def compare(self, title, peer, ours, *, limit=None):
        """Run everybody in turns.

        Args:
            title: What the work is.
            peer: The peer's command.
            ours: Name of a way of ours: (command, goal).
            limit: A command that does only what everybody must do.
        """
        commands = {name: command for name, (command, _) in ours.items()}
        if limit:
            commands["raw loop"] = limit
        if PEER.exists():
            commands["model_signing"] = peer
        runs = {name: [] for name in commands}
        for number in range(self.rounds + 1):
            for name, command in commands.items():
                once = run(command)
                if number:
                    runs[name].append(once)
        load = os.getloadavg()[0]
        print(f"{title} ({self.rounds} rounds, load {load:.1f})")
        for name, found in runs.items():
            seconds = [each.seconds for each in found]
            print(
                f"  {name:<16} median {statistics.median(seconds):7.3f} s   rounds"
                f" {' '.join(f'{value:.3f}' for value in seconds)}"
            )
        if limit and PEER.exists():
            pair = ("raw loop", "model_signing")
            least, peers = (statistics.median(each.seconds for each in runs[name]) for name in pair)
            print(f"  the raw loop alone: {peers / least:.2f} x the peer's speed")
        for name, (_, goal) in ours.items():
            self.memory = max(self.memory, *(each.memory for each in runs[name]))
            self._judge(title, name, runs, goal)
        print(flush=True)
        return runs

    def _judge(self, title, name, runs, goal):
        if "model_signing" not in runs:
            print(f"  {name:<16} against model_signing 1.1.1: not measured (`make test` installs it)")
            return
        ours, peers = ([each.seconds for each in runs[who]] for who in (name, "model_signing"))
        ratio = statistics.median(peers) / statistics.median(ours)
        told = f"{ratio:.2f} x the peer's speed, {min(peers) / min(ours):.2f} x in the best rounds"
        self.judge(f"{title}, {name}", told, ratio >= goal, goal)

    def judge(self, what, found, met, goal):
        """Print one goal and remember those that were missed."""
        print(f"  {what}: {found} (goal {goal}): {'ok' if met else 'SHORT'}")
        if not met:
            self.short.append(what)


def fill(path, size):
    """Write a file of bytes that no two files share."""
    block = os.urandom(MIB)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for start in range(0, size, MIB):
            file.write(start.to_bytes(8, "big") + os.urandom(8) + block[16 : min(MIB, size - start)])


def single(bench, size, _):
    """One large file, each way of ours against the only one of the peer's command line."""
    model = bench.folder / "single"
    fill(model / "model.safetensors", size)
    goals = dict(zip(WAYS, (1.15, 1.8, 3.5), strict=True))
    theirs = bench.folder / "peer.sig"
    bundles = {name: bench.folder / f"{name.split()[0]}.sig" for name in WAYS}
    title = f"one file of {size // MIB} MiB"
    ways = {name: (bench.sign(model, *how, to=bundles[name]), goals[name]) for name, how in WAYS.items()}
    bench.compare(f"sign {title}", bench.peer_sign(model, theirs), ways)
    ways = {name: (bench.verify(model, bundles[name]), goals[name]) for name in WAYS}
    bench.compare(f"verify {title}", bench.peer_verify(model, theirs), ways)
    shutil.rmtree(model)


def several(bench, size, _):
    """Eight files, defaults."""
    model = bench.folder / "several"
    for number in range(8):
        fill(model / f"model-{number}.safetensors", size // 8)
    paths = sorted(model.iterdir())
    _both(bench, f"8 files of {size // 8 // MIB} MiB", model, 1.25, limit=[sys.executable, "-c", RAW, *paths])
    shutil.rmtree(model)


def many(bench, _, files):
    """Many files of 1 MiB: sha256 against the command line, blake3 against the API."""
    model = bench.folder / "many"
    for number in range(files):
        fill(model / f"part-{number:05}.bin", MIB)
    _both(bench, f"{files} files of 1 MiB", model, 1.3)
    ours, theirs = bench.folder / "blake3.sig", bench.folder / "peer.sig"
    title = f"{files} files of 1 MiB, blake3"
    sign = bench.sign(model, *WAYS["blake3"], to=ours)
    bench.compare(
        f"sign {title}",
        [PEER_PYTHON, "-c", BLAKE3_SIGN, model, theirs, bench.key],
        {"blake3": (sign, 1.7)},
    )
    verify = bench.verify(model, ours)
    bench.compare(
        f"verify {title}",
        [PEER_PYTHON, "-c", BLAKE3_VERIFY, model, theirs, bench.public],
        {"blake3": (verify, 1.7)},
    )
    shutil.rmtree(model)


def tiny(bench, _, __):
    """A model of a few bytes: nothing but starting."""
    model = bench.folder / "tiny"
    fill(model / "config.json", 16)
    for title, runs in _both(bench, "a tiny model", model, 6).items():
        median = statistics.median(each.seconds for each in runs["files sha256"])
        bench.judge(f"{title}, whole process", f"{median:.3f} s", median <= TINY_SECONDS, TINY_SECONDS)
    print()
    shutil.rmtree(model)


def resign(bench, size, _):
    """Sign again after one small file beside large ones changed, against signing all of it."""
    model = bench.folder / "resign"
    for number in range(8):
        fill(model / f"model-{number}.safetensors", size // 4)
    state, bundle, full = bench.folder / "state", bench.folder / "again.sig", bench.folder / "full.sig"
    fill(model / "README.md", 1000)
    time.sleep(SETTLED_SECONDS)
    run(bench.sign(model, "--state-dir", state, to=bundle))
    again = bench.sign(model, "--state-dir", state, "--previous", bundle, to=bundle)
    runs = {"full": [], "again": []}
    for number in range(bench.rounds):
        runs["full"].append(run(bench.sign(model, to=full)).seconds)
        fill(model / "README.md", 1000 + number)
        runs["again"].append(run(again).seconds)
    print(f"sign 8 files of {size // 4 // MIB} MiB and a small one that changed ({bench.rounds} rounds)")
    for name, found in runs.items():
        rounds = " ".join(f"{value:.3f}" for value in found)
        print(f"  {name:<16} median {statistics.median(found):7.3f} s   rounds {rounds}")
    ratio = statistics.median(runs["full"]) / statistics.median(runs["again"])
    bench.judge("sign again with --previous", f"{ratio:.1f} x the speed of signing all", ratio >= 50, 50)
    print(flush=True)
    shutil.rmtree(model)


def _both(bench, title, model, goal, *, limit=None):
    ours, theirs = bench.folder / "ours.sig", bench.folder / "peer.sig"
    sign = bench.compare(
        f"sign {title}",
        bench.peer_sign(model, theirs),
        {"files sha256": (bench.sign(model, to=ours), goal)},
        limit=limit,
    )
    verify = bench.compare(
        f"verify {title}",
        bench.peer_verify(model, theirs),
        {"files sha256": (bench.verify(model, ours), goal)},
        limit=limit,
    )
    return {f"sign {title}": sign, f"verify {title}": verify}


ROWS = {"single": single, "several": several, "many": many, "tiny": tiny, "resign": resign}


def main():
    """Measure the rows that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all where absent")
    parser.add_argument("--mib", type=int, default=4096, help="bytes of the large models, in MiB")
    parser.add_argument("--files", type=int, default=2000, help="number of small files")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--folder", type=Path, default=Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    )
    asked = parser.parse_args()
    if unknown := set(asked.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(dir=asked.folder, prefix="trustkit-bench-") as name:
        bench = Bench(Path(name), asked.rounds)
        for row in asked.rows or ROWS:
            ROWS[row](bench, asked.mib * MIB, asked.files)
        over = (bench.memory - bench.bare) / MIB
        bench.judge("peak memory over the interpreter", f"{over:.1f} MiB", over <= MEMORY_MIB, MEMORY_MIB)
        print(f"\n{'all goals met' if not bench.short else 'SHORT: ' + '; '.join(bench.short)}")


if __name__ == "__main__":
    main()
