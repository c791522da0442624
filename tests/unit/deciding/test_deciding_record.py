"""The record of decisions: durable before the answer, chained, ours alone; and nothing of it is ever lost."""

import fcntl
import json
import os
import resource
import socket
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trustkit.deciding.chain import MAX_LINE_BYTES, MAX_TORN_BYTES, VERSION
from trustkit.deciding.record import RecordFile, verify_records
from trustkit.digest import digest_of
from trustkit.errors import FormatError, LimitError, UnavailableError, VerificationError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "record.jsonl"


def record_at(path, time=1_790_000_000.5):
    return RecordFile(path, clock=lambda: time)


def lines_of(path):
    return path.read_bytes().splitlines(keepends=True)


def verified(path):
    with path.open("rb") as file:
        return verify_records(file)


def written(path, count=3):
    record = record_at(path)
    return [record.append({"n": n}) for n in range(count)]


def broken(lines):
    with pytest.raises(VerificationError) as caught:
        verify_records(lines)
    assert caught.value.code == "record-broken"
    return caught.value.evidence["line"]


# Writing ----------------------------------------------------------------------------------------


def test_lines_are_chained_and_their_digests_returned(path):
    digests = written(path)
    lines = [json.loads(line) for line in lines_of(path)]
    assert [line["entry"] for line in lines] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert [line["sequence"] for line in lines] == [0, 1, 2]
    assert [line["previous"] for line in lines] == [None, str(digests[0]), str(digests[1])]
    assert {(line["version"], line["time"], line["torn"]) for line in lines} == {
        (VERSION, 1_790_000_000.5, None)
    }
    assert digests == [digest_of(line.removesuffix(b"\n")) for line in lines_of(path)]
    assert verified(path) == 3


def test_a_record_is_for_its_owner_alone(path):
    before = os.umask(0)
    try:
        written(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_line_is_on_the_disk_before_append_returns(path, monkeypatch):
    """The folder is synced for a new file, the file for every line; the last thing done to it is a sync."""
    done = []
    write, sync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda fd, data: done.append("write") or write(fd, data))
    monkeypatch.setattr(os, "fsync", lambda fd: done.append(stat.S_ISDIR(os.fstat(fd).st_mode)) or sync(fd))
    written(path, 2)
    assert done == ["write", False, True, "write", False]


def test_another_process_goes_on_with_the_chain(path):
    written(path)
    record_at(path).append({"who": "another"})
    written(path)
    assert verified(path) == 7


def test_two_that_know_different_ends_go_on_with_the_same_chain(path):
    one, two = record_at(path), record_at(path)
    for n in range(6):
        (one, two)[n % 2].append({"n": n})
    assert verified(path) == 6


def test_threads_append_one_after_the_other(path):
    record = record_at(path)
    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(lambda n: record.append({"n": n}), range(60)))
    assert (verified(path), len(digests)) == (60, 60)


MANY = """
import sys
from pathlib import Path
from trustkit.deciding.record import RecordFile
record = RecordFile(Path(sys.argv[1]), clock=lambda: 1.5)
for n in range(20):
    record.append({"n": n, "pad": "x" * 5_000})
"""


def test_processes_append_one_after_the_other(path):
    others = [subprocess.Popen([sys.executable, "-c", MANY, path]) for _ in range(3)]
    assert [other.wait(60) for other in others] == [0, 0, 0]
    assert verified(path) == 60


def test_whoever_holds_the_lock_is_waited_for(path):
    written(path, 1)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        thread = threading.Thread(target=lambda: record_at(path).append({"n": 1}))
        thread.start()
        thread.join(0.2)
        assert (thread.is_alive(), verified(path)) == (True, 1)
    thread.join(30)
    assert verified(path) == 2


def test_a_record_that_was_moved_away_is_followed_by_a_new_chain(path, tmp_path):
    record = record_at(path)
    record.append({"n": 0})
    path.rename(tmp_path / "old.jsonl")
    record.append({"n": 1})
    assert (verified(path), verified(tmp_path / "old.jsonl")) == (1, 1)


def test_an_append_only_descriptor_is_all_it_needs(path, monkeypatch):
    """Nothing is truncated and nothing overwritten, so `chattr +a` may protect the file."""
    for name in ("truncate", "ftruncate", "pwrite", "lseek"):
        monkeypatch.setattr(os, name, None)
    written(path)
    with path.open("ab") as file:
        file.write(b'{"entry":{"torn')
    written(path)
    assert verified(path) == 6


# What does not fit, and what is not ours --------------------------------------------------------


def test_an_entry_that_could_not_be_read_again_is_not_written(path):
    deep = {"a": 1}
    for _ in range(70):
        deep = {"a": deep}
    for entry, code in (({"a": "x" * MAX_LINE_BYTES}, "too-large"), (deep, "too-deep")):
        with pytest.raises(LimitError) as caught:
            record_at(path).append(entry)
        assert caught.value.code == code
    assert path.read_bytes() == b""
    assert written(path, 1)


def test_the_largest_line_fits(path):
    overhead = len(lines_of_one({"a": ""}, path))
    record_at(path).append({"a": "x" * (MAX_LINE_BYTES - overhead - 71)})
    written(path, 2)
    assert verified(path) == 4


def lines_of_one(entry, path):
    record_at(path).append(entry)
    return path.read_bytes()


def link(path, tmp_path):
    written(tmp_path / "elsewhere", 1)
    path.symlink_to(tmp_path / "elsewhere")


def dangling(path, tmp_path):
    path.symlink_to(tmp_path / "nowhere")


def fifo(path, tmp_path):
    os.mkfifo(path)


def folder(path, tmp_path):
    path.mkdir()


def unix_socket(path, tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


def others_write(path, tmp_path):
    written(path)
    path.chmod(0o620)


def text(path, tmp_path):
    path.write_text("root:x:0:0:root:/root:/bin/sh\n")


def json_lines(path, tmp_path):
    path.write_text('{"entry":1}\n')


def another_version(path, tmp_path):
    written(path, 1)
    path.write_bytes(path.read_bytes().replace(b"record/v1", b"record/v2"))
    path.write_bytes(path.read_bytes() + b"x")


def buried(path, tmp_path):
    written(path)
    with path.open("ab") as file:
        file.write(b"x" * (MAX_TORN_BYTES + 1))


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (link, "symlink"),
        (dangling, "symlink"),
        (fifo, "special-file"),
        (folder, "special-file"),
        (unix_socket, "special-file"),
        (others_write, "bad-record"),
        (text, "bad-record"),
        (json_lines, "bad-record"),
        (another_version, "bad-record"),
        (buried, "bad-record"),
    ],
)
def test_what_is_no_record_of_ours_is_not_written_to(path, tmp_path, monkeypatch, make, code):
    monkeypatch.chdir(tmp_path)
    make(path, tmp_path)
    before = path.lstat()
    for ask in (record_at(path).check, lambda: record_at(path).append({"n": 1})):
        with pytest.raises(FormatError) as caught:
            ask()
        assert caught.value.code == code
    after = path.lstat()
    assert (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    assert not (tmp_path / "nowhere").exists()


def test_a_device_is_refused():
    with pytest.raises(FormatError) as caught:
        record_at(Path("/dev/null")).append({"n": 1})
    assert caught.value.code == "special-file"


@pytest.mark.parametrize("name", ["missing/record.jsonl", "file/record.jsonl", "a\0b", "x" * 300])
def test_a_place_where_nothing_can_be_written(tmp_path, name):
    (tmp_path / "file").touch()
    record = record_at(tmp_path / name)
    with pytest.raises(UnavailableError) as caught:
        record.append({"n": 1})
    assert caught.value.code == "record-failed"


@pytest.mark.parametrize("name", ["missing/record.jsonl", "file/record.jsonl", "a\0b/c"])
def test_a_missing_folder_shows_when_a_face_starts(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError) as caught:
        record_at(tmp_path / name).check()
    assert caught.value.code == "record-failed"


def test_a_check_writes_nothing(path):
    record = record_at(path)
    record.check()
    assert not path.exists()
    record.append({"n": 0})
    before = path.read_bytes()
    record.check()
    record_at(path).check()
    assert path.read_bytes() == before


# Crashes and full disks -------------------------------------------------------------------------


@pytest.fixture
def full_disk():
    """A limit on the size of files, which fails as a full disk does, after a short write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 40, 150])
def test_a_full_disk_is_no_decision_and_loses_nothing(path, full_disk, room):
    record = record_at(path)
    record.append({"n": 0})
    before = path.read_bytes()
    full_disk(len(before) + room)
    for _ in range(2):
        with pytest.raises(UnavailableError) as caught:
            record.append({"n": 1})
        assert caught.value.code == "record-failed"
    full_disk(1 << 30)
    assert path.read_bytes().startswith(before)
    record.append({"n": 2})
    assert verified(path) == 2
    assert json.loads(lines_of(path)[-1])["entry"] == {"n": 2}


def test_a_sync_that_fails_is_no_decision(path, monkeypatch):
    record = record_at(path)
    record.append({"n": 0})

    def fail(descriptor):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(UnavailableError) as caught:
            record.append({"n": 1})
    assert (caught.value.code, "Input/output error" in caught.value.message) == ("record-failed", True)
    record.append({"n": 2})
    assert verified(path) == 3  # the line was written, though nobody was told so


@pytest.mark.parametrize(
    "left", [b'{"entry":{"n":', b"\n", b"{", b"garbage", b"\0" * 5_000, b"a\nb\n\nc", b"x" * 2_000_000]
)
def test_what_a_crash_left_is_kept_and_bound(path, left):
    written(path)
    with path.open("ab") as file:
        file.write(left)
    written(path)
    assert verified(path) == 6
    assert left in path.read_bytes()
    first_after = next(json.loads(line) for line in lines_of(path)[3:] if b'"sequence":3' in line)
    closed = left if left.endswith(b"\n") else left + b"\n"
    assert first_after["torn"] == str(digest_of(closed))


@pytest.mark.parametrize("left", [b"", b"{", b'{"entry":{"n":0},"prev', b"\0" * 600, b'{"entry":{"n"\n{"ent'])
def test_a_crash_in_the_first_line_is_survived(path, left):
    path.write_bytes(left)
    path.chmod(0o600)
    written(path)
    assert verified(path) == 3
    assert path.read_bytes().startswith(left)


def test_a_whole_line_that_only_lacks_its_end_is_the_chain_s(path):
    digests = written(path)
    path.write_bytes(path.read_bytes()[:-1])
    record_at(path).append({"n": 3})
    lines = [json.loads(line) for line in lines_of(path)]
    assert (verified(path), lines[3]["previous"], lines[3]["torn"]) == (4, str(digests[2]), None)


def test_a_long_line_far_behind_is_found(path):
    record_at(path).append({"pad": "x" * 900_000})
    with path.open("ab") as file:
        file.write(b"left\n" * 100_000)
    record_at(path).append({"n": 1})
    assert verified(path) == 2


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(0, 400), min_size=1, max_size=5),
    pads=st.lists(st.text(max_size=30), min_size=5, max_size=5),
)
def test_a_crash_at_any_byte_is_survived_without_loss(tmp_path_factory, cuts, pads):
    """Write, tear the end off, go on: what was whole before stays, and the chain holds."""
    path = tmp_path_factory.mktemp("torn") / "record"
    for cut, pad in zip(cuts, pads, strict=False):
        before = path.read_bytes() if path.exists() else b""
        record_at(path).append({"pad": pad})
        added = len(path.read_bytes()) - len(before)
        os.truncate(path, len(before) + max(0, added - cut))
    kept = path.read_bytes()
    record_at(path).append({"pad": "last"})
    assert path.read_bytes().startswith(kept)
    # A line that lacks no more than its line feed is whole.
    assert verified(path) == sum(cut <= 1 for cut in cuts) + 1


# Reading ----------------------------------------------------------------------------------------


def test_an_empty_record_holds_nothing():
    assert verify_records([]) == 0


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_line_that_was_changed_breaks_the_chain(path, number):
    written(path, 4)
    lines = lines_of(path)
    lines[number - 1] = lines[number - 1].replace(b'"n":', b'"N":')
    assert broken(lines) == number + 1


def test_a_last_line_that_was_changed_has_another_digest(path):
    *_, last = written(path)
    assert digest_of(lines_of(path)[-1].removesuffix(b"\n").replace(b'"n"', b'"N"')) != last


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_line_that_was_taken_out_breaks_the_chain(path, number):
    written(path, 4)
    lines = lines_of(path)
    del lines[number - 1]
    assert broken(lines) == number


def test_lines_that_were_swapped_or_doubled_break_the_chain(path):
    written(path, 4)
    lines = lines_of(path)
    assert broken([lines[0], lines[2], lines[1], lines[3]]) == 2
    assert broken([lines[0], *lines]) == 2


def test_a_line_of_another_record_breaks_the_chain(path, tmp_path):
    written(path, 3)
    for n in range(3):
        record_at(tmp_path / "other").append({"m": n})
    lines, others = lines_of(path), lines_of(tmp_path / "other")
    assert broken([lines[0], others[1], lines[2]]) == 2


@pytest.mark.parametrize("sequence", [0, 2, 7])
def test_numbers_run_without_gaps(path, sequence):
    """Whoever makes a chain of his own still cannot leave a number out."""
    written(path, 1)
    (first,) = lines_of(path)
    second = json.loads(first) | {"sequence": sequence, "previous": str(digest_of(first.removesuffix(b"\n")))}
    raw = json.dumps(second, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert broken([first, raw]) == 2


@pytest.mark.parametrize("slipped", [b"garbage\n", b"\n", b'{"entry":{}}\n', b'{"entry":{"n":1},'])
def test_what_was_slipped_in_later_breaks_the_chain(path, slipped):
    written(path, 3)
    lines = lines_of(path)
    assert broken([lines[0], slipped + lines[1] if not slipped.endswith(b"\n") else slipped, *lines[1:]]) in {
        2,
        3,
    }


def test_what_a_crash_left_cannot_be_changed_later(path):
    written(path, 2)
    with path.open("ab") as file:
        file.write(b'{"entry":{"torn')
    written(path, 1)
    lines = lines_of(path)
    assert verify_records(lines) == 3
    assert broken([*lines[:2], b'{"entry":{"TORN\n', lines[3]]) == 4
    assert broken([*lines[:2], lines[3]]) == 3


def test_what_a_crash_left_at_the_end_is_no_decision(path):
    written(path, 2)
    assert verify_records([*lines_of(path), b'{"entry":{"n":2},"prev']) == 2


def test_a_heap_of_bytes_between_lines_is_refused(path):
    written(path, 1)
    assert broken([*lines_of(path), *([b"x" * 999_999 + b"\n"] * 5)]) == 6


ODD = {
    "a number that is negative": lambda r: r.update(sequence=-1),
    "a number that is a text": lambda r: r.update(sequence="0"),
    "a time that is a text": lambda r: r.update(time="now"),
    "a time that is a boolean": lambda r: r.update(time=True),
    "no time": lambda r: r.pop("time"),
    "a digest that is none": lambda r: r.update(previous="sha256:00"),
    "a digest that is a number": lambda r: r.update(torn=1),
    "a member more": lambda r: r.update(more=1),
    "an entry that is none": lambda r: r.update(entry=[]),
    "another version": lambda r: r.update(version="trustkit.dev/record/v2"),
    "no version": lambda r: r.pop("version"),
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD.keys())
def test_a_line_of_another_form_is_none(path, change):
    written(path, 1)
    line = json.loads(lines_of(path)[0])
    change(line)
    raw = json.dumps(line, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert verify_records([raw]) == 0  # what a crash left, as far as anybody can tell
    written(path, 2)
    assert broken([raw, *lines_of(path)[1:]]) == 2


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=80).map(lambda raw: raw + b"\n") | st.just(b'{"entry":{'), max_size=6))
def test_any_lines_hold_no_decision(lines):
    assert verify_records(lines) == 0
