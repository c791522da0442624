"""Builds the Go programs that tests talk to, from their Go modules, each at one version.

Usage: tools.py NAME...; the names are those of TOOLS, or `cluster` for all that the
tests of the API server need. A program lands as .cache/bin/NAME-VERSION in one move,
with a link NAME beside it; what is there already is not built again. The Go module
proxy is the only thing asked, sums are checked against Go's public log, and nothing
needs root. Go's own caches stay where the user has them.
"""
# ruff: noqa: INP001, T201 - a script that prints, not a package

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).resolve().parents[1] / ".cache"
KUBERNETES = "v1.34.4"
STAMPED = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


@dataclass(frozen=True, slots=True)
class Tool:
    """A program: the module it comes from, and its main package, below that module."""

    module: str
    version: str
    package: str = ""
    stamped: tuple[str, ...] = ()
    """Packages whose `gitVersion` is the version; left out, Kubernetes' programs call themselves v0.0.0."""


TOOLS = {
    "opa": Tool("github.com/open-policy-agent/opa", "v1.22.2"),
    "etcd": Tool("go.etcd.io/etcd/server/v3", "v3.6.5"),
    "kube-apiserver": Tool("k8s.io/kubernetes", KUBERNETES, "/cmd/kube-apiserver", STAMPED),
    "kubectl": Tool("k8s.io/kubernetes", KUBERNETES, "/cmd/kubectl", STAMPED),
    "helm": Tool("helm.sh/helm/v4", "v4.3.1", "/cmd/helm"),
    "kubeconform": Tool("github.com/yannh/kubeconform", "v0.8.0", "/cmd/kubeconform"),
}
CLUSTER = ("etcd", "kube-apiserver", "kubectl", "helm", "kubeconform")
DEFINITIONS = {
    "kserve": ("github.com/kserve/kserve", "v0.16.0", "config/crd/full"),
    "kuberay": ("github.com/ray-project/kuberay/ray-operator", "v1.4.2", "config/crd/bases"),
}
"""Definitions of resources, each with its module and a folder in it: read from there, not kept here."""


def go(*words: str, folder: Path) -> str:
    """Run go and return what it says; a failure shows what it complained of."""
    flags = subprocess.run(["go", "env", "GOFLAGS"], capture_output=True, text=True, check=True)  # noqa: S607
    environ = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOWORK": "off",
        "GOFLAGS": f"{flags.stdout.strip()} -mod=mod",
    }
    command = ["go", *words]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(f"tools: go {words[0]} failed:\n{done.stderr[-4000:]}")
    return done.stdout


def downloaded(module: str, version: str, folder: Path) -> Mapping[str, str]:
    """Fetch a module and return what go says of it: Dir, GoMod and more."""
    found: dict[str, str] = json.loads(go("mod", "download", "-json", f"{module}@{version}", folder=folder))
    return found


def module_for(tool: Tool, folder: Path) -> str:
    """Return the go.mod of a module that needs the tool and nothing else.

    `go install MODULE@VERSION` refuses modules with replace lines, as etcd and
    Kubernetes have them for their parts. Those parts are published as modules of
    their own: Kubernetes' v1.N.P names them v0.0.0, and they are found as v0.N.P.
    """
    theirs = Path(downloaded(tool.module, tool.version, folder)["GoMod"]).read_text(encoding="utf-8")
    [language] = re.findall(r"^go (\S+)$", theirs, re.MULTILINE)
    parts = re.findall(r"^\s*(\S+) v0\.0\.0$", theirs, re.MULTILINE)
    published = tool.version.replace("v1.", "v0.", 1)
    lines = [
        f"require {tool.module} {tool.version}",
        *(f"replace {part} => {part} {published}" for part in parts),
    ]
    return "\n".join(["module tools", f"go {language}", *lines, ""])


def build(name: str, bin_folder: Path) -> None:
    """Build one program, unless it is there, and link its bare name to it."""
    tool = TOOLS[name]
    target = bin_folder / f"{name}-{tool.version}"
    if not target.exists():
        started = time.monotonic()
        stamps = " ".join(f"-X {package}.gitVersion={tool.version}" for package in tool.stamped)
        # Beside its target, so that the move is one step.
        with tempfile.TemporaryDirectory(dir=bin_folder) as made:
            folder = Path(made)
            (folder / "go.mod").write_text(module_for(tool, folder), encoding="utf-8")
            go(
                "build",
                "-o",
                "built",
                "-ldflags",
                f"-s -w {stamps}",
                tool.module + tool.package,
                folder=folder,
            )
            (folder / "built").rename(target)
        took, size = time.monotonic() - started, target.stat().st_size / 1e6
        print(f"build   {name} {tool.version} from {tool.module}: {took:.0f} s, {size:.0f} MB", flush=True)
    link = bin_folder / f".{name}.{os.getpid()}"
    link.symlink_to(target.name)
    link.rename(bin_folder / name)


def fetch(name: str) -> None:
    """Copy definitions out of their module, unless they are there."""
    module, version, inside = DEFINITIONS[name]
    target = CACHE / f"{name}-{version}"
    if target.exists():
        return
    with tempfile.TemporaryDirectory(dir=CACHE) as fresh:
        folder = Path(fresh)
        source = Path(downloaded(module, version, folder)["Dir"], inside)
        made = shutil.copytree(source, folder / "made", copy_function=shutil.copyfile)
        for place in (made, *(path for path in made.rglob("*") if path.is_dir())):
            place.chmod(0o755)  # modules are read-only; what is copied here is ours
        made.rename(target)
    print(f"fetch   {inside} of {module} {version}", flush=True)


def main(names: list[str]) -> None:
    """Build what was asked for."""
    wanted = [one for name in names for one in (CLUSTER if name == "cluster" else (name,))]
    unknown = [name for name in wanted if name not in TOOLS]
    if unknown or not wanted:
        raise SystemExit(f"tools: name some of {', '.join([*TOOLS, 'cluster'])}; unknown: {unknown}")
    if not shutil.which("go"):
        raise SystemExit("tools: there is no go here; install Go, or leave out what needs it")
    bin_folder = CACHE / "bin"
    bin_folder.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        build(name, bin_folder)
    for name in DEFINITIONS if "cluster" in names else ():
        fetch(name)


if __name__ == "__main__":
    main(sys.argv[1:])
