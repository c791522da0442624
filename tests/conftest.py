"""What several rooms of tests share: the estate of real programs, and the forger of certificates."""

import contextlib
import functools
import gc
import importlib.util
import os
import re
import signal
import ssl
import sys
import time
from pathlib import Path

import pytest

GROUP = re.compile(r"^pytestmark = pytest\.mark\.xdist_group\(\"(\w+)\"\)$", re.MULTILINE)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep the files of a group in one process: they share what takes seconds to start.

    xdist 3.8 writes the group behind the name of each test, and pytest 9.2 does not let it; so the file is
    read for its mark. Without this every process starts a cluster of its own.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadGroupScheduling

    class ByFile(LoadGroupScheduling):
        @functools.cache  # noqa: B019 - one scheduler, for the whole run
        def _group(self, path):
            found = GROUP.search((config.rootpath / path).read_text(encoding="utf-8"))
            return found and found[1]

        def _split_scope(self, nodeid):
            return self._group(nodeid.split("::", 1)[0]) or super()._split_scope(nodeid)

    return ByFile(config, log)


def pytest_configure():
    """A shell lets what it runs in the background ignore Ctrl-C; tests that send one would wait for ever."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish():
    """Leave what thirteen thousand tests are made of out of every later search for garbage."""
    gc.collect()
    gc.freeze()


def simulator(name):
    """Load a simulator as a module: test folders are no packages, so it is found by its path."""
    path = Path(__file__).parent / "simulators" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"trustkit_tests_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def open_in():
    """Return what is held open in a folder: descriptors elsewhere come and go with other threads."""

    def open_in(folder):
        held = []
        for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names alone
            with contextlib.suppress(OSError):  # the one that lists them has gone
                if Path(f"/proc/self/fd/{number}").readlink().is_relative_to(folder):
                    held.append(number)
        return sorted(held)

    return open_in


@pytest.fixture(scope="session")
def estates():
    """The simulator of an estate, as a module."""
    return simulator("estate")


@pytest.fixture(scope="session")
def compiled_rules():
    """Load the rules of this version once for every number of instances, for tests that only ask them."""
    from trustkit.deciding.wasm import WasmEngine, packaged_bundle

    raw, load, made = packaged_bundle(), WasmEngine.load, []

    @functools.cache
    def kept(**options):
        made.append(load(raw, **options))
        return made[-1]

    yield raw, kept
    for engine in made:
        engine.close()


@pytest.fixture
def few_engines(compiled_rules, monkeypatch):
    """Load the rules of this version no second time, and close whatever else a test loads when it ends.

    To compile them takes a fifth of a second. And an engine that is dropped and not closed ticks a hundred
    times a second for ever; closing it out of the search for garbage is no way out, its library hangs there.
    """
    from trustkit.deciding.wasm import WasmEngine

    (raw, kept), load, made = compiled_rules, WasmEngine.load, []

    def loaded(bundle, **options):
        if bundle == raw:
            return kept(**options)
        made.append(load(bundle, **options))
        return made[-1]

    monkeypatch.setattr(WasmEngine, "load", loaded)
    yield
    for engine in made:
        engine.close()


@pytest.fixture(scope="session")
def forger():
    """The forger of certificates, as a module."""
    return simulator("certificates")


@pytest.fixture(scope="session")
def apiservers():
    """The real API server of Kubernetes, as a module; who uses it skips where it was not built."""
    return simulator("apiserver")


@pytest.fixture(scope="session")
def schemas():
    """The walk over schemas of resources, as a module."""
    return simulator("schemas")


@pytest.fixture(scope="session")
def lists():
    """The list of paths and its checks, as a module."""
    return simulator("paths")


@pytest.fixture(scope="session")
def listed(lists):
    """The list of every place at which a text can stand in a resource, and whether it names a model."""
    folder = Path(__file__).parent / "vectors" / "paths"
    return lists.List({path.name: path.read_text() for path in sorted(folder.glob("*.paths"))})


@pytest.fixture(scope="session")
def mutants():
    """Objects with a text at one place of the list, as a module."""
    return simulator("mutants")


@pytest.fixture(scope="session")
def farms():
    """Buckets and clusters, as a module; who uses it skips where they are not installed."""
    return simulator("farm")


@pytest.fixture(scope="session")
def bucket(farms):
    """A bucket on loopback, for the whole run."""
    for name in ("moto", "flask", "s3fs"):
        pytest.importorskip(name, reason=f"there is no {name}; model-trustkit[dask] or moto is not installed")
    with farms.bucket() as found:
        yield found


@pytest.fixture(scope="session")
def clouds(farms, tmp_path_factory):
    """A bucket of Google's kind on loopback, for the whole run; use `cloud`."""
    pytest.importorskip("gcsfs", reason="model-trustkit[gs] is not installed")
    with (
        simulator("gcs").cloud(tmp_path_factory.mktemp("cloud")) as found,
        farms.environ(**found.surroundings),
    ):
        yield found


@pytest.fixture
def cloud(clouds):
    """That bucket, as honest as it was before a test broke it."""
    yield clouds
    clouds.mend()


@pytest.fixture(scope="session")
def farm(farms, bucket, request):
    """A cluster of two processes, which find those buckets. Tests that use it are of one group, `cluster`."""
    if importlib.util.find_spec("gcsfs"):
        request.getfixturevalue("clouds")
    pytest.importorskip("distributed", reason="model-trustkit[dask] is not installed")
    with farms.farm() as found:
        yield found


@pytest.fixture(scope="session")
def estate(estates, tmp_path_factory):
    """One estate for the whole run; what a test breaks, it first makes for itself."""
    return estates.Estate(tmp_path_factory.mktemp("estate"))


@pytest.fixture(scope="session")
def model(estate):
    """A sealed model that nobody spoils."""
    return estate.sealed("acme/tiny-llm/1")


@pytest.fixture(scope="session")
def broker(estate):
    """The address of a broker that grants /sidecar the line."""
    process, address = estate.broker()
    with process:
        yield address


@pytest.fixture(scope="session")
def store(estate):
    """The address of a store that serves the estate's root to the trust domain."""
    process, address = estate.store()
    with process:
        yield address


@pytest.fixture(scope="session")
def aws_kms(forger, tmp_path_factory):
    """AWS KMS for the whole run, and the file that a client must trust; `kms` gives it to a test."""
    pytest.importorskip("moto", reason="the simulator of AWS KMS is moto's own server")
    folder, issuer = tmp_path_factory.mktemp("kms"), forger.Issuer(time.time(), uris=())
    for name, raw in issuer.files(uris=(), addresses=("127.0.0.1",)).items():
        (folder / name).write_bytes(raw)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "svid.pem", folder / "svid_key.pem")
    server = simulator("aws_kms").AwsKms(context)
    yield server, folder / "bundle.pem"
    server.close()


@pytest.fixture
def kms(aws_kms, monkeypatch, tmp_path):
    """AWS KMS as it should be, and an environment with credentials for it and for nothing else."""
    server, trusted = aws_kms
    server.heal()
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
        "AWS_SESSION_TOKEN": "FwoGZXIvYXdzTOKEN",
        "AWS_CA_BUNDLE": str(trusted),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
    }.items():
        monkeypatch.setenv(name, value)
    return server
