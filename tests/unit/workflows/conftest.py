"""A small model, an author's key outside of it, and a policy that believes that key."""

from contextlib import contextmanager

import pytest

from trustkit import workflows
from trustkit.signing.key import generate_key, load_signer
from trustkit.verifying.policy import policy_from_keys

FILES = {
    "config.json": b'{"model_type": "tiny"}',
    "model.safetensors": bytes(range(256)) * 40,
    "tokenizer/vocab.txt": b"a\nb\n",
    "tokenizer/empty.txt": b"",
}


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """Files of an author and of a stranger, made once."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("author", "stranger"):
        private, public = generate_key("p256", passphrase=None)
        (folder / f"{name}.pem").write_bytes(private)
        (folder / f"{name}.pub").write_bytes(public)
    return folder


@pytest.fixture(scope="session")
def signer(keys):
    return load_signer(keys / "author.pem", passphrase=None)


@pytest.fixture(scope="session")
def stranger(keys):
    return load_signer(keys / "stranger.pem", passphrase=None)


@pytest.fixture(scope="session")
def policy(keys):
    return policy_from_keys((keys / "author.pub").read_bytes())


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def signed(model, signer):
    """The model, with the bundle in its usual place."""
    workflows.sign(model, signer)
    return model


@pytest.fixture
def refused():
    """Expect a refusal of exactly this class and code."""

    @contextmanager
    def expect(kind, code):
        with pytest.raises(kind) as caught:
            yield caught
        assert type(caught.value) is kind
        assert caught.value.code == code

    return expect


@pytest.fixture
def picture():
    """Everything below a folder: names, kinds and bytes, to see that a failure left nothing."""

    def take(folder):
        found = {}
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_symlink():
                found[name] = path.readlink()
            else:
                found[name] = path.read_bytes() if path.is_file() else None
        return found

    return take
