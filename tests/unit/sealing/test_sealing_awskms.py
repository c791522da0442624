"""A key in AWS KMS as a recipient: bound by encryption context, named by its ARN, believed where checked."""

import dataclasses
import json
import re
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from trustkit.digest import digest_of
from trustkit.errors import (
    DeniedError,
    FormatError,
    LimitError,
    SealError,
    TrustkitError,
    UnavailableError,
    UsageError,
)
from trustkit.sealing.awskms import KmsDestroyer, KmsKey, KmsOpener, KmsRecipient, parse_key, refusal
from trustkit.sealing.awskms_client import KmsClient
from trustkit.sealing.descriptor import WrapContext
from trustkit.sealing.keys import Dek, commitment
from trustkit.sealing.parties import MAX_WRAPPED, Deletion
from trustkit.sealing.recipients import (
    generate_opener,
    opener_from_pem,
    recipient_from_pem,
    recipients_of,
    rewrap_document,
    unwrap_document,
    wrap_document,
)
from trustkit.sealing.wraps import wraps_to_bytes

ARN = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
KEY = KmsKey(ARN, "eu-west-1")
SECRET = bytes(range(32))
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
INFO = CONTEXT.to_bytes()
OTHERS = [
    dataclasses.replace(CONTEXT, line="acme/other"),
    dataclasses.replace(CONTEXT, version=4),
    dataclasses.replace(CONTEXT, dek_id="f" * 32),
    dataclasses.replace(CONTEXT, publisher_key=digest_of(b"another")),
    dataclasses.replace(CONTEXT, manifest_digest=digest_of(b"another")),
    dataclasses.replace(CONTEXT, key_commitment=digest_of(b"another")),
]


class Service:
    """Answers as it is told, in order, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def __call__(self, operation, parameters):
        self.asked.append((operation, dict(parameters)))
        answer = self.answers.pop(0)
        if isinstance(answer, TrustkitError):
            raise answer
        return answer


def dressed(wrapped, arn):
    """Make a document of one wrapped key, whatever is in it."""
    return wraps_to_bytes(DEK_ID, {("awskms", digest_of(arn.encode())): wrapped})


def refused(kind, code, call):
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.code == code
    return caught.value


# Names


@pytest.mark.parametrize(
    ("name", "region", "endpoint"),
    [
        (f"awskms:///{ARN}", "eu-west-1", None),
        (f"awskms://vpce-1a.kms.eu-west-1.vpce.amazonaws.com/{ARN}", "eu-west-1", "vpce-1a.kms.eu-west-1"),
        (f"awskms://127.0.0.1:4566/{ARN}", "eu-west-1", "127.0.0.1:4566"),
        (
            f"awskms:///{ARN.replace('aws:', 'aws-cn:').replace('eu-west-1', 'cn-north-1')}",
            "cn-north-1",
            None,
        ),
        (f"awskms:///{ARN.replace('eu-west-1', 'us-gov-east-1')}", "us-gov-east-1", None),
        (f"awskms:///{ARN.rpartition('/')[0]}/mrk-{'1a' * 16}", "eu-west-1", None),
    ],
)
def test_a_key_is_named_by_its_arn_and_perhaps_an_endpoint(name, region, endpoint):
    key = parse_key(name)
    assert key.region == region
    assert (key.endpoint or "").startswith(endpoint or "")
    assert (key.endpoint is None) == (endpoint is None)
    assert name.endswith("/" + key.arn)
    assert key.key_id == digest_of(key.arn.encode())


@pytest.mark.parametrize(
    "name",
    [
        "",
        ARN,
        "awskms:",
        "awskms:///",
        f"awskms:{ARN}",
        f"awskms://{ARN}",
        f"awskms:/{ARN}",
        f"AWSKMS:///{ARN}",
        f"gcpkms:///{ARN}",
        "awskms:///alias/models",
        f"awskms:///{ARN.replace('key/', 'alias/')}",
        f"awskms:///{ARN.rpartition('/')[2]}",
        f"awskms:///{ARN}/",
        f"awskms:///{ARN}?region=us-east-1",
        f"awskms:///{ARN}\n",
        f"awskms:///{ARN.upper()}",
        f"awskms:///{ARN.replace('kms', 's3')}",
        f"awskms:///{ARN.replace('aws:', 'aws-iso:')}",
        f"awskms:///{ARN.replace('aws:', 'aws-other:')}",
        f"awskms:///{ARN.replace('eu-west', 'eu-' + 'w' * 17)}",
        f"awskms:///{ARN.replace('eu-west-1', '')}",
        f"awskms:///{ARN.replace('eu-west-1', 'evil.example/')}",
        f"awskms:///{ARN.replace('111122223333', '1')}",
        f"awskms://http://host/{ARN}",
        f"awskms://user@host/{ARN}",
        f"awskms://host:0/{ARN}",
        f"awskms://host:65536/{ARN}",
        f"awskms://host:/{ARN}",
        f"awskms://HOST/{ARN}",
        f"awskms://-host/{ARN}",
        f"awskms://host/path/{ARN}",
        f"awskms://[::1]/{ARN}",
    ],
)
def test_whatever_is_no_arn_of_a_key_is_refused(name):
    error = refused(UsageError, "bad-kms-key", lambda: parse_key(name))
    assert "describe-key" in error.message or "is not known here" in error.message


# Both sides against the service


@pytest.fixture
def connect(kms):
    """Return a key of the service with a client of its own."""

    def connect(arn):
        key = parse_key(kms.name(arn))
        return key, KmsClient(key, monotonic=lambda: 0.0)

    return connect


@pytest.fixture
def ours(kms):
    return kms.create_key()


def test_what_is_wrapped_is_unwrapped_in_its_context_and_in_no_other(kms, ours, connect):
    recipient, opener = KmsRecipient(*connect(ours)), KmsOpener(*connect(ours))
    wrapped = recipient.wrap(dek(), INFO)
    assert SECRET not in wrapped
    opened = opener.unwrap(wrapped, INFO)
    assert isinstance(opened, bytearray)
    assert opened == SECRET
    for other in OTHERS:
        refused(SealError, "wrong-context", lambda o=other: opener.unwrap(wrapped, o.to_bytes()))


def test_the_service_is_told_every_member_of_the_context(kms, ours, connect):
    wrapped = KmsRecipient(*connect(ours)).wrap(dek(), INFO)
    KmsOpener(*connect(ours)).unwrap(wrapped, INFO)
    expected = {name: str(value) for name, value in json.loads(INFO).items()}
    assert set(expected) == {
        *("format", "line", "version", "dek_id"),
        *("publisher_key", "manifest_digest", "key_commitment"),
    }
    assert [operation for operation, _, _ in kms.requests] == ["Encrypt", "Decrypt"]
    for _, parameters, _ in kms.requests:
        assert parameters["EncryptionContext"] == expected
        assert parameters["KeyId"] == ours
        assert parameters["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"


def test_another_key_and_every_flipped_byte_open_nothing(kms, ours, connect):
    wrapped = KmsRecipient(*connect(ours)).wrap(dek(), INFO)
    other, opener = KmsOpener(*connect(kms.create_key())), KmsOpener(*connect(ours))
    refused(SealError, "wrong-context", lambda: other.unwrap(wrapped, INFO))
    for place in range(36, len(wrapped), 10):  # before that stands the ID of moto's key
        spoiled = wrapped[:place] + bytes([wrapped[place] ^ 1]) + wrapped[place + 1 :]
        refused(SealError, "wrong-context", lambda raw=spoiled: opener.unwrap(raw, INFO))
    refused(SealError, "wrong-context", lambda: opener.unwrap(b"\0", INFO))


def test_one_document_for_a_service_and_a_key_pair(kms, ours, connect):
    private, public = generate_opener("x25519", passphrase=None)
    pair, opener = recipient_from_pem(public), opener_from_pem(private, passphrase=None)
    document = wrap_document(dek(), CONTEXT, [KmsRecipient(*connect(ours)), pair])
    assert ("awskms", digest_of(ours.encode())) in recipients_of(document)
    for one in (KmsOpener(*connect(ours)), opener):
        with unwrap_document(document, CONTEXT, [one]) as found:
            assert found.key == SECRET
    refused(SealError, "wrong-context", lambda: unwrap_document(document, OTHERS[2], [opener]))
    # The service is the last who may open; a document of it alone is no document that nobody opens.
    left = rewrap_document(document, CONTEXT, dek(), add=(), remove=[pair.key_id])
    assert recipients_of(left) == (("awskms", digest_of(ours.encode())),)


@pytest.mark.parametrize(
    "said", ["NotFoundException", "InvalidKeyUsageException", "AccessDeniedException", "ThrottlingException"]
)
def test_whatever_a_service_says_the_next_opener_is_asked(said):
    private, public = generate_opener("x25519", passphrase=None)
    pair, opener = recipient_from_pem(public), opener_from_pem(private, passphrase=None)
    theirs = KmsRecipient(KEY, Service({"KeyId": ARN, "CiphertextBlob": b"x"}))
    document, answer = wrap_document(dek(), CONTEXT, [theirs, pair]), refusal(said, KEY)
    with unwrap_document(document, CONTEXT, [KmsOpener(KEY, Service(answer)), opener]) as found:
        assert found.key == SECRET


UNASKED, UNANSWERED = refusal("NotFoundException", KEY), refusal("ThrottlingException", KEY)
REFUSED = refusal("AccessDeniedException", KEY)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([REFUSED, UNASKED], UNASKED),
        ([UNASKED, REFUSED], UNASKED),
        ([UNASKED, UNANSWERED], UNANSWERED),
        ([UNANSWERED, UNASKED], UNANSWERED),
        ([UNANSWERED, REFUSED], UNANSWERED),
        ([REFUSED], REFUSED),
        ([UNASKED], UNASKED),
    ],
)
def test_where_none_opens_what_was_not_told_outranks_a_no(answers, expected):
    keys = [KmsKey(f"{ARN[:-1]}{number}", "eu-west-1") for number in range(len(answers))]
    wrapped = {("awskms", key.key_id): b"x" for key in keys}
    openers = [KmsOpener(key, Service(answer)) for key, answer in zip(keys, answers, strict=True)]
    with pytest.raises(type(expected)) as caught:
        unwrap_document(wraps_to_bytes(DEK_ID, wrapped), CONTEXT, openers)
    assert caught.value is expected


def test_a_wrapped_key_of_another_publisher_opens_nothing_in_a_descriptor_of_ones_own(kms, ours, connect):
    """The service authenticates the publisher, so a stolen wrap dressed anew stays shut."""
    document = wrap_document(dek(), CONTEXT, [KmsRecipient(*connect(ours))])
    own = dataclasses.replace(CONTEXT, publisher_key=digest_of(b"thief"))
    refused(SealError, "wrong-context", lambda: unwrap_document(document, own, [KmsOpener(*connect(ours))]))


def test_a_key_that_was_never_ours_is_refused_by_the_commitment(kms, ours, connect):
    """Whoever may encrypt could wrap another key in this very context."""
    document = dressed(KmsRecipient(*connect(ours)).wrap(dek(bytes(32)), INFO), ours)
    opener = KmsOpener(*connect(ours))
    refused(SealError, "key-commitment-mismatch", lambda: unwrap_document(document, CONTEXT, [opener]))


@pytest.mark.parametrize("length", [1, 31, 33])
def test_a_plaintext_that_is_no_data_key_is_refused(ours, connect, length):
    class Odd:
        key = bytes(length)

    document = dressed(KmsRecipient(*connect(ours)).wrap(Odd(), INFO), ours)
    refused(
        SealError, "bad-data-key", lambda: unwrap_document(document, CONTEXT, [KmsOpener(*connect(ours))])
    )


@pytest.mark.parametrize("state", ["Disabled", "PendingDeletion", "PendingImport"])
def test_a_key_out_of_use_wraps_and_unwraps_nothing(kms, ours, connect, state):
    wrapped = KmsRecipient(*connect(ours)).wrap(dek(), INFO)
    kms.key(ours).key_state = state
    for call in (
        lambda: KmsRecipient(*connect(ours)).wrap(dek(), INFO),
        lambda: KmsOpener(*connect(ours)).unwrap(wrapped, INFO),
    ):
        error = refused(DeniedError, "kms-key-disabled", call)
        assert error.evidence["key"] == ours


def test_a_key_for_something_else_and_a_key_that_is_not_there(kms, connect):
    signing = kms.create_key(key_usage="SIGN_VERIFY", key_spec="ECC_NIST_P256")
    refused(UsageError, "unsupported-kms-key", lambda: KmsRecipient(*connect(signing)).wrap(dek(), INFO))
    absent = signing[:-12] + "0" * 12
    refused(UsageError, "no-such-kms-key", lambda: KmsRecipient(*connect(absent)).wrap(dek(), INFO))


def test_deletion_is_asked_for_once_and_twice_is_once(kms, ours, connect):
    destroyer = KmsDestroyer(*connect(ours), now=time.time)
    first = destroyer.schedule_deletion(7)
    assert (first.kind, first.key_id, first.name) == ("awskms", digest_of(ours.encode()), ours)
    assert first.state == kms.key(ours).key_state == "PendingDeletion"
    date = kms.key(ours).deletion_date.replace(tzinfo=UTC)
    assert first.at == int(date.timestamp())
    assert destroyer.schedule_deletion(30) == first
    assert [(name, asked.get("PendingWindowInDays")) for name, asked, _ in kms.requests] == [
        ("ScheduleKeyDeletion", 7),
        ("ScheduleKeyDeletion", 30),
        ("DescribeKey", None),
    ]


def test_a_key_that_cannot_be_deleted_now_is_no_deleted_key(kms, ours, connect):
    kms.key(ours).key_state = "PendingImport"
    destroyer = KmsDestroyer(*connect(ours), now=time.time)
    refused(DeniedError, "kms-key-disabled", lambda: destroyer.schedule_deletion(7))
    kms.key(ours).key_state = "Enabled"
    assert destroyer.schedule_deletion(7).state == "PendingDeletion"


# Answers that are none


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"KeyId": ARN},
        {"KeyId": ARN, "CiphertextBlob": b""},
        {"KeyId": ARN, "CiphertextBlob": bytes(MAX_WRAPPED + 1)},
        {"KeyId": ARN, "CiphertextBlob": "text"},
        {"KeyId": ARN[:-1] + "c", "CiphertextBlob": b"x"},
        {"KeyId": ARN.rpartition("/")[2], "CiphertextBlob": b"x"},
        {"CiphertextBlob": b"x"},
    ],
)
def test_an_answer_that_wraps_nothing_is_refused(answer):
    recipient = KmsRecipient(KEY, Service(answer))
    refused(UnavailableError, "bad-kms-answer", lambda: recipient.wrap(dek(), INFO))


@pytest.mark.parametrize("length", [1, 184, MAX_WRAPPED])
def test_ciphertext_of_every_possible_length_is_taken_as_it_comes(length):
    recipient = KmsRecipient(KEY, Service({"KeyId": ARN, "CiphertextBlob": bytes(length)}))
    assert recipient.wrap(dek(), INFO) == bytes(length)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"KeyId": ARN},
        {"KeyId": ARN, "Plaintext": "text"},
        {"KeyId": ARN.replace("1111", "2222"), "Plaintext": SECRET},
        {"Plaintext": SECRET},
    ],
)
def test_an_answer_that_unwraps_nothing_is_refused(answer):
    opener = KmsOpener(KEY, Service(answer))
    refused(UnavailableError, "bad-kms-answer", lambda: opener.unwrap(b"x", INFO))


DAY = 86_400
LATER = datetime(2027, 1, 15, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([{"KeyId": ARN, "KeyState": "PendingDeletion", "DeletionDate": LATER}], 1_800_000_000),
        ([{"KeyId": ARN, "KeyState": "PendingReplicaDeletion"}], None),
        ([{"KeyId": ARN, "KeyState": "PendingDeletion"}], "bad-kms-answer"),
        ([{"KeyId": ARN, "KeyState": "PendingDeletion", "DeletionDate": "soon"}], "bad-kms-answer"),
        ([{"KeyId": ARN, "KeyState": "Enabled", "DeletionDate": LATER}], "bad-kms-answer"),
        ([{"KeyId": ARN, "DeletionDate": LATER}], "bad-kms-answer"),
        ([{"KeyId": ARN, "KeyState": 5, "DeletionDate": LATER}], "bad-kms-answer"),
        (
            [{"KeyId": ARN + "c", "KeyState": "PendingDeletion", "DeletionDate": LATER}],
            "bad-kms-answer",
        ),
        (
            [
                refusal("KMSInvalidStateException", KEY),
                {"KeyMetadata": {"Arn": ARN, "KeyState": "PendingDeletion", "DeletionDate": LATER}},
            ],
            1_800_000_000,
        ),
        (
            [
                refusal("KMSInvalidStateException", KEY),
                {"KeyMetadata": {"Arn": ARN + "c", "KeyState": "PendingDeletion", "DeletionDate": LATER}},
            ],
            "bad-kms-answer",
        ),
        ([refusal("KMSInvalidStateException", KEY), {"KeyMetadata": {"Arn": ARN}}], "kms-key-disabled"),
        ([refusal("KMSInvalidStateException", KEY), {"KeyMetadata": "text"}], "kms-key-disabled"),
        ([refusal("AccessDeniedException", KEY)], "kms-denied"),
        ([refusal("ThrottlingException", KEY)], "kms-unavailable"),
    ],
)
def test_what_the_service_says_of_a_deletion(answers, found):
    service = Service(*answers)
    destroyer = KmsDestroyer(KEY, service, now=lambda: 1_800_000_000 - 7 * DAY)
    if isinstance(found, str):
        with pytest.raises(TrustkitError) as caught:
            destroyer.schedule_deletion(7)
        assert caught.value.code == found
    else:
        deletion = destroyer.schedule_deletion(7)
        assert (deletion.name, deletion.key_id, deletion.at) == (ARN, KEY.key_id, found)
        assert isinstance(deletion, Deletion)
    assert service.answers == []


@pytest.mark.parametrize(
    ("date", "days"),
    [
        (LATER, 0),
        (LATER, 31),
        (LATER, -1),
        (LATER, 31.001),
        (LATER, -1.001),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), 7),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), 7),
        (datetime(1, 1, 1), 7),  # noqa: DTZ001 - as a service that is broken gives it
        (datetime.fromtimestamp(1, UTC), 7),
    ],
)
def test_a_date_on_which_no_key_is_deleted_is_no_answer(date, days):
    """At most 31 days ahead; a key stays for up to a day after its date."""
    answer = {"KeyId": ARN, "KeyState": "PendingDeletion", "DeletionDate": date}
    destroyer = KmsDestroyer(KEY, Service(answer), now=lambda: 1_800_000_000 - days * DAY)
    if date == LATER and -1 <= days <= 31:
        assert destroyer.schedule_deletion(7).at == 1_800_000_000
    else:
        error = refused(UnavailableError, "bad-kms-answer", lambda: destroyer.schedule_deletion(7))
        assert "is not known" in error.message


# Refusals


@pytest.mark.parametrize(
    ("said", "kind", "code"),
    [
        ("InvalidCiphertextException", SealError, "wrong-context"),
        ("IncorrectKeyException", SealError, "wrong-context"),
        ("AccessDeniedException", DeniedError, "kms-denied"),
        ("UnrecognizedClientException", DeniedError, "kms-denied"),
        ("ExpiredTokenException", DeniedError, "kms-denied"),
        ("InvalidSignatureException", DeniedError, "kms-denied"),
        ("DisabledException", DeniedError, "kms-key-disabled"),
        ("KMSInvalidStateException", DeniedError, "kms-key-disabled"),
        ("NotFoundException", UsageError, "no-such-kms-key"),
        ("InvalidKeyUsageException", UsageError, "unsupported-kms-key"),
        ("ValidationException", UsageError, "unsupported-kms-key"),
        ("ThrottlingException", UnavailableError, "kms-unavailable"),
        ("KeyUnavailableException", UnavailableError, "kms-unavailable"),
        ("DependencyTimeoutException", UnavailableError, "kms-unavailable"),
        ("KMSInternalException", UnavailableError, "kms-unavailable"),
        ("500", UnavailableError, "kms-unavailable"),
        ("SomethingNewException", UnavailableError, "kms-unavailable"),
    ],
)
def test_each_refusal_of_the_service_has_a_code_and_a_class_of_ours(said, kind, code):
    error = refusal(said, KEY)
    assert type(error) is kind
    assert (error.code, error.evidence["key"]) == (code, ARN)


@pytest.mark.parametrize("said", ["", "x" * 65, "two words", "line\nbreak", "\x1b[31m", "<html>"])
def test_a_code_that_is_none_is_not_repeated(said):
    error = refusal(said, KEY)
    assert (error.code, error.evidence["service_code"]) == ("kms-unavailable", "?")
    assert not said or said not in str(error)


def test_nothing_shows_a_secret():
    for party, more in ((KmsRecipient, {}), (KmsOpener, {}), (KmsDestroyer, {"now": time.time})):
        assert re.fullmatch(rf"<{party.__name__} {ARN}>", repr(party(KEY, Service(), **more)))


@pytest.mark.parametrize(
    ("info", "kind", "code"),
    [(b"what it is for", FormatError, "bad-json"), (b"{" + b" " * 8192 + b"}", LimitError, "too-large")],
)
def test_only_a_context_of_members_can_be_bound(info, kind, code):
    service = Service()
    refused(kind, code, lambda: KmsRecipient(KEY, service).wrap(dek(), info))
    assert service.asked == []


# Several openers, and a service that does not answer


def test_the_next_opener_is_asked_after_a_service_failed_and_not_knowing_outranks_no(kms, ours, connect):
    private, public = generate_opener("x25519", passphrase=None)
    pair, opener = recipient_from_pem(public), opener_from_pem(private, passphrase=None)
    document = wrap_document(dek(), CONTEXT, [KmsRecipient(*connect(ours)), pair])
    key = connect(ours)[0]

    def failing(code):
        return KmsOpener(key, Service(refusal(code, key)))

    for code in ("ThrottlingException", "AccessDeniedException", "InvalidCiphertextException"):
        with unwrap_document(document, CONTEXT, [failing(code), opener]) as found:
            assert found.key == SECRET
    denied, late = "AccessDeniedException", "ThrottlingException"
    for kind, code, failures in (
        (DeniedError, "kms-denied", [denied]),
        (UnavailableError, "kms-unavailable", [late, denied]),
        (UnavailableError, "kms-unavailable", [denied, late]),
    ):
        openers = [failing(failure) for failure in failures]
        refused(kind, code, lambda openers=openers: unwrap_document(document, CONTEXT, openers))
