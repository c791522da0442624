"""Whom a command is told to believe: a policy file, bare public keys, or roots of a CA. No other source.

No default, no store, no environment variable: without either the answer is
exit 2 ``no-authority`` (architecture, section 11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.errors import UsageError

if TYPE_CHECKING:
    from trustkit.cli.parser import Parser
    from trustkit.errors import TrustkitError
    from trustkit.verifying.policy import VerificationPolicy
    from trustkit.verifying.signers import SignerEvidence

MAX_KEY_BYTES = 64 << 10
"""Largest public key file (bytes)."""
_OF_ROOTS = ("bad-certificate", "private-key-given", "public-key-given", "chain-too-long", "too-large")
"""Codes for what is wrong with a file of roots, and not with the identities beside it."""


def trust_flags(parser: Parser) -> None:
    """Let a command say whom to believe of a sealed folder, for `policy_from_flags`."""
    parser.one("--key", "public key of the author (PEM)")
    parser.one("--publisher-key", "public key of the publisher (default: the author's)")
    parser.one("--policy", "verification policy that says which authors and publishers to believe")


def policy_from_flags(
    policy: Path | None,
    key: Path | None,
    publisher_key: Path | None = None,
    *,
    flag: str = "--key",
    roots: Path | None = None,
    ca: bool = False,
    identities: Sequence[str] = (),
) -> VerificationPolicy:
    """Return the policy that the flags name.

    Args:
        policy: Value of ``--policy``.
        key: Value of the flag with the author's public key.
        publisher_key: Value of ``--publisher-key``; only beside a key.
        flag: What the author's flag is called in messages.
        roots: Value of ``--ca``.
        ca: Whether the command has that flag.
        identities: Values of ``--identity``; only beside ``--ca``.

    Raises:
        UsageError: ``no-authority`` for none, ``bad-arguments`` for both, or what is wrong with the files.
    """
    from trustkit.artifact.inputs import of_file
    from trustkit.verifying.policy import policy_from_keys, policy_from_roots

    if identities and roots is None:
        raise UsageError("bad-arguments", "--identity says whom of a CA to believe; it needs --ca")
    if roots is not None:
        if policy is not None or key is not None:
            raise UsageError("bad-arguments", "say whom to believe once: --ca, --key or --policy")
        with of_file(roots, codes=_OF_ROOTS):
            return policy_from_roots(read_roots(roots), identities, where="--identity")
    if policy is not None and (key is not None or publisher_key is not None):
        raise UsageError(
            "bad-arguments", f"--policy already says whom to believe; leave out {flag} or --policy"
        )
    if policy is not None:
        return read_policy(policy)
    if key is None:
        others = ", --ca with a file of roots, or --policy" if ca else ", or --policy"
        raise UsageError("no-authority", f"whom to believe? Give {flag} with a public key file{others}")
    return policy_from_keys(
        read_key(key),
        None if publisher_key is None else read_key(publisher_key),
        named=(repr(str(key)), repr(str(publisher_key))),
    )


def by_other_flags(error: TrustkitError, arguments: Mapping[str, object]) -> TrustkitError:
    """Return what a command was refused with, or in its place which flags believe a signer of that kind.

    Args:
        error: What was raised; its code stays.
        arguments: Their values by what argparse calls them.
    """
    if error.code != "unsupported-material" or arguments.get("policy") is not None:
        return error
    certified, keyless = "with a certificate" in error.message, "keyless" in error.message
    if arguments.get("ca") is not None and not keyless:
        return type(error)(error.code, f"{error.message} with --key", **error.evidence)
    if not certified:
        return error
    policy = "--policy with an authority of certificates, its roots and identities"
    ways = f"--ca with its roots and --identity, or {policy}" if "ca" in arguments else policy
    return type(error)(
        error.code,
        f"the signature was made with a certificate, of another key than was given; give that key, or {ways}",
        **error.evidence,
    )


def anybody_warnings(
    policy: VerificationPolicy, signers: Iterable[SignerEvidence], *, ca: bool = False
) -> list[str]:
    """Warn who believes roots alone: all of their people, and those whom they certify tomorrow.

    Args:
        policy: Under which it was verified.
        signers: Whom it believed.
        ca: Whether the policy is what ``--ca`` means.
    """
    from trustkit.verifying.authorities import CertificateAuthority

    anybody = {
        one.name for one in policy.authorities if isinstance(one, CertificateAuthority) and not one.identities
    }
    return [_anybody(signer, ca=ca) for signer in signers if signer.authority in anybody]


def _anybody(signer: SignerEvidence, *, ca: bool) -> str:
    whom, remedy = "--ca without --identity", "add --identity with the name that you expect"
    if not ca:
        whom = f"the authority {signer.authority!r} of the policy has no identities and"
        remedy = "list in it whom you expect"
    name = signer.identity
    here = "somebody whom his certificate does not name" if name is None else repr(name)
    return f"{whom} believes whoever its roots certified, here {here}; {remedy}"


def read_policy(path: Path, *, named: list[str] | None = None) -> VerificationPolicy:
    """Read a policy file; keys it names by file lie relative to it.

    Args:
        path: The policy.
        named: Gets the files that the policy names.

    Raises:
        UsageError: ``no-such-file``, ``bad-policy``, or what is wrong with a key.
    """
    from trustkit.artifact.inputs import of_file, read_input
    from trustkit.verifying.authorities import MAX_ROOTS_BYTES
    from trustkit.verifying.policy import MAX_BYTES, parse_policy

    raw = read_input(path, max_bytes=MAX_BYTES, what="policy")
    files = [] if named is None else named

    def read_file(name: str) -> bytes:
        files.append(name)  # it may be roots; a key is far below their cap
        return read_input(path.parent / name, max_bytes=MAX_ROOTS_BYTES, what="key or certificate file")

    with of_file(path):
        return parse_policy(raw, read_file=read_file)


def read_roots(path: Path) -> bytes:
    """Read a file of certificates."""
    from trustkit.artifact.inputs import read_input
    from trustkit.verifying.authorities import MAX_ROOTS_BYTES

    return read_input(path, max_bytes=MAX_ROOTS_BYTES, what="CA file")


def read_key(path: Path) -> bytes:
    """Read a public key file."""
    from trustkit.artifact.inputs import read_input

    return read_input(path, max_bytes=MAX_KEY_BYTES, what="key")
