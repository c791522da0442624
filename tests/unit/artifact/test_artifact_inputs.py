"""Named inputs: regular files within a cap, whatever lies at the path."""

import io
import os
import socket
from pathlib import Path

import pytest

from trustkit.artifact.inputs import (
    decoded,
    inside,
    is_file,
    is_folder,
    of_file,
    read_input,
    same_file,
    status_of,
)
from trustkit.errors import FormatError, LimitError, UnavailableError, UsageError


def read(path, max_bytes=100):
    return read_input(path, max_bytes=max_bytes, what="bundle")


def test_a_file_is_read_whole(tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 100)
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to("f")
    assert read(tmp_path / "f") == b"x" * 100
    assert read(tmp_path / "empty") == b""
    assert read(tmp_path / "link") == b"x" * 100  # the caller named it


def test_the_cap_is_exact(tmp_path, refused):
    (tmp_path / "f").write_bytes(b"x" * 101)
    with refused(LimitError, "too-large"):
        read(tmp_path / "f")


def test_the_cap_is_on_what_is_read_and_not_on_what_the_system_says(refused):
    """Files of /proc say that they are empty."""
    assert read_input(Path("/proc/version"), max_bytes=1 << 16, what="bundle").startswith(b"Linux")
    with refused(LimitError, "too-large"):
        read(Path("/proc/version"), max_bytes=3)


def test_a_sparse_giant_costs_nothing(tmp_path, refused):
    with (tmp_path / "giant").open("wb") as file:
        file.truncate(1 << 40)
    with refused(LimitError, "too-large"):
        read(tmp_path / "giant")


@pytest.mark.parametrize("name", ["absent", "absent/x", "f/x", "dangling", "loop", "n" * 256, "a\0b"])
def test_paths_that_lead_to_nothing(name, tmp_path, refused):
    (tmp_path / "f").touch()
    (tmp_path / "dangling").symlink_to("gone")
    (tmp_path / "loop").symlink_to("loop")
    with refused(UsageError, "no-such-file"):
        read(tmp_path / name)


def test_what_is_no_regular_file(tmp_path, refused, descriptors):
    os.mkfifo(tmp_path / "fifo")
    before = descriptors()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for path in (tmp_path / "fifo", tmp_path / "socket", tmp_path, Path("/dev/zero"), Path("/dev/null")):
            with refused(UsageError, "special-file"):
                read(path)
    assert descriptors() == before


def test_what_may_not_be_read(public, as_nobody, refused):
    (public / "f").touch(mode=0)
    (public / "folder").mkdir(mode=0)
    with as_nobody():
        for path in (public / "f", public / "folder" / "x"):
            with refused(UnavailableError, "unreadable"):
                read(path)
        with refused(UnavailableError, "unreadable"):
            status_of(public / "folder" / "x")


def test_a_disk_that_fails_while_reading(refused):
    with refused(UnavailableError, "unreadable"):
        read(Path("/proc/self/mem"))  # a regular file whose first page is never there


def test_what_lies_at_a_path(tmp_path):
    (tmp_path / "f").touch()
    (tmp_path / "link").symlink_to("f")
    (tmp_path / "loop").symlink_to("loop")
    os.link(tmp_path / "f", tmp_path / "hard")
    (tmp_path / "g").touch()
    assert is_file(tmp_path / "link")
    assert not is_file(tmp_path)
    assert is_folder(tmp_path)
    assert not is_folder(tmp_path / "f")
    for name in ("absent", "loop", "n" * 256, "f/x", "a\0b"):
        assert status_of(tmp_path / name) is None
        assert not is_file(tmp_path / name)
        assert not is_folder(tmp_path / name)
        assert not same_file(tmp_path / name, tmp_path / name)
    assert same_file(tmp_path / "f", tmp_path / "link")
    assert same_file(tmp_path / "hard", tmp_path / "link")
    assert not same_file(tmp_path / "f", tmp_path / "g")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("model/a", "a"),
        ("model/sub/a", "sub/a"),
        ("model/./sub/../a", "a"),
        ("model/absent/x", "absent/x"),
        ("model/sub/..", None),  # the folder itself
        ("model/sub/.", "sub"),
        ("model", None),
        ("model/../model", None),
        ("modelx/a", None),
        ("a", None),
        ("model/../a", None),
        ("alias/a", "a"),
        ("model/out", "out"),  # a link out is itself inside
        ("model/out/x", None),
        ("in/a", "sub/a"),  # a link in leads inside
    ],
)
def test_inside(path, name, tmp_path):
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "alias").symlink_to("model")
    (tmp_path / "model" / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in").symlink_to("model/sub")
    assert inside(tmp_path / path, tmp_path / "model") == name
    assert inside(tmp_path / path, tmp_path / "alias") == name


def test_everything_is_inside_the_root(tmp_path):
    assert inside(tmp_path / "a", Path("/")) == str(tmp_path / "a")[1:]
    assert inside(Path("/"), Path("/")) is None


def test_inside_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = Path()
    assert inside(tmp_path / "a", here) == "a"
    assert inside(Path("a"), tmp_path) == "a"
    assert inside(here, tmp_path) is None


def test_names_are_utf_8_or_visibly_not():
    assert decoded(os.fsdecode("é".encode())) == "é"
    assert decoded(os.fsdecode(b"\xff")) == "\udcff"


def test_a_refusal_begins_with_the_file_that_it_is_about():
    with pytest.raises(FormatError) as caught, of_file(Path("a.yaml")):
        raise FormatError("bad-table", "a row is there already", row="x")
    assert (caught.value.code, caught.value.message) == ("bad-table", "'a.yaml': a row is there already")
    assert caught.value.evidence == {"file": "a.yaml", "row": "x"}


def test_a_refusal_that_names_the_file_or_is_about_something_else_stays_as_it_is():
    for error in (
        UsageError("no-such-file", "there is no table at 'a.yaml'"),
        UsageError("bad-key", "no key"),
    ):
        with (
            pytest.raises(UsageError) as caught,
            of_file(Path("a.yaml"), codes=("bad-table", "no-such-file")),
        ):
            raise error
        assert caught.value is error


def test_a_file_that_the_kernel_has_nothing_for_yet_is_special(tmp_path, monkeypatch):
    """As ``/proc/kmsg`` is: a regular file by its mode, from which nothing can be read without waiting."""
    path = tmp_path / "file"
    path.write_bytes(b"x")

    class Empty(io.BytesIO):
        def read(self, _size=-1):
            return None

    def opened(descriptor, _mode):
        os.close(descriptor)
        return Empty()

    monkeypatch.setattr(os, "fdopen", opened)
    with pytest.raises(UsageError) as caught:
        read_input(path, max_bytes=10, what="bundle")
    assert caught.value.code == "special-file"
