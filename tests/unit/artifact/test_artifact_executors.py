"""Any executor hashes as our threads do; its workers open the files anew, and say so if they are others."""

import os
import pickle
import signal
import time
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import pytest

from trustkit.artifact import executors
from trustkit.artifact.executors import Piece, Watched, engine_on, hash_on, hash_pieces
from trustkit.artifact.hashing import hash_values, manifest_of, units_of
from trustkit.artifact.tree import scan
from trustkit.digest import digest_of
from trustkit.errors import UnavailableError, VerificationError

FILES = {"a": os.urandom(1000), "sub/b": os.urandom(10), "empty": b""}


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.fixture
def model(tmp_path, grow):
    return grow(tmp_path / "model", FILES)


@pytest.mark.parametrize("algorithm", ["sha256", "blake3"])
@pytest.mark.parametrize("how", [{}, {"method": "shards", "shard_size": 300}])
def test_other_processes_hash_as_we_do(how, algorithm, model, processes):
    with scan(model) as tree:
        ours = manifest_of(tree, algorithm=algorithm, **how)
        assert manifest_of(tree, algorithm=algorithm, engine=engine_on(processes), **how) == ours


def test_a_single_file(model, processes):
    with scan(model / "a") as tree:
        [resource] = manifest_of(tree, engine=engine_on(processes)).resources
    assert (resource.name, resource.digest) == ("a", digest_of(FILES["a"]))


def test_links_into_the_blobs_of_a_cache(tmp_path, grow, processes):
    """Files behind links lie below another folder; each piece names its own."""
    grow(tmp_path / "repo", {"blobs/1234": b"weights", "snapshots/main/config.json": b"{}"})
    (tmp_path / "repo/snapshots/main/model").symlink_to("../../blobs/1234")
    with scan(tmp_path / "repo/snapshots/main", allow_symlinks=True) as tree:
        assert manifest_of(tree, engine=engine_on(processes)) == manifest_of(tree)


def test_what_travels_is_whole(model):
    with scan(model) as tree:
        piece = Piece(os.path.realpath(model), tree.files[0], 10, 20, "sha256")
        assert hash_pieces(pickle.loads(pickle.dumps((piece,)))) == digest_of(FILES["a"][10:20]).value


@pytest.mark.parametrize("folder", ["none", "model/a", "link"])
def test_a_worker_that_does_not_see_the_artifact(folder, model, tmp_path, refused):
    (tmp_path / "link").symlink_to(model)
    with scan(model) as tree, refused(VerificationError, "file-changed"):
        hash_pieces([Piece(str(tmp_path / folder), tree.files[0], 0, 1000, "sha256")])


def test_a_file_that_changed_is_refused_across_processes(model, processes, refused):
    with scan(model) as tree:
        (model / "a").write_bytes(b"other")
        with refused(VerificationError, "file-changed") as caught:
            manifest_of(tree, engine=engine_on(processes))
    assert caught.value.evidence == {"name": "a"}


def test_no_more_pieces_wait_than_fit(model, monkeypatch):
    monkeypatch.setattr(executors, "WAITING", 3)
    monkeypatch.setattr(executors, "LOAD_BYTES", 1)
    open_loads, most, done = set(), [0], []

    class Counting(ThreadPoolExecutor):
        def submit(self, work, pieces):
            future = super().submit(work, pieces)
            open_loads.add(future)
            most[0] = max(most[0], len(open_loads))
            real = future.result
            future.result = lambda: (open_loads.discard(future), real())[1]
            return future

    with Counting(1) as pool, scan(model) as tree:
        units = units_of(tree.files, method="shards", shard_size=10)
        found = hash_on(pool, tree, units, algorithm="sha256", progress=done.append)
        assert found == hash_values(tree, units, algorithm="sha256", workers=1)
    assert most[0] == 3
    assert sum(done) == 1010


def test_what_was_not_begun_is_taken_back(model, refused, monkeypatch):
    monkeypatch.setattr(executors, "LOAD_PIECES", 1)
    taken_back = []

    class Stuck(Executor):
        def submit(self, work, pieces):
            future = Future()
            future.add_done_callback(lambda future: taken_back.append(future.cancelled()))
            if pieces[0].file.name == "a":
                future.set_exception(UnavailableError("unreadable", "a disk that fails"))
            return future

    with scan(model) as tree, refused(UnavailableError, "unreadable"):
        manifest_of(tree, engine=engine_on(Stuck()))
    assert taken_back == [False, True, True]


def test_a_worker_that_is_killed(model, refused):
    """The pool gives up, at the piece that waits or at the next one."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        os.kill(pool.submit(os.getpid).result(), signal.SIGKILL)
        with scan(model) as tree, refused(UnavailableError, "worker-lost"):
            while True:
                manifest_of(tree, engine=engine_on(pool))


@pytest.mark.parametrize("at", ["submit", "result", "cancelled"])
def test_an_executor_that_gives_up(at, model, refused):
    class GivingUp(Executor):
        def submit(self, work, pieces):
            if at == "submit":
                raise executors.BrokenExecutor
            future = Future()
            if at == "cancelled":
                future.cancel()
            else:
                future.set_exception(CancelledError())
            return future

    with scan(model) as tree, refused(UnavailableError, "worker-lost"):
        manifest_of(tree, engine=engine_on(GivingUp()))


class Answering(Watched):
    """An executor whose workers answer with whatever the test says, if at all."""

    def __init__(self, answer):
        self.answer = answer
        self.looks = 0

    def submit(self, work, pieces):
        self.future = Future()
        if isinstance(self.answer, BaseException):
            self.future.set_exception(self.answer)
        elif self.answer is not None:
            self.future.set_result(self.answer)
        return self.future

    def check(self):
        self.looks += 1
        if self.looks == 3:
            raise UnavailableError("worker-lost", "nobody came")

    def explain(self, failure):
        return UnavailableError("unreadable", "in our words") if isinstance(failure, KeyError) else None


@pytest.mark.parametrize("answer", [b"", bytes(95), bytes(97), "x" * 96, bytearray(96), ["a"]])
def test_what_is_no_digest_is_refused(answer, model, refused):
    """Three files travel in one load, and come back as three digests of 32 bytes, or not at all."""
    with scan(model) as tree, refused(UnavailableError, "bad-answer"):
        manifest_of(tree, engine=engine_on(Answering(answer)))


def test_small_files_travel_together_and_large_ones_alone(tmp_path, grow):
    loads = []

    class Noting(ThreadPoolExecutor):
        def submit(self, work, pieces):
            loads.append([(piece.file.name, piece.start, piece.end) for piece in pieces])
            return super().submit(work, pieces)

    files = {f"small-{number:03}": bytes([number % 251]) * number for number in range(300)}
    grow(tmp_path / "model", {**files, "large": bytes(5 << 20)})
    with Noting(1) as pool, scan(tmp_path / "model") as tree:
        assert manifest_of(tree, engine=engine_on(pool)) == manifest_of(tree)
    assert [len(load) for load in loads] == [1, 256, 44]
    assert loads[0] == [("large", 0, 5 << 20)]


def test_somebody_looks_while_nobody_answers(model, refused, monkeypatch):
    monkeypatch.setattr(executors, "LOOK_SECONDS", 0.01)
    executor = Answering(None)
    with scan(model) as tree, refused(UnavailableError, "worker-lost"):
        manifest_of(tree, engine=engine_on(executor))
    assert executor.looks == 3
    assert executor.future.cancelled()


def test_an_executor_that_cannot_be_asked_is_waited_for(model, monkeypatch):
    monkeypatch.setattr(executors, "LOOK_SECONDS", 0.001)

    class Slow(ThreadPoolExecutor):
        def submit(self, work, pieces):
            return super().submit(lambda: (time.sleep(0.05), work(pieces))[1])

    with Slow(1) as pool, scan(model) as tree:
        assert manifest_of(tree, engine=engine_on(pool)) == manifest_of(tree)


@pytest.mark.parametrize(
    ("failure", "kind"), [(KeyError("x"), UnavailableError), (LookupError("x"), LookupError)]
)
def test_an_executor_may_explain_its_own_failures(failure, kind, model):
    with scan(model) as tree, pytest.raises(kind):
        manifest_of(tree, engine=engine_on(Answering(failure)))


def test_another_machine_counts_its_devices_otherwise(model):
    """Each machine numbers its mounts as it likes; all else in a stamp is of the file system."""
    with scan(model) as tree:
        file = tree.files[0]
        there = replace(file, stamp=replace(file.stamp, device=file.stamp.device + 1))
        piece = Piece(os.path.realpath(model), there, 0, 1000, "sha256")
        assert hash_pieces([piece]) == digest_of(FILES["a"]).value


@pytest.mark.parametrize("field", ["inode", "size", "mtime_ns", "ctime_ns"])
def test_whatever_else_differs_is_another_file(field, model, refused):
    with scan(model) as tree:
        file = tree.files[0]
        stamp = replace(file.stamp, **{field: getattr(file.stamp, field) + 1})
        piece = Piece(os.path.realpath(model), replace(file, stamp=stamp), 0, 1000, "sha256")
        with refused(VerificationError, "file-changed"):
            hash_pieces([piece])
