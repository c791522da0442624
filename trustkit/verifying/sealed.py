"""Verification of sealed artifacts, as a numbered list. The only maker of `VerifiedSealed`.

Documents only; no byte of ciphertext is touched, no key is needed. Whoever
holds the proof knows what the parts must be, and what they must open to.

    1. A publisher we believe signed the descriptor's     stops anybody's descriptor
       bundle (verify.py, steps 1 and 2).
    2. The statement is a descriptor, and obeys every     stops other statements by the same key, unsafe
       rule of its format: names, lengths, order.         names, lengths that FLOE would never give
    3. The policy speaks for its line.                    stops a publisher outside his lines
    4. The key that its wrapped keys are bound to is      stops another's wrapped key dressed in an own
       one that signed it; the proof names that           descriptor, and an own signature set beside
       publisher alone.                                   the publisher's to be taken for him
    5. Authors we believe signed the manifest, in its     stops a publisher who seals what no author made
       own bundle (verify.py, all steps).
    6. Descriptor and both of its subject digests name    stops a descriptor over another manifest, and
       that manifest.                                     renames that keep the root digest
    7. Parts and manifest list the same files; lengths    stops files added, left out or cut, before a
       agree where the manifest has them.                 byte is fetched
"""

from __future__ import annotations

from trustkit.artifact.manifest import SINGLE, Manifest
from trustkit.attest.bundle import MAX_BYTES
from trustkit.attest.predicates.sealed import MANIFEST_DIGEST, ROOT_DIGEST, parse_sealed
from trustkit.attest.statement import Statement
from trustkit.digest import Digest, digest_from_hex
from trustkit.errors import VerificationError
from trustkit.records import KW_ONLY, InitVar, dataclass
from trustkit.sealing.descriptor import Descriptor
from trustkit.sealing.documents import SealedDocuments
from trustkit.verifying.policy import VerificationPolicy
from trustkit.verifying.signers import SignerEvidence
from trustkit.verifying.verify import (
    VerifiedManifest,
    demand,
    proven,
    verify_manifest,
    verify_statement,
)

_SHOWN = 20


@dataclass(frozen=True)
class VerifiedSealed:
    """A descriptor and the manifest it seals, signed by a publisher and by authors we believe.

    Made by `verify_sealed` alone. Says nothing about any ciphertext on a disk.

    Attributes:
        descriptor: What the parts must be.
        author: What they must open to, and who signed that.
        publishers: The publisher whose key the wrapped keys are bound to, as the policy names it; whoever
            else signed beside it published nothing, and is left out.
        descriptor_digest: SHA-256 of the bytes of the descriptor's bundle.
        policy_digest: SHA-256 of the policy it was verified under.
    """

    descriptor: Descriptor
    author: VerifiedManifest
    publishers: tuple[SignerEvidence, ...]
    descriptor_digest: Digest
    policy_digest: Digest
    _: KW_ONLY
    proof: InitVar[object] = None

    def __post_init__(self, proof: object) -> None:
        demand(proof)

    @property
    def manifest_digest(self) -> Digest:
        """What pins and caches name (architecture, section 11)."""
        return self.author.manifest_digest


def verify_sealed(
    documents: SealedDocuments,
    policy: VerificationPolicy,
    *,
    at: float | None = None,
    max_bytes: int = MAX_BYTES,
) -> VerifiedSealed:
    """Verify who published a sealed artifact, who made it, and that the two speak of one thing.

    Args:
        documents: As they were read, untrusted; the recipients document is not looked at.
        policy: Whom to believe, and for which lines.
        at: As for `trustkit.verifying.verify.verify_statement`.
        max_bytes: Largest bundle accepted, each (bytes).

    Raises:
        FormatError, LimitError: A bundle, the descriptor or the manifest does not parse.
        VerificationError: As `trustkit.verifying.verify.verify_statement`;
            ``wrong-predicate-type``, ``line-not-in-policy``, ``publisher-mismatch``,
            ``root-digest-mismatch``, ``manifest-mismatch`` or ``parts-mismatch``.
    """
    signed = verify_statement(
        documents.descriptor, policy, role="publisher", at=at, max_bytes=max_bytes
    )  # step 1
    descriptor = parse_sealed(signed.statement)  # step 2
    _check_line(descriptor, policy)  # step 3
    publishers = _publishers(descriptor, signed.signers)  # step 4
    author = verify_manifest(documents.author_bundle, policy, at=at, max_bytes=max_bytes)  # step 5
    _check_manifest(descriptor, signed.statement, author.manifest)  # step 6
    _check_parts(descriptor, author.manifest)  # step 7
    return VerifiedSealed(
        descriptor, author, publishers, signed.bundle_digest, signed.policy_digest, proof=proven()
    )


def check_plain(policy: VerificationPolicy) -> None:
    """Refuse a plain model under a policy that names lines: it has none.

    Or a store that hides a descriptor would free a sealed model of its line.

    Raises:
        VerificationError: ``line-not-in-policy``.
    """
    if policy.lines:
        raise VerificationError(
            "line-not-in-policy", "a plain model has no line, and the policy speaks for lines alone; seal it"
        )


def _check_line(descriptor: Descriptor, policy: VerificationPolicy) -> None:
    if policy.lines is not None and descriptor.line not in policy.lines:
        raise VerificationError(
            "line-not-in-policy",
            f"the policy does not speak for the line {descriptor.line!r}; add it, or refuse the artifact",
            line=descriptor.line,
        )


def _publishers(descriptor: Descriptor, signers: tuple[SignerEvidence, ...]) -> tuple[SignerEvidence, ...]:
    found = tuple(signer for signer in signers if signer.fingerprint.matches(descriptor.publisher_key))
    if not found:
        raise VerificationError(
            "publisher-mismatch",
            "the descriptor names another publisher's key than the one that signed it; refuse the artifact",
            signers=[signer.authority for signer in signers],
        )
    return found


def _check_manifest(descriptor: Descriptor, statement: Statement, manifest: Manifest) -> None:
    digests = statement.subjects[0].digests
    same = (
        descriptor.manifest_digest.matches(manifest.manifest_digest)
        and digest_from_hex("sha256", digests[MANIFEST_DIGEST]).matches(manifest.manifest_digest)
        and digest_from_hex("sha256", digests[ROOT_DIGEST]).matches(manifest.root_digest)
    )
    if not same:
        raise VerificationError(
            "manifest-mismatch",
            "the descriptor was made for another manifest than the author's; get both from one release",
            signed=str(manifest.manifest_digest),
            named=str(descriptor.manifest_digest),
        )


def _check_parts(descriptor: Descriptor, manifest: Manifest) -> None:
    signed = _lengths(descriptor, manifest)
    sealed = {part.name: part.plaintext_length for part in descriptor.parts}
    wrong = sorted(signed.keys() ^ sealed.keys())
    wrong += sorted(
        name for name in signed.keys() & sealed.keys() if signed[name] not in (None, sealed[name])
    )
    if wrong:
        raise VerificationError(
            "parts-mismatch",
            f"the descriptor and the author's manifest do not list the same files: {wrong[0]!r}",
            names=list(wrong[:_SHOWN]),
        )


def _lengths(descriptor: Descriptor, manifest: Manifest) -> dict[str, int | None]:
    """Return the files of a manifest with their lengths, where ranges say them.

    The reference's ``.`` is the one file of a single-file model, whatever its name.
    """
    only = descriptor.parts[0].name if len(descriptor.parts) == 1 else SINGLE
    lengths: dict[str, int | None] = {}
    for resource in manifest.resources:
        name = only if resource.path == SINGLE else resource.path
        lengths[name] = None if resource.end is None else max(lengths.get(name) or 0, resource.end)
    return lengths
