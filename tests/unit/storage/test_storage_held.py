"""A folder that one run at a time may change, and files that leave nothing behind."""

import errno
import fcntl
import os

import pytest

from trustkit.errors import UnavailableError, UsageError
from trustkit.storage.held import destroy, hold, write_held


def test_one_run_at_a_time(tmp_path):
    with hold(tmp_path), pytest.raises(UnavailableError) as caught, hold(tmp_path):
        pass
    assert caught.value.code == "folder-held"
    with hold(tmp_path) as descriptor:
        assert os.fstat(descriptor).st_ino == tmp_path.stat().st_ino


def test_who_waits_gets_the_folder_when_the_other_is_done(tmp_path):
    other, waited = hold(tmp_path), []
    other.__enter__()

    def pause(seconds):
        waited.append(seconds)
        if len(waited) == 3:
            other.__exit__(None, None, None)

    with hold(tmp_path, pause=pause):
        assert len(waited) == 3


def test_nobody_waits_for_ever(tmp_path):
    waited = []
    with hold(tmp_path), pytest.raises(UnavailableError) as caught:
        write_held(tmp_path / "a", b"new", overwrite=True, pause=waited.append)
    assert (caught.value.code, sum(waited)) == ("folder-held", pytest.approx(10))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [None, 0o600, 0o666])
def test_a_file_is_written_while_its_folder_is_held(tmp_path, mode):
    (tmp_path / "a").write_bytes(b"old")

    def check():
        with pytest.raises(UnavailableError) as caught, hold(tmp_path):
            pass
        assert caught.value.code == "folder-held"

    write_held(tmp_path / "a", b"new", overwrite=True, pause=pytest.fail, mode=mode, check=check)
    assert (tmp_path / "a").read_bytes() == b"new"
    if mode is not None:
        assert (tmp_path / "a").stat().st_mode & 0o777 == mode
    with hold(tmp_path):
        pass


def test_without_locks_nobody_is_kept_out(tmp_path, monkeypatch):
    def none(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with hold(tmp_path), hold(tmp_path):
        pass


@pytest.mark.parametrize("place", ["absent", "file", "file/below", "nul\0"])
def test_what_is_no_folder(tmp_path, place):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError) as caught, hold(tmp_path / place):
        pass
    assert caught.value.code == "no-such-folder"


def test_what_cannot_be_read(tmp_path, monkeypatch):
    def no(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", no)
    with pytest.raises(UnavailableError) as caught, hold(tmp_path):
        pass
    assert caught.value.code == "unreadable"


@pytest.mark.parametrize("size", [0, 1, 1 << 16, (1 << 16) + 1, 300_000])
@pytest.mark.parametrize("mode", [0o644, 0o400])
def test_what_is_destroyed_is_overwritten_first(tmp_path, size, mode):
    target, kept = tmp_path / "secret", tmp_path / "elsewhere"
    target.write_bytes(b"s" * size)
    target.chmod(mode)
    os.link(target, kept)
    with hold(tmp_path) as folder:
        destroy(folder, "secret", path=target)
    assert not target.exists()
    assert kept.read_bytes() == bytes(size)


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "victim").write_bytes(b"mine")
    (tmp_path / "secret").symlink_to("victim")
    with hold(tmp_path) as folder, pytest.raises(UnavailableError) as caught:
        destroy(folder, "secret", path=tmp_path / "secret")
    assert caught.value.code == "unwritable"
    assert (tmp_path / "victim").read_bytes() == b"mine"


@pytest.mark.parametrize("call", ["fchmod", "fsync", "unlink", "write"])
def test_any_call_may_fail_and_no_descriptor_stays_open(tmp_path, monkeypatch, open_in, call):
    (tmp_path / "secret").write_bytes(b"s")

    def fails(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    with hold(tmp_path) as folder:
        before = open_in(tmp_path)
        with monkeypatch.context() as patched:
            patched.setattr(os, call, fails)
            with pytest.raises(UnavailableError) as caught:
                destroy(folder, "secret", path=tmp_path / "secret")
        assert caught.value.code == "unwritable"
        assert open_in(tmp_path) == before
    assert (tmp_path / "secret").exists()
