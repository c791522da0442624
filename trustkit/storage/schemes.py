"""Which store an address speaks of. Its libraries are loaded when it is opened, and not before."""

from __future__ import annotations

from collections.abc import Callable

from trustkit.storage.gs import GS
from trustkit.storage.s3 import S3
from trustkit.storage.stores import Store

_STORES: dict[str, Callable[[], Store]] = {"s3": S3, "gs": GS}


def store_of(scheme: str) -> Store:
    """Open the store behind the scheme of a parsed address.

    Raises:
        UsageError: ``extra-needed``, ``store-unencrypted``.
        UnavailableError: ``unreadable``.
    """
    return _STORES[scheme]()
