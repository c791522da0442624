"""Real trees in temporary folders, a way to lose root's rights, and a way to be exact about refusals."""

import contextlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture
def refused():
    """Expect a refusal of exactly this class and code."""

    @contextmanager
    def expect(kind, code):
        with pytest.raises(kind) as caught:
            yield caught
        assert type(caught.value) is kind
        assert caught.value.code == code
        assert "\n" not in caught.value.message

    return expect


@pytest.fixture
def grow():
    """Make files below a folder from a table of names and contents; None makes a folder."""

    def make(folder, table):
        for name, content in table.items():
            path = folder / name
            if content is None:
                path.mkdir(parents=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder

    return make


@pytest.fixture
def model(tmp_path, grow):
    return grow(
        tmp_path / "model", {"a.bin": b"aaa", "sub/b.bin": b"bb", "sub/deep/c.bin": b"", "empty": None}
    )


@pytest.fixture
def descriptors():
    """Count the files and folders that this process has open; servers of other tests have sockets."""

    def count():
        held = []
        for entry in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # the one that lists them
                held.append(str(entry.readlink()))
        return sum(1 for target in held if target.startswith("/") and not target.startswith("/proc/"))

    return count


@pytest.fixture
def public():
    """A folder that everybody may enter; those of pytest belong to their user alone."""
    folder = Path(tempfile.mkdtemp(prefix="trustkit-test-"))
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def as_nobody():
    """Do something without the rights of root, who may read everything."""

    @contextmanager
    def drop():
        if os.geteuid() != 0:
            yield
            return
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)

    return drop
