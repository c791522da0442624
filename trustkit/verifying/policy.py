"""Verification policies: whom we agree to believe, in which role, for which model lines.

A policy is cryptographic only: authorities, threshold, lines. Everything else
is a rule's business. The file is trusted (the operator wrote it), and read
strictly all the same: an unknown member may be a misspelt restriction, so it
makes the policy invalid (CVE-2025-29778 class). YAML is read as the JSON it
could have been: no anchors, aliases, tags or merges, one document, distinct text
keys, and ``no``, ``0x10`` or ``1:30`` are texts. Schema: README, "Certificates"
and "For publishers".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from trustkit import strictjson
from trustkit.digest import Digest, digest_of
from trustkit.errors import FormatError, LimitError, UsageError
from trustkit.records import dataclass
from trustkit.verifying.authorities import (
    MAX_CERTIFICATE_AUTHORITIES,
    ROLES,
    Authority,
    CertificateAuthority,
    KeyAuthority,
    Role,
    certificate_authority,
    check_apart,
    most_authors,
    root_fingerprints,
    root_keys,
)
from trustkit.verifying.keys import PublicKey, public_key_from_pem

API_VERSION = "trustkit.dev/v1alpha1"
KIND = "VerificationPolicy"
MAX_BYTES = 1 << 20
"""Largest policy file (bytes)."""
MAX_AUTHORITIES = 1000
"""Most authorities in one policy."""
MAX_NAME = 253
"""Longest name of a policy or an authority (characters)."""

MEMBERS = {
    "policy": ("apiVersion", "kind", "metadata", "spec"),
    "metadata": ("name",),
    "spec": ("authorities", "threshold", "lines"),
    "spec.authorities[]": ("name", "roles", "key", "certificate"),
    "spec.authorities[].key": ("pem", "file"),
    "spec.authorities[].certificate": ("roots", "identities", "extendedKeyUsage"),
    "spec.authorities[].certificate.roots": ("pem", "file"),
}
"""Every member of a policy, by where it stands; `trustkit/design/configuration.md` explains each."""

ANY_LINE = None
_AUTHORITY = "spec.authorities[]"

ReadFile = Callable[[str], bytes]
"""Reads a file that the policy names, relative to the policy."""


@dataclass(frozen=True, slots=True)
class VerificationPolicy:
    """Whom to believe.

    Attributes:
        name: For people and records.
        authorities: Distinct keys, and certificate authorities; one key is one authority whatever its names.
        threshold: How many distinct author authorities must have signed a manifest.
        lines: Model lines the policy speaks for, exact; None (only from a bare key) is any line.
        digest: SHA-256 of the policy's bytes, recorded with every decision. It covers no file that a
            ``file`` in it names: faces that pin a policy by its digest read only policies without one.
    """

    name: str
    authorities: tuple[Authority, ...]
    threshold: int
    lines: tuple[str, ...] | None
    digest: Digest

    def acting_as(self, role: Role) -> tuple[Authority, ...]:
        """Return the authorities that may act in this role."""
        return tuple(authority for authority in self.authorities if role in authority.roles)

    def keys_of(self, role: Role | None = None) -> tuple[PublicKey, ...]:
        """Return the keys that the policy itself holds, of one role or of any; certificates bring theirs."""
        acting = self.authorities if role is None else self.acting_as(role)
        return tuple(authority.public_key for authority in acting if isinstance(authority, KeyAuthority))

    def signing(self) -> frozenset[Digest]:
        """Return the fingerprints of all keys that sign by its word: those that it holds, and of its roots.

        Keys that roots certify are known only with what they signed.
        """
        roots = (root_keys(one) for one in self.authorities if isinstance(one, CertificateAuthority))
        return frozenset(key.fingerprint for key in self.keys_of()).union(*roots)


def policy_from_keys(
    author_pem: bytes,
    publisher_pem: bytes | None = None,
    *,
    named: tuple[str, str] = ("the key", "the publisher's key"),
) -> VerificationPolicy:
    """Make the policy that a bare ``--key`` means: this key, and no other.

    Args:
        author_pem: Public key that must have signed the manifest.
        publisher_pem: Public key that must have signed the descriptor; the author's where absent.
        named: What both are called in messages.

    Raises:
        UsageError: The key is not a usable public key.
    """
    author = public_key_from_pem(author_pem, what=named[0])
    publisher = author if publisher_pem is None else public_key_from_pem(publisher_pem, what=named[1])
    authorities: tuple[KeyAuthority, ...] = (KeyAuthority("key", ROLES, author),)
    if publisher.fingerprint != author.fingerprint:
        authorities = (
            KeyAuthority("author-key", frozenset(("author",)), author),
            KeyAuthority("publisher-key", frozenset(("publisher",)), publisher),
        )
    # A bare key has no file whose bytes could be recorded: its fingerprint is what was decided on.
    meant = {"author": str(author.fingerprint), "publisher": str(publisher.fingerprint)}
    return VerificationPolicy("key", authorities, 1, ANY_LINE, digest_of(strictjson.to_bytes(meant)))


def policy_from_roots(
    roots_pem: bytes, identities: Sequence[str] = (), *, where: str = "identities"
) -> VerificationPolicy:
    """Make the policy that a bare ``--ca`` means: whoever these roots vouch for, under one of these names.

    Args:
        roots_pem: PEM certificates.
        identities: Such as ``email:ml@example.com``, matched exactly; any where there are none.
        where: Place of the identities in messages, such as a flag.

    Raises:
        UsageError: ``private-key-given`` or ``bad-identity``.
        FormatError: ``bad-certificate``.
        LimitError: ``chain-too-long`` or ``too-large``.
    """
    authority = certificate_authority(
        "ca", ROLES, roots_pem, identities=tuple(identities), what="the CA file", where=where
    )
    meant = {
        "roots": list(root_fingerprints(authority)),
        "identities": sorted(authority.identities),
    }
    return VerificationPolicy("ca", (authority,), 1, ANY_LINE, digest_of(strictjson.to_bytes(meant)))


def parse_policy(raw: bytes, *, read_file: ReadFile) -> VerificationPolicy:
    """Parse a ``VerificationPolicy`` document (YAML or JSON).

    Args:
        raw: The document; trusted, read strictly.
        read_file: Reads files that ``key.file`` names.

    Raises:
        UsageError: ``bad-policy`` with the path of the member that is wrong, or what a key in it is
            refused for: ``private-key-given``, ``bad-public-key``, ``unsupported-key``.
    """
    try:
        fields = strictjson.Fields(_yaml(raw), "policy", MEMBERS["policy"])
        if fields.take("apiVersion", str) != API_VERSION or fields.take("kind", str) != KIND:
            raise FormatError("bad-policy", f"apiVersion and kind must be {API_VERSION} and {KIND}")
        metadata = strictjson.Fields(fields.take("metadata", dict), "metadata", MEMBERS["metadata"])
        name = _name(metadata, "metadata")
        metadata.done()
        spec = strictjson.Fields(fields.take("spec", dict), "spec", MEMBERS["spec"])
        fields.done()
        policy = _policy(name, spec, digest_of(raw), read_file)
        spec.done()
    except (FormatError, LimitError) as error:
        raise UsageError(
            "bad-policy", f"the policy is not valid: {error.message}", **error.evidence
        ) from None
    return policy


def _policy(name: str, spec: strictjson.Fields, digest: Digest, read_file: ReadFile) -> VerificationPolicy:
    entries = spec.take("authorities", list)
    threshold = spec.take("threshold", int) if spec.has("threshold") else 1
    from trustkit.sealing.descriptor import check_line

    lines = tuple(check_line(_text(line, "spec.lines")) for line in spec.maybe("lines", list) or [])
    if len(set(lines)) != len(lines):
        raise FormatError("bad-policy", "spec.lines names a line twice")
    if not entries or len(entries) > MAX_AUTHORITIES:
        raise FormatError("bad-policy", f"spec.authorities needs 1 to {MAX_AUTHORITIES} entries")
    authorities = tuple(_authority(entry, index, read_file) for index, entry in enumerate(entries))
    held = [authority.public_key for authority in authorities if isinstance(authority, KeyAuthority)]
    check_apart(authorities)
    if len(authorities) - len(held) > MAX_CERTIFICATE_AUTHORITIES:
        raise FormatError(
            "bad-policy", f"at most {MAX_CERTIFICATE_AUTHORITIES} authorities may be certificates"
        )
    authors = most_authors(authorities)
    if not 1 <= threshold <= max(authors, 1):
        raise FormatError(
            "bad-policy",
            f"spec.threshold must be from 1 to the authors that one bundle can have ({authors}); list each "
            "of them as an authority of its own, with roles: [author]",
        )
    if threshold > 1:
        _check_distinct(authorities)
    return VerificationPolicy(name, authorities, threshold, lines, digest)


def _check_distinct(authorities: Sequence[Authority]) -> None:
    """Refuse to count authors whom nobody named: one person with a key and a certificate would be two."""
    for authority in authorities:
        if (
            isinstance(authority, CertificateAuthority)
            and "author" in authority.roles
            and not authority.identities
        ):
            raise FormatError(
                "bad-policy",
                f"{authority.name!r} takes anybody for an author; list identities, or ask for one author",
            )


def _authority(untrusted: strictjson.Value, index: int, read_file: ReadFile) -> Authority:
    where = f"spec.authorities[{index}]"
    fields = strictjson.Fields(untrusted, where, MEMBERS[_AUTHORITY])
    name = _name(fields, where)
    listed = [_text(role, f"{where}.roles") for role in fields.take("roles", list)]
    present = [kind for kind in ("key", "certificate") if fields.has(kind)]
    if len(present) != 1:
        raise FormatError("bad-policy", f"{where} needs exactly one of key and certificate")
    within, known = f"{where}.{present[0]}", MEMBERS[f"{_AUTHORITY}.{present[0]}"]
    said = strictjson.Fields(fields.take(present[0], dict), within, known)
    fields.done()
    roles = frozenset(listed)
    if not roles or not roles <= ROLES or len(roles) != len(listed):
        raise FormatError("bad-policy", f"{where}.roles must be author, publisher or both")
    acting = cast("frozenset[Role]", roles)
    if present == ["key"]:
        pem = _pem(said, f"{where}.key", read_file)
        return KeyAuthority(name, acting, public_key_from_pem(pem, what=f"{where}.key"))
    return _certificate(name, acting, said, read_file, where=f"{where}.certificate.identities")


def _certificate(
    name: str, roles: frozenset[Role], said: strictjson.Fields, read_file: ReadFile, *, where: str
) -> CertificateAuthority:
    what = f"the roots of {name!r}"
    roots = strictjson.Fields(said.take("roots", dict), what, MEMBERS[f"{_AUTHORITY}.certificate.roots"])
    identities = tuple(_text(entry, where) for entry in said.maybe("identities", list) or [])
    purpose = said.maybe("extendedKeyUsage", str)
    if said.has("identities") and not identities:
        raise FormatError("bad-policy", f"{where} believes nobody: list identities, or leave the member out")
    said.done()
    pem = _pem(roots, what, read_file)
    return certificate_authority(
        name, roles, pem, identities=identities, purpose=purpose, what=what, where=where
    )


def _pem(fields: strictjson.Fields, where: str, read_file: ReadFile) -> bytes:
    pem, file = fields.maybe("pem", str), fields.maybe("file", str)
    fields.done()
    if pem is not None and file is None:
        return pem.encode()
    if file is not None and pem is None:
        return read_file(file)
    raise FormatError("bad-policy", f"{where} needs exactly one of pem and file")


def _name(fields: strictjson.Fields, where: str) -> str:
    name = fields.take("name", str)
    if not name.isprintable() or not 1 <= len(name) <= MAX_NAME:
        raise FormatError("bad-policy", f"{where}.name must be printable, of 1 to {MAX_NAME} characters")
    return name


def _text(value: strictjson.Value, where: str) -> str:
    if not isinstance(value, str):
        raise FormatError("bad-policy", f"{where} must hold strings")
    return value


def _yaml(raw: bytes) -> strictjson.Value:
    if len(raw) > MAX_BYTES:
        raise LimitError("too-large", f"the policy is larger than {MAX_BYTES} bytes")
    from trustkit.verifying.strictyaml import parse_yaml  # loading it takes longer than verifying with a key

    return parse_yaml(raw)
