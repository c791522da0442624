"""What lies at the output: whose it must be, what fits beside it, and who was first."""

import os

import pytest

from trustkit.errors import UnavailableError, UsageError, VerificationError
from trustkit.sidecar.output import demand_ours, demand_published, first_at, free_bytes, is_left
from trustkit.storage import staging as room
from trustkit.storage.staging import Staging


@pytest.fixture
def published(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    folder.chmod(0o555)
    return folder


def refused(output):
    with pytest.raises(VerificationError) as caught:
        demand_ours(output)
    return caught.value.code


def test_a_read_only_folder_of_our_own_may_be_what_we_published(published):
    demand_ours(published)


@pytest.mark.parametrize("mode", [0o755, 0o575, 0o557, 0o777])
def test_what_anybody_may_write_to_is_not(published, mode):
    published.chmod(mode)
    assert refused(published) == "not-published"


def test_what_another_user_owns_is_not(published, monkeypatch):
    """Its owner may make it writable again, whatever its mode says now."""
    ours = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: ours + 1)
    assert refused(published) == "not-published"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_that_was_given_away_is_not(published):
    os.chown(published, 65532, 0)
    assert refused(published) == "not-published"
    os.chown(published, 0, 65532)
    demand_ours(published)


def test_only_a_private_folder_of_our_own_may_have_been_left(published, tmp_path, monkeypatch):
    assert not is_left(published)
    published.chmod(0o700)
    assert is_left(published)
    published.chmod(0o2700)  # volumes may hand down their group
    assert is_left(published)
    (tmp_path / "link").symlink_to(published)
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "file").chmod(0o700)
    assert not is_left(tmp_path / "link")
    assert not is_left(tmp_path / "file")
    ours = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: ours + 1)
    assert not is_left(published)


def test_a_file_or_a_link_is_not(tmp_path, published):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "file").chmod(0o444)
    (tmp_path / "link").symlink_to(published)
    assert [refused(tmp_path / name) for name in ("file", "link")] == ["not-published"] * 2


def code_of(output):
    """What a probe is told; nothing where a model is published."""
    try:
        demand_published(output)
    except (VerificationError, UnavailableError) as error:
        return error.code
    return ""


def test_only_what_was_published_whole_is_published(tmp_path, monkeypatch):
    """Asked at every step of a real publication, after the rename too: only the last one answers it."""
    output = tmp_path / "model"
    asked = []
    for name in ("rename", "fchmod", "fsync", "lstat"):
        real = getattr(os, name)

        def step(*arguments, real=real, name=name, **options):
            done = real(*arguments, **options)
            if name != "lstat":
                asked.append((code_of(output), output.exists()))
            return done

        monkeypatch.setattr(room.os, name, step)
    with Staging(output, token="0" * 32) as staging:
        staging.write("sub/weights", b"w")
        assert code_of(output) == "not-published"
        assert code_of(tmp_path / f".model.staging-{'0' * 32}") == "not-published"
        staging.publish()
    monkeypatch.undo()
    first = asked.index(("", True))
    assert asked[:first].count(("not-published", True)) >= 1  # renamed, and still private
    assert {code for code, _ in asked[:first]} == {"not-published"}
    assert {code for code, _ in asked[first:]} == {""}
    assert code_of(output) == ""


def test_what_is_not_there_or_not_ours_is_not_published(tmp_path, published):
    assert code_of(tmp_path / "absent") == "not-published"
    (tmp_path / "file").write_bytes(b"")
    assert code_of(tmp_path / "file" / "model") == "not-published"
    (tmp_path / "link").symlink_to(published)
    assert code_of(tmp_path / "link") == "not-published"
    published.chmod(0o755)
    assert code_of(published) == "not-published"


def test_a_probe_that_cannot_look_says_so(tmp_path):
    assert code_of(tmp_path / ("x" * 300) / "model") == "unreadable"


def test_what_is_free_is_what_users_may_take(tmp_path, monkeypatch):
    found = type("Status", (), {"f_bavail": 3, "f_bfree": 100, "f_frsize": 4096, "f_bsize": 1})
    monkeypatch.setattr(os, "statvfs", lambda path: found if path == tmp_path else None)
    assert free_bytes(tmp_path / "model") == 3 * 4096


def test_a_place_that_cannot_be_looked_at_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    for folder in ("absent", "file/below"):
        with pytest.raises(UsageError) as caught:
            free_bytes(tmp_path / folder / "model")
        assert caught.value.code == "no-such-folder"

    def broken(_path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "statvfs", broken)
    with pytest.raises(UnavailableError) as caught:
        free_bytes(tmp_path / "model")
    assert caught.value.code == "unreadable"


def test_only_being_second_is_said_anew(tmp_path):
    with pytest.raises(UsageError) as caught, first_at(tmp_path):
        raise UsageError("no-such-folder", "as it was")
    assert caught.value.message == "as it was"
    with pytest.raises(UsageError) as caught, first_at(tmp_path / "model"):
        raise UsageError("output-exists", "use --overwrite")
    assert caught.value.code == "output-exists"
    assert "--overwrite" not in caught.value.message
    assert caught.value.evidence == {"path": str(tmp_path / "model")}
