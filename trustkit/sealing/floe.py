"""FLOE: one file as a header and segments, each opened or sealed by its position alone.

The law of this file: nothing is believed that the stream says about itself.
Position and final flag come from signed lengths, the parameters from the signed
descriptor; the stream must repeat them exactly. No nonce enters from outside:
sealing draws them from the caller's source of randomness, one a segment.
Construction: C2SP, FLOE (AES-256-GCM, HKDF-Expand-SHA384), complete and
unchanged. The format around it: FORMAT.md, section 4.

    part    = header segment*
    header  = parameters(10) iv(32) tag(32)
    segment = length(4) iv(12) ciphertext tag(16)      length: FFFFFFFF, or of the whole final segment

AES-GCM under one key takes 2^20 random nonces, then the key changes: the
chance that two meet stays below 2^-56 for each key. The tag of the header
commits to the key, so no part opens under two (invisible salamanders).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from trustkit.errors import FormatError, LimitError, SealError

HEADER_LENGTH = 74
"""Parameters, IV and tag (bytes)."""
SEGMENT_OVERHEAD = 32
"""What a segment has beyond its plaintext (bytes)."""
KEY_LENGTH = 32
"""Length of the data key (bytes)."""
MAX_SEGMENTS = 1 << 40
"""Most segments in one part (FLOE, limits)."""
MAX_SEGMENT_LENGTH = 1 << 24
"""Longest segment that is read or written (bytes): a reader holds one in memory before its tag is checked."""

Entropy = Callable[[int], bytes]
"""A source of randomness: that many bytes, fit for nonces and keys."""

_IV_LENGTH = 32
_NONCE = slice(4, 16)
_BODY = 16
_MESSAGE_KEY_LENGTH = 48
_MORE = b"\xff\xff\xff\xff"


@dataclass(frozen=True, slots=True)
class Parameters:
    """What both sides agree on beforehand.

    Attributes:
        segment_length: Length of every segment but the last, overhead included (bytes).
        rotation_bits: A key seals 2^rotation_bits segments. The format fixes 20; published
            known answers use 2.
    """

    segment_length: int = 1 << 20
    rotation_bits: int = 20

    def __post_init__(self) -> None:
        if not SEGMENT_OVERHEAD < self.segment_length <= MAX_SEGMENT_LENGTH:
            raise FormatError(
                "bad-segment-length",
                f"a segment has from {SEGMENT_OVERHEAD + 1} to {MAX_SEGMENT_LENGTH} bytes",
                found=self.segment_length,
            )

    @property
    def plaintext_length(self) -> int:
        """Plaintext in every segment but the last (bytes)."""
        return self.segment_length - SEGMENT_OVERHEAD

    def to_bytes(self) -> bytes:
        """Return the ten bytes that open a header: AES-256-GCM, HKDF-SHA384, segment and IV length."""
        return b"\0\0" + self.segment_length.to_bytes(4) + _IV_LENGTH.to_bytes(4)


def segments_of(plaintext_length: int, parameters: Parameters) -> int:
    """Return how many segments this many bytes make; there is one legal answer.

    Nothing is one empty segment; otherwise no segment is empty.

    Raises:
        FormatError: ``bad-part-length`` for a negative length.
        LimitError: ``too-many-segments``.
    """
    if plaintext_length < 0:
        raise FormatError("bad-part-length", "the length of a part is not negative")
    count = max(1, -(-plaintext_length // parameters.plaintext_length))
    if count > MAX_SEGMENTS:
        raise _too_many()
    return count


def ciphertext_length(plaintext_length: int, parameters: Parameters) -> int:
    """Return the length of a sealed part, header included (bytes); raises as `segments_of` does."""
    return HEADER_LENGTH + plaintext_length + SEGMENT_OVERHEAD * segments_of(plaintext_length, parameters)


class PartSealer:
    """Seals one part. Threads may share it, each with another position.

    A position is sealed once: a second, different plaintext at one position would be as genuine as the first.

    Args:
        key: The data key; only keys derived from it are kept.
        aad: What the part is bound to (`Descriptor.aad_of`).
        parameters: Of the whole artifact.
        entropy: Where IVs come from; called from whichever thread seals.
    """

    def __init__(
        self, key: bytes | bytearray, aad: bytes, *, parameters: Parameters, entropy: Entropy
    ) -> None:
        self._parameters = parameters
        self._entropy = entropy
        iv = entropy(_IV_LENGTH)
        if len(iv) != _IV_LENGTH:
            raise ValueError("the source of randomness gave another number of bytes than asked for")
        self._keys = _Keys(key, iv, aad, parameters)
        self.header = parameters.to_bytes() + iv + self._keys.tag
        """The first bytes of the part."""

    def seal_into(self, plaintext: memoryview, position: int, *, final: bool, out: memoryview) -> int:
        """Seal one segment and return how many bytes of *out* it takes.

        Args:
            plaintext: Exactly `Parameters.plaintext_length` bytes; up to that many in the final segment.
            position: Number of the segment, from 0.
            final: Whether it is the last.
            out: At least 32 bytes longer than the plaintext, which it must not overlap.

        Raises:
            LimitError: ``too-many-segments``.
        """
        whole = self._parameters.plaintext_length
        if len(plaintext) > whole or (len(plaintext) < whole and not final):
            raise ValueError(f"a segment holds {whole} bytes, only the final one may hold fewer")
        length = len(plaintext) + SEGMENT_OVERHEAD
        cipher = self._keys.cipher(position)
        out[:4] = length.to_bytes(4) if final else _MORE
        out[_NONCE] = nonce = self._entropy(12)
        cipher.encrypt_into(nonce, plaintext, _segment_aad(position, final=final), out[_BODY:length])
        return length


class PartOpener:
    """Opens the segments of one part, in any order. Threads may share it.

    Args:
        key: The data key.
        aad: What the part must be bound to.
        untrusted_header: Its first 74 bytes.
        parameters: What the signed descriptor says; a header that says otherwise is refused.

    Raises:
        SealError: ``truncated``, ``wrong-parameters``, or ``tampered``: another key, another context
            or another header than it was sealed with.
    """

    def __init__(
        self, key: bytes | bytearray, aad: bytes, untrusted_header: bytes, *, parameters: Parameters
    ) -> None:
        expected = parameters.to_bytes()
        if len(untrusted_header) != HEADER_LENGTH:
            raise SealError("truncated", "the part has no whole header; fetch it again")
        if untrusted_header[: len(expected)] != expected:
            raise SealError(
                "wrong-parameters", "the part was sealed in another way than its descriptor says; refuse it"
            )
        iv = untrusted_header[len(expected) : len(expected) + _IV_LENGTH]
        self._parameters = parameters
        self._keys = _Keys(key, iv, aad, parameters)
        if not hmac.compare_digest(self._keys.tag, untrusted_header[-len(self._keys.tag) :]):
            raise SealError(
                "tampered", "the header of the part fits neither this key nor this place in the artifact"
            )

    def open_into(self, untrusted_segment: memoryview, position: int, *, final: bool, out: memoryview) -> int:
        """Open one segment into a private buffer and return how many bytes of *out* are plaintext.

        Args:
            untrusted_segment: The whole segment.
            position: Number of the segment, from the signed lengths and never from the stream.
            final: Whether it is the last, from the same.
            out: Private to the caller, at least 32 bytes shorter than the segment, which it must not
                overlap. The library writes plaintext here before it has checked the tag; on any failure
                what it wrote is wiped before the error is raised.

        Raises:
            SealError: ``truncated`` or ``tampered``; *out* then holds nothing of this segment.
            LimitError: ``too-many-segments``.
        """
        length = len(untrusted_segment)
        self._check_length(untrusted_segment, final=final)
        cipher = self._keys.cipher(position)
        plain = out[: length - SEGMENT_OVERHEAD]
        if len(plain) != length - SEGMENT_OVERHEAD:
            raise ValueError("the buffer is too small for the plaintext of this segment")
        opened = False
        try:
            cipher.decrypt_into(
                untrusted_segment[_NONCE],
                untrusted_segment[_BODY:],
                _segment_aad(position, final=final),
                plain,
            )
            opened = True
        except InvalidTag:
            raise SealError(
                "tampered", "a segment is not what was sealed here; fetch the part again", position=position
            ) from None
        finally:
            if not opened:
                plain[:] = bytes(len(plain))
        return len(plain)

    def _check_length(self, untrusted_segment: memoryview, *, final: bool) -> None:
        length, whole = len(untrusted_segment), self._parameters.segment_length
        if length < (SEGMENT_OVERHEAD if final else whole):
            raise SealError("truncated", "a segment ends early; fetch the part again")
        if length > whole or untrusted_segment[:4] != (length.to_bytes(4) if final else _MORE):
            raise SealError("tampered", "a segment says another length than was signed; fetch the part again")


class _Keys:
    """The keys of one part, derived from the data key; the one in use is kept."""

    def __init__(self, key: bytes | bytearray, iv: bytes, aad: bytes, parameters: Parameters) -> None:
        if len(key) != KEY_LENGTH:
            raise ValueError(f"a data key has {KEY_LENGTH} bytes")
        self._prefix = parameters.to_bytes() + iv
        self._aad = aad
        self._bits = parameters.rotation_bits
        self._message_key = self._derive(key, b"MESSAGE_KEY:", _MESSAGE_KEY_LENGTH)
        self.tag = bytes(self._derive(key, b"HEADER_TAG:", 32))
        # One tuple, replaced whole: a thread sees a number with its cipher, or derives the pair anew.
        self._current = (0, self._cipher(0))

    def cipher(self, position: int) -> AESGCM:
        """Return the cipher of a position; its key changes every 2^rotation_bits segments."""
        if not 0 <= position < MAX_SEGMENTS:
            raise _too_many()
        number = position >> self._bits
        current, cipher = self._current
        if current != number:
            cipher = self._cipher(number)
            self._current = (number, cipher)
        return cipher

    def _cipher(self, number: int) -> AESGCM:
        first = (number << self._bits).to_bytes(8)
        key = self._derive(self._message_key, b"DEK:" + first, KEY_LENGTH)
        cipher = AESGCM(key)
        key[:] = bytes(len(key))
        return cipher

    def _derive(self, key: bytes | bytearray, purpose: bytes, length: int) -> bytearray:
        """FLOE_KDF: HKDF-Expand over parameters, IV, purpose and AAD."""
        derived = bytearray(length)
        HKDFExpand(hashes.SHA384(), length, self._prefix + purpose + self._aad).derive_into(key, derived)
        return derived


def _segment_aad(position: int, *, final: bool) -> bytes:
    return position.to_bytes(8) + (b"\1" if final else b"\0")


def _too_many() -> LimitError:
    return LimitError("too-many-segments", f"a part has at most {MAX_SEGMENTS} segments", limit=MAX_SEGMENTS)
