"""Verification of signed manifests, as a numbered list. The only maker of its proofs.

Whoever holds a `VerifiedStatement` or `VerifiedManifest` knows that these steps
were passed, in this order; nothing here touches model bytes.

    1. The bundle parses within its caps.        stops bombs and second readings (cosign GHSA-vfp6)
    2. Distinct authorities of the right role    stops wrong signers, and one signer counted twice
       signed the PAE of the received payload,   (sigstore-go #633); each signature is tried with
       at least as many as the threshold.        each authority, hints and key IDs choose nothing
    3. The payload is a statement of the         stops another kind of statement by the same key
       predicate type that was asked for.        (cosign CVE-2022-35929)
    4. The manifest obeys every rule, names      stops traversal, twins inside the document,
       are safe and distinct, ranges tile,       unsigned gaps, names that are signed and hidden
       nothing is signed and ignored.            (model-signing #647)
    5. The root digest fits the resources.       stops half-edited documents
"""

from __future__ import annotations

from dataclasses import KW_ONLY, InitVar, dataclass

from trustkit.artifact.leaving_out import GIT_PATHS
from trustkit.artifact.manifest import Manifest
from trustkit.attest.bundle import MAX_BYTES, Bundle, PublicKeyHint, parse_bundle
from trustkit.attest.dsse import Envelope, pae
from trustkit.attest.predicates.model_signature import parse_manifest
from trustkit.attest.statement import Statement, parse_statement
from trustkit.digest import Digest, digest_of
from trustkit.errors import VerificationError
from trustkit.verifying.keys import Message
from trustkit.verifying.policy import Role, VerificationPolicy

_PROOF = object()


@dataclass(frozen=True, slots=True)
class SignerEvidence:
    """An authority of the policy whose signature was verified, and its key's fingerprint."""

    authority: str
    fingerprint: Digest


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
    max_bytes: int = MAX_BYTES,
) -> VerifiedStatement:
    """Verify who signed a bundle's statement (steps 1 to 3 without the predicate type).

    Args:
        untrusted_bundle: The bundle's bytes.
        policy: Whom to believe.
        role: In which role the authorities must act.
        threshold: How many distinct authorities must have signed; never fewer than one.
        max_bytes: Largest bundle accepted (bytes).

    Raises:
        FormatError, LimitError: The bundle does not parse.
        VerificationError: ``wrong-signer``, ``below-threshold``, ``unsupported-material``.
    """
    bundle = parse_bundle(untrusted_bundle, max_bytes=max_bytes)  # step 1
    material = _of_a_key(bundle)
    signers = _signers(bundle.envelope, policy, role, threshold)  # step 2
    if not signers:
        raise _wrong_signer(material.hint, policy, role)
    statement = parse_statement(bundle.envelope.payload, max_bytes=max_bytes)  # step 3
    return VerifiedStatement(
        statement, signers, digest_of(untrusted_bundle), policy.digest, material.old, proof=_PROOF
    )


def verify_manifest(
    untrusted_bundle: bytes, policy: VerificationPolicy, *, max_bytes: int = MAX_BYTES
) -> VerifiedManifest:
    """Verify an author's OMS bundle and return the manifest it signs (steps 1 to 5).

    Args:
        untrusted_bundle: The bundle's bytes.
        policy: Whom to believe; its threshold counts authors.
        max_bytes: Largest bundle accepted (bytes).

    Raises:
        FormatError, LimitError: The bundle or the signed manifest does not parse.
        VerificationError: ``wrong-signer``, ``below-threshold``, ``unsupported-material``,
            ``wrong-predicate-type`` or ``root-digest-mismatch``.
    """
    verified = verify_statement(
        untrusted_bundle, policy, role="author", threshold=policy.threshold, max_bytes=max_bytes
    )
    # Old bundles carry no list of what they left out. Nobody signs that a bundle is old, so a new one can be
    # dressed up: its signed list stands; where it has none, unsigned files under git's names are reported as
    # ignored, as OMS 11.2 would have it for every bundle, and handed out they never are.
    manifest = parse_manifest(verified.statement, unlisted=GIT_PATHS if verified.old else ())  # steps 3 to 5
    return VerifiedManifest(
        manifest,
        verified.statement.subjects[0].name,
        verified.signers,
        verified.bundle_digest,
        verified.policy_digest,
        proof=_PROOF,
    )


def _of_a_key(bundle: Bundle) -> PublicKeyHint:
    if not isinstance(bundle.material, PublicKeyHint):
        raise VerificationError(
            "unsupported-material",
            "the bundle was signed with a certificate, and the policy names keys; sign it with a key",
        )
    return bundle.material


def _signers(
    envelope: Envelope, policy: VerificationPolicy, role: Role, threshold: int
) -> tuple[SignerEvidence, ...]:
    """Return who signed: nobody, or at least as many as the threshold."""
    message = Message(pae(envelope.payload_type, envelope.payload))
    signatures = {signature.sig for signature in envelope.signatures}
    found = {
        authority.public_key.fingerprint: SignerEvidence(authority.name, authority.public_key.fingerprint)
        for authority in policy.acting_as(role)
        if any(authority.public_key.signed(message, signature) for signature in signatures)
    }
    if 0 < len(found) < threshold:
        raise VerificationError(
            "below-threshold",
            f"{len(found)} of {threshold} needed {role}s signed this; get the missing signatures",
            signers=[signer.authority for signer in found.values()],
            threshold=threshold,
        )
    return tuple(found.values())


def _wrong_signer(untrusted_hint: str, policy: VerificationPolicy, role: Role) -> VerificationError:
    """Say which of the two it looks like; the hint serves people, and decided nothing."""
    named = any(authority.public_key.hint == untrusted_hint for authority in policy.acting_as(role))
    return VerificationError(
        "wrong-signer",
        "the bundle names a key that we believe, but its signature does not fit what it holds: it was edited"
        if named
        else f"no {role} we believe made this signature, or what was signed has been edited",
        key_hint=untrusted_hint[:128],
    )
