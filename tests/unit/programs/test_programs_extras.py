"""Each program where only the core is installed: it says which extra it needs, and leaves no traceback."""

import json
import subprocess
import sys

import pytest

WITHOUT = """
import sys


class Absent:  # asked first where a library is: this one is nowhere
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Absent())
sys.argv[1:] = {words!r}
import runpy
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def started(estate, model, tmp_path):
    """What each program is started with, when all is well with its configuration."""
    svid = str(estate.svid("/face", dns=("localhost",)))
    store = {
        "listen": "127.0.0.1:0",
        "svid_directory": svid,
        "root": str(estate.root),
        "readers": ["spiffe://demo.test"],
    }
    webhook = {
        "tls": {
            "certificate": f"{svid}/svid.pem",
            "private_key": f"{svid}/svid_key.pem",
            "client_ca": f"{svid}/bundle.pem",
        },
        "policy": str(estate.policy_file),
        "svid_directory": svid,
        "stores": [{"host": "store:8443", "spiffe_id": "spiffe://demo.test/store"}],
        "sidecar": {
            "image": "registry.example/trustkit@sha256:" + "0" * 64,
            "svid_directory": "/svid",
            "policy_file": "/svid/policy.yaml",
            "trust_bundle_file": "/svid/bundle.pem",
            "broker": "broker:8443",
            "broker_id": "spiffe://demo.test/broker",
            "volumes": [{"name": "trustkit-svid", "csi": {"driver": "csi.spiffe.io"}}],
            "volume_mounts": [{"name": "trustkit-svid", "mountPath": "/svid"}],
        },
    }
    for name, document in (("store", store), ("webhook", webhook)):
        (tmp_path / name).write_text(json.dumps(document))
    arguments, _ = estate.arguments(model, store="127.0.0.1:1", broker="127.0.0.1:1")
    return {
        "trustkit.broker": ["--config", str(estate.broker_config())],
        "trustkit.store": ["--config", str(tmp_path / "store")],
        "admission": ["--config", str(tmp_path / "webhook")],
        "trustkit.sidecar": arguments[1:],
    }


CASES = [
    ("trustkit.broker", "serve", "fastapi", "broker"),
    ("trustkit.broker", "serve", "uvicorn", "broker"),
    ("trustkit.broker", "check-config", "uvloop", "broker"),
    ("trustkit.broker", "serve", "opapywasm", "broker"),
    ("trustkit.store", "serve", "fastapi", "broker"),
    ("trustkit.store", "check-config", "uvicorn", "broker"),
    ("admission", "serve", "fastapi", "admission"),
    ("admission", "check-config", "uvicorn", "admission"),
    ("admission", "serve", "opapywasm", "admission"),
    *(
        (module, verb, missing, extra)
        for module, extra in (
            ("trustkit.broker", "broker"),
            ("trustkit.store", "broker"),
            ("admission", "admission"),
            ("trustkit.sidecar", "sidecar"),
        )
        for verb in ("check-config", "run" if extra == "sidecar" else "serve")
        for missing in ("cryptography", "yaml")  # libraries of the core itself
    ),
]


@pytest.mark.parametrize(("module", "verb", "missing", "extra"), CASES)
def test_without_its_libraries_a_program_names_the_extra(started, module, verb, missing, extra):
    words = [verb, *started[module], "--json"]
    code = WITHOUT.format(missing=missing, words=words, module=module)
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1), ran.stderr
    how = f"install it from the source of trustkit: pip install '.[{extra}]'"
    assert ran.stderr.endswith(f"needs {missing}; {how} [extra-needed]\n")
    document = json.loads(ran.stdout)
    assert (document["code"], document["evidence"]) == ("extra-needed", {"module": missing})


def test_with_them_it_does_not(started):
    for module, words in started.items():
        ran = subprocess.run(
            [sys.executable, "-m", module, "check-config", *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
