"""Who a data key is wrapped for, and who unwraps it: what every kind of recipient looks like.

The law of this file: nothing here knows a kind. Key pairs, passphrases and key
services implement these two, each in a file of its own; documents, workflows
and faces see only them.
"""

from __future__ import annotations

from typing import Protocol

from trustkit.digest import Digest
from trustkit.sealing.keys import Dek


class Recipient(Protocol):
    """Who a data key is wrapped for: the public side."""

    @property
    def kind(self) -> str:
        """How it wraps, as recipients documents write it: ``hpke-x25519``, ``scrypt``."""

    @property
    def key_id(self) -> Digest:
        """What finds the opener; for a key pair, SHA-256 of its public key. It proves nothing."""

    def wrap(self, dek: Dek, info: bytes) -> bytes:
        """Wrap a data key, bound to *info*."""


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
        """
