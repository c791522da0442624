"""Verification of signed manifests, as a numbered list. The only maker of its proofs.

Whoever holds a `VerifiedStatement` or `VerifiedManifest` knows that these steps
were passed, in this order; nothing here touches model bytes.

    1. The bundle parses within its caps.        stops bombs and second readings (cosign GHSA-vfp6)
    2. Distinct authorities of the right role    stops wrong signers, and one signer counted twice
       signed the PAE of the received payload,   (sigstore-go #633); each signature is tried with
       at least as many as the threshold; a      each authority, hints and key IDs choose nothing.
       certificate counts for its authority.
                                                 What 0.2.0 signed instead counts for its predicate alone
    3. The payload is a statement of the         stops another kind of statement by the same key
       predicate type that was asked for.        (cosign CVE-2022-35929)
    4. The manifest obeys every rule, names      stops traversal, twins inside the document,
       are safe and distinct, ranges tile,       unsigned gaps, names that are signed and hidden
       nothing is signed and ignored.            (model-signing #647)
    5. The root digest fits the resources.       stops half-edited documents
"""

from __future__ import annotations

from trustkit.artifact.leaving_out import GIT_PATHS
from trustkit.artifact.manifest import Manifest
from trustkit.attest.bundle import MAX_BYTES, PublicKeyHint, parse_bundle
from trustkit.attest.dsse import pae_head
from trustkit.attest.predicates.digests import encoding_of_old, in_words_of_today
from trustkit.attest.predicates.model_signature import parse_manifest
from trustkit.attest.statement import FILES_AS_SUBJECTS, Statement, parse_statement
from trustkit.digest import Digest, digest_of
from trustkit.errors import FormatError
from trustkit.records import KW_ONLY, InitVar, dataclass
from trustkit.verifying.authorities import Role
from trustkit.verifying.keys import Message
from trustkit.verifying.policy import VerificationPolicy
from trustkit.verifying.signers import SignerEvidence, candidates

_PROOF = object()


@dataclass(frozen=True)
class VerifiedStatement:
    """A statement that enough authorities signed. Made by `verify_statement` alone.

    Attributes:
        statement: What they signed.
        signers: Who signed, as the policy names them.
        bundle_digest: SHA-256 of the bundle's bytes.
        policy_digest: SHA-256 of the policy it was verified under.
        old: Whether the bundle has the form of model-signing 0.3.1 to 1.0.x; nobody signed that.
    """

    statement: Statement
    signers: tuple[SignerEvidence, ...]
    bundle_digest: Digest
    policy_digest: Digest
    old: bool
    _: KW_ONLY
    proof: InitVar[object] = None

    def __post_init__(self, proof: object) -> None:
        demand(proof)


@dataclass(frozen=True)
class VerifiedManifest:
    """A manifest that enough authors signed: names and digests to hold bytes against.

    Made by `verify_manifest` alone. Says nothing about any bytes on a disk.

    Attributes:
        manifest: The signed manifest.
        name: The signed subject name; informational.
        signers: Who signed, as the policy names them.
        bundle_digest: SHA-256 of the bundle's bytes.
        policy_digest: SHA-256 of the policy it was verified under.
    """

    manifest: Manifest
    name: str
    signers: tuple[SignerEvidence, ...]
    bundle_digest: Digest
    policy_digest: Digest
    _: KW_ONLY
    proof: InitVar[object] = None

    def __post_init__(self, proof: object) -> None:
        demand(proof)

    @property
    def manifest_digest(self) -> Digest:
        """What pins and caches name (architecture, section 11)."""
        return self.manifest.manifest_digest


def demand(proof: object) -> None:
    """Refuse to build a proof outside this room's verifying functions."""
    if proof is not _PROOF:
        raise TypeError("proofs are made by verification, never by hand")


def proven() -> object:
    """Return the token that `demand` accepts; for the modules of this room only (a contract test checks)."""
    return _PROOF


def verify_statement(
    untrusted_bundle: bytes,
    policy: VerificationPolicy,
    *,
    role: Role,
    threshold: int = 1,
    at: float | None = None,
    max_bytes: int = MAX_BYTES,
) -> VerifiedStatement:
    """Verify who signed a bundle's statement (steps 1 to 3 without the predicate type).

    Args:
        untrusted_bundle: The bundle's bytes.
        policy: Whom to believe.
        role: In which role the authorities must act.
        threshold: How many distinct authorities must have signed; never fewer than one.
        at: The time at which certificates must be valid (seconds since the epoch): now. With None no
            certificate is believed.
        max_bytes: Largest bundle accepted (bytes).

    Raises:
        FormatError, LimitError: The bundle does not parse.
        VerificationError: ``wrong-signer``, ``below-threshold``, ``unsupported-material``; of certificates
            ``certificate-untrusted``, ``certificate-expired``, ``certificate-not-yet-valid``,
            ``certificate-not-for-signing``, ``certificate-time-unknown`` or ``identity-mismatch``.
    """
    bundle = parse_bundle(untrusted_bundle, max_bytes=max_bytes)  # step 1
    # Timestamps in the bundle are counted and prove nothing yet: whoever can verify one changes `at` here.
    suspects = candidates(bundle.material, policy, role, at=at)
    payload = bundle.envelope.payload
    message = Message(pae_head(bundle.envelope.payload_type, len(payload)), payload)
    signers = suspects.that_signed(message, bundle.envelope, threshold=threshold)  # step 2
    encoding = None if signers else encoding_of_old(bundle.envelope)
    if encoding is not None:  # what 0.2.0 signed instead, with the hash that it always took
        message = Message(encoding, always_sha256=True)
        signers = suspects.that_signed(message, bundle.envelope, threshold=threshold)
    if not signers:
        raise suspects.nobody()
    statement = parse_statement(payload, max_bytes=max_bytes)  # step 3
    if encoding is not None and statement.predicate_type != FILES_AS_SUBJECTS:
        raise suspects.nobody()  # nobody ever signed another type in this way
    old = isinstance(bundle.material, PublicKeyHint) and bundle.material.old
    return VerifiedStatement(
        statement, signers, digest_of(untrusted_bundle), policy.digest, old, proof=_PROOF
    )


def verify_manifest(
    untrusted_bundle: bytes,
    policy: VerificationPolicy,
    *,
    at: float | None = None,
    max_bytes: int = MAX_BYTES,
) -> VerifiedManifest:
    """Verify an author's OMS bundle and return the manifest it signs (steps 1 to 5).

    Args:
        untrusted_bundle: The bundle's bytes.
        policy: Whom to believe; its threshold counts authors.
        at: As for `verify_statement`.
        max_bytes: Largest bundle accepted (bytes).

    Raises:
        FormatError, LimitError: The bundle or the signed manifest does not parse.
        VerificationError: As `verify_statement`; ``wrong-predicate-type`` or ``root-digest-mismatch``.
    """
    verified = verify_statement(
        untrusted_bundle, policy, role="author", threshold=policy.threshold, at=at, max_bytes=max_bytes
    )
    # Old bundles carry no list of what they left out. Nobody signs that a bundle is old, so a new one can be
    # dressed up: its signed list stands; where it has none, unsigned files under git's names are reported as
    # ignored, as OMS 11.2 would have it for every bundle, and handed out they never are.
    statement = in_words_of_today(verified.statement)
    name = statement.subjects[0].name
    if not name and not verified.old:
        raise FormatError(
            "missing-field", "the subject of the statement lacks 'name'", field="subject[].name"
        )
    manifest = parse_manifest(statement, unlisted=GIT_PATHS if verified.old else ())  # steps 3 to 5
    return VerifiedManifest(
        manifest,
        name or "model",
        verified.signers,
        verified.bundle_digest,
        verified.policy_digest,
        proof=_PROOF,
    )
