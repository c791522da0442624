"""The gates exist and are the same everywhere: make, the CI script, the workflow."""

import os
import re
import shutil
import subprocess

import pytest
import yaml

GATES = (
    "bin/ruff format",
    "bin/ruff check",
    "bin/mypy",
    "bin/lint-imports",
    "bin/interrogate",
    "bin/codespell",
    "test_contract_readme.py",
    ".ci/rules",
)


@pytest.fixture(scope="module")
def makefile(root):
    return (root / "Makefile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def workflow(root):
    return (root / ".github/workflows/ci.yml").read_text(encoding="utf-8")


def make(folder, *arguments, **variables):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }
    return subprocess.run(
        ["make", *arguments, *(f"{name}={value}" for name, value in variables.items())],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_check_runs_every_gate(root, demand_none):
    would = make(root, "--dry-run", "check").stdout
    demand_none(gate for gate in GATES if gate not in would)


def test_rules_are_formatted_strict_and_walked_whole(root):
    script = (root / ".ci/rules").read_text(encoding="utf-8")
    for command in ("opa fmt --fail", "opa check --strict", "opa test --coverage --threshold 100"):
        assert command in script


def test_test_needs_no_go_and_installs_nothing_without_hashes(root, makefile):
    would = make(root, "--dry-run", "test").stdout
    assert "-m 'not opa and not cluster'" in would
    assert "--cov" in would
    assert ".ci/coverage_gate.py" in would
    installs = [line for line in makefile.splitlines() if "$(PIP_INSTALL)" in line]
    assert len(installs) == 6
    assert all(
        "--require-hashes -r $<" in line or "--no-deps --no-build-isolation --editable ." in line
        for line in installs
    )


def test_a_run_without_an_api_server_is_not_counted_as_passed(tmp_path, root):
    """Its tests would skip one by one, and pytest would call that success."""
    shutil.copy(root / "Makefile", tmp_path)
    done = make(tmp_path, "cluster", "--old-file=.venv/.test")
    assert done.returncode != 0
    assert "there is no API server here" in done.stderr


def test_make_alone_lists_every_target(root, makefile):
    listed = make(root).stdout
    targets = re.findall(r"^\.PHONY: ([a-z-]+)$", makefile, re.MULTILINE)
    assert len(targets) > 10
    assert [target for target in targets if f"make {target} " not in listed] == []


@pytest.mark.parametrize(
    ("python", "complaint"),
    [
        ("exit 127", "there is no"),
        ('case "$2" in *version_info*) exit 1;; *) echo "Python 3.9.2";; esac', "is Python 3.9.2"),
        ('case "$2" in *ensurepip*) exit 1;; *) exit 0;; esac', "lacks the venv module"),
    ],
)
def test_a_python_that_will_not_do_is_named_and_nothing_is_left(root, tmp_path, python, complaint):
    shutil.copy(root / "Makefile", tmp_path)
    shutil.copytree(root / ".requirements", tmp_path / ".requirements")
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "trustkit").mkdir()
    (tmp_path / "trustkit/version.py").touch()
    fake = tmp_path / "fake-python"
    fake.write_text(f"#!/bin/sh\n{python}\n")
    fake.chmod(0o755)
    name = "./fake-python" if python != "exit 127" else "./no-python"
    done = make(tmp_path, "demo", PYTHON=name)
    assert done.returncode != 0
    assert complaint in done.stderr
    assert "make PYTHON=" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_the_ci_script_stops_at_the_first_failure_and_runs_the_make_targets(root):
    path = root / ".ci/run"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert os.access(path, os.X_OK)
    assert "set -euo pipefail" in lines
    order = [
        "make test",
        "make check",
        ".venv/bin/python .ci/tools.py opa cluster",
        "make rules",
        "make cluster",
    ]
    assert [line for line in lines if line in order] == order


def test_the_workflow_may_only_read_and_runs_only_make(workflow, makefile, demand_none):
    document = yaml.safe_load(workflow)
    assert document["permissions"] == {"contents": "read"}
    assert set(document[True]) == {"push", "pull_request"}  # YAML 1.1 reads `on` as true
    targets = set(re.findall(r"^\.PHONY: ([a-z-]+)$", makefile, re.MULTILINE))
    allowed = {".ci/run", *(f"make {target}" for target in targets)}
    steps = [step for job in document["jobs"].values() for step in job["steps"]]
    demand_none(step["run"] for step in steps if "run" in step and step["run"] not in allowed)
    assert not [job for job in document["jobs"].values() if "permissions" in job]


def test_actions_are_pinned_by_commit_and_drop_their_token(workflow, demand_none):
    used = re.findall(r"uses: (\S+)(.*)", workflow)
    assert used
    pinned = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40}")
    demand_none(
        f"{name}{rest}"
        for name, rest in used
        if not pinned.fullmatch(name) or not re.fullmatch(r" # v[\d.]+", rest)
    )
    assert workflow.count("actions/checkout@") == workflow.count("persist-credentials: false")


def test_clean_removes_only_what_git_ignores(root, makefile, demand_none):
    ignored = (root / ".gitignore").read_text(encoding="utf-8").split()
    patterns = [re.compile(line.strip("/").replace(".", r"\.").replace("*", ".*")) for line in ignored]
    [removed] = re.findall(r"@rm -rf (.*)", makefile)
    names = (
        removed.replace("$(VENV)", ".venv")
        .replace("$(REFERENCE)", ".venv-reference")
        .replace("$(LOCKER)", ".venv-lock")
    )
    demand_none(name for name in names.split() if not any(pattern.fullmatch(name) for pattern in patterns))
