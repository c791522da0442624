"""model-signing 1.1.1 on our vectors: where it disagrees with expect.json is recorded in their README.

The table is written by a run of this file with TRUSTKIT_RECORD=1, and compared by
every other run: a row that appears or goes is a change in somebody's behaviour.
"""

import importlib.util
import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests/vectors/oms"
README = VECTORS / "README.md"
PYTHON = ROOT / ".venv-reference/bin/python"
START, END = "<!-- recorded -->\n", "<!-- end -->\n"

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not PYTHON.exists(), reason="there is no .venv-reference; `make test` builds it"),
]

# One process for all cases: what it says of each, or the class of what it raised.
PROGRAM = """
import contextlib, io, json, pathlib, sys
import model_signing
for case in json.load(sys.stdin):
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            config = model_signing.verifying.Config()
            if case["kind"] == "key":
                config.use_elliptic_key_verifier(public_key=case["file"])
            else:
                config.use_certificate_verifier(certificate_chain=[case["file"]])
            config.set_ignore_unsigned_files(case["unsigned"])
            config.verify(pathlib.Path(case["path"]), pathlib.Path(case["bundle"]))
        said = "accepts"
    except Exception as error:
        said = type(error).__name__
    print(json.dumps([case["name"], said]), flush=True)
"""


def asked():
    """Return the cases that the reference has words for."""
    spec = importlib.util.spec_from_file_location("oms_vectors_for_reference", VECTORS / "reading.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [
        case
        for case in module.cases()
        if case.given["do"] == "verify"
        and case.given["trust"].keys() in ({"key"}, {"ca"})
        and "when" not in case.given
        and not case.options.keys() - {"ignore_unsigned"}
    ]


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """Map each case to what the reference says."""
    scratch, jobs = tmp_path_factory.mktemp("reference"), []
    for number, case in enumerate(asked()):
        folder = scratch / str(number)
        folder.mkdir()
        path, bundle = case.lay_out(folder)
        [(kind, file)] = case.given["trust"].items()
        jobs.append(
            {
                "name": case.name,
                "path": str(path),
                "bundle": str(bundle or path / "model.sig"),
                "kind": kind,
                "file": str(VECTORS / file),
                "unsigned": case.options.get("ignore_unsigned", False),
            }
        )
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [str(PYTHON), "-c", PROGRAM],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        env=environment,
        timeout=110,
        check=False,
    )
    found = dict(json.loads(line) for line in done.stdout.splitlines())
    assert len(found) == len(jobs), done.stderr[-2000:]
    return found


def table(said):
    """Describe every disagreement, the dangerous ones first."""
    wrong = {"accepted, must be refused": [], "refused, must be accepted": []}
    for case in asked():
        accepted, trusted = said[case.name] == "accepts", case.expect["outcome"] == "trusted"
        if accepted and not trusted:
            wrong["accepted, must be refused"].append((case, case.expect["outcome"]))
        if trusted and not accepted:
            wrong["refused, must be accepted"].append((case, said[case.name]))
    lines = [
        f"{len(said)} cases asked; {sum(map(len, wrong.values()))} answered otherwise than they must be.\n"
    ]
    for what, cases in wrong.items():
        word = "Must be" if what.startswith("accepted") else "It raised"
        lines += [f"\n{len(cases)} {what}:\n\n| Case | {word} | What it is |\n|---|---|---|\n"]
        lines += [f"| `{case.name}` | `{code}` | {case.expect['why']} |\n" for case, code in cases]
    return "".join(lines)


def test_the_reference_disagrees_where_the_table_says(said):
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(START)
    recorded, after = rest.split(END)
    if os.environ.get("TRUSTKIT_RECORD"):
        README.write_text(before + START + table(said) + END + after, encoding="utf-8")
        pytest.skip("the table was written anew")
    assert recorded == table(said)


def test_it_agrees_with_most_of_them(said):
    """Were it all disagreement, the run would be wrong and not the reference."""
    agreed = [
        case for case in asked() if (said[case.name] == "accepts") == (case.expect["outcome"] == "trusted")
    ]
    assert len(agreed) > len(said) // 2
    assert {said[name] for name in ("writer-1.1.1-files", "writer-1.0.1-files", "writer-0.2.0-files")} == {
        "accepts"
    }
