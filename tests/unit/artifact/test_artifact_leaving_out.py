"""What a signature leaves out: our own files, git's where they exist, what was asked, and nothing else."""

import pytest

from trustkit.artifact.leaving_out import hiding_place, left_out, needless
from trustkit.artifact.tree import scan
from trustkit.errors import FormatError, LimitError, UsageError

OURS = ("model.claims.jsonl", "model.sig")


def names(path, target, asked=(), most=100):
    return left_out(path, target, asked, most=most)


def test_our_own_files_always(model, tmp_path):
    assert names(model, tmp_path / "elsewhere.sig") == OURS
    assert names(model, model / "model.sig") == OURS
    assert names(model / "a.bin", model / "a.bin.sig") == OURS


def test_a_bundle_of_another_name_inside(model):
    assert names(model, model / "sub" / "my.sig") == (*OURS, "sub/my.sig")
    (model.parent / "alias").symlink_to("model")
    assert names(model.parent / "alias", model / "my.sig") == (*OURS, "my.sig")


def test_git_where_it_is_and_only_at_the_root(model, grow, tmp_path):
    grow(model, {".gitignore": b"", "sub/.git/config": b""})
    (model / ".github").symlink_to("gone")
    assert names(model, tmp_path / "x") == (".github", ".gitignore", *OURS)


@pytest.mark.parametrize(
    ("git", "found"),
    [
        ("present", (".gitignore",)),
        ("always", (".git", ".gitattributes", ".github", ".gitignore")),
        ("never", ()),
    ],
)
def test_git_s_names_as_the_caller_says(git, found, model, grow, tmp_path):
    grow(model, {".gitignore": b""})
    assert left_out(model, tmp_path / "x", (), most=100, git=git) == (*found, *OURS)
    assert left_out(model / "a.bin", tmp_path / "x", (), most=100, git=git) == OURS


def test_what_was_asked(model, tmp_path):
    assert names(model, tmp_path / "x", ["sub/", "b.bin", "b.bin"]) == ("b.bin", *OURS, "sub")


@pytest.mark.parametrize(
    "name", ["", "/", ".", "..", "../x", "/etc", "a//b", "./a", "a\nb", "x" * 5000, "\udcff"]
)
def test_a_name_that_is_not_of_the_model(name, model, tmp_path, refused):
    with refused(UsageError, "bad-ignore"):
        names(model, tmp_path / "x", [name])


def test_names_are_capped(model, tmp_path, refused):
    assert len(names(model, tmp_path / "x", ["a", "b"], most=4)) == 4
    with refused(LimitError, "too-many-ignores"):
        names(model, tmp_path / "x", ["a", "b", "c"], most=4)


def test_a_bundle_of_an_unsafe_name_inside(model, refused):
    with refused(FormatError, "unsafe-name"):
        names(model, model / "a\nb.sig")


@pytest.mark.parametrize("name", OURS)
def test_a_folder_under_one_of_our_names(name, model, tmp_path, refused):
    """It would be left out with all that is in it, now and for ever."""
    assert hiding_place(model) is None
    (model / name).write_bytes(b"")
    assert hiding_place(model) is None
    (model / name).unlink()
    (model / name).mkdir()
    assert hiding_place(model) == name
    with refused(FormatError, "special-file"):
        names(model, tmp_path / "x")


@pytest.mark.parametrize("name", [".gitattributes", ".gitignore"])
def test_a_folder_under_a_name_that_git_has_for_a_file(name, model, tmp_path, refused):
    (model / name).mkdir()
    assert hiding_place(model) is None
    assert hiding_place(model, (".git", name)) == name
    with refused(FormatError, "special-file"):
        names(model, tmp_path / "x")
    (model / name).rmdir()
    (model / name).write_bytes(b"")
    assert hiding_place(model, (name,)) is None
    assert name in names(model, tmp_path / "x")


def test_names_that_leave_nothing_out(model):
    with scan(model, ignore=("sub", "absent", "sub/b.bin")) as tree:
        assert list(needless(tree, ["sub/", "absent", "sub/b.bin"])) == ["absent"]
