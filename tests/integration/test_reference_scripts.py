"""Scripts written for model-signing 1.1.1, run under it and under our package of its interface, and compared.

One script is one text; `{package}` is the only word that differs. Both run as
processes of their own. Then its command line: every flag it has stands in our
table, and ours takes what the table says it takes.
"""

import base64
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

from trustkit.compat.model_signing.command import read
from trustkit.compat.model_signing.flags import METHODS, spellings
from trustkit.errors import UsageError
from trustkit.signing.key import generate_key

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / ".venv-reference/bin/python"
PYTHONS = {"model_signing": str(REFERENCE), "trustkit.compat.model_signing": sys.executable}
OURS = "trustkit.compat.model_signing"
TABLE = ROOT / "trustkit/compat/model_signing/README.md"

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not REFERENCE.exists(), reason="there is no .venv-reference; `make test` builds it"),
]


def process(package, *arguments, cwd):
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [PYTHONS[package], *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        timeout=60,
        check=False,
    )


def script(package, text, cwd):
    """Run a script with one import line changed; what it prints is JSON, and its result."""
    done = process(package, "-c", f"import {package} as model_signing\n{text}", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def both(text, cwd):
    """Run a script under both packages, and return what they agree upon."""
    theirs, ours = (script(package, text, cwd) for package in PYTHONS)
    assert ours == theirs
    return ours


def cli(package, *arguments, cwd):
    return process(package, "-m", package, *arguments, cwd=cwd)


@pytest.fixture
def place(tmp_path):
    """A folder with a model, a single file and keys, as a user's script finds it."""
    for name, content in {
        "model/a/b": b"1",
        "model/a-b": b"2",
        "model/a.b": b"3" * 25,
        "model/.gitattributes": b"*.bin lfs",
        "model/notes/README.md": b"read me",
        "model.bin": b"x" * 25,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    for name, passphrase in (("key", None), ("other", None)):
        private, public = generate_key("p256", passphrase=passphrase)
        (tmp_path / name).write_bytes(private)
        (tmp_path / f"{name}.pub").write_bytes(public)
    certificates(tmp_path)
    return tmp_path


def certificates(folder):
    """Write a root, an intermediate and a leaf for signing, with the leaf's key."""
    spec = importlib.util.spec_from_file_location("forger", ROOT / "tests/simulators/certificates.py")
    forger = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(forger)
    root = forger.Issuer(time.time(), name="root")
    middle = forger.Issuer(time.time(), parent=root, name="middle")
    leaf, key = middle.leaf(extended=(ExtendedKeyUsageOID.CODE_SIGNING,), emails=("ml@example.com",))
    (folder / "root.crt").write_bytes(root.pem)
    (folder / "middle.crt").write_bytes(middle.pem)
    (folder / "leaf.crt").write_bytes(forger.pem(leaf))
    (folder / "leaf.key").write_bytes(forger.key_pem(key))


def payload_of(bundle):
    return json.loads(base64.b64decode(json.loads(bundle.read_bytes())["dsseEnvelope"]["payload"]))


# -- hashing: the same script, the same result ---------------------------------------------------------

HASH = """
import json, pathlib
def told(found):
    kind = dict(found.serialization_type)
    left_out = set(map(str, kind.get("ignore_paths", [])))
    kind["ignore_paths"] = sorted(left_out - {"model.sig", "model.claims.jsonl"})
    kind["shard_size"] = int(kind.get("shard_size", 0))
    return [found.model_name, kind, [
        [item.identifier, item.digest.algorithm, item.digest.digest_hex, item.digest.digest_size]
        for item in found.resource_descriptors()
    ]]
"""
WAYS = (
    "",
    ".use_file_serialization(hashing_algorithm='blake2', chunk_size=0, max_workers=1)",
    ".use_file_serialization(hashing_algorithm='blake3')",
    ".use_shard_serialization(shard_size=10)",
    ".use_shard_serialization(hashing_algorithm='blake2', shard_size=7, max_workers=3)",
    ".use_shard_serialization(hashing_algorithm='blake3', shard_size=7)",
    ".use_shard_serialization(shard_size=7).use_file_serialization()",
    ".set_ignored_paths(paths=['notes', 'a/b'])",
    ".set_ignored_paths(paths=['notes'], ignore_git_paths=False)",
    ".set_ignored_paths(paths=['../outside', '/elsewhere'])",
    ".set_allow_symlinks(True).use_file_serialization()",
    ".use_file_serialization(allow_symlinks=True).set_allow_symlinks(False)",
)


def test_hashing(place):
    text = f"""{HASH}
said = []
for how in {WAYS!r}:
    for path in ("model", "./model/", b"model/../model".decode(), "model.bin"):
        said.append(told(eval("model_signing.hashing.Config()" + how).hash(path)))
print(json.dumps(said))
"""
    theirs, ours = (script(package, text, place) for package in PYTHONS)
    assert len(ours) == len(WAYS) * 4
    for one, other in zip(ours, theirs, strict=True):
        if one[0] == "model.bin":  # what is left out of a single file means nothing, and is recorded there
            one[1]["ignore_paths"] = other[1]["ignore_paths"] = []
        assert one == other
    assert {one[1]["hash_type"] for one in ours} == {"sha256", "blake2b", "blake3"}


def test_hashing_some_files_equality_and_added_paths(place):
    said = both(
        f"""{HASH}
import shutil
shutil.copytree("model", "copy", dirs_exist_ok=True)
some = [pathlib.Path("model") / name for name in ("a-b", "a", "a/b", ".gitattributes")]
one, two = (model_signing.hashing.hash(path) for path in ("model", "copy"))
part = model_signing.hashing.Config().set_ignored_paths(paths=["a-b"]).hash("copy")
config = model_signing.hashing.Config().set_ignored_paths(paths=["notes"])
config.add_ignored_paths(model_path="model", paths=["a", "/elsewhere"])
print(json.dumps([
    told(model_signing.hashing.Config().hash(pathlib.Path("model"), files_to_hash=some)),
    [one == two, one == part, one != part, two.model_name],
    told(config.hash("model"))[2],
]))
""",
        place,
    )
    assert [item[0] for item in said[0][2]] == ["a/b", "a-b"]
    assert said[1] == [True, False, True, "copy"]
    assert [item[0] for item in said[2]] == ["a-b", "a.b"]


# -- signing and verifying: each script signs, each verifies, in all four pairs -------------------------

SIGN = """
import json
config = model_signing.signing.Config().{signer}
config.set_hashing_config(model_signing.hashing.Config(){how}).sign({path!r}, "out.sig")
print(json.dumps("signed"))
"""
VERIFY = """
import json, pathlib
config = model_signing.verifying.Config().{verifier}{told}
try:
    config.verify(pathlib.Path({path!r}), "out.sig")
    print(json.dumps("verified"))
except Exception as error:
    print(json.dumps([isinstance(error, ValueError), str(error)]))
"""
KEY = ("use_elliptic_key_signer(private_key='key')", "use_elliptic_key_verifier(public_key='key.pub')")
CERTIFICATE = (
    (
        "use_certificate_signer(private_key='leaf.key', "
        "signing_certificate='leaf.crt', certificate_chain=['middle.crt'])"
    ),
    "use_certificate_verifier(certificate_chain=['root.crt'], log_fingerprints=True)",
)
CASES = (  # what is signed, how, and whether the reference must be told how to verify it
    ("model", "", False),
    ("model.bin", "", False),
    ("model", ".set_ignored_paths(paths=['notes'])", False),
    ("model", ".set_ignored_paths(paths=[], ignore_git_paths=False)", True),
    ("model", ".use_shard_serialization(shard_size=10)", True),
    ("model.bin", ".use_shard_serialization(shard_size=10)", True),
    ("model", ".use_file_serialization(hashing_algorithm='blake2')", True),
    ("model", ".use_file_serialization(hashing_algorithm='blake3')", False),
)
SIGN_ALL = f"""
import json
for number, (path, how, _) in enumerate({CASES!r}):
    for kind, signer in enumerate({(KEY[0], CERTIFICATE[0])!r}):
        config = eval("model_signing.signing.Config()." + signer)
        config.set_hashing_config(eval("model_signing.hashing.Config()" + how))
        config.sign(path, f"{{number}}-{{kind}}.sig")
        config.sign(path, f"{{number}}-{{kind}}.sig")  # again: an older signature is replaced
print(json.dumps("signed"))
"""
VERIFY_ALL = f"""
import json, pathlib
said = []
for number, (path, how, told) in enumerate({CASES!r}):
    for kind, verifier in enumerate({(KEY[1], CERTIFICATE[1])!r}):
        config = eval("model_signing.verifying.Config()." + verifier)
        if told:
            config.set_hashing_config(eval("model_signing.hashing.Config()" + how))
        try:
            config.verify(pathlib.Path(path), f"{{number}}-{{kind}}.sig")
            said.append("verified")
        except ValueError as error:
            said.append("refused")
print(json.dumps(said))
"""


@pytest.mark.parametrize("signed_by", PYTHONS)
def test_what_one_signs_both_verify(place, signed_by):
    assert script(signed_by, SIGN_ALL, place) == "signed"
    assert both(VERIFY_ALL, place) == ["verified"] * len(CASES) * 2
    for changed in ("model/a-b", "model.bin"):
        (place / changed).write_bytes(b"changed")
    assert both(VERIFY_ALL, place) == ["refused"] * len(CASES) * 2


def test_two_that_the_reference_cannot_verify_and_we_can(place):
    """Shards and blake2, where nobody tells it how they were made."""
    for how in (
        ".use_shard_serialization(shard_size=10)",
        ".use_file_serialization(hashing_algorithm='blake2')",
    ):
        script("model_signing", SIGN.format(signer=KEY[0], how=how, path="model"), place)
        text = VERIFY.format(verifier=KEY[1], told="", path="model")
        assert script("model_signing", text, place) != "verified"
        assert script(OURS, text, place) == "verified"


FAILURES = {
    "a file was added": "(model / 'new').write_bytes(b'x')",
    "a file was removed": "(model / 'a-b').unlink()",
    "another key": "key = 'other.pub'",
    "no key there": "key = 'nowhere.pub'",
    "no signature there": "sig = 'nowhere.sig'",
    "no json": "sig = 'key'",
    "no model there": "model = pathlib.Path('nowhere')",
    "a private key": "key = 'key'",
}


def test_what_scripts_catch(place):
    """Every failure of the reference is a failure here, and `except ValueError` or `OSError` still fits."""
    script("model_signing", SIGN.format(signer=KEY[0], how="", path="model"), place)
    text = f"""
import json, pathlib, shutil
said = {{}}
for what, change in {FAILURES!r}.items():
    shutil.rmtree("copy", ignore_errors=True)
    shutil.copytree("model", "copy")
    model, sig, key = pathlib.Path("copy"), "out.sig", "key.pub"
    exec(change)
    try:
        config = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=key)
        config.verify(model, sig)
        said[what] = "verified"
    except (ValueError, FileNotFoundError) as error:
        said[what] = [isinstance(error, ValueError), isinstance(error, FileNotFoundError)]
print(json.dumps(said))
"""
    theirs, ours = (script(package, text, place) for package in PYTHONS)
    for what in FAILURES:
        assert isinstance(theirs[what], list), what
        assert ours[what][0], f"{what}: ours are all ValueErrors"
        if what != "no model there":  # there the reference finds every file missing, and says no more
            assert ours[what][1] == theirs[what][1], what


def test_no_verifier_and_unsigned_files(place):
    assert both(
        "import json, pathlib\n"
        "model_signing.signing.Config().use_elliptic_key_signer(private_key='key').sign('model', 'out.sig')\n"
        "said = []\n"
        "config = model_signing.verifying.Config()\n"
        "def ask():\n"
        "    try:\n"
        "        config.verify(pathlib.Path('model'), 'out.sig')\n"
        "        said.append('verified')\n"
        "    except ValueError:\n"
        "        said.append('refused')\n"
        "ask()\n"
        "config.use_elliptic_key_verifier(public_key='key.pub')\n"
        "pathlib.Path('model/extra').write_bytes(b'x')\n"
        "ask()\n"
        "config.set_ignore_unsigned_files(True)\n"
        "ask()\n"
        "pathlib.Path('model/extra').unlink()\n"
        "print(json.dumps(said))",
        place,
    ) == ["refused", "refused", "verified"]


# -- the command line ----------------------------------------------------------------------------------


@pytest.mark.parametrize("verified_by", PYTHONS)
@pytest.mark.parametrize("signed_by", PYTHONS)
@pytest.mark.parametrize("path", ["model", "model.bin"])
def test_command_lines_with_a_key(place, signed_by, verified_by, path):
    done = cli(signed_by, "sign", "key", path, "--private_key", "key", cwd=place)
    assert (done.returncode, done.stdout) == (0, "Signing succeeded\n"), done.stderr
    words = ("verify", "key", path, "--signature", "model.sig", "--public_key", "key.pub")
    done = cli(verified_by, *words, cwd=place)
    assert (done.returncode, done.stdout) == (0, "Verification succeeded\n"), done.stderr
    changed = place / path / "a-b" if path == "model" else place / path
    changed.write_bytes(b"changed")
    assert cli(verified_by, *words, cwd=place).returncode == 1


@pytest.mark.parametrize("verified_by", PYTHONS)
@pytest.mark.parametrize("signed_by", PYTHONS)
def test_command_lines_with_certificates_and_a_signature_inside(place, signed_by, verified_by):
    signature = ("--signature", "model/my.sig", "--ignore-paths", "model/notes")
    done = cli(
        signed_by,
        *("sign", "certificate", "model", "--private_key", "leaf.key", "--signing_certificate", "leaf.crt"),
        *("--certificate_chain", "middle.crt", *signature),
        cwd=place,
    )
    assert done.returncode == 0, done.stderr
    words = ("verify", "certificate", "model", *signature, "--certificate_chain", "root.crt")
    done = cli(verified_by, *words, "--log_fingerprints", cwd=place)
    assert done.returncode == 0, done.stderr
    assert not [
        item
        for item in payload_of(place / "model/my.sig")["predicate"]["resources"]
        if "notes" in item["name"]
    ]
    assert cli(verified_by, *words[:-1], "leaf.key", cwd=place).returncode == 1


def test_statuses_are_those_of_the_reference(place):
    script("model_signing", SIGN.format(signer=KEY[0], how="", path="model"), place)
    for status, words in (
        (0, ("--help",)),
        (0, ("-h",)),
        (0, ("--version",)),
        (0, ("sign", "--help")),
        (0, ("verify", "key", "-h")),
        (2, ()),
        (2, ("sign",)),
        (2, ("no-such-verb",)),
        (2, ("sign", "key", "model")),
        (
            2,
            ("verify", "key", "model", "--signature", "out.sig", "--public_key", "key.pub", "--no-such-flag"),
        ),
        (2, ("verify", "key", "--signature", "out.sig", "--public_key", "key.pub")),
        (2, ("--log-level", "LOUD", "sign", "key", "model", "--private_key", "key")),
        (0, ("--log-level", "error", "sign", "key", "model", "--private_key=key", "--signature=again.sig")),
        (1, ("verify", "key", "model", "--signature", "nowhere.sig", "--public_key", "key.pub")),
        (1, ("verify", "key", "model", "--signature", "out.sig", "--public_key", "nowhere.pub")),
        (1, ("verify", "key", "model", "--signature", "out.sig", "--public_key", "other.pub")),
        (1, ("sign", "key", "nowhere", "--private_key", "nowhere")),
    ):
        done = {package: cli(package, *words, cwd=place).returncode for package in PYTHONS}
        assert set(done.values()) == {status}, (words, done)


def test_trustkit_sign_writes_for_it_on_demand(place):
    """Architecture, section 11: `--compat 1.1` for single files, which it otherwise does not find."""
    words = ("verify", "key", "model.bin", "--signature", "out.sig", "--public_key", "key.pub")
    for flags, status in (((), 1), (("--compat", "1.1", "--overwrite"), 0)):
        sign = ("sign", "model.bin", "--key", "key", "--bundle", "out.sig", *flags)
        done = process(OURS, "-m", "trustkit", *sign, cwd=place)
        assert done.returncode == 0, done.stderr
        assert cli("model_signing", *words, cwd=place).returncode == status
        assert cli(OURS, *words, cwd=place).returncode == 0


def test_methods_that_are_not_built_say_so(place):
    for words in (
        ("sign", "model"),
        ("sign", "sigstore", "model"),
        ("sign", "pkcs11-key", "model", "--pkcs11_uri", "x"),
    ):
        done = cli(OURS, *words, cwd=place)
        assert (done.returncode, done.stdout) == (2, "")
        assert "[unsupported-method]" in done.stderr
        assert "sign key" in done.stderr
    assert not (place / "model.sig").exists()


# -- every flag of the reference is in the table --------------------------------------------------------

ROW = re.compile(r"^\| `(--[a-z0-9_-]+)` \| ([^|]+) \| (accepted|refused)", re.MULTILINE)


@pytest.fixture(scope="module")
def helps(tmp_path_factory):
    """The flags that the reference's own help lists, by verb and method."""
    folder = tmp_path_factory.mktemp("helps")
    places = [(), ("sign",), ("verify",), *((verb, method) for verb in METHODS for method in METHODS[verb])]
    found = {}
    for words in places:
        done = cli("model_signing", *words, "--help", cwd=folder)
        if done.returncode == 0:  # `verify pkcs11-key` is reserved there, and has no command
            listed = re.findall(
                r"^ +(?:-h, )?(--[a-z0-9_-]+)(?: / (--[a-z0-9_-]+))?", done.stdout, re.MULTILINE
            )
            found[words] = {flag for pair in listed for flag in pair if flag}
    return found


def test_the_help_was_understood(helps):
    assert helps[()] == {"--version", "--log-level", "--help"}
    assert helps["sign", "key"] >= {"--password", "--no-ignore-git-paths", "--allow_symlinks", "--help"}
    assert len(helps) >= 3 + 5 + 3


def test_every_flag_of_the_reference_is_in_the_table_and_none_is_invented(helps):
    rows = [(flag, where) for flag, where, _ in ROW.findall(TABLE.read_text(encoding="utf-8"))]
    real = {flag for flags in helps.values() for flag in flags}
    assert {flag for flag, _ in rows} == real
    for flag, where in rows:
        for place in re.split(r", ", where.strip()):
            if place in {"everything", "alone", "before the verb"}:
                continue
            words = tuple(place.split(" "))
            having = [at for at in helps if len(at) == 2 and at[: len(words)] == words]
            assert having, (flag, place)
            assert all(flag in helps[at] for at in having), (flag, place)


def test_every_place_of_a_flag_is_in_the_table(helps):
    """Also where the method is not built, and is refused whole."""
    listed = {}
    for flag, where, _ in ROW.findall(TABLE.read_text(encoding="utf-8")):
        listed.setdefault(flag, set()).update(re.split(r", ", where.strip()))
    missing = [
        (at, flag)
        for at, flags in helps.items()
        if len(at) == 2
        for flag in flags
        if not {"everything", at[0], " ".join(at)} & listed[flag]
    ]
    assert missing == []


def test_every_flag_of_a_method_that_is_built_is_taken(helps):
    """In each spelling; and the table says `accepted` of it, and `refused` of all the others."""
    verdicts = {}
    for flag, _, verdict in ROW.findall(TABLE.read_text(encoding="utf-8")):
        verdicts.setdefault(flag, set()).add(verdict)
    for (verb, method), flags in ((at, flags) for at, flags in helps.items() if len(at) == 2):
        known = METHODS[verb][method]
        if known is None:
            with pytest.raises(UsageError) as caught:
                read([verb, method, "model"])
            assert caught.value.code == "unsupported-method"
            continue
        assert {name for flag in known for name in (flag.name, flag.off) if name} | {"--help"} == flags
        needed = [word for flag in known if flag.needed for word in (flag.name, "x")]
        for flag in known:
            for name in (flag.name, flag.off):
                assert not name or verdicts[name] == {"accepted"}
                for spelling in spellings(name) if name else ():
                    rest = needed if not flag.needed else _without(needed, flag.name)
                    value = ["value"] if flag.metavar else []
                    command = read([verb, method, "model", *rest, spelling, *value])
                    assert (command.verb, command.method) == (verb, method)
    only = set().union(
        *(flags for at, flags in helps.items() if len(at) == 2 and METHODS[at[0]][at[1]] is None)
    )
    built = set().union(*(flags for at, flags in helps.items() if len(at) < 2 or METHODS[at[0]][at[1]]))
    assert all(verdicts[flag] == {"refused"} for flag in only - built)


def _without(words, flag):
    place = words.index(flag)
    return words[:place] + words[place + 2 :]
