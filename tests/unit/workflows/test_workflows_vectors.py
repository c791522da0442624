"""The vectors in tests/vectors/oms: each is verified (or signed) as a user would, through the library.

Beside them stand the checks that make the set worth its name: every case has a
rule of FORMAT.md (that every rule has a case is looked after in tests/contract),
every code that a bundle or a tree can cause is caused, and the generator writes
what lies there.
"""

import ast
import base64
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from trustkit import workflows
from trustkit.errors import TrustkitError
from trustkit.signing.certificate import certified
from trustkit.signing.key import load_signer
from trustkit.verifying.policy import parse_policy, policy_from_keys, policy_from_roots
from trustkit.verifying.verify import verify_manifest

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "tests/vectors/oms"
FORMAT = ROOT / "trustkit/attest/FORMAT.md"


def _load():
    spec = importlib.util.spec_from_file_location("oms_vectors", VECTORS / "reading.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.cases()


CASES = _load()
VERIFY = [case for case in CASES if case.given["do"] == "verify"]
SIGN = [case for case in CASES if case.given["do"] == "sign"]
ADD = [case for case in CASES if case.given["do"] == "add"]


def policy_of(case):
    trust = case.given["trust"]
    if "key" in trust:
        return policy_from_keys((VECTORS / trust["key"]).read_bytes())
    if "ca" in trust:
        return policy_from_roots((VECTORS / trust["ca"]).read_bytes(), trust.get("identities", ()))
    return parse_policy((VECTORS / trust["policy"]).read_bytes(), read_file=None)


def clock_of(case):
    """The time that the case names, or now."""
    return {"now": lambda: float(case.given["when"])} if "when" in case.given else {}


def signer_of(case):
    signer = load_signer(VECTORS / case.given["key"], passphrase=None)
    files = [
        (VECTORS / case.given[name]).read_bytes() for name in ("certificate", "chain") if name in case.given
    ]
    return certified(signer, *files) if files else signer


def verified(case, scratch):
    """Verify a case and describe what came of it, as expect.json does."""
    path, bundle = case.lay_out(scratch)
    policy = policy_of(case)
    cap = case.options.get("max_bundle_bytes")
    if cap is not None:
        verify_manifest(bundle.read_bytes(), policy, max_bytes=cap)
    proof = workflows.verify(
        path,
        policy,
        bundle=bundle,
        only=case.options.get("only", ()),
        ignore_unsigned=case.options.get("ignore_unsigned", False),
        **clock_of(case),
    )
    with closing(proof):
        for name in proof.files:
            os.close(proof.open(name))
        for name in (*proof.ignored, *proof.unsigned, *proof.skipped):
            with pytest.raises(TrustkitError, match=r"\[not-verified\]"):
                proof.open(name)
        return {
            "outcome": "trusted",
            "exit": 0,
            "manifest_digest": str(proof.signed.manifest_digest),
            "root_digest": str(proof.signed.manifest.root_digest),
            "opens": sorted(proof.files),
            "ignored": sorted(proof.ignored),
            "unsigned": sorted(proof.unsigned),
            "skipped": sorted(proof.skipped),
        }


def described(case):
    return {name: value for name, value in case.expect.items() if name not in {"why", "rules"}}


@pytest.mark.parametrize("case", VERIFY, ids=lambda case: case.name)
def test_verify(case, tmp_path):
    try:
        found = verified(case, tmp_path)
    except TrustkitError as error:
        found = {"outcome": error.code, "exit": error.exit_code}
    assert found == described(case)


@pytest.mark.parametrize("case", SIGN, ids=lambda case: case.name)
def test_sign(case, tmp_path):
    path, _ = case.lay_out(tmp_path)
    options = dict(case.options)
    options["algorithm"] = options.pop("hash", "sha256")
    made = tmp_path / "made.sig"
    if case.expect["outcome"] != "signed":
        with pytest.raises(TrustkitError) as caught:
            workflows.sign(path, signer_of(case), bundle=made, **options, **clock_of(case))
        assert (caught.value.code, caught.value.exit_code) == (case.expect["outcome"], case.expect["exit"])
        assert not made.exists()
        return
    signer = signer_of(case)
    workflows.sign(path, signer, bundle=made, **options, **clock_of(case))
    bundle = json.loads(made.read_bytes())
    envelope = bundle["dsseEnvelope"]
    assert base64.b64decode(envelope["payload"]) == (case.folder / "payload.json").read_bytes()
    assert bundle["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    material = case.folder / "material.json"
    hint = {"publicKey": {"hint": hashlib.sha256(signer.public_pem()).hexdigest()}, "tlogEntries": []}
    assert bundle["verificationMaterial"] == (
        json.loads(material.read_bytes()) if material.exists() else hint
    )
    assert [entry["keyid"] for entry in envelope["signatures"]] == [""]
    workflows.verify(path, policy_from_keys((VECTORS / "keys/alice.pub").read_bytes()), bundle=made).close()


@pytest.mark.parametrize("case", ADD, ids=lambda case: case.name)
def test_add(case, tmp_path):
    path, bundle = case.lay_out(tmp_path)
    before = bundle.read_bytes()
    if case.expect["outcome"] != "signed":
        with pytest.raises(TrustkitError) as caught:
            workflows.add_signature(path, signer_of(case), bundle=bundle)
        assert (caught.value.code, caught.value.exit_code) == (case.expect["outcome"], case.expect["exit"])
        assert bundle.read_bytes() == before
        return
    signer = signer_of(case)
    workflows.add_signature(path, signer, bundle=bundle)
    was, became = json.loads(before), json.loads(bundle.read_bytes())
    added = became["dsseEnvelope"]["signatures"].pop()
    assert became == was
    assert added["keyid"] == ""
    workflows.verify(path, policy_from_keys(signer.public_pem()), bundle=bundle).close()


# -- what the set is worth -----------------------------------------------------------------------------


def rules():
    """Map each rule's number to its text; a table's rows count as lines do."""
    text = FORMAT.read_text(encoding="utf-8")
    found = re.findall(r"^(?:- |\| )\*\*(\d+\.\d+)\*\*(.*)$", text, re.MULTILINE)
    assert len({number for number, _ in found}) == len(found)
    return dict(found)


def test_every_case_tests_a_rule():
    known = rules()
    assert {
        case.name: case.expect["rules"] for case in CASES if not set(case.expect["rules"]) <= known.keys()
    } == {}
    assert all(case.expect["rules"] for case in CASES)


def test_there_are_enough_cases_and_each_gives_its_own_reason():
    assert len(CASES) >= 150
    reasons = [case.expect["why"] for case in CASES]
    assert len(set(reasons)) == len(reasons)
    assert not [why for why in reasons if "\n" in why or len(why) > 140]


def test_no_two_cases_are_the_same():
    seen = {}
    for case in CASES:
        given = {name: value for name, value in case.given.items() if name != "bundle"}
        key = (case.bundle(), json.dumps(given, sort_keys=True))
        assert key not in seen, (case.name, seen[key])
        seen[key] = case.name


FILES = (
    "strictjson.py",
    "attest/bundle.py",
    "attest/rows.py",
    "attest/dsse.py",
    "attest/statement.py",
    "attest/predicates/digests.py",
    "attest/predicates/model_signature.py",
    "verifying/verify.py",
    "verifying/signers.py",
    "verifying/authorities.py",
    "verifying/certificates.py",
    "verifying/chains.py",
    "verifying/compare.py",
    "spiffe/certificates.py",
    "artifact/names.py",
    "artifact/walk.py",
)
CLASSES = ("FormatError", "LimitError", "VerificationError")
ELSEWHERE = {
    "bad-policy": "two authorities of one name or key: tests/unit/verifying/test_verifying_policy.py",
    "certificate-time-unknown": "a caller without a clock: tests/unit/verifying",
    "file-changed": "a race: tests/attacks/test_attacks_moments.py",
    "not-verified": "the caller asks for a name that was not compared: asserted for every trusted case above",
    "too-many-files": "two million files: tests/unit/artifact/test_artifact_tree.py",
    "too-many-links": "ten thousand linked folders: tests/unit/artifact/test_artifact_links.py",
}


def test_every_code_that_a_bundle_or_a_tree_can_cause_is_caused():
    codes = set()
    for file in FILES:
        for node in ast.walk(ast.parse((ROOT / "trustkit" / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and ast.unparse(node.func) in CLASSES:
                codes |= {arg.value for arg in ast.walk(node.args[0]) if isinstance(arg, ast.Constant)}
    caused = {case.expect["outcome"] for case in CASES}
    assert len(codes) > 30
    assert codes - caused - ELSEWHERE.keys() == set()
    assert not ELSEWHERE.keys() & caused


def test_the_generator_writes_what_lies_there(tmp_path):
    """On a copy, with nothing of trustkit within reach."""
    copy = tmp_path / "oms"
    copy.mkdir()
    for name in ("generate.py", "making.py", "certificates.py", "certifying.py", "several.py"):
        (copy / name).write_bytes((VECTORS / name).read_bytes())
    for name in ("keys", "written"):
        (copy / name).symlink_to(VECTORS / name)
    command = [
        sys.executable,
        "-B",
        "-P",
        "-c",
        f"import sys; sys.path.insert(0, {str(copy)!r}); sys.modules['trustkit'] = None; import generate",
    ]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path, timeout=110)

    def contents(folder):
        return {
            p.relative_to(folder).as_posix(): p.read_bytes()
            for d in ("cases", "policies", "certificates")
            for p in (folder / d).rglob("*")
            if p.is_file()
        }

    made, kept = contents(copy), contents(VECTORS)
    assert sorted(name for name in made.keys() | kept.keys() if made.get(name) != kept.get(name)) == []


def test_the_set_stays_small():
    size = sum(
        path.stat().st_size
        for path in VECTORS.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    assert size < 1 << 21
