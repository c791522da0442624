"""The webhook's TLS: TLS 1.3, a certificate that may be renewed while we run, and callers held to a CA.

The law of this file: a new set of files is taken whole or not at all. Every new
connection gets the newest set that could be built; one that is half-written or
broken leaves the old one in place and is said once (facts: threats, E16).
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from pathlib import Path

from admission.config import TLSConfig
from trustkit.errors import TrustkitError, UsageError

Stamp = tuple[tuple[int, int, int], ...]


def tls_context(config: TLSConfig) -> ssl.SSLContext:
    """Build the server's TLS context; with a client CA, callers without its certificate are refused.

    Raises:
        UsageError: ``bad-tls``.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(config.certificate, config.private_key, password=_no_password)
        if config.client_ca is not None:
            context.load_verify_locations(config.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
            # A resumed session would prove itself under the CA of yesterday.
            context.num_tickets = 0
    except (OSError, ValueError) as error:
        raise UsageError(
            "bad-tls", f"tls certificate, key or client CA cannot be used: {_reason(error)}"
        ) from None
    return context


class RenewedContext:
    """The TLS context of today, for each new connection. Safe to use from several threads.

    Args:
        config: Where the files lie.
        alarm: Told once of each new set of files that could not be taken.

    Raises:
        UsageError: ``bad-tls``: there is no good set to begin with.
    """

    def __init__(self, config: TLSConfig, alarm: Callable[[TrustkitError], None]) -> None:
        self._config = config
        self._alarm = alarm
        self._lock = threading.Lock()
        self._stamp = _stamp(config)
        self._context = tls_context(config)

    def current(self) -> ssl.SSLContext:
        """Return the newest context that could be built."""
        with self._lock:
            stamp = _stamp(self._config)
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._context = tls_context(self._config)
                except UsageError as error:
                    self._alarm(error)
            return self._context


def _stamp(config: TLSConfig) -> Stamp:
    """Tell one set of files from another without reading them; what is not there is a difference, too."""
    paths = (config.certificate, config.private_key, *([config.client_ca] if config.client_ca else []))
    return tuple(_stamp_of(path) for path in paths)


def _stamp_of(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return (0, 0, 0)
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _no_password() -> str:
    """Answer instead of the terminal that OpenSSL would ask."""
    return ""


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or getattr(error, "reason", None) or type(error).__name__)
