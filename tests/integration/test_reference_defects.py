"""The defects of model-signing 1.1.1: each shown in it where that is cheap, and not to be had here.

They are numbered. Those that came up while both were made to read each other are
tested beside that, in test_reference_interop.py; `TESTS` says which test shows
which, and the rest is here. A file that crosses rooms: processes of the reference
on one side, our library and command line on the other.
"""

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from trustkit.cli.main import main
from trustkit.errors import VerificationError
from trustkit.signing.key import generate_key, load_signer
from trustkit.verifying.policy import policy_from_keys, policy_from_roots
from trustkit.workflows import sign, verify

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-reference/bin/python"
INTEROP = ROOT / "tests/integration/test_reference_interop.py"

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not PYTHON.exists(), reason="there is no .venv-reference; `make test` builds it"),
]

TESTS = {
    1: ["test_defect_1_only_files_and_sha256_can_be_verified_from_its_command_line"],
    2: ["test_defect_2_it_cannot_guess_how_its_own_shards_and_blake2_were_made"],
    3: [
        "test_defect_3_it_forgets_that_links_were_signed",
        "test_defect_3_files_below_a_linked_folder_are_unsigned_there_and_signed_here",
    ],
    4: ["test_defect_4_encrypted_keys_cannot_be_used"],
    5: [
        "test_defect_5_an_expired_certificate_signs_and_verifies",
        "test_defect_5_any_leaf_under_the_ca_will_do",
        "test_defect_5_without_a_ca_the_whole_web_is_believed",
    ],
    6: [
        "test_defect_6_tolerating_unsigned_files_breaks_on_shards_and_reads_outside",
        "test_defect_6_tolerating_unsigned_files_breaks_on_paths_that_are_texts",
    ],
    7: [
        "test_defect_7_every_failure_is_exit_code_1",
        "test_defect_7_no_json_and_the_password_on_the_command_line",
        "test_defect_7_nobody_at_a_terminal_is_told_how_far_it_is",
    ],
    8: ["test_defect_8_a_token_is_at_hand_and_the_network_is_asked"],
    9: [
        "test_defect_9_one_name_twice_with_two_digests",
        "test_defect_9_a_file_that_appears_under_git",
        "test_defect_9_the_private_key_as_the_output",
        "test_defect_9_a_fifo_as_the_bundle",
        "test_defect_9_a_fifo_as_the_key",
        "test_defect_9_an_empty_list_of_signatures_and_deep_nesting",
        "test_defect_9_names_with_a_colon_in_shards",
        "test_defect_9_its_own_honest_bundles",
        "test_defect_9_a_single_file_under_its_own_name",
    ],
}
"""Which tests show which defect, here or in test_reference_interop.py."""


def reference(*arguments, timeout=60):
    """Run the reference's interpreter with an empty environment, so that nothing of ours reaches it."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [str(PYTHON), *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=timeout,
        check=False,
    )


def its_cli(*arguments, **how):
    return reference("-m", "model_signing", *arguments, **how)


def loaded(path):
    spec = importlib.util.spec_from_file_location(f"defects_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def forger():
    return loaded(ROOT / "tests/simulators/certificates.py")


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_bytes(b"weights")
    return folder


@pytest.fixture
def keys(tmp_path):
    private, public = generate_key("p256", passphrase=None)
    (tmp_path / "key").write_bytes(private)
    (tmp_path / "key.pub").write_bytes(public)
    return tmp_path / "key", tmp_path / "key.pub"


def test_every_numbered_defect_has_its_tests():
    found = {
        node.name
        for path in (INTEROP, Path(__file__))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and re.match(r"test_defect_\d", node.name)
    }
    listed = {name for names in TESTS.values() for name in names}
    assert sorted(TESTS) == list(range(1, 10))
    assert listed <= found
    assert {name for name in found if int(name.split("_")[2]) not in TESTS} == set()


# -- 5: certificates -----------------------------------------------------------------------------------


class Certified:
    """A folder that the reference signed with a certificate, and what its CA is."""

    def __init__(self, forger, folder, model, **leaf):
        self.issuer = forger.Issuer(time.time(), not_before=-90 * 86400)
        certificate, key = self.issuer.leaf(**leaf)
        (folder / "leaf.pem").write_bytes(forger.pem(certificate))
        (folder / "leaf.key").write_bytes(forger.key_pem(key))
        (folder / "ca.pem").write_bytes(self.issuer.pem)
        self.model, self.bundle, self.ca = model, folder / "certified.sig", folder / "ca.pem"
        done = its_cli(
            *("sign", "certificate", model, "--signature", self.bundle, "--private_key", folder / "leaf.key"),
            *("--signing_certificate", folder / "leaf.pem", "--certificate_chain", self.ca),
        )
        assert done.returncode == 0, done.stderr

    def accepted(self):
        """Say whether the reference verifies it."""
        words = ("verify", "certificate", self.model, "--signature", self.bundle)
        return its_cli(*words, "--certificate_chain", self.ca).returncode == 0

    def refused(self, *identities):
        """Return the code with which we refuse it; the policy believes the CA and these names."""
        with pytest.raises(VerificationError) as caught:
            verify(self.model, policy_from_roots(self.issuer.pem, identities), bundle=self.bundle)
        return caught.value.code


CODE_SIGNING = (ExtendedKeyUsageOID.CODE_SIGNING,)


def test_defect_5_an_expired_certificate_signs_and_verifies(forger, tmp_path, model):
    """Its clock is the certificate's own beginning."""
    expired = Certified(
        forger, tmp_path, model, not_before=-80 * 86400, not_after=-86400, extended=CODE_SIGNING
    )
    assert expired.accepted()
    assert expired.refused() == "certificate-expired"


def test_defect_5_any_leaf_under_the_ca_will_do(forger, tmp_path, model):
    server = (ExtendedKeyUsageOID.SERVER_AUTH,)
    web = Certified(forger, tmp_path, model, dns=("www.example.com",), uris=(), extended=server)
    assert web.accepted()
    assert web.refused() == "certificate-not-for-signing"
    (tmp_path / "again").mkdir()
    somebody = Certified(
        forger, tmp_path / "again", model, dns=("ci.example.com",), uris=(), extended=CODE_SIGNING
    )
    assert somebody.accepted(), "it has no words for whom it means"
    assert somebody.refused("dns:release.example.com") == "identity-mismatch"
    verify(
        model, policy_from_roots(somebody.issuer.pem, ["dns:ci.example.com"]), bundle=somebody.bundle
    ).close()


def test_defect_5_without_a_ca_the_whole_web_is_believed(forger, tmp_path, model, capsys):
    """There it is the default to believe every authority of the web; here there is no default."""
    told = its_cli("verify", "certificate", "--help").stdout
    assert not re.search(r"certificate_chain[^\n]*\n?[^\n]*\[required\]", told)
    made = Certified(forger, tmp_path, model, extended=CODE_SIGNING)
    assert main(["verify", str(model), "--bundle", str(made.bundle), "--json"], {}) == 2
    assert json.loads(capsys.readouterr().out)["code"] == "no-authority"


# -- 7, 8: the command line ----------------------------------------------------------------------------


def test_defect_7_no_json_and_the_password_on_the_command_line(keys, model, capsys):
    told = its_cli("sign", "key", "--help").stdout
    assert "--password" in told
    assert "--json" not in told + its_cli("verify", "key", "--help").stdout
    assert main(["sign", str(model), "--key", str(keys[0]), "--json"], {}) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    assert main(["sign", str(model), "--key", str(keys[0]), "--password", "secret", "--json"], {}) == 2
    assert json.loads(capsys.readouterr().out)["code"] == "bad-arguments"
    assert main(["sign", "--help"], {}) == 0
    told = capsys.readouterr().out
    assert "--passphrase-file" in told
    assert not re.search(r"--(password|passphrase)[ =]", told)


def test_defect_7_nobody_at_a_terminal_is_told_how_far_it_is(keys, model):
    (model / "large").write_bytes(bytes(32 << 20))
    ours, theirs = os.openpty()
    words = ("sign", "key", model, "--signature", os.devnull, "--private_key", keys[0])
    subprocess.run(
        [str(PYTHON), "-m", "model_signing", *map(str, words)],
        stdout=theirs,
        stderr=theirs,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=60,
        check=True,
    )
    os.close(theirs)
    assert os.read(ours, 65_536) == b"Signing succeeded\r\n"
    os.close(ours)
    steps = []
    sign(model, load_signer(keys[0], passphrase=None), progress=steps.append)
    assert len(steps) > 10
    assert sum(steps) == (32 << 20) + len(b"weights")


# Whoever connects is told to the parent in a line; nobody is reached.
WATCHED = """
import socket, sys
def refuse(*words, **_):
    print("ASKED", *map(str, words), flush=True)
    raise OSError("no network here")
socket.getaddrinfo = refuse
socket.socket.connect = lambda self, address: refuse(*address)
"""


def test_defect_8_a_token_is_at_hand_and_the_network_is_asked(keys, model):
    """It looks its issuer up before it looks at the token; what we sign with asks nobody."""
    words = ["sign", "sigstore", str(model), "--identity_token", "e30.e30.e30", "--signature", "/dev/null"]
    program = f"{WATCHED}\nimport runpy\nsys.argv = ['model_signing', *{words!r}]\n"
    program += "runpy.run_module('model_signing', run_name='__main__')"
    done = reference("-c", program)
    assert "ASKED" in done.stdout
    words = ["sign", str(model), "--key", str(keys[0])]
    program = f"{WATCHED}\nfrom trustkit.cli.main import main\nsys.exit(main({words!r}, {{}}))"
    ours = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert ours.returncode == 0, ours.stderr
    assert "ASKED" not in ours.stdout


# -- 9: hostile cases ----------------------------------------------------------------------------------


def test_defect_9_a_fifo_as_the_key(keys, model, tmp_path, capsys):
    made = sign(model, load_signer(keys[0], passphrase=None)).bundle
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(subprocess.TimeoutExpired):
        its_cli("verify", "key", model, "--signature", made, "--public_key", tmp_path / "fifo", timeout=5)
    assert main(["verify", str(model), "--key", str(tmp_path / "fifo"), "--json"], {}) == 2
    assert json.loads(capsys.readouterr().out)["code"] == "special-file"


def test_defect_9_its_own_honest_bundles(tmp_path):
    """Of the bundles that it and its ancestors wrote it refuses many; we read them all."""
    vectors = ROOT / "tests/vectors/oms"
    honest = {
        case.name
        for case in loaded(vectors / "reading.py").cases()
        if case.name.startswith("writer-") and case.expect["outcome"] == "trusted"
    }
    table = (vectors / "README.md").read_text(encoding="utf-8").partition("refused, must be accepted")[2]
    refused = set(re.findall(r"^\| `(writer-[\w.-]+)` ", table, re.MULTILINE))
    assert len(refused & honest) >= 10
    for case in loaded(vectors / "reading.py").cases():
        if case.name in honest:
            (tmp_path / case.name).mkdir()
            path, bundle = case.lay_out(tmp_path / case.name)
            key = (vectors / case.given["trust"]["key"]).read_bytes()
            tolerated = case.options.get("ignore_unsigned", False)
            verify(path, policy_from_keys(key), bundle=bundle, ignore_unsigned=tolerated).close()


def test_defect_9_a_single_file_under_its_own_name(keys, tmp_path):
    """As the specification has it; it knows one name for such a file, which is a dot."""
    (tmp_path / "model.gguf").write_bytes(b"weights")
    made = sign(tmp_path / "model.gguf", load_signer(keys[0], passphrase=None)).bundle
    words = ("verify", "key", tmp_path / "model.gguf", "--signature", made, "--public_key", keys[1])
    assert its_cli(*words).returncode == 1
    verify(tmp_path / "model.gguf", policy_from_keys(keys[1].read_bytes())).close()
