"""Sealing whole buffers, as a caller would: segment by segment, into buffers of its own."""

import hashlib
import hmac
import os
import sys
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trustkit.errors import SealError
from trustkit.sealing.floe import (
    HEADER_LENGTH,
    Parameters,
    PartOpener,
    PartSealer,
    ciphertext_length,
    segments_of,
)

SMALL = Parameters(segment_length=64)
KEY = bytes(range(32))
AAD = b"where it belongs"


def sealed(plaintext, *, key=KEY, aad=AAD, parameters=SMALL, entropy=os.urandom):
    """Seal a buffer into one part."""
    sealer = PartSealer(key, aad, parameters=parameters, entropy=entropy)
    out = bytearray(parameters.segment_length)
    part, whole = bytearray(sealer.header), parameters.plaintext_length
    count = segments_of(len(plaintext), parameters)
    for position in range(count):
        chunk = memoryview(plaintext)[position * whole : (position + 1) * whole]
        size = sealer.seal_into(chunk, position, final=position == count - 1, out=memoryview(out))
        part += out[:size]
    return bytes(part)


def opened(part, length, *, key=KEY, aad=AAD, parameters=SMALL):
    """Open a part whose plaintext length was signed, and whose blob must have the length that follows."""
    if len(part) != ciphertext_length(length, parameters):
        raise SealError("truncated", "the blob has another length than was signed")
    opener = PartOpener(key, aad, part[:HEADER_LENGTH], parameters=parameters)
    out, plain = memoryview(bytearray(parameters.plaintext_length)), bytearray()
    count = segments_of(length, parameters)
    for position in range(count):
        start = HEADER_LENGTH + position * parameters.segment_length
        segment = memoryview(part)[start : start + parameters.segment_length]
        size = opener.open_into(segment, position, final=position == count - 1, out=out)
        plain += out[:size]
    return bytes(plain)


def kdf(prefix, aad, key, purpose, length):
    return hmac.digest(key, prefix + purpose + aad + b"\1", hashlib.sha384)[:length]


def segment_key(prefix, aad, key, first=0):
    message_key = kdf(prefix, aad, key, b"MESSAGE_KEY:", 48)
    return kdf(prefix, aad, message_key, b"DEK:" + first.to_bytes(8, "big"), 32)


def reader(part, key, aad, bits=20):
    """Read FLOE independently, from the specification alone; obeys the stream: for genuine parts only."""
    assert kdf(part[:42], aad, key, b"HEADER_TAG:", 32) == part[42:74]
    plain, rest, position, final = b"", part[74:], 0, False
    while not final:
        final = rest[:4] != b"\xff" * 4
        size = int.from_bytes(rest[:4] if final else part[2:6], "big")
        cipher = AESGCM(segment_key(part[:42], aad, key, position >> bits << bits))
        where = position.to_bytes(8, "big") + bytes([final])
        plain += cipher.decrypt(rest[4:16], rest[16:size], where)
        rest, position = rest[size:], position + 1
    assert not rest
    return plain


@pytest.fixture(scope="session")
def floe():
    return SimpleNamespace(
        seal=sealed,
        open=opened,
        reader=reader,
        kdf=kdf,
        segment_key=segment_key,
        key=KEY,
        aad=AAD,
        small=SMALL,
    )


@pytest.fixture
def fault(kms):
    """What can happen to a request of AWS KMS, as the simulator's module has it."""
    return sys.modules[type(kms).__module__]
