"""One file, whole or not at all: by each of the ways there are, at every failure, at every interrupt."""

import errno
import fcntl
import itertools
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from trustkit.errors import UnavailableError, UsageError, VerificationError
from trustkit.storage import atomic
from trustkit.storage.atomic import sweep
from trustkit.storage.local import write_new

LOCAL = ("storage/local.py", "storage/atomic.py")
LINK = os.link
ROOT = os.geteuid() == 0


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def without_unnamed_files(patch):
    """The file system knows no O_TMPFILE, as NFS or older overlays."""
    real = os.open

    def opened(path, flags, *rest, **named):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return real(path, flags, *rest, **named)

    patch.setattr(os, "open", opened)


def without_hard_links(patch):
    """The file system knows no hard links, as FAT or many network shares."""

    def linked(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    patch.setattr(os, "link", linked)


def without_proc(patch):
    """Files without a name can be written but not named."""
    real = os.link

    def linked(source, *rest, **named):
        if str(source).startswith("/proc/"):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        return real(source, *rest, **named)

    patch.setattr(os, "link", linked)


def without_either(patch):
    without_unnamed_files(patch)
    without_hard_links(patch)


WAYS = {
    "as it is": lambda patch: None,
    "no unnamed files": without_unnamed_files,
    "no /proc": without_proc,
    "no hard links": without_hard_links,
    "neither": without_either,
}


@pytest.fixture(params=WAYS.values(), ids=WAYS.keys())
def way(request, monkeypatch):
    request.param(monkeypatch)


def entries(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_it_is_written(way, tmp_path):
    write_new(tmp_path / "model.sig", b"content")
    assert entries(tmp_path) == {"model.sig": b"content"}


def test_nothing_is_a_content_too(way, tmp_path):
    write_new(tmp_path / "model.sig", b"")
    assert entries(tmp_path) == {"model.sig": b""}


def test_what_exists_stays(way, tmp_path):
    (tmp_path / "model.sig").write_bytes(b"old")
    with pytest.raises(UsageError) as caught:
        write_new(tmp_path / "model.sig", b"new")
    assert caught.value.code == "output-exists"
    assert entries(tmp_path) == {"model.sig": b"old"}


def test_what_exists_is_replaced_where_that_is_allowed(way, tmp_path):
    (tmp_path / "model.sig").write_bytes(b"old and longer")
    write_new(tmp_path / "model.sig", b"new", overwrite=True)
    write_new(tmp_path / "other.sig", b"new", overwrite=True)
    assert entries(tmp_path) == {"model.sig": b"new", "other.sig": b"new"}


def test_what_may_not_be_replaced_after_all_stays(way, tmp_path):
    (tmp_path / "model.sig").write_bytes(b"old")

    def check():
        contents = list(entries(tmp_path).values())
        assert sorted(contents) == [b"new", b"old"]  # the last moment: all is written, under another name
        raise VerificationError("file-changed", "somebody else was here")

    with pytest.raises(VerificationError) as caught:
        write_new(tmp_path / "model.sig", b"new", overwrite=True, check=check)
    assert caught.value.code == "file-changed"
    assert entries(tmp_path) == {"model.sig": b"old"}


@pytest.mark.parametrize("mode", [0o600, 0o666, 0o440])
def test_permissions_are_taken_as_they_are_where_that_is_asked(way, tmp_path, mode):
    (tmp_path / "model.sig").write_bytes(b"old")
    before = os.umask(0o027)
    try:
        for exact, expected in ((True, mode), (False, mode & ~0o027)):
            write_new(tmp_path / "model.sig", b"new", overwrite=True, mode=mode, exact=exact)
            assert stat.S_IMODE((tmp_path / "model.sig").stat().st_mode) == expected
    finally:
        os.umask(before)


@pytest.mark.parametrize("lead", ["dangling", "to a file", "to a folder", "to itself"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_link_is_never_followed(way, tmp_path, lead, overwrite):
    folder = tmp_path / "out"
    folder.mkdir()
    victim = tmp_path / "victim"
    if lead == "to a file":
        victim.write_bytes(b"precious")
    if lead == "to a folder":
        victim.mkdir()
    (folder / "model.sig").symlink_to(folder / "model.sig" if lead == "to itself" else victim)
    if overwrite:
        write_new(folder / "model.sig", b"new", overwrite=True)
        assert not (folder / "model.sig").is_symlink()
        assert entries(folder) == {"model.sig": b"new"}
    else:
        with pytest.raises(UsageError) as caught:
            write_new(folder / "model.sig", b"new")
        assert caught.value.code == "output-exists"
        assert names(folder) == ["model.sig"]
    assert not victim.is_file() or victim.read_bytes() == b"precious"
    assert not victim.is_dir() or not names(victim)


def test_other_names_of_an_old_file_keep_the_old_content(way, tmp_path):
    (tmp_path / "model.sig").write_bytes(b"old")
    LINK(tmp_path / "model.sig", tmp_path / "copy")
    write_new(tmp_path / "model.sig", b"new", overwrite=True)
    assert (tmp_path / "copy").read_bytes() == b"old"


@pytest.mark.parametrize("kind", ["folder", "fifo", "socket"])
def test_only_files_are_replaced(way, tmp_path, kind):
    target = tmp_path / "model.sig"
    if kind == "folder":
        target.mkdir()
    elif kind == "fifo":
        os.mkfifo(target)
    else:
        os.mknod(target, stat.S_IFSOCK | 0o600)
    before = target.lstat().st_ino
    with pytest.raises(UsageError) as caught:
        write_new(target, b"new", overwrite=True)
    assert caught.value.code == "not-replaceable"
    with pytest.raises(UsageError) as caught:
        write_new(target, b"new")
    assert caught.value.code == "output-exists"
    assert target.lstat().st_ino == before
    assert names(tmp_path) == ["model.sig"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o444])
def test_the_mode_is_what_was_asked_less_the_umask(way, tmp_path, mode):
    before = os.umask(0o027)
    try:
        write_new(tmp_path / "key", b"secret", mode=mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == mode & ~0o027


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_disk_that_is_full_keeps_the_old_and_leaves_nothing(way, tmp_path, full_disk, overwrite):
    if overwrite:
        (tmp_path / "model.sig").write_bytes(b"old")
    with full_disk(1000), pytest.raises(UnavailableError) as caught:
        write_new(tmp_path / "model.sig", bytes(5000), overwrite=overwrite)
    assert caught.value.code == "unwritable"
    assert entries(tmp_path) == ({"model.sig": b"old"} if overwrite else {})


def test_a_sync_that_fails_is_a_failure(way, tmp_path, monkeypatch):
    def synced(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", synced)
    with pytest.raises(UnavailableError) as caught:
        write_new(tmp_path / "model.sig", b"content")
    assert caught.value.code == "unwritable"
    assert entries(tmp_path) == {}


def test_a_folder_that_cannot_be_synced_is_no_failure(way, tmp_path, monkeypatch):
    real = os.fsync

    def synced(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    write_new(tmp_path / "model.sig", b"content")
    assert entries(tmp_path) == {"model.sig": b"content"}


def test_short_writes_are_continued(way, tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: real(descriptor, content[:7]))
    write_new(tmp_path / "model.sig", bytes(range(100)))
    assert entries(tmp_path) == {"model.sig": bytes(range(100))}


@pytest.mark.skipif(ROOT, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_unavailable(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UnavailableError) as caught:
        write_new(tmp_path / "model.sig", b"content")
    assert caught.value.code == "unwritable"


@pytest.mark.parametrize("where", ["/proc/model.sig", "/proc/self/fdinfo/model.sig"])
def test_a_file_system_that_cannot_be_written_is_unavailable(where):
    with pytest.raises(UnavailableError) as caught:
        write_new(Path(where), b"content")
    assert caught.value.code == "unwritable"


@pytest.mark.parametrize(
    "name", ["absent/model.sig", "file/model.sig", "nul\0folder/model.sig", "loop/model.sig"]
)
def test_without_its_folder_it_is_the_caller_s_mistake(tmp_path, name):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises((UsageError, UnavailableError)) as caught:
        write_new(tmp_path / name, b"content")
    assert caught.value.code == ("unwritable" if name.startswith("loop") else "no-such-folder")


@pytest.mark.parametrize("name", ["a" * 256, "nul\0name"])
def test_a_name_that_no_disk_takes_is_unwritable(way, tmp_path, name):
    for overwrite in (False, True):
        with pytest.raises(UnavailableError) as caught:
            write_new(tmp_path / name, b"content", overwrite=overwrite)
        assert caught.value.code == "unwritable"
    assert entries(tmp_path) == {}


@pytest.mark.parametrize("path", ["/", ".", "..", "/tmp/.."])
def test_a_folder_is_in_the_way_of_a_file(path):
    with pytest.raises((UsageError, UnavailableError)):
        write_new(Path(path), b"content")


def test_a_longest_name_is_no_trouble(way, tmp_path):
    write_new(tmp_path / ("a" * 255), b"content", overwrite=True)
    assert entries(tmp_path) == {"a" * 255: b"content"}


def test_of_many_writers_one_wins_and_the_others_are_told(way, tmp_path):
    start, outcomes = threading.Barrier(8), []

    def write(number):
        start.wait()
        try:
            write_new(tmp_path / "model.sig", b"%d" % number * 10_000)
        except UsageError as error:
            outcomes.append(error.code)
        else:
            outcomes.append(number)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    [winner] = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert outcomes.count("output-exists") == 7
    assert entries(tmp_path) == {"model.sig": b"%d" % winner * 10_000}


def test_a_reader_sees_the_old_or_the_new_and_never_half(way, tmp_path):
    target = tmp_path / "model.sig"
    contents = [b"a" * 300_000, b"b" * 300_000]
    target.write_bytes(contents[0])
    done, seen = threading.Event(), set()

    def read():
        while not done.is_set():
            seen.add(target.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(30):
        write_new(target, contents[turn % 2], overwrite=True)
    done.set()
    reader.join()
    assert seen <= set(contents)


def test_names_that_a_killed_process_left_are_neither_used_nor_removed(tmp_path, monkeypatch):
    without_unnamed_files(monkeypatch)
    monkeypatch.setattr(atomic, "_COUNT", itertools.count())
    left = tmp_path / f".trustkit-{os.getpid()}-{threading.get_native_id()}-0.part"
    left.write_bytes(b"left")
    write_new(tmp_path / "model.sig", b"content")
    assert entries(tmp_path) == {left.name: b"left", "model.sig": b"content"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_interrupt_at_any_line_leaves_the_old_or_the_new_and_nothing_else(
    way, tmp_path, interrupting, overwrite
):
    target = tmp_path / "model.sig"

    def work():
        write_new(target, b"new", overwrite=overwrite)

    if overwrite:
        target.write_bytes(b"old")
    turns = 0
    for turn in interrupting(work, *LOCAL):
        turns = turn
        found = entries(tmp_path)
        assert found in (
            [{"model.sig": b"old"}, {"model.sig": b"new"}] if overwrite else [{}, {"model.sig": b"new"}]
        )
        target.unlink(missing_ok=True)
        if overwrite:
            target.write_bytes(b"old")
    assert turns > 10


@pytest.mark.parametrize("old", [b"", b"old"])
def test_an_interrupt_at_any_line_never_takes_away_what_exists(way, tmp_path, interrupting, old):
    """Not even an empty file, which looks like a claim of ours."""
    target = tmp_path / "model.sig"
    target.write_bytes(old)
    before = target.stat().st_ino

    def work():
        with pytest.raises(UsageError):
            write_new(target, b"new")

    for _ in interrupting(work, *LOCAL):
        assert entries(tmp_path) == {"model.sig": old}
        assert target.stat().st_ino == before


# -- what a killed process leaves ------------------------------------------------------------------------


def killed(program, folder):
    """Run a program in a process of its own, which ends as if killed."""
    head = "import os, sys\nfrom pathlib import Path\nfrom trustkit.storage import atomic\n"
    head += "from trustkit.storage.local import write_new\ntarget = Path(sys.argv[1]) / 'model.sig'\n"
    ran = subprocess.run([sys.executable, "-c", head + program, folder], check=False, capture_output=True)
    assert ran.returncode == 9, ran.stderr


KILLED_AT_RENAME = "os.rename = lambda *a, **k: os._exit(9)\nwrite_new(target, b'new', overwrite=True)"
NO_UNNAMED = """
really = os.open
def opened(path, flags, *a, **k):
    if flags & os.O_TMPFILE == os.O_TMPFILE:
        raise OSError(95, "no")
    return really(path, flags, *a, **k)
os.open = opened
"""
KILLED_WHILE_WRITING = NO_UNNAMED + "os.fsync = lambda *a: os._exit(9)\nwrite_new(target, b'new')"


@pytest.mark.parametrize("program", [KILLED_AT_RENAME, KILLED_WHILE_WRITING])
def test_what_a_killed_process_left_is_swept_up_and_nothing_else(program, tmp_path):
    old = {
        "model.sig": b"old",
        ".trustkit-1.part": b"a model file of that name",
        "x.part": b"",
        ".trustkit-.part": b"",
    }
    for name, raw in old.items():
        (tmp_path / name).write_bytes(raw)
    (tmp_path / ".trustkit-2.part").mkdir()
    os.mkfifo(tmp_path / ".trustkit-3.part")
    (tmp_path / ".trustkit-4.part").symlink_to("model.sig")
    before = set(names(tmp_path))
    killed(program, tmp_path)
    [left] = set(names(tmp_path)) - before
    assert left == f".trustkit-{(tmp_path / left).stat().st_ino}.part"
    assert (tmp_path / "model.sig").read_bytes() == b"old"
    assert sweep(tmp_path) == 1
    assert set(names(tmp_path)) == before
    assert sweep(tmp_path) == 0


def test_what_a_live_process_is_writing_is_not_swept_up(way, tmp_path, monkeypatch):
    swept = []
    really = os.fsync

    def synced(descriptor):
        swept.append(sweep(tmp_path))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    (tmp_path / "model.sig").write_bytes(b"old")
    write_new(tmp_path / "model.sig", b"new", overwrite=True)
    assert set(swept) == {0}
    assert entries(tmp_path) == {"model.sig": b"new"}


def test_without_locks_nothing_is_swept_up(tmp_path, monkeypatch):
    killed(KILLED_AT_RENAME, tmp_path)

    def locked(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", locked)
    assert sweep(tmp_path) == 0
    write_new(tmp_path / "other", b"x", overwrite=True)
    assert len(names(tmp_path)) == 2


def test_a_folder_that_is_none_has_nothing_to_sweep(tmp_path):
    assert sweep(tmp_path / "absent") == 0
