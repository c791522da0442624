"""A folder of this machine as a source: exact bytes, no link followed, nothing that hangs."""

import contextlib
import os
import socket
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustkit.errors import FormatError, LimitError, SealError, UnavailableError, UsageError
from trustkit.storage.local import LocalSource, open_below

BLOB = bytes(range(256)) * 4


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "root"
    (root / "blobs").mkdir(parents=True)
    (root / "blobs/a").write_bytes(BLOB)
    (root / "empty").write_bytes(b"")
    (root / "doc").write_bytes(b"{}")
    (tmp_path / "secret").write_bytes(b"secret")
    return root


@pytest.fixture
def source(folder):
    local = LocalSource(folder)
    yield local
    local.close()


def read(source, name, start, length):
    into = bytearray(length)
    source.read_range(name, start, memoryview(into))
    return bytes(into)


def test_documents_ranges_and_lengths(source):
    assert source.document("doc", max_bytes=2) == b"{}"
    assert source.document("empty", max_bytes=0) == b""
    assert source.length("blobs/a") == 1024
    assert read(source, "blobs/a", 0, 1024) == BLOB
    assert read(source, "blobs/a", 1000, 24) == BLOB[1000:]
    assert read(source, "blobs/a", 5, 0) == b""


@given(start=st.integers(0, 1100), length=st.integers(0, 1100))
@settings(deadline=None)
def test_a_range_is_exact_or_truncated(tmp_path_factory, start, length):
    folder = tmp_path_factory.getbasetemp() / "ranges"
    folder.mkdir(exist_ok=True)
    (folder / "a").write_bytes(BLOB)
    source = LocalSource(folder)
    try:
        if start + length <= 1024 or not length:
            assert read(source, "a", start, length) == BLOB[start : start + length]
        else:
            with pytest.raises(SealError) as caught:
                read(source, "a", start, length)
            assert caught.value.code == "truncated"
    finally:
        source.close()


def test_a_cap_is_kept(source):
    with pytest.raises(LimitError) as caught:
        source.document("blobs/a", max_bytes=1023)
    assert caught.value.code == "too-large"


@pytest.mark.parametrize("name", ["absent", "blobs/absent", "absent/a", "doc/a", "a" * 200])
@pytest.mark.parametrize("ask", ["document", "read_range", "length"])
def test_what_is_not_there_is_absent(source, name, ask):
    with pytest.raises(UnavailableError) as caught:
        asked(source, ask, name)
    assert caught.value.code == "not-found"


def asked(source, ask, name):
    if ask == "document":
        return source.document(name, max_bytes=100)
    if ask == "length":
        return source.length(name)
    return read(source, name, 0, 1)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../secret", "/etc/passwd", "blobs/../../secret", "a\0b", "a\\b"]
)
def test_unsafe_names_are_refused(source, name):
    with pytest.raises(FormatError) as caught:
        source.document(name, max_bytes=100)
    assert caught.value.code == "unsafe-name"


@pytest.mark.parametrize("ask", ["document", "read_range", "length"])
@pytest.mark.parametrize("kind", ["file", "folder", "dangling", "loop", "absolute"])
def test_no_link_is_followed(source, folder, tmp_path, kind, ask):
    name = "blobs/link"
    if kind == "file":
        (folder / name).symlink_to("../doc")
    elif kind == "folder":
        (folder / "link").symlink_to(tmp_path)
        name = "link/secret"
    elif kind == "dangling":
        (folder / name).symlink_to("nowhere")
    elif kind == "loop":
        (folder / name).symlink_to("link")
    else:
        (folder / name).symlink_to(tmp_path / "secret")
    with pytest.raises(FormatError) as caught:
        asked(source, ask, name)
    assert caught.value.code == "symlink"


@pytest.mark.parametrize("kind", ["folder", "fifo", "device"])
@pytest.mark.parametrize("ask", ["document", "read_range", "length"])
def test_only_regular_files_are_read_and_nothing_hangs(source, folder, kind, ask):
    path = folder / "special"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        try:
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
        except OSError:
            pytest.skip("only root makes devices")
    with pytest.raises(FormatError) as caught:
        asked(source, ask, "special")
    assert caught.value.code == "special-file"


def test_a_socket_cannot_be_opened(source, folder):
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(folder / "socket"))
        with pytest.raises(UnavailableError) as caught:
            source.document("socket", max_bytes=1)
    assert caught.value.code == "unreadable"


def test_a_disk_that_fails_is_unreadable(source, monkeypatch):
    def failing(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", failing)
    with pytest.raises(UnavailableError) as caught:
        read(source, "blobs/a", 0, 1)
    assert caught.value.code == "unreadable"
    monkeypatch.setattr(os, "fdopen", failing)
    with pytest.raises(UnavailableError) as caught:
        source.document("doc", max_bytes=10)
    assert caught.value.code == "unreadable"


def test_short_reads_are_continued(source, monkeypatch):
    real = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, views, at: real(fd, [views[0][:7]], at))
    assert read(source, "blobs/a", 3, 500) == BLOB[3:503]


def test_the_folder_itself_may_be_behind_a_link_and_may_be_moved(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    source = LocalSource(tmp_path / "link")
    folder.rename(tmp_path / "moved")
    assert source.document("doc", max_bytes=2) == b"{}"
    source.close()
    source.close()


@pytest.mark.parametrize("name", ["absent", "secret", "nul\0"])
def test_without_a_folder_it_is_the_caller_s_mistake(folder, tmp_path, name):
    with pytest.raises(UsageError) as caught:
        LocalSource(tmp_path / name)
    assert caught.value.code == "no-such-folder"


def test_a_folder_that_cannot_be_opened_is_unreadable(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UnavailableError) as caught:
        LocalSource(tmp_path / "loop")
    assert caught.value.code == "unreadable"


def test_a_name_that_no_disk_takes_is_unreadable(source):
    with pytest.raises(UnavailableError) as caught:
        source.document("a" * 300, max_bytes=1)
    assert caught.value.code == "unreadable"


def test_no_descriptor_stays_open(source, folder, interrupting, open_in):
    """Not after a success, not after a failure; and an interrupt never closes what is not its own."""
    source.length("doc")
    before = len(open_in(folder))
    LocalSource(folder).close()
    assert len(open_in(folder)) == before
    (folder / "blobs/deep/er").mkdir(parents=True)
    (folder / "blobs/deep/er/a").write_bytes(BLOB)
    for name in ("blobs/a", "blobs/deep/er/a", "blobs/deep/er/absent", "blobs/absent", "doc/x", "blobs"):
        for ask in ("document", "read_range", "length"):
            with contextlib.suppress(UnavailableError, FormatError, LimitError):
                asked(source, ask, name)
    assert len(open_in(folder)) == before

    def work():
        os.close(open_below(source._folder, "blobs/a"))

    for _ in interrupting(work, "storage/local.py"):
        assert source.length("doc") == 2
