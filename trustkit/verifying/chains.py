"""Paths from a signer's certificate to a root that the caller named, and to no other.

The law of this file: the path is built and checked by the library
(``cryptography.x509.verification``: signatures and their algorithms, times, CA
and path length, name constraints, unknown critical extensions, a bound on the
work). What it leaves open is closed here: a CA may sign certificates, is for
the same purpose as the leaf where it says for what, and has no constraint that
nobody applies. The library tries every certificate that bears a wanted name,
for every authority anew, so of the bundle only one line of certificates is
shown to it. The rest only tells people why. Source: RFC 5280, section 6.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.x509 import verification as library
from cryptography.x509.oid import ExtendedKeyUsageOID

from trustkit.errors import VerificationError
from trustkit.spiffe.certificates import has_usable_key, issued
from trustkit.verifying.certificates import Purposes, check_time, moment

MAX_DEPTH = 9
"""Most CA certificates between a leaf and a root; a bundle has no room for more."""

_APPLIED = (x509.DNSName, x509.RFC822Name, x509.IPAddress, x509.UniformResourceIdentifier)
"""Kinds of name constraints that the library applies, or refuses where it cannot."""
_SHOWN = 200
_NO_PATH = "all candidates exhausted with no interior errors"
"""What the library says where nothing is wrong but that there is no path; to people it says nothing."""


def line_above(leaf: x509.Certificate, others: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a bundle that stand above the leaf, each the issuer of the one before.

    It costs as many signatures as there are pairs of certificates, at most, however they were made. Of two
    that bear one name the first that fits is taken; strangers and keys of odd kinds or sizes are left out.
    """
    line: list[x509.Certificate] = []
    left = [other for other in others if has_usable_key(other)]
    child = leaf
    while parent := next((other for other in left if issued(child, other)), None):
        line.append(parent)
        child, name = parent, parent.subject
        left = [other for other in left if other.subject != name]
    return tuple(line)


def path_to_root(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    *,
    at: float,
    purposes: Purposes,
) -> tuple[x509.Certificate, ...]:
    """Return a path, leaf first and root last, of which every certificate is valid at that time.

    Args:
        leaf: The signer's certificate; what it must be itself is not asked here.
        others: Further certificates of the bundle, untrusted, as `line_above` leaves them.
        roots: Whom the caller believes; one may be the leaf itself.
        at: The time (seconds since the epoch).
        purposes: What the extended key usage of a CA must contain, where it has one.

    Raises:
        VerificationError: ``certificate-untrusted``; ``certificate-expired`` or ``certificate-not-yet-valid``
            where that is why.
    """
    verifier = (
        library.PolicyBuilder()
        .store(library.Store(list(roots)))
        .time(moment(at))
        .max_chain_depth(MAX_DEPTH)
        .extension_policies(ca_policy=_of_authorities(purposes), ee_policy=_of_leaves())
        .build_client_verifier()
    )
    try:
        return tuple(verifier.verify(leaf, list(others)).chain)
    except library.VerificationError as error:
        for certificate in _named_above(leaf, (*others, *roots)):
            check_time(certificate, at=at, what=f"{called(certificate)} above the signer's certificate")
        raise _untrusted(leaf, others, roots, str(error)) from None


def called(certificate: x509.Certificate) -> str:
    """Return what a certificate is called in messages: its subject, untrusted and cut."""
    return repr(certificate.subject.rfc4514_string()[:_SHOWN])


def missing_above(leaf: x509.Certificate, above: Sequence[x509.Certificate]) -> tuple[str, str] | None:
    """Return the name where a line of certificates ends, and that of who is missing above it; untrusted.

    Args:
        leaf: The signer's certificate.
        above: What stands above it, as `line_above` leaves it.

    Returns:
        Both names, or None where the line ends with a certificate that vouches for itself.
    """
    last = above[-1] if above else leaf
    if last.issuer == last.subject:
        return None
    return called(last) if above else "the signer's certificate", repr(last.issuer.rfc4514_string()[:_SHOWN])


def _untrusted(
    leaf: x509.Certificate, others: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], reason: str
) -> VerificationError:
    """Say where the line ends that should have led to a root, in words of people."""
    missing, why = missing_above(leaf, others), ""
    if missing is not None and (others[-1] if others else leaf).issuer not in {one.subject for one in roots}:
        last, issuer = missing
        why = (
            f": {last} was issued by {issuer}, which is no root here, and the bundle does not bring it; "
            "if it stands between the signer and his root, have the artifact signed with it in --chain"
        )
    return VerificationError(
        "certificate-untrusted",
        f"the signer's certificate does not lead to a root that is believed here{why}; "
        "name its root, or have the artifact signed by somebody else",
        issuer="" if missing is None else missing[1],
        reason="" if _NO_PATH in reason else reason[:_SHOWN],
    )


def _of_leaves() -> library.ExtensionPolicy:
    """Leaves are judged in `trustkit.verifying.certificates`; criticals that nobody knows are refused."""
    return library.ExtensionPolicy.permit_all()


def _of_authorities(purposes: Purposes) -> library.ExtensionPolicy:
    either = library.Criticality.AGNOSTIC
    enough = purposes | {ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}

    def for_the_purpose(
        _policy: library.Policy, _ca: x509.Certificate, extended: x509.ExtendedKeyUsage | None
    ) -> None:
        if extended is not None and enough.isdisjoint(extended):
            raise ValueError("a CA is for another purpose")

    return (
        library.ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, either, None)
        .may_be_present(x509.KeyUsage, either, _signs_certificates)
        .may_be_present(x509.ExtendedKeyUsage, either, for_the_purpose)
        .may_be_present(x509.NameConstraints, either, _applicable)
    )


def _signs_certificates(_policy: library.Policy, _ca: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("a CA may not sign certificates")


def _applicable(
    _policy: library.Policy, _ca: x509.Certificate, constraints: x509.NameConstraints | None
) -> None:
    """Refuse constraints that would be skipped, critical or not: nobody would hold the CA to them."""
    if constraints is not None:
        for name in (*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ())):
            if not isinstance(name, _APPLIED):
                raise ValueError("a CA has a name constraint of a kind that is not applied")  # noqa: TRY004 - a fault of the certificate


def _named_above(leaf: x509.Certificate, pool: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Return the certificates whose names could stand above the leaf: an explanation, never a path."""
    wanted, found, left = {leaf.issuer}, [], list(pool)
    while fitting := [certificate for certificate in left if certificate.subject in wanted]:
        found += fitting
        left = [certificate for certificate in left if certificate not in fitting]
        wanted = {certificate.issuer for certificate in fitting}
    return found
