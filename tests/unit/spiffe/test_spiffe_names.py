"""SPIFFE IDs: one spelling, compared whole (threats C02, C03)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustkit.errors import FormatError
from trustkit.spiffe.names import MAX_LENGTH, SpiffeID, parse_spiffe_id

GOOD = [
    "spiffe://demo.test/store",
    "spiffe://a/b",
    "spiffe://1.2.3.4/a",
    "spiffe://under_score/a-b/c.d/E_F",
    "spiffe://demo.test/...",
    "spiffe://demo.test/.hidden/..x",
    f"spiffe://{'d' * 255}/a",
    f"spiffe://d/{'p' * (MAX_LENGTH - len('spiffe://d/'))}",
]
BAD = {
    "empty": "",
    "another scheme": "https://demo.test/store",
    "upper-case scheme": "SPIFFE://demo.test/store",
    "upper-case trust domain": "spiffe://Demo.test/store",
    "no trust domain": "spiffe:///store",
    "a trust domain of 256 bytes": f"spiffe://{'d' * 256}/a",
    "2,049 bytes": f"spiffe://d/{'p' * (MAX_LENGTH + 1 - len('spiffe://d/'))}",
    "no path": "spiffe://demo.test",
    "an empty path": "spiffe://demo.test/",
    "two slashes": "spiffe://demo.test//store",
    "a slash at the end": "spiffe://demo.test/store/",
    "a dot": "spiffe://demo.test/./store",
    "dot-dot": "spiffe://demo.test/a/../store",
    "dot-dot at the end": "spiffe://demo.test/a/..",
    "a port": "spiffe://demo.test:443/store",
    "userinfo": "spiffe://me@demo.test/store",
    "a query": "spiffe://demo.test/store?x",
    "a fragment": "spiffe://demo.test/store#x",
    "an escape": "spiffe://demo.test/st%6fre",
    "not ASCII": "spiffe://demo.test/störe",
    "a trust domain that is not ASCII": "spiffe://dëmo.test/store",
    "a line end": "spiffe://demo.test/store\n",
    "a line end after the domain": "spiffe://demo.test\n/store",
    "a blank": " spiffe://demo.test/store",
    "NUL": "spiffe://demo.test/store\0",
    "a lone surrogate": "spiffe://demo.test/\ud800",
    "digits that are not ASCII": "spiffe://demo.test/\N{ARABIC-INDIC DIGIT ONE}",
}


@pytest.mark.parametrize("text", GOOD)
def test_a_good_id_is_read_and_written_the_same(text):
    assert str(parse_spiffe_id(text)) == text


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_a_bad_id_is_refused(text):
    with pytest.raises(FormatError) as caught:
        parse_spiffe_id(text)
    assert caught.value.code == "bad-spiffe-id"


def test_a_trust_domain_alone_is_read_where_it_is_asked_for():
    assert parse_spiffe_id("spiffe://demo.test", allow_trust_domain=True) == SpiffeID("demo.test", "")
    for text in ("spiffe://demo.test/", "spiffe://"):
        with pytest.raises(FormatError):
            parse_spiffe_id(text, allow_trust_domain=True)


@pytest.mark.parametrize(
    ("domain", "path"),
    [("Demo", "/a"), ("demo", "a"), ("demo", "/"), ("demo", "/a/"), ("", "/a"), ("a/b", "")],
)
def test_no_bad_id_can_be_built(domain, path):
    with pytest.raises(FormatError) as caught:
        SpiffeID(domain, path)
    assert caught.value.code == "bad-spiffe-id"


def test_an_id_of_2_049_bytes_cannot_be_built():
    assert SpiffeID("d", "/" + "p" * (MAX_LENGTH - len("spiffe://d/")))
    with pytest.raises(FormatError):
        SpiffeID("d", "/" + "p" * (MAX_LENGTH + 1 - len("spiffe://d/")))


def test_a_whole_domain_covers_its_members_and_an_id_covers_itself_alone():
    domain, store, other = (
        SpiffeID("demo.test", ""),
        SpiffeID("demo.test", "/store"),
        SpiffeID("demo.tes", "/store"),
    )
    assert domain.covers(store)
    assert store.covers(store)
    assert not store.covers(domain)
    assert not store.covers(SpiffeID("demo.test", "/store/x"))
    assert not domain.covers(other)


def test_ids_are_ordered_and_hashable():
    ids = {SpiffeID("b", "/a"), SpiffeID("a", "/b"), SpiffeID("a", "/a"), SpiffeID("a", "/a")}
    assert [str(one) for one in sorted(ids)] == ["spiffe://a/a", "spiffe://a/b", "spiffe://b/a"]


@given(st.text(max_size=80) | st.text("spiffe:/.-_aZ09%@?#", max_size=40).map("spiffe://".__add__))
def test_whatever_is_read_is_written_the_same_and_the_rest_is_one_error(text):
    try:
        found = str(parse_spiffe_id(text, allow_trust_domain=True))
    except FormatError as error:
        found = error.code
    assert found in {text, "bad-spiffe-id"}
    assert text.isascii() or found != text
