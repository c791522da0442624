"""What a sidecar believes, read from files that must be the ones its arguments pin. Before any network.

The files may come from anywhere, a ConfigMap too: a byte of difference is a
refusal (ADR 0018). The policy holds its keys inline, because its digest would
not cover another file. The trust bundle of the SVID directory is never read:
whoever writes there may rotate our certificate, and choose nobody's CA.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trustkit.artifact.inputs import of_file, read_input
from trustkit.digest import digest_of
from trustkit.errors import TrustkitError, UnavailableError, UsageError, VerificationError
from trustkit.sidecar.config import Config, Pinned
from trustkit.spiffe import chains
from trustkit.spiffe.names import SpiffeID, demand_own_domain
from trustkit.spiffe.svid import BUNDLE, SVIDSource
from trustkit.verifying.policy import MAX_BYTES as POLICY_MAX_BYTES
from trustkit.verifying.policy import VerificationPolicy, parse_policy

_SVID_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Beliefs:
    """The policy, and where our identity comes from: our own leaf under the pinned trust bundle."""

    policy: VerificationPolicy
    source: SVIDSource


def beliefs_of(
    config: Config, *, now: Callable[[], float], alarm: Callable[[TrustkitError], None]
) -> Beliefs:
    """Read the pinned files.

    Args:
        config: The arguments.
        now: Seconds since the epoch.
        alarm: Told of a new SVID that was not taken, and why.

    Raises:
        VerificationError: ``pin-mismatch``.
        UsageError: ``no-such-file``, ``bad-policy`` or ``policy-not-self-contained``.
        FormatError, LimitError, UnavailableError: A file that cannot be read as one.
    """
    raw = _pinned(config.policy, POLICY_MAX_BYTES, "policy", "--policy-digest")
    with of_file(config.policy.file):
        policy = parse_policy(raw, read_file=_no_other_file)
    bundle = _pinned(config.trust_bundle, _SVID_MAX_BYTES, "trust bundle", "--trust-bundle-digest")
    with of_file(config.trust_bundle.file):
        chains.parse_certificates(bundle, "the trust bundle", most=chains.MAX_ANCHORS)

    def read(name: str) -> bytes:
        return bundle if name == BUNDLE else _svid_file(config.svid_directory, name)

    return Beliefs(policy, SVIDSource(read, now, alarm=alarm, place=str(config.svid_directory)))


def demand_peers(config: Config, ours: SpiffeID) -> None:
    """Refuse to ask who could never prove himself to us; the broker is asked for sealed models alone.

    Raises:
        UsageError: ``foreign-trust-domain``.
    """
    broker = [("--broker-id", config.broker_id)] if config.descriptor_digest is not None else []
    demand_own_domain(ours, [("--store-id", config.store_id), *broker])


def _pinned(pinned: Pinned, max_bytes: int, what: str, flag: str) -> bytes:
    raw = read_input(pinned.file, max_bytes=max_bytes, what=what)
    found = digest_of(raw)
    if not found.matches(pinned.digest):
        raise VerificationError(
            "pin-mismatch",
            f"the {what} {str(pinned.file)!r} is not the one that {flag} pins; bring that one, or admit anew",
            file=str(pinned.file),
            pinned=str(pinned.digest),
            found=str(found),
        )
    return raw


def _no_other_file(name: str) -> bytes:
    raise UsageError(
        "policy-not-self-contained", f"the policy must hold its keys inline (key.pem), not in {name!r}"
    )


def _svid_file(directory: Path, name: str) -> bytes:
    """Read a file of the SVID directory; one that is not there may be on its way."""
    try:
        return read_input(directory / name, max_bytes=_SVID_MAX_BYTES, what="SVID")
    except UsageError:
        raise UnavailableError(
            "no-svid", f"there is no {name} in {str(directory)!r} yet; look at what issues SVIDs here"
        ) from None
