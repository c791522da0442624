"""Bundles: every writer's form is read, anything else is refused before it costs."""

import copy
import hashlib
import json

import pytest

from trustkit.attest import bundle as bundles
from trustkit.attest.bundle import (
    MAX_CERTIFICATES,
    MAX_ENTRIES,
    MAX_VALUES,
    Bundle,
    CertificateChain,
    PublicKeyHint,
    bundle_to_bytes,
    parse_bundle,
    with_signature,
)
from trustkit.attest.dsse import PAYLOAD_TYPE, Envelope, Signature
from trustkit.errors import FormatError, LimitError

CERTIFICATE = {"rawBytes": "QUJD"}


@pytest.fixture(autouse=True, params=["at once", "payload cut out"])
def way(request, monkeypatch):
    """Small bundles are parsed at once, and of large ones the payload is cut out: to the same end."""
    if request.param == "payload cut out":
        monkeypatch.setattr(bundles, "_LARGE", 0)
    return request.param


@pytest.fixture
def material(bundle):
    """The verification material of the bundle, to be damaged in place."""
    return bundle["verificationMaterial"]


@pytest.fixture
def parse(bundle, to_bytes):
    return lambda: parse_bundle(to_bytes(bundle))


@pytest.fixture
def refuses(parse):
    """Expect the bundle, as it is by now, to be refused with a code."""

    def expect(code, kind=FormatError):
        with pytest.raises(kind) as caught:
            parse()
        assert caught.value.code == code
        return caught.value

    return expect


def test_what_is_written_byte_for_byte():
    envelope = Envelope(b"{}", PAYLOAD_TYPE, (Signature(b"abc"),))
    written = bundle_to_bytes(Bundle(envelope, PublicKeyHint("ab" * 32)))
    assert (
        written.decode()
        == f"""{{
  "dsseEnvelope": {{
    "payload": "e30=",
    "payloadType": "application/vnd.in-toto+json",
    "signatures": [
      {{
        "keyid": "",
        "sig": "YWJj"
      }}
    ]
  }},
  "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
  "verificationMaterial": {{
    "publicKey": {{
      "hint": "{"ab" * 32}"
    }},
    "tlogEntries": []
  }}
}}
"""
    )
    assert parse_bundle(written).envelope.payload == b"{}"


SIGNED = Envelope(b"{}", PAYLOAD_TYPE, (Signature(b"abc"),))


@pytest.mark.parametrize("length", [*range(1, 20), 5000, 5001, 5002])
def test_a_payload_is_written_in_pieces_as_it_would_be_at_once(monkeypatch, b64, length):
    monkeypatch.setattr(bundles, "_TRIPLES", 6)
    payload = bytes(number % 251 for number in range(length))
    envelope = Envelope(payload, PAYLOAD_TYPE, (Signature(b"abc"),))
    empty = bundle_to_bytes(Bundle(Envelope(b"", PAYLOAD_TYPE, envelope.signatures), PublicKeyHint("ab")))
    at_once = empty.replace(b'"payload": ""', f'"payload": "{b64(payload)}"'.encode())
    assert bundle_to_bytes(Bundle(envelope, PublicKeyHint("ab"))) == at_once


def test_a_payload_of_several_pieces_is_read_as_it_was_written():
    envelope = Envelope(b"a payload." * 200_000, PAYLOAD_TYPE, (Signature(b"abc", ""),))
    assert parse_bundle(bundle_to_bytes(Bundle(envelope, PublicKeyHint("ab")))).envelope == envelope


def test_a_certificate_bundle_is_written_leaf_first():
    written = bundle_to_bytes(Bundle(SIGNED, CertificateChain((b"leaf", b"ca"))))
    assert json.loads(written)["verificationMaterial"] == {
        "x509CertificateChain": {"certificates": [{"rawBytes": "bGVhZg=="}, {"rawBytes": "Y2E="}]},
        "tlogEntries": [],
    }
    assert parse_bundle(written).material == CertificateChain((b"leaf", b"ca"))


@pytest.mark.parametrize(
    ("chain", "kind", "code"),
    [
        (CertificateChain((b"der",), keyless=True), FormatError, "unsupported-material"),
        (CertificateChain(()), FormatError, "no-certificates"),
        (CertificateChain((b"",)), FormatError, "bad-material"),
        (CertificateChain((b"der",) * 11), LimitError, "chain-too-long"),
    ],
)
def test_what_would_not_be_read_is_not_written(chain, kind, code):
    with pytest.raises(kind) as caught:
        bundle_to_bytes(Bundle(SIGNED, chain))
    assert caught.value.code == code


@pytest.mark.parametrize("material", [PublicKeyHint("ab" * 32), CertificateChain((b"leaf",))])
def test_a_signature_is_added_at_the_end_and_nothing_else_changes(material):
    before = bundle_to_bytes(Bundle(SIGNED, material))
    after = json.loads(with_signature(before, Signature(b"second")))
    assert after["dsseEnvelope"]["signatures"].pop() == {"keyid": "", "sig": "c2Vjb25k"}
    assert after == json.loads(before)
    two = Envelope(b"{}", PAYLOAD_TYPE, (*SIGNED.signatures, Signature(b"second")))
    assert with_signature(before, Signature(b"second")) == bundle_to_bytes(Bundle(two, material))


def test_what_is_added_to_is_kept_member_by_member(parse, bundle, to_bytes, material, envelope):
    """A null key ID, a hint that an old bundle lacks, entries for another verifier: all stay."""
    envelope["signatures"][0]["keyid"] = None
    material["tlogEntries"] = [{"anything": [1, 2.5, None]}]
    material["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": "QQ=="}]}
    before = copy.deepcopy(bundle)
    after = json.loads(with_signature(to_bytes(bundle), Signature(b"second")))
    assert len(after["dsseEnvelope"]["signatures"]) == 2
    del after["dsseEnvelope"]["signatures"][1]
    assert after == before


def test_a_bundle_has_room_for_thirty_two_signatures():
    raw = bundle_to_bytes(Bundle(SIGNED, PublicKeyHint("ab")))
    for number in range(31):
        raw = with_signature(raw, Signature(b"%d" % number))
    assert len(parse_bundle(raw).envelope.signatures) == 32
    with pytest.raises(LimitError) as caught:
        with_signature(raw, Signature(b"too many"))
    assert caught.value.code == "too-many-signatures"


def test_a_keyless_bundle_takes_no_other_signature(bundle, to_bytes, material):
    del material["publicKey"]
    material["certificate"] = CERTIFICATE
    material["tlogEntries"] = [{}]
    with pytest.raises(FormatError) as caught:
        with_signature(to_bytes(bundle), Signature(b"second"))
    assert caught.value.code == "unsupported-material"


def test_a_key_bundle_of_the_reference(parse):
    read = parse()
    assert read.material == PublicKeyHint("ab" * 32)
    assert (read.log_entries, read.timestamps) == (0, 0)
    assert read.envelope == Envelope(b'{"a": 1}', PAYLOAD_TYPE, (Signature(b"signature", ""),))


def test_a_key_bundle_of_the_go_writer(parse, material, envelope):
    del material["tlogEntries"]
    del envelope["signatures"][0]["keyid"]
    assert parse().material == PublicKeyHint("ab" * 32)


def test_a_key_bundle_of_the_old_reference(parse, material, envelope, b64):
    pem = b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
    material.clear()
    material["publicKey"] = {"rawBytes": b64(pem), "keyDetails": "PKIX_ECDSA_P384_SHA_384"}
    envelope["signatures"][0]["keyid"] = None
    assert parse().material == PublicKeyHint(hashlib.sha256(pem).hexdigest(), old=True)


def test_a_key_beside_its_hint_makes_no_bundle_old(parse, material):
    material["publicKey"]["rawBytes"] = "QUJD"
    assert parse().material == PublicKeyHint("ab" * 32)


def test_a_certificate_bundle_is_read_to_be_named(parse, material):
    del material["publicKey"]
    material["x509CertificateChain"] = {"certificates": [CERTIFICATE, {"rawBytes": "eHl6"}]}
    assert parse().material == CertificateChain((b"ABC", b"xyz"))


@pytest.mark.parametrize(
    "stamps", [{}, {"rfc3161Timestamps": []}, {"rfc3161Timestamps": [{"signedTimestamp": "QQ=="}]}]
)
def test_a_keyless_bundle_is_read_to_be_named(parse, material, stamps):
    del material["publicKey"]
    material["certificate"] = CERTIFICATE
    material["tlogEntries"] = [{"logIndex": "1", "anything": [None]}]
    material["timestampVerificationData"] = stamps
    read = parse()
    assert read.material == CertificateChain((b"ABC",), keyless=True)
    assert (read.log_entries, read.timestamps) == (1, len(stamps.get("rfc3161Timestamps", [])))


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.dev.sigstore.bundle.v0.3+json",
        "application/vnd.dev.sigstore.bundle+json;version=0.1",
        "application/vnd.dev.sigstore.bundle+json;version=0.2",
        "application/vnd.dev.sigstore.bundle+json;version=0.3",
    ],
)
def test_media_types_that_sigstore_gave_its_bundles(bundle, parse, media_type):
    bundle["mediaType"] = media_type
    assert parse().material == PublicKeyHint("ab" * 32)


@pytest.mark.parametrize(
    "media_type",
    [
        "",
        "application/json",
        "application/vnd.dev.sigstore.bundle",
        "application/vnd.dev.sigstore.bundle+json",
        "application/vnd.dev.sigstore.bundle.v0.1+json",
        "application/vnd.dev.sigstore.bundle.v0.4+json",
        "application/vnd.dev.sigstore.bundle.v1+json",
        "application/vnd.dev.sigstore.bundle+json;version=0.4",
        "application/vnd.dev.sigstore.bundle.v0.3+json\n",
        " application/vnd.dev.sigstore.bundle.v0.3+json",
        "application/vnd.dev.sigstore.bundle.v0.3+json;x=y",
        "application/vndxdev.sigstore.bundle.v0.3+json",
        "APPLICATION/VND.DEV.SIGSTORE.BUNDLE.V0.3+JSON",
        "application/vnd.dev.sigstore.bundle.v0.\u0663+json",  # an Arabic three
    ],
)
def test_any_other_media_type_is_refused(bundle, refuses, media_type):
    bundle["mediaType"] = media_type
    refuses("bad-media-type")


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("mediaType", None, "bad-field"),
        ("mediaType", 3, "bad-field"),
        ("verificationMaterial", None, "bad-field"),
        ("verificationMaterial", [], "bad-field"),
        ("verificationMaterial", {}, "bad-material"),
        ("dsseEnvelope", None, "bad-field"),
        ("dsseEnvelope", "e30=", "bad-field"),
        ("messageSignature", {}, "unknown-field"),
        ("extra", 1, "unknown-field"),
    ],
)
def test_a_damaged_bundle_is_refused(bundle, refuses, member, value, code):
    bundle[member] = value
    assert refuses(code).exit_code == 3


@pytest.mark.parametrize("member", ["mediaType", "verificationMaterial", "dsseEnvelope"])
def test_a_missing_member_is_named(bundle, refuses, member):
    del bundle[member]
    assert refuses("missing-field").evidence == {"field": f"bundle.{member}"}


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("publicKey", None, "bad-field"),
        ("publicKey", "hint", "bad-field"),
        ("publicKey", {}, "bad-material"),
        ("publicKey", {"keyDetails": "PKIX_ECDSA_P384_SHA_384"}, "unknown-field"),
        ("publicKey", {"hint": "x", "keyDetails": "PKIX_ECDSA_P384_SHA_384"}, "unknown-field"),
        ("publicKey", {"hint": None}, "bad-field"),
        ("publicKey", {"hint": 1}, "bad-field"),
        ("publicKey", {"rawBytes": None}, "bad-field"),
        ("publicKey", {"rawBytes": "no"}, "bad-base64"),
        ("publicKey", {"rawBytes": "QUJD", "keyDetails": 5}, "bad-field"),
        ("publicKey", {"hint": "x", "validFor": {}}, "unknown-field"),
        ("certificate", CERTIFICATE, "bad-material"),  # two materials
        ("x509CertificateChain", {"certificates": [CERTIFICATE]}, "bad-material"),
        ("x509CertificateChain", None, "bad-material"),
        ("tlogEntries", None, "bad-field"),
        ("tlogEntries", {}, "bad-field"),
        ("tlogEntries", [None], "bad-field"),
        ("timestampVerificationData", None, "bad-field"),
        ("timestampVerificationData", [], "bad-field"),
        ("timestampVerificationData", {"rfc3161Timestamps": None}, "bad-field"),
        ("timestampVerificationData", {"rfc3161Timestamps": ["QQ=="]}, "bad-field"),
        ("timestampVerificationData", {"extra": []}, "unknown-field"),
        ("extra", 1, "unknown-field"),
    ],
)
def test_damaged_material_is_refused(material, refuses, member, value, code):
    material[member] = value
    refuses(code)


@pytest.mark.parametrize(
    ("chain", "code"),
    [
        (None, "bad-field"),
        ([], "bad-field"),
        ({}, "missing-field"),
        ({"certificates": None}, "bad-field"),
        ({"certificates": []}, "no-certificates"),
        ({"certificates": ["QUJD"]}, "bad-field"),
        ({"certificates": [{}]}, "missing-field"),
        ({"certificates": [{"rawBytes": "QUJD="}]}, "bad-base64"),
        ({"certificates": [{"rawBytes": ""}]}, "bad-material"),
        ({"certificates": [{"rawBytes": "QUJD", "extra": 1}]}, "unknown-field"),
        ({"certificates": [CERTIFICATE], "extra": 1}, "unknown-field"),
    ],
)
def test_a_damaged_chain_is_refused(material, refuses, chain, code):
    del material["publicKey"]
    material["x509CertificateChain"] = chain
    refuses(code)


@pytest.mark.parametrize("entries", [None, []])
def test_a_keyless_bundle_needs_a_log_entry(material, refuses, entries):
    del material["publicKey"]
    material["certificate"] = CERTIFICATE
    if entries is None:
        del material["tlogEntries"]
    refuses("missing-log-entry")


def test_certificates_are_capped(material, parse, refuses):
    del material["publicKey"]
    material["x509CertificateChain"] = {"certificates": [CERTIFICATE] * MAX_CERTIFICATES}
    assert len(parse().material.certificates) == MAX_CERTIFICATES
    material["x509CertificateChain"]["certificates"].append(CERTIFICATE)
    assert refuses("chain-too-long", LimitError).exit_code == 4


def test_log_entries_and_timestamps_are_capped(material, parse, refuses):
    material["tlogEntries"] = [{}] * MAX_ENTRIES
    material["timestampVerificationData"] = {"rfc3161Timestamps": [{}] * MAX_ENTRIES}
    assert (parse().log_entries, parse().timestamps) == (MAX_ENTRIES, MAX_ENTRIES)
    material["timestampVerificationData"]["rfc3161Timestamps"] = [{}] * (MAX_ENTRIES + 1)
    refuses("too-many-entries", LimitError)
    del material["timestampVerificationData"]
    material["tlogEntries"] = [{}] * (MAX_ENTRIES + 1)
    refuses("too-many-entries", LimitError)


@pytest.mark.parametrize("value", [b"null", b"[]", b'"text"', b"1", b"true"])
def test_a_bundle_is_an_object(value):
    with pytest.raises(FormatError) as caught:
        parse_bundle(value)
    assert caught.value.code == "bad-field"


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda raw: b"", "bad-json"),
        (lambda raw: raw[:-1], "bad-json"),
        (lambda raw: raw[:100], "bad-json"),
        (lambda raw: raw + b"x", "bad-json"),
        (lambda raw: raw + raw, "bad-json"),
        (lambda raw: b"\xef\xbb\xbf" + raw, "bad-json"),
        (lambda raw: raw.decode().encode("utf-16"), "bad-json"),
        (lambda raw: raw.replace(b'"keyid": ""', b'"keyid": NaN'), "bad-json"),
        (lambda raw: raw.replace(b'"keyid": ""', b'"keyid": -Infinity'), "bad-json"),
        (lambda raw: raw.replace(b'"keyid": ""', b'"keyid": "\\ud800"'), "bad-json"),
        (lambda raw: raw.replace(b'"keyid": ""', b'"keyid": "\xff"'), "bad-json"),
        (lambda raw: raw.replace(b'"keyid": ""', b'"keyid": "", "keyid": ""'), "duplicate-key"),
        (lambda raw: raw.replace(b'"mediaType"', b'"mediaType": "x", "mediaType"'), "duplicate-key"),
        (lambda raw: raw.replace(b'"sig"', b'"s\\u0069g": "QQ==", "sig"'), "duplicate-key"),
    ],
)
def test_what_is_not_strict_json_is_refused(bundle, to_bytes, damage, code):
    raw = damage(to_bytes(bundle))
    with pytest.raises(FormatError) as caught:
        parse_bundle(raw)
    assert caught.value.code == code


def test_depth_is_capped_before_parsing(material, refuses):
    nested = {}
    for _ in range(64):
        nested = {"a": nested}
    material["tlogEntries"] = [nested]
    refuses("too-deep", LimitError)


def test_a_hundred_thousand_brackets_are_a_limit_and_no_recursion():
    with pytest.raises(LimitError) as caught:
        parse_bundle(b"[" * 100_000)
    assert caught.value.code == "too-deep"


def test_size_is_capped_before_parsing(bundle, to_bytes):
    raw = to_bytes(bundle)
    assert parse_bundle(raw, max_bytes=len(raw)).material == PublicKeyHint("ab" * 32)
    with pytest.raises(LimitError) as caught:
        parse_bundle(raw, max_bytes=len(raw) - 1)
    assert caught.value.code == "too-large"


def test_the_number_of_values_is_capped_before_parsing():
    """Three bytes of text would become sixty of memory each; a payload is one text and has no commas."""
    assert MAX_VALUES == 65_536
    bomb = b'{"mediaType": [' + b"[]," * MAX_VALUES + b"[],[]]}"
    with pytest.raises(LimitError) as caught:
        parse_bundle(bomb)
    assert caught.value.code == "too-many-values"
    assert caught.value.evidence == {"limit": MAX_VALUES}
    with pytest.raises(LimitError) as caught:
        parse_bundle(bomb, max_bytes=len(bomb))
    assert caught.value.code == "too-many-values"
    with pytest.raises(FormatError) as caught:
        parse_bundle(bomb.replace(b"[],", b"", 1))  # as many commas as may be
    assert caught.value.code == "bad-field"
    with pytest.raises(LimitError) as caught:
        parse_bundle(bomb, max_bytes=100)
    assert caught.value.code == "too-large"


def test_a_large_payload_is_no_bomb(envelope, parse, b64):
    content = b'{"a": [' + b"1," * (MAX_VALUES + 1) + b"1]}"
    envelope["payload"] = b64(content)
    assert parse().envelope.payload == content


class TestLargeBundles:
    """Of a bundle beyond the cap on what stands around a payload, the payload is never text."""

    @pytest.fixture(autouse=True)
    def tiny(self, monkeypatch):
        monkeypatch.setattr(bundles, "_LARGE", 0)
        monkeypatch.setattr(bundles, "MAX_AROUND", 1000)

    def test_the_payload_does_not_count(self, envelope, parse, b64):
        envelope["payload"] = b64(b"x" * 10_000)
        assert parse().envelope.payload == b"x" * 10_000

    def test_it_is_cut_out_between_its_quotes(self, envelope, bundle, b64):
        envelope["payload"] = b64(b"x" * 10_000)
        raw = json.dumps(bundle, separators=(",", ":")).encode()
        assert parse_bundle(raw, max_bytes=len(raw)).envelope.payload == b"x" * 10_000

    def test_what_stands_around_it_is_capped(self, envelope, material, refuses, b64):
        envelope["payload"] = b64(b"x" * 10_000)
        material["publicKey"]["hint"] = "\N{GRINNING FACE}" * 1000
        assert "around" in refuses("too-large", LimitError).message

    @pytest.mark.parametrize("raw", [b"[" + b" " * 1000 + b"]", b'{"payload":"' + b"A" * 1000])
    def test_without_a_payload_all_stands_around_it(self, raw):
        with pytest.raises(LimitError) as caught:
            parse_bundle(raw, max_bytes=len(raw))
        assert (caught.value.code, caught.value.evidence["limit"]) == ("too-large", 1000)

    def test_another_payload_is_not_the_envelope_s(self, material, refuses):
        """It stands first, and is not looked at: nobody would see what it holds."""
        material["tlogEntries"] = [{"payload": "\x01"}]
        assert "dsseEnvelope.payload" in refuses("bad-field").message

    def test_a_payload_that_stands_in_another_member_s_place(self, bundle, refuses):
        bundle["mediaType"] = {"payload": "QUJD"}
        refuses("bad-field")

    @pytest.mark.parametrize("text", ["A\\/==", "QQ\\u003d\\u003d"])
    def test_the_payload_is_spelled_plainly(self, envelope, bundle, to_bytes, text):
        envelope["payload"] = "here"
        with pytest.raises(FormatError) as caught:
            parse_bundle(to_bytes(bundle).replace(b"here", text.encode()))
        assert caught.value.code == "bad-base64"

    @pytest.mark.parametrize("raw", [b"\xff", b"\n", "\u00e9".encode(), b"QQ=\x00", b"QR=="])
    def test_no_other_byte_gets_into_it(self, envelope, bundle, to_bytes, raw):
        envelope["payload"] = "here"
        with pytest.raises(FormatError) as caught:
            parse_bundle(to_bytes(bundle).replace(b"here", raw))
        assert caught.value.code == "bad-base64"
