"""The documents of a sealed folder: what they are called, and all three together as they were read."""

from __future__ import annotations

from dataclasses import dataclass

from trustkit.digest import Digest

DESCRIPTOR = "descriptor.sigstore.json"
"""The publisher's bundle: the signed descriptor."""
RECIPIENTS = "recipients.json"
"""The wrapped keys, detached."""
SIGNATURE = "model.sig"
"""The author's bundle: the signed manifest of the plaintext."""
SHREDDED = "shredded.json"
"""The record that the wrapped keys were destroyed; made in place of them."""
BLOBS = "blobs"
"""The folder of ciphertext."""


def blob_name(digest: Digest) -> str:
    """Return where the ciphertext with this digest lies, relative to the folder."""
    return f"{BLOBS}/{digest.hex}"


@dataclass(frozen=True, slots=True)
class SealedDocuments:
    """The documents as they were read, all untrusted.

    Attributes:
        descriptor: Bytes of `DESCRIPTOR`.
        author_bundle: Bytes of `SIGNATURE`.
        recipients: Bytes of `RECIPIENTS`; empty where nobody is going to unwrap a key.
    """

    descriptor: bytes
    author_bundle: bytes
    recipients: bytes
