"""The webhook's TLS: TLS 1.3, a certificate that may be renewed while we run, and callers held to a CA.

The law of this file: a new set of files is taken whole or not at all. Every new
connection gets the newest set that could be built; one that is half-written or
broken leaves the old one in place and is said once (facts: threats, E16).
"""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

from admission.config import TLSConfig
from trustkit.artifact.inputs import read_input
from trustkit.errors import TrustkitError, UsageError
from trustkit.spiffe.server import check_server_certificate

Stamp = tuple[tuple[int, int, int], ...]

_MAX_BYTES = 1 << 20
_OF_LIBRARY = re.compile(r"^\[SSL\] | \(_ssl\.c:\d+\)$")


def tls_context(config: TLSConfig, *, now: float) -> ssl.SSLContext:
    """Build the server's TLS context; with a client CA, callers without its certificate are refused.

    Args:
        config: Where the files lie.
        now: The time (seconds since the epoch), at which the server's certificate must be valid.

    Raises:
        UsageError: ``bad-tls``.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    certificate, key, client_ca = config.certificate, config.private_key, config.client_ca
    raw = _demand("certificate", certificate, "certificate")
    _demand("private_key", key, "private key")
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        beside = f"with the certificate {str(certificate)!r}"
        raise _unusable("private_key", key, f"{beside}: {_reason(error)}") from None
    try:
        check_server_certificate(raw, now=now)
    except UsageError as error:
        raise _unusable("certificate", certificate, error.message) from None
    if client_ca is not None:
        _demand("client_ca", client_ca, "certificate")
        try:
            context.load_verify_locations(client_ca)
        except (OSError, ValueError) as error:
            raise _unusable("client_ca", client_ca, _reason(error)) from None
        context.verify_mode = ssl.CERT_REQUIRED
        # A resumed session would prove itself under the CA of yesterday.
        context.num_tickets = 0
    return context


def _demand(member: str, path: Path, what: str) -> bytes:
    """Read a file; name one that is not there or not what it should be: the library says next to nothing."""
    try:
        raw = read_input(path, max_bytes=_MAX_BYTES, what="file")
    except TrustkitError as error:
        raise _unusable(member, path, error.message) from None
    if f"{what.upper()}-----".encode() not in raw:
        raise _unusable(member, path, f"there is no PEM {what} in it")
    if what == "private key" and (b"-----BEGIN ENCRYPTED" in raw or b"4,ENCRYPTED" in raw):
        raise _unusable(member, path, "it is encrypted, and nobody is asked; keep it without a passphrase")
    return raw


def _unusable(member: str, path: Path, why: str) -> UsageError:
    return UsageError(
        "bad-tls", f"tls.{member} {str(path)!r} cannot be used: {why}", field=f"tls.{member}", file=str(path)
    )


AGAIN_SECONDS = 30.0
"""How long a set of files that was refused is not looked at again, if none of them changes."""


class RenewedContext:
    """The TLS context of today, for each new connection. Safe to use from several threads.

    Args:
        config: Where the files lie.
        alarm: Told once of each new set of files that could not be taken.
        now: The time (seconds since the epoch).

    Raises:
        UsageError: ``bad-tls``: there is no good set to begin with.
    """

    def __init__(
        self, config: TLSConfig, alarm: Callable[[TrustkitError], None], *, now: Callable[[], float]
    ) -> None:
        self._config = config
        self._alarm = alarm
        self._now = now
        self._lock = threading.Lock()
        self._stamp = _stamp(config)
        self._refused: Stamp | None = None
        self._again = 0.0
        self._context = tls_context(config, now=now())

    def current(self) -> ssl.SSLContext:
        """Return the newest context that could be built."""
        with self._lock:
            stamp = _stamp(self._config)
            if stamp != self._stamp and (stamp != self._refused or self._now() >= self._again):
                self._renew(stamp)
            return self._context

    def _renew(self, stamp: Stamp) -> None:
        """Take a new set of files; what is no good now, such as a certificate of tomorrow, may be later."""
        now = self._now()
        try:
            self._context = tls_context(self._config, now=now)
        except UsageError as error:
            if stamp != self._refused:
                self._alarm(error)
            self._refused, self._again = stamp, now + AGAIN_SECONDS
        else:
            self._stamp, self._refused = stamp, None


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
    """Say why in few words: what the library calls the fault, not where in its own files it met it."""
    why = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
    return _OF_LIBRARY.sub("", str(why))
