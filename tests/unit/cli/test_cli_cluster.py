"""``--cluster`` on the command line: a real cluster, a real store, and every way to ask for it wrongly."""

import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="model-trustkit[dask] is not installed")

from trustkit import workflows
from trustkit.artifact import executors
from trustkit.artifact.cluster import joined
from trustkit.signing.key import generate_key, load_signer

pytestmark = pytest.mark.xdist_group("cluster")
FILES = {"config.json": b"{}", "weights/part-1": os.urandom(3 << 20), "weights/part-2": os.urandom(100)}


def payload(bundle):
    return json.loads(bundle.read_bytes())["dsseEnvelope"]["payload"]


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    private, public = generate_key("p256", passphrase=None)
    (folder / "author.pem").write_bytes(private)
    (folder / "author.pem.pub").write_bytes(public)
    return folder


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("here") / "model"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def there(bucket):
    return bucket.fill("cli/model", FILES)


@pytest.fixture
def asked(farm, keys, there):
    """The words that sign and verify a store on the cluster."""
    farm.ready()
    cluster = ("--cluster", farm.address)

    def words(verb, bundle, *more, place=there):
        key = keys / ("author.pem" if verb == "sign" else "author.pem.pub")
        return (verb, place, "--key", key, "--bundle", bundle, *cluster, *more)

    return words


@pytest.mark.parametrize("kind", ["bucket", "cloud"])
def test_a_store_and_a_folder_are_signed_alike_and_verify_each_other(
    kind, cli, asked, here, tmp_path, request
):
    """By processes on a cluster, of objects and of the same files on the disk they share; and by us alone."""
    there = request.getfixturevalue(kind).fill("cli/model", FILES)
    bundles = {name: tmp_path / f"{name}.sig" for name in ("store", "shared", "alone")}
    ran = cli(*asked("sign", bundles["store"], "--json", place=there))
    assert (ran.status, ran.document["files"]) == (0, 3), ran.err
    assert ran.document["bytes"] == sum(map(len, FILES.values()))
    assert cli(*asked("sign", bundles["shared"], place=here)).status == 0
    assert cli(*asked("sign", bundles["alone"], place=here)[:-2]).status == 0
    assert len({payload(bundle) for bundle in bundles.values()}) == 1
    assert cli(*asked("verify", bundles["alone"], place=there)).status == 0
    assert cli(*asked("verify", bundles["store"], place=here)).status == 0
    assert cli(*asked("verify", bundles["store"], place=here)[:-2]).status == 0


def test_what_differs_is_refused(cli, asked, bucket, tmp_path):
    place = bucket.fill("cli/other", FILES)
    assert cli(*asked("sign", tmp_path / "sig", place=place)).status == 0
    bucket.put("cli/other/config.json", b"[]")
    ran = cli(*asked("verify", tmp_path / "sig", "--json", place=place))
    assert (ran.status, ran.document["code"]) == (1, "digest-mismatch")
    assert ran.document["evidence"] == {"mismatched": ["config.json"]}


def test_the_program_itself_is_silent_but_for_its_answer(program, asked, tmp_path):
    """Nothing that Dask says or logs reaches whoever reads it."""
    ran = program(*asked("sign", tmp_path / "sig", "--json"))
    assert (ran.status, ran.err) == (0, "")
    assert ran.document["ok"]


def test_a_worker_that_is_killed_meanwhile_costs_nothing(farm, keys, tmp_path, monkeypatch):
    """Killed when the first load is done, with others in its hands."""
    monkeypatch.setattr(executors, "LOAD_BYTES", 1 << 20)
    killed = []

    def kill(_):
        if not killed:
            killed.append(next(iter(farm.cluster.workers.values())).process.pid)
            os.kill(killed[0], signal.SIGKILL)

    (big := tmp_path / "model").mkdir()
    for number in range(16):
        (big / f"part-{number}").write_bytes(os.urandom(2 << 20))
    key = load_signer(keys / "author.pem", passphrase=None)
    farm.ready()
    with joined(farm.address) as executor:
        signed = workflows.sign(big, key, bundle=tmp_path / "one", workers=executor, progress=kill)
    assert killed
    assert signed.manifest == workflows.sign(big, key, bundle=tmp_path / "other").manifest


@pytest.mark.parametrize("verb", ["sign", "verify"])
def test_an_address_needs_a_cluster_and_a_bundle(verb, cli, keys):
    key = keys / ("author.pem" if verb == "sign" else "author.pem.pub")
    ran = cli(verb, "s3://models/m", "--key", key, "--bundle", "x.sig")
    assert (ran.status, ran.code) == (2, "bad-arguments")
    assert "give --cluster" in ran.err
    ran = cli(verb, "s3://models/m", "--key", key, "--cluster", "tcp://127.0.0.1:1")
    assert (ran.status, ran.code) == (2, "bad-arguments")
    assert "--bundle" in ran.err


@pytest.mark.parametrize("flag", ["--allow-symlinks", "--previous", "--state-dir"])
def test_what_means_nothing_in_a_store_is_refused(flag, cli, keys):
    value = () if flag == "--allow-symlinks" else ("x",)
    words = (
        "--key",
        keys / "author.pem",
        "--bundle",
        "x.sig",
        "--cluster",
        "tcp://127.0.0.1:1",
        flag,
        *value,
    )
    ran = cli("sign", "s3://models/m", *words)
    assert (ran.status, ran.code) == (2, "bad-arguments")
    assert flag in ran.err


def test_adding_is_done_here(cli, keys, here):
    ran = cli("sign", here, "--add", "--key", keys / "author.pem", "--cluster", "tcp://127.0.0.1:1")
    assert (ran.status, ran.code) == (2, "bad-arguments")


@pytest.mark.parametrize(
    ("place", "code"),
    [("az://models/m", "bad-address"), ("s3://models//m", "bad-address"), ("gs://M/m", "bad-address")],
)
def test_other_addresses_are_named(place, code, cli, asked, tmp_path):
    ran = cli(*asked("sign", tmp_path / "sig", place=place))
    assert (ran.status, ran.code) == (2, code)


def test_a_path_that_looks_like_an_address_is_written_otherwise(cli, keys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:/models").mkdir(parents=True)
    Path("s3:/models/x").write_bytes(b"x")
    assert cli("sign", "./s3://models", "--key", keys / "author.pem").status == 0


def test_a_path_may_be_written_as_an_address(cli, keys, tmp_path):
    """What is signed by the one is verified by the other; no cluster and no bundle is asked for."""
    (model := tmp_path / "a model").mkdir()
    (model / "x").write_bytes(b"x")
    address = f"file://{tmp_path}/a%20model"
    assert cli("sign", address, "--key", keys / "author.pem").status == 0
    assert cli("verify", model, "--key", keys / "author.pem.pub").status == 0
    assert cli("verify", address, "--key", keys / "author.pem.pub").status == 0
    ran = cli("verify", f"file://elsewhere{tmp_path}", "--key", keys / "author.pem.pub")
    assert (ran.status, ran.code) == (2, "bad-arguments")
    assert "names no file here" in ran.err


@pytest.mark.parametrize(
    ("missing", "place", "extras"),
    [
        ("distributed", None, "dask"),
        ("s3fs", "s3://models/m", "dask"),
        ("gcsfs.core", "gs://models/m", "dask,gs"),
    ],
)
def test_without_the_extra_one_line_names_it(missing, place, extras, cli, asked, here, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    ran = cli(*asked("sign", tmp_path / "sig", "--json", place=place or here))
    assert (ran.status, ran.document["code"]) == (2, "extra-needed")
    assert ran.err.splitlines()[-1].endswith(f"pip install '.[{extras}]' [extra-needed]")
    assert ran.document["evidence"] == {"module": missing}


@pytest.mark.parametrize("more", [(), ("--debug",)])
def test_dask_is_heard_with_debug_alone(more, cli, asked, here, tmp_path, caplog):
    """It logs at any level that somebody joined; what is heard here is what would reach stderr."""
    with caplog.at_level(logging.DEBUG, logger="distributed"):
        assert cli(*asked("sign", tmp_path / "sig", *more, place=here)).status == 0
    heard = [record.name for record in caplog.records if record.name.startswith("distributed.")]
    assert bool(heard) is bool(more)


def test_no_thread_of_dask_is_left_working(cli, asked, here, tmp_path):
    before = threading.active_count()
    for _ in range(2):
        assert cli(*asked("sign", tmp_path / "sig", "--overwrite", place=here)).status == 0
    assert threading.active_count() <= before + 2
