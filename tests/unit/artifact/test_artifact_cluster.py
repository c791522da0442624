"""A real Dask cluster hashes as we do, survives the loss of workers, and says when nobody is left."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="model-trustkit[dask] is not installed")

from trustkit.artifact import cluster as clusters
from trustkit.artifact import executors
from trustkit.artifact.cluster import joined
from trustkit.artifact.executors import Piece, engine_on, hash_pieces
from trustkit.artifact.hashing import manifest_of
from trustkit.artifact.tree import scan
from trustkit.errors import UnavailableError, UsageError, VerificationError

pytestmark = pytest.mark.xdist_group("cluster")


@pytest.fixture
def crew(farm):
    farm.ready()
    return farm


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(executors, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(clusters, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(clusters, "LONELY_SECONDS", 0.3)
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 0.5)


@pytest.fixture
def model(tmp_path, grow):
    files = {f"part-{number}": os.urandom(1000 + number) for number in range(20)}
    return grow(tmp_path / "model", {**files, "large": os.urandom(6 << 20), "empty": b""})


@pytest.mark.parametrize("how", [{}, {"method": "shards", "shard_size": 1 << 20}, {"algorithm": "blake3"}])
def test_workers_hash_as_we_do(how, model, crew):
    with joined(crew.address) as executor, scan(model) as tree:
        assert manifest_of(tree, engine=engine_on(executor), **how) == manifest_of(tree, **how)


def test_a_file_that_changed_is_refused_by_the_worker(model, crew, refused):
    with joined(crew.address) as executor, scan(model) as tree:
        (model / "large").write_bytes(b"other")
        with refused(VerificationError, "file-changed") as caught:
            manifest_of(tree, engine=engine_on(executor))
    assert caught.value.evidence == {"name": "large"}


def dying_once(note, pieces):
    """Die of the first load as of the kernel's hand, and do the work when it comes again."""
    try:
        Path(note).touch(exist_ok=False)
    except FileExistsError:
        return hash_pieces(pieces)
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def always_dying(pieces):
    os.kill(os.getpid(), signal.SIGKILL)


def by_value(work):
    """Send work of a test by its text: workers cannot import a file of tests."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[work.__module__])
    return work


def test_a_worker_that_dies_of_its_work_is_replaced_and_nothing_is_lost(model, crew, tmp_path):
    from functools import partial

    work = partial(by_value(dying_once), str(tmp_path / "note"))
    with joined(crew.address) as executor, scan(model) as tree:
        file = next(file for file in tree.files if file.name == "large")
        piece = Piece(os.path.realpath(model), file, 0, file.stamp.size, "sha256")
        assert executor.submit(work, (piece,)).result(timeout=60) == hash_pieces((piece,))
    assert (tmp_path / "note").exists()


def test_work_that_kills_whoever_takes_it_ends_in_words(crew, model, monkeypatch):
    monkeypatch.setattr(crew.cluster.scheduler, "allowed_failures", 1)  # two workers, not four
    with joined(crew.address) as executor:
        failure = executor.submit(by_value(always_dying), ()).exception(timeout=60)
        explained = executor.explain(failure)
    assert (type(explained), explained.code) == (UnavailableError, "worker-lost")


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (ModuleNotFoundError("trustkit"), "cluster-mismatch"),
        (AttributeError("hash_pieces"), "cluster-mismatch"),
        (RuntimeError("Error during deserialization of the task graph."), "cluster-mismatch"),
        (RuntimeError("anything else"), None),
    ],
)
def test_what_a_worker_without_our_code_says_is_told_as_that(failure, code, crew):
    with joined(crew.address) as executor:
        explained = executor.explain(failure)
    assert (explained and (type(explained), explained.code)) == (code and (UsageError, code))


@pytest.mark.parametrize(("name", "value"), [("__version__", "9.9"), ("_DISTRIBUTION", "model-nothing")])
def test_workers_with_another_trustkit_get_no_work(name, value, crew, monkeypatch, refused):
    monkeypatch.setattr(clusters, name, value)
    with refused(UsageError, "cluster-mismatch"), joined(crew.address):
        pass


def test_when_nobody_works_any_more_that_is_said(farms, model, impatient, refused):
    """First the workers go, and the scheduler says so; then the scheduler goes, with all that waits."""
    alone = farms.farm(workers=1, processes=False)
    with alone as farm, joined(farm.address) as executor, scan(model) as tree:
        farm.dismiss()
        with refused(UnavailableError, "worker-lost") as caught:
            manifest_of(tree, engine=engine_on(executor))
        assert "no worker" in caught.value.message
        executor.submit(hash_pieces, ())
        farm.close()
        with refused(UnavailableError, "worker-lost"):
            manifest_of(tree, engine=engine_on(executor))


def test_nobody_answers(refused, monkeypatch):
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 0.2)
    with refused(UnavailableError, "cluster-unreachable"), joined("tcp://127.0.0.1:1"):
        pass


@pytest.mark.parametrize(
    "address",
    ["tcp://10.0.0.1:8786", "tcp://scheduler:8786", "tcp://127.0.0.1.evil.example:8786", "tcp://[::2]:8786"],
)
def test_without_tls_nothing_but_loopback(address, refused):
    with refused(UsageError, "cluster-unencrypted"), joined(address):
        pass


@pytest.mark.parametrize(
    "address",
    [
        *("", "8786", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:0", "tcp://127.0.0.1:65536"),
        *("tls://a b:1", "tcp://127.0.0.1:1/x", "tcp://127.0.0.1:1\n", "dask://127.0.0.1"),
        *("inproc://127.0.0.1:1", "ucx://127.0.0.1:1", "TCP://127.0.0.1:1"),
    ],
)
def test_what_is_no_address_of_a_scheduler(address, refused):
    with refused(UsageError, "bad-cluster"), joined(address):
        pass


def test_without_dask_the_extra_is_named(monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with refused(UsageError, "extra-needed") as caught, joined("tcp://127.0.0.1:1"):
        pass
    assert caught.value.message == (
        "--cluster needs distributed; install it from the source of trustkit: pip install '.[dask]'"
    )


class Certified:
    """Certificates of one authority, in files, as Dask's options name them."""

    def __init__(self, forger, folder):
        issuer = forger.Issuer(time.time())
        leaf, key = issuer.leaf("/cluster")
        folder.mkdir()
        (folder / "ca.pem").write_bytes(forger.pem(issuer.certificate))
        (folder / "cert.pem").write_bytes(forger.pem(leaf))
        (folder / "key.pem").write_bytes(forger.key_pem(key))
        self.folder = folder

    def options(self):
        options = {"distributed.comm.tls.ca-file": str(self.folder / "ca.pem")}
        for role in ("client", "scheduler", "worker"):
            options[f"distributed.comm.tls.{role}.cert"] = str(self.folder / "cert.pem")
            options[f"distributed.comm.tls.{role}.key"] = str(self.folder / "key.pem")
        return options


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("dask://127.0.0.1:8786", ("tcp", "127.0.0.1:8786")),
        ("dask://[::1]:8786", ("tcp", "[::1]:8786")),
        ("dask://scheduler:8786", ("tls", "scheduler:8786")),
        ("dask://127.0.0.1.evil.example:8786", ("tls", "127.0.0.1.evil.example:8786")),
        ("tls://127.0.0.1:8786", ("tls", "127.0.0.1:8786")),
    ],
)
def test_what_is_not_on_loopback_is_tls(address, where):
    assert clusters._parsed(address) == where


def test_a_cluster_by_the_name_of_its_engine(farms, model):
    with (
        farms.farm(workers=1, processes=False) as farm,
        joined(farm.address.replace("tcp://", "dask://")) as executor,
        scan(model) as tree,
    ):
        assert manifest_of(tree, engine=engine_on(executor)) == manifest_of(tree)


def test_tls_needs_certificates(refused):
    with refused(UsageError, "cluster-without-certificates") as caught, joined("tls://127.0.0.1:1"):
        pass
    assert "DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in caught.value.message


def test_over_tls_both_sides_show_certificates_of_one_authority(
    farms, forger, model, tmp_path, refused, monkeypatch
):
    import dask

    ours, others = Certified(forger, tmp_path / "ours"), Certified(forger, tmp_path / "others")
    with dask.config.set(ours.options()), farms.farm(workers=1, processes=False, protocol="tls://") as farm:
        assert farm.address.startswith("tls://")
        with joined(farm.address) as executor, scan(model) as tree:
            assert manifest_of(tree, engine=engine_on(executor)) == manifest_of(tree)
        monkeypatch.setattr(clusters, "CONNECT_SECONDS", 0.5)
        with (
            dask.config.set(others.options()),
            refused(UnavailableError, "cluster-unreachable"),
            joined(farm.address),
        ):
            pass
        plain = farm.address.replace("tls://", "tcp://")
        with refused(UnavailableError, "cluster-unreachable"), joined(plain):
            pass
