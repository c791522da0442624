"""What a command loads: to sign and to verify with a key takes what these need, and no other room is opened.

Whoever starts us for one small model waits for loading above all. So this is a
table: rooms that may be opened, libraries that may be loaded, and a few parts of
the libraries that take long and have no part in it.
"""

import subprocess
import sys

import pytest

ROOMS = (
    "trustkit",
    "trustkit.artifact.*",
    "trustkit.attest.*",
    "trustkit.cli.*",
    "trustkit.curves",
    "trustkit.digest",
    "trustkit.errors",
    "trustkit.programs.helping",  # how help looks, and how arguments are refused
    "trustkit.records",
    "trustkit.records.fields",
    "trustkit.storage.addresses",  # whether a path is one
    "trustkit.strictjson",
    "trustkit.version",
    "trustkit.workflows.places",
    "trustkit.workflows.workers",
)
OURS = {
    "sign": (
        *ROOMS,
        "trustkit.signing.*",
        "trustkit.storage.atomic",
        "trustkit.storage.held",
        "trustkit.storage.local",
        "trustkit.storage.state",
        "trustkit.verifying.presenting",
        "trustkit.workflows.bundled",
        "trustkit.workflows.remarks",
        "trustkit.workflows.resigning",
        "trustkit.workflows.signed",
        "trustkit.workflows.timed",
    ),
    "verify": (
        *ROOMS,
        "trustkit.verifying.authorities",
        "trustkit.verifying.compare",
        "trustkit.verifying.keys",
        "trustkit.verifying.listing",
        "trustkit.verifying.policy",
        "trustkit.verifying.signers",
        "trustkit.verifying.verify",
        "trustkit.workflows.reading",
        "trustkit.workflows.verified",
    ),
}
LIBRARIES = {"_cffi_backend", "_openssl", "cryptography"}
SLOW = (
    "ast",
    "asyncio",
    "concurrent",
    "copy",
    "cryptography.hazmat.backends",
    "cryptography.hazmat.decrepit",
    "cryptography.hazmat.primitives.asymmetric.rsa",
    "cryptography.hazmat.primitives.ciphers",
    "cryptography.hazmat.primitives.serialization",
    "cryptography.x509",
    "dataclasses",
    "datetime",
    "http",
    "inspect",
    "logging",
    "ssl",
    "subprocess",
    "tempfile",
)
PROGRAM = """
import sys
before = set(sys.modules)
from trustkit.cli.main import main
status = main(sys.argv[1:], {})
print("loaded", status, *sorted(set(sys.modules) - before))
"""


def run(*words):
    command = [sys.executable, "-c", PROGRAM, *map(str, words), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    word, status, *names = done.stdout.split()
    assert (word, status) == ("loaded", "0"), done.stderr
    return names


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """What each of the two commands loaded, for a folder of two files and a key."""
    base = tmp_path_factory.mktemp("loading")
    model, key, bundle = base / "model", base / "key.pem", base / "model.bundle"
    (model / "sub").mkdir(parents=True)
    for name in ("a", "sub/b"):
        (model / name).write_text(name, encoding="ascii")
    run("key", "generate", "--output", key)
    return {
        "sign": run("sign", model, "--key", key, "--bundle", bundle),
        "verify": run("verify", model, "--key", f"{key}.pub", "--bundle", bundle),
    }


def among(name, patterns):
    return any(
        name == pattern.removesuffix(".*") or (pattern.endswith(".*") and name.startswith(pattern[:-1]))
        for pattern in patterns
    )


@pytest.mark.parametrize("verb", OURS)
def test_only_the_rooms_that_have_a_part_in_it_are_opened(loaded, verb, demand_none):
    names = [name for name in loaded[verb] if name.startswith("trustkit.")]
    rooms = {pattern.removesuffix(".*").rpartition(".")[0] for pattern in OURS[verb]}
    assert f"trustkit.cli.verbs.{verb}" in names
    demand_none(name for name in names if not among(name, OURS[verb]) and name not in rooms)


@pytest.mark.parametrize("verb", OURS)
def test_no_row_of_the_table_is_left_over(loaded, verb, demand_none):
    demand_none(
        pattern
        for pattern in OURS[verb]
        if pattern != "trustkit" and not any(among(name, (pattern,)) for name in loaded[verb])
    )


@pytest.mark.parametrize("verb", OURS)
def test_no_other_library_is_loaded(loaded, verb, demand_none):
    known = set(sys.stdlib_module_names) | LIBRARIES | {"trustkit"}
    demand_none({name.partition(".")[0] for name in loaded[verb]} - known)


@pytest.mark.parametrize("verb", OURS)
def test_nothing_slow_is_loaded_that_has_no_part_in_it(loaded, verb, demand_none):
    demand_none(name for name in loaded[verb] if among(name, [f"{slow}.*" for slow in SLOW]))
