"""The story of signing again: what an earlier signature and this machine's record of it let us leave unread.

The law of this file: an earlier bundle is verified before anything of it is used,
with the signer's own key or the policy that was given. A record that is missing
or not believed costs time and nothing else, and is said; a bundle that is not
believed is a refusal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.artifact import incremental
from trustkit.artifact.choosing import Way
from trustkit.artifact.files import Stamp, TreeFile
from trustkit.artifact.inputs import read_input, status_of
from trustkit.artifact.manifest import Manifest, Resource
from trustkit.attest.bundle import MAX_BYTES
from trustkit.digest import Algorithm, Digest, digest_of
from trustkit.errors import TrustkitError, VerificationError
from trustkit.records import dataclass
from trustkit.signing.key import Signer
from trustkit.storage.local import write_new
from trustkit.storage.state import KEY, Entropy, machine_key, open_state

if TYPE_CHECKING:
    from trustkit.verifying.policy import VerificationPolicy

_UNRECORDED = (
    "nothing was recorded here of the earlier signature, so everything was hashed; from now on a record is "
    "kept, and the next time only what changed is read"
)


@dataclass(frozen=True, slots=True)
class Again:
    """How to sign an artifact again without reading what did not change.

    Attributes:
        state: Folder where records are kept.
        previous: The earlier bundle; None to begin a record.
        policy: Whom to believe of the earlier bundle; the signer's own key where None.
    """

    state: Path
    previous: Path | None = None
    policy: VerificationPolicy | None = None


class Memory:
    """What is remembered of an artifact's earlier signature: nothing, unless asked for and believed.

    Attributes:
        remarks: What the signer should know of it.
        files: The files that the memory rests on; they may not lie in the artifact.
    """

    def __init__(self, place: Path | None = None, key: bytes = b"") -> None:
        self.remarks: tuple[str, ...] = ()
        self.files = () if place is None else (place.with_name(KEY),)
        self._place = place
        self._key = key
        self._earlier: Manifest | None = None
        self._stamps: Mapping[str, Stamp] = {}

    def recall(self, earlier: Manifest, bundle: Digest) -> None:
        """Read the record of a verified bundle, or say why it is of no use."""
        self._earlier = earlier
        if self._place is None or status_of(self._place) is None:
            self.remarks = (_UNRECORDED,)
            return
        try:
            raw = read_input(self._place, max_bytes=incremental.MAX_BYTES, what="record")
            self._stamps = incremental.parse_record(raw, bundle=bundle, key=self._key)
        except TrustkitError as error:
            self.remarks = (f"{error.message}; everything was hashed, and is recorded for the next time",)

    def unread(
        self, files: Sequence[TreeFile], way: Way, algorithm: Algorithm
    ) -> Mapping[str, Sequence[Resource]]:
        """Return the parts that need not be hashed again."""
        earlier = self._earlier
        if earlier is None or not self._stamps:
            return {}
        if (earlier.method, earlier.shard_size, earlier.algorithm) != (way.method, way.shard_size, algorithm):
            self.remarks = ("the earlier signature was made in another way, so everything was hashed",)
            return {}
        return incremental.unread(files, self._stamps, earlier)

    def keep(self, files: Sequence[TreeFile], bundle: bytes, *, began: float) -> tuple[str, ...]:
        """Write down what was signed, for the next time, and return what went wrong with that."""
        if self._place is None:
            return ()
        stamps = incremental.settled(files, began_ns=int(began * 1e9))
        record = incremental.record_to_bytes(stamps, bundle=digest_of(bundle), key=self._key)
        try:
            write_new(self._place, record, overwrite=True, mode=0o600)
        except TrustkitError as error:
            return (f"{error.message}; signing again will take as long",)
        return ()


def memory_of(
    path: Path,
    signer: Signer,
    again: Again | None,
    *,
    now: Callable[[], float] = time.time,
    entropy: Entropy = os.urandom,
) -> Memory:
    """Verify the earlier bundle, and recall what is recorded of it.

    Args:
        path: The artifact.
        signer: Whose signature the earlier bundle must bear, unless a policy says otherwise.
        again: What the caller asked for; None for no memory at all.
        now: Seconds since the epoch.
        entropy: Random bytes, for the key of a new state folder.

    Raises:
        UsageError: ``no-such-file``, ``state-not-private``, ``bad-state``.
        VerificationError: ``wrong-signer`` and the like: the earlier bundle is not believed.
        FormatError, LimitError: It does not parse.
        UnavailableError: ``unwritable``.
    """
    if again is None:
        return Memory()
    earlier = None
    if again.previous is not None:  # before the state folder is made: a refusal leaves nothing behind
        from trustkit.verifying.policy import policy_from_keys
        from trustkit.verifying.verify import verify_manifest
        from trustkit.workflows.reading import about_bundle

        raw = read_input(again.previous, max_bytes=MAX_BYTES, what="earlier bundle")
        policy = again.policy or policy_from_keys(signer.public_pem())
        try:
            with about_bundle(again.previous):
                earlier = verify_manifest(raw, policy, at=now()).manifest, digest_of(raw)
        except VerificationError as error:
            raise _not_believed(error, again) from None
    state = open_state(again.state)
    name = digest_of(os.fsencode(os.path.realpath(path))).hex
    memory = Memory(state / f"signed-{name}", machine_key(state, entropy, size=incremental.KEY_BYTES))
    if earlier is not None:
        memory.recall(*earlier)
    return memory


def _not_believed(error: VerificationError, again: Again) -> VerificationError:
    """Say that it is the earlier bundle that is refused, and that one can sign without it."""
    why = error.message
    if error.code == "wrong-signer" and again.policy is None:
        why = "it was not signed with this key, or was edited"
    return VerificationError(
        error.code,
        f"the earlier bundle {str(again.previous)!r} is not believed: {why}; sign without --previous",
        **error.evidence,
    )
