"""FLOE, spoiled: what differs in a bit, a byte, a place or a key does not open, and leaves nothing behind."""

import os

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trustkit.errors import SealError
from trustkit.sealing.floe import HEADER_LENGTH, MAX_SEGMENTS, SEGMENT_OVERHEAD, PartOpener

THREE = 2 * 32 + 7
"""Plaintext that makes three segments of 64 bytes, the last one short."""


class Filled:
    """A private buffer filled with a pattern, to see what an opener leaves in it."""

    def __init__(self, size):
        self.raw = bytearray(b"\xa5" * size)
        self.view = memoryview(self.raw)


class TestSpoiled:
    """A part of three segments: nothing that differs in a bit, a byte or a place opens, or leaves a trace."""

    @pytest.fixture
    def plain(self):
        return os.urandom(THREE)

    @pytest.fixture
    def part(self, plain, floe):
        return floe.seal(plain)

    @pytest.fixture
    def attempt(self, floe):
        """Try to open a part of three segments; return the code, having looked what lies in the buffer."""

        def attempt(part, *, key=floe.key, aad=floe.aad):
            out = Filled(32)
            try:
                opener = PartOpener(key, aad, part[:HEADER_LENGTH], parameters=floe.small)
                for position in range(3):
                    out.raw[:] = b"\xa5" * 32
                    start = HEADER_LENGTH + position * 64
                    segment = memoryview(part)[start : None if position == 2 else start + 64]
                    opener.open_into(segment, position, final=position == 2, out=out.view)
            except SealError as error:
                assert set(out.raw) <= {0, 0xA5}, "something of an unauthenticated segment is left"
                return error.code
            return None

        return attempt

    def test_as_it_is_it_opens(self, part, attempt):
        assert attempt(part) is None

    def test_every_flipped_bit_is_refused_and_leaves_nothing(self, part, attempt):
        codes = set()
        for place in range(8 * len(part)):
            flipped = bytearray(part)
            flipped[place // 8] ^= 1 << place % 8
            code = attempt(bytes(flipped))
            assert code == ("wrong-parameters" if place < 80 else "tampered")
            codes.add(code)
        assert codes == {"wrong-parameters", "tampered"}

    def test_truncation_at_every_byte_is_refused_and_leaves_nothing(self, part, attempt):
        for length in range(len(part)):
            code = attempt(part[:length])
            # Within the last segment that is left, the missing bytes are its tag: shorter, or another one.
            assert code in {"truncated", "tampered"}, length
            assert code == "truncated" or length > HEADER_LENGTH + 2 * 64 + SEGMENT_OVERHEAD - 1

    @pytest.mark.parametrize("more", [1, 2, 16, 25, 26, 64, 1000])
    def test_bytes_put_behind_the_end_are_refused(self, part, attempt, more):
        assert attempt(part + bytes(more)) == "tampered"
        assert attempt(part + part[-more:]) == "tampered"

    def test_a_segment_that_is_longer_than_signed_is_refused_though_its_tag_is_right(self, part, floe):
        """Only who holds the key can make one; the signed lengths must hold all the same."""
        opener = PartOpener(floe.key, floe.aad, part[:HEADER_LENGTH], parameters=floe.small)
        cipher = AESGCM(floe.segment_key(part[:42], floe.aad, floe.key))
        for final, head in ((True, (65).to_bytes(4, "big")), (False, b"\xff" * 4)):
            body = cipher.encrypt(bytes(12), b"p" * 33, bytes(8) + bytes([final]))
            out = Filled(64)
            with pytest.raises(SealError, match="tampered"):
                opener.open_into(memoryview(head + bytes(12) + body), 0, final=final, out=out.view)
            assert out.raw == b"\xa5" * 64

    def test_segments_in_another_order_are_refused(self, part, attempt):
        header, first, second, last = part[:74], part[74:138], part[138:202], part[202:]
        for body in (second + first + last, first + first + last, second + second + last, second + last):
            assert attempt(header + body) is not None
        assert attempt(header + first + second + last) is None

    def test_segments_of_another_part_under_the_same_key_are_refused(self, plain, part, attempt, floe):
        for aad in (floe.aad, b"somewhere else"):
            other = floe.seal(plain, aad=aad)
            for start, end in ((74, 138), (138, 202), (202, None)):
                mixed = part[:start] + other[start:end] + (part[end:] if end else b"")
                assert attempt(mixed) == "tampered"
            assert attempt(other[:74] + part[74:]) == "tampered"

    def test_another_position_or_final_flag_is_refused(self, part, floe):
        opener = PartOpener(floe.key, floe.aad, part[:HEADER_LENGTH], parameters=floe.small)
        last = memoryview(part)[202:]
        for position in (0, 2, 3, 1 << 20, MAX_SEGMENTS - 1):
            with pytest.raises(SealError, match="tampered"):
                opener.open_into(memoryview(part)[138:202], position, final=False, out=Filled(32).view)
        for position in (1, 3):
            with pytest.raises(SealError, match="tampered"):
                opener.open_into(last, position, final=True, out=Filled(32).view)
        with pytest.raises(SealError, match="truncated"):
            opener.open_into(last, 2, final=False, out=Filled(32).view)
        with pytest.raises(SealError, match="tampered"):
            opener.open_into(memoryview(part)[74:138], 0, final=True, out=Filled(32).view)

    def test_a_whole_segment_relabelled_as_the_final_one_is_refused(self, part, floe):
        """The length field is not under the tag; the flag is."""
        opener = PartOpener(floe.key, floe.aad, part[:HEADER_LENGTH], parameters=floe.small)
        relabelled, out = memoryview((64).to_bytes(4, "big") + part[78:138]), Filled(32)
        with pytest.raises(SealError, match="tampered"):
            opener.open_into(relabelled, 0, final=True, out=out.view)
        assert out.raw == bytes(32)

    @pytest.mark.parametrize("how", [{"key": bytes(32)}, {"aad": b""}, {"aad": b"where it belongs "}])
    def test_another_key_or_place_is_refused_before_any_segment(self, part, attempt, how):
        assert attempt(part, **how) == "tampered"

    @pytest.mark.parametrize("length", [0, 10, 73, 75, 1000])
    def test_a_header_of_another_length_is_no_header(self, part, floe, length):
        with pytest.raises(SealError, match="truncated"):
            PartOpener(floe.key, floe.aad, (part * 9)[:length], parameters=floe.small)

    @pytest.mark.parametrize(
        "parameters",
        [
            "0100 00000040 00000020",
            "0001 00000040 00000020",
            "0000 00000041 00000020",
            "0000 00000040 00000021",
        ],
    )
    def test_parameters_are_compared_with_the_signed_ones_and_never_obeyed(self, part, floe, parameters):
        header = bytes.fromhex(parameters) + part[10:74]
        with pytest.raises(SealError, match="wrong-parameters"):
            PartOpener(floe.key, floe.aad, header, parameters=floe.small)

    def test_the_library_leaves_what_it_could_not_authenticate_and_we_wipe_it(self, plain, part, floe):
        """The reason for private buffers (ADR 0006): without the wipe the whole plaintext would lie there."""
        seen = {}

        class Watched:
            """The cipher of the segment, with a look at the buffer between its failure and our wipe."""

            def __init__(self, cipher):
                self._cipher = cipher

            def decrypt_into(self, nonce, body, aad, out):
                try:
                    return self._cipher.decrypt_into(nonce, body, aad, out)
                finally:
                    seen["left"] = bytes(out)

        opener, out = PartOpener(floe.key, floe.aad, part[:74], parameters=floe.small), Filled(40)
        opener._keys._current = (0, Watched(opener._keys.cipher(0)))
        spoiled = bytearray(part[74:138])
        spoiled[-1] ^= 1
        with pytest.raises(SealError, match="tampered"):
            opener.open_into(memoryview(spoiled), 0, final=False, out=out.view)
        assert seen["left"] == plain[:32], "the library no longer does this; the wipe can stay"
        assert out.raw == bytes(32) + b"\xa5" * 8

    def test_an_interrupted_call_leaves_nothing_either(self, plain, part, floe):
        class Interrupted:
            def decrypt_into(self, nonce, body, aad, out):
                out[:] = plain[:32]
                raise KeyboardInterrupt

        opener, out = PartOpener(floe.key, floe.aad, part[:74], parameters=floe.small), Filled(32)
        opener._keys._current = (0, Interrupted())
        with pytest.raises(KeyboardInterrupt):
            opener.open_into(memoryview(part)[74:138], 0, final=False, out=out.view)
        assert out.raw == bytes(32)

    def test_errors_carry_no_bytes_of_key_or_plaintext(self, part, floe):
        with pytest.raises(SealError) as caught:
            floe.open(part[:-1] + bytes([part[-1] ^ 1]), THREE)
        assert caught.value.evidence == {"position": 2}
        assert caught.value.__context__ is None or caught.value.__suppress_context__


class TestTwoKeys:
    """An invisible salamander: a body that opens under two keys, and a header that cannot serve both."""

    def test_a_body_that_opens_under_two_keys_opens_under_the_committed_one_alone(self, floe):
        first, second, iv, nonce = os.urandom(32), os.urandom(32), os.urandom(32), os.urandom(12)
        prefix, where = floe.small.to_bytes() + iv, bytes(8) + b"\1"
        keys = [floe.segment_key(prefix, floe.aad, key) for key in (first, second)]
        body = salamander(*keys, nonce, where)
        plain = [AESGCM(key).decrypt(nonce, body, where) for key in keys]
        assert plain[0] != plain[1]

        segment, out = memoryview((64).to_bytes(4, "big") + nonce + body), Filled(32)
        for key, other, expected in ((first, second, plain[0]), (second, first, plain[1])):
            header = prefix + floe.kdf(prefix, floe.aad, key, b"HEADER_TAG:", 32)
            opener = PartOpener(key, floe.aad, header, parameters=floe.small)
            assert opener.open_into(segment, 0, final=True, out=out.view) == 32
            assert out.raw == expected
            with pytest.raises(SealError, match="tampered"):
                PartOpener(other, floe.aad, header, parameters=floe.small)


def times(a, b):
    """Multiply in the field of GHASH (SP 800-38D, 6.3), whose first bit is the highest here."""
    product = 0
    for bit in range(127, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (0xE1 << 120 if b & 1 else 0)
    return product


def power(a, exponent):
    result = 1 << 127
    for bit in f"{exponent:b}":
        result = times(result, result)
        if bit == "1":
            result = times(result, a)
    return result


def salamander(first, second, nonce, aad):
    """Return two blocks and a tag that both keys accept: the second block makes up the difference."""

    def block(key, raw):
        cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        return int.from_bytes(cipher.update(raw), "big")

    def tag(key, unknown):
        h = block(key, bytes(16))
        terms = ((padded, 4), (chosen, 3), (unknown, 2), (lengths, 1))
        sums = [times(value, power(h, exponent)) for value, exponent in terms]
        return block(key, nonce + b"\0\0\0\1") ^ sums[0] ^ sums[1] ^ sums[2] ^ sums[3]

    padded = int.from_bytes(aad.ljust(16, b"\0"), "big")
    chosen, lengths = int.from_bytes(os.urandom(16), "big"), len(aad) * 8 << 64 | 32 * 8
    factor = power(block(first, bytes(16)), 2) ^ power(block(second, bytes(16)), 2)
    made_up = times(tag(first, 0) ^ tag(second, 0), power(factor, (1 << 128) - 2))
    assert tag(first, made_up) == tag(second, made_up)
    return b"".join(value.to_bytes(16, "big") for value in (chosen, made_up, tag(first, made_up)))
