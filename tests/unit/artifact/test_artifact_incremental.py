"""Records of earlier signatures: sealed to one bundle and one machine, and every field of a stamp counts."""

import dataclasses
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustkit.artifact.files import Stamp, TreeFile
from trustkit.artifact.incremental import (
    KEY_BYTES,
    SETTLED_NS,
    parse_record,
    record_to_bytes,
    settled,
    unread,
)
from trustkit.artifact.manifest import Manifest, Resource
from trustkit.digest import digest_of
from trustkit.errors import FormatError

KEY, OTHER_KEY = bytes(KEY_BYTES), b"x" * KEY_BYTES
BUNDLE, OTHER_BUNDLE = digest_of(b"bundle"), digest_of(b"other")
STAMP = Stamp(device=1, inode=2, size=300, mtime_ns=4_000, ctime_ns=5_000)
STAMPS = st.builds(Stamp, *[st.integers(0, 2**63)] * 3, *[st.integers(-(2**63), 2**63)] * 2)


def record(stamps, *, bundle=BUNDLE, key=KEY):
    return record_to_bytes(stamps, bundle=bundle, key=key)


def parsed(raw, *, bundle=BUNDLE, key=KEY):
    return parse_record(raw, bundle=bundle, key=key)


def sealed(body):
    """Seal any text, as whoever has the key could."""
    empty = record({})
    raw = body.encode() if isinstance(body, str) else body
    assert empty.endswith(f"hmac-sha256 {hmac.digest(KEY, empty[:-77], 'sha256').hex()}\n".encode())
    return raw + f"hmac-sha256 {hmac.digest(KEY, raw, 'sha256').hex()}\n".encode()


@given(st.dictionaries(st.sampled_from(["a", "b/c", "d e", "ü", 'q"uote', "b/c:1:2"]), STAMPS))
def test_what_is_written_is_read(stamps):
    assert parsed(record(stamps)) == stamps


def test_the_form():
    head, line, last, end = record({"a/ü": STAMP}).decode().split("\n")
    assert head == f"trustkit-record-1 {BUNDLE.hex}"
    assert line == '1 2 300 4000 5000 "a/ü"'
    assert last.startswith("hmac-sha256 ")
    assert end == ""


@pytest.mark.parametrize(
    "raw",
    [
        record({"a": STAMP}, key=OTHER_KEY),
        record({"a": STAMP}, bundle=OTHER_BUNDLE),
        record({"a": STAMP})[:-1],
        record({"a": STAMP})[1:],
        record({"a": STAMP}) + b"\n",
        record({"a": STAMP}).replace(b"300", b"301"),
        record({"a": STAMP}).replace(b'"a"', b'"b"'),
        record({"a": STAMP}).upper(),
        b"",
        b"x" * 500,
    ],
)
def test_a_record_that_was_altered_or_is_of_something_else(raw, refused):
    with refused(FormatError, "bad-signing-record"):
        parsed(raw)


HEAD = f"trustkit-record-1 {BUNDLE.hex}\n"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "\n",
        HEAD[:-1],
        HEAD.replace("-1", "-2"),
        HEAD + "1 2 3 4 5\n",
        HEAD + '1 2 3 4 5 "a"',
        HEAD + '1 2 3 4 5 "a"\n1 2 3 4 5 "a"\n',
        HEAD + '1 2 3 4 "a"\n',
        HEAD + '-1 2 3 4 5 "a"\n',
        HEAD + '1 2 3 4 ٣ "a"\n',
        HEAD + '1 2 3 4 5 "a" \n',
        HEAD + '1 2 3 4 5 "a", "b"\n',
        HEAD + '1 2 3 4 5 "../a"\n',
        HEAD + '1 2 3 4 5 "/a"\n',
        HEAD + '1 2 3 4 5 "\\ud800"\n',
        HEAD + '1 2 3 4 5 "a"\n\n',
        HEAD.encode() + b'1 2 3 4 5 "\xff"\n',
    ],
)
def test_even_a_seal_that_holds_excuses_no_other_form(body, refused):
    with refused(FormatError, "bad-signing-record"):
        parsed(sealed(body))


def outcome(raw):
    try:
        return parsed(raw)
    except FormatError as error:
        return error.code


@given(st.binary(max_size=300))
def test_bytes_are_a_record_or_refused_with_one_code(raw):
    assert outcome(raw) == outcome(sealed(raw)) == "bad-signing-record"
    assert outcome(sealed(HEAD.encode() + raw)) == ({} if not raw else "bad-signing-record")


def test_a_key_has_one_length():
    with pytest.raises(ValueError, match="32 bytes"):
        record({}, key=b"short")


def file(name="a", stamp=STAMP):
    return TreeFile(name, 0, name, stamp)


def manifest(*parts, **how):
    return Manifest(parts, **how)


WHOLE = Resource("a", digest_of(b"a"))


def test_an_unchanged_file_is_not_read():
    assert unread([file(), file("new")], {"a": STAMP}, manifest(WHOLE)) == {"a": (WHOLE,)}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Stamp)])
@pytest.mark.parametrize("by", [1, -1])
def test_every_field_of_a_stamp_counts(field, by):
    other = dataclasses.replace(STAMP, **{field: getattr(STAMP, field) + by})
    assert unread([file(stamp=other)], {"a": STAMP}, manifest(WHOLE)) == {}


def test_another_name_is_another_file():
    assert unread([file("b")], {"a": STAMP}, manifest(WHOLE)) == {}
    assert unread([file("b")], {"b": STAMP}, manifest(WHOLE)) == {}


def test_a_file_that_was_not_recorded_is_read():
    assert unread([file()], {}, manifest(WHOLE)) == {}


def test_shards_are_taken_over_whole_or_not_at_all():
    parts = [Resource("a", digest_of(b"a"), 0, 200), Resource("a", digest_of(b"b"), 200, 300)]
    signed = manifest(*parts, method="shards", shard_size=200)
    assert unread([file()], {"a": STAMP}, signed) == {"a": tuple(parts)}
    longer = dataclasses.replace(STAMP, size=301)
    assert unread([file(stamp=longer)], {"a": longer}, signed) == {}


def test_two_digests_for_one_file_are_none():
    assert unread([file()], {"a": STAMP}, manifest(WHOLE, WHOLE)) == {}


def test_the_reference_calls_a_single_file_by_a_dot():
    assert unread([file()], {"a": STAMP}, manifest(Resource(".", WHOLE.digest))) == {"a": (WHOLE,)}


@pytest.mark.parametrize("field", ["mtime_ns", "ctime_ns"])
@pytest.mark.parametrize(
    ("before", "kept"), [(SETTLED_NS + 1, True), (SETTLED_NS, False), (0, False), (-9, False)]
)
def test_what_was_touched_a_moment_ago_is_not_recorded(field, before, kept):
    """Within one tick of a clock a second write leaves no mark: racily clean."""
    began = 10**18
    fresh = dataclasses.replace(STAMP, **{field: began - before})
    assert (settled([file(stamp=fresh)], began_ns=began) == {"a": fresh}) is kept
    assert (settled([file(stamp=fresh)], began_ns=began) == {}) is not kept
