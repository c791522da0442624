"""Hashing on a Dask cluster: how much faster two workers are than one, of files and of objects in S3.

A scheduler in a process of this program, workers in processes of their own, moto's S3 in another; clusters of
one and two workers, and this process alone with one thread, take turns. Printed are every round, the medians,
throughput, and the ratio of two workers to one. All of it runs on the cores of one machine: scheduler, store
and workers share them, so the ratio is what is left of two, and says less than a cluster would. How much of a
core the store itself took is printed too, since it takes it from the workers.

    python tests/bench/bench_cluster.py [ROW...] [--mib 1024] [--object-mib 256] [--rounds 5]

Rows: files, objects, many. Without model-trustkit[dask] and moto: "not measured".
"""

import argparse
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
MIB = 1 << 20
SHARD = 16 * MIB
STORE = """
import sys, threading
from moto.server import ThreadedMotoServer
import logging
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print("http://%s:%s" % server.get_host_and_port(), flush=True)
sys.stdin.read()
"""


def simulator():
    """Load the farm of the tests, which this measures too."""
    spec = importlib.util.spec_from_file_location("trustkit_bench_farm", ROOT / "tests/simulators/farm.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def store():
    """Start moto's S3 in a process of its own; yield its address and what tells its seconds of processor."""
    process = subprocess.Popen(
        [sys.executable, "-c", STORE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def used():
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    try:
        yield process.stdout.readline().strip(), used
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def fill(folder, count, size):
    """Write files of bytes that no two files share, and return their sizes together."""
    block = os.urandom(MIB)
    folder.mkdir()
    for number in range(count):
        with (folder / f"part-{number:05}").open("wb") as file:
            for start in range(0, size, MIB):
                part = block[: min(MIB, size - start)]
                file.write(os.urandom(16) + part[16:])
    return count * size


class Bench:
    """Who hashes, and where.

    Args:
        folder: Where models are made and removed.
        rounds: How often each hashes; one more time fills caches and does not count.
        crews: Name of a crew: its executor.
    """

    def __init__(self, folder, rounds, crews):
        from trustkit.signing.key import generate_key, load_signer

        self.folder, self.rounds, self.crews = folder, rounds, crews
        (folder / "key.pem").write_bytes(generate_key("p256", passphrase=None)[0])
        self.signer = load_signer(folder / "key.pem", passphrase=None)

    def sign(self, place, executor, **how):
        """Sign once, and return the seconds that it took, and the manifest."""
        from trustkit import workflows
        from trustkit.workflows.objects import sign_objects

        bundle = self.folder / "model.sig"
        begin = time.perf_counter()
        if isinstance(place, str):
            signed = sign_objects(place, self.signer, executor=executor, bundle=bundle, overwrite=True, **how)
        else:
            signed = workflows.sign(
                place, self.signer, workers=executor or 1, bundle=bundle, overwrite=True, **how
            )
        return time.perf_counter() - begin, signed.manifest

    def compare(self, title, place, size, *, used=None, **how):
        """Let everybody sign in turns, and print how that scales."""
        threads = ThreadPoolExecutor(1)
        alone = threads if isinstance(place, str) else None
        crews = {"this process": alone, **self.crews}
        rounds = {name: [] for name in crews}
        stored = {name: [] for name in crews}
        manifests = []
        for number in range(self.rounds + 1):
            for name, executor in crews.items():
                before = used() if used else 0.0
                seconds, manifest = self.sign(place, executor, **how)
                manifests.append(manifest.manifest_digest)
                if number:
                    rounds[name].append(seconds)
                    stored[name].append((used() - before if used else 0.0) / seconds)
        threads.shutdown()
        if len(set(manifests)) != 1:
            sys.exit(f"{title}: not all of them found the same digests")
        print(f"{title} ({self.rounds} rounds, load {os.getloadavg()[0]:.1f})")
        for name, found in rounds.items():
            median = statistics.median(found)
            share = f"   store {statistics.median(stored[name]):.2f} of a core" if used else ""
            print(
                f"  {name:<13} median {median:7.3f} s   {size / median / 1e9:6.3f} GB/s{share}   rounds"
                f" {' '.join(f'{value:.3f}' for value in found)}"
            )
        one, two = (rounds[name] for name in self.crews)
        print(
            f"  two workers against one: {statistics.median(one) / statistics.median(two):.2f} x,"
            f" {min(one) / min(two):.2f} x in the best rounds, on {len(os.sched_getaffinity(0))} cores\n",
            flush=True,
        )


def files(bench, asked, _):
    """A few large files on a disk that the workers share."""
    size = fill(bench.folder / "files", 4, asked.mib * MIB // 4)
    title = f"sign 4 files of {asked.mib // 4} MiB on a shared disk, shards of {SHARD // MIB} MiB"
    bench.compare(title, bench.folder / "files", size, method="shards", shard_size=SHARD)
    shutil.rmtree(bench.folder / "files")


def many(bench, _, __):
    """Many small files: what it costs to hand out work."""
    size = fill(bench.folder / "many", 2000, MIB // 4)
    bench.compare("sign 2000 files of 256 KiB on a shared disk", bench.folder / "many", size)
    shutil.rmtree(bench.folder / "many")


def objects(bench, asked, store):
    """Large objects in S3."""
    bucket, used = store
    size = fill(bench.folder / "objects", 4, asked.object_mib * MIB // 4)
    for path in sorted((bench.folder / "objects").iterdir()):
        bucket.put(f"bench/{path.name}", path.read_bytes())
    shutil.rmtree(bench.folder / "objects")
    title = f"sign 4 objects of {asked.object_mib // 4} MiB in S3, shards of {SHARD // MIB} MiB"
    place = f"s3://{bucket.name}/bench"
    bench.compare(title, place, size, used=used, method="shards", shard_size=SHARD)


ROWS = {"files": files, "many": many, "objects": objects}


def main():
    """Measure the rows that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all where absent")
    parser.add_argument("--mib", type=int, default=1024, help="bytes of the large files, in MiB")
    parser.add_argument("--object-mib", type=int, default=256, help="bytes of the objects, in MiB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--folder", type=Path, default=Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    )
    asked = parser.parse_args()
    if unknown := set(asked.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    lacking = [
        name for name in ("distributed", "s3fs", "moto", "flask") if not importlib.util.find_spec(name)
    ]
    if lacking:
        print(f"cluster: not measured, for there is no {', '.join(lacking)} (`make test` installs it)")
        return
    measure(asked)


def measure(asked):
    """Start store and clusters, and measure."""
    from trustkit.artifact.cluster import joined

    farms = simulator()
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(dir=asked.folder, prefix="trustkit-bench-"))
        endpoint, used = stack.enter_context(store())
        stack.enter_context(farms.environ(**farms.SURROUNDINGS, AWS_ENDPOINT_URL=endpoint))
        bucket = farms.Bucket("models", endpoint)
        crews = {}
        for title, workers in (("one worker", 1), ("two workers", 2)):
            farm = stack.enter_context(farms.farm(workers=workers))
            crews[title] = stack.enter_context(joined(farm.address))
        bench = Bench(Path(name), asked.rounds, crews)
        for row in asked.rows or ROWS:
            ROWS[row](bench, asked, (bucket, used))


if __name__ == "__main__":
    main()
