"""FLOE: published known answers, the edges of segments, limits, and threads."""

import os
import sys
import threading
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given, settings
from hypothesis import strategies as st

from trustkit.errors import FormatError, LimitError
from trustkit.sealing.floe import (
    HEADER_LENGTH,
    MAX_SEGMENT_LENGTH,
    MAX_SEGMENTS,
    SEGMENT_OVERHEAD,
    Parameters,
    PartOpener,
    PartSealer,
    ciphertext_length,
    segments_of,
)

ANSWERS = {
    "go_GCM256_IV256_64": Parameters(64),
    "go_rotation": Parameters(40, rotation_bits=2),
    "java_GCM256_IV256_4K": Parameters(4096),
    "java_GCM256_IV256_64": Parameters(64),
    "java_lastSegAligned": Parameters(40),
    "java_lastSegEmpty": Parameters(40),
    "java_rotation": Parameters(40, rotation_bits=2),
}


@pytest.fixture(scope="module")
def published():
    folder = os.environ.get("TRUSTKIT_VECTORS")
    if folder is None:
        pytest.skip("TRUSTKIT_VECTORS names no folder of published known answers")

    def answer(name):
        part, plain = (
            bytes.fromhex(Path(folder, "floe", f"{name}_{kind}.txt").read_text().strip())
            for kind in ("ct", "pt")
        )
        return part, plain

    return answer


@pytest.mark.parametrize("name", ANSWERS)
def test_published_known_answers_open(name, published):
    part, plain = published(name)
    parameters = ANSWERS[name]
    opener = PartOpener(bytes(32), b"This is AAD", part[:HEADER_LENGTH], parameters=parameters)
    out, found, step = bytearray(parameters.plaintext_length), b"", parameters.segment_length
    starts = range(HEADER_LENGTH, len(part), step)
    for position, start in enumerate(starts):
        final = position == len(starts) - 1
        segment = memoryview(part)[start : start + step]
        found += out[: opener.open_into(segment, position, final=final, out=memoryview(out))]
    assert found == plain


@pytest.mark.parametrize("name", [name for name in ANSWERS if "Empty" not in name])
def test_published_known_answers_have_the_lengths_we_would_sign(name, published):
    part, plain = published(name)
    assert len(part) == ciphertext_length(len(plain), ANSWERS[name])


def test_a_published_part_that_ends_in_an_empty_segment_is_not_the_one_legal_chunking(published):
    part, plain = published("java_lastSegEmpty")
    assert len(part) == ciphertext_length(len(plain), Parameters(40)) + SEGMENT_OVERHEAD


def test_the_independent_reader_agrees_with_the_published_known_answers(published, floe):
    for name, parameters in ANSWERS.items():
        part, plain = published(name)
        assert floe.reader(part, bytes(32), b"This is AAD", parameters.rotation_bits) == plain


@pytest.mark.parametrize(
    ("length", "segments"), [(0, 1), (1, 1), (31, 1), (32, 1), (33, 2), (63, 2), (64, 2), (65, 3), (96, 3)]
)
def test_every_length_has_one_chunking(length, segments, floe):
    assert segments_of(length, floe.small) == segments
    assert ciphertext_length(length, floe.small) == HEADER_LENGTH + length + SEGMENT_OVERHEAD * segments
    assert len(floe.seal(bytes(length))) == ciphertext_length(length, floe.small)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), segment=st.integers(33, 80), bits=st.integers(0, 3), aad=st.binary(max_size=40))
def test_whatever_is_sealed_opens_here_and_in_the_independent_reader(floe, data, segment, bits, aad):
    edges = st.tuples(st.integers(0, 9), st.integers(-1, 1)).map(
        lambda edge: max(0, edge[0] * (segment - SEGMENT_OVERHEAD) + edge[1])
    )
    length = data.draw(st.one_of(st.integers(0, 300), edges))
    plain, key = os.urandom(length), os.urandom(32)
    how = {"key": key, "aad": aad, "parameters": Parameters(segment, rotation_bits=bits)}
    part = floe.seal(plain, **how)
    assert len(part) == ciphertext_length(length, how["parameters"])
    assert floe.open(part, length, **how) == plain
    assert floe.reader(part, key, aad, bits) == plain


@pytest.mark.parametrize("length", range(4 * 32 + 2))
def test_every_length_around_the_edges_of_small_segments(length, floe):
    plain = os.urandom(length)
    part = floe.seal(plain)
    assert floe.open(part, length) == plain == floe.reader(part, floe.key, floe.aad)


def test_counters_carry_beyond_one_byte_of_positions(floe):
    plain = os.urandom(258 * 32)
    part = floe.seal(plain)
    assert floe.open(part, len(plain)) == plain == floe.reader(part, floe.key, floe.aad)


def test_a_megabyte_segment_of_the_default_parameters(floe):
    plain = os.urandom((1 << 20) + 5)
    part = floe.seal(plain, parameters=Parameters())
    assert (
        floe.open(part, len(plain), parameters=Parameters()) == plain == floe.reader(part, floe.key, floe.aad)
    )


def test_the_parameters_are_the_ten_bytes_of_the_specification():
    assert Parameters().to_bytes() == bytes.fromhex("0000 00100000 00000020")
    assert Parameters().plaintext_length == (1 << 20) - 32


def test_segments_at_the_far_end_of_the_largest_part(floe):
    sealer = PartSealer(floe.key, floe.aad, parameters=floe.small, entropy=os.urandom)
    opener = PartOpener(floe.key, floe.aad, sealer.header, parameters=floe.small)
    out, plain = memoryview(bytearray(64)), memoryview(bytearray(32))
    for position in (MAX_SEGMENTS - 1, 1 << 20, (1 << 20) - 1, 0):
        assert sealer.seal_into(memoryview(b"p" * 32), position, final=False, out=out) == 64
        assert opener.open_into(out, position, final=False, out=plain) == 32
        assert bytes(plain) == b"p" * 32
    for position in (-1, MAX_SEGMENTS):
        with pytest.raises(LimitError, match="too-many-segments"):
            sealer.seal_into(memoryview(b""), position, final=True, out=out)
        with pytest.raises(LimitError, match="too-many-segments"):
            opener.open_into(out, position, final=False, out=plain)


def test_a_segment_key_serves_two_to_the_rotation_bits_segments_and_no_more(floe):
    """Nothing else tells: a segment moved over a rotation would be refused for its position anyway."""
    parameters = Parameters(64, rotation_bits=2)
    part = floe.seal(bytes(32 * 5), parameters=parameters)
    assert floe.reader(part, floe.key, floe.aad, 2) == bytes(32 * 5)
    with pytest.raises(InvalidTag):
        floe.reader(part, floe.key, floe.aad, 3)


def test_segments_open_in_any_order(floe):
    plain = os.urandom(10 * 32 + 3)
    part = floe.seal(plain, parameters=Parameters(64, rotation_bits=1))
    opener = PartOpener(floe.key, floe.aad, part[:HEADER_LENGTH], parameters=Parameters(64, rotation_bits=1))
    for position in (10, 0, 7, 7, 3, 9, 1):
        out, start = memoryview(bytearray(32)), HEADER_LENGTH + position * 64
        size = opener.open_into(memoryview(part)[start : start + 64], position, final=position == 10, out=out)
        assert bytes(out[:size]) == plain[position * 32 : position * 32 + 32]


@pytest.fixture
def restless():
    """Let threads take turns after every few instructions."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_threads_share_a_sealer_and_an_opener(floe, restless):
    """Neighbours need another key all the time here, or the one that is just being derived."""
    parameters, count = Parameters(64, rotation_bits=1), 4000
    plain = os.urandom(parameters.plaintext_length * count)
    sealer = PartSealer(floe.key, floe.aad, parameters=parameters, entropy=os.urandom)
    body, back = bytearray(64 * count), bytearray(len(plain))
    opener = PartOpener(floe.key, floe.aad, sealer.header, parameters=parameters)
    whole = parameters.plaintext_length

    def in_threads(work):
        failed = []

        def each(first):
            try:
                for position in range(first, count, 4):
                    work(position)
            except BaseException as error:
                failed.append(error)
                raise

        threads = [threading.Thread(target=each, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed

    def seal(position):
        chunk = memoryview(plain)[position * whole : (position + 1) * whole]
        room = memoryview(body)[position * 64 : (position + 1) * 64]
        sealer.seal_into(chunk, position, final=position == count - 1, out=room)

    def open_(position):
        segment = memoryview(body)[position * 64 : (position + 1) * 64]
        room = memoryview(back)[position * whole : (position + 1) * whole]
        opener.open_into(segment, position, final=position == count - 1, out=room)

    in_threads(seal)
    in_threads(open_)
    assert back == plain
    assert floe.reader(sealer.header + bytes(body), floe.key, floe.aad, 1) == plain


@pytest.mark.parametrize("other", [0, 1, 2])
def test_a_thread_that_comes_in_while_a_key_is_derived_gets_its_own(other, floe):
    """The interleaving that chance seldom finds: another thread runs between the question and the answer."""
    parameters = Parameters(64, rotation_bits=0)
    part = floe.seal(bytes(3 * 32), parameters=parameters)
    keys = PartOpener(floe.key, floe.aad, part[:HEADER_LENGTH], parameters=parameters)._keys
    derive, found = keys._cipher, {}

    def interrupted(number):
        keys._cipher = derive
        found["theirs"] = (other, keys.cipher(other))
        return derive(number)

    keys._cipher = interrupted
    found["ours"] = (1, keys.cipher(1))
    found["later"] = (other, keys.cipher(other))
    for position, cipher in found.values():
        segment = part[HEADER_LENGTH + position * 64 :][:64]
        where = position.to_bytes(8, "big") + bytes([position == 2])
        assert cipher.decrypt(segment[4:16], segment[16:], where) == bytes(32)


def test_two_sealings_of_one_file_share_no_iv_and_no_nonce(floe):
    parts = [floe.seal(bytes(32 * 50)) for _ in range(20)]
    ivs = {part[10:42] for part in parts}
    nonces = {part[start + 4 : start + 16] for part in parts for start in range(HEADER_LENGTH, len(part), 64)}
    assert (len(ivs), len(nonces)) == (20, 20 * 50)


def test_all_randomness_is_the_callers_and_none_can_be_short(floe):
    asked = []

    def counted(size):
        asked.append(size)
        return bytes([len(asked)]) * size

    part = floe.seal(bytes(71), entropy=counted)
    assert asked == [32, 12, 12, 12]
    assert part[10:42] == b"\1" * 32
    assert part[HEADER_LENGTH + 4 : HEADER_LENGTH + 16] == b"\2" * 12
    with pytest.raises(ValueError, match="source of randomness"):
        PartSealer(floe.key, b"", parameters=floe.small, entropy=lambda size: bytes(size - 1))
    sealer = PartSealer(floe.key, b"", parameters=floe.small, entropy=bytes)
    for wrong in (11, 13):
        sealer._entropy = lambda _, wrong=wrong: bytes(wrong)
        with pytest.raises(ValueError, match="assignment"):
            sealer.seal_into(memoryview(b""), 0, final=True, out=memoryview(bytearray(32)))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_only_the_final_segment_may_be_short_and_none_long(length, floe):
    sealer = PartSealer(floe.key, floe.aad, parameters=floe.small, entropy=os.urandom)
    out = memoryview(bytearray(128))
    with pytest.raises(ValueError, match="32 bytes"):
        sealer.seal_into(memoryview(bytes(length)), 0, final=False, out=out)
    if length > 32:
        with pytest.raises(ValueError, match="32 bytes"):
            sealer.seal_into(memoryview(bytes(length)), 0, final=True, out=out)


def test_buffers_that_are_too_small_are_a_mistake_of_the_caller(floe):
    part = floe.seal(bytes(32))
    sealer = PartSealer(floe.key, floe.aad, parameters=floe.small, entropy=os.urandom)
    with pytest.raises(ValueError, match="buffer"):
        sealer.seal_into(memoryview(bytes(32)), 0, final=True, out=memoryview(bytearray(63)))
    opener = PartOpener(floe.key, floe.aad, part[:HEADER_LENGTH], parameters=floe.small)
    with pytest.raises(ValueError, match="buffer"):
        opener.open_into(memoryview(part)[74:], 0, final=True, out=memoryview(bytearray(31)))


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_data_key_of_another_length_seals_nothing(length, floe):
    with pytest.raises(ValueError, match="32 bytes"):
        PartSealer(bytes(length), floe.aad, parameters=floe.small, entropy=os.urandom)


@pytest.mark.parametrize("length", [-1, 0, 32, MAX_SEGMENT_LENGTH + 1, 0xFFFFFFFF, 1 << 32])
def test_segments_have_a_least_and_a_greatest_length(length):
    with pytest.raises(FormatError, match="bad-segment-length"):
        Parameters(length)


def test_lengths_that_no_part_can_have():
    assert segments_of(MAX_SEGMENTS, Parameters(33)) == MAX_SEGMENTS
    with pytest.raises(LimitError, match="too-many-segments"):
        segments_of(MAX_SEGMENTS + 1, Parameters(33))
    with pytest.raises(FormatError, match="bad-part-length"):
        ciphertext_length(-1, Parameters())
