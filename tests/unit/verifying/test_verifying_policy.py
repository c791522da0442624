"""Policies: exact in what they say, YAML or JSON, and refused wherever they could be read in two ways."""

import base64
import json

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from trustkit.digest import digest_of
from trustkit.errors import FormatError, LimitError, UnavailableError, UsageError
from trustkit.verifying import policy as policies
from trustkit.verifying.policy import ANY_LINE, MAX_AUTHORITIES, MAX_BYTES, parse_policy, policy_from_keys
from trustkit.verifying.strictyaml import MAX_MARKS, check_marks, fault_in, parse_yaml

ABSENT = object()


@pytest.fixture
def document(policy_text):
    """A policy as an object, to be damaged."""
    return json.loads(
        policy_text({"alice": ["author"], "bob": ["publisher"]}, threshold=1, lines=["acme/tiny"])
    )


@pytest.fixture(scope="session")
def parse(no_files):
    def run(value):
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return parse_policy(raw, read_file=no_files)

    return run


@pytest.fixture(scope="session")
def refuses(parse):
    def expect(value, code="bad-policy"):
        with pytest.raises(UsageError) as caught:
            parse(value)
        assert caught.value.code == code
        assert caught.value.exit_code == 2
        return caught.value

    return expect


# -- what a policy says --------------------------------------------------------------------------------


def test_a_policy_says_whom_to_believe(people, policy_text, parse):
    raw = policy_text(
        {"alice": ["author"], "bob": ["author", "publisher"]}, threshold=2, lines=["acme/tiny", "acme/big"]
    )
    policy = parse(raw)
    assert (policy.name, policy.threshold, policy.lines) == ("house", 2, ("acme/tiny", "acme/big"))
    assert [a.name for a in policy.acting_as("author")] == ["alice", "bob"]
    assert [a.name for a in policy.acting_as("publisher")] == ["bob"]
    assert policy.authorities[0].public_key.hint == people["alice"].hint
    assert policy.digest == digest_of(raw)


def test_what_a_policy_leaves_out(policy_text, parse):
    policy = parse(policy_text({"alice": ["author"]}))
    assert policy.threshold == 1
    assert policy.lines == ()  # it speaks for no sealed line, and not for all


def test_the_same_policy_in_yaml(people, policy_text, parse):
    pem = "\n".join("        " + line for line in people["alice"].pem.decode().splitlines())
    text = f"""# whom we believe
apiVersion: trustkit.dev/v1alpha1
kind: VerificationPolicy
metadata: {{name: house}}
spec:
  authorities:
  - name: "alice"
    roles: [author]
    key:
      pem: |
{pem}
  threshold: 1
  lines:
  - acme/tiny
"""
    read, other = (
        parse(text.encode()),
        parse(policy_text({"alice": ["author"]}, threshold=1, lines=["acme/tiny"])),
    )
    assert (read.name, read.lines, read.threshold) == (other.name, other.lines, other.threshold)
    assert [a.public_key.fingerprint for a in read.authorities] == [
        a.public_key.fingerprint for a in other.authorities
    ]
    assert read.digest != other.digest


@pytest.mark.parametrize(
    "word", ["no", "on", "y", "2024-01-01", "0x10", "1_000", "1:30", "010", "1.2.3", "=", ".nan"]
)
def test_words_that_yaml_would_read_as_something_else_are_texts(document, parse, word):
    text = yaml.safe_dump(document).replace("name: house", f"name: {word}")
    assert parse(text.encode()).name == word


def test_a_key_in_a_file_is_read_by_the_caller(people, document):
    asked = []
    document["spec"]["authorities"][0]["key"] = {"file": "keys/alice.pub"}

    def read_file(name):
        asked.append(name)
        return people["alice"].pem

    policy = parse_policy(json.dumps(document).encode(), read_file=read_file)
    assert asked == ["keys/alice.pub"]
    assert policy.authorities[0].public_key.hint == people["alice"].hint


@pytest.mark.parametrize(
    "error", [UsageError("policy-not-self-contained", "no files here"), UnavailableError("unreadable", "no")]
)
def test_what_the_reader_of_files_refuses_is_refused(document, error):
    document["spec"]["authorities"][0]["key"] = {"file": "keys/alice.pub"}

    def read_file(name):
        raise error

    with pytest.raises(type(error)) as caught:
        parse_policy(json.dumps(document).encode(), read_file=read_file)
    assert caught.value is error


def test_a_policy_without_authors_is_a_publishers_policy(policy_text, parse):
    policy = parse(policy_text({"bob": ["publisher"]}))
    assert policy.acting_as("author") == ()
    assert policy.threshold == 1


def test_the_keys_that_a_policy_holds_are_those_of_a_role_or_all(people, policy_text, parse):
    policy = parse(policy_text({"alice": ["author"], "bob": ["publisher"], "carol": ["author", "publisher"]}))
    hints = {name: people[name].hint for name in people}
    assert [key.hint for key in policy.keys_of()] == [hints["alice"], hints["bob"], hints["carol"]]
    assert [key.hint for key in policy.keys_of("author")] == [hints["alice"], hints["carol"]]
    assert [key.hint for key in policy.keys_of("publisher")] == [hints["bob"], hints["carol"]]
    assert policy.signing() == {key.fingerprint for key in policy.keys_of()}


# -- a bare key ----------------------------------------------------------------------------------------


def test_a_bare_key_is_author_and_publisher_of_any_line(people):
    policy = policy_from_keys(people["alice"].pem)
    assert [a.name for a in policy.authorities] == ["key"]
    assert policy.acting_as("author") == policy.acting_as("publisher") == policy.authorities
    assert (policy.threshold, policy.lines) == (1, ANY_LINE)


def test_two_bare_keys_have_a_role_each(people):
    policy = policy_from_keys(people["alice"].pem, people["bob"].pem)
    assert [a.name for a in policy.acting_as("author")] == ["author-key"]
    assert [a.name for a in policy.acting_as("publisher")] == ["publisher-key"]


def test_a_bare_key_given_twice_is_one_authority(people):
    policy = policy_from_keys(people["alice"].pem, people["alice"].pem.replace(b"\n", b"\r\n"))
    assert [a.name for a in policy.authorities] == ["key"]
    assert policy.digest == policy_from_keys(people["alice"].pem).digest


def test_bare_keys_are_recorded_by_what_they_are(people):
    alice, bob = people["alice"].pem, people["bob"].pem
    digests = {
        policy_from_keys(alice).digest,
        policy_from_keys(bob).digest,
        policy_from_keys(alice, bob).digest,
    }
    digests.add(policy_from_keys(bob, alice).digest)
    assert len(digests) == 4


def test_a_bare_key_must_be_public(people):
    with pytest.raises(UsageError) as caught:
        policy_from_keys(b"no key")
    assert caught.value.code == "bad-public-key"
    with pytest.raises(UsageError) as caught:
        policy_from_keys(people["alice"].pem, b"no key")
    assert "publisher" in caught.value.message


# -- mutations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("apiVersion", ABSENT),
        ("apiVersion", None),
        ("apiVersion", "trustkit.dev/v1"),
        ("kind", ABSENT),
        ("kind", "Policy"),
        ("kind", "verificationpolicy"),
        ("extra", 1),
        ("metadata", ABSENT),
        ("metadata", None),
        ("metadata", []),
        ("metadata.name", ABSENT),
        ("metadata.name", None),
        ("metadata.name", ""),
        ("metadata.name", 5),
        ("metadata.name", "a\nb"),
        ("metadata.name", "a\u202eb"),
        ("metadata.name", "x" * 254),
        ("metadata.labels", {}),
        ("spec", ABSENT),
        ("spec", None),
        ("spec", []),
        ("spec.thresholds", 2),  # a misspelt restriction
        ("spec.threshold", None),
        ("spec.threshold", 0),
        ("spec.threshold", -1),
        ("spec.threshold", 2),  # more than there are authors
        ("spec.threshold", 2**63),
        ("spec.threshold", 10**30),
        ("spec.threshold", 1.0),
        ("spec.threshold", True),
        ("spec.threshold", "1"),
        ("spec.threshold", [1]),
        ("spec.lines", None),
        ("spec.lines", "acme/tiny"),
        ("spec.lines", {}),
        ("spec.lines", [None]),
        ("spec.lines", [1]),
        ("spec.lines", [""]),
        ("spec.lines", ["*"]),
        ("spec.lines", ["acme/*"]),
        ("spec.lines", ["Acme/tiny"]),
        ("spec.lines", ["acme//tiny"]),
        ("spec.lines", ["acme/../tiny"]),
        ("spec.lines", ["/acme"]),
        ("spec.lines", ["acme/"]),
        ("spec.lines", [" acme"]),
        ("spec.lines", ["acme\n"]),
        ("spec.lines", ["x" * 256]),
        ("spec.lines", ["acme/tiny", "acme/tiny"]),
        ("spec.authorities", ABSENT),
        ("spec.authorities", None),
        ("spec.authorities", {}),
        ("spec.authorities", []),
        ("spec.authorities", [None]),
        ("spec.authorities", ["alice"]),
        ("spec.authorities.0.name", ABSENT),
        ("spec.authorities.0.name", ""),
        ("spec.authorities.0.name", 1),
        ("spec.authorities.0.name", "a\x00b"),
        ("spec.authorities.0.name", "bob"),  # two of one name
        ("spec.authorities.0.roles", ABSENT),
        ("spec.authorities.0.roles", None),
        ("spec.authorities.0.roles", []),
        ("spec.authorities.0.roles", "author"),
        ("spec.authorities.0.roles", ["Author"]),
        ("spec.authorities.0.roles", ["author", "admin"]),
        ("spec.authorities.0.roles", ["author", "author"]),
        ("spec.authorities.0.roles", ["author", None]),
        ("spec.authorities.0.key", ABSENT),
        ("spec.authorities.0.key", None),
        ("spec.authorities.0.key", {}),
        ("spec.authorities.0.key.pem", None),
        ("spec.authorities.0.key.pem", 1),
        ("spec.authorities.0.key.file", "alice.pub"),  # both
        ("spec.authorities.0.key.url", "https://x"),
        ("spec.authorities.0.identity", "x"),
    ],
)
def test_a_damaged_policy_is_refused(document, refuses, path, value):
    *folders, last = path.split(".")
    place = document
    for folder in folders:
        place = place[int(folder) if folder.isdigit() else folder]
    if value is ABSENT:
        del place[last]
    else:
        place[last] = value
    error = refuses(document)
    assert error.message.startswith("the policy is not valid: ")


@pytest.mark.parametrize(
    ("pem", "code"),
    [
        ("", "bad-public-key"),
        ("no key", "bad-public-key"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private-key-given"),
    ],
)
def test_a_bad_key_is_named_by_its_place(document, refuses, pem, code):
    document["spec"]["authorities"][1]["key"]["pem"] = pem
    assert "spec.authorities[1].key" in refuses(document, code).message


def test_one_key_is_one_authority_however_it_is_spelled(people, document, refuses):
    """A threshold of two must not be met by one key under two names (sigstore-go #633)."""
    key = people["alice"].key.public_key()
    point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    der = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point
    compressed = f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"
    authorities = document["spec"]["authorities"]
    for spelling in (
        compressed,
        people["alice"].pem.decode(),
        people["alice"].pem.decode().replace("\n", "\r\n"),
    ):
        authorities[1] = {"name": "alice again", "roles": ["author"], "key": {"pem": spelling}}
        document["spec"]["threshold"] = 2
        assert "same key" in refuses(document).message


def test_the_number_of_authorities_is_capped(document, refuses):
    document["spec"]["authorities"] = [document["spec"]["authorities"][0]] * (MAX_AUTHORITIES + 1)
    assert str(MAX_AUTHORITIES) in refuses(document).message


def test_a_name_has_at_most_253_characters(document, parse, refuses):
    document["metadata"]["name"] = "n" * 253
    assert parse(document).name == "n" * 253
    document["metadata"]["name"] = "n" * 254
    refuses(document)


def test_as_many_authorities_as_the_cap(policy_text, parse, monkeypatch):
    monkeypatch.setattr(policies, "MAX_AUTHORITIES", 2)
    two = {"alice": ["author"], "bob": ["publisher"]}
    assert len(parse(policy_text(two)).authorities) == 2
    with pytest.raises(UsageError, match="needs 1 to 2 entries"):
        parse(policy_text({**two, "carol": ["author"]}))


def test_keys_do_not_count_as_certificates(policy_text, parse, monkeypatch):
    monkeypatch.setattr(policies, "MAX_CERTIFICATE_AUTHORITIES", 0)
    assert len(parse(policy_text({"alice": ["author"], "bob": ["publisher"]})).authorities) == 2


def test_the_threshold_may_be_the_number_of_authors(people, policy_text, parse, refuses):
    everybody = {name: ["author"] for name in people}
    assert parse(policy_text(everybody, threshold=4)).threshold == 4
    refuses(policy_text(everybody, threshold=5))
    refuses(policy_text({**everybody, "bob": ["publisher"]}, threshold=4))


# -- YAML ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def bomb():
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for above, here in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{here}: &{here} [{', '.join([f'*{above}'] * 9)}]")
    return "\n".join(lines).encode()


def test_a_bomb_of_aliases_is_refused_before_it_grows(bomb, refuses):
    assert "aliases" in refuses(bomb).message


@pytest.mark.parametrize("text", [b"", b"# nothing", b"null", b"[]", b"text", b"1"])
def test_a_policy_is_an_object(text, refuses):
    assert "policy must be an object" in refuses(text).message


@pytest.mark.parametrize(
    "text",
    [
        b"a: b: c",
        b"a: [",
        b"\t- x",
        b"a: 1\n---\nb: 2",  # two documents
        b"a: 1\n...\nb",
        b"{a: 1, a: 2}",
        b"{a: 1, 'a': 2}",
        b'{a: 1, "\\u0061": 2}',
        b"{1: x}",
        b"{null: x}",
        b"{true: x}",
        b"{[a]: x}",
        b"{{a: b}: x}",
        b"? [a]\n: b",
        b"? a\n? a",
        b"a: &x 1",
        b"a: &x 1\nb: *x",
        b"a: *x",
        b"a: !!int 1",
        b'a: !!int ""',
        b"a: !!bool x",
        b"a: !!str x",
        b"a: ! x",
        b"a: !x y",
        b"a: !!binary QUJD",
        b"a: !!set {x}",
        b"a: !!timestamp 2024-01-01",
        b"a: !!python/object/apply:os.system [id]",
        b"!!map {a: 1}",
        b"!!str a: 1",
        b"%TAG ! tag:yaml.org,2002:\n---\na: !int 1",
        b"%YAML 3.0\n---\na: 1",
        b'a: "\\ud800"',
        b'"\\ud800": a',
        b'a: "\\x"',
        b"a: 1e999",
        b"a: -1e999",
        b"a: " + b"9" * 5000,
        b"a: " + b"[" * 10_000,
        b"a: " + b"{b: " * 10_000,
        b"- " * 10_000,
        b"a: \x00",
        b"a: \x07",
        b"a: \xff",
        b"a: \xed\xa0\x80",
        "a: 1".encode("utf-16"),
        "a: 1".encode("utf-32"),
    ],
)
def test_what_is_not_one_plain_document_is_refused_by_the_loader(text, refuses):
    assert "not a document that is read here" in refuses(text).message


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"name: house", b"name: &x house"),
        (b"name: house", b"name: !!str house"),
        (b"name: house", b"name: ! house"),
        (b"name: house", b"name: house\n  name: house"),
        (b"name: house", b"name: house\n  <<: {}"),
        (b"threshold: 1", b"threshold: 0x1"),
        (b"threshold: 1", b"threshold: 0b1"),
        (b"threshold: 1", b"threshold: 01"),
        (b"threshold: 1", b"threshold: +1"),
        (b"threshold: 1", b"threshold: 1_"),
        (b"threshold: 1", b"threshold: !!int '1'"),
        (b"threshold: 1", b"threshold: 1e0"),
        (b"threshold: 1", b"threshold: yes"),
    ],
)
def test_a_sound_policy_is_refused_for_one_odd_spelling(document, parse, refuses, before, after):
    text = yaml.safe_dump(document).encode()
    assert parse(text).threshold == 1
    assert before in text
    refuses(text.replace(before, after))


def test_a_fault_is_placed_by_its_line(policy_text, refuses):
    text = yaml.safe_dump(json.loads(policy_text({"alice": ["author"]}))).replace(
        "kind:", "apiVersion: x\nkind:"
    )
    assert (
        "in line 2, column 1: a key that is there already, in line 1; leave one out"
        in refuses(text.encode()).message
    )


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"a: b: c", " in line 1, column 5: mapping values are not allowed here"),
        (b"a:\n\t- b", " in line 2, column 1: found character '\\t' that cannot start any token"),
        (
            b"- a\nb: c",
            " in line 2, column 1: expected <block end>, but found '?' (of what begins in line 1)",
        ),
        (
            b"a: [1,\nb: 2\n",
            " in line 3, column 1: expected ',' or ']', but got '<stream end>' (of what begins in line 1)",
        ),
        (b"a: 'b\n", " in line 2, column 1: found unexpected end of stream (of what begins in line 1)"),
        (
            b"a: 1\n---\nb: 2",
            " in line 2, column 1: expected a single document in the stream, but found another",
        ),
        (b"a: 1\nb: \xc3\xbc\xff", " in line 2, column 5: it is not UTF-8"),
        (b"a: 1\nb: \xc3\xbc\x07", " in line 2, column 5: it has a character that YAML does not allow"),
        (b"[" * 10_000, " in line 1, column 65: it nests too deep"),
        (b"- " * 9_000, " in line 1, column 129: it nests too deep"),
        (b"[" * 65 + b"]" * 65, " in line 1, column 65: it nests too deep"),
        (b"a: 1e999", ": a number in it is too large or too long"),
        (b"a: " + b"9" * 5000, ": a number in it is too large or too long"),
        (b'a: "\\ud800"', ": a lone surrogate is no text"),
    ],
)
def test_a_fault_of_syntax_is_placed_and_explained(raw, fault):
    with pytest.raises(FormatError) as caught:
        parse_yaml(raw)
    assert caught.value.message.startswith(f"not a document that is read here{fault}")


def test_what_nests_as_deep_as_json_may_is_read():
    value = parse_yaml(b"[" * 64 + b"]" * 64 + b"\n")
    for _ in range(63):
        [value] = value
    assert value == []


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b'password: "s3cret\\Z"', "found unknown escape character (not shown)"),
        (b'password: "\\xZZ"', "hexadecimal numbers, but found (not shown)"),
        (b"%TAG !z! tag:x:\n---\npassword: !ZZ!Z 1", "found undefined tag handle (not shown)"),
        (b"%TAG !Z! tag:x:\n%TAG !Z! tag:y:\n---\na: 1", "duplicate tag handle (not shown)"),
        (b"password: |Z", "indicators, but found (not shown)"),
    ],
)
def test_a_fault_quotes_nothing_of_a_document_but_marks(raw, fault):
    """A document may hold secrets, and the library quotes what it stumbles over."""
    with pytest.raises(FormatError) as caught:
        parse_yaml(raw)
    assert caught.value.message.endswith(fault)
    assert "Z" not in caught.value.message


def test_a_character_that_only_another_parser_refuses_has_no_place():
    error = yaml.reader.ReaderError("a file", 3, 7, "?", "some reason")
    assert str(fault_in(b"a: b", error)) == ": it has a character that YAML does not allow"


def test_a_policy_is_capped_before_it_is_read(policy_text, parse, refuses):
    raw = policy_text({"alice": ["author"]})
    assert parse(raw + b"#" * (MAX_BYTES - len(raw))).name == "house"
    assert "larger" in refuses(raw + b"#" * (MAX_BYTES - len(raw) + 1)).message


@pytest.mark.parametrize(
    "mark", ["\n", "\r\n", "\x85", "\u2028", "\u2029", "- a\n", "[],", "a: b\n", "{}", "? ", "[[", ",:"]
)
def test_lines_and_marks_of_structure_are_capped_before_yaml_is_read(mark):
    """A mebibyte of list items would be read for half a minute."""
    raw = mark.encode()
    with pytest.raises(LimitError) as caught:
        parse_yaml(raw * (MAX_MARKS + 1))
    assert (caught.value.code, caught.value.evidence) == ("too-many-values", {"limit": MAX_MARKS})


def test_as_many_marks_as_the_cap_are_read():
    assert parse_yaml(b"\n" * (MAX_MARKS - 1) + b"a: 1") == {"a": 1}


def test_a_policy_with_too_many_marks_is_not_valid(policy_text, refuses):
    assert "split" in refuses(policy_text({"alice": ["author"]}) + b"\n" * MAX_MARKS).message


def test_a_thousand_authorities_fit(people):
    """The largest policy there may be, with the longest keys, as it is usually written."""
    pem = people["alice"].pem.decode().splitlines()
    entry = [
        "- name: a",
        "  roles: [author, publisher]",
        "  key:",
        "    pem: |",
        *(f"      {line}" for line in pem),
        "",
    ]
    check_marks("\n".join(entry * MAX_AUTHORITIES).encode(), "policy")


def test_a_policy_may_start_with_a_mark_and_hold_any_script(document, parse):
    document["metadata"]["name"] = "Hausordnung für 模型"
    text = yaml.safe_dump(document, allow_unicode=True)
    assert parse(b"\xef\xbb\xbf" + text.encode()).name == "Hausordnung für 模型"


def test_a_curve_of_others_is_refused_in_a_policy(document, refuses):
    key = ec.generate_private_key(ec.SECP256K1()).public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    document["spec"]["authorities"][0]["key"]["pem"] = pem.decode()
    refuses(document, "unsupported-key")


def test_a_threshold_beyond_the_authors_says_where_they_are_listed(policy_text, no_files):
    text = policy_text({"alice": ["author"], "bob": ["publisher"]}, threshold=2)
    with pytest.raises(UsageError, match=r"can have \(1\); list each of them .*, with roles: \[author\]"):
        parse_policy(text, read_file=no_files)
