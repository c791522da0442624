"""Any executor hashes as our threads do; its workers open the files anew, and say so if they are others."""

import os
import pickle
import signal
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from trustkit.artifact import executors
from trustkit.artifact.executors import Piece, engine_on, hash_on, hash_piece
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
        assert hash_piece(pickle.loads(pickle.dumps(piece))) == digest_of(FILES["a"][10:20]).value


@pytest.mark.parametrize("folder", ["none", "model/a", "link"])
def test_a_worker_that_does_not_see_the_artifact(folder, model, tmp_path, refused):
    (tmp_path / "link").symlink_to(model)
    with scan(model) as tree, refused(VerificationError, "file-changed"):
        hash_piece(Piece(str(tmp_path / folder), tree.files[0], 0, 1000, "sha256"))


def test_a_file_that_changed_is_refused_across_processes(model, processes, refused):
    with scan(model) as tree:
        (model / "a").write_bytes(b"other")
        with refused(VerificationError, "file-changed") as caught:
            manifest_of(tree, engine=engine_on(processes))
    assert caught.value.evidence == {"name": "a"}


def test_no_more_pieces_wait_than_fit(model, monkeypatch):
    monkeypatch.setattr(executors, "WAITING", 3)
    open_pieces, most, done = set(), [0], []

    class Counting(ThreadPoolExecutor):
        def submit(self, work, piece):
            future = super().submit(work, piece)
            open_pieces.add(future)
            most[0] = max(most[0], len(open_pieces))
            real = future.result
            future.result = lambda: (open_pieces.discard(future), real())[1]
            return future

    with Counting(1) as pool, scan(model) as tree:
        units = units_of(tree.files, method="shards", shard_size=10)
        found = hash_on(pool, tree, units, algorithm="sha256", progress=done.append)
        assert found == hash_values(tree, units, algorithm="sha256", workers=1)
    assert most[0] == 3
    assert sum(done) == 1010


def test_what_was_not_begun_is_taken_back(model, refused):
    taken_back = []

    class Stuck(Executor):
        def submit(self, work, piece):
            future = Future()
            future.add_done_callback(lambda future: taken_back.append(future.cancelled()))
            if piece.file.name == "a":
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


@pytest.mark.parametrize("at", ["submit", "result"])
def test_an_executor_that_gives_up(at, model, refused):
    class GivingUp(Executor):
        def submit(self, work, piece):
            if at == "submit":
                raise executors.BrokenExecutor
            future = Future()
            future.set_exception(CancelledError())
            return future

    with scan(model) as tree, refused(UnavailableError, "worker-lost"):
        manifest_of(tree, engine=engine_on(GivingUp()))
