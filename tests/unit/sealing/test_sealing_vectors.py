"""The vectors in tests/vectors/sealed, opened as a user would: right ones open, wrong release nothing."""

import re
import shutil
from pathlib import Path

import pytest

from trustkit import workflows
from trustkit.errors import TrustkitError
from trustkit.sealing.passphrase import PassphraseOpener
from trustkit.sealing.recipients import opener_from_pem
from trustkit.verifying.policy import parse_policy

VECTORS = Path(__file__).parents[2] / "vectors/sealed"
CASES = sorted(path.parent for path in VECTORS.glob("*/expect"))
FILES = {"config.json": b'{"layers": 2, "x": 1}', "empty": b"", "weights/model.bin": bytes(range(71))}


@pytest.fixture(scope="module")
def policy():
    return parse_policy((VECTORS / "keys/policy.json").read_bytes(), read_file=None)


@pytest.fixture(scope="module")
def openers():
    found = [
        opener_from_pem((VECTORS / f"keys/opener-{kind}.pem").read_bytes(), passphrase=None)
        for kind in ("x25519", "p256", "mlkem768-x25519")
    ]
    return [*found, PassphraseOpener((VECTORS / "keys/passphrase").read_bytes().rstrip(b"\n"))]


@pytest.fixture
def folder(case, tmp_path):
    """The whole folder with the files of the case put over it, less those that it is without."""
    merged = tmp_path / "sealed"
    for source in (VECTORS / "whole", case):
        shutil.copytree(source, merged, dirs_exist_ok=True)
    without = merged / "without"
    if without.is_file():
        for name in (*without.read_text().split(), "without"):
            (merged / name).unlink()
    return merged


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_vector(case, folder, policy, openers, tmp_path):
    expected, output = (case / "expect").read_text().strip(), tmp_path / "opened"
    if expected == "opens":
        workflows.open_sealed(folder, openers, policy, output=output)
        names = [path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()]
        assert {name: (output / name).read_bytes() for name in names} == FILES
    else:
        with pytest.raises(TrustkitError) as caught:
            workflows.open_sealed(folder, openers, policy, output=output)
        assert caught.value.code == expected
        assert list(tmp_path.iterdir()) == [folder], "something was released"


def test_every_case_is_explained_and_its_name_says_how_it_ends():
    readme = (VECTORS / "README.md").read_text(encoding="utf-8")
    explained = dict(re.findall(r"^\| `(\w+)` \| `([\w-]+)` \| .+ \|$", readme, re.MULTILINE))
    found = {case.name: (case / "expect").read_text().strip() for case in CASES}
    assert found == explained
    assert len(found) > 60
    assert {name for name in found if name.endswith("_fail")} == {
        name for name, expected in found.items() if expected != "opens"
    }
