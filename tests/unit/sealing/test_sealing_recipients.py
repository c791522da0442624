"""Recipients documents: who can open, who cannot, and everything that such a document must not be."""

import base64
import dataclasses
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import given, settings
from hypothesis import strategies as st

from trustkit.digest import digest_of
from trustkit.errors import FormatError, LimitError, SealError, TrustkitError, UsageError
from trustkit.sealing.descriptor import WrapContext
from trustkit.sealing.hpke import HPKEOpener
from trustkit.sealing.keys import Dek, commitment
from trustkit.sealing.parties import MAX_WRAPPED
from trustkit.sealing.recipients import (
    MAX_BYTES,
    MAX_RECIPIENTS,
    VERSION,
    generate_opener,
    opener_from_pem,
    recipient_from_pem,
    recipients_of,
    unwrap_dek,
    unwrap_document,
    wrap_document,
)

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
OTHER_CONTEXTS = [
    {"line": "acme/tiny-lln"},
    {"version": 4},
    {"publisher_key": digest_of(b"another publisher")},
    {"manifest_digest": digest_of(b"another manifest")},
    {"key_commitment": digest_of(b"another key")},
]


def pair(kind):
    private, public = generate_opener(kind, passphrase=None)
    return recipient_from_pem(public), opener_from_pem(private, passphrase=None)


ALICE, ALICES = pair("x25519")
BOB, BOBS = pair("p256")
CAROL, CAROLS = pair("x25519")


def document(**changes):
    """Wrap for Alice and Bob, then change members."""
    parsed = json.loads(wrap_document(dek(), CONTEXT, [ALICE, BOB]))
    return json.dumps(parsed | changes).encode()


def entry(**changes):
    """Return an entry that parses, of a kind nobody here knows."""
    whole = {"kind": "kms", "key": f"sha256:{'0' * 64}", "wrapped": "AAAA"} | changes
    return {name: value for name, value in whole.items() if value is not ...}


class Silent:
    """An opener that may not be asked."""

    def __init__(self, kind, key_id):
        self.kind, self.key_id = kind, key_id

    def unwrap(self, untrusted_wrapped, info):
        raise AssertionError("an opener was asked about a key that is not wrapped for it")


class Watched(HPKEOpener):
    """An opener that remembers the buffer it gave away."""

    def unwrap(self, untrusted_wrapped, info):
        self.gave = super().unwrap(untrusted_wrapped, info)
        return self.gave


@pytest.mark.parametrize("openers", [[ALICES], [BOBS], [CAROLS, BOBS], [ALICES, BOBS]])
def test_whoever_is_named_can_open(openers):
    raw = wrap_document(dek(), CONTEXT, [ALICE, BOB])
    with unwrap_document(raw, CONTEXT, openers) as found:
        assert found.key == SECRET


@pytest.mark.parametrize("openers", [[], [CAROLS], [CAROLS, CAROLS]])
def test_whoever_is_not_named_cannot(openers):
    with pytest.raises(SealError, match="no-matching-opener") as caught:
        unwrap_document(document(), CONTEXT, openers)
    assert caught.value.evidence == {"recipients": 2}


def test_only_openers_that_are_named_are_asked():
    others = [Silent(ALICE.kind, BOB.key_id), Silent(BOB.kind, ALICE.key_id), Silent("kms", ALICE.key_id)]
    with pytest.raises(SealError, match="no-matching-opener"):
        unwrap_document(document(), CONTEXT, others)
    with unwrap_document(document(), CONTEXT, [*others, BOBS]) as found:
        assert found.key == SECRET


@pytest.mark.parametrize("changes", OTHER_CONTEXTS, ids=lambda changes: next(iter(changes)))
def test_a_key_opens_in_its_own_context_only(changes):
    other = dataclasses.replace(CONTEXT, **changes)
    with pytest.raises(SealError, match="wrong-context"):
        unwrap_document(document(), other, [ALICES, BOBS])


def test_a_document_of_another_data_key_is_refused_and_cannot_be_renamed():
    other = dataclasses.replace(CONTEXT, dek_id="f" * 32)
    with pytest.raises(SealError, match="wrong-context"):
        unwrap_document(document(), other, [Silent(ALICE.kind, ALICE.key_id)])
    with pytest.raises(SealError, match="wrong-context"):
        unwrap_document(document(dek_id="f" * 32), other, [ALICES, BOBS])


def test_another_key_wrapped_rightly_is_refused_and_wiped():
    """Anybody can wrap a key of his own for a recipient: a public key is public."""
    key = x25519.X25519PrivateKey.generate()
    victim = Watched(key)
    mallorys = recipient_from_pem(victim.public_pem()).wrap(dek(bytes(32)), CONTEXT.to_bytes())
    raw = document(
        recipients=[
            {
                "kind": victim.kind,
                "key": str(victim.key_id),
                "wrapped": base64.b64encode(mallorys).decode(),
            }
        ]
    )
    with pytest.raises(SealError, match="key-commitment-mismatch"):
        unwrap_document(raw, CONTEXT, [victim])
    assert victim.gave == bytes(32)
    mallorys = recipient_from_pem(victim.public_pem()).wrap(dek(b"m" * 32), CONTEXT.to_bytes())
    with pytest.raises(SealError, match="key-commitment-mismatch"):
        unwrap_dek(mallorys, CONTEXT, victim)
    assert victim.gave == bytes(32), "the refused key is still there"


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_wrapped_key_of_another_length_is_refused_and_wiped(length):
    victim = Watched(x25519.X25519PrivateKey.generate())
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    public = victim._key.public_key()
    with pytest.raises(SealError, match="bad-data-key"):
        unwrap_dek(suite.encrypt(b"x" * length, public, CONTEXT.to_bytes()), CONTEXT, victim)
    assert victim.gave == bytes(length)


def test_one_spoiled_entry_locks_out_its_opener_alone():
    parsed = json.loads(document())
    for one in parsed["recipients"]:
        if one["key"] == str(ALICE.key_id):
            one["wrapped"] = base64.b64encode(bytes(80)).decode()
    raw = json.dumps(parsed).encode()
    with pytest.raises(SealError, match="wrong-context"):
        unwrap_document(raw, CONTEXT, [ALICES])
    with unwrap_document(raw, CONTEXT, [ALICES, BOBS]) as found:
        assert found.key == SECRET


def test_wraps_cannot_change_places():
    parsed = json.loads(wrap_document(dek(), CONTEXT, [ALICE, CAROL]))
    first, second = parsed["recipients"]
    first["wrapped"], second["wrapped"] = second["wrapped"], first["wrapped"]
    with pytest.raises(SealError, match="wrong-context"):
        unwrap_document(json.dumps(parsed).encode(), CONTEXT, [ALICES, CAROLS])


def test_the_layout_does_not_depend_on_the_order_of_recipients():
    first, second = (json.loads(wrap_document(dek(), CONTEXT, who)) for who in ([ALICE, BOB], [BOB, ALICE]))
    for one in (first, second):
        assert one["recipients"] == sorted(one["recipients"], key=lambda e: (e["kind"], e["key"]))
        for part in one["recipients"]:
            del part["wrapped"]
    assert first == second
    assert first == {
        "version": VERSION,
        "dek_id": DEK_ID,
        "recipients": [
            {"kind": "hpke-p256", "key": str(BOB.key_id)},
            {"kind": "hpke-x25519", "key": str(ALICE.key_id)},
        ],
    }


def test_the_document_shows_neither_the_key_nor_another_readers_spelling():
    raw = wrap_document(dek(), CONTEXT, [ALICE])
    assert SECRET not in raw
    assert SECRET.hex().encode() not in raw
    assert base64.b64encode(SECRET)[:-4] not in raw
    assert raw.endswith(b"}\n")


def test_who_can_open_is_listed_for_people():
    assert recipients_of(document()) == ((BOB.kind, BOB.key_id), (ALICE.kind, ALICE.key_id))


def test_a_document_that_nobody_could_open_is_not_written():
    with pytest.raises(UsageError, match="no-recipients"):
        wrap_document(dek(), CONTEXT, [])
    with pytest.raises(UsageError, match="duplicate-recipient"):
        wrap_document(dek(), CONTEXT, [ALICE, BOB, ALICE])
    with pytest.raises(SealError, match="key-commitment-mismatch"):
        wrap_document(dek(bytes(32)), CONTEXT, [ALICE])
    with pytest.raises(LimitError, match="too-many-recipients"):
        wrap_document(dek(), CONTEXT, [ALICE] * (MAX_RECIPIENTS + 1))


def test_as_many_recipients_as_there_may_be():
    keys = [x25519.X25519PrivateKey.generate() for _ in range(MAX_RECIPIENTS)]
    recipients = [recipient_from_pem(HPKEOpener(key).public_pem()) for key in keys]
    raw = wrap_document(dek(), CONTEXT, recipients)
    assert len(raw) < MAX_BYTES
    with unwrap_document(raw, CONTEXT, [HPKEOpener(keys[617])]) as found:
        assert found.key == SECRET


def test_the_longest_document_that_obeys_the_counts_fits_the_cap():
    kinds = [f"{'k' * 60}{number:04}" for number in range(MAX_RECIPIENTS)]
    wrapped = base64.b64encode(bytes(MAX_WRAPPED)).decode()
    raw = json.dumps(
        {
            "version": VERSION,
            "dek_id": DEK_ID,
            "recipients": [entry(kind=kind, wrapped=wrapped) for kind in kinds],
        },
        indent=2,
    ).encode()
    assert len(raw) < MAX_BYTES
    assert len(recipients_of(raw)) == MAX_RECIPIENTS


def test_a_kind_that_we_do_not_know_locks_nobody_out():
    parsed = json.loads(document())
    parsed["recipients"].insert(0, entry(kind="kms-of-next-year"))
    with unwrap_document(json.dumps(parsed).encode(), CONTEXT, [ALICES]) as found:
        assert found.key == SECRET


REFUSED = {
    "another version": ({"version": "trustkit.dev/recipients/v2"}, FormatError, "bad-recipients-version"),
    "version of another type": ({"version": 1}, FormatError, "bad-field"),
    "no data key": ({"dek_id": ""}, FormatError, "bad-dek-id"),
    "upper case": ({"dek_id": DEK_ID.upper()}, FormatError, "bad-dek-id"),
    "data key of another type": ({"dek_id": None}, FormatError, "bad-field"),
    "recipients of another type": ({"recipients": {}}, FormatError, "bad-field"),
    "nobody": ({"recipients": []}, FormatError, "no-recipients"),
    "too many": ({"recipients": [entry()] * (MAX_RECIPIENTS + 1)}, LimitError, "too-many-recipients"),
    "somebody twice": ({"recipients": [entry(), entry(wrapped="BBBB")]}, FormatError, "duplicate-recipient"),
    "an unknown member": ({"note": ""}, FormatError, "unknown-field"),
    "an unknown member of an entry": ({"recipients": [entry(note="")]}, FormatError, "unknown-field"),
    "an entry of another type": ({"recipients": ["kms"]}, FormatError, "bad-field"),
    "an entry without kind": ({"recipients": [entry(kind=...)]}, FormatError, "missing-field"),
    "an entry without key": ({"recipients": [entry(key=...)]}, FormatError, "missing-field"),
    "an entry without wrap": ({"recipients": [entry(wrapped=...)]}, FormatError, "missing-field"),
    "kind of another type": ({"recipients": [entry(kind=1)]}, FormatError, "bad-field"),
    "an empty kind": ({"recipients": [entry(kind="")]}, FormatError, "bad-recipient-kind"),
    "a kind that paints": ({"recipients": [entry(kind="\x1b[2J")]}, FormatError, "bad-recipient-kind"),
    "a kind with a line": ({"recipients": [entry(kind="kms\n")]}, FormatError, "bad-recipient-kind"),
    "a long kind": ({"recipients": [entry(kind="k" * 65)]}, FormatError, "bad-recipient-kind"),
    "a key that is no digest": ({"recipients": [entry(key="x")]}, FormatError, "bad-digest"),
    "a key by another hash": ({"recipients": [entry(key=f"blake3:{'0' * 64}")]}, FormatError, "bad-digest"),
    "no base64": ({"recipients": [entry(wrapped="A A=")]}, FormatError, "bad-base64"),
    "base64 of the other alphabet": ({"recipients": [entry(wrapped="__==")]}, FormatError, "bad-base64"),
    "base64 without padding": ({"recipients": [entry(wrapped="AAA")]}, FormatError, "bad-base64"),
    "base64 that is not ASCII": ({"recipients": [entry(wrapped="ÄÄÄÄ")]}, FormatError, "bad-base64"),
    "base64 spelled another way": ({"recipients": [entry(wrapped="AB==")]}, FormatError, "bad-base64"),
    "an empty wrap": ({"recipients": [entry(wrapped="")]}, FormatError, "bad-wrapped-key"),
    "a long wrap": (
        {"recipients": [entry(wrapped=base64.b64encode(bytes(MAX_WRAPPED + 1)).decode())]},
        FormatError,
        "bad-wrapped-key",
    ),
    "a short wrap of a known kind": (
        {"recipients": [entry(kind="hpke-x25519", wrapped=base64.b64encode(bytes(79)).decode())]},
        FormatError,
        "bad-wrapped-key",
    ),
    "a wrap of the other kind": (
        {"recipients": [entry(kind="hpke-p256", wrapped=base64.b64encode(bytes(80)).decode())]},
        FormatError,
        "bad-wrapped-key",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_documents_that_break_the_format(name):
    changes, kind, code = REFUSED[name]
    with pytest.raises(kind, match=rf"\[{code}\]"):
        unwrap_document(document(**changes), CONTEXT, [ALICES, BOBS])


@pytest.mark.parametrize("member", ["version", "dek_id", "recipients"])
def test_documents_that_lack_a_member(member):
    parsed = json.loads(document())
    del parsed[member]
    with pytest.raises(FormatError, match="missing-field"):
        unwrap_document(json.dumps(parsed).encode(), CONTEXT, [ALICES])


@pytest.mark.parametrize(
    ("raw", "kind", "code"),
    [
        (b"", FormatError, "bad-json"),
        (b"[]", FormatError, "bad-field"),
        (document() + b"x", FormatError, "bad-json"),
        (document()[:-1] + b', "dek_id": "0"}', FormatError, "duplicate-key"),
        (b"[" * 100 + b"]" * 100, LimitError, "too-deep"),
        (b" " * (MAX_BYTES + 1), LimitError, "too-large"),
    ],
    ids=["empty", "array", "trailing", "duplicate", "deep", "large"],
)
def test_documents_that_are_no_strict_json(raw, kind, code):
    with pytest.raises(kind, match=code):
        unwrap_document(raw, CONTEXT, [ALICES])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 1 << 60) | st.text(max_size=6) | st.just("AAAA"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_document_raises_anything_but_our_errors_and_none_opens(data):
    """Valid documents with one value replaced, or bytes replaced: only our errors, and never a wrong key."""
    parsed = json.loads(BASE)
    place = data.draw(
        st.sampled_from([(), ("version",), ("dek_id",), ("recipients",), ("entry",), ("member",)])
    )
    value = data.draw(JSON)
    if place == ():
        raw = bytearray(BASE)
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        parsed = None
    elif place == ("entry",):
        parsed["recipients"][data.draw(st.integers(0, 1))] = value
    elif place == ("member",):
        parsed["recipients"][0][data.draw(st.sampled_from(["kind", "key", "wrapped", "more"]))] = value
    else:
        parsed[place[0]] = value
    untrusted = bytes(raw) if parsed is None else json.dumps(parsed).encode()
    try:
        with unwrap_document(untrusted, CONTEXT, [ALICES, BOBS]) as found:
            assert found.key == SECRET
    except TrustkitError as error:
        assert isinstance(error, FormatError | LimitError | SealError)  # noqa: PT017 - any of them, or the right key


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=300))
def test_no_bytes_raise_anything_but_our_errors(raw):
    with pytest.raises((FormatError, LimitError)):
        recipients_of(raw)


BASE = document()
