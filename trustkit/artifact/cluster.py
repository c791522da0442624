"""An existing Dask cluster as an executor: workers hash, the signer's machine gets digests.

The law of this file: the cluster is trusted as this machine is. A worker that
lies makes a wrong signature, and what Dask brings back from it is unpickled
here. So nobody may stand in between: TLS with certificates that Dask's own
options name, or loopback. A worker that dies is Dask's to replace; when nobody
works any more, or pieces kill whoever takes them, that is said and nothing is signed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeVar

from trustkit.artifact.executors import LOOK_SECONDS, Watched
from trustkit.errors import TrustkitError, UnavailableError, UsageError, extra_needed
from trustkit.version import __version__

if TYPE_CHECKING:
    from distributed import Client, Security

T = TypeVar("T")

CONNECT_SECONDS = 10.0
"""How long a scheduler may take to answer."""
LONELY_SECONDS = 20.0
"""How long a cluster may be without a worker: one that grows on demand needs a while."""

_DISTRIBUTION = "model-trustkit"
_ADDRESS = re.compile(
    r"(dask|tls|tcp)://(\[[0-9a-fA-F:.]{2,45}\]|[0-9A-Za-z](?:[0-9A-Za-z.-]{0,251}[0-9A-Za-z])?):(\d{1,5})"
)
_LOOPBACK = re.compile(r"127(\.\d{1,3}){3}|localhost|\[::1\]")


class Cluster(Watched):
    """The workers behind one scheduler. Made by `joined`, which takes care of the connection.

    Args:
        client: Connected.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._executor = client.get_executor(pure=False)
        self._lonely = 0.0

    def submit(self, fn: Callable[..., T], /, *args: object, **kwargs: object) -> Future[T]:
        """Hand out one piece of work; it travels by name, so the workers need the same trustkit."""
        future: Future[T] = self._executor.submit(fn, *args, **kwargs)
        return future

    def check(self) -> None:
        """Look whether there is a worker.

        Raises:
            UnavailableError: ``worker-lost``: there was none for `LONELY_SECONDS`.
        """
        try:
            workers = self._client.sync(self._client.scheduler.ncores, callback_timeout=CONNECT_SECONDS)
        except (OSError, TimeoutError):  # no scheduler, no workers
            workers = {}
        self._lonely = 0.0 if workers else self._lonely + LOOK_SECONDS
        if self._lonely >= LONELY_SECONDS:
            raise UnavailableError(
                "worker-lost",
                f"the cluster has had no worker for {LONELY_SECONDS:.0f} seconds; start some and run again",
            )

    def explain(self, failure: BaseException) -> TrustkitError | None:
        """Say what became of work that did not end in a result or in an error of ours."""
        from distributed import KilledWorker

        if isinstance(failure, KilledWorker):
            return UnavailableError(
                "worker-lost",
                "several workers died over the same piece of work; look at their memory and logs",
            )
        if isinstance(failure, ImportError | AttributeError) or "deserializ" in str(failure):
            return UsageError(
                "cluster-mismatch",
                "the cluster cannot load what it is to do; its scheduler and workers need the same "
                f"trustkit, with its extra dask, as this machine ({type(failure).__name__})",
            )
        return None


@contextmanager
def joined(address: str) -> Iterator[Cluster]:
    """Connect to the scheduler of a Dask cluster for as long as the context lasts.

    Args:
        address: ``dask://HOST:PORT``, which is TLS but for loopback, or as Dask prints it: ``tls://HOST:PORT``,
            or ``tcp://HOST:PORT`` on loopback. Certificates are those of Dask's own options
            (``distributed.comm.tls``).

    Raises:
        UsageError: ``bad-cluster``, ``cluster-unencrypted``, ``cluster-without-certificates``,
            ``cluster-mismatch``, ``extra-needed``.
        UnavailableError: ``cluster-unreachable``.
    """
    scheme, where = _parsed(address)
    try:
        from distributed import Client, Security
    except ModuleNotFoundError as error:
        raise extra_needed("--cluster", error.name, "dask") from None
    security = Security(require_encryption=True) if scheme == "tls" else Security()
    if scheme == "tls":
        _demand_certificates(security)
    try:
        client = Client(
            f"{scheme}://{where}", security=security, timeout=CONNECT_SECONDS, set_as_default=False
        )
    except (OSError, TimeoutError) as error:
        raise UnavailableError(
            "cluster-unreachable",
            f"no scheduler answers at {address!r} ({type(error).__name__}); is it there, and are its "
            "certificates of the same authority?",
        ) from None
    try:
        _demand_same(client)
        yield Cluster(client)
    finally:
        client.close(timeout=CONNECT_SECONDS)


def _demand_same(client: Client) -> None:
    """Ask the workers for their trustkit first: one without it would not refuse its work, but die of it."""
    told = client.run(version, _DISTRIBUTION, on_error="return")
    others = sorted(
        {answer if isinstance(answer, str) else "none" for answer in told.values()} - {__version__}
    )
    if others:
        raise UsageError(
            "cluster-mismatch",
            f"a worker has trustkit {others[0]!r}, and this machine {__version__!r}; install the same",
        )


def _parsed(address: str) -> tuple[str, str]:
    """Return scheme and ``HOST:PORT`` as Dask knows them."""
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found[3]) < 1 << 16:
        raise UsageError(
            "bad-cluster", f"{address!r} is no address of a Dask scheduler, such as dask://scheduler:8786"
        )
    scheme, host, port = found.groups()
    near = _LOOPBACK.fullmatch(host) is not None
    if scheme == "tcp" and not near:
        raise UsageError(
            "cluster-unencrypted",
            f"anybody on the way could answer for {address!r}; have the cluster use TLS, and give tls://",
        )
    if scheme == "dask":
        scheme = "tcp" if near else "tls"
    return scheme, f"{host}:{port}"


def _demand_certificates(security: Security) -> None:
    missing = [
        option
        for option, value in (
            ("CA_FILE", security.tls_ca_file),
            ("CLIENT__CERT", security.tls_client_cert),
        )
        if not value
    ]
    if missing:
        names = ", ".join(f"DASK_DISTRIBUTED__COMM__TLS__{option}" for option in missing)
        raise UsageError(
            "cluster-without-certificates", f"TLS needs certificates; set Dask's options, such as {names}"
        )
