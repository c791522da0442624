"""The vectors in tests/vectors/oms through the command line: one case of each outcome, for its status."""

import importlib.util
import json
from pathlib import Path

import pytest

VECTORS = Path(__file__).parents[2] / "vectors/oms"


def _one_of_each():
    spec = importlib.util.spec_from_file_location("oms_vectors_for_cli", VECTORS / "reading.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    chosen = {}
    for case in module.cases():
        # A cap on bundles and the time are parameters of the library; the writers' own samples are all taken.
        if (
            case.given["do"] == "verify"
            and "max_bundle_bytes" not in case.options
            and "when" not in case.given
        ):
            own = case.name if case.name.startswith(("writer-", "go-")) else ""
            kind = next(iter(case.given["trust"]))
            chosen.setdefault((case.expect["outcome"], case.expect["exit"], kind, own), case)
    return list(chosen.values())


CASES = _one_of_each()


def test_there_are_a_few_dozen():
    assert len(CASES) > 60
    assert {case.expect["exit"] for case in CASES} == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_verify(case, cli, tmp_path):
    path, bundle = case.lay_out(tmp_path)
    trust = dict(case.given["trust"])
    identities = trust.pop("identities", ())
    [(kind, file)] = trust.items()
    words = ["verify", path, f"--{kind}", VECTORS / file, "--json"]
    words += [word for name in identities for word in ("--identity", name)]
    words += [] if bundle is None else ["--bundle", bundle]
    words += [word for glob in case.options.get("only", ()) for word in ("--only", glob)]
    words += ["--ignore-unsigned"] if case.options.get("ignore_unsigned") else []
    ran = cli(*words)
    document = json.loads(ran.out)
    assert (ran.status, document["code"] or "trusted") == (case.expect["exit"], case.expect["outcome"])
    if ran.status == 0:
        assert document["manifest_digest"] == case.expect["manifest_digest"]
        assert document["root_digest"] == case.expect["root_digest"]
        assert document["files"] == len(case.expect["opens"])


@pytest.mark.parametrize("case", [c for c in CASES if c.expect["exit"] == 0], ids=lambda case: case.name)
def test_manifest_prints_both_digests(case, cli, tmp_path):
    """Of every writer, from the signed statement alone: no file of the artifact is there."""
    bundle = tmp_path / "alone.sig"
    bundle.write_bytes(case.bundle())
    path = tmp_path / "nothing"
    path.mkdir()
    ran = cli("manifest", path, "--bundle", bundle, "--digest")
    assert ran.status == 0
    assert ran.out == f"manifest {case.expect['manifest_digest']}\nroot {case.expect['root_digest']}\n"
    shown = cli("inspect", bundle, "--json").document
    assert (shown["kind"], shown["manifest_digest"]) == ("model-signature", case.expect["manifest_digest"])
