"""Digests of bytes that nobody changed meanwhile, however they are cut and however many threads read them."""

import hashlib
import os
import signal
import threading
from pathlib import Path

import pytest
from blake3 import blake3

from trustkit.artifact import hashing
from trustkit.artifact.files import stamp_of
from trustkit.artifact.hashing import hash_values, manifest_of, units_of
from trustkit.artifact.manifest import Resource
from trustkit.artifact.tree import scan
from trustkit.digest import digest_of
from trustkit.errors import FormatError, LimitError, UnavailableError, UsageError, VerificationError

SMALL = 64


@pytest.fixture
def small_buffer(monkeypatch):
    """Make files of a few hundred bytes many buffers long."""
    monkeypatch.setattr(hashing, "BUFFER", SMALL)


def long_ago(folder):
    for path in folder.rglob("*"):
        os.utime(path, ns=(1, 1))
    return folder


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, 2 * SMALL, 10 * SMALL, 10 * SMALL + 1])
@pytest.mark.parametrize("algorithm", ["sha256", "blake2b", "blake3"])
def test_sizes_around_multiples_of_the_buffer(size, algorithm, tmp_path, small_buffer):
    raw = os.urandom(size)
    (tmp_path / "f").write_bytes(raw)
    expected = {
        "sha256": lambda: hashlib.sha256(raw).digest(),
        "blake2b": lambda: hashlib.blake2b(raw).digest(),
        "blake3": lambda: blake3(raw).digest(),
    }
    with scan(tmp_path) as tree:
        [resource] = manifest_of(tree, algorithm=algorithm).resources
    assert resource.name == "f"
    assert resource.digest.value == expected[algorithm]()


def test_a_file_longer_than_real_buffers(tmp_path):
    raw = os.urandom(hashing.BUFFER) * 3 + b"tail"
    (tmp_path / "f").write_bytes(raw)
    with scan(tmp_path) as tree:
        assert manifest_of(tree).resources == (Resource("f", digest_of(raw)),)


@pytest.mark.parametrize("algorithm", ["sha256", "blake2b", "blake3"])
@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("sizes", [(1000,), (1000, 10), (600, 600), (500, 500, 500), (10, 0)])
def test_a_unit_with_more_than_its_share_is_read_ahead(sizes, workers, algorithm, tmp_path, monkeypatch):
    """Which of them that are must not show in any digest."""
    monkeypatch.setattr(hashing, "LARGE", 100)
    monkeypatch.setattr(hashing, "WIDE_BUFFER", SMALL)
    alone = []
    real = hashing.Ahead
    monkeypatch.setattr(
        hashing, "Ahead", lambda stream, **how: alone.append(stream.name) or real(stream, **how)
    )
    raws = {f"f{number}": os.urandom(size) for number, size in enumerate(sizes)}
    for name, raw in raws.items():
        (tmp_path / name).write_bytes(raw)
    with scan(tmp_path) as tree:
        found = manifest_of(tree, algorithm=algorithm, workers=workers).resources
    assert {resource.name: resource.digest for resource in found} == {
        name: digest_of(raw, algorithm) for name, raw in raws.items()
    }
    share = sum(sizes) / workers
    assert sorted(alone) == [name for name, raw in raws.items() if len(raw) >= 100 and len(raw) > share]


@pytest.mark.parametrize("workers", [1, 2, 4, 64, 1000])
def test_all_buffers_together_stay_small(workers):
    """On however many cores, with as many files, each of them large or not."""
    lanes = max(workers, hashing.READS_IN_FLIGHT)
    wide = hashing._fitting(hashing.WIDE_BUFFER, hashing.READERS * lanes)
    floor = 64 << 10
    assert wide * hashing.READERS * lanes <= max(hashing.MEMORY, floor * hashing.READERS * lanes)
    assert hashing._fitting(hashing.BUFFER, lanes) * lanes <= max(hashing.MEMORY, floor * lanes)


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_shards_tile_every_file(workers, tmp_path, grow, small_buffer):
    table = {"a": os.urandom(250), "b/c": b"", "exact": os.urandom(200), "one": b"1"}
    with scan(grow(tmp_path / "model", table)) as tree:
        manifest = manifest_of(tree, method="shards", shard_size=100, workers=workers)
    expected = [
        Resource(name, digest_of(raw[start : start + 100]), start, min(start + 100, len(raw)))
        for name, raw in table.items()
        for start in range(0, max(len(raw), 1), 100)
    ]
    assert manifest.resources == tuple(sorted(expected, key=lambda resource: resource.name))
    assert (manifest.method, manifest.shard_size) == ("shards", 100)


def test_resources_sort_by_name_as_text(tmp_path, grow):
    table = dict.fromkeys(("a/b", "a-b", "a.b", "a"), b"x") | {"a": b"x" * 12}
    del table["a/b"]
    with scan(grow(tmp_path / "model", table)) as tree:
        names = [resource.name for resource in manifest_of(tree, method="shards", shard_size=2).resources]
    assert names == sorted(names)
    assert names.index("a:10:12") < names.index("a:2:4")


def test_units_come_in_one_order(tmp_path, grow):
    with scan(grow(tmp_path / "model", {"b": b"123", "a": b"12", "c": b""})) as tree:
        units = units_of(tree.files, method="shards", shard_size=2)
        assert [(unit.file.name, unit.start, unit.end) for unit in units] == [
            *(("a", 0, 2), ("b", 0, 2), ("b", 2, 3), ("c", 0, 0))
        ]
        found = hash_values(tree, units, algorithm="sha256", workers=3)
        assert found == b"".join(digest_of(raw).value for raw in (b"12", b"12", b"3", b""))
        assert hash_values(tree, [], algorithm="sha256", workers=3) == b""


@pytest.mark.parametrize("size", [0, -1, None])
def test_a_shard_size_is_positive(size, tmp_path, grow, refused):
    with scan(grow(tmp_path / "model", {"a": b""})) as tree, refused(UsageError, "bad-shard-size"):
        manifest_of(tree, method="shards", shard_size=size)


def test_shards_are_counted_before_they_are_cut(tmp_path, refused):
    with (tmp_path / "giant").open("wb") as file:
        file.truncate(1 << 42)
    with scan(tmp_path) as tree, refused(LimitError, "too-many-resources"):
        manifest_of(tree, method="shards", shard_size=1)


def test_an_empty_model_proves_nothing(tmp_path, grow, refused):
    with scan(grow(tmp_path / "model", {"empty": None})) as tree, refused(FormatError, "empty-model"):
        manifest_of(tree)


def test_progress_adds_up(tmp_path, grow, small_buffer):
    seen = []
    with scan(grow(tmp_path / "model", {"a": b"x" * 1000, "b": b"x" * 10})) as tree:
        manifest_of(tree, progress=seen.append)
    assert sum(seen) == 1010
    assert max(seen) == SMALL


# Files that change while they are read: the progress of the first buffer is the moment.


def append(path):
    with path.open("ab") as file:
        file.write(b"x")


def cut(path):
    os.truncate(path, SMALL)


def cut_and_fill_up(path):
    os.truncate(path, SMALL)
    os.truncate(path, 5 * SMALL)


def overwrite(path):
    with path.open("r+b") as file:
        file.write(b"evil")


def replace(path):
    path.with_name("new").write_bytes(path.read_bytes())
    path.with_name("new").rename(path)


@pytest.mark.parametrize("change", [append, cut, cut_and_fill_up, overwrite, replace, Path.unlink])
@pytest.mark.parametrize("method", ["files", "shards"])
def test_a_file_that_changes_while_it_is_read(change, method, tmp_path, small_buffer, refused, descriptors):
    (tmp_path / "f").write_bytes(b"x" * 5 * SMALL)
    moments = iter([change])

    def progress(size):
        for act in moments:
            act(tmp_path / "f")

    with scan(long_ago(tmp_path)) as tree:
        before = descriptors()
        with refused(VerificationError, "file-changed") as caught:
            manifest_of(tree, method=method, shard_size=2 * SMALL, progress=progress, workers=1)
        assert caught.value.evidence == {"name": "f"}
        assert descriptors() == before


def test_a_file_that_changes_after_its_last_byte_was_read(tmp_path, refused):
    (tmp_path / "f").write_bytes(b"x")
    with scan(long_ago(tmp_path)) as tree, refused(VerificationError, "file-changed"):
        manifest_of(tree, progress=lambda size: overwrite(tmp_path / "f"))


@pytest.mark.parametrize("path", ["/proc/version", "/proc/self/status"])
def test_a_file_that_holds_more_than_its_size_says(path, refused):
    """The kernel makes these up when they are read; by their size they are empty."""
    with scan(Path(path)) as tree, refused(VerificationError, "file-changed"):
        manifest_of(tree)


def test_a_file_that_holds_less_than_its_size_says(refused):
    path = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not path.is_file():
        pytest.skip("this kernel shows no such file")
    with scan(path) as tree, refused(VerificationError, "file-changed"):
        manifest_of(tree)


@pytest.mark.parametrize("call", ["preadv", "pread"])
def test_a_disk_that_fails_while_reading(call, tmp_path, refused, monkeypatch, grow):
    def broken(descriptor, into, offset):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, call, broken)
    with (
        scan(grow(tmp_path / "model", {"sub/f": b"x"})) as tree,
        refused(UnavailableError, "unreadable") as caught,
    ):
        manifest_of(tree)
    assert caught.value.evidence == {"name": "sub/f"}


# What goes wrong in one place ends the work in all: the other file is a terabyte, and nobody waits for it.


@pytest.fixture
def terabyte(tmp_path):
    with (tmp_path / "terabyte").open("wb") as file:
        file.truncate(1 << 40)
    return tmp_path


@pytest.mark.parametrize("algorithm", ["sha256", "blake3"])
def test_ctrl_c_ends_reading_ahead(algorithm, terabyte):
    """One large file: read by threads of its own, hashed by another, and all of them end."""
    sent = iter([signal.SIGINT])

    def progress(size):
        for number in sent:
            signal.pthread_kill(threading.main_thread().ident, number)

    before = threading.active_count()
    with scan(terabyte) as tree, pytest.raises(KeyboardInterrupt):
        manifest_of(tree, algorithm=algorithm, workers=4, progress=progress)
    assert threading.active_count() == before


def test_an_error_ends_the_work_on_other_files(terabyte, refused):
    (terabyte / "f").write_bytes(b"x")
    with scan(terabyte) as tree:
        (terabyte / "f").unlink()
        with refused(VerificationError, "file-changed") as caught:
            manifest_of(tree, workers=2)
    assert caught.value.evidence == {"name": "f"}


def test_ctrl_c_ends_the_work(terabyte):
    sent = iter([signal.SIGINT])

    def progress(size):
        for number in sent:
            signal.pthread_kill(threading.main_thread().ident, number)

    with scan(terabyte) as tree, pytest.raises(KeyboardInterrupt):
        manifest_of(tree, workers=2, progress=progress)


def test_a_progress_that_fails_ends_the_work(terabyte):
    def progress(size):
        raise BrokenPipeError

    with scan(terabyte) as tree, pytest.raises(BrokenPipeError):
        manifest_of(tree, workers=2, progress=progress)


def test_a_stamp_is_of_one_file(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    one, other = (stamp_of((tmp_path / name).stat()) for name in "ab")
    assert one == stamp_of((tmp_path / "a").stat())
    assert one != other


def test_units_of_whole_files_are_a_sequence(tmp_path, grow):
    with scan(grow(tmp_path / "model", {"b": b"123", "a": b"12", "c": b""})) as tree:
        units = units_of(tree.files, method="files", shard_size=None)
        assert units[:] == list(units) == units_of(list(tree.files), method="files", shard_size=None)[:]
        assert [(unit.file.name, unit.size) for unit in units] == [("a", 2), ("b", 3), ("c", 0)]
        assert hash_values(
            tree, units_of(list(tree.files), method="files", shard_size=None), algorithm="sha256", workers=1
        ) == hash_values(tree, units, algorithm="sha256", workers=2)
