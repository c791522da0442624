"""Sealing and opening beside their limit and their peers, on the same bytes, in turns.

The limit is a raw loop: threads that read a range into a reused buffer, run
AES-256-GCM over it, hash, and write, with no format, names, keys or errors
around that. It encrypts where opening decrypts, which costs the same, so that
the sealed blobs of the run serve it as they are. Where the bytes are one file
it hashes each half for itself, and so does not even keep the order that a
digest of the whole file imposes on us.

Every round runs everything once, in the same order, so that a busy neighbor
slows all of it; ratios are taken round by round, and their median counts. A
peer that is not installed is not measured, and says so. Where others use the
machine, the seconds of processor time per GB are the steadier figure. Memory is the peak of a
fresh process, for one and for four workers.

Usage: bench_sealing.py [MEBIBYTES [ROUNDS]]    in /dev/shm where it exists, so that no disk is measured
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trustkit import workflows
from trustkit.digest import Algorithm, new_hasher
from trustkit.sealing.recipients import generate_opener, opener_from_pem, recipient_from_pem
from trustkit.signing.key import generate_key, load_signer
from trustkit.verifying.policy import VerificationPolicy, policy_from_keys

THREADS = len(os.sched_getaffinity(0))
SEGMENT = 1 << 20
TAG = 16
MEMORY_GOAL = 64
"""Most memory of one worker (MiB)."""

GOALS = (
    ("open sha256", "age -d", 5.0),
    ("open blake3", "age -d", 6.0),
    ("open blake3", "cp, then openssl dgst", 1.3),
    ("seal sha256", "age -r", 4.0),
    ("open sha256", "raw open sha256", 0.85),
    ("open blake3", "raw open blake3", 0.85),
    ("seal sha256", "raw seal sha256", 0.85),
)
"""What is held against what, and how many times faster it must be."""

Ranges = Sequence[tuple[Path, int, int]]


@dataclass
class Bench:
    """Keys, folders and times of one run."""

    room: Path
    size: int
    rounds: int
    times: dict[str, list[float]] = field(default_factory=dict)
    processor: dict[str, list[float]] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        private, public = generate_key("p256", passphrase=None)
        (self.room / "key").write_bytes(private)
        self.opener, self.recipient = generate_opener("x25519", passphrase=None)
        (self.room / "opener").write_bytes(self.opener)
        (self.room / "key.pub").write_bytes(public)
        self.signer = load_signer(self.room / "key", passphrase=None)
        self.policy: VerificationPolicy = policy_from_keys(public)

    def seal(self, model: Path, bundle: Path, output: Path, *, workers: int = THREADS) -> None:
        """Seal the way `trustkit seal` does."""
        workflows.seal(
            model,
            self.signer,
            output=output,
            line="bench/model",
            version=1,
            recipients=[recipient_from_pem(self.recipient)],
            policy=self.policy,
            bundle=bundle,
            workers=workers,
        )

    def open(self, sealed: Path, output: Path, *, workers: int = THREADS) -> None:
        """Open the way `trustkit open` does."""
        openers = [opener_from_pem(self.opener, passphrase=None)]
        workflows.open_sealed(sealed, openers, self.policy, output=output, workers=workers)

    def time(self, what: str, work: Callable[[], None], made: Path | None = None) -> None:
        """Time some work, and remove what it made.

        Memory that the host took back costs several times as much to write as memory that was in use a moment
        ago. So as many pages as the work is going to fill are filled and let go before its clock starts.
        """
        fill(self.room / "warm", self.size)
        (self.room / "warm").unlink()
        before, begin = os.times(), time.perf_counter()
        work()
        self.times.setdefault(what, []).append(time.perf_counter() - begin)
        self.processor.setdefault(what, []).append(sum(os.times()[:4]) - sum(before[:4]))
        if made is not None and made.is_dir():
            shutil.rmtree(made)
        elif made is not None:
            made.unlink()


def ranges_of(folder: Path) -> list[tuple[Path, int, int]]:
    """Cut the files of a folder so that every thread has something to do."""
    files = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.name)
    if len(files) > 1:
        return [(path, 0, path.stat().st_size) for path in files]
    size = files[0].stat().st_size
    step = -(-size // THREADS // SEGMENT) * SEGMENT
    return [(files[0], start, min(start + step, size)) for start in range(0, size, step)]


def raw(ranges: Ranges, output: Path, algorithm: Algorithm, *, sealing: bool) -> None:
    """Read, encrypt, hash and write ranges, dealt out to threads beforehand, with nothing around it."""
    output.mkdir()

    def work(mine: Ranges) -> None:
        plain, sealed = memoryview(bytearray(SEGMENT)), memoryview(bytearray(SEGMENT + TAG))
        cipher = AESGCM(bytes(32))
        for number, (path, start, end) in enumerate(mine):
            source = os.open(path, os.O_RDONLY)
            sink = os.open(output / f"{path.name}-{start}-{number}", os.O_WRONLY | os.O_CREAT, 0o600)
            hashers = [new_hasher(algorithm), *([new_hasher("sha256")] if sealing else [])]
            for place in range(start, end, SEGMENT):
                chunk = plain[: min(SEGMENT, end - place)]
                os.preadv(source, [chunk], place)
                cipher.encrypt_into(place.to_bytes(12), chunk, None, sealed[: len(chunk) + TAG])
                for hasher in hashers:
                    hasher.update(chunk)
                os.pwrite(sink, sealed[: len(chunk)], place - start)
            os.close(source)
            os.close(sink)

    threads = [threading.Thread(target=work, args=(ranges[number::THREADS],)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def peers(bench: Bench, weights: Path) -> None:
    """One round of age, cp and openssl over the whole bytes as one file."""
    copy = bench.room / "copy"
    if shutil.which("age") and shutil.which("age-keygen"):
        identity, sealed = bench.room / "age", bench.room / "weights.age"
        if not identity.exists():
            subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True)
        done = subprocess.run(["age-keygen", "-y", identity], check=True, capture_output=True, text=True)
        encrypt = ["age", "-r", done.stdout.strip(), "-o", str(sealed), str(weights)]
        bench.time("age -r", lambda: command(encrypt))
        bench.time("age -d", lambda: command(["age", "-d", "-i", identity, "-o", copy, sealed]), copy)
        sealed.unlink()
    else:
        bench.absent |= {"age -r", "age -d"}
    if shutil.which("openssl"):

        def both() -> None:
            command(["cp", weights, copy])
            command(["openssl", "dgst", "-sha256", copy])

        bench.time("cp, then openssl dgst", both, copy)
        bench.time("openssl dgst", lambda: command(["openssl", "dgst", "-sha256", weights]))
    else:
        bench.absent |= {"cp, then openssl dgst", "openssl dgst"}
    bench.time("cp", lambda: command(["cp", weights, copy]), copy)


def command(words: Sequence[str | Path]) -> None:
    """Run a peer."""
    subprocess.run(words, check=True, capture_output=True)


def fill(path: Path, size: int) -> None:
    """Write a file of bytes that do not repeat within a segment."""
    block = os.urandom(SEGMENT)
    with path.open("wb") as file:
        for start in range(0, size, SEGMENT):
            file.write(block[: min(SEGMENT, size - start)])


def measure(bench: Bench, model: Path) -> None:
    """Run every round over one model."""
    algorithms: tuple[Algorithm, ...] = ("sha256", "blake3")
    bundles = {algorithm: bench.room / f"{algorithm}.sig" for algorithm in algorithms}
    for algorithm, bundle in bundles.items():
        workflows.sign(model, bench.signer, bundle=bundle, algorithm=algorithm, overwrite=bundle.exists())
    out = bench.room / "out"
    for _ in range(bench.rounds):
        peers(bench, bench.room / "weights")
        for algorithm in algorithms:
            sealed = bench.room / f"sealed-{algorithm}"
            bench.time(f"seal {algorithm}", lambda a=algorithm, s=sealed: bench.seal(model, bundles[a], s))
            bench.time(f"open {algorithm}", lambda s=sealed: bench.open(s, out), out)
            blobs = ranges_of(sealed / "blobs")
            title = f"raw open {algorithm}"
            bench.time(title, lambda b=blobs, a=algorithm: raw(b, out, a, sealing=False), out)
            title, plain = f"raw seal {algorithm}", ranges_of(model)
            bench.time(title, lambda p=plain, a=algorithm: raw(p, out, a, sealing=True), out)
            shutil.rmtree(sealed)


def report(bench: Bench, title: str) -> bool:
    """Print all times and every goal; return whether all that could be measured was reached."""
    print(f"\n{title}: {bench.size >> 20} MiB, {bench.rounds} rounds, {THREADS} threads")
    for what, taken in bench.times.items():
        speeds = " ".join(f"{bench.size / seconds / 1e9:5.2f}" for seconds in taken)
        cost = median(bench.processor[what]) / bench.size * 1e9
        speed = bench.size / median(taken) / 1e9
        print(f"  {what:<22} median {speed:5.2f} GB/s   {cost:4.2f} CPU-s/GB   rounds {speeds}")
    reached = True
    for ours, theirs, goal in GOALS:
        if theirs in bench.absent:
            print(f"  {ours} against {theirs}: not measured")
            continue
        pairs = zip(bench.times[theirs], bench.times[ours], strict=True)
        ratio = median(other / own for other, own in pairs)
        limit = f"raw {ours}"
        most = median(other / own for other, own in zip(bench.times[theirs], bench.times[limit], strict=True))
        beside = "" if theirs == limit else f"; the raw loop itself {most:.2f}"
        verdict = "ok" if ratio >= goal else "SHORT"
        print(f"  {ours} against {theirs}: {ratio:.2f} (goal {goal}{beside}): {verdict}")
        reached = reached and ratio >= goal
    return reached


def memory(bench: Bench, model: Path) -> bool:
    """Seal and open in fresh processes with one and with four workers, and print what each worker took."""
    bundle, sealed, out = (bench.room / name for name in ("memory.sig", "memory-sealed", "memory-out"))
    workflows.sign(model, bench.signer, bundle=bundle)
    bench.seal(model, bundle, sealed)
    reached = True
    for what, words in (
        ("seal", [model, bundle]),
        ("open", [sealed]),
    ):
        peaks = {}
        for workers in (0, 1, 4):
            child = [sys.executable, __file__, "--child", what, str(workers), bench.room, *words, out]
            done = subprocess.run(child, check=True, capture_output=True, text=True)
            peaks[workers] = int(done.stdout) / 1024
            shutil.rmtree(out, ignore_errors=True)
        one, more = peaks[1] - peaks[0], (peaks[4] - peaks[1]) / 3
        most = max(one, more)
        print(
            f"  memory of {what}: {peaks[0]:.0f} MiB imported, {peaks[1]:.0f} with one worker, {peaks[4]:.0f}"
            f" with four: {most:.1f} MiB a worker (goal {MEMORY_GOAL}):"
            f" {'ok' if most <= MEMORY_GOAL else 'SHORT'}"
        )
        reached = reached and most <= MEMORY_GOAL
    return reached


def child(what: str, workers: int, room: Path, words: list[Path]) -> None:
    """Do one thing in this fresh process and print its peak of memory (KiB); with no worker, only import."""
    bench = Bench.__new__(Bench)
    bench.opener, bench.signer = (room / "opener").read_bytes(), load_signer(room / "key", passphrase=None)
    opener = opener_from_pem(bench.opener, passphrase=None)
    bench.recipient, bench.policy = opener.public_pem(), policy_from_keys((room / "key.pub").read_bytes())
    import trustkit.storage.delivery
    import trustkit.storage.sealing_folder  # noqa: F401 - what an import costs is no worker's

    if workers and what == "seal":
        bench.seal(*words, workers=workers)
    elif workers:
        bench.open(*words, workers=workers)
    status = Path("/proc/self/status").read_text()  # ru_maxrss would begin with the parent's
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def main(mebibytes: int, rounds: int) -> int:
    """Measure one large file, then the same bytes in eight; return 1 where a goal was missed."""
    size = mebibytes << 20
    room = "/dev/shm" if Path("/dev/shm").is_dir() else None
    reached = True
    for title, count in (("one file", 1), ("eight files", 8)):
        with tempfile.TemporaryDirectory(dir=room, prefix="trustkit-bench-") as name:
            bench = Bench(Path(name), size, rounds)
            model = bench.room / "model"
            model.mkdir()
            fill(bench.room / "weights", size)
            if count == 1:
                os.link(bench.room / "weights", model / "model.bin")
            else:
                for number in range(count):
                    fill(model / f"model-{number}.bin", size // count)
            measure(bench, model)
            reached = report(bench, title) and reached
            if count == 1:
                reached = memory(bench, model) and reached
    return 0 if reached else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), [Path(word) for word in sys.argv[5:]])
        sys.exit(0)
    numbers = [int(word) for word in sys.argv[1:]]
    sys.exit(main(*([*numbers, *(2048, 5)[len(numbers) :]])))
