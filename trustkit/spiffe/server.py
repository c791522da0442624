"""The certificate of a server that is asked by clients who know no SPIFFE: whether they could believe it.

The law of this file: what every such client refuses is refused here, before anything is
served: a time that is not now, another use, no host. Who issued it, and which host it has
to name, is for the client to know.
"""

from __future__ import annotations

import datetime as dt

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from trustkit.errors import UsageError
from trustkit.spiffe.certificates import UNREADABLE, moment, whole

_TRUSTED = b"-----BEGIN TRUSTED CERTIFICATE-----"
"""What OpenSSL serves and our parser skips."""
_FOR_SERVERS = frozenset((ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE))


def check_server_certificate(pem: bytes, *, now: float) -> None:
    """Refuse a certificate that no client would believe of a server.

    Args:
        pem: The file: the server's certificate first, whatever follows it.
        now: The time (seconds since the epoch).

    Raises:
        UsageError: ``bad-tls``, with a reason to put behind the file's name.

    Spec: RFC 5280, sections 4.1.2.5 and 4.2.1.12; RFC 9525, section 6.3, which knows no common name.
    """
    if _TRUSTED in pem:
        raise _bad("it holds a TRUSTED CERTIFICATE, which clients do not read; write it as a plain one")
    try:
        leaf = whole(x509.load_pem_x509_certificates(pem)[0])
    except UNREADABLE:
        raise _bad("its first certificate does not parse; get it from its issuer again") from None
    at = dt.datetime.fromtimestamp(now, dt.UTC)
    if at < leaf.not_valid_before_utc:
        begins = moment(leaf.not_valid_before_utc)
        raise _bad(f"the certificate is not valid yet, but from {begins} on; look at the clocks")
    if at > leaf.not_valid_after_utc:
        raise _bad(f"the certificate expired at {moment(leaf.not_valid_after_utc)}; have a new one issued")
    extensions = [extension.value for extension in leaf.extensions]
    uses = [value for value in extensions if isinstance(value, x509.ExtendedKeyUsage)]
    if any(_FOR_SERVERS.isdisjoint(use) for use in uses):
        raise _bad("the certificate's extended key usage lacks serverAuth; have one issued for servers")
    names = [value for value in extensions if isinstance(value, x509.SubjectAlternativeName)]
    if not any(isinstance(name, x509.DNSName | x509.IPAddress) for value in names for name in value):
        raise _bad(
            "the certificate names no host: it has neither a DNS name nor an address as subject alternative "
            "name, and clients look nowhere else; have one issued for SERVICE.NAMESPACE.svc"
        )


def _bad(why: str) -> UsageError:
    return UsageError("bad-tls", why)
