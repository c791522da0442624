"""What a Range header means, against the meaning spelled out by hand."""

from hypothesis import given
from hypothesis import strategies as st

from trustkit.store.ranges import MAX_RANGE, Slice, matches, slice_of

NUMBER = st.integers(0, 30)


@given(first=NUMBER, last=NUMBER, size=NUMBER)
def test_from_here_to_there(first, last, size):
    wanted = list(range(size))[first : last + 1] if first <= last else []
    found = slice_of(f"bytes={first}-{last}", size)
    assert found == (Slice(wanted[0], wanted[-1] + 1, partial=True) if wanted else None)


@given(first=NUMBER, size=NUMBER)
def test_from_here_to_the_end(first, size):
    assert slice_of(f"bytes={first}-", size) == (Slice(first, size, partial=True) if first < size else None)


@given(last=NUMBER, size=NUMBER)
def test_the_last_ones(last, size):
    wanted = list(range(size))[-last:] if last else []
    assert slice_of(f"bytes=-{last}", size) == (Slice(wanted[0], size, partial=True) if wanted else None)


@given(st.integers(0, 10**18))
def test_without_a_header_all_of_it(size):
    assert slice_of(None, size) == Slice(0, size, partial=False)


@given(st.text(max_size=100) | st.text("bytes=0123456789-, ", max_size=40).map("bytes=".__add__), NUMBER)
def test_any_text_is_a_slice_inside_the_file_or_nothing(text, size):
    found = slice_of(text, size)
    assert found is None or 0 <= found.start < found.stop <= size
    assert found is None or text.count("-") == 1


def test_a_long_one_is_not_looked_at():
    good = "bytes=" + "0" * 10 + "1-" + "0" * 10 + "5"
    assert slice_of(good, 10) == Slice(1, 6, partial=True)
    assert slice_of("bytes=0-" + "0" * MAX_RANGE, 10) is None
    assert slice_of("bytes=0-" + "9" * 10**7, 10) is None


@given(st.text(max_size=60))
def test_tags_match_only_where_they_stand(text):
    assert not matches(text, '"a-b-c"', weak=True) or '"a-b-c"' in text or text.strip() == "*"
    assert not matches(text, '"a-b-c"', weak=False) or matches(text, '"a-b-c"', weak=True)


def test_a_strong_match_is_no_weak_one():
    assert matches('"x", "a"', '"a"', weak=False)
    assert not matches('W/"a"', '"a"', weak=False)
    assert matches('W/"a"', '"a"', weak=True)
    assert not matches('"b"', '"a"', weak=True)
