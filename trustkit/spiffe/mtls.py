"""Mutual TLS 1.3 between machines that have SVIDs, and the check of who answered.

The law of this file: no byte of the application travels before the peer's
SPIFFE ID was compared, whole, with the one that was expected. Both sides
demand a certificate; both trust their own trust bundle and nothing else, no
host name, no system store; no session is resumed, so every connection proves
itself under today's bundle. A bundle speaks for one trust domain: an ID of
another one is refused even where its chain leads to our bundle (C10).
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from typing import Self

from trustkit.errors import UnavailableError, VerificationError
from trustkit.spiffe.names import SpiffeID
from trustkit.spiffe.svid import SVID, SVIDSource, identity_of

MAX_ADDRESSES = 4
"""How many addresses of one name are tried; together they take no longer than one timeout."""


class TrustContext(ssl.SSLContext):
    """A TLS context that knows which trust domain its bundle speaks for.

    Attributes:
        trust_domain: The domain.
    """

    trust_domain: str

    @classmethod
    def of(cls, svid: SVID, protocol: int) -> Self:
        """Build a context of either side from an SVID.

        Raises:
            VerificationError: ``bad-svid``.
        """
        context = cls(protocol)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False  # the SPIFFE ID is the name that counts
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= (
            ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        )  # every certificate of a bundle is an anchor
        context.options |= ssl.OP_NO_TICKET
        try:
            context.load_verify_locations(cadata=svid.bundle_pem.decode("ascii"))
            _load(context, svid)
        except OSError as error:  # SSLError is one: a key or digest below the library's own floor
            raise VerificationError(
                "bad-svid", f"the TLS library does not take our SVID: {reason(error)}"
            ) from None
        context.trust_domain = svid.spiffe_id.trust_domain
        return context


def server_context(svid: SVID) -> TrustContext:
    """Build the context of a server that every client must prove itself to."""
    context = TrustContext.of(svid, ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    return context


def client_context(svid: SVID) -> TrustContext:
    """Build the context of a client; `connect` checks who answered."""
    return TrustContext.of(svid, ssl.PROTOCOL_TLS_CLIENT)


class ServerContexts:
    """The context of a server, built anew whenever its source has a new SVID: leaf, key and bundle at once.

    Args:
        source: Our SVID.
    """

    def __init__(self, source: SVIDSource) -> None:
        self._source = source
        self._built: tuple[SVID, TrustContext] | None = None

    def current(self) -> TrustContext:
        """Return today's context; raises as `SVIDSource.current` does."""
        svid = self._source.current()
        if self._built is None or self._built[0] is not svid:
            self._built = (svid, server_context(svid))
        return self._built[1]


def check_peer(tls: ssl.SSLSocket | ssl.SSLObject, context: TrustContext, *, now: float) -> SpiffeID:
    """Return who is at the other end of a finished handshake.

    Raises:
        VerificationError: ``bad-svid``; ``peer-mismatch``: of another trust domain than the bundle's.
    """
    leaf = tls.getpeercert(binary_form=True)
    if not leaf:
        raise VerificationError("bad-svid", "the peer showed no certificate")
    found = identity_of(leaf, now=now)
    if found.trust_domain != context.trust_domain:
        raise VerificationError(
            "peer-mismatch",
            f"the peer is {found}, and our trust domain is {SpiffeID(context.trust_domain, '')}",
            peer=str(found),
        )
    return found


def connect(
    host: str,
    port: int,
    context: ssl.SSLContext,
    *,
    expected: SpiffeID,
    timeout_seconds: float,
    now: float,
    begun: Callable[[ssl.SSLSocket], None] | None = None,
) -> ssl.SSLSocket:
    """Connect, shake hands, and return the socket only if the expected machine answered.

    Args:
        host: DNS name or address.
        port: TCP port.
        context: From `client_context`.
        expected: The exact SPIFFE ID the peer must have.
        timeout_seconds: For the connection, and again for the handshake; stays the socket's timeout.
        now: The time (seconds since the epoch).
        begun: Given the socket before the handshake, for whoever may want to end its waiting.

    Raises:
        VerificationError: ``peer-untrusted``: no chain to our bundle; ``bad-svid``; ``peer-mismatch``.
        UnavailableError: ``connect-failed``: nobody there, or nobody who speaks TLS 1.3.
    """
    if not isinstance(context, TrustContext):
        raise TypeError("the context must come from client_context")
    tls = _begun(_dialed(host, port, timeout_seconds), host, port, context, timeout_seconds=timeout_seconds)
    try:
        if begun is not None:
            begun(tls)
        _shake_hands(tls, host, port)
        found = check_peer(tls, context, now=now)
        if found != expected:
            raise VerificationError(
                "peer-mismatch",
                f"{host}:{port} is {found}, not {expected}",
                peer=str(found),
                expected=str(expected),
            )
    except BaseException:
        tls.close()
        raise
    return tls


def _dialed(host: str, port: int, timeout_seconds: float) -> socket.socket:
    """Try a few addresses of a name, one after the other, within one timeout."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[:MAX_ADDRESSES]
    except (OSError, UnicodeError) as error:
        raise _unconnected(host, port, error) from None
    last: OSError = OSError(None, "the name has no address")
    for family, kind, protocol, _, address in found:
        plain = socket.socket(family, kind, protocol)
        try:
            plain.settimeout(timeout_seconds / len(found))
            plain.connect(address)
        except OSError as error:
            plain.close()
            last = error
        else:
            return plain
    raise _unconnected(host, port, last)


def _begun(
    plain: socket.socket, host: str, port: int, context: TrustContext, *, timeout_seconds: float
) -> ssl.SSLSocket:
    try:
        plain.settimeout(timeout_seconds)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
    except (OSError, ValueError) as error:
        plain.close()
        raise _unconnected(host, port, error) from None


def _shake_hands(tls: ssl.SSLSocket, host: str, port: int) -> None:
    try:
        tls.do_handshake()
    except ssl.SSLCertVerificationError as error:
        raise VerificationError(
            "peer-untrusted",
            f"{host}:{port} has no certificate that our trust bundle vouches for: {error.verify_message}",
        ) from None
    except (OSError, ValueError) as error:
        raise _unconnected(host, port, error) from None


def reason(error: Exception) -> str:
    """Say why in the library's few words, without its file names and line numbers."""
    why = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return str(why or type(error).__name__)


def _unconnected(host: str, port: int, error: Exception) -> UnavailableError:
    return UnavailableError("connect-failed", f"cannot connect to {host}:{port}: {reason(error)}")


def _load(context: ssl.SSLContext, svid: SVID) -> None:
    """Load chain and key. The library reads files only, so the key gets one in memory, without a name."""
    descriptor = os.memfd_create("svid", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(svid.key_pem.rstrip() + b"\n" + svid.chain_pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_password)
    finally:
        os.close(descriptor)


def _no_password() -> str:
    """Answer instead of the terminal that OpenSSL would ask."""
    return ""
