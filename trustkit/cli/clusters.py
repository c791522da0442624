"""``--cluster``: hashing on the workers of a Dask cluster, of files they see too or of objects in S3 or GCS.

Nothing of Dask is loaded, and nothing of it is heard, unless the flag is given.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.cli.keys import refuse_unless
from trustkit.cli.parser import Parser, path_of, text_of

if TYPE_CHECKING:
    from concurrent.futures import Executor


def take_cluster(parser: Parser) -> None:
    """Add the flag."""
    parser.one(
        "--cluster",
        "hash on the workers of this Dask cluster, which you trust as this machine: dask://HOST:PORT; they"
        " see PATH under the same name, or read it where it is s3://BUCKET/FOLDER or gs://BUCKET/FOLDER (then"
        " with --bundle)",
        metavar="ADDRESS",
        kind=text_of,
    )


def artifact_of(untrusted: str) -> Path | str:
    """Take a path, also as ``file:///PATH``, or an address in a store as the text it is."""
    from trustkit.errors import UsageError
    from trustkit.storage.addresses import is_address, path_at

    try:
        local = path_at(untrusted)
    except UsageError as error:
        raise argparse.ArgumentTypeError(error.message) from None
    if local is not None:
        return path_of(local)
    return text_of(untrusted) if is_address(untrusted) else path_of(untrusted)


def demand_cluster(path: Path | str, cluster: str | None, bundle: Path | None) -> None:
    """Refuse an address that nothing reads, or without what reads it, or without a place for its bundle.

    Raises:
        UsageError: ``bad-address`` or ``bad-arguments``.
    """
    if isinstance(path, str):
        from trustkit.storage.addresses import parse_address

        parse_address(path)
        refuse_unless(cluster, f"{path!r} is read by the workers of a cluster; give --cluster")
        refuse_unless(
            bundle, "the store is only read; say with --bundle where the bundle is, on this machine"
        )


@contextmanager
def cluster_of(address: str | None, *, debug: bool) -> Iterator[Executor | None]:
    """Join the cluster that was asked for, if one was; what Dask logs is heard with ``--debug`` alone."""
    if address is None:
        yield None
        return
    import logging

    from trustkit.artifact.cluster import joined

    if not debug:
        logging.disable(logging.CRITICAL)
    try:
        with joined(address) as cluster:
            yield cluster
    finally:
        logging.disable(logging.NOTSET)
