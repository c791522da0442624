"""Members of an untrusted object: asked for by name and exact type, and none left over."""

import pytest

from trustkit.errors import FormatError
from trustkit.strictjson import Fields


def code_of(act, *arguments):
    with pytest.raises(FormatError) as caught:
        act(*arguments)
    return caught.value.code, caught.value.evidence["field"]


@pytest.fixture
def fields():
    return Fields({"n": 1, "s": "x", "b": True, "f": 1.5, "o": {}, "a": [], "z": None}, "thing")


@pytest.mark.parametrize(
    ("name", "kind"), [("n", int), ("s", str), ("b", bool), ("f", float), ("o", dict), ("a", list)]
)
def test_members_of_the_right_type(fields, name, kind):
    assert type(fields.take(name, kind)) is kind
    assert fields.maybe(name, kind) == fields.raw(name)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("b", int, "a whole number"),
        ("n", bool, "true or false"),
        ("n", float, "a number with a fraction"),
        ("f", int, "a whole number"),
        ("z", str, "a string"),
        ("a", dict, "an object"),
        ("o", list, "an array"),
    ],
)
def test_types_are_exact(fields, name, kind, words):
    assert code_of(fields.take, name, kind) == ("bad-field", f"thing.{name}")
    with pytest.raises(FormatError, match=f"thing.{name} must be {words}"):
        fields.maybe(name, kind)


def test_a_type_without_a_word_is_named_by_python(fields):
    with pytest.raises(FormatError, match="must be bytes"):
        fields.take("s", bytes)


def test_absent_members(fields):
    assert code_of(fields.take, "no", int) == ("missing-field", "thing.no")
    assert fields.maybe("no", int) is None
    assert fields.raw("no") is None
    assert fields.has("n")
    assert not fields.has("no")


def test_what_nobody_asked_for_is_refused():
    fields = Fields({"b": 1, "a": 1, "known": 1}, "thing")
    fields.take("known", int)
    assert code_of(fields.done) == ("unknown-field", "thing.a")
    fields.raw("a")
    fields.maybe("b", int)
    fields.done()


def test_having_looked_is_not_having_read():
    fields = Fields({"a": 1}, "thing")
    assert fields.has("a")
    assert code_of(fields.done) == ("unknown-field", "thing.a")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"publishe": 1}, "thing has an unknown member 'publishe', did you mean 'publisher'?"),
        ({"author": 1, "authors": 1}, "thing has an unknown member 'authors'"),
        ({"publisher": 1, "zebra": 1}, "thing has an unknown member 'zebra'"),
        ({"autho": 1, "publishe": 1}, "thing has an unknown member 'autho', did you mean 'author'?"),
    ],
)
def test_among_known_members_a_misspelt_one_is_named_before_anything_is_missed(document, said):
    with pytest.raises(FormatError) as caught:
        Fields(document, "thing", ("author", "publisher"))
    assert caught.value.message == said
    assert caught.value.code == "unknown-field"


def test_a_known_member_that_nobody_asked_for_is_refused_all_the_same():
    fields = Fields({"author": 1}, "thing", ("author", "publisher"))
    assert code_of(fields.done) == ("unknown-field", "thing.author")
    assert code_of(fields.take, "publisher", int) == ("missing-field", "thing.publisher")


def test_a_long_name_is_cut():
    fields = Fields({"k" * 100_000: 1}, "thing")
    with pytest.raises(FormatError) as caught:
        fields.done()
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("value", [None, 1, "x", [], True])
def test_only_objects_have_members(value):
    assert code_of(Fields, value, "thing") == ("bad-field", "thing")
