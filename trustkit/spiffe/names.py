"""SPIFFE IDs: the one name a machine has, read by SPIFFE's rules and no others.

The law of this file: an ID is compared whole, byte for byte, so there is one
spelling of it. Upper case, escapes, ports, queries and dot segments are not
normalized but refused (SPIFFE-ID, section 2; CVE-2026-31360 is what happens
otherwise). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from trustkit.errors import FormatError, UsageError

SCHEME = "spiffe://"
MAX_LENGTH = 2048
"""Longest SPIFFE ID (bytes)."""
MAX_TRUST_DOMAIN = 255
"""Longest trust domain (bytes)."""

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")
_DOTS = frozenset((".", ".."))


@dataclass(frozen=True, slots=True, order=True)
class SpiffeID:
    """A SPIFFE ID, valid by construction.

    Attributes:
        trust_domain: Such as ``example.org``.
        path: Such as ``/store``, with its slash; empty for the trust domain itself.

    Raises:
        FormatError: ``bad-spiffe-id``.
    """

    trust_domain: str
    path: str

    def __post_init__(self) -> None:
        if _TRUST_DOMAIN.fullmatch(self.trust_domain) is None:
            raise _bad(f"a trust domain is 1 to {MAX_TRUST_DOMAIN} characters of a-z, 0-9, '.', '-' and '_'")
        if self.path and (not self.path.startswith("/") or not _plain(self.path[1:])):
            raise _bad(
                "a path starts with '/' and has plain segments (A-Z, a-z, 0-9, '.', '-', '_'), no dots"
            )
        if len(SCHEME) + len(self.trust_domain) + len(self.path) > MAX_LENGTH:
            raise _bad(f"a SPIFFE ID has at most {MAX_LENGTH} bytes")

    def __str__(self) -> str:
        return f"{SCHEME}{self.trust_domain}{self.path}"

    def covers(self, other: SpiffeID) -> bool:
        """Say whether *other* is this ID or, where this one is a whole trust domain, a member of it."""
        return self == other or (not self.path and self.trust_domain == other.trust_domain)


def parse_spiffe_id(untrusted: str, *, allow_trust_domain: bool = False) -> SpiffeID:
    """Parse ``spiffe://TRUST-DOMAIN/PATH`` exactly as `SpiffeID` writes it.

    Args:
        untrusted: The text.
        allow_trust_domain: Also accept ``spiffe://TRUST-DOMAIN``, which names no workload.

    Raises:
        FormatError: ``bad-spiffe-id``.
    """
    if len(untrusted) > MAX_LENGTH or not untrusted.startswith(SCHEME):
        raise _bad(f"a SPIFFE ID starts with {SCHEME} and has at most {MAX_LENGTH} bytes")
    domain, slash, path = untrusted[len(SCHEME) :].partition("/")
    found = SpiffeID(domain, f"{slash}{path}")
    if not found.path and not allow_trust_domain:
        raise _bad("a workload's SPIFFE ID has a path: spiffe://TRUST-DOMAIN/PATH")
    return found


def demand_own_domain(ours: SpiffeID, named: Iterable[tuple[str, SpiffeID]]) -> None:
    """Refuse to wait for machines that can never prove themselves: a bundle speaks for one trust domain.

    Args:
        ours: Who we are.
        named: The place of each ID, such as a flag or a member of a configuration, and the ID.

    Raises:
        UsageError: ``foreign-trust-domain``.
    """
    for where, other in named:
        domain = SpiffeID(ours.trust_domain, "")
        if other.trust_domain != domain.trust_domain:
            raise UsageError(
                "foreign-trust-domain",
                f"{where} names {other}, which could never prove itself to us: our trust domain is {domain}; "
                "name somebody of it, or have our own SVID issued there",
                field=where,
                spiffe_id=str(other),
                trust_domain=ours.trust_domain,
            )


def _plain(path: str) -> bool:
    return all(
        _SEGMENT.fullmatch(segment) is not None and segment not in _DOTS for segment in path.split("/")
    )


def _bad(why: str) -> FormatError:
    return FormatError("bad-spiffe-id", why)
