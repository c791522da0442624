"""X.509-SVIDs: which certificate says who a machine is, by SPIFFE's rules and not only the library's.

A TLS library checks that a chain leads to a trust anchor. That is not yet an
identity: libraries accept two URI names, a CA as a leaf, a leaf without key
usage, an ID with an upper-case trust domain. `identity_of` therefore demands
of a leaf (X509-SVID, sections 2 to 5; threats C01 to C13):

1. a version 3 certificate of sane size, signed with SHA-2, on a sane key, valid now;
2. valid for a bounded time in all, because nothing here is ever revoked;
3. no critical extension that we do not understand;
4. no CA; key usage present, critical, with digitalSignature, without keyCertSign and cRLSign;
5. extended key usage, where present, has both serverAuth and clientAuth;
6. exactly one URI name, a SPIFFE ID with a path; a critical one where the subject is empty.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from trustkit.errors import (
    FormatError,
    LimitError,
    TrustkitError,
    UnavailableError,
    UsageError,
    VerificationError,
)
from trustkit.spiffe import chains
from trustkit.spiffe.names import SpiffeID, parse_spiffe_id

CHAIN, KEY, BUNDLE = "svid.pem", "svid_key.pem", "bundle.pem"
"""Names of the files in an SVID directory: chain (leaf first), private key, trust bundle."""
MAX_LIFETIME_SECONDS = 366 * 86400
"""Longest time an SVID may be valid in all (seconds)."""

_UNDERSTOOD = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName)
E = TypeVar("E", bound=x509.ExtensionType)
_PEM_KEY = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----\n(?:[A-Za-z0-9+/=]{1,76}\n)+-----END \1-----\n"
)
_BOTH = frozenset((ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH))


@dataclass(frozen=True, slots=True)
class SVID:
    """Who we are, with the key that proves it and the bundle that others are held against.

    Attributes:
        spiffe_id: Ours.
        chain_pem: Our certificate and intermediates, leaf first.
        key_pem: The private key, not encrypted. Secret.
        bundle_pem: The trust anchors of our trust domain.
        serial: The leaf's serial number in hexadecimal, for records.
        not_after: When the leaf ends (seconds since the epoch).
    """

    spiffe_id: SpiffeID
    chain_pem: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)
    bundle_pem: bytes = field(repr=False)
    serial: str
    not_after: float


def identity_of(untrusted_leaf_der: bytes, *, now: float) -> SpiffeID:
    """Return whose certificate this is, if it is a valid X.509-SVID leaf at this time.

    It says nothing of the chain: the TLS library has checked that, or the caller must.

    Args:
        untrusted_leaf_der: The certificate.
        now: The time (seconds since the epoch).

    Raises:
        VerificationError: ``bad-svid``.
    """
    return _identity(chains.parse_certificate(untrusted_leaf_der), now)


def svid_from_pem(chain: bytes, key: bytes, bundle: bytes, *, now: float) -> SVID:
    """Check three files against each other and every rule, and make one value of them.

    Args:
        chain: Certificates, leaf first.
        key: The leaf's private key, not encrypted.
        bundle: The trust anchors.
        now: The time (seconds since the epoch).

    Raises:
        FormatError: ``bad-svid``: a file does not parse.
        LimitError: ``too-large`` or ``chain-too-long``.
        UsageError: ``bad-svid``: the key is encrypted, or another certificate's.
        VerificationError: ``bad-svid``, ``unsupported-constraint``: read, and rejected.
    """
    certificates = chains.parse_certificates(chain, CHAIN, most=chains.MAX_CHAIN)
    anchors = chains.parse_certificates(bundle, BUNDLE, most=chains.MAX_ANCHORS)
    leaf = certificates[0]
    spiffe_id = identity_of(leaf.public_bytes(serialization.Encoding.DER), now=now)
    _check_key(key, leaf)
    chains.check_anchors(anchors, spiffe_id.trust_domain)
    chains.check_chain(certificates, anchors, now=now)
    ends = leaf.not_valid_after_utc.timestamp()
    return SVID(spiffe_id, chain, key, bundle, f"{leaf.serial_number:x}", ends)


class SVIDSource:
    """Our SVID, always the newest good one: rotation is all or nothing. Safe to use from several threads.

    A new set of files that is half-written, broken or another identity's does not replace the old one,
    which serves until it expires; after that there is none, and everything fails closed (threats C16, C17).

    Args:
        read: Returns the bytes of one of the three files by its name.
        clock: The time (seconds since the epoch).
        alarm: Told once of each new set that was not taken, and why.
        place: Where the files lie, for messages; nothing is read there but through *read*.
    """

    def __init__(
        self,
        read: Callable[[str], bytes],
        clock: Callable[[], float],
        *,
        alarm: Callable[[TrustkitError], None] | None = None,
        place: str = "",
    ) -> None:
        self._read = read
        self._place = place
        self._clock = clock
        self._alarm = alarm
        self._lock = threading.Lock()
        self._current: SVID | None = None
        self._seen: tuple[bytes, ...] | None = None
        self._alarmed = ""

    def current(self) -> SVID:
        """Read the files again and return the newest good SVID.

        Raises:
            TrustkitError: What is wrong with the files, where no good SVID has been read yet.
            UnavailableError: ``svid-expired``: the old one ended, and no good new one is there.
        """
        with self._lock:
            now = self._clock()
            try:
                self._renew(now)
                self._alarmed = ""
            except TrustkitError as error:
                if self._current is None:
                    raise
                self._tell(error)
            if self._current is None or now > self._current.not_after:
                where = f" in {self._place!r}" if self._place else ""
                raise UnavailableError(
                    "svid-expired", f"our SVID{where} has expired and no new one came; look at its issuer"
                )
            return self._current

    def _renew(self, now: float) -> None:
        try:
            files = tuple(self._read(name) for name in (CHAIN, KEY, BUNDLE))
        except OSError as error:
            raise UnavailableError("unreadable", f"cannot read our SVID: {error.strerror}") from None
        if files == self._seen:
            return
        try:
            fresh = svid_from_pem(*files, now=now)
        except TrustkitError as error:
            where = f"{self._place!r}: " if self._place else ""
            raise type(error)(error.code, f"{where}{error.message}", **error.evidence) from None
        if self._current is not None and fresh.spiffe_id != self._current.spiffe_id:
            raise VerificationError(
                "bad-svid",
                f"the new SVID is of {fresh.spiffe_id}, which we are not; restart to change who we are",
            )
        self._current, self._seen = fresh, files

    def _tell(self, error: TrustkitError) -> None:
        if self._alarm is not None and str(error) != self._alarmed:
            self._alarmed = str(error)
            self._alarm(error)


def _identity(leaf: x509.Certificate, now: float) -> SpiffeID:
    chains.check_sane(leaf, now=now)  # step 1
    if (
        leaf.not_valid_after_utc - leaf.not_valid_before_utc
    ).total_seconds() > MAX_LIFETIME_SECONDS:  # step 2
        raise chains.bad(f"it is valid for more than {MAX_LIFETIME_SECONDS // 86400} days")
    for extension in leaf.extensions:  # step 3
        if extension.critical and not isinstance(extension.value, _UNDERSTOOD):
            raise chains.bad("it has a critical extension that is not understood")
    _check_usage(leaf)  # steps 4 and 5
    return _name(leaf)  # step 6


def _check_usage(leaf: x509.Certificate) -> None:
    basic = _extension(leaf, x509.BasicConstraints)
    usage = _extension(leaf, x509.KeyUsage)
    extended = _extension(leaf, x509.ExtendedKeyUsage)
    if basic is not None and basic.value.ca:
        raise chains.bad("it is a CA's")
    if usage is None or not usage.critical:
        raise chains.bad("it has no critical key usage")
    if not usage.value.digital_signature or usage.value.key_cert_sign or usage.value.crl_sign:
        raise chains.bad("its key must be for digitalSignature, and neither for keyCertSign nor cRLSign")
    if extended is not None and not frozenset(extended.value) >= _BOTH:
        raise chains.bad("its extended key usage lacks serverAuth or clientAuth")


def _name(leaf: x509.Certificate) -> SpiffeID:
    names = _extension(leaf, x509.SubjectAlternativeName)
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier) if names is not None else []
    if names is None or len(uris) != 1:
        raise chains.bad(f"it has {len(uris)} URI names instead of one")
    if not names.critical and not list(leaf.subject):
        raise chains.bad("its subject is empty, and its name is not critical")
    try:
        return parse_spiffe_id(uris[0])
    except FormatError as error:
        raise chains.bad(error.message) from None


def _extension(leaf: x509.Certificate, kind: type[E]) -> x509.Extension[E] | None:
    try:
        return leaf.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def _check_key(pem: bytes, leaf: x509.Certificate) -> None:
    if len(pem) > chains.MAX_BYTES:
        raise LimitError(
            "too-large", f"{KEY} is larger than {chains.MAX_BYTES} bytes", limit=chains.MAX_BYTES
        )
    if _PEM_KEY.fullmatch(pem if pem.endswith(b"\n") else pem + b"\n") is None:
        raise FormatError("bad-svid", f"{KEY} must hold one PEM private key and nothing else")
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        raise UsageError(
            "bad-svid", f"{KEY} is encrypted; an SVID's key is kept without a passphrase"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise FormatError("bad-svid", f"{KEY} is not a PEM private key") from None
    if key.public_key() != leaf.public_key():
        raise UsageError("bad-svid", f"{KEY} is not the key of {CHAIN}; was only one of them renewed?")
