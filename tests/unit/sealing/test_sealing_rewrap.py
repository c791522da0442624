"""Other recipients for one key: whoever stays keeps his wrap as it is, and somebody always stays."""

import json

import pytest

from trustkit.digest import digest_of, parse_digest
from trustkit.errors import FormatError, LimitError, SealError, UsageError
from trustkit.sealing.descriptor import WrapContext
from trustkit.sealing.keys import Dek, commitment
from trustkit.sealing.parties import Deletion
from trustkit.sealing.recipients import (
    MAX_RECIPIENTS,
    claims_of,
    generate_opener,
    opener_from_pem,
    recipient_from_pem,
    recipients_of,
    rewrap_document,
    unwrap_document,
    wrap_document,
)
from trustkit.sealing.shredded import MAX_BYTES as RECORD_MAX_BYTES
from trustkit.sealing.shredded import MAX_DELETIONS, Record, parse_record

SECRET = bytes(range(100, 132))
DEK_ID = "0123456789abcdef" * 2


def dek(secret=SECRET):
    return Dek(bytearray(secret))


CONTEXT = WrapContext(
    line="acme/tiny-llm",
    version=3,
    dek_id=DEK_ID,
    publisher_key=digest_of(b"publisher"),
    manifest_digest=digest_of(b"manifest"),
    key_commitment=commitment(dek(), DEK_ID),
)


def pair(kind):
    private, public = generate_opener(kind, passphrase=None)
    return recipient_from_pem(public), opener_from_pem(private, passphrase=None)


ALICE, ALICES = pair("x25519")
BOB, BOBS = pair("p256")
CAROL, CAROLS = pair("x25519")
FUTURE = {"kind": "future-kind", "key": f"sha256:{'7' * 64}", "wrapped": "AAAA"}


@pytest.fixture
def document():
    return wrap_document(dek(), CONTEXT, [ALICE, BOB])


def rewrapped(document, *, add=(), remove=(), key=None, context=CONTEXT):
    return rewrap_document(document, context, key or dek(), add=add, remove=remove)


def entries(document):
    return {entry["key"]: entry for entry in json.loads(document)["recipients"]}


def refusal(kind, *arguments, **options):
    with pytest.raises(kind) as caught:
        rewrapped(*arguments, **options)
    return caught.value.code


def test_one_more(document):
    found = rewrapped(document, add=[CAROL])
    for opener in (ALICES, BOBS, CAROLS):
        with unwrap_document(found, CONTEXT, [opener]) as key:
            assert key.key == SECRET
    assert entries(found).items() > entries(document).items()
    assert recipients_of(found) == tuple(sorted(recipients_of(found)))
    assert claims_of(found) == (DEK_ID, recipients_of(found))


def test_one_less(document):
    found = rewrapped(document, remove=[ALICE.key_id])
    assert recipients_of(found) == ((BOB.kind, BOB.key_id),)
    with pytest.raises(SealError, match="no-matching-opener"):
        unwrap_document(found, CONTEXT, [ALICES])


def test_one_for_another(document):
    found = rewrapped(document, add=[CAROL], remove=[ALICE.key_id, BOB.key_id])
    assert recipients_of(found) == ((CAROL.kind, CAROL.key_id),)


def test_a_new_wrap_for_one_who_is_there(document):
    found = rewrapped(document, add=[ALICE], remove=[ALICE.key_id])
    assert recipients_of(found) == recipients_of(document)
    before, after = entries(document), entries(found)
    assert after[str(ALICE.key_id)] != before[str(ALICE.key_id)]
    assert after[str(BOB.key_id)] == before[str(BOB.key_id)]


def test_kinds_of_tomorrow_are_kept_and_can_be_removed(document):
    parsed = json.loads(document)
    parsed["recipients"].append(FUTURE)
    raw = json.dumps(parsed).encode()
    assert entries(rewrapped(raw, add=[CAROL]))[FUTURE["key"]] == FUTURE
    assert FUTURE["key"] not in entries(rewrapped(raw, remove=[parse_digest(FUTURE["key"])]))


def test_nobody_left_is_refused(document):
    both = [ALICE.key_id, BOB.key_id]
    assert refusal(UsageError, document, remove=both) == "no-recipients"
    parsed = json.loads(document)
    parsed["recipients"].append(FUTURE)  # anybody could have put that there: it opens nothing
    assert refusal(UsageError, json.dumps(parsed).encode(), remove=both) == "no-recipients"


def test_who_is_not_there_cannot_go(document):
    assert refusal(UsageError, document, remove=[CAROL.key_id]) == "not-a-recipient"


@pytest.mark.parametrize("add", [[ALICE], [CAROL, CAROL]])
def test_nobody_is_there_twice(document, add):
    assert refusal(UsageError, document, add=add) == "duplicate-recipient"


def test_too_many(document):
    parsed = json.loads(document)
    parsed["recipients"] += [
        {**FUTURE, "key": str(digest_of(str(number).encode()))} for number in range(MAX_RECIPIENTS - 2)
    ]
    raw = json.dumps(parsed).encode()
    assert refusal(LimitError, raw, add=[CAROL]) == "too-many-recipients"
    assert len(entries(rewrapped(raw, add=[CAROL], remove=[BOB.key_id]))) == MAX_RECIPIENTS


def test_another_key_or_another_document(document):
    assert refusal(SealError, document, add=[CAROL], key=dek(bytes(32))) == "key-commitment-mismatch"
    other = WrapContext(
        line=CONTEXT.line,
        version=CONTEXT.version,
        dek_id="f" * 32,
        publisher_key=CONTEXT.publisher_key,
        manifest_digest=CONTEXT.manifest_digest,
        key_commitment=commitment(dek(), "f" * 32),
    )
    assert refusal(SealError, document, add=[CAROL], context=other) == "wrong-context"
    assert refusal(FormatError, b"{}", add=[CAROL]) == "missing-field"


def recorded(*deletions, at=0, recipients=()):
    digests = digest_of(b"d"), digest_of(b"r")
    return Record(at, *digests, DEK_ID, recipients, deletions).to_bytes()


def test_the_record_of_a_shredding():
    record = json.loads(recorded(at=1_800_000_000, recipients=((ALICE.kind, ALICE.key_id),)))
    assert record == {
        "version": "trustkit.dev/shredded/v1",
        "time": "2027-01-15T08:00:00Z",
        "descriptor": str(digest_of(b"d")),
        "recipients_document": str(digest_of(b"r")),
        "dek_id": DEK_ID,
        "recipients": [{"kind": ALICE.kind, "key": str(ALICE.key_id)}],
        "deletions": [],
    }


SOON = Deletion("awskms", digest_of(b"one"), "arn:one", "PendingDeletion", 1_800_000_000)
SOME_DAY = Deletion("awskms", digest_of(b"two"), "arn:two", "PendingReplicaDeletion", None)


def test_a_record_tells_what_services_will_delete():
    record = recorded(SOON, SOME_DAY)
    assert json.loads(record)["deletions"] == [
        {
            "kind": "awskms",
            "key": str(digest_of(b"one")),
            "name": "arn:one",
            "state": "PendingDeletion",
            "time": "2027-01-15T08:00:00Z",
        },
        {
            "kind": "awskms",
            "key": str(digest_of(b"two")),
            "name": "arn:two",
            "state": "PendingReplicaDeletion",
        },
    ]
    assert parse_record(record).deletions == (SOON, SOME_DAY)
    assert parse_record(recorded()).deletions == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.update(version="trustkit.dev/shredded/v2"),
        lambda record: record.pop("version"),
        lambda record: record.pop("deletions"),
        lambda record: record.update(deletions={}),
        lambda record: record.update(deletions=["one"]),
        lambda record: record["deletions"][0].pop("name"),
        lambda record: record["deletions"][0].update(more=1),
        lambda record: record["deletions"][0].update(key="sha256:00"),
        lambda record: record["deletions"][0].update(time="soon"),
        lambda record: record["deletions"][0].update(time=5),
        lambda record: record["deletions"][0].update(time="2027-1-15T8:0:0Z"),
        lambda record: record["deletions"][0].update(time="0001-01-01T00:00:00Z"),
        lambda record: record["deletions"][0].update(name="n" * 257),
        lambda record: record["deletions"][0].update(kind="k" * 65),
        lambda record: record["deletions"][0].update(state="s" * 65),
        lambda record: record.update(deletions=record["deletions"] * (MAX_DELETIONS + 1)),
        lambda record: record.update(recipients=[{"kind": "k", "key": str(ALICE.key_id)}] * 1001),
        lambda record: record.update(recipients=[{"kind": "k"}]),
        lambda record: record.update(recipients={}),
        lambda record: record.update(dek_id="d" * 65),
        lambda record: record.update(dek_id=5),
        lambda record: record.update(time=0),
        lambda record: record.update(descriptor="d"),
        lambda record: record.pop("recipients_document"),
        lambda record: record.update(more=1),
    ],
)
def test_what_was_not_written_here_is_no_record(change):
    record = json.loads(recorded(SOON))
    change(record)
    with pytest.raises((FormatError, LimitError)):
        parse_record(json.dumps(record).encode())


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"[" * 100_000, b" " * (RECORD_MAX_BYTES + 1)])
def test_what_is_no_document_is_no_record(raw):
    with pytest.raises((FormatError, LimitError)):
        parse_record(raw)


def test_the_largest_record_that_can_be_read_is_written_so_that_it_can_be_read():
    """However small it was without white space and escapes."""
    widest = Deletion("\x01" * 64, digest_of(b"d"), "\x01" * 256, "\U0001f600" * 64, 1_800_000_000)
    record = Record(
        *(1_800_000_000, digest_of(b"d"), digest_of(b"r"), "\x01" * 64),
        ((widest.kind, widest.key_id),) * MAX_DELETIONS,
        (widest,) * MAX_DELETIONS,
    )
    raw = record.to_bytes()
    assert len(raw) <= RECORD_MAX_BYTES
    assert parse_record(raw) == record


def test_the_record_of_shredding_what_did_not_parse():
    digest = digest_of(b"x")
    record = Record(0, digest, digest, None, None)
    assert json.loads(record.to_bytes())["recipients"] is json.loads(record.to_bytes())["dek_id"] is None
    assert parse_record(record.to_bytes()) == record
