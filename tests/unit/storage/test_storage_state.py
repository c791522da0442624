"""The folder of what this machine remembers: its user's alone, and one key in it."""

import os
import stat
from contextlib import contextmanager

import pytest

from trustkit.errors import UnavailableError, UsageError
from trustkit.storage import state
from trustkit.storage.state import KEY, machine_key, open_state


@pytest.fixture
def refused():
    @contextmanager
    def expecting(kind, code):
        with pytest.raises(kind) as caught:
            yield caught
        assert caught.value.code == code

    return expecting


def entropy(byte=b"k"):
    return lambda size: byte * size


def test_the_folder_is_made_for_its_user_alone(tmp_path):
    folder = open_state(tmp_path / "deep" / "state")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert open_state(folder) == folder


def test_the_key_is_made_once_and_kept(tmp_path):
    folder = open_state(tmp_path / "state")
    assert machine_key(folder, entropy(), size=32) == b"k" * 32
    assert machine_key(folder, entropy(b"x"), size=32) == b"k" * 32
    assert stat.S_IMODE((folder / KEY).stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o740, 0o704, 0o720, 0o702, 0o777])
def test_a_folder_that_is_open_to_others(mode, tmp_path, refused):
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(mode)
    with refused(UsageError, "state-not-private"):
        open_state(tmp_path / "state")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_key_that_is_open_to_others(mode, tmp_path, refused):
    folder = open_state(tmp_path / "state")
    machine_key(folder, entropy(), size=32)
    (folder / KEY).chmod(mode)
    with refused(UsageError, "state-not-private"):
        machine_key(folder, entropy(), size=32)


def test_a_folder_of_somebody_else(tmp_path, refused, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345678)
    with refused(UsageError, "state-not-private"):
        open_state(tmp_path / "state")


@pytest.mark.parametrize("raw", [b"", b"k" * 31, b"k" * 33])
def test_a_key_of_another_length(raw, tmp_path, refused):
    folder = open_state(tmp_path / "state")
    (folder / KEY).write_bytes(raw)
    (folder / KEY).chmod(0o600)
    with refused(UsageError, "bad-state"):
        machine_key(folder, entropy(), size=32)


@pytest.mark.parametrize("name", ["file", "file/below", "a\0b"])
def test_a_folder_that_cannot_be_made(name, tmp_path, refused):
    (tmp_path / "file").write_bytes(b"")
    with refused(UnavailableError, "unwritable"):
        open_state(tmp_path / name)


def test_another_process_that_was_quicker(tmp_path, monkeypatch):
    """It made the key between our look and our writing: its key is the one."""
    folder = open_state(tmp_path / "state")

    def quicker(size):
        (folder / KEY).write_bytes(b"q" * size)
        (folder / KEY).chmod(0o600)
        return b"k" * size

    assert machine_key(folder, quicker, size=32) == b"q" * 32


def test_a_folder_that_vanished_meanwhile(tmp_path, refused):
    with refused(UsageError, "no-such-folder"):
        machine_key(tmp_path / "gone", entropy(), size=32)


def test_a_key_that_vanished_meanwhile(tmp_path, refused, monkeypatch):
    folder = open_state(tmp_path / "state")
    monkeypatch.setattr(state, "write_new", lambda *_, **__: None)
    with refused(UsageError, "state-not-private"):
        machine_key(folder, entropy(), size=32)
