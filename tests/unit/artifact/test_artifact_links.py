"""Links: refused, or followed to where they may lead and nowhere else."""

import os
from pathlib import Path

import pytest

from trustkit.artifact import walk
from trustkit.artifact.tree import scan
from trustkit.artifact.walk import Rules, Walk
from trustkit.errors import FormatError, LimitError, UnavailableError


def contents(tree):
    found = {}
    for file in tree.files:
        descriptor = tree.open(file)
        found[file.name] = os.read(descriptor, 100)
        os.close(descriptor)
    return found


@pytest.fixture
def linked(model):
    """Make one link in the model and return the model."""

    def make(target, name="link"):
        (model / name).symlink_to(target)
        return model

    return make


TARGETS = ["a.bin", "sub", "/etc/passwd", "gone", "link", "..", "."]


@pytest.mark.parametrize("target", TARGETS)
def test_without_permission_every_link_is_refused_unread(target, linked, refused):
    with refused(FormatError, "symlink") as caught:
        scan(linked(target))
    assert "--allow-symlinks" in caught.value.message
    assert caught.value.evidence == {"name": "link"}


def test_an_absolute_link_that_stays_inside(model, linked):
    with scan(linked(model / "a.bin"), allow_symlinks=True) as tree:
        assert contents(tree)["link"] == b"aaa"


@pytest.mark.parametrize("target", ["a.bin", "./sub/../a.bin", "sub/up", "../model/a.bin", "sub/again"])
def test_a_relative_link_that_stays_inside(target, model, linked):
    linked("../a.bin", "sub/up")
    linked("up", "sub/again")
    with scan(linked(target), allow_symlinks=True) as tree:
        assert contents(tree)["link"] == b"aaa"
        assert [file.path for file in tree.files if file.name == "link"] == ["a.bin"]


def test_files_behind_a_linked_folder_are_files_of_the_tree(linked):
    """The reference leaves these out, so that they can be changed without notice."""
    with scan(linked("sub"), allow_symlinks=True) as tree:
        assert contents(tree) == {
            "a.bin": b"aaa",
            "link/b.bin": b"bb",
            "link/deep/c.bin": b"",
            "sub/b.bin": b"bb",
            "sub/deep/c.bin": b"",
        }


def test_a_link_in_a_linked_folder_is_resolved_where_it_really_lies(model, linked):
    linked("../a.bin", "sub/up")
    with scan(linked("sub/deep", "deep"), allow_symlinks=True) as tree:
        assert contents(tree)["deep/c.bin"] == b""
    (model / "far" / "away").mkdir(parents=True)
    linked("../../sub", "far/away/link")
    with scan(model, allow_symlinks=True) as tree:
        assert contents(tree)["far/away/link/up"] == b"aaa"


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "/", "..", "../beside", "../model2", "sub/out", "../model/../beside"]
)
def test_a_link_that_leads_out(target, model, linked, refused, grow):
    grow(model.parent, {"beside": b"secret", "model2/x": b""})
    linked("../../beside", "sub/out")
    with refused(FormatError, "link-escapes") as caught:
        scan(linked(target), allow_symlinks=True)
    assert caught.value.message.endswith("; copy what it leads to in its place (cp -rL does)")


@pytest.mark.parametrize("target", ["gone", "sub/gone", "a.bin/x", "/nowhere/at/all"])
def test_a_link_that_leads_nowhere(target, linked, refused):
    with refused(FormatError, "link-dangling"):
        scan(linked(target), allow_symlinks=True)


@pytest.mark.parametrize(
    ("name", "target"), [("link", "link"), ("link", "."), ("sub/up", ".."), ("sub/deep/up", "../..")]
)
def test_a_link_that_leads_back(name, target, linked, refused):
    with refused(FormatError, "link-cycle"):
        scan(linked(target, name), allow_symlinks=True)


def test_links_that_lead_to_each_other(linked, refused):
    linked("other")
    with refused(FormatError, "link-cycle"):
        scan(linked("link", "other"), allow_symlinks=True)


def test_a_cycle_through_two_linked_folders(model, linked, refused):
    for name, target in (("one/to", "../two"), ("two/to", "../one")):
        (model / name).parent.mkdir()
        linked(target, name)
    with refused(FormatError, "link-cycle"):
        scan(model, allow_symlinks=True)


def test_links_that_double_on_every_level_meet_the_cap(model, refused):
    """Forty folders, a million million names: without a file in them only folders can be counted."""
    for level in range(40):
        (model / f"level{level}").mkdir()
        for link in ("x", "y"):
            (model / f"level{level}" / link).symlink_to(f"../level{level + 1}")
    (model / "level40").mkdir()
    with refused(LimitError, "too-many-files"):
        scan(model, allow_symlinks=True, max_files=1000)


def test_a_link_to_what_is_no_file(model, linked, refused):
    os.mkfifo(model / "sub" / "pipe")
    linked("sub/pipe")
    with refused(FormatError, "special-file"):
        scan(model, allow_symlinks=True, ignore=("sub",))


def test_a_link_under_an_unsafe_name(linked, refused):
    with refused(FormatError, "unsafe-name"):
        scan(linked("a.bin", "li\nnk"), allow_symlinks=True)


def test_an_ignored_link_is_not_followed(linked):
    with scan(linked("/etc"), allow_symlinks=True, ignore=("link",)) as tree:
        assert tree.ignored == ["link"]


def test_every_link_stays_inside_the_root_of_all(linked):
    """Nobody signs ``/``; but a rule that breaks there is no rule."""
    walk = Walk(Path("/"), [], Rules(allow_symlinks=True))
    walk._roots = [b"/"]
    assert walk._below(b"/etc/passwd", "link") == (0, "etc/passwd")
    assert walk._below(b"/", "link") == (0, "")


def test_a_link_through_a_folder_nobody_lets_us_see(public, grow, as_nobody, refused):
    grow(public / "model", {"a": b""})
    (public / "closed").mkdir(mode=0)
    (public / "model" / "link").symlink_to("../closed/x")
    with as_nobody(), refused(UnavailableError, "unreadable"):
        scan(public / "model", allow_symlinks=True)


# The cache of Hugging Face: snapshots/REVISION holds links into blobs/ beside snapshots/.


@pytest.fixture
def cache(tmp_path, grow):
    folder = grow(
        tmp_path / "models--acme--tiny",
        {"blobs/aa": b"weights", "blobs/sub/bb": b"", "refs/main": b"r", "snapshots/rev/sub": None},
    )
    (folder / "snapshots" / "rev" / "model.bin").symlink_to("../../blobs/aa")
    (folder / "snapshots" / "rev" / "sub" / "model.bin").symlink_to("../../../blobs/aa")
    return folder


def test_a_snapshot_is_read_through_its_blobs(cache, tmp_path):
    (tmp_path / "alias").symlink_to(cache / "snapshots" / "rev")
    for path in (cache / "snapshots" / "rev", tmp_path / "alias"):
        with scan(path, allow_symlinks=True) as tree:
            assert contents(tree) == {"model.bin": b"weights", "sub/model.bin": b"weights"}
            assert len(tree.bases) == 2
    with scan(cache / "snapshots" / "rev" / "model.bin") as tree:
        assert contents(tree) == {"model.bin": b"weights"}


@pytest.mark.parametrize(
    "target",
    ["../../blobs", "../../blobs/sub", "../../blobs/sub/bb", "../../refs/main", "../../blobs/../refs"],
)
def test_only_the_blobs_themselves_are_open_to_a_snapshot(target, cache, refused):
    (cache / "snapshots" / "rev" / "more").symlink_to(target)
    with refused(FormatError, "link-escapes"):
        scan(cache / "snapshots" / "rev", allow_symlinks=True)


def test_blobs_that_are_a_link_are_not_the_caches(cache, refused):
    (cache / "blobs").rename(cache / "elsewhere")
    (cache / "blobs").symlink_to("elsewhere")
    with refused(FormatError, "link-escapes"):
        scan(cache / "snapshots" / "rev", allow_symlinks=True)


def test_a_folder_that_is_no_snapshot_has_no_blobs(cache, refused):
    (cache / "snapshots").rename(cache / "shots")
    with refused(FormatError, "link-escapes"):
        scan(cache / "shots" / "rev", allow_symlinks=True)


def test_a_blob_replaced_after_the_walk_is_noticed(cache):
    with scan(cache / "snapshots" / "rev", allow_symlinks=True) as tree:
        (cache / "blobs" / "aa").unlink()
        (cache / "blobs" / "aa").symlink_to("sub/bb")
        with pytest.raises(Exception, match="file-changed"):
            contents(tree)


def fanning_out(folder, levels):
    """Folders that each link twice to the next: a path for every choice, and a handful of entries."""
    for level in range(levels):
        here = folder / f"d{level}"
        here.mkdir()
        for side in "ab":
            (here / side).symlink_to(f"../d{level + 1}")
    (folder / f"d{levels}").mkdir()
    (folder / f"d{levels}" / "file").write_bytes(b"x")
    return folder


def test_links_that_multiply_end_at_a_cap(tmp_path, refused):
    with refused(LimitError, "too-many-links") as caught:
        scan(fanning_out(tmp_path, 40), allow_symlinks=True)
    assert caught.value.evidence["limit"] == walk.MAX_LINKED_FOLDERS


def test_as_many_linked_folders_as_the_cap_are_entered(tmp_path, monkeypatch, refused):
    fanning_out(tmp_path, 3)  # 2 + 6 + 14 ways lead through a link to a folder
    monkeypatch.setattr(walk, "MAX_LINKED_FOLDERS", 22)
    with scan(tmp_path, allow_symlinks=True) as tree:
        assert len(tree.files) == 15
    monkeypatch.setattr(walk, "MAX_LINKED_FOLDERS", 21)
    with refused(LimitError, "too-many-links"):
        scan(tmp_path, allow_symlinks=True)


def test_what_is_skipped_is_skipped_where_a_linked_folder_shows_it_again(model, linked):
    linked("sub")
    with scan(model, allow_symlinks=True, skip=frozenset({"sub/b.bin"})) as tree:
        assert [file.name for file in tree.files] == ["a.bin", "link/deep/c.bin", "sub/deep/c.bin"]
        tree.check_unchanged()


def test_a_link_to_what_is_skipped_is_a_file_of_its_own(model, linked):
    """Under that name a loader would find it, and nobody signed the name."""
    linked("sub/b.bin")
    with scan(model, allow_symlinks=True, skip=frozenset({"sub/b.bin"})) as tree:
        assert [file.name for file in tree.files] == ["a.bin", "link", "sub/deep/c.bin"]
