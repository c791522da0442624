"""``trust://`` references: one form, read strictly, written back the same."""

import pytest

from trustkit.artifact.reference import MAX_LENGTH, parse_reference
from trustkit.digest import Digest
from trustkit.errors import UsageError

PIN = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "host", "path", "tag", "pinned"),
    [
        (f"trust://store:8443/acme/tiny-llm@{PIN}", "store:8443", "acme/tiny-llm", None, True),
        ("trust://store/m", "store", "m", None, False),
        ("trust://store/m:v1", "store", "m", "v1", False),
        (f"trust://a.b-c.d1/x_y/Z.9:latest@{PIN}", "a.b-c.d1", "x_y/Z.9", "latest", True),
        ("trust://127.0.0.1:1/m", "127.0.0.1:1", "m", None, False),
        ("trust://h:65535/_", "h:65535", "_", None, False),
    ],
)
def test_parsed_and_written_back(text, host, path, tag, pinned):
    reference = parse_reference(text)
    assert (reference.host, reference.path, reference.tag, reference.pinned) == (host, path, tag, pinned)
    assert str(reference) == text
    assert reference.digest == (Digest("sha256", b"\xab" * 32) if pinned else None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "trust://",
        "trust:///m",
        "trust://store",
        "trust://store/",
        "http://store/m",
        "Trust://store/m",
        " trust://store/m",
        "trust://store/m ",
        "trust://store/m\n",
        "trust://STORE/m",
        "trust://store:0/m",
        "trust://store:65536/m",
        "trust://store:080/m",
        "trust://store:/m",
        "trust://-store/m",
        "trust://store-/m",
        "trust://sto_re/m",
        "trust://store..x/m",
        "trust://store./m",
        "trust://[::1]/m",
        "trust://user@store/m",
        "trust://" + "a" * 64 + "/m",
        "trust://" + ".".join(["a" * 60] * 5) + "/m",
        "trust://store//m",
        "trust://store/m/",
        "trust://store/../m",
        "trust://store/./m",
        "trust://store/.m",
        "trust://store/-m",
        "trust://store/m%2f",
        "trust://store/m?x",
        "trust://store/m#x",
        "trust://store/m\\x",
        "trust://store/é",
        "trust://store/" + "a" * 129,
        "trust://store/m:",
        "trust://store/m:a/b",
        "trust://store/m:a:b",
        "trust://store/m:.",
        "trust://store/m@",
        "trust://store/m@sha256",
        "trust://store/m@" + PIN.upper(),
        "trust://store/m@" + PIN[:-1],
        f"trust://store/m@{PIN}@{PIN}",
        "trust://store/m@blake3:" + "ab" * 32,
        "trust://store/m@blake2b:" + "ab" * 64,
        "trust://store/" + "/".join("m" * MAX_LENGTH),
    ],
)
def test_refused_with_the_form_that_is_accepted(text, refused):
    with refused(UsageError, "bad-reference") as caught:
        parse_reference(text)
    assert "trust://HOST[:PORT]/PATH@sha256:" in caught.value.message
    assert len(caught.value.evidence["reference"]) <= MAX_LENGTH
