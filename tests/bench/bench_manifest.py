"""A manifest of a million files: time and memory of all that is not walking, opening or hashing.

Signing here is: names and digests in hand, checks, statement, signature, bundle,
both digests. Verifying is: bundle, signature, statement, checks, both digests.
Each round is a process of its own, since a peak never falls again; medians of
the rounds, and all of them, are printed. Goals: 5 s and 512 MiB, each.

Usage: bench_manifest.py [RESOURCES [ROUNDS]]
"""

from __future__ import annotations

import hashlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESOURCES = 1_000_000
ROUNDS = 5
MOST_SECONDS = 5.0
MOST_MEBIBYTES = 512
WIDTH = 1000
"""Files in one folder."""


def peak() -> float:
    """Return the most memory this process ever had (MiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def sign(folder: Path, count: int) -> dict[str, float]:
    """Write the bundle of a manifest that a walk and a hash have just filled."""
    from trustkit.artifact.manifest import Manifest, Resources
    from trustkit.artifact.names import Names, check_distinct
    from trustkit.attest.predicates.model_signature import statement_of
    from trustkit.signing.key import load_signer
    from trustkit.workflows import signed_statement

    names, values = Names(), bytearray()
    for number in range(count):
        name = f"data/part-{number // WIDTH:05d}/image-{number:08d}.jpg"
        names.append(name)
        values += hashlib.sha256(name.encode()).digest()
    signer = load_signer(folder / "key", passphrase=None)
    begun = time.perf_counter()
    check_distinct(names)  # as the walk does
    parts = Resources("sha256", names, bytes(values), ranged=False).sorted()
    del values
    manifest = Manifest(parts, ignore_paths=("model.claims.jsonl", "model.sig"))
    raw = signed_statement(statement_of(manifest, "model"), signer)
    assert manifest.manifest_digest != manifest.root_digest
    seconds = time.perf_counter() - begun
    (folder / "model.sig").write_bytes(raw)
    return {"seconds": seconds, "peak": peak(), "bytes": len(raw)}


def verify(folder: Path, count: int) -> dict[str, float]:
    """Read the bundle back and believe it."""
    from trustkit.artifact.inputs import read_input
    from trustkit.attest.bundle import MAX_BYTES
    from trustkit.verifying.policy import policy_from_keys
    from trustkit.verifying.verify import verify_manifest

    policy = policy_from_keys((folder / "pub").read_bytes())
    begun = time.perf_counter()
    raw = read_input(folder / "model.sig", max_bytes=MAX_BYTES, what="bundle")
    manifest = verify_manifest(raw, policy).manifest
    assert manifest.manifest_digest != manifest.root_digest
    assert manifest.file_count == count
    return {"seconds": time.perf_counter() - begun, "peak": peak(), "bytes": len(raw)}


def measured(work: str, folder: Path, count: int) -> dict[str, float]:
    """Run one kind of work in a process of its own."""
    command = [sys.executable, __file__, work, str(folder), str(count)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def main(count: int, rounds: int) -> None:
    """Measure both, in turns."""
    from trustkit.signing.key import generate_key

    with tempfile.TemporaryDirectory(prefix="trustkit-bench-") as name:
        folder = Path(name)
        for half, raw in zip(("key", "pub"), generate_key("p256", passphrase=None), strict=True):
            (folder / half).write_bytes(raw)
        found: dict[str, list[dict[str, float]]] = {"sign": [], "verify": []}
        for number in range(1, rounds + 1):
            for work, results in found.items():
                results.append(measured(work, folder, count))
            print(
                f"  round {number}: "
                + "   ".join(
                    f"{work} {results[-1]['seconds']:5.2f} s {results[-1]['peak']:4.0f} MiB"
                    for work, results in found.items()
                )
            )
    for work, results in found.items():
        seconds = statistics.median(result["seconds"] for result in results)
        most = statistics.median(result["peak"] for result in results)
        good = seconds <= MOST_SECONDS and most <= MOST_MEBIBYTES
        print(
            f"{work} a manifest of {count} files, {results[0]['bytes'] / 1e6:.0f} MB: {seconds:.2f} s, "
            f"{most:.0f} MiB with the interpreter (goal {MOST_SECONDS:.0f} s, {MOST_MEBIBYTES} MiB): "
            f"{'ok' if good else 'SHORT'}"
        )


if __name__ == "__main__":
    if sys.argv[1:2] in (["sign"], ["verify"]):
        worked = (sign if sys.argv[1] == "sign" else verify)(Path(sys.argv[2]), int(sys.argv[3]))
        print(json.dumps(worked))
    else:
        given = [int(argument) for argument in sys.argv[1:]]
        main(*given, *(RESOURCES, ROUNDS)[len(given) :])
