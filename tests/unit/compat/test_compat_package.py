"""The package itself: one import line changes, and opening it costs nothing."""

import subprocess
import sys

import pytest

from trustkit.compat import model_signing
from trustkit.compat.model_signing import hashing, manifest, signing, verifying

HEAVY = ("cryptography", "yaml", "argparse", "logging", "trustkit.workflows", "trustkit.artifact.walk")


def test_the_modules_of_the_reference():
    assert model_signing.__all__ == ["hashing", "manifest", "signing", "verifying"]
    assert dir(model_signing) == model_signing.__all__
    assert [model_signing.hashing, model_signing.manifest] == [hashing, manifest]
    assert [model_signing.signing, model_signing.verifying] == [signing, verifying]
    assert model_signing.__version__ == "1.1.1"
    with pytest.raises(AttributeError):
        model_signing.no_such_module  # noqa: B018 - asking is the test


@pytest.mark.parametrize(
    "code",
    [
        "import trustkit.compat.model_signing",
        "from trustkit.compat.model_signing.main import main; main(['--help'])",
        "from trustkit.compat.model_signing.main import main; main(['sign', 'model'])",
    ],
)
def test_what_opening_and_asking_for_help_loads(code):
    text = f"import sys; {code}; print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr.splitlines()[-1] == ""


def test_it_runs_as_a_program(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "trustkit.compat.model_signing", "--version"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=60,
    )
    assert done.returncode == 0
    assert done.stdout.endswith("model-signing 1.1.1\n")
