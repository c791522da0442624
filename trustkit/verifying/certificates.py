"""Signers' certificates: what one must be to sign a model, whom it names, and whose key it carries.

The law of this file: a leaf is judged by its own words alone; whether anybody
vouches for it is said in `trustkit.verifying.chains`. A certificate for TLS
servers is none for models. Names match exactly: a kind and a text, ``uri:``,
``dns:`` or ``email:`` from the subject alternative names, ``cn:`` for the common
name only where somebody spelled it so. Source: RFC 5280, sections 4.2.1.3,
4.2.1.6 and 4.2.1.12; OMS v1.0, certificates.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trustkit.digest import digest_of
from trustkit.errors import FormatError, UsageError, VerificationError
from trustkit.spiffe.certificates import UNREADABLE, certificate_from_der, key_digest
from trustkit.verifying.keys import PublicKey, public_key_from

MAX_IDENTITY = 2048
"""Longest identity in a policy (characters)."""
_SHOWN = 64
"""Most of a refused identity that a message shows (characters)."""

_GENERAL: dict[str, type[x509.UniformResourceIdentifier | x509.DNSName | x509.RFC822Name]] = {
    "uri": x509.UniformResourceIdentifier,
    "dns": x509.DNSName,
    "email": x509.RFC822Name,
}
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_KINDS = (*_GENERAL, "cn")
_SIGNING = frozenset((ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE))
_OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,8})){1,20}")
T = TypeVar("T", bound=x509.ExtensionType)

Purposes = frozenset[x509.ObjectIdentifier]
"""Extended key usages, any of which is enough."""


def purposes_of(name: str | None) -> Purposes:
    """Return what an extended key usage must contain: the OID that is named, or what signs code.

    Raises:
        FormatError: ``bad-field``: neither ``codeSigning`` nor a dotted OID.
    """
    if name is None:
        return _SIGNING
    if name == "codeSigning":
        return frozenset((ExtendedKeyUsageOID.CODE_SIGNING,))
    try:
        if _OID.fullmatch(name):
            return frozenset((x509.ObjectIdentifier(name),))
    except ValueError:
        pass  # digits and dots that name nothing
    raise FormatError("bad-field", "an extended key usage is codeSigning or a dotted OID")


def identity_of(text: str, where: str = "identities") -> str:
    """Take an identity as policies and flags spell it, such as ``email:ml@example.com``.

    Args:
        text: What was said.
        where: Its place, for the message.

    Raises:
        UsageError: ``bad-identity``.
    """
    kind, _, name = text.partition(":")
    if kind not in _KINDS or not name or not name.isprintable() or len(text) > MAX_IDENTITY:
        raise UsageError(
            "bad-identity",
            f"{where}: {text[:_SHOWN]!r} is no identity; "
            "write uri:, dns:, email: or cn: and the exact name in the certificate",
        )
    return text


def identities_in(leaf: x509.Certificate) -> tuple[str, ...]:
    """Return whom a certificate names: its alternative names, then its one common name."""
    names = extension_of(leaf, x509.SubjectAlternativeName)
    found = [
        f"{kind}:{value}"
        for kind, general in _GENERAL.items()
        for value in (names.get_values_for_type(general) if names is not None else ())
    ]
    common = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(common) == 1 and isinstance(common[0].value, str):
        found.append(f"cn:{common[0].value}")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Described:
    """What a certificate says of itself, for people; nothing of it was verified."""

    subject: str
    issuer: str
    identities: tuple[str, ...]
    not_before: str
    not_after: str
    fingerprint: str
    key_fingerprint: str


def describe(untrusted_der: bytes) -> Described:
    """Read a certificate for whoever only looks at it.

    Raises:
        FormatError: ``bad-certificate``.
        LimitError: ``too-large``.
    """
    certificate = certificate_from_der(untrusted_der, "a certificate")
    return Described(
        certificate.subject.rfc4514_string(),
        certificate.issuer.rfc4514_string(),
        identities_in(certificate),
        f"{certificate.not_valid_before_utc:{_TIME}}",
        f"{certificate.not_valid_after_utc:{_TIME}}",
        str(digest_of(untrusted_der)),
        str(key_digest(certificate) or ""),
    )


def check_signs(leaf: x509.Certificate, *, at: float, purposes: Purposes = _SIGNING) -> PublicKey:
    """Refuse a certificate that may not sign a model at that time, and return its key.

    Args:
        leaf: The signer's certificate.
        at: The time at which it must be valid (seconds since the epoch).
        purposes: What its extended key usage must contain, where it has one.

    Raises:
        VerificationError: ``certificate-not-yet-valid``, ``certificate-expired`` or
            ``certificate-not-for-signing``.
    """
    check_time(leaf, at=at)
    usage = extension_of(leaf, x509.KeyUsage)
    extended = extension_of(leaf, x509.ExtendedKeyUsage)
    if usage is not None and not usage.digital_signature:
        raise _unfit("its key usage lacks digitalSignature")
    if extended is not None and purposes.isdisjoint(extended):
        has = ", ".join(sorted(oid.dotted_string for oid in extended))
        wanted = " or ".join(sorted(oid.dotted_string for oid in purposes))
        raise _unfit(f"its extended key usage is {has[:256]}, and {wanted} is asked for")
    if extended is None and (usage is None or purposes != _SIGNING):
        raise _unfit("it does not say that it is for signing; have one issued with codeSigning")
    try:
        key = leaf.public_key()
    except UNREADABLE:
        raise _unfit("its key is of an unknown kind") from None
    found = public_key_from(key) if isinstance(key, ec.EllipticCurvePublicKey) else None
    if found is None:
        raise _unfit("its key is not on P-256, P-384 or P-521")
    return found


def check_time(
    certificate: x509.Certificate,
    *,
    at: float,
    what: str = "the signer's certificate",
    advice: str = "have the artifact signed anew",
) -> None:
    """Refuse a certificate outside of its time; its first and its last second are inside.

    Args:
        certificate: Of whomever.
        at: The time (seconds since the epoch).
        what: Its name in messages.
        advice: What to do where it has expired.

    Raises:
        VerificationError: ``certificate-not-yet-valid`` or ``certificate-expired``.
    """
    time = moment(at)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if time < begins:
        raise VerificationError(
            "certificate-not-yet-valid",
            f"{what} is valid from {begins:{_TIME}} on; look at the clocks",
            not_before=int(begins.timestamp()),
        )
    if time > ends:
        raise VerificationError(
            "certificate-expired",
            f"{what} was valid until {ends:{_TIME}}; {advice}",
            not_after=int(ends.timestamp()),
        )


def moment(at: float) -> dt.datetime:
    """Return a time in whole seconds, as certificates count."""
    return dt.datetime.fromtimestamp(int(at), dt.UTC)


def extension_of(certificate: x509.Certificate, kind: type[T]) -> T | None:
    """Return one extension, or None where the certificate has none of the kind."""
    for extension in certificate.extensions:
        if isinstance(extension.value, kind):
            return extension.value
    return None


def _unfit(why: str) -> VerificationError:
    return VerificationError(
        "certificate-not-for-signing", f"the signer's certificate may not sign models: {why}"
    )
