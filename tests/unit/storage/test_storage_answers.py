"""The rules for answers, over everything that numbers and texts can be."""

from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustkit.errors import TrustkitError
from trustkit.storage.answers import body_length, check_range, refused


def headers(*pairs):
    message = Message()
    for name, value in pairs:
        message[name] = value
    return message


def outcome(function, *arguments):
    """Return the result, or the code of the error."""
    try:
        return function(*arguments)
    except TrustkitError as error:
        return error.code


SMALL = st.integers(0, 40)


@given(start=SMALL, length=st.integers(1, 40), first=SMALL, last=SMALL, total=SMALL, said=SMALL)
def test_a_range_is_taken_only_if_it_is_the_one_asked_for(start, length, first, last, total, said):
    message = headers(("Content-Range", f"bytes {first}-{last}/{total}"), ("Content-Length", str(said)))
    right = (first, last, said) == (start, start + length - 1, length) and last < total
    found = outcome(check_range, message, "blob", start, length)
    if right:
        assert found == total
    elif first == start and first <= last < total < start + length:
        assert found == "truncated"
    else:
        assert found == "bad-range"


@given(st.text(max_size=30) | st.from_regex(r"bytes [0-9]{0,3}-[0-9]{0,3}/[0-9*]{0,3}"))
def test_a_range_is_read_in_one_spelling(text):
    try:
        message = headers(("Content-Range", text), ("Content-Length", "5"))
    except ValueError:
        return  # a line end, which no head can carry
    found = outcome(check_range, message, "blob", 0, 5)
    assert found in {"bad-range", "truncated"} or text.strip().startswith("bytes 0-4/")


@given(st.text(max_size=10) | st.integers(-5, 10**20).map(str))
def test_a_length_is_digits(text):
    try:
        message = headers(("Content-Length", text))
    except ValueError:
        return
    found = outcome(body_length, message, "blob")
    assert found == "bad-answer" or (0 <= found < 10**18 and text.strip().isascii())


@given(st.integers(0, 999))
def test_every_status_has_an_error(status):
    error = refused(status, headers(), "blob", needed=10)
    assert isinstance(error, TrustkitError)
    assert error.code in {"not-found", "store-refused", "store-redirects", "bad-range", "store-failed"}
    assert (error.code == "store-redirects") == (300 <= status < 400)


@pytest.mark.parametrize("said", ["bytes */9", " bytes */9 "])
def test_a_blob_that_is_shorter_is_truncated(said):
    assert refused(416, headers(("Content-Range", said)), "blob", needed=10).code == "truncated"
    assert refused(416, headers(("Content-Range", said)), "blob", needed=9).code == "bad-range"
    assert refused(416, headers(("Content-Range", said)), "blob").code == "store-failed"
