"""The Python that README shows runs as it stands, on a model made as README's publisher makes it."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_library_example_runs(tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [code] = re.findall(r"^```python\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"weights")
    program = (sys.executable, "-m", "trustkit")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    for words in (
        ("key", "generate", "--output", "author.pem"),
        ("sign", "model", "--key", "author.pem"),
    ):
        subprocess.run(
            (*program, *words), cwd=tmp_path, env=environ, check=True, timeout=60, capture_output=True
        )
    told = f"{code}\nimport os\nprint(os.read(descriptor, 100), verified.signed.manifest_digest)\n"
    done = subprocess.run(
        (sys.executable, "-c", told),
        cwd=tmp_path,
        env=environ,
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("b'weights' sha256:")
