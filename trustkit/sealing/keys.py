"""The data key (DEK) of one sealed version: 32 bytes that nothing shows and that can be wiped.

The law of this file: key bytes lie in one bytearray, are handed out by name
(`Dek.key`, which a reviewer can grep for), and never enter a message, a repr, a
log, a pickle or a comparison. Wiping shortens a key's life in our memory; the
copies that a library made of it end with the objects that hold them.
"""

from __future__ import annotations

import re
from types import TracebackType
from typing import NoReturn, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from trustkit.digest import Digest
from trustkit.errors import FormatError, SealError
from trustkit.sealing.floe import KEY_LENGTH, Entropy

_ID_LENGTH = 16
_ID = re.compile(r"[0-9a-f]{32}")
# Begins with a letter, where FLOE's own use of HKDF-Expand under this key begins with a zero byte.
_COMMITMENT = b"trustkit.dev/key-commitment/v1:"


class Dek:
    """A data key. Use it in a ``with`` block, which wipes it.

    Args:
        material: The 32 bytes; taken over, not copied, so that there is one copy to wipe.

    Raises:
        SealError: ``bad-data-key`` for another length; the material is wiped.
    """

    __slots__ = ("_material",)

    def __init__(self, material: bytearray) -> None:
        if len(material) != KEY_LENGTH:
            material[:] = bytes(len(material))
            raise SealError(
                "bad-data-key", f"a data key has {KEY_LENGTH} bytes; have the artifact sealed again"
            )
        self._material: bytearray | None = material

    @property
    def key(self) -> bytearray:
        """The secret itself, not a copy. Read it, pass it on, keep no reference.

        Raises:
            ValueError: It was wiped.
        """
        if self._material is None:
            raise ValueError("this data key was wiped")
        return self._material

    def wipe(self) -> None:
        """Overwrite the key with zeros and give it up; a second time does nothing."""
        if self._material is not None:
            self._material[:] = bytes(KEY_LENGTH)
            self._material = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    def __repr__(self) -> str:
        return f"<Dek, {'wiped' if self._material is None else 'held'}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("data keys are not copied or serialised")


def generate_dek(entropy: Entropy) -> Dek:
    """Make a new data key from the caller's source of randomness."""
    return Dek(bytearray(entropy(KEY_LENGTH)))


def generate_dek_id(entropy: Entropy) -> str:
    """Make a new name for a data key: 16 random bytes as lower-case hex. It says nothing about the key."""
    return check_dek_id(entropy(_ID_LENGTH).hex())


def check_dek_id(untrusted: str) -> str:
    """Return the name of a data key unchanged if it is 32 lower-case hex digits.

    Raises:
        FormatError: ``bad-dek-id``.
    """
    if _ID.fullmatch(untrusted) is None:
        raise FormatError("bad-dek-id", "a data key is named by 32 lower-case hex digits")
    return untrusted


def commitment(dek: Dek, dek_id: str) -> Digest:
    """Return the value that this key alone fits: HKDF-Expand-SHA384 of the key, 32 bytes.

    Carried in the algorithm ``sha256`` for its length; it is not a hash of anything public.
    """
    info = _COMMITMENT + dek_id.encode("ascii")
    return Digest("sha256", HKDFExpand(hashes.SHA384(), KEY_LENGTH, info).derive(dek.key))
