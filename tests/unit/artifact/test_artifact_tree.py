"""The walk: every entry accounted for, whatever it is; what is opened is what was seen."""

import gc
import inspect
import os
import resource
import socket
import sys
from pathlib import Path

import pytest

from trustkit.artifact import walk
from trustkit.artifact.files import open_file, open_folder
from trustkit.artifact.tree import hard_linked, scan
from trustkit.errors import FormatError, LimitError, UnavailableError, UsageError, VerificationError


def names(tree):
    return [file.name for file in tree.files]


def content(tree, name):
    [file] = [file for file in tree.files if file.name == name]
    descriptor = tree.open(file)
    try:
        return os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)


def test_every_file_by_its_name_and_in_order(tmp_path, grow):
    table = {
        name: name.encode() for name in ("b", "a/z", "a-b", "a.b", "Z", "é", "a/b/c/d", ".hidden", "a b")
    }
    with scan(grow(tmp_path / "model", {**table, "empty/folder": None})) as tree:
        assert names(tree) == sorted(table)
        assert [content(tree, name) for name in table] == list(table.values())
        assert not tree.single
        assert tree.ignored == []


@pytest.mark.parametrize("where", ["model", "alias", "model/", "model/sub/..", "./model"])
def test_the_root_may_be_named_in_any_way(where, model):
    (model.parent / "alias").symlink_to("model")
    with scan(Path(f"{model.parent}/{where}")) as tree:
        assert names(tree) == ["a.bin", "sub/b.bin", "sub/deep/c.bin"]


def test_the_current_folder(model, monkeypatch):
    monkeypatch.chdir(model)
    with scan(Path()) as tree:
        assert names(tree) == ["a.bin", "sub/b.bin", "sub/deep/c.bin"]


def test_the_tree_stays_what_was_opened(model):
    """A root that is moved away and replaced is still the root that was scanned."""
    with scan(model) as tree:
        model.rename(model.parent / "moved")
        model.mkdir()
        (model / "a.bin").write_bytes(b"evil")
        assert content(tree, "a.bin") == b"aaa"


def test_what_is_ignored_is_listed_and_not_entered(model, grow):
    grow(model, {"git/x": b"", "git/y/z": b"", "gitx": b"", "sub/git": b"", "one": b"", "z": b""})
    (model / "git" / "link").symlink_to("/etc")
    os.mkfifo(model / "git" / "pipe")
    (model / "link").symlink_to("/etc")
    with scan(model, ignore=("z", "link", "git", "one", "absent", "sub/deep/c.bin")) as tree:
        assert tree.ignored == ["git", "link", "one", "sub/deep/c.bin", "z"]
        assert names(tree) == ["a.bin", "gitx", "sub/b.bin", "sub/git"]
        assert tree.ignores("git")
        assert tree.ignores("git/y/z")
        assert not tree.ignores("gitx")
        assert not tree.ignores("absent")


def test_what_is_skipped_is_exact_and_silent(model):
    with scan(model, skip=frozenset(("a.bin", "b.bin"))) as tree:
        assert names(tree) == ["sub/b.bin", "sub/deep/c.bin"]
        assert tree.ignored == []


@pytest.mark.parametrize("make", ["fifo", "socket", "device"])
@pytest.mark.parametrize("where", ["x", "sub/deep/x"])
def test_special_files(make, where, model, refused, monkeypatch):
    monkeypatch.chdir((model / where).parent)
    with socket.socket(socket.AF_UNIX) as listener:
        if make == "fifo":
            os.mkfifo("x")
        elif make == "socket":
            listener.bind("x")
        else:
            try:
                os.mknod("x", 0o20666, os.makedev(1, 3))
            except PermissionError:
                pytest.skip("only root makes devices")
        with refused(FormatError, "special-file") as caught:
            scan(model)
        assert caught.value.evidence == {"name": where}
        with refused(FormatError, "special-file"):
            scan(model / where)


@pytest.mark.parametrize(
    "name", [b"a\nb", b"\x1b[2J", b"a\\b", b"\xff", b"x\xe9", "\N{RIGHT-TO-LEFT OVERRIDE}".encode()]
)
def test_unsafe_names(name, model, refused):
    (model / os.fsdecode(name)).touch()
    with refused(FormatError, "unsafe-name"):
        scan(model)
    with refused(FormatError, "unsafe-name"):
        scan(model / os.fsdecode(name))


def test_an_unsafe_name_of_a_folder(model, refused):
    (model / os.fsdecode(b"\xff")).mkdir()
    with refused(FormatError, "unsafe-name"):
        scan(model)


@pytest.mark.parametrize(
    ("one", "other"), [("README", "readme"), ("sub/é", "sub/e\N{COMBINING ACUTE ACCENT}"), ("Sub/x", "sub/y")]
)
def test_twins(one, other, model, grow, refused):
    with refused(FormatError, "name-twins"):
        scan(grow(model, {one: b"", other: b""}))


@pytest.mark.parametrize("name", ["absent", "loop", "dangling", "model/a.bin/x", "n" * 256, "a\0b"])
def test_nothing_there(name, model, refused):
    (model.parent / "loop").symlink_to("loop")
    (model.parent / "dangling").symlink_to("gone")
    with refused(UsageError, "no-such-path"):
        scan(model.parent / name)


def test_nothing_that_may_be_read(public, grow, as_nobody, refused):
    grow(public / "model", {"a": b"", "closed/b": b""})
    (public / "model" / "closed").chmod(0)
    with as_nobody(), refused(UnavailableError, "unreadable") as caught:
        scan(public / "model")
    assert caught.value.evidence == {"name": "closed"}
    with as_nobody(), scan(public / "model", ignore=("closed",)) as tree:
        assert names(tree) == ["a"]
    (public / "model").chmod(0)
    with as_nobody(), refused(UnavailableError, "unreadable"):
        scan(public / "model")
    with as_nobody(), refused(UnavailableError, "unreadable"):
        scan(public / "model" / "a")


def test_a_file_that_may_not_be_read_is_seen_and_not_opened(public, as_nobody, refused):
    (public / "a").touch(mode=0)
    with as_nobody(), scan(public) as tree, refused(UnavailableError, "unreadable"):
        tree.open(tree.files[0])


def test_a_file_in_a_folder_that_may_be_entered_and_not_listed(public, as_nobody):
    (public / "drop").mkdir()
    (public / "drop" / "a").write_bytes(b"a")
    (public / "drop").chmod(0o711)
    with as_nobody(), scan(public / "drop" / "a") as tree:
        assert content(tree, "a") == b"a"


def test_a_single_file(model):
    with scan(model / "a.bin") as tree:
        assert tree.single
        assert names(tree) == ["a.bin"]
        assert content(tree, "a.bin") == b"aaa"


def test_a_single_file_behind_a_link_has_the_name_the_caller_used(model, tmp_path):
    (tmp_path / "weights").symlink_to(model / "a.bin")
    with scan(tmp_path / "weights") as tree:
        assert names(tree) == ["weights"]
        assert content(tree, "weights") == b"aaa"


def test_a_single_file_that_is_gone_is_nowhere(tmp_path, refused):
    """An open file without a name: the kernel shows it as a regular file at a path that leads nowhere."""
    with (tmp_path / "x").open("wb") as file:
        (tmp_path / "x").unlink()
        with refused(UsageError, "no-such-path"):
            scan(Path(f"/proc/self/fd/{file.fileno()}"))


def test_hard_links_are_legal_and_told(model):
    os.link(model / "a.bin", model / "same.bin")
    with scan(model) as tree:
        assert list(hard_linked(tree)) == ["a.bin", "same.bin"]


def deep(root, levels):
    """Make folders inside each other, and a file at the bottom; by descriptor, for no path may be as long."""
    here = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def test_three_hundred_levels_cost_neither_descriptors_nor_stack(tmp_path, monkeypatch):
    deep(tmp_path, 299)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = sys.getrecursionlimit()
    resource.setrlimit(resource.RLIMIT_NOFILE, (len([*Path("/proc/self/fd").iterdir()]) + 6, hard))
    sys.setrecursionlimit(len(inspect.stack(0)) + 60)
    try:
        with scan(tmp_path) as tree:
            assert names(tree) == ["d/" * 299 + "f"]
            assert content(tree, "d/" * 299 + "f") == b""
    finally:
        sys.setrecursionlimit(limit)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_more_levels_are_too_many(tmp_path, refused, descriptors):
    deep(tmp_path, 300)
    before = descriptors()
    with refused(LimitError, "name-too-deep"):
        scan(tmp_path)
    assert descriptors() == before


def test_names_longer_than_any_path(tmp_path):
    """Sixteen components of 255 bytes are more than the kernel takes at once; each is looked up by itself."""
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(15):
        os.mkdir("n" * 255, dir_fd=here)
        below = os.open("n" * 255, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    descriptor = os.open("f" * 255, os.O_CREAT | os.O_WRONLY, dir_fd=here)
    os.write(descriptor, b"far")
    os.close(descriptor)
    os.close(here)
    with scan(tmp_path) as tree:
        assert content(tree, ("n" * 255 + "/") * 15 + "f" * 255) == b"far"


def test_files_and_folders_are_capped(tmp_path, grow, refused):
    for table in (
        {"a": b"", "b": b"", "c": b""},
        {"a": None, "b": None, "c": None},
        {"a/x": b"", "b/x": b"", "b/y": b""},
        {f"{number}": b"" for number in range(9)},
    ):
        folder = grow(tmp_path / f"tree{len(list(tmp_path.iterdir()))}", table)
        with refused(LimitError, "too-many-files"):
            scan(folder, max_files=2)
    scan(grow(tmp_path / "few", {"a/x": b"", "b/x": b""}), max_files=2).close()


def test_one_listing_is_capped_whatever_is_in_it(tmp_path, grow, refused):
    table = {f"{number}": b"" for number in range(5)}
    folder = grow(tmp_path / "model", table)
    with refused(LimitError, "too-many-files"):
        scan(folder, ignore=tuple(table), max_files=2)
    scan(folder, ignore=tuple(table), max_files=3).close()


def test_the_same_tree_fails_in_the_same_way(tmp_path, grow, refused):
    grow(tmp_path / "model", {"b/x/1": b"", "a/y/2": b"", "a/x/3": b""})
    for name in ("b/fifo", "a/y/fifo", "a/x/fifo"):
        os.mkfifo(tmp_path / "model" / name)
    with refused(FormatError, "special-file") as caught:
        scan(tmp_path / "model")
    assert caught.value.evidence == {"name": "a/x/fifo"}


def test_letting_go_closes(model, descriptors):
    before = descriptors()
    tree = scan(model)
    assert descriptors() == before + 1
    del tree
    gc.collect()
    assert descriptors() == before
    with scan(model) as tree:
        tree.close()
        file = tree.files[0]
    with pytest.raises(ValueError, match="closed"):
        tree.open(file)


def test_a_refusal_closes(model, descriptors):
    (model / "sub" / "deep" / "link").symlink_to("c.bin")
    before = descriptors()
    with pytest.raises(FormatError):
        scan(model)
    assert descriptors() == before


# What changes between the walk and the opening.


def replace_by_fifo(path):
    path.unlink()
    os.mkfifo(path)


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


def replace_by_link(path):
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def replace_by_copy(path):
    raw = path.read_bytes()
    path.unlink()
    path.write_bytes(raw)


def replace_by_socket(path):
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(path.parent, os.O_PATH)  # a socket's path has at most 107 bytes
        listener.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)


def touch(path):
    os.utime(path, ns=(1, 1))


def grow_it(path):
    with path.open("ab") as file:
        file.write(b"x")


@pytest.mark.parametrize(
    "change",
    [
        Path.unlink,
        replace_by_fifo,
        replace_by_folder,
        replace_by_link,
        replace_by_copy,
        replace_by_socket,
        touch,
        grow_it,
        lambda path: os.truncate(path, 1),
        lambda path: path.write_bytes(b"BB"),
    ],
)
def test_a_file_that_is_not_the_one_that_was_seen(change, model, refused, descriptors):
    touch(model / "sub" / "b.bin")  # long ago, so that a write now shows
    with scan(model) as tree:
        change(model / "sub" / "b.bin")
        before = descriptors()
        with refused(VerificationError, "file-changed") as caught:
            content(tree, "sub/b.bin")
        assert caught.value.evidence == {"name": "sub/b.bin"}
        assert descriptors() == before


def test_a_folder_that_became_a_link_is_not_followed(model, refused):
    """Even to the very same file: whoever can turn the link can turn it elsewhere."""
    with scan(model) as tree:
        (model / "sub").rename(model.parent / "elsewhere")
        (model / "sub").symlink_to(model.parent / "elsewhere")
        with refused(VerificationError, "file-changed"):
            content(tree, "sub/b.bin")
        with refused(VerificationError, "file-changed"):
            content(tree, "sub/deep/c.bin")


def test_what_is_not_what_it_was_is_not_opened(model, refused, descriptors):
    (model / "to-file").symlink_to("a.bin")
    (model / "to-folder").symlink_to("sub")
    base = os.open(model, os.O_PATH)
    before = descriptors()
    for path in ("absent", "absent/x", "sub/absent/x", "a.bin", "a.bin/x", "to-folder", "to-folder/deep"):
        with refused(VerificationError, "file-changed"):
            open_folder(base, path)
    for path in ("sub", "sub/absent", "sub/deep", "to-file", "to-folder/b.bin"):
        with refused(VerificationError, "file-changed"):
            open_file(base, path)
    assert descriptors() == before
    os.close(base)


# What changes during the walk. Each test does it at one exact moment, by doing more than was asked for.


def test_an_entry_that_vanishes_after_it_was_listed(model, refused, monkeypatch):
    listed = walk.Walk._sorted

    def and_remove(self, descriptor):
        found = listed(self, descriptor)
        (model / "a.bin").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(walk.Walk, "_sorted", and_remove)
    with refused(VerificationError, "file-changed"):
        scan(model)


@pytest.mark.parametrize("by", ["folder", "link", "nothing"])
def test_a_folder_that_is_replaced_before_it_is_entered(by, model, refused, monkeypatch):
    opened = walk.open_folder

    def and_replace(base, place):
        if place == "sub":
            (model / "sub").rename(model.parent / "moved")
            if by == "folder":
                (model / "sub").mkdir()
            elif by == "link":
                (model / "sub").symlink_to("../moved")
        return opened(base, place)

    monkeypatch.setattr(walk, "open_folder", and_replace)
    with refused(VerificationError, "file-changed"):
        scan(model)


def test_a_folder_that_cannot_be_listed(model, refused, monkeypatch, descriptors):
    def broken(folder):
        raise OSError(5, "Input/output error")

    before = descriptors()
    monkeypatch.setattr(os, "scandir", broken)
    with refused(UnavailableError, "unreadable") as caught:
        scan(model)
    assert caught.value.evidence == {"name": "."}
    assert descriptors() == before


def test_a_root_that_vanishes_before_it_is_opened(model, refused, monkeypatch):
    looked = Path.stat

    def and_remove(path, **how):
        status = looked(path, **how)
        model.rename(model.parent / "moved")
        return status

    monkeypatch.setattr(Path, "stat", and_remove)
    with refused(UsageError, "no-such-path"):
        scan(model)


@pytest.mark.parametrize("left", [0, 1])
def test_no_descriptor_left_is_not_a_verdict(left, model, refused, descriptors):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    spare = [os.open(model, os.O_PATH) for _ in range(used - descriptors() + 2)]  # no holes below the limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(spare) + 1 + left, hard))
    try:
        with refused(UnavailableError, "unreadable"):
            scan(model)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in spare:
            os.close(descriptor)


def test_what_lies_under_an_ignored_path_is_ignored_and_nothing_beside_it(model, grow):
    grow(model, {"sub-x": b"", "sub.x/a": b""})
    with scan(model, ignore=("sub", "a.bin")) as tree:
        assert tree.ignored == ["a.bin", "sub"]
        assert all(map(tree.ignores, ["sub", "sub/b.bin", "sub/deep/c.bin", "sub/none", "a.bin", "a.bin/x"]))
        assert not any(map(tree.ignores, ["", "su", "sub-x", "sub.x/a", "a", "x/sub", "x/a.bin", "zz"]))


def test_a_pipe_is_refused_where_it_is_ignored_too(model, refused):
    os.mkfifo(model / "pipe")
    with refused(FormatError, "special-file"):
        scan(model, ignore=("pipe",))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda model: (model / "sub/new").touch(), "sub/new"),
        (lambda model: (model / "sub/b.bin").unlink(), "sub/b.bin"),
        (lambda model: (model / "a.bin").write_bytes(b"xxx"), "a.bin"),
        (lambda model: (model / "a.bin").rename(model / "zz"), "a.bin"),
        (lambda model: (model / "git").mkdir(), "git"),
        (lambda model: (model / "link").symlink_to("a.bin"), "link"),
        (lambda model: [(model / f"n{number}").touch() for number in range(3)], "n0"),
    ],
)
def test_whatever_changed_is_named_by_a_second_look(model, change, name):
    with scan(model, ignore=("git",)) as tree:
        tree.check_unchanged()
        change(model)
        with pytest.raises(VerificationError) as caught:
            tree.check_unchanged()
        assert (caught.value.code, caught.value.evidence) == ("file-changed", {"name": name})


def test_a_second_look_at_names_in_another_order_than_the_walk_s(tmp_path, grow):
    """The walk comes to ``a-b`` before ``a/x``, and so do names; ``a.b`` and ``a0`` it meets elsewhere."""
    root = grow(tmp_path / "model", dict.fromkeys(("a/x", "a-b", "a.b", "a0", "a/a/x", "a/a-x"), b""))
    with scan(root) as tree:
        assert names(tree) == sorted(names(tree))
        tree.check_unchanged()


def test_a_second_look_at_a_single_file(model):
    with scan(model / "a.bin") as tree:
        tree.check_unchanged()
        (model / "a.bin").write_bytes(b"longer")
        with pytest.raises(VerificationError) as caught:
            tree.check_unchanged()
        assert caught.value.evidence == {"name": "a.bin"}
