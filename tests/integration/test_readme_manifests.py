"""The hook and the CI snippet of README, run as pre-commit and a CI job would run them, in a repository."""

import json
import os
import re
import shlex
import subprocess
import sysconfig

import pytest
import yaml

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: llm, namespace: team}
spec: {template: {spec: {containers: [{name: a, image: vllm/vllm-openai, args: [--model, "%s"]}]}}}
"""
DIGEST = "sha256:" + "a" * 64
PINNED = f"trust://store/tiny@{DIGEST}"


@pytest.fixture
def repository(tmp_path):
    """A Git repository in which commands run as its owner runs them."""
    folder = tmp_path / "repository"
    (folder / "deploy").mkdir(parents=True)
    environ = {
        "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }

    def run(*words):
        return subprocess.run(
            words,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    run.folder = folder
    run.summary = tmp_path / "summary.md"
    assert run("git", "init", "--quiet").returncode == 0
    return run


@pytest.fixture
def root(pytestconfig):
    """The top of the repository."""
    return pytestconfig.rootpath


@pytest.fixture
def hook(root):
    """The one hook that the repository defines."""
    [found] = yaml.safe_load((root / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    return found


def staged(repository, hook):
    """Run the hook's entry as pre-commit does: with the staged files of its types, each once."""
    listed = repository("git", "diff", "--staged", "--name-only", "--diff-filter=ACMRTUXB", "-z").stdout
    endings = {"yaml": (".yaml", ".yml"), "json": (".json",)}
    wanted = tuple(ending for kind in hook["types_or"] for ending in endings[kind])
    files = [name for name in listed.split("\0") if name.endswith(wanted)]
    return repository(*shlex.split(hook["entry"]), *hook.get("args", []), *files)


def test_the_hook_refuses_what_is_staged_and_nothing_else(repository, hook):
    (repository.folder / "deploy/staged.yaml").write_text(DEPLOYMENT % "s3://b/m", encoding="ascii")
    (repository.folder / "deploy/beside.yaml").write_text(DEPLOYMENT % "s3://b/other", encoding="ascii")
    (repository.folder / "notes.txt").write_text("s3://b/notes", encoding="ascii")
    repository("git", "add", "deploy/staged.yaml", "notes.txt")
    ran = staged(repository, hook)
    assert ran.returncode == 1, ran.stderr
    assert "deploy/staged.yaml:4: refused, mutable: s3://b/m [not-pinned]" in ran.stdout
    assert "other" not in ran.stdout
    (repository.folder / "deploy/staged.yaml").write_text(DEPLOYMENT % PINNED, encoding="ascii")
    repository("git", "add", "deploy/staged.yaml")
    ran = staged(repository, hook)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_hook_that_readme_shows_is_the_one_that_there_is(root, hook):
    text = (root / "README.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"```yaml\n(repos:\n.*?)```", text, re.DOTALL)
    [given] = yaml.safe_load(shown)["repos"]
    [used] = given["hooks"]
    assert used["id"] == hook["id"]
    assert given["rev"] == "<tag of a release, or SHA of a commit>", (
        "a tag that nobody made cannot be checked out"
    )
    assert hook["require_serial"] is True, "a run that sees half of the files does not see their bases"


def snippet(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    [found] = re.findall(r"::test_the_ci_snippet_fails.*? -->\n+```sh\n(.*?)```", text, re.DOTALL)
    return found


@pytest.mark.parametrize(("model", "status", "results"), [(PINNED, 0, 0), ("s3://b/m", 1, 1)])
def test_the_ci_snippet_fails_the_job_and_leaves_the_findings(repository, root, model, status, results):
    rows = [{"reference": "trust://store/tiny", "digest": DIGEST}]
    lock = {"version": "trustkit.dev/lock/v1", "models": rows}
    (repository.folder / "model.lock").write_text(json.dumps(lock), encoding="ascii")
    (repository.folder / "deploy/llm.yaml").write_text(DEPLOYMENT % model, encoding="ascii")
    ran = repository("sh", "-eu", "-c", snippet(root))
    assert ran.returncode == status, ran.stderr
    found = json.loads((repository.folder / "models.sarif").read_text(encoding="ascii"))
    assert len(found["runs"][0]["results"]) == results
    summary = repository.summary.read_text(encoding="utf-8")
    assert "deploy/llm" in summary
    assert ("| refused, " in summary) is bool(status), "the summary says what the job does"
