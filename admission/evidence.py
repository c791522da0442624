"""What we can prove about a reference: fetched from an allowed store, verified, cached.

The walk for one ``trust://`` reference, in this order:

    1. It parses, and it carries a digest.                stops moved tags, before any network
    2. Its host is exactly one of the allowed stores.     stops the confused deputy (SSRF)
    3. The signed documents come over mutual TLS from     stops an impostor of the store
       the SPIFFE ID configured for that host.
    4. They verify under the policy; no model bytes are   stops wrong signers, swapped parts
       ever fetched here.
    5. The signed manifest digest is the pinned one.      stops another model under this name

A success is cached by exact reference, policy digest and namespace, never by
name or digest alone, and for a bounded time; failures are never cached.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from trustkit.artifact.reference import FORM, Reference, parse_reference
from trustkit.digest import Digest
from trustkit.errors import TrustkitError, UnavailableError, VerificationError
from trustkit.programs.deadline import Deadline
from trustkit.sealing.documents import DESCRIPTOR, SIGNATURE, SealedDocuments
from trustkit.verifying.policy import VerificationPolicy
from trustkit.verifying.sealed import VerifiedSealed, check_plain, verify_sealed
from trustkit.verifying.verify import VerifiedManifest, verify_manifest

Outcome = Literal["verified", "refused", "unavailable", "unresolved"]
_MAX_NAMED = 400
"""Most of a reference that stands in a message (characters), so that there is room for the reason."""
_MAX_END = 80
"""How much of that is its end: a digest, and a little of the path."""


_OF_OURS = frozenset(("deadline", "store-not-asked"))
"""Why a store did not answer that is no fault of the store."""


class Documents(Protocol):
    """Reads small named documents of one artifact; a `trustkit.storage` source is one."""

    def document(self, name: str, *, max_bytes: int) -> bytes:
        """Return a document's bytes, untrusted."""

    def close(self) -> None:
        """Let go of connections."""


Connect = Callable[[Reference, Deadline], Documents]
"""Opens the store of a reference whose host is allowed."""


@dataclass(frozen=True, slots=True)
class Proven:
    """A reference and the proof behind it; membership in a `Finding` is the proof of verification.

    Attributes:
        reference: Pinned; its digest equals the proof's manifest digest.
        proof: What verification returned.
        descriptor_digest: Digest of the descriptor the sidecar must insist on; None for a plain artifact.
        plaintext_bytes: Signed size of the opened model (bytes), or None where nothing signs one.
    """

    reference: Reference
    proof: VerifiedSealed | VerifiedManifest
    descriptor_digest: Digest | None
    plaintext_bytes: int | None


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one reference: proven, or why not, with what to do about it."""

    outcome: Outcome
    code: str = ""
    message: str = ""
    remedy: str = ""
    proven: Proven | None = None


REMEDIES = {
    "not-pinned": "append @sha256:<manifest digest>; `trustkit manifest --digest` prints it",
    "unsigned": "check path and version; where they are right, sign the model with `trustkit sign` and "
    "publish model.sig beside it",
    "wrong-signer": "have an authority of the policy sign it, or ask the policy's owner to add the signer",
    "below-threshold": "get the missing signatures",
    "store-not-allowed": "publish the model in an allowed store, or ask the operator to allow this one",
    "store-unreachable": "try again; if it persists, look at the store and at the network policy",
    "peer-mismatch": "correct this store's spiffe_id in the webhook's configuration, or find out who answers "
    "at its address",
    "peer-untrusted": "look at the trust bundles of the webhook and of the store",
    "store-not-asked": "decide where the webhook's SVID is, without --without-svid",
    "digest-mismatch": "pin the digest of the model you mean; another one lies under this name",
    "unsupported-scheme": "seal and publish the model, and name it by a pinned trust:// reference",
    "unresolved-model": "name the model in the object itself, by a pinned trust:// reference",
    "unresolved-gpu": "name the model this pod computes with, by a pinned trust:// reference",
    "reserved-annotation": "remove the annotation; verdicts are recomputed, never read from the object",
    "sidecar-altered": "remove what was added by hand and let the webhook inject the sidecar",
    "identity-shared": "mount what the sidecar is known by nowhere else, and read none of its Secrets; a "
    "service mesh that takes its certificates from the same agent needs another source for them",
    "sidecar-exposed": "take hostNetwork, or the declared port, out of the pod; the operator can move the "
    "sidecar's port with health_listen",
    "sidecar-late": "put the init container after the sidecar, or use no model in it",
    "sidecar-reachable": "take the privilege, capability, shared processes or folder of the node out; "
    "kubectl debug adds none with --profile=baseline and without --target",
    "bad-reference": FORM,
    "deadline": "try again; evidence that was fetched is kept for the next attempt",
    "overloaded": "try again in a moment",
    "bad-review": "report this; the API server sent no object",
    "denied": "ask the owner of the rules",
    "internal-error": "report this; until it is mended, the object is denied",
    "record-failed": "ask the operator to look at the disk of the webhook's record",
    "too-many-references": "split the workload",
    "too-many-words": "split the workload",
    "too-deep": "write the object flatter",
}
"""What a person can do, by code."""


def remedy_for(code: str) -> str:
    """Return the remedy of a code, or a general one."""
    return REMEDIES.get(code, "have the model signed, sealed and published again, or ask the policy's owner")


class EvidenceRoom:
    """Answers for references under one policy; safe to use from several threads."""

    def __init__(
        self,
        policy: VerificationPolicy,
        connect: Connect,
        *,
        allowed_hosts: frozenset[str],
        document_max_bytes: int,
        cache: EvidenceCache,
        now: Callable[[], float],
    ) -> None:
        self._policy = policy
        self._connect = connect
        self._hosts = allowed_hosts
        self._max_bytes = document_max_bytes
        self._cache = cache
        self._now = now

    def finding(self, untrusted_reference: str, *, namespace: str, deadline: Deadline) -> Finding:
        """Return what can be proven about one reference; what it or the store does never raises."""
        try:
            reference = parse_reference(untrusted_reference)  # step 1
        except TrustkitError as error:
            remedy = remedy_for(error.code)
            return Finding("refused", error.code, error.message.removesuffix(f"; {remedy}"), remedy)
        try:
            self._demand_acceptable(reference)  # steps 1 and 2
            key = (str(reference), str(self._policy.digest), namespace)
            proven = self._cache.get(key)
            if proven is None or ended(proven.proof, self._now()):
                proven = self._proven(reference, deadline)  # steps 3 to 5
                self._cache.put(key, proven)
        except UnavailableError as error:
            code = error.code if error.code in _OF_OURS else "store-unreachable"
            return Finding("unavailable", code, _about(reference, error), remedy_for(code))
        except TrustkitError as error:
            return Finding("refused", error.code, _about(reference, error), remedy_for(error.code))
        return Finding("verified", proven=proven)

    def _demand_acceptable(self, reference: Reference) -> None:
        if reference.digest is None:
            raise VerificationError(
                "not-pinned", "the reference names no digest, so its bytes could be moved"
            )
        if reference.host not in self._hosts:
            meant = sorted(host for host in self._hosts if host.rpartition(":")[0] == reference.host)
            more = f"; write {' or '.join(meant)}" if meant else ""
            raise VerificationError("store-not-allowed", f"{reference.host} is not an allowed store{more}")

    def _proven(self, reference: Reference, deadline: Deadline) -> Proven:
        deadline.check()
        with contextlib.closing(self._connect(reference, deadline)) as source:  # step 3
            descriptor = self._document(source, DESCRIPTOR, deadline)
            signature = self._document(source, SIGNATURE, deadline)
        if signature is None:
            there = "the model carries no signature of its author"
            nothing = "nothing lies there in the store, neither a descriptor nor a signature"
            raise VerificationError("unsigned", nothing if descriptor is None else there)
        if descriptor is None:
            check_plain(self._policy)
            manifest = verify_manifest(
                signature, self._policy, at=self._now(), max_bytes=self._max_bytes
            )  # step 4
            _same(manifest.manifest_digest, reference)  # step 5
            return Proven(reference, manifest, None, None)
        documents = SealedDocuments(descriptor=descriptor, author_bundle=signature, recipients=b"")
        sealed = verify_sealed(documents, self._policy, at=self._now(), max_bytes=self._max_bytes)  # step 4
        _same(sealed.manifest_digest, reference)  # step 5
        size = sum(part.plaintext_length for part in sealed.descriptor.parts)
        return Proven(reference, sealed, sealed.descriptor_digest, size)

    def _document(self, source: Documents, name: str, deadline: Deadline) -> bytes | None:
        """Return a document, or None only where the store says that it does not exist."""
        deadline.check()
        try:
            return source.document(name, max_bytes=self._max_bytes)
        except TrustkitError as error:
            if error.code == ABSENT:
                return None
            raise


def _about(reference: Reference, error: TrustkitError) -> str:
    """Name the model, so that the record of a denial does; what parsed is plain text, and holds no secret.

    Of a long reference the middle is left out: its end is the digest.
    """
    text = str(reference)
    if len(text) > _MAX_NAMED:
        text = f"{text[: _MAX_NAMED - _MAX_END]}...{text[-_MAX_END:]}"
    return f"{text}: {error.message}"


ABSENT = "not-found"
"""How a store says that a document does not exist; every other failure is a failure."""


def ended(proof: VerifiedSealed | VerifiedManifest, now: float) -> bool:
    """Say whether a certificate behind a proof has ended since: a cache prolongs nobody's certificate."""
    signers = (
        proof.signers if isinstance(proof, VerifiedManifest) else proof.author.signers + proof.publishers
    )
    return any(signer.valid_until is not None and signer.valid_until < now for signer in signers)


def _same(found: Digest, reference: Reference) -> None:
    if reference.digest is None or not found.matches(reference.digest):
        raise VerificationError(
            "digest-mismatch",
            f"the store holds a model with the manifest digest {found}, another one is pinned",
        )


class EvidenceCache:
    """The last successes, bounded in number and time; shared by the threads of one process."""

    def __init__(self, *, entries: int, seconds: float, clock: Callable[[], float]) -> None:
        self._entries = entries
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str, str], tuple[float, Proven]] = OrderedDict()

    def get(self, key: tuple[str, str, str]) -> Proven | None:
        """Return a success that is still fresh, or None."""
        with self._lock:
            entry = self._kept.get(key)
            if entry is None:
                return None
            if self._clock() - entry[0] >= self._seconds:
                del self._kept[key]
                return None
            self._kept.move_to_end(key)
            return entry[1]

    def put(self, key: tuple[str, str, str], proven: Proven) -> None:
        """Keep a success; the least recently used one makes room."""
        with self._lock:
            self._kept[key] = (self._clock(), proven)
            self._kept.move_to_end(key)
            while len(self._kept) > self._entries:
                self._kept.popitem(last=False)

    def __len__(self) -> int:
        return len(self._kept)
