"""A folder that is not there until it is whole: planted things, dead runs, full disks, interrupts."""

import errno
import fcntl
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from trustkit.errors import FormatError, UnavailableError, UsageError, VerificationError
from trustkit.storage.staging import Staging, publish_left, stale_staging

TOKEN = "0123456789abcdef" * 2
DEAD = "deadbeef" * 4
CODE = ("storage/staging.py", "storage/folders.py", "storage/finishing.py")


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.fixture
def target(tmp_path):
    return tmp_path / "model"


@pytest.fixture
def staging(target):
    return Staging(target, token=TOKEN)


@pytest.fixture
def inside(tmp_path):
    """Where the staging lies, for somebody who is up to something."""
    return tmp_path / f".model.staging-{TOKEN}"


def tree(folder):
    """Every file below a folder with its content; folders end in a slash."""
    return {
        str(path.relative_to(folder)) + ("/" if path.is_dir() and not path.is_symlink() else ""): (
            path.read_bytes() if path.is_file() else b""
        )
        for path in folder.rglob("*")
    }


def test_nothing_is_there_and_then_all_of_it(staging, target, tmp_path):
    with staging:
        staging.write("config.json", b"{}")
        staging.write("weights/part-1", b"one")
        staging.write("weights/deep/part-2", b"")
        assert not target.exists()
        staging.publish()
        assert tree(target) == {
            "config.json": b"{}",
            "weights/": b"",
            "weights/part-1": b"one",
            "weights/deep/": b"",
            "weights/deep/part-2": b"",
        }
    assert names(tmp_path) == ["model"]


def test_what_is_published_is_read_only(staging, target):
    with staging:
        staging.write("a/b", b"x")
        staging.publish()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (target, target / "a", target / "a/b")}
    assert modes == {"model": 0o555, "a": 0o555, "b": 0o444}


def test_other_modes_where_they_are_asked_for(staging, target):
    with staging:
        staging.write("a/b", b"x")
        staging.publish(file_mode=0o644, folder_mode=0o755)
    assert stat.S_IMODE((target / "a").stat().st_mode) == 0o755
    assert stat.S_IMODE((target / "a/b").stat().st_mode) == 0o644


def test_meanwhile_it_is_nobody_else_s(staging, inside):
    with staging:
        os.close(staging.create("a/b"))
        assert [stat.S_IMODE(path.stat().st_mode) for path in (inside, inside / "a", inside / "a/b")] == [
            *(0o700, 0o700),
            0o600,
        ]


def test_a_descriptor_reads_and_writes(staging):
    with staging:
        descriptor = staging.create("a")
        os.pwrite(descriptor, b"abc", 3)
        assert os.pread(descriptor, 10, 0) == b"\0\0\0abc"
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, None])
def test_whatever_ends_it_before_wipes_it(staging, tmp_path, error):
    def work():
        with staging:
            staging.write("a/b/c", b"x")
            if error is not None:
                raise error

    if error is None:
        work()
    else:
        with pytest.raises(error):
            work()
    assert names(tmp_path) == []


def test_folders_that_were_made_read_only_are_wiped_too(staging, tmp_path, target):
    def work():
        with staging:
            staging.write("a/b/c", b"x")
            target.mkdir()
            (target / "other").write_bytes(b"theirs")
            staging.publish()

    with pytest.raises(UsageError) as caught:
        work()
    assert caught.value.code == "output-exists"
    assert tree(tmp_path) == {"model/": b"", "model/other": b"theirs"}


def a_full_folder(target):
    target.mkdir()
    (target / "file").write_bytes(b"theirs")


def a_link(target):
    (target.parent / "elsewhere").mkdir()
    target.symlink_to("elsewhere")


THINGS = {
    "empty folder": lambda target: target.mkdir(),
    "full folder": a_full_folder,
    "file": lambda target: target.write_bytes(b"theirs"),
    "link": a_link,
    "dangling link": lambda target: target.symlink_to("nowhere"),
    "fifo": os.mkfifo,
}


@pytest.mark.parametrize("appear", THINGS.values(), ids=THINGS.keys())
@pytest.mark.parametrize("when", ["before", "between"])
def test_nothing_is_ever_replaced(staging, target, tmp_path, appear, when):
    def work():
        if when == "before":
            appear(target)
        with staging:
            staging.write("a", b"x")
            if when == "between":
                appear(target)
            staging.publish()

    with pytest.raises(UsageError) as caught:
        work()
    assert caught.value.code == "output-exists"
    assert "a" not in {path.name for path in tmp_path.rglob("*")}
    assert not [name for name in names(tmp_path) if ".staging-" in name]


def test_what_exists_is_told_before_any_work(staging, target, tmp_path):
    target.mkdir()
    with pytest.raises(UsageError) as caught:
        staging.__enter__()
    assert caught.value.code == "output-exists"
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("kind", ["full folder", "file"])
def test_what_appears_in_the_last_instant_is_not_replaced_either(staging, target, monkeypatch, kind):
    real = os.rename

    def renamed(*names, **folders):
        if kind == "file":
            target.write_bytes(b"theirs")
        else:
            target.mkdir()
            (target / "file").write_bytes(b"theirs")
        real(*names, **folders)

    def work():
        with staging:
            staging.write("a", b"x")
            monkeypatch.setattr(os, "rename", renamed)
            staging.publish()

    with pytest.raises(UsageError) as caught:
        work()
    assert caught.value.code == "output-exists"
    assert (target if kind == "file" else target / "file").read_bytes() == b"theirs"


@pytest.mark.parametrize("path", ["absent/model", "file/model", "nul\0/model"])
def test_without_its_folder_it_is_the_caller_s_mistake(tmp_path, path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError) as caught:
        Staging(tmp_path / path, token=TOKEN).__enter__()
    assert caught.value.code == "no-such-folder"


@pytest.mark.parametrize("where", ["/proc/self/fdinfo/model", f"{'a' * 256}", "nul\0"])
def test_where_nothing_can_be_made_it_is_unavailable(tmp_path, where):
    with pytest.raises(UnavailableError) as caught:
        Staging(tmp_path / where, token=TOKEN).__enter__()
    assert caught.value.code == "unwritable"
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["a" * 250, "a" * 255, "\u00e9" * 127, "\U0001f600" * 63])
def test_a_name_as_long_as_names_may_be_is_published_and_swept_like_any(tmp_path, name):
    with Staging(tmp_path / name, token=TOKEN) as staging:
        [private] = names(tmp_path)
        assert len(os.fsencode(private)) <= 255
        staging.write("a", b"x")
        staging.publish()
    assert names(tmp_path) == [name]
    (tmp_path / private.replace(TOKEN, DEAD)).mkdir(0o700)
    assert stale_staging(tmp_path / name) == 1
    assert names(tmp_path) == [name]


@pytest.mark.parametrize(
    "token", ["", "short", "UPPERCASE", "a/b/c/d/e", "a" * 65, "..........", "dead\nbeef"]
)
def test_a_token_is_plain(target, token):
    with pytest.raises(ValueError, match="token"):
        Staging(target, token=token)


class TestNames:
    @pytest.mark.parametrize("name", ["", ".", "..", "/a", "a/../b", "a//b", "a/", "a\\b", "a\0b", "a\nb"])
    def test_unsafe_ones_are_refused(self, staging, name):
        with staging, pytest.raises(FormatError) as caught:
            staging.create(name)
        assert caught.value.code == "unsafe-name"

    @pytest.mark.parametrize(
        ("first", "second"), [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("a/b", "a/b"), ("a/b", "a/b/c")]
    )
    def test_one_is_used_once_and_is_a_file_or_a_folder(self, staging, first, second):
        with staging:
            staging.write(first, b"x")
            with pytest.raises(FormatError) as caught:
                staging.create(second)
            assert caught.value.code == "duplicate-name"
            staging.publish()

    def test_one_that_the_disk_does_not_take_is_unwritable(self, staging):
        with staging:
            for name in ("a" * 300, f"{'a' * 300}/b"):
                with pytest.raises(UnavailableError) as caught:
                    staging.create(name)
                assert caught.value.code == "unwritable"

    def test_two_that_the_disk_folds_into_one_are_refused(self, staging, inside):
        """As a file system that folds case would have it: the second is there already."""
        with staging:
            (inside / "A").write_bytes(b"")
            with pytest.raises(VerificationError) as caught:
                staging.create("A")
            assert caught.value.code == "staging-altered"

    def test_deep_ones(self, staging, target):
        name = "/".join("d" * 300)
        with staging:
            staging.write(name, b"deep")
            staging.publish()
        assert (target / name).read_bytes() == b"deep"

    def test_many_threads_make_many_files(self, staging, target):
        start = threading.Barrier(8)

        def work(number):
            start.wait()
            for index in range(25):
                staging.write(f"{index % 5}/{index % 3}/{number}-{index}", b"%d" % number)

        with staging:
            threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            staging.publish()
        assert len([path for path in target.rglob("*") if path.is_file()]) == 200


class TestRenaming:
    def test_it_moves_a_file_to_a_free_name(self, staging, target):
        with staging:
            staging.write("blobs/draft", b"x")
            staging.rename("blobs/draft", "blobs/final")
            staging.write("blobs/draft", b"y")
            staging.publish()
        assert tree(target) == {"blobs/": b"", "blobs/final": b"x", "blobs/draft": b"y"}

    def test_never_over_another_one(self, staging, inside):
        with staging:
            staging.write("a", b"a")
            staging.write("b", b"b")
            with pytest.raises(FormatError) as caught:
                staging.rename("a", "b")
            assert caught.value.code == "duplicate-name"
            (inside / "c").write_bytes(b"planted")
            with pytest.raises(VerificationError) as caught:
                staging.rename("a", "c")
            assert caught.value.code == "staging-altered"

    def test_what_is_gone_cannot_be_renamed(self, staging, inside):
        with staging:
            staging.write("a", b"a")
            (inside / "a").unlink()
            with pytest.raises(UnavailableError) as caught:
                staging.rename("a", "b")
            assert caught.value.code == "unwritable"


class TestPlanted:
    """Somebody with our rights writes into the staging: nothing of his is published, followed or harmed."""

    def altered(self, staging, act, work=lambda staging: staging.publish()):
        def all_of_it():
            with staging:
                staging.write("a/b", b"ours")
                staging.write("c", b"ours")
                act()
                work(staging)

        with pytest.raises(VerificationError) as caught:
            all_of_it()
        assert caught.value.code == "staging-altered"

    @pytest.mark.parametrize("where", ["x", "a/x"])
    @pytest.mark.parametrize("kind", ["file", "folder", "link", "fifo", "socket"])
    def test_an_entry(self, staging, inside, target, tmp_path, where, kind):
        def plant():
            path = inside / where
            {
                "file": lambda: path.write_bytes(b"theirs"),
                "folder": path.mkdir,
                "link": lambda: path.symlink_to("/etc"),
                "fifo": lambda: os.mkfifo(path),
                "socket": lambda: os.mknod(path, stat.S_IFSOCK | 0o600),
            }[kind]()

        self.altered(staging, plant)
        assert names(tmp_path) == []

    @pytest.mark.parametrize("name", ["a", "a/b", "c"])
    @pytest.mark.parametrize("kind", ["file", "folder", "link", "fifo", "socket", "nothing", "hard link"])
    def test_in_place_of_ours(self, staging, inside, tmp_path, name, kind):
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "precious").write_bytes(b"precious")

        def swap():
            path = inside / name
            path.rename(tmp_path / "stolen")
            {
                "file": lambda: path.write_bytes(b"ours"),
                "folder": path.mkdir,
                "link": lambda: path.symlink_to(outside),
                "fifo": lambda: os.mkfifo(path),
                "socket": lambda: os.mknod(path, stat.S_IFSOCK | 0o600),
                "nothing": lambda: None,
                "hard link": lambda: path.hardlink_to(outside / "precious"),
            }[kind]()

        self.altered(staging, swap)
        assert (outside / "precious").read_bytes() == b"precious"
        assert names(tmp_path) == ["outside", "stolen"]

    def test_another_name_of_ours(self, staging, inside, tmp_path):
        self.altered(staging, lambda: (tmp_path / "other-name").hardlink_to(inside / "c"))

    def test_a_link_under_which_a_file_is_to_be_made(self, staging, inside, tmp_path):
        def plant():
            (inside / "d").symlink_to(tmp_path)

        self.altered(staging, plant, lambda staging: staging.create("d/e"))
        assert "e" not in names(tmp_path)

    def test_a_link_in_place_of_a_folder_that_is_used_again(self, staging, inside, tmp_path):
        def swap():
            (inside / "a").rename(tmp_path / "stolen")
            (inside / "a").symlink_to(tmp_path)

        self.altered(staging, swap, lambda staging: staging.create("a/e"))
        assert "e" not in names(tmp_path)

    def test_another_folder_in_place_of_one_that_is_used_again(self, staging, inside, tmp_path):
        def swap():
            (inside / "a").rename(tmp_path / "stolen")
            (inside / "a").mkdir()

        self.altered(staging, swap, lambda staging: staging.create("a/e"))

    def test_a_folder_that_is_gone(self, staging, inside, tmp_path):
        self.altered(
            staging, lambda: (inside / "a").rename(tmp_path / "stolen"), lambda staging: staging.create("a/e")
        )

    def test_a_link_where_a_file_is_to_be_made(self, staging, inside, tmp_path):
        self.altered(
            staging, lambda: (inside / "d").symlink_to(tmp_path / "e"), lambda staging: staging.create("d")
        )
        assert names(tmp_path) == []

    def test_another_staging_in_place_of_ours(self, staging, inside, tmp_path):
        def swap():
            inside.rename(tmp_path / "stolen")
            inside.mkdir()
            (inside / "theirs").write_bytes(b"theirs")

        self.altered(staging, swap)
        assert tree(inside) == {"theirs": b"theirs"}
        assert tree(tmp_path / "stolen") == {}, "what is ours is wiped wherever it was moved"

    def test_a_target_that_is_swapped_right_after_the_rename(self, staging, target, tmp_path, monkeypatch):
        real = os.rename

        def renamed(*names, **folders):
            real(*names, **folders)
            real(target, tmp_path / "stolen")
            target.mkdir()

        self.altered(staging, lambda: monkeypatch.setattr(os, "rename", renamed))

    def test_links_that_were_planted_are_not_followed_when_it_is_wiped(self, staging, inside, tmp_path):
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "precious").write_bytes(b"precious")

        def work():
            with staging:
                (inside / "link").symlink_to(outside)
                (inside / "folder").mkdir()
                (inside / "folder/link").symlink_to(outside)
                raise ValueError

        with pytest.raises(ValueError):
            work()
        assert tree(tmp_path) == {"outside/": b"", "outside/precious": b"precious"}


class TestDeadRuns:
    def test_what_they_left_is_removed_by_the_next(self, staging, target, tmp_path):
        left = tmp_path / f".model.staging-{DEAD}"
        left.mkdir(0o700)
        (left / "a").mkdir()
        (left / "a/b").write_bytes(b"plaintext")
        (left / "a").chmod(0o555)
        with staging:
            assert not left.exists()
            staging.write("a", b"x")
            staging.publish()
        assert names(tmp_path) == ["model"]

    def test_a_live_run_s_is_not(self, target, inside):
        with Staging(target, token=TOKEN) as first:
            first.write("a", b"first")
            assert stale_staging(target) == 0
            with Staging(target, token="f" * 32) as second:
                second.write("a", b"second")
            assert (inside / "a").read_bytes() == b"first"
            first.publish()
        assert (target / "a").read_bytes() == b"first"

    def test_of_two_live_runs_one_publishes(self, target, tmp_path):
        def second():
            with Staging(target, token="f" * 32) as late:
                late.write("a", b"second")
                with Staging(target, token=TOKEN) as early:
                    early.write("a", b"first")
                    early.publish()
                late.publish()

        with pytest.raises(UsageError) as caught:
            second()
        assert caught.value.code == "output-exists"
        assert (target / "a").read_bytes() == b"first"
        assert names(tmp_path) == ["model"]

    def test_a_killed_process_s_is(self, target, tmp_path):
        program = (
            "import sys, os, signal\nfrom pathlib import Path\nfrom trustkit.storage.staging import Staging\n"
            "with Staging(Path(sys.argv[1]), token='deadbeef' * 4) as staging:\n"
            "    staging.write('a', b'plaintext')\n    print('ready', flush=True)\n    signal.pause()\n"
        )
        with subprocess.Popen([sys.executable, "-c", program, target], stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"ready\n"
            assert stale_staging(target) == 0
            process.kill()
        assert stale_staging(target) == 1
        assert names(tmp_path) == []

    @pytest.mark.parametrize(
        "name",
        [
            ".model.staging-short",
            ".model.staging-20240101",
            f".model.staging-{DEAD.upper()}",
            f".model.staging-{DEAD[:-1]}",
            f".model.staging-{DEAD}0",
            f".model.staging-{DEAD[:-1]}g",
            f".model.staging-{DEAD}.txt",
            f".model2.staging-{DEAD}",
            f"model.staging-{DEAD}",
            f".other.staging-{DEAD}",
        ],
    )
    def test_what_is_called_otherwise_stays(self, target, tmp_path, name):
        (tmp_path / name).mkdir(0o700)
        assert stale_staging(target) == 0
        assert names(tmp_path) == [name]

    @pytest.mark.parametrize("mode", [0o755, 0o750, 0o555, 0o500])
    def test_what_is_not_as_private_as_ours_stays(self, target, tmp_path, mode):
        left = tmp_path / f".model.staging-{DEAD}"
        left.mkdir()
        left.chmod(mode)
        assert stale_staging(target) == 0
        assert names(tmp_path) == [left.name]

    def test_what_took_the_group_of_its_volume_is_still_ours(self, target, tmp_path):
        (tmp_path / f".model.staging-{DEAD}").mkdir()
        (tmp_path / f".model.staging-{DEAD}").chmod(0o2700)
        assert stale_staging(target) == 1

    def test_what_is_no_folder_stays(self, target, tmp_path):
        (tmp_path / f".model.staging-{DEAD}").write_bytes(b"")
        (tmp_path / "precious").mkdir()
        (tmp_path / f".model.staging-{TOKEN}").symlink_to("precious")
        assert stale_staging(target) == 0
        assert len(names(tmp_path)) == 3

    def test_what_is_another_user_s_stays(self, target, tmp_path, monkeypatch):
        (tmp_path / f".model.staging-{DEAD}").mkdir(0o700)
        real = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: real + 1)
        assert stale_staging(target) == 0
        assert len(names(tmp_path)) == 1

    def test_without_a_folder_there_is_none(self, tmp_path):
        assert stale_staging(tmp_path / "absent/model") == 0

    def test_where_there_are_no_locks_nothing_is_removed_and_all_else_works(
        self, staging, target, tmp_path, monkeypatch
    ):
        left = tmp_path / f".model.staging-{DEAD}"
        left.mkdir(0o700)

        def locked(*_):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", locked)
        with staging:
            staging.write("a", b"x")
            staging.publish()
        assert left.exists()
        assert (target / "a").read_bytes() == b"x"

    def test_a_cleaner_that_takes_the_fresh_folder_makes_it_begin_again(
        self, staging, target, tmp_path, monkeypatch
    ):
        """Between making the folder and locking it, another run takes it for a dead one's; three times."""
        real, times = fcntl.flock, []

        def locked(descriptor, how):
            if how == fcntl.LOCK_EX and len(times) < 3:
                times.append(stale_staging(target))
            real(descriptor, how)

        monkeypatch.setattr(fcntl, "flock", locked)
        with staging:
            staging.write("a", b"x")
            staging.publish()
        assert times == [1, 1, 1]
        assert names(tmp_path) == ["model"]

    def test_one_that_does_so_for_ever_is_an_error(self, staging, target, tmp_path, monkeypatch):
        real = fcntl.flock

        def locked(descriptor, how):
            if how == fcntl.LOCK_EX:
                stale_staging(target)
            real(descriptor, how)

        monkeypatch.setattr(fcntl, "flock", locked)
        with pytest.raises(UnavailableError) as caught:
            staging.__enter__()
        assert caught.value.code == "unwritable"

    def test_one_that_is_quicker_than_the_opening(self, staging, target, monkeypatch, tmp_path):
        real, times = os.mkdir, []

        def made(*arguments, **named):
            real(*arguments, **named)
            if not times:
                times.append(stale_staging(target))

        monkeypatch.setattr(os, "mkdir", made)
        with staging:
            staging.write("a", b"x")
        assert times == [1]
        assert names(tmp_path) == []


class TestDisks:
    def test_a_full_one_is_unavailable_and_leaves_nothing(self, staging, tmp_path, full_disk):
        def work():
            with full_disk(1000), staging:
                staging.write("a", bytes(5000))

        with pytest.raises(UnavailableError) as caught:
            work()
        assert caught.value.code == "unwritable"
        assert names(tmp_path) == []

    @pytest.mark.parametrize("call", ["mkdir", "open", "rename", "fsync", "fchmod"])
    def test_any_call_may_fail(self, staging, tmp_path, monkeypatch, call):
        real, armed = getattr(os, call), []

        def failing(*arguments, **named):
            if armed:
                armed.pop()
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*arguments, **named)

        monkeypatch.setattr(os, call, failing)

        def work():
            with staging:
                staging.write("a/b", b"x")
                armed.append(1)
                if call in {"mkdir", "open"}:
                    staging.write("c/d", b"x")
                staging.publish()

        with pytest.raises(UnavailableError) as caught:
            work()
        assert caught.value.code == "unwritable"
        assert names(tmp_path) == []

    def test_a_last_mode_that_cannot_be_set_leaves_the_folder_whole_and_private(
        self, staging, target, tmp_path, monkeypatch
    ):
        """It has its name already, and gets its mode after that: nobody else saw it in between."""
        real = os.fchmod

        def failing(descriptor, mode):
            if target.exists():
                raise OSError(errno.EIO, "Input/output error")
            real(descriptor, mode)

        monkeypatch.setattr(os, "fchmod", failing)

        def work():
            with staging:
                staging.write("a/b", b"x")
                staging.publish()

        with pytest.raises(UnavailableError) as caught:
            work()
        assert caught.value.code == "unwritable"
        assert names(tmp_path) == ["model"]
        assert tree(target) == {"a/": b"", "a/b": b"x"}
        assert stat.S_IMODE(target.stat().st_mode) == 0o700

    def test_one_that_does_not_let_us_clean_up_is_told_unless_there_is_worse(
        self, target, tmp_path, monkeypatch
    ):
        def unlinked(*_, **__):
            raise OSError(errno.EIO, "Input/output error")

        def work(error):
            with Staging(target, token=TOKEN) as staging:
                staging.write("a", b"x")
                monkeypatch.setattr(os, "unlink", unlinked)
                if error:
                    raise error

        with pytest.raises(UnavailableError) as caught:
            work(None)
        assert caught.value.code == "unwritable"
        monkeypatch.undo()
        with pytest.raises(ValueError):
            work(ValueError())
        monkeypatch.undo()
        assert stale_staging(target) == 1


def gone(tmp_path, left):
    """Say whether no staging is left. Where an interrupt hits the way into `__exit__`, none of it runs:
    that one instant is the next run's to clean up, as after SIGKILL.
    """
    stagings = [path for path in tmp_path.iterdir() if ".staging-" in path.name]
    for staging in stagings:
        left.append(staging)
        shutil.rmtree(staging)
    return len(left) <= 1


def test_an_interrupt_at_any_line_leaves_nothing_or_all(tmp_path, interrupting):
    target, turns, published, left = tmp_path / "model", 0, 0, []

    def work():
        with Staging(target, token=TOKEN) as staging:
            staging.write("a/b", b"x")
            staging.write("c", b"y")
            staging.rename("c", "d")
            staging.publish()

    for turn in interrupting(work, *CODE):
        turns = turn
        assert gone(tmp_path, left)
        if target.exists():
            published += 1
            assert tree(target) == {"a/": b"", "a/b": b"x", "d": b"y"}
            shutil.rmtree(target)
    assert turns > 100
    assert published >= 2


def test_an_interrupt_at_any_line_of_a_failure_leaves_nothing(tmp_path, interrupting):
    turns, left = 0, []

    def failing():
        with Staging(tmp_path / "model", token=TOKEN) as staging:
            staging.write("a/b", b"x")
            staging.create("a/b")

    def work():
        with pytest.raises(FormatError):
            failing()

    for turn in interrupting(work, *CODE):
        turns = turn
        assert gone(tmp_path, left)
        assert names(tmp_path) == []
    assert turns > 50


def test_no_descriptor_stays_open(target, tmp_path, open_in):
    for token in ("aaaaaaaa", "bbbbbbbb"):
        with Staging(target, token=token) as staging:
            staging.write("a/b", b"x")
            if token.startswith("b"):
                staging.publish()
    assert open_in(tmp_path) == []


def run(program, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
        text=True,
    )


HEAD = "import os, resource, sys\nfrom pathlib import Path\nfrom trustkit.storage.staging import Staging\n"


@pytest.mark.parametrize("end", ["staging.publish()", "pass"])
def test_names_are_utf_8_whatever_the_locale(target, tmp_path, end):
    program = (
        f"{HEAD}from trustkit.storage.local import LocalSource\n"
        "assert sys.getfilesystemencoding() == 'ascii' or os.environ['LC_ALL'] != 'C'\n"
        "with Staging(Path(sys.argv[1]), token='0' * 32) as staging:\n"
        "    staging.write('d\\xe9/\\xe9.txt', b'x')\n"
        "    staging.rename('d\\xe9/\\xe9.txt', 'd\\xe9/\\u20ac.txt')\n"
        f"    {end}\n"
        "if Path(sys.argv[1]).exists():\n"
        "    print(LocalSource(Path(sys.argv[1])).document('d\\xe9/\\u20ac.txt', max_bytes=9))\n"
    )
    ran = run(program, target, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (ran.returncode, ran.stderr) == (0, "")
    if end == "pass":
        assert names(tmp_path) == []
    else:
        assert ran.stdout == "b'x'\n"
        assert [found for _, *found in os.walk(os.fsencode(target))] == [
            [["dé".encode()], []],
            [[], ["€.txt".encode()]],
        ]


@pytest.mark.parametrize("end", ["staging.publish()", "raise ValueError"])
def test_however_deep_it_takes_few_descriptors(target, tmp_path, end):
    program = (
        f"{HEAD}resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))\n"
        "try:\n"
        "    with Staging(Path(sys.argv[1]), token='0' * 32) as staging:\n"
        "        staging.write('d/' * 298 + 'f', b'x')\n"
        "        staging.write('d/e/f', b'x')\n"
        f"        {end}\n"
        "except ValueError:\n    pass\n"
    )
    ran = run(program, target)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert names(tmp_path) == (["model"] if "publish" in end else [])
    if "publish" in end:
        assert sum(len(files) for *_, files in os.walk(target)) == 2


def test_what_a_killed_run_left_private_is_published_by_its_last_step(target):
    target.mkdir(mode=0o700)
    (target / "a").write_text("1")
    publish_left(target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o555
    publish_left(target, folder_mode=0o755)
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


def test_what_is_not_there_or_a_link_or_cannot_be_changed_is_not_published(target, tmp_path, monkeypatch):
    with pytest.raises(UnavailableError) as caught:
        publish_left(target)
    assert caught.value.code == "unwritable"
    (tmp_path / "other").mkdir(mode=0o700)
    target.symlink_to(tmp_path / "other")
    with pytest.raises(UnavailableError) as caught:
        publish_left(target)
    assert (caught.value.code, stat.S_IMODE((tmp_path / "other").stat().st_mode)) == ("unwritable", 0o700)

    def broken(_descriptor, _mode):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fchmod", broken)
    with pytest.raises(UnavailableError) as caught:
        publish_left(tmp_path / "other")
    assert caught.value.code == "unwritable"
    with pytest.raises(UsageError) as caught:
        publish_left(tmp_path / "absent" / "model")
    assert caught.value.code == "no-such-folder"


def test_a_folder_that_moves_while_it_is_wiped_leads_nowhere(staging, inside, tmp_path, monkeypatch):
    real = os.unlink

    def unlinked(*arguments, **named):
        real(*arguments, **named)
        if (inside / "a/b").exists():
            (tmp_path / "elsewhere").mkdir()
            (tmp_path / "elsewhere/b").mkdir()
            (inside / "a/b").rename(tmp_path / "elsewhere/c")

    def work():
        with staging:
            staging.write("a/b/c", b"x")
            monkeypatch.setattr(os, "unlink", unlinked)

    work()
    assert names(tmp_path / "elsewhere") == ["b", "c"], "nothing outside is removed"
