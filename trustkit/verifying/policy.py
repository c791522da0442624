"""Verification policies: whom we agree to believe, in which role, for which model lines.

A policy is cryptographic only: authorities, threshold, lines. Everything else
is a rule's business. The file is trusted (the operator wrote it), and read
strictly all the same: an unknown member may be a misspelt restriction, so it
makes the policy invalid (CVE-2025-29778 class). YAML is read as the JSON it
could have been: no anchors, aliases, tags or merges, one document, distinct text
keys, and ``no``, ``0x10`` or ``1:30`` are texts. Schema: README, "Policies".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import yaml

from trustkit import strictjson
from trustkit.digest import Digest, digest_of
from trustkit.errors import FormatError, LimitError, UsageError
from trustkit.sealing.descriptor import check_line
from trustkit.verifying.keys import PublicKey, public_key_from_pem

API_VERSION = "trustkit.dev/v1alpha1"
KIND = "VerificationPolicy"
MAX_BYTES = 1 << 20
"""Largest policy file (bytes)."""
MAX_AUTHORITIES = 1000
"""Most authorities in one policy."""
MAX_NAME = 253
"""Longest name of a policy or an authority (characters)."""

Role = Literal["author", "publisher"]
ROLES: frozenset[Role] = frozenset(("author", "publisher"))
ANY_LINE = None

ReadFile = Callable[[str], bytes]
"""Reads a file that the policy names, relative to the policy."""


@dataclass(frozen=True, slots=True)
class KeyAuthority:
    """An authority that is one public key, with the roles it may act in."""

    name: str
    roles: frozenset[Role]
    public_key: PublicKey


@dataclass(frozen=True, slots=True)
class VerificationPolicy:
    """Whom to believe.

    Attributes:
        name: For people and records.
        authorities: Distinct keys; one key is one authority whatever its names.
        threshold: How many distinct author authorities must have signed a manifest.
        lines: Model lines the policy speaks for, exact; None (only from a bare key) is any line.
        digest: SHA-256 of the policy's bytes, recorded with every decision. It covers no file that a
            ``key.file`` names: faces that pin a policy by its digest read only policies without one.
    """

    name: str
    authorities: tuple[KeyAuthority, ...]
    threshold: int
    lines: tuple[str, ...] | None
    digest: Digest

    def acting_as(self, role: Role) -> tuple[KeyAuthority, ...]:
        """Return the authorities that may act in this role."""
        return tuple(authority for authority in self.authorities if role in authority.roles)


def policy_from_keys(author_pem: bytes, publisher_pem: bytes | None = None) -> VerificationPolicy:
    """Make the policy that a bare ``--key`` means: this key, and no other.

    Args:
        author_pem: Public key that must have signed the manifest.
        publisher_pem: Public key that must have signed the descriptor; the author's where absent.

    Raises:
        UsageError: The key is not a usable public key.
    """
    author = public_key_from_pem(author_pem, what="the key")
    publisher = (
        author if publisher_pem is None else public_key_from_pem(publisher_pem, what="the publisher's key")
    )
    authorities: tuple[KeyAuthority, ...] = (KeyAuthority("key", ROLES, author),)
    if publisher.fingerprint != author.fingerprint:
        authorities = (
            KeyAuthority("author-key", frozenset(("author",)), author),
            KeyAuthority("publisher-key", frozenset(("publisher",)), publisher),
        )
    # A bare key has no file whose bytes could be recorded: its fingerprint is what was decided on.
    meant = {"author": str(author.fingerprint), "publisher": str(publisher.fingerprint)}
    return VerificationPolicy("key", authorities, 1, ANY_LINE, digest_of(strictjson.to_bytes(meant)))


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
        fields = strictjson.Fields(_yaml(raw), "policy")
        if fields.take("apiVersion", str) != API_VERSION or fields.take("kind", str) != KIND:
            raise FormatError("bad-policy", f"apiVersion and kind must be {API_VERSION} and {KIND}")
        metadata = strictjson.Fields(fields.take("metadata", dict), "metadata")
        name = _name(metadata, "metadata")
        metadata.done()
        spec = strictjson.Fields(fields.take("spec", dict), "spec")
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
    lines = tuple(check_line(_text(line, "spec.lines")) for line in spec.maybe("lines", list) or [])
    if len(set(lines)) != len(lines):
        raise FormatError("bad-policy", "spec.lines names a line twice")
    if not entries or len(entries) > MAX_AUTHORITIES:
        raise FormatError("bad-policy", f"spec.authorities needs 1 to {MAX_AUTHORITIES} entries")
    authorities = tuple(_authority(entry, index, read_file) for index, entry in enumerate(entries))
    if len({a.public_key.fingerprint for a in authorities}) != len(authorities):
        raise FormatError("bad-policy", "two authorities hold the same key; merge their roles")
    if len({a.name for a in authorities}) != len(authorities):
        raise FormatError("bad-policy", "two authorities have the same name")
    authors = sum("author" in authority.roles for authority in authorities)
    if not 1 <= threshold <= max(authors, 1):
        raise FormatError("bad-policy", f"spec.threshold must be from 1 to the number of authors ({authors})")
    return VerificationPolicy(name, authorities, threshold, lines, digest)


def _authority(untrusted: strictjson.Value, index: int, read_file: ReadFile) -> KeyAuthority:
    where = f"spec.authorities[{index}]"
    fields = strictjson.Fields(untrusted, where)
    name = _name(fields, where)
    listed = [_text(role, f"{where}.roles") for role in fields.take("roles", list)]
    key = strictjson.Fields(fields.take("key", dict), f"{where}.key")
    fields.done()
    roles = frozenset(listed)
    if not roles or not roles <= ROLES or len(roles) != len(listed):
        raise FormatError("bad-policy", f"{where}.roles must be author, publisher or both")
    pem, file = key.maybe("pem", str), key.maybe("file", str)
    key.done()
    if pem is not None and file is None:
        raw = pem.encode()
    elif file is not None and pem is None:
        raw = read_file(file)
    else:
        raise FormatError("bad-policy", f"{where}.key needs exactly one of pem and file")
    return KeyAuthority(name, cast("frozenset[Role]", roles), public_key_from_pem(raw, what=f"{where}.key"))


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
    try:
        value = yaml.load(raw.decode("utf-8"), Loader=StrictLoader)  # noqa: S506 - a SafeLoader, stricter
        strictjson.to_bytes(value)  # lone surrogates, which YAML's escapes can spell, are no text
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        why = f": {error.problem}" if isinstance(error, _StrictError) else ""
        raise FormatError("bad-policy", f"not a document that is read here{where}{why}") from None
    return cast("strictjson.Value", value)


class _StrictError(yaml.MarkedYAMLError):
    """Legal YAML that is refused because it could be read in two ways, or grows when it is read."""


_TEXT = "tag:yaml.org,2002:str"


class StrictLoader(yaml.SafeLoader):
    """SafeLoader that reads YAML as JSON: no aliases, no tags, no duplicate keys, no bombs.

    Numbers are JSON's; what YAML 1.1 would make of ``no``, ``0x10``, ``1:30`` or a date is a text.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - yaml's own attribute

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases, anchors and tags, then compose as usual."""
        event = self.peek_event()  # type: ignore[no-untyped-call] # the stubs leave it out
        if getattr(event, "anchor", None) is not None or getattr(event, "tag", None) is not None:
            raise _StrictError(problem="anchors, aliases and tags are refused", problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:  # noqa: FBT001,FBT002 - yaml's signature
        """Refuse duplicate and non-text keys, then construct as usual."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != _TEXT or key.value in seen:
                raise _StrictError(problem="a mapping needs distinct text keys", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


for _tag, _form, _first in (
    ("tag:yaml.org,2002:null", r"(?:null|~|)\Z", ["n", "~", ""]),
    ("tag:yaml.org,2002:bool", r"(?:true|false)\Z", ["t", "f"]),
    ("tag:yaml.org,2002:int", r"-?(?:0|[1-9][0-9]*)\Z", list("-0123456789")),
    (
        "tag:yaml.org,2002:float",
        r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z",
        list("-0123456789"),
    ),
):
    StrictLoader.add_implicit_resolver(_tag, re.compile(_form), _first)
