"""Outputs: new, or ours to replace; never an input, never a secret beside the weights."""

import os

import pytest

from trustkit.artifact.outputs import check_apart, check_not_inside, check_output, is_file_of
from trustkit.artifact.tree import scan
from trustkit.errors import UnavailableError, UsageError


def check(target, *, inputs=(), overwrite=False, replaceable=None):
    check_output(target, inputs=inputs, overwrite=overwrite, replaceable=replaceable)


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key.pem"
    path.write_text("secret")
    return path


def test_something_new(tmp_path, key):
    check(tmp_path / "new", inputs=[key, tmp_path / "absent"])


def test_what_exists_stays(tmp_path, refused):
    (tmp_path / "old").write_text("old")
    (tmp_path / "dangling").symlink_to("gone")
    for name in ("old", "dangling"):
        with refused(UsageError, "output-exists"):
            check(tmp_path / name)
    with refused(UsageError, "output-exists"):
        check(tmp_path)
    with pytest.raises(UsageError, match="is never replaced"):
        check(tmp_path / "old", overwrite=None)


def test_only_files_of_the_kind_are_replaced(tmp_path, refused):
    (tmp_path / "old").write_text("old")
    (tmp_path / "dangling").symlink_to("gone")
    os.mkfifo(tmp_path / "fifo")
    check(tmp_path / "old", overwrite=True)
    check(tmp_path / "old", overwrite=True, replaceable=lambda path: path.read_text() == "old")
    with refused(UsageError, "not-replaceable"):
        check(tmp_path / "old", overwrite=True, replaceable=lambda path: path.read_text() == "new")
    for name in ("dangling", "fifo", "."):
        with refused(UsageError, "not-replaceable"):
            check(tmp_path / name, overwrite=True)


@pytest.mark.parametrize(
    "name", ["key.pem", "./key.pem", "link", "hard", "folder/../key.pem", "alias/key.pem"]
)
def test_an_input_is_never_an_output(name, tmp_path, key, refused):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("key.pem")
    (tmp_path / "alias").symlink_to(".")
    os.link(key, tmp_path / "hard")
    for overwrite in (False, True):
        with refused(UsageError, "output-is-input"):
            check(tmp_path / name, inputs=[tmp_path / "other", key], overwrite=overwrite)


def test_an_input_that_does_not_exist_yet_either(tmp_path, refused):
    with refused(UsageError, "output-is-input"):
        check(tmp_path / "x", inputs=[tmp_path / "folder" / ".." / "x"])


@pytest.mark.parametrize("name", ["absent/new", "file/new", "n" * 256 + "/new"])
def test_the_folder_must_be_there(name, tmp_path, refused):
    (tmp_path / "file").touch()
    with refused(UsageError, "no-such-folder"):
        check(tmp_path / name)


def test_a_folder_nobody_lets_us_see(public, as_nobody, refused):
    (public / "closed").mkdir(mode=0)
    with as_nobody(), refused(UnavailableError, "unreadable"):
        check(public / "closed" / "sub" / "new")


def test_outputs_and_what_is_read_lie_apart(tmp_path, refused):
    (tmp_path / "model").mkdir()
    check_apart(tmp_path / "out", tmp_path / "model")
    for output in (tmp_path / "model" / "out", tmp_path):
        with refused(UsageError, "output-is-input"):
            check_apart(output, tmp_path / "model")


def test_a_key_inside_the_model(model, key, refused):
    inner = model / "sub" / "key.pem"
    inner.write_text("secret")
    (model.parent / "alias").symlink_to(inner)
    with scan(model) as tree:
        check_not_inside([key], model, tree)
        for given in (inner, model / "." / "sub" / ".." / "sub" / "key.pem", model.parent / "alias"):
            with refused(UsageError, "key-inside-model"):
                check_not_inside([key, given], model, tree)


def test_a_key_that_is_a_hard_link_into_the_model(model, key, refused):
    os.link(key, model / "innocent.bin")
    with scan(model) as tree, refused(UsageError, "key-inside-model"):
        check_not_inside([key], model, tree)


def test_a_key_the_caller_said_to_leave_out(model):
    (model / "secrets").mkdir()
    (model / "secrets" / "key.pem").touch()
    for ignore in ("secrets", "secrets/key.pem"):
        with scan(model, ignore=(ignore,)) as tree:
            check_not_inside([model / "secrets" / "key.pem"], model, tree)


def test_the_key_as_the_model(tmp_path, key, refused):
    with scan(key) as tree:
        check_not_inside([tmp_path / "other"], key, tree)
        with refused(UsageError, "key-inside-model"):
            check_not_inside([key], key, tree)


def test_a_file_is_known_by_identity(model, tmp_path):
    os.link(model / "a.bin", tmp_path / "hard")
    with scan(model) as tree:
        assert is_file_of(model / "a.bin", tree)
        assert is_file_of(tmp_path / "hard", tree)
        assert not is_file_of(model, tree)
        assert not is_file_of(tmp_path / "absent", tree)
