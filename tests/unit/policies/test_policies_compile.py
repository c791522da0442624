"""policies/compile: what it makes is the same everywhere, and what must not be compiled is not."""

import json
import os
import re
import subprocess
import sys

import pytest

from trustkit.deciding.wasm import WasmEngine


def run(folder, *words, env):
    return subprocess.run(
        [sys.executable, folder / "compile", *words],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_without_opa_it_says_so_and_changes_nothing(copied, tmp_path):
    before = (copied / "compiled" / "rules.tar.gz").read_bytes()
    done = run(copied, env={"PATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (2, "")
    assert "opa" in done.stderr
    assert "Traceback" not in done.stderr
    assert (copied / "compiled" / "rules.tar.gz").read_bytes() == before


def test_another_opa_is_refused(copied, tmp_path):
    fake = tmp_path / "opa"
    fake.write_text("#!/bin/sh\necho 'Version: 0.60.0'\n")
    fake.chmod(0o755)
    done = run(copied, "--check", env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert (done.returncode, "Version: 0.60.0" in done.stderr) == (2, True)


@pytest.mark.opa
def test_the_committed_bundle_is_what_the_sources_give(policies, opa):
    done = run(policies, "--check", env=opa)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.opa
def test_it_gives_the_same_bytes_in_another_place_and_time(copied, policies, opa):
    (copied / "compiled" / "rules.tar.gz").unlink()
    os.utime(copied / "admission" / "pinned" / "rule.rego", (0, 0))
    done = run(copied, env={**opa, "TZ": "Asia/Tokyo", "LC_ALL": "C", "HOME": str(copied)})
    assert done.returncode == 0, done.stderr
    assert (copied / "compiled" / "rules.tar.gz").read_bytes() == (
        policies / "compiled" / "rules.tar.gz"
    ).read_bytes()


@pytest.mark.opa
@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("admission/pinned/rule.rego", "model.pinned == true", "model.pinned != false"),
        ("broker/grant/rule.rego", "no grant names", "no grant at all names"),
        ("lib/facts.rego", "facts/v1", "facts/v2"),
    ],
)
def test_a_changed_source_shows(copied, opa, name, old, new):
    path = copied / name
    path.write_text(path.read_text().replace(old, new, 1))
    done = run(copied, "--check", env=opa)
    assert (done.returncode, "run policies/compile" in done.stderr) == (1, True)


@pytest.mark.opa
@pytest.mark.parametrize("missing", [True, False])
def test_a_bundle_that_was_touched_shows(copied, opa, missing):
    bundle = copied / "compiled" / "rules.tar.gz"
    raw = bytearray(bundle.read_bytes())
    raw[len(raw) // 2] ^= 1
    bundle.write_bytes(raw)
    if missing:
        bundle.unlink()
    assert run(copied, "--check", env=opa).returncode == 1


@pytest.mark.opa
@pytest.mark.parametrize(
    "call",
    [
        'http.send({"method": "get", "url": "http://169.254.169.254/"})',
        "opa.runtime()",
        "time.now_ns()",
        'sprintf("%v", [input])',
        'net.lookup_ip_addr("x")',
        'rand.intn("x", 9)',
        'io.jwt.decode("x")',
    ],
)
def test_a_rule_that_asks_its_host_does_not_compile(copied, opa, call):
    before = (copied / "compiled" / "rules.tar.gz").read_bytes()
    folder = copied / "admission" / "curious"
    folder.mkdir()
    (folder / "rule.rego").write_text(
        f"package trustkit.admission.rules.curious\n\nviolation contains x if {{\n\tx := {call}\n}}\n"
    )
    done = run(copied, env=opa)
    assert (done.returncode, "undefined function" in done.stderr) == (2, True)
    assert (copied / "compiled" / "rules.tar.gz").read_bytes() == before


@pytest.mark.opa
def test_a_source_that_does_not_parse_is_said_in_place(copied, opa):
    (copied / "lib" / "facts.rego").write_text("package trustkit.lib.facts\n\nallow[x] { true }\n")
    done = run(copied, env=opa)
    assert (done.returncode, "lib/facts.rego:3" in done.stderr) == (2, True)


@pytest.mark.opa
def test_a_rule_in_a_new_folder_counts_without_being_listed(copied, opa, documents):
    folder = copied / "admission" / "nobody"
    folder.mkdir()
    (folder / "rule.rego").write_text(
        "package trustkit.admission.rules.nobody\n\n"
        'violation contains {"code": "nobody", "message": "nobody may", "remedy": "wait"}\n'
    )
    assert run(copied, env=opa).returncode == 0
    engine = WasmEngine.load((copied / "compiled" / "rules.tar.gz").read_bytes())
    answer = engine.evaluate("trustkit/admission/decision", documents.admission())
    engine.close()
    assert answer == {
        "allowed": False,
        "violations": [{"code": "nobody", "message": "nobody may", "remedy": "wait"}],
    }


@pytest.mark.opa
def test_every_built_in_that_rules_may_call_needs_no_host(policies, opa, tmp_path):
    """One module that calls them all must load, so it wants nothing of its host."""
    allowed = json.loads((policies / "capabilities").read_text())["builtins"]
    calls = []
    for number, builtin in enumerate(b for b in allowed if "infix" not in b):
        name, arguments = builtin["name"], builtin["decl"].get("args", [])
        if name.startswith(("internal.", "rego.metadata")):
            continue
        given = ", ".join(f"input.a{index}" for index in range(len(arguments)))
        calls.append(f"r{number} := x if {{\n\tx := {name}({given})\n}}\n")
    source = tmp_path / "every.rego"
    source.write_text("package every\n\n" + "\n".join(calls))
    names = [word for number in range(len(calls)) for word in ("-e", f"every/r{number}")]
    defined = set(re.findall(r"^r\d+", source.read_text(), re.MULTILINE))
    entrypoints = [word for name in sorted(defined) for word in ("-e", f"every/{name}")]
    assert len(entrypoints) == len(names)
    bundle = tmp_path / "every.tar.gz"
    done = subprocess.run(
        ["opa", "build", "-t", "wasm", *entrypoints, "-o", bundle, source],
        env=opa,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    WasmEngine.load(bundle.read_bytes()).close()
    assert len(calls) > 60


@pytest.mark.opa
def test_the_gates_of_the_rules_hold(policies, opa):
    done = subprocess.run(
        [policies.parent / ".ci" / "rules"], env=opa, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
