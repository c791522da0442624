"""The command line as a user and as a program meet it: in this process, and as a process of its own."""

import json
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from trustkit import workflows
from trustkit.cli.main import main
from trustkit.sealing.hpke import generate_opener, recipient_from_pem
from trustkit.sealing.jwe import parse_jwe_key
from trustkit.signing.key import generate_key, load_signer
from trustkit.verifying.policy import policy_from_keys

ROOT = Path(__file__).parents[3]
LOOKS = frozenset(("NO_COLOR", "COLUMNS", "TERM", "PYTHONUNBUFFERED"))
PASSPHRASE = b"correct horse"


@dataclass(frozen=True)
class Ran:
    """How a run ended: exit status, stdout and stderr as text."""

    status: int
    out: str
    err: str

    @property
    def document(self):
        """The one JSON document on stdout; anything beside it is an error."""

        def unique(pairs):
            assert len({key for key, _ in pairs}) == len(pairs)
            return dict(pairs)

        found = json.loads(self.out, object_pairs_hook=unique)
        assert set(found) >= {"ok", "code", "message", "evidence"}
        assert isinstance(found["ok"], bool)
        assert isinstance(found["evidence"], dict)
        assert "\n" not in found["message"]
        assert found["ok"] == (found["code"] == "") == (self.status == 0)
        return found

    @property
    def code(self):
        """The code at the end of the last line on stderr."""
        [*_, last] = self.err.splitlines()
        assert last.endswith("]"), self.err
        return last.rsplit("[", 1)[1].rstrip("]")


@pytest.fixture
def cli(capsys):
    """Run ``main`` here, with an environment of its own."""

    def run(*words, environ=None):
        capsys.readouterr()
        status = main([str(word) for word in words], environ or {})
        out, err = capsys.readouterr()
        assert "Traceback" not in err or "--debug" in words, err
        return Ran(status, out, err)

    return run


@pytest.fixture(scope="session")
def program():
    """Run the real program; words may be bytes, keywords go to `subprocess.run`."""

    def run(*words, environ=None, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        done = subprocess.run(
            [sys.executable, "-m", "trustkit", *words],
            env={**surroundings(), **(environ or {})},
            check=False,
            timeout=60,
            **options,
        )
        out = (done.stdout or b"").decode("utf-8", "strict" if "--json" in words else "backslashreplace")
        err = (done.stderr or b"").decode("utf-8", "backslashreplace")
        assert "Traceback" not in err or "--debug" in words, err
        return Ran(done.returncode, out, err)

    return run


def surroundings():
    """Return the environment without what would change how we look."""
    kept = {name: value for name, value in os.environ.items() if name not in LOOKS}
    return {**kept, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="session")
def environment():
    """The environment that `program` gives, for tests that start processes themselves."""
    return surroundings()


class World:
    """Keys, a signed model and a sealed one, in a folder that tests only read."""

    def __init__(self, folder):
        self.folder = folder
        self.passphrase = folder / "passphrase"
        self.passphrase.write_bytes(PASSPHRASE + b"\n")
        self.guess = folder / "guess"
        self.guess.write_bytes(b"incorrect horse\n")
        self.author = self._key("author.pem", *generate_key("p256", passphrase=None))
        self.locked = self._key("locked.pem", *generate_key("p384", passphrase=PASSPHRASE))
        self.publisher = self._key("publisher.pem", *generate_key("p256", passphrase=None))
        self.stranger = self._key("stranger.pem", *generate_key("p521", passphrase=None))
        self.opener = self._key("opener.pem", *generate_opener("x25519", passphrase=None))
        self.locked_opener = self._key("locked-opener.pem", *generate_opener("x25519", passphrase=PASSPHRASE))
        self.another = self._key("another.pem", *generate_opener("p256", passphrase=None))
        self.model = folder / "model"
        (self.model / "nested").mkdir(parents=True)
        (self.model / "weights.bin").write_bytes(bytes(range(256)) * 64)
        (self.model / "config.json").write_text("{}")
        (self.model / "nested/tokenizer.json").write_text("[]")
        workflows.sign(self.model, load_signer(self.author, passphrase=None))
        self.sealed = folder / "sealed"
        workflows.seal(
            self.model,
            load_signer(self.publisher, passphrase=None),
            output=self.sealed,
            line="acme/tiny",
            version=3,
            recipients=[
                recipient_from_pem(self.public(key).read_bytes()) for key in (self.opener, self.locked_opener)
            ],
            policy=policy_from_keys(self.public(self.author).read_bytes()),
        )
        self.shared = folder / "shared.jwk"
        self.shared.write_text(json.dumps({"kty": "oct", "k": "A" * 43}))
        self.for_kserve = folder / "for-kserve"
        workflows.seal_for_kserve(
            self.model,
            parse_jwe_key(self.shared.read_bytes()),
            policy_from_keys(self.public(self.author).read_bytes()),
            output=self.for_kserve,
        )
        self.policy = folder / "policy.yaml"
        self.policy.write_text(
            policy_text(("author.pem.pub", "[author]"), ("publisher.pem.pub", "[publisher]"))
        )

    def _key(self, name, private, public):
        path = self.folder / name
        path.write_bytes(private)
        path.chmod(0o600)
        (self.folder / f"{name}.pub").write_bytes(public)
        return path

    def public(self, key):
        """Return the path of a key's public half."""
        return key.with_name(f"{key.name}.pub")


def policy_text(*authorities):
    """Write a policy of (key file, roles)."""
    entries = "".join(
        f"    - name: {file.split('.')[0]}\n      roles: {roles}\n      key: {{file: {file}}}\n"
        for file, roles in authorities
    )
    head = "apiVersion: trustkit.dev/v1alpha1\nkind: VerificationPolicy\nmetadata: {name: ours}\n"
    return f"{head}spec:\n  threshold: 1\n  lines: [acme/tiny]\n  authorities:\n{entries}"


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture
def model(world, tmp_path):
    """A signed model of the test's own."""
    return shutil.copytree(world.model, tmp_path / "model")


@pytest.fixture
def sealed(world, tmp_path):
    """A sealed folder of the test's own, for two recipients."""
    return shutil.copytree(world.sealed, tmp_path / "sealed")


def sealing(world, path, output):
    return (
        *("seal", path, "--key", world.publisher, "--author-key", world.public(world.author)),
        *("--recipient", world.public(world.opener), "--line", "acme/tiny", "--version", "3"),
        *("--output", output),
    )


@pytest.fixture(scope="session")
def seal_words():
    """The words that seal a model: (world, path, output)."""
    return sealing


@pytest.fixture(scope="session")
def snapshot():
    """Map every entry below a folder to what it is, to see that nothing changed."""

    def take(folder):
        found, folders = {}, [folder]
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    mode = entry.stat(follow_symlinks=False).st_mode
                    raw = link = None
                    if stat.S_ISDIR(mode):
                        folders.append(entry.path)
                    elif stat.S_ISREG(mode):
                        raw = Path(entry.path).read_bytes()
                    elif stat.S_ISLNK(mode):
                        link = Path(entry.path).readlink()
                    found[entry.path] = (mode, raw, link)
        return found

    return take
