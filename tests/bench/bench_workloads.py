"""Extraction of model references from large objects: time for each 200 kB, and how it grows with the size.

The limit that each shape is held against is a bare walk in Python over the same
object: nothing that looks at every text can be faster. CPU time, best of the
rounds; all shapes are ordinary objects blown up. Goal: 3 ms for 200 kB, and 20 s
for 10,000 manifests of ordinary size.

Usage: bench_workloads.py [ROUNDS]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from trustkit.workloads.extract import references

ROUNDS = 15
SIZES = (50_000, 100_000, 200_000)
"""Bytes of an object as JSON."""
MOST_MILLISECONDS = 3.0
MANIFESTS = 10_000
MOST_SECONDS = 20.0

Object = dict[str, object]


def container(number: int, variables: int) -> Object:
    """Return an ordinary container."""
    return {
        "name": f"c{number}",
        "image": f"registry.example.com/team/app-{number}:1.2.3",
        "args": ["--port", "8080", "--log-level=info", "--listen", f"0.0.0.0:{9000 + number}"],
        "env": [{"name": f"VARIABLE_{n}", "value": f"value {n} of some length"} for n in range(variables)],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1"}},
        "ports": [{"containerPort": 8080, "name": "http"}],
        "volumeMounts": [
            {"name": "a", "mountPath": "/a"},
            {"name": "b", "mountPath": "/b", "readOnly": True},
        ],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5},
    }


def pod(containers: list[Object], annotations: Object) -> Object:
    """Return a pod of these containers."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "annotations": annotations},
        "spec": {"containers": containers, "volumes": [{"name": "a", "emptyDir": {}}]},
    }


def of_containers(size: int) -> Object:
    """Many small containers, which no real pod has: the densest object."""
    return pod([container(n, 20) for n in range(size // 1_800)], {})


def of_variables(size: int) -> Object:
    """One container with as many variables as fit."""
    return pod([container(0, size // 62)], {})


def of_annotations(size: int) -> Object:
    """One container, and annotations of some kilobytes each, as controllers write them."""
    return pod([container(0, 20)], {f"example.com/note-{n}": "text " * 400 for n in range(size // 2_000)})


def of_services(size: int) -> Object:
    """A service of KServe with many canaries, each with a model of its own: nearly as many as are read."""

    def predictor(number: int) -> Object:
        model = {"modelFormat": {"name": "sklearn"}, "storageUri": f"s3://bucket/m/{number}"}
        return {"predictor": {"model": model}}

    canaries = [dict(predictor(n), trafficPercent=n) for n in range(min(900, size // 120))]
    spec = {**predictor(0), "canary": canaries}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {},
        "spec": spec,
    }


SHAPES: dict[str, Callable[[int], Object]] = {
    "annotations": of_annotations,
    "variables": of_variables,
    "containers": of_containers,
    "services": of_services,
}


def best(work: Callable[[Object], object], subject: Object, rounds: int) -> float:
    """Return the least CPU time of the rounds (milliseconds)."""
    least = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        work(subject)
        least = min(least, time.process_time() - begun)
    return least * 1000


def walk(value: object) -> int:
    """Look at every text once: the limit."""
    if isinstance(value, dict):
        return sum(walk(item) + (":/" in key) for key, item in value.items())
    if isinstance(value, list):
        return sum(map(walk, value))
    return isinstance(value, str) and ":/" in value


def main() -> None:
    """Print a table, and how many manifests a second go through."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    print(
        f"{'shape':12} {'bytes':>8} {'walk ms':>8} {'ms':>8} {'ms for 200 kB':>14}   goal {MOST_MILLISECONDS}"
    )
    for name, shape in SHAPES.items():
        for size in SIZES:
            raw = json.dumps(shape(size))
            subject, length = json.loads(raw), len(raw)  # parsed: equal parts of it are not one and the same
            references(subject)
            took = best(references, subject, rounds)
            bare = best(walk, subject, rounds)
            print(f"{name:12} {length:8} {bare:8.2f} {took:8.2f} {took * 200_000 / length:14.2f}")
    ordinary = pod([container(0, 5), container(1, 5)], {"note": "text"})
    begun = time.process_time()
    for _ in range(MANIFESTS):
        references(ordinary)
    took = time.process_time() - begun
    print(f"{MANIFESTS} manifests of {len(json.dumps(ordinary))} bytes: {took:.1f} s   goal {MOST_SECONDS}")


if __name__ == "__main__":
    main()
