"""The store that the reference names: a source over mutual TLS that is asked again while it is away.

The law of this file: there is one kind of patience in a sidecar, its budget; so
the source itself asks once, and each request is repeated here or not at all.
Every connection takes the SVID of the moment it is made.
"""

from __future__ import annotations

import ssl

from trustkit.sidecar.config import Config
from trustkit.sidecar.patience import Patience
from trustkit.sidecar.pins import Beliefs
from trustkit.sidecar.world import World
from trustkit.spiffe.mtls import client_context
from trustkit.storage.http import HTTPSource
from trustkit.storage.source import Source


def open_store(config: Config, beliefs: Beliefs, world: World) -> PatientSource:
    """Open the store; nothing is sent before the first document is asked for.

    Args:
        config: Names the store, who it must prove to be, and how patient we are.
        beliefs: Where our SVID comes from; each new connection takes today's.
        world: Clocks and chance.
    """

    def context_of() -> ssl.SSLContext:
        return client_context(beliefs.source.current())

    source = HTTPSource(
        config.reference,
        context_of=context_of,
        expected=config.store_id,
        timeout_seconds=config.timeout_seconds,
        clock_now=world.now,
        monotonic=world.monotonic,
    )
    return PatientSource(source, world.patience(config.budget_seconds))


class PatientSource:
    """A source that is asked again, each request within a budget of its own; see `Source` for the methods."""

    def __init__(self, source: Source, patience: Patience) -> None:
        self._source = source
        self._patience = patience

    def document(self, name: str, *, max_bytes: int) -> bytes:
        """Return a whole document."""
        return self._patience.insist(lambda: self._source.document(name, max_bytes=max_bytes))

    def read_range(self, name: str, start: int, into: memoryview) -> None:
        """Fill *into* from *start* on."""
        self._patience.insist(lambda: self._source.read_range(name, start, into))

    def length(self, name: str) -> int:
        """Return the length that the source claims."""
        return self._patience.insist(lambda: self._source.length(name))

    def close(self) -> None:
        """Close the source."""
        self._source.close()
