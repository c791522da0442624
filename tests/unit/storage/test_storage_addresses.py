"""Addresses in a store: what is one, what it means, and what only looks like one."""

import pytest

from trustkit.errors import UsageError
from trustkit.storage.addresses import Address, is_address, parse_address, path_at


@pytest.mark.parametrize(
    ("text", "address", "name", "told"),
    [
        ("s3://models", Address("s3", "models", "", True), "models", "s3://models/"),
        ("s3://models/", Address("s3", "models", "", True), "models", "s3://models/"),
        ("s3://models/a/b", Address("s3", "models", "a/b", False), "b", "s3://models/a/b"),
        ("s3://models/a/b/", Address("s3", "models", "a/b", True), "b", "s3://models/a/b/"),
        ("gs://models_eu/a/b", Address("gs", "models_eu", "a/b", False), "b", "gs://models_eu/a/b"),
        (
            "gs://models.example.com",
            Address("gs", "models.example.com", "", True),
            "models.example.com",
            "gs://models.example.com/",
        ),
        (
            "s3://models/what?#ever",
            Address("s3", "models", "what?#ever", False),
            "what?#ever",
            "s3://models/what?#ever",
        ),
    ],
)
def test_what_an_address_means(text, address, name, told):
    found = parse_address(text)
    assert (found, found.name, str(found)) == (address, name, told)


def test_the_keys_of_what_lies_there():
    assert parse_address("s3://models").key_of("a/b") == "a/b"
    assert parse_address("s3://models/x/").key_of("a/b") == "x/a/b"
    assert parse_address("s3://models/x").key_of("") == "x"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "gcs://models/a",
            "gs://M/a",
            "gs://_models/a",
            "gs:///a",
            f"gs://{'a' * 223}/a",
            "gs://models/../a",
            "s3://models_eu/a",
            "file:///a",
            "S3://models/a",
            "s3:/models/a",
            "s3://",
            "s3:///a",
            "s3://M/a",
            "s3://models.",
            "s3://a",
        ),
        *("s3://models//a", "s3://models/a//", "s3://models/../a", "s3://models/a\nb", "s3://models/a\\b"),
        *(
            "s3://user:word@models/a",
            "s3://models:80/a",
            f"s3://models/{'a' * 5000}",
            f"s3://models{'/a' * 400}",
        ),
    ],
)
def test_what_is_none(text):
    with pytest.raises(UsageError) as caught:
        parse_address(text)
    assert caught.value.code == "bad-address"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s3://ml/x", "from 3 to 63 characters in its name, and 'ml' has 2"),
        ("gs://ml/x", "from 3 to 63 characters in its name, and 'ml' has 2"),
        (f"s3://{'a' * 64}/x", "has 64"),
        (f"gs://{'a' * 64}/x", "from 3 to 63 characters"),
        (f"gs://{'.'.join(['a' * 60] * 4)}/x", "from 3 to 222 characters"),
        (f"gs://{'a' * 64}.example/x", "at most 63 characters between two dots"),
        ("s3://ML-models/x", "is written in lower case, and 'ML-models' is not"),
        ("gs://ML-models/x", "is written in lower case"),
        ("s3://ml_models/x", "has lower case letters, digits, - and . in its name, and 'ml_models'"),
        ("gs://ml models/x", "digits, -, _ and . in its name, and 'ml models' has something else"),
        ("gs://_models/x", "begins and ends with a letter or a digit, and '_models' does not"),
        ("s3://models-/x", "begins and ends with"),
        ("s3://ml..models/x", "no two dots side by side"),
        ("s3://192.168.5.4/x", "is no IP address"),
        ("s3:///x", "is missing; write s3://BUCKET/FOLDER"),
        ("gs://models:80/x", "without a user or a port; write gs://BUCKET/FOLDER"),
        ("gcs://models/x", "did you mean 'gs://models/x'?"),
        ("s3a://models/x", "did you mean 's3://models/x'?"),
        ("S3://models/x", "did you mean 's3://models/x'?"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(text, said):
    with pytest.raises(UsageError) as caught:
        parse_address(text)
    assert said in caught.value.message


def test_what_may_be_a_password_is_not_shown():
    with pytest.raises(UsageError) as caught:
        parse_address("s3://user:word@models/x")
    assert "word" not in caught.value.message


@pytest.mark.parametrize("name", ["abc", "a-b.c", "a" * 63, "1a1"])
def test_a_bucket_that_follows_the_rules_is_taken(name):
    assert parse_address(f"s3://{name}/x").bucket == parse_address(f"gs://{name}/x").bucket == name
    assert parse_address(f"gs://{'.'.join(['a' * 63] * 3)}/x").key == "x"


@pytest.mark.parametrize(
    ("text", "means"),
    [
        *(
            ("s3://models", True),
            ("S3://models", True),
            ("gs://x", True),
            ("http://x/y", True),
            ("./s3://models", False),
        ),
        *(("", False), ("model", False), ("://x", False), ("a/b://c", False), ("s3:/x", False)),
    ],
)
def test_what_is_meant_as_one(text, means):
    assert is_address(text) is means


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("file:///srv/model", "/srv/model"),
        ("file://localhost/srv/model/", "/srv/model/"),
        ("file:///a%20b%25/%C3%A9%3F%23", "/a b%/é?#"),
        ("file:///\udcff/%FE", "/\udcff/\udcfe"),
        *((text, None) for text in ("/srv/model", "./file:///x", "file:/x", "s3://models/x", "")),
    ],
)
def test_a_path_is_also_an_address(text, path):
    assert path_at(text) == path


@pytest.mark.parametrize(
    "text",
    [
        *("file://", "file://model", "file://other/model", "file://localhost", "file://localhost:80/x"),
        *("file://user@localhost/x", "file:///x?y", "file:///x#y", "file:///%", "file:///%zz", "file:///%2"),
        *("file:///a%2Fb", "file:///a%2fb", "file:///a%00"),
    ],
)
def test_what_is_no_file_of_this_machine(text):
    with pytest.raises(UsageError) as caught:
        path_at(text)
    assert caught.value.code == "bad-address"


@pytest.mark.parametrize(
    "address",
    ["s3a://AKIAKEY:hunter2@bkt/x", "S3://u:hunter2@b/x", "https://u:hunter2@h/x", "s3://u:hunter2@b/x"],
)
def test_a_password_in_any_address_is_not_shown(address):
    with pytest.raises(UsageError) as caught:
        parse_address(address)
    assert "hunter2" not in caught.value.message
