"""The demo runs as a stranger would run it, and what it leaves can be used by hand."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from cryptography import x509

pytestmark = pytest.mark.xdist_group("demo")
SCRIPTS = Path(sys.executable).parent


def run(*words, cwd, **options):
    return subprocess.run(
        [str(SCRIPTS / words[0]), *words[1:]],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        **options,
    )


@pytest.fixture(scope="session")
def told(tmp_path_factory):
    """Run the demo once; return its folder and its document."""
    folder = tmp_path_factory.mktemp("story") / "demo"
    home = tmp_path_factory.mktemp("home")
    measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), **measured}
    done = run("trustkit", "demo", "--folder", str(folder), "--json", cwd=home, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, json.loads(done.stdout)


SCENES = {
    "A small model, computed here": 1,
    "Sign it, verify it, look at the signature": 2,
    "Nine attacks, each refused": 9,
    "Seal it to a recipient, open it again": 4,
    "Store and broker, each with an identity": 1,
    "The webhook judges Pods": 5,
    "The sidecar brings the model, or nothing": 5,
}


def test_everything_was_proven_and_nothing_was_left_out(told):
    _, document = told
    assert document["ok"] is True
    counted = {}
    for row in document["proven"]:
        counted[row["scene"]] = counted.get(row["scene"], 0) + 1
    assert counted == SCENES
    refused = [row["outcome"] for row in document["proven"] if row["outcome"] != "ok"]
    assert len(refused) == 18
    assert all(row.startswith(("exit 1 ", "denied ")) for row in refused)
    assert document["seconds"] < 60


def test_no_secret_is_left_readable_and_no_plaintext_beside_the_model(told):
    folder, _ = told
    for path in (*folder.rglob("*_key.pem"), folder / "keys/passphrase", folder / "keys/author.pem"):
        assert path.stat().st_mode & 0o077 == 0, path
    needle = (folder / "model/model.safetensors").read_bytes()[1 << 20 : (1 << 20) + 64]
    for path in (folder / "store").rglob("*"):
        assert not path.is_file() or needle not in path.read_bytes()
    secret = (folder / "keys/passphrase").read_text().strip()
    for path in (*(folder / "logs").iterdir(), folder / "COMMANDS.txt", *folder.glob("*.jsonl")):
        assert secret not in path.read_text()


def test_the_identities_live_as_long_as_readme_says(told):
    """Long enough for a person who explores the folder, and not longer than what is accepted."""
    folder, _ = told
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    [days] = re.findall(r"The identities in the folder live for (\d+) days", text)
    found = list((folder / "svids").glob("*/svid.pem")) + list((folder / "svids").glob("*/bundle.pem"))
    assert len(found) == 12
    for path in found:
        left = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp() - time.time()
        assert int(days) - 1 < left / 86400 <= int(days) <= 366, path


def test_an_existing_folder_is_replaced_only_if_a_demo_made_it(told, tmp_path):
    folder, _ = told
    done = run("trustkit", "demo", "--folder", str(folder), cwd=tmp_path)
    assert (done.returncode, "[output-exists]" in done.stderr) == (2, True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("x")
    done = run("trustkit", "demo", "--folder", "mine", "--overwrite", cwd=tmp_path)
    assert (done.returncode, "[not-replaceable]" in done.stderr) == (2, True)
    assert (tmp_path / "mine/file").read_text() == "x"


def test_the_commands_that_it_leaves_work_by_hand(told):
    folder, _ = told
    done = run(
        "trustkit",
        "verify",
        "opened",
        "--bundle",
        "model/model.sig",
        "--key",
        "keys/author.pem.pub",
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    script = (folder / "COMMANDS.txt").read_text()
    for word in ("trustkit sign", "trustkit seal", "trustkit-broker serve", "trustkit-sidecar run", "# 8. "):
        assert word in script


def readme_block(test):
    """Return the commands that README shows and says are run by this test."""
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(rf"<!-- shown by: `[^`]*::{test}` -->\n+```sh\n(.*?)\n```", text, re.DOTALL)
    return block


@pytest.fixture
def typed(told):
    """Run a block of README in the demo's folder, as it stands; end what it left running."""
    folder, _ = told
    running = []

    def run_block(test):
        path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
        log = folder / f"{test}.log"
        with log.open("wb") as sink:
            shell = subprocess.Popen(
                ["sh", "-c", f"{readme_block(test)}\nwait"],
                cwd=folder,
                env={"PATH": path, "HOME": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        running.append(shell)
        return folder, log

    yield run_block
    for shell in running:
        os.killpg(shell.pid, signal.SIGTERM)
        shell.wait(30)


def until(true, log, *, seconds=60):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def test_the_platform_path(typed):
    _, log = typed("test_the_platform_path")
    until(lambda: "listening on 127.0.0.1" in log.read_text(), log)
    told = log.read_text()
    assert "the configuration is valid" in told
    assert "[not-pinned]" in told


def test_the_serving_path(typed):
    folder, log = typed("test_the_serving_path")
    model = folder / "pod/again/model"
    until(model.is_dir, log)
    for name in ("model.safetensors", "config.json", "train.parquet"):
        assert (model / name).read_bytes() == (folder / "model" / name).read_bytes()
    words = (folder / "sidecar.arguments").read_text().split()
    health = f"http://{words[words.index('--health') + 1]}/readyz"
    until(lambda: ready(health), log)
    assert "opened by a run before" not in log.read_text()


def ready(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.mark.parametrize("name", ["my demo", "d\u00e9mo", "a,b", "a@b"])
def test_a_folder_that_no_pod_can_surely_name_is_refused_before_anything_is_made(tmp_path, name):
    done = run("trustkit", "demo", "--folder", name, cwd=tmp_path)
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "[bad-folder]" in done.stderr
