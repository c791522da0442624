"""Envelopes: what is signed, one spelling of each value, caps."""

import pytest

from trustkit.attest.dsse import (
    MAX_SIGNATURE_BYTES,
    MAX_SIGNATURES,
    PAYLOAD_TYPE,
    Envelope,
    Signature,
    decode_base64,
    envelope_to_object,
    pae,
    parse_envelope,
)
from trustkit.errors import FormatError, LimitError


def refused(envelope, kind, code):
    with pytest.raises(kind) as caught:
        parse_envelope(envelope)
    assert caught.value.code == code
    return caught.value


@pytest.mark.parametrize(
    ("payload_type", "payload", "signed"),
    [
        ("application/vnd.in-toto+json", b"{}", b"DSSEv1 28 application/vnd.in-toto+json 2 {}"),
        (
            "http://example.com/HelloWorld",
            b"hello world",
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world",
        ),
        ("é", b"", b"DSSEv1 2 \xc3\xa9 0 "),  # bytes are counted, not characters
        ("", b"\x00\xff", b"DSSEv1 0  2 \x00\xff"),
    ],
)
def test_what_is_signed(payload_type, payload, signed):
    assert pae(payload_type, payload) == signed


def test_an_envelope_survives_writing_and_reading():
    written = Envelope(b"\x00payload\xff", PAYLOAD_TYPE, (Signature(b"one"), Signature(b"two", "key")))
    read = parse_envelope(envelope_to_object(written))
    assert read == Envelope(written.payload, PAYLOAD_TYPE, (Signature(b"one", ""), Signature(b"two", "key")))


@pytest.mark.parametrize("keyid", ["", "anything", None])
def test_a_key_id_may_be_anything_or_null(envelope, keyid):
    envelope["signatures"][0]["keyid"] = keyid
    assert parse_envelope(envelope).signatures == (Signature(b"signature", keyid),)


def test_a_key_id_may_be_absent(envelope):
    del envelope["signatures"][0]["keyid"]
    assert parse_envelope(envelope).signatures == (Signature(b"signature", None),)


@pytest.mark.parametrize("raw", [b"", b"a", b"ab", b"abc", b"abcd", bytes(range(256))])
def test_canonical_base64_is_decoded(raw, b64):
    assert decode_base64(b64(raw), "it") == raw


@pytest.mark.parametrize(
    "text",
    [
        "=",
        "==",
        "====",
        "Q",
        "QQ",
        "QQ=",
        "QUI",
        "QUJD=",
        "QUJD====",
        "QR==",  # the last bits are not zero: a second spelling of QQ==
        "QUJ=",
        "QQ==QUJD",
        "QUJD\n",
        " QUJD",
        "QU JD",
        "QU\r\nJD",
        "Q-_D",
        "QUJÐ",
        "\ud800QUJ",
        "QUJ\x00",
    ],
)
def test_any_other_spelling_is_refused(text):
    with pytest.raises(FormatError) as caught:
        decode_base64(text, "it")
    assert caught.value.code == "bad-base64"
    assert caught.value.evidence == {"field": "it"}


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("payload", None, "bad-field"),
        ("payload", 1, "bad-field"),
        ("payload", "", "empty-payload"),
        ("payload", "QUJD=", "bad-base64"),
        ("payloadType", None, "bad-field"),
        ("payloadType", "application/json", "bad-payload-type"),
        ("payloadType", "application/vnd.in-toto+json ", "bad-payload-type"),
        ("payloadType", "application/vnd.in-tot\u043e+json", "bad-payload-type"),  # a Cyrillic o
        ("signatures", None, "bad-field"),
        ("signatures", {}, "bad-field"),
        ("signatures", [], "no-signatures"),
        ("signatures", [None], "bad-field"),
        ("signatures", ["QUJD"], "bad-field"),
        ("signatures", [{}], "missing-field"),
        ("signatures", [{"sig": None}], "bad-field"),
        ("signatures", [{"sig": ""}], "empty-signature"),
        ("signatures", [{"sig": "QUJD="}], "bad-base64"),
        ("signatures", [{"sig": "QUJD", "keyid": 1}], "bad-field"),
        ("signatures", [{"sig": "QUJD", "cert": ""}], "unknown-field"),
        ("extra", 1, "unknown-field"),
    ],
)
def test_a_damaged_envelope_is_refused(envelope, member, value, code):
    assert refused({**envelope, member: value}, FormatError, code).exit_code == 3


@pytest.mark.parametrize("member", ["payload", "payloadType", "signatures"])
def test_a_missing_member_is_named(envelope, member):
    del envelope[member]
    assert refused(envelope, FormatError, "missing-field").evidence == {"field": f"dsseEnvelope.{member}"}


@pytest.mark.parametrize("value", [None, [], "text", 1])
def test_an_envelope_is_an_object(value):
    refused(value, FormatError, "bad-field")


def test_signatures_are_capped(envelope):
    envelope["signatures"] *= MAX_SIGNATURES
    assert len(parse_envelope(envelope).signatures) == MAX_SIGNATURES
    envelope["signatures"].append(envelope["signatures"][0])
    assert refused(envelope, LimitError, "too-many-signatures").exit_code == 4


def test_the_length_of_a_signature_is_capped(envelope, b64):
    assert MAX_SIGNATURE_BYTES == 4096
    envelope["signatures"][0]["sig"] = b64(b"x" * MAX_SIGNATURE_BYTES)
    assert len(parse_envelope(envelope).signatures[0].sig) == MAX_SIGNATURE_BYTES
    envelope["signatures"][0]["sig"] = b64(b"x" * (MAX_SIGNATURE_BYTES + 1))
    refused(envelope, LimitError, "signature-too-long")
