"""Data keys: shown nowhere, wiped for good, named and committed to."""

import copy
import hashlib
import hmac
import logging
import os
import pickle

import pytest

from trustkit.errors import FormatError, SealError
from trustkit.sealing.keys import Dek, check_dek_id, commitment, generate_dek, generate_dek_id

SECRET = b"a secret of exactly 32 bytes...."


def test_a_key_comes_whole_from_the_callers_randomness():
    assert generate_dek(lambda size: SECRET[:size]).key == SECRET
    assert generate_dek(os.urandom).key != generate_dek(os.urandom).key
    assert generate_dek_id(bytes) == "0" * 32
    assert len({generate_dek_id(os.urandom) for _ in range(1000)}) == 1000


def test_short_randomness_makes_no_key_and_no_name():
    with pytest.raises(SealError, match="bad-data-key"):
        generate_dek(lambda size: bytes(size - 1))
    with pytest.raises(FormatError, match="bad-dek-id"):
        generate_dek_id(lambda size: bytes(size - 1))


def test_wiping_overwrites_the_very_bytes_and_gives_them_up():
    material = bytearray(SECRET)
    dek = Dek(material)
    assert dek.key is material
    dek.wipe()
    assert material == bytes(32)
    with pytest.raises(ValueError, match="wiped"):
        _ = dek.key
    dek.wipe()


def test_a_block_wipes_however_it_ends():
    for error in (None, RuntimeError, KeyboardInterrupt):
        material = bytearray(SECRET)
        try:
            with Dek(material) as dek:
                assert dek.key == SECRET
                if error:
                    raise error
        except (RuntimeError, KeyboardInterrupt):
            pass
        assert material == bytes(32)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_material_of_another_length_is_wiped_and_refused(length):
    material = bytearray(b"x" * length)
    with pytest.raises(SealError, match="bad-data-key"):
        Dek(material)
    assert material == bytes(length)


def test_nothing_shows_a_key(caplog):
    dek = Dek(bytearray(SECRET))
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("any").warning("%s %r", dek, dek)
    shown = f"{dek} {dek!r} {dek.__reduce__.__name__} {caplog.text}"
    dek.wipe()
    shown += repr(dek)
    assert "<Dek, held>" in shown
    assert "<Dek, wiped>" in shown
    for secret in (SECRET.decode(), SECRET.hex(), str(list(SECRET))[1:-1], repr(bytearray(SECRET))):
        assert secret not in shown


@pytest.mark.parametrize("leak", [copy.copy, copy.deepcopy, pickle.dumps])
def test_keys_are_not_copied_or_serialised(leak):
    with pytest.raises(TypeError, match="not copied"):
        leak(Dek(bytearray(SECRET)))


def test_keys_have_no_attributes_to_hang_copies_on_and_no_equality_that_leaks_time():
    dek = Dek(bytearray(SECRET))
    assert not hasattr(dek, "__dict__")
    assert dek != Dek(bytearray(SECRET))


def test_the_commitment_is_what_the_format_says():
    label = b"trustkit.dev/key-commitment/v1:" + b"ab" * 16
    expected = hmac.digest(SECRET, label + b"\1", hashlib.sha384)[:32]
    found = commitment(Dek(bytearray(SECRET)), "ab" * 16)
    assert (found.algorithm, found.value) == ("sha256", expected)


def test_the_commitment_moves_with_key_and_name():
    seen = {
        commitment(Dek(bytearray(key)), name)
        for key in (SECRET, bytes(32), b"\1" + bytes(31))
        for name in ("ab" * 16, "0" * 32)
    }
    assert len(seen) == 6


@pytest.mark.parametrize("name", ["", "ab", "AB" * 16, "g" * 32, "ab" * 16 + "\n", "ab" * 17, "٣" * 32])
def test_names_of_keys_are_32_lower_case_hex_digits(name):
    assert check_dek_id("ab" * 16) == "ab" * 16
    with pytest.raises(FormatError, match="bad-dek-id"):
        check_dek_id(name)
