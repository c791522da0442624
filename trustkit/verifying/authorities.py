"""Authorities: whom a policy believes. A tagged union: one key, or whom a certificate authority vouches for.

The law of this file: an authority answers one question about a bundle: with
which key would you have signed it? A key always gives itself. A certificate
authority gives the key of the bundle's leaf, if that leaf leads to its roots,
is for signing, is valid at the given time, and names one of its identities.
Roots come from the policy alone, never from the bundle or the system. What reads
certificates is loaded where there are some: whoever names a key does not wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from trustkit.digest import Digest, digest_of
from trustkit.errors import FormatError, UsageError, VerificationError
from trustkit.records import dataclass
from trustkit.verifying.keys import PublicKey

if TYPE_CHECKING:
    from cryptography import x509

    from trustkit.verifying.certificates import Purposes
    from trustkit.verifying.presenting import Presented

MAX_ROOTS = 100
"""Most roots of one authority."""
MAX_ROOTS_BYTES = 1 << 20
"""Largest file of roots that is read (bytes)."""
MAX_IDENTITIES = 1000
"""Most identities of one authority."""
MAX_CERTIFICATE_AUTHORITIES = 32
"""Most authorities of this kind in one policy: each of them builds a path for every bundle."""

_NAMED = 3
"""Most identities that a message names."""
_SHOWN = 64
"""Most of an identity that a message shows (characters)."""
_LISTED = 20
"""Most identities that the evidence names."""

Role = Literal["author", "publisher"]
ROLES: frozenset[Role] = frozenset(("author", "publisher"))


@dataclass(frozen=True, slots=True)
class Believed:
    """The key with which an authority would have signed a bundle.

    Attributes:
        public_key: The key.
        identity: Whom the certificate names, as policies spell it; None for a bare key.
        valid_until: When the first certificate of the path ends (seconds since the epoch); None for a key.
    """

    public_key: PublicKey
    identity: str | None = None
    valid_until: float | None = None


@dataclass(frozen=True, slots=True)
class KeyAuthority:
    """An authority that is one public key, with the roles it may act in."""

    name: str
    roles: frozenset[Role]
    public_key: PublicKey


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """An authority that is some roots, and whom of those under them it believes.

    Attributes:
        name: For people and rules.
        roles: In which it may act.
        roots: Certificates; trusted because the policy holds them.
        identities: Exact names, one of which the leaf must bear; any leaf where there are none.
        purposes: What extended key usages must contain.
    """

    name: str
    roles: frozenset[Role]
    roots: tuple[x509.Certificate, ...]
    identities: tuple[str, ...]
    purposes: Purposes

    def believed(self, presented: Presented, *, at: float) -> Believed:
        """Return the key of the leaf, with whom it names.

        Args:
            presented: What the bundle brought.
            at: The time at which the whole path must be valid (seconds since the epoch): now, as long as
                no timestamp has established another.

        Raises:
            VerificationError: ``certificate-not-yet-valid``, ``certificate-expired``,
                ``certificate-not-for-signing``, ``certificate-untrusted`` or ``identity-mismatch``.
        """
        from trustkit.verifying.certificates import check_signs
        from trustkit.verifying.chains import path_to_root

        leaf = presented.leaf
        key = check_signs(leaf, at=at, purposes=self.purposes)
        path = path_to_root(leaf, presented.others, self.roots, at=at, purposes=self.purposes)
        ends = min(certificate.not_valid_after_utc for certificate in path)
        return Believed(key, self._identity(leaf, path), ends.timestamp())

    def _identity(self, leaf: x509.Certificate, path: tuple[x509.Certificate, ...]) -> str | None:
        from cryptography import x509

        from trustkit.verifying.certificates import extension_of, identities_in

        names = identities_in(leaf)
        # No kind of name constraint that is applied binds a common name: below one, it proves nothing.
        constrained = any(extension_of(ca, x509.NameConstraints) is not None for ca in path[1:])
        proven = [name for name in names if not (constrained and name.startswith("cn:"))]
        if not self.identities:
            return next(iter(proven), None)
        for name in proven:
            if name in self.identities:
                return name
        raise VerificationError(
            "identity-mismatch",
            f"the signer's certificate is genuine, but names {_some(names)}, and under its root only "
            f"{_some(self.identities)} is believed; add whom it names to the identities, or have the "
            "artifact signed by whom they name",
            identities=list(names),
            believed=list(self.identities[:_LISTED]),
            authority=self.name,
        )


Authority = KeyAuthority | CertificateAuthority


def _some(names: tuple[str, ...]) -> str:
    """Quote a few names, cut, for a message."""
    if not names:
        return "nobody"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(repr(name[:_SHOWN]) for name in names[:_NAMED]) + more


def check_apart(authorities: Sequence[Authority]) -> None:
    """Refuse two authorities of one name, or of one key: whoever counts them would count one twice.

    Raises:
        FormatError: ``bad-policy``.
    """
    names = [authority.name for authority in authorities]
    for name in names:
        if names.count(name) > 1:
            raise FormatError("bad-policy", f"two authorities have the same name, {name!r}; rename one")
    holders: dict[Digest, str] = {}
    for one in authorities:
        if (
            isinstance(one, KeyAuthority)
            and holders.setdefault(one.public_key.fingerprint, one.name) != one.name
        ):
            both = f"{holders[one.public_key.fingerprint]!r} and {one.name!r}"
            raise FormatError("bad-policy", f"{both} hold the same key; merge their roles")


def most_authors(authorities: tuple[Authority, ...]) -> int:
    """Count the authors that can have signed one bundle: it brings the certificate of one signer at most."""
    authors = [authority for authority in authorities if "author" in authority.roles]
    keys = sum(isinstance(authority, KeyAuthority) for authority in authors)
    return keys + (keys < len(authors))


def ders_from_pem(raw: bytes, what: str, *, most: int) -> tuple[bytes, ...]:
    """Return the certificates of a PEM file as DER, for whoever only shows them.

    Raises:
        UsageError: ``private-key-given``.
        FormatError: ``bad-certificate``.
        LimitError: ``chain-too-long`` or ``too-large``.
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    from trustkit.spiffe.certificates import certificates_from_pem

    found = certificates_from_pem(raw, what, most=most)
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in found)


def certificate_authority(
    name: str,
    roles: frozenset[Role],
    roots_pem: bytes,
    *,
    identities: tuple[str, ...] = (),
    purpose: str | None = None,
    what: str,
    where: str = "identities",
) -> CertificateAuthority:
    """Make an authority of a file of roots.

    Args:
        name: Of the authority.
        roles: In which it may act.
        roots_pem: PEM certificates.
        identities: As `identity_of` takes them.
        purpose: An extended key usage to insist on; what signs code where absent.
        what: Name of the roots in messages.
        where: Place of the identities in messages.

    Raises:
        UsageError: ``private-key-given`` or ``bad-identity``.
        FormatError: ``bad-certificate`` or ``bad-field``.
        LimitError: ``chain-too-long`` or ``too-large``.
    """
    from trustkit.spiffe.certificates import certificates_from_pem
    from trustkit.verifying.certificates import identity_of, purposes_of

    if len(identities) > MAX_IDENTITIES or len(set(identities)) != len(identities):
        raise UsageError("bad-identity", f"{where}: name at most {MAX_IDENTITIES} identities, each once")
    roots = tuple(certificates_from_pem(roots_pem, what, most=MAX_ROOTS))
    named = tuple(identity_of(text, where) for text in identities)
    return CertificateAuthority(name, roles, roots, named, purposes_of(purpose))


def root_keys(authority: CertificateAuthority) -> frozenset[Digest]:
    """Return the fingerprints of the keys of the roots, as `PublicKey` has them, where they can be read."""
    from trustkit.spiffe.certificates import key_digest

    return frozenset(digest for root in authority.roots if (digest := key_digest(root)) is not None)


def root_fingerprints(authority: CertificateAuthority) -> tuple[str, ...]:
    """Return the SHA-256 of each root as text, sorted."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return tuple(sorted(str(digest_of(root.public_bytes(Encoding.DER))) for root in authority.roots))
