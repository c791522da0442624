"""How a model gets into a pod: a numbered list, one state after the other (architecture, section 10).

    1. Policy and trust bundle are the pinned ones.  stops whoever may write the files; before any network
    2. What a killed run left in staging is wiped.   stops plaintext nobody owns, and a full disk
    3. Our SVID is good under the pinned bundle.     IDENTIFIED
    4. The descriptor has the pinned digest before   stops another sealed model, whoever signed it
       anything in it is read.
    5. The documents verify under the pinned policy, VERIFIED: stops what we do not believe, and what
       and the manifest is the pinned one.           we believe but were not told to bring
    6. What lies at the output is this very model,   stops nothing being replaced; a restarted container
       every byte compared, or nothing lies there.   needs no key for what it published before
    7. There is room for the signed sizes.           stops a transfer that cannot end well, before the key
    8. The broker releases the key, which fits the   KEYED: stops what is not ours; told apart from a
       signed commitment.                            broker that is away, which alone is asked again
    9. Every byte is opened in a private buffer,     OPENED: stops a changed, cut or swapped byte; the key
       hashed, compared and written to staging.      is wiped whatever happens
    10. One rename.                                  READY: before it nothing is visible, after it all is

The law of this file: no step is left out and none is moved; on any exception,
signals included, staging is wiped and the output is as it was.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from trustkit.artifact.manifest import Manifest
from trustkit.artifact.reference import SCHEME
from trustkit.attest.bundle import MAX_BYTES as BUNDLE_MAX_BYTES
from trustkit.digest import digest_of
from trustkit.errors import (
    FormatError,
    LimitError,
    UnavailableError,
    UsageError,
    VerificationError,
)
from trustkit.sealing.documents import DESCRIPTOR, RECIPIENTS, SIGNATURE, SealedDocuments
from trustkit.sealing.recipients import MAX_BYTES as RECIPIENTS_MAX_BYTES
from trustkit.sidecar.config import Config
from trustkit.sidecar.keys import KeyService
from trustkit.sidecar.lifecycle import Lifecycle, State
from trustkit.sidecar.output import demand_ours, first_at, free_bytes, is_left
from trustkit.sidecar.patience import Patience
from trustkit.sidecar.pins import Beliefs, beliefs_of, demand_peers
from trustkit.sidecar.world import World
from trustkit.spiffe.mtls import client_context
from trustkit.storage.delivery import deliver_plain, deliver_sealed
from trustkit.storage.source import Source
from trustkit.storage.staging import Staging, publish_left, stale_staging
from trustkit.verifying.compare import verify_tree
from trustkit.verifying.sealed import VerifiedSealed, check_plain, verify_sealed
from trustkit.verifying.verify import VerifiedManifest, verify_manifest


@dataclass(frozen=True, slots=True)
class Published:
    """What lies at the output now."""

    manifest: Manifest
    files: int
    bytes: int


OpenStore = Callable[[Config, Beliefs, World], Source]
"""Opens the store that the reference names."""


def fetch(config: Config, world: World, lifecycle: Lifecycle, *, open_store: OpenStore) -> Published:
    """Bring the model that the arguments name, and return once it is published.

    Raises:
        TrustkitError: With the code of what happened; the output is as it was.
    """
    beliefs = beliefs_of(config, now=world.now, alarm=world.alarm)  # step 1
    stale_staging(config.output)  # step 2
    patience = world.patience(config.budget_seconds)
    identity = patience.insist(beliefs.source.current).spiffe_id  # step 3
    demand_peers(config, identity)
    lifecycle.advance(State.IDENTIFIED, f"identified as {identity}")
    with contextlib.closing(open_store(config, beliefs, world)) as store:
        world.on_stop(store.close)
        errand = _Errand(config, world, lifecycle, patience, beliefs, store)
        return errand.plain() if config.descriptor_digest is None else errand.sealed()


@dataclass(frozen=True, slots=True)
class _Errand:
    """One artifact, one store: what plain and sealed models have in common, and where they part."""

    config: Config
    world: World
    lifecycle: Lifecycle
    patience: Patience
    beliefs: Beliefs
    store: Source

    def sealed(self) -> Published:
        """Bring a sealed model."""
        documents = self._documents()  # step 4
        proof = verify_sealed(documents, self.beliefs.policy, at=self.world.now())
        self._demand_pinned(proof.author)  # step 5
        descriptor = proof.descriptor
        self.lifecycle.advance(
            State.VERIFIED,
            f"verified {descriptor.line} version {descriptor.version}, {proof.manifest_digest}",
        )
        published = self._published_before(proof.author)  # step 6
        return published or self._opened(proof, documents)

    def plain(self) -> Published:
        """Bring a model that is signed and not sealed."""
        check_plain(self.beliefs.policy)
        signed = verify_manifest(self._signature(), self.beliefs.policy, at=self.world.now())
        self._demand_pinned(signed)  # step 5
        self.lifecycle.advance(State.VERIFIED, f"verified {signed.manifest_digest}")
        published = self._published_before(signed)  # step 6
        return published or self._copied(signed)

    def _documents(self) -> SealedDocuments:
        raw = self._document(DESCRIPTOR, BUNDLE_MAX_BYTES)
        found, pinned = digest_of(raw), self.config.descriptor_digest
        if pinned is None or not found.matches(pinned):
            raise VerificationError(
                "descriptor-mismatch",
                "the store holds another descriptor than the pinned one; pin the one you mean",
                found=str(found),
                pinned=str(pinned),
            )
        recipients = self._document(RECIPIENTS, RECIPIENTS_MAX_BYTES)
        return SealedDocuments(descriptor=raw, author_bundle=self._signature(), recipients=recipients)

    def _signature(self) -> bytes:
        try:
            return self._document(SIGNATURE, BUNDLE_MAX_BYTES)
        except UnavailableError as error:
            if error.code != "not-found":
                raise
            raise VerificationError(
                "unsigned",
                f"the store holds no {SIGNATURE} of the model's author at {self._place()}; check path and "
                "version, or publish it there",
            ) from None

    def _document(self, name: str, max_bytes: int) -> bytes:
        try:
            return self.store.document(name, max_bytes=max_bytes)
        except UnavailableError as error:
            if error.code != "not-found":
                raise
            why = f"there is no {name} at {self._place()}; check path and version, or publish it there"
            raise UnavailableError(error.code, why, **error.evidence) from None

    def _place(self) -> str:
        reference = self.config.reference
        return f"{SCHEME}{reference.host}/{reference.path}"

    def _demand_pinned(self, signed: VerifiedManifest) -> None:
        if not signed.manifest_digest.matches(self.config.manifest_digest):
            raise VerificationError(
                "digest-mismatch",
                f"the store holds the model {signed.manifest_digest} under this name, another one is pinned",
                found=str(signed.manifest_digest),
                pinned=str(self.config.manifest_digest),
            )

    def _published_before(self, signed: VerifiedManifest) -> Published | None:
        """Take what a run before published, if every byte of it is what this run was told to bring.

        A run that was killed between the rename and its last step left it private: that step is done then.
        """
        output = self.config.output
        if not os.path.lexists(output):
            return None
        try:
            left = is_left(output)
            if not left:
                demand_ours(output)
            found = verify_tree(output, signed, workers=self.config.workers)
        except (FormatError, LimitError, UsageError, VerificationError) as error:
            raise UsageError(
                "output-exists",
                f"{str(output)!r} exists and is not this model ({error.code}); choose another output",
                path=str(output),
                found=error.code,
            ) from None
        found.close()
        if left:
            publish_left(output)
        published = Published(signed.manifest, len(found.files), found.bytes)
        self.lifecycle.advance(State.OPENED, "opened by a run before, every byte compared again")
        self.lifecycle.advance(State.READY)
        return published

    def _opened(self, proof: VerifiedSealed, documents: SealedDocuments) -> Published:
        descriptor, manifest = proof.descriptor, proof.author.manifest
        self._demand_room(sum(part.plaintext_length for part in descriptor.parts))  # step 7
        keys = KeyService(
            address=self.config.broker,
            expected=self.config.broker_id,
            context_of=lambda: client_context(self.beliefs.source.current()),
            timeout_seconds=self.config.timeout_seconds,
            now=self.world.now,
            monotonic=self.world.monotonic,
        )
        with self.patience.insist(lambda: keys.key_for(documents, descriptor.context)) as dek:  # step 8
            self.lifecycle.advance(State.KEYED, f"keyed by {self.config.broker_id}")

            def deliver(staging: Staging) -> int:
                return deliver_sealed(
                    self.store, descriptor, manifest, staging, dek=dek, workers=self.config.workers
                )

            return self._delivered(manifest, deliver)

    def _copied(self, signed: VerifiedManifest) -> Published:
        most = free_bytes(self.config.output)  # step 7: nothing signs the sizes of a plain model
        if self.config.plain_max_bytes is not None:
            most = min(most, self.config.plain_max_bytes)

        def deliver(staging: Staging) -> int:
            return deliver_plain(
                self.store, signed.manifest, staging, max_bytes=most, workers=self.config.workers
            )

        return self._delivered(signed.manifest, deliver)

    def _delivered(self, manifest: Manifest, deliver: Callable[[Staging], int]) -> Published:
        token = self.world.entropy(16).hex()
        output = self.config.output
        with first_at(output), _Unbroken(Staging(output, token=token), self.world) as staging:
            published = Published(manifest, manifest.file_count, deliver(staging))  # step 9
            self.lifecycle.advance(State.OPENED, f"opened {published.files} files, {published.bytes} bytes")
            with self.world.unbroken():  # step 10
                staging.publish()
                self.lifecycle.advance(State.READY)
        return published

    def _demand_room(self, needed: int) -> None:
        free = free_bytes(self.config.output)
        if needed > free:
            raise UnavailableError(
                "no-space",
                f"the model needs {needed} bytes, and {free} are free at its output; make room and try again",
                needed=needed,
                free=free,
            )


class _Unbroken:
    """A staging folder that no signal catches half made or half wiped."""

    def __init__(self, staging: Staging, world: World) -> None:
        self._staging = staging
        self._world = world

    def __enter__(self) -> Staging:
        with self._world.unbroken():
            return self._staging.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._world.unbroken():
            self._staging.__exit__(kind, error, trace)
