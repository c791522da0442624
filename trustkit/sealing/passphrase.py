"""A recipient that is a passphrase, for people: scrypt, then AES-256-GCM under a key that is used once.

    wrapped = log2 of N (1) | salt (32) | commitment (32) | ciphertext of the data key (32) | tag (16)

    stretched        = scrypt(passphrase, salt, N, r = 8, p = 1, 32)
    key | commitment = HKDF-Expand-SHA256(stretched, "trustkit.dev/passphrase/v1:" | wrap context, 64)

The salt makes the key new for every wrap, so the nonce is zero. The commitment is
compared before the tag: without it one wrapped key could be made that opens
under many passphrases, and whoever watches an opener would learn which of them
it is. One document holds at most one such recipient, since all of them have one
key ID; nobody can make a reader stretch a passphrase a thousand times.

The law of this file: the cost is bounded before it is paid, in both directions.
Whoever has the folder may guess as long as he likes, so a passphrase that is
short is refused where one is chosen.
"""

from __future__ import annotations

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from trustkit.digest import digest_of
from trustkit.errors import FormatError, LimitError, SealError, UnavailableError, UsageError
from trustkit.sealing.floe import Entropy
from trustkit.sealing.keys import Dek

SCRYPT = "scrypt"
WRAPPED_LENGTHS = {SCRYPT: 113}
"""Length of a wrapped data key (bytes)."""
KEY_ID = digest_of(b"trustkit.dev/passphrase/v1")
"""The key ID of every passphrase: a name for all of them, which says nothing about any."""
MIN_LOG_N = 17
"""Least cost that is written or read: 2^17 blocks, 128 MiB."""
MAX_LOG_N = 18
"""Most cost that is read: 2^18 blocks, 256 MiB."""
MIN_LENGTH = 12
"""Shortest passphrase to seal to (bytes)."""
MAX_LENGTH = 1023
"""Longest passphrase (bytes)."""

_LABEL = b"trustkit.dev/passphrase/v1:"
_SALT = slice(1, 33)
_COMMITMENT = slice(33, 65)
_BODY = slice(65, None)
_NONCE = bytes(12)


class PassphraseRecipient:
    """Whoever knows a passphrase.

    Args:
        passphrase: From 12 to 1023 bytes.
        entropy: Where salts come from.
        log_n: Logarithm of the cost.

    Raises:
        UsageError: ``weak-passphrase`` or ``bad-passphrase``.
    """

    kind = SCRYPT
    key_id = KEY_ID

    def __init__(self, passphrase: bytes, *, entropy: Entropy, log_n: int = MIN_LOG_N) -> None:
        if len(passphrase) < MIN_LENGTH:
            raise UsageError(
                "weak-passphrase",
                f"whoever gets the sealed folder can guess without end; take {MIN_LENGTH} bytes or more",
            )
        self._passphrase = _checked(passphrase)
        self._entropy = entropy
        self._log_n = log_n

    def wrap(self, dek: Dek, info: bytes) -> bytes:
        """Wrap a data key, bound to *info*.

        Raises:
            UnavailableError: ``out-of-memory``.
        """
        salt = self._entropy(_SALT.stop - _SALT.start)
        if len(salt) != _SALT.stop - _SALT.start:
            raise ValueError("the source of randomness gave another number of bytes than asked for")
        key, commitment = _stretched(self._passphrase, salt, self._log_n, info)
        return bytes([self._log_n]) + salt + commitment + AESGCM(key).encrypt(_NONCE, dek.key, None)

    def __repr__(self) -> str:
        return "<PassphraseRecipient>"


class PassphraseOpener:
    """The passphrase itself, held in memory.

    Raises:
        UsageError: ``bad-passphrase``.
    """

    kind = SCRYPT
    key_id = KEY_ID

    def __init__(self, passphrase: bytes) -> None:
        self._passphrase = _checked(passphrase)

    def unwrap(self, untrusted_wrapped: bytes, info: bytes) -> bytearray:
        """Unwrap a data key that was bound to *info*; the caller owns and wipes what it gets.

        Raises:
            SealError: ``wrong-context``: another passphrase, another context, or altered.
            FormatError, LimitError: As `check_wrapped`, before anything is stretched.
            UnavailableError: ``out-of-memory``.
        """
        check_wrapped(untrusted_wrapped)
        log_n, salt = untrusted_wrapped[0], untrusted_wrapped[_SALT]
        key, commitment = _stretched(self._passphrase, salt, log_n, info)
        if hmac.compare_digest(commitment, untrusted_wrapped[_COMMITMENT]):
            try:
                return bytearray(AESGCM(key).decrypt(_NONCE, untrusted_wrapped[_BODY], None))
            except InvalidTag:  # no one who knows the passphrase wrote that
                pass
        raise SealError(
            "wrong-context",
            "the passphrase is another one, or the wrapped key was made for another artifact or altered",
        )

    def __repr__(self) -> str:
        return "<PassphraseOpener>"


def check_wrapped(untrusted_wrapped: bytes) -> None:
    """Refuse a wrapped key that would cost too much, or too little, before anything is paid.

    Raises:
        FormatError: ``bad-wrapped-key``.
        LimitError: ``too-costly``.
    """
    if len(untrusted_wrapped) != WRAPPED_LENGTHS[SCRYPT] or untrusted_wrapped[0] < MIN_LOG_N:
        raise FormatError(
            "bad-wrapped-key", f"a wrapped key of kind scrypt has 113 bytes and a cost from {MIN_LOG_N} on"
        )
    if untrusted_wrapped[0] > MAX_LOG_N:
        raise LimitError(
            "too-costly", f"a passphrase is stretched with a cost of at most {MAX_LOG_N}", limit=MAX_LOG_N
        )


def _checked(passphrase: bytes) -> bytes:
    if not 0 < len(passphrase) <= MAX_LENGTH:
        raise UsageError("bad-passphrase", f"a passphrase has from 1 to {MAX_LENGTH} bytes")
    return passphrase


def _stretched(passphrase: bytes, salt: bytes, log_n: int, info: bytes) -> tuple[bytes, bytes]:
    """Return the key of one wrap, and the commitment to it."""
    try:
        stretched = Scrypt(salt=salt, length=32, n=1 << log_n, r=8, p=1).derive(passphrase)
    except MemoryError:
        raise UnavailableError(
            "out-of-memory",
            f"stretching the passphrase takes {1 << log_n >> 10} MiB; make room and try again",
        ) from None
    both = HKDFExpand(hashes.SHA256(), 64, _LABEL + info).derive(stretched)
    return both[:32], both[32:]
