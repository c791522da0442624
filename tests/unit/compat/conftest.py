"""What a user of the reference has on disk: a model, a single file, keys; and the two ways to call us."""

import logging
from contextlib import contextmanager

import pytest

from trustkit.compat.model_signing.main import main
from trustkit.errors import TrustkitError
from trustkit.signing.key import generate_key


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current folder."""
    for name, content in {
        "model/a/b": b"1",
        "model/a-b": b"2",
        "model/a.b": b"3" * 25,
        "model/notes/README.md": b"read me",
        "model.bin": b"x" * 25,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    for name, passphrase in (("key", None), ("other", None), ("locked", b"secret")):
        private, public = generate_key("p256", passphrase=passphrase)
        (tmp_path / name).write_bytes(private)
        (tmp_path / f"{name}.pub").write_bytes(public)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused():
    """Expect an error that is one of ours, with this code, and one that users of the reference catch."""

    @contextmanager
    def expect(code, kind=ValueError):
        with pytest.raises(kind) as caught:
            yield caught
        assert isinstance(caught.value, TrustkitError)
        assert isinstance(caught.value, ValueError)
        assert caught.value.code == code

    return expect


@pytest.fixture
def cli(capsys, monkeypatch):
    """Run the command line here: exit status, stdout, stderr; the log is set up anew each time."""
    monkeypatch.setattr(logging.root, "handlers", [])

    def run(*words):
        logging.root.handlers[:] = []
        status = main([str(word) for word in words])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run
