"""Who a data key is wrapped for, who unwraps it, who ends that: what every kind of recipient looks like.

The law of this file: nothing here knows a kind. Key pairs, passphrases and key
services implement these, each in a file of its own; documents, workflows and
faces see only them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from trustkit.digest import Digest
from trustkit.sealing.keys import Dek

MAX_WRAPPED = 2048
"""Longest wrapped key of any kind (bytes)."""


class Recipient(Protocol):
    """Who a data key is wrapped for: the public side."""

    @property
    def kind(self) -> str:
        """How it wraps, as recipients documents write it: ``hpke-x25519``, ``scrypt``."""

    @property
    def key_id(self) -> Digest:
        """What finds the opener; for a key pair, SHA-256 of its public key. It proves nothing."""

    def wrap(self, dek: Dek, info: bytes) -> bytes:
        """Wrap a data key, bound to *info*: a wrap context, as canonical JSON.

        A service that authenticates bytes takes it whole, one that authenticates pairs takes its members.

        Raises:
            FormatError: ``bad-recipient-key``.
            DeniedError, UsageError, UnavailableError: What a key service says instead.
        """


class Opener(Protocol):
    """What unwraps a data key: the private side."""

    @property
    def kind(self) -> str:
        """As of its recipient."""

    @property
    def key_id(self) -> Digest:
        """As of its recipient."""

    def unwrap(self, untrusted_wrapped: bytes, info: bytes) -> bytearray:
        """Unwrap a key that was bound to *info*; the caller owns and wipes what it gets.

        Raises:
            SealError: ``wrong-context``, whatever was wrong.
            DeniedError, UsageError, UnavailableError: What a key service says instead: it was not asked
                about this wrapped key, or gave no answer to that.
        """


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a service said about a key of it that is to be deleted.

    Attributes:
        kind: As of its recipient.
        key_id: As of its recipient.
        name: What the service calls the key.
        state: What the service says of it.
        at: When it will be gone (seconds since the epoch), where that is known.
    """

    kind: str
    key_id: Digest
    name: str
    state: str
    at: int | None


class Destroyer(Protocol):
    """Has a key of a service deleted, with everything that was ever wrapped for it."""

    @property
    def kind(self) -> str:
        """As of its recipient."""

    @property
    def key_id(self) -> Digest:
        """As of its recipient."""

    @property
    def name(self) -> str:
        """What the service calls the key."""

    def schedule_deletion(self, days: int) -> Deletion:
        """Ask for deletion after some days, in which the service lets it be taken back; twice is once.

        Raises:
            DeniedError, UsageError: What the service says instead; nothing is deleted.
            UnavailableError: The service gave no answer, or none that says so; perhaps it will be deleted.
        """
