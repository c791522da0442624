"""Every rule of an SVID, broken one at a time (threats C01 to C14) by a forger of its own code."""

import random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st

from trustkit.errors import FormatError, LimitError, UsageError, VerificationError
from trustkit.spiffe.names import SpiffeID
from trustkit.spiffe.svid import MAX_LIFETIME_SECONDS, identity_of, svid_from_pem

PRIVATE = ObjectIdentifier("1.3.6.1.4.1.55555.1")
UNKNOWN = (x509.UnrecognizedExtension(PRIVATE, b"\x05\x00"), True)
HARMLESS = (x509.UnrecognizedExtension(PRIVATE, b"\x05\x00"), False)
CLIENT_ONLY = (ExtendedKeyUsageOID.CLIENT_AUTH,)
SERVER_ONLY = (ExtendedKeyUsageOID.SERVER_AUTH,)

GOOD = {
    "plain": {},
    "a DNS name beside": {"dns": ("store.demo.test",)},
    "an address beside": {"addresses": ("10.0.0.1",)},
    "no extended key usage": {"extended": None},
    "no basic constraints": {"ca": None},
    "an empty subject and a critical name": {"subject": "", "names_critical": True},
    "an unknown extension that is not critical": {"extensions": (HARMLESS,)},
    "P-384": {"key": ec.generate_private_key(ec.SECP384R1())},
    "Ed25519": {"key": ed25519.Ed25519PrivateKey.generate()},
    "RSA of 2,048 bits": {"key": rsa.generate_private_key(65537, 2048)},
    "SHA-384": {"hash_algorithm": hashes.SHA384()},
    "the last second": {"not_after": 0},
    "the first second": {"not_before": 0},
}


def bits(certificates, **names):
    return certificates.usage(**names)


@pytest.mark.parametrize("arguments", GOOD.values(), ids=GOOD.keys())
def test_a_good_leaf_has_its_name(certificates, issuer, now, arguments):
    leaf, _ = issuer.leaf("/store", **arguments)
    assert identity_of(certificates.der(leaf), now=now) == SpiffeID("demo.test", "/store")


BAD = {
    "two URI names": {"uris": ("spiffe://demo.test/a", "spiffe://demo.test/b")},
    "the same URI twice": {"uris": ("spiffe://demo.test/a", "spiffe://demo.test/a")},
    "no URI name": {"uris": (), "dns": ("demo.test",)},
    "no name at all": {"uris": ()},
    "an https URI": {"uris": ("https://demo.test/a",)},
    "an ID without path": {"uris": ("spiffe://demo.test",)},
    "an upper-case trust domain": {"uris": ("spiffe://DEMO.test/a",)},
    "dot-dot": {"uris": ("spiffe://demo.test/a/../b",)},
    "an empty subject and a name that is not critical": {"subject": ""},
    "a CA": {"ca": True},
    "key usage is not critical": {"key_usage_critical": False},
    "no key usage": {"key_usage": None},
    "client authentication only": {"extended": CLIENT_ONLY},
    "server authentication only": {"extended": SERVER_ONLY},
    "an unknown critical extension": {"extensions": (UNKNOWN,)},
    "a critical extension that is for CAs": {
        "extensions": ((x509.NameConstraints([x509.DNSName("demo.test")], None), True),)
    },
    "expired a second ago": {"not_after": -1},
    "valid in a second": {"not_before": 1},
    "valid for 100 years": {"not_after": 100 * 366 * 86400},
    "a second longer than allowed": {"not_after": MAX_LIFETIME_SECONDS - 3600 + 1},
    "P-192": {"key": ec.generate_private_key(ec.SECP192R1())},
    "secp256k1": {"key": ec.generate_private_key(ec.SECP256K1())},
    "RSA of 1,024 bits": {"key": rsa.generate_private_key(65537, 1024)},
    "DSA": {"key": dsa.generate_private_key(2048)},
}


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD.keys())
def test_a_leaf_that_breaks_one_rule_is_refused(certificates, issuer, now, arguments):
    leaf, _ = issuer.leaf("/store", **arguments)
    with pytest.raises(VerificationError) as caught:
        identity_of(certificates.der(leaf), now=now)
    assert caught.value.code == "bad-svid"


@pytest.mark.parametrize(
    "names",
    [
        {"key_encipherment": True},
        {"digital_signature": True, "key_cert_sign": True},
        {"digital_signature": True, "crl_sign": True},
    ],
    ids="+".join,
)
def test_a_key_for_other_uses_is_refused(certificates, issuer, now, names):
    leaf, _ = issuer.leaf(key_usage=bits(certificates, **names))
    with pytest.raises(VerificationError) as caught:
        identity_of(certificates.der(leaf), now=now)
    assert caught.value.code == "bad-svid"


def replaced(der, old, new):
    assert der.count(old) >= 1
    assert len(old) == len(new)
    return der.replace(old, new)


SHA256_ECDSA = bytes.fromhex("2a8648ce3d040302")


def test_a_weak_digest_is_refused(certificates, issuer, now):
    """The library signs with nothing weak, so the algorithm's name is rewritten after the fact."""
    leaf, _ = issuer.leaf()
    der = certificates.der(leaf)
    weak = der.replace(SHA256_ECDSA, bytes.fromhex("2a8648ce3d040301"))  # ecdsa-with-SHA224
    assert weak != der
    with pytest.raises(VerificationError) as caught:
        identity_of(weak, now=now)
    assert caught.value.code == "bad-svid"


def test_a_version_1_certificate_is_refused(certificates, issuer, now):
    leaf, _ = issuer.leaf()
    der = replaced(certificates.der(leaf), bytes.fromhex("a003020102"), bytes.fromhex("a003020100"))
    with pytest.raises(VerificationError) as caught:
        identity_of(der, now=now)
    assert caught.value.code == "bad-svid"


@pytest.mark.filterwarnings("ignore")  # the library warns of what we refuse
def test_a_serial_number_that_is_not_positive_is_refused(certificates, issuer, now):
    leaf, _ = issuer.leaf(serial=0x1122334455667788)
    good = certificates.der(leaf)
    for number in ("0208f122334455667788", "02080000000000000000"):
        der = replaced(good, bytes.fromhex("02081122334455667788"), bytes.fromhex(number))
        with pytest.raises(VerificationError) as caught:
            identity_of(der, now=now)
        assert caught.value.code == "bad-svid"


def test_an_extension_that_is_there_twice_is_refused(certificates, issuer, now):
    """Two private extensions, then the second gets the first one's number."""
    other = ObjectIdentifier("1.3.6.1.4.1.55555.2")
    leaf, _ = issuer.leaf(extensions=(HARMLESS, (x509.UnrecognizedExtension(other, b"\x05\x00"), False)))
    der = certificates.der(leaf)
    twice = replaced(der, bytes.fromhex("06092b0601040183b20302"), bytes.fromhex("06092b0601040183b20301"))
    with pytest.raises(VerificationError) as caught:
        identity_of(twice, now=now)
    assert caught.value.code == "bad-svid"


@pytest.mark.parametrize(
    "raw", [b"", b"\x30", b"\x30\x80", b"not a certificate", b"\x00" * 5000, b"0" * (2 << 20)]
)
def test_what_is_no_certificate_is_refused(now, raw):
    with pytest.raises(VerificationError) as caught:
        identity_of(raw, now=now)
    assert caught.value.code == "bad-svid"


def test_a_huge_certificate_is_not_even_parsed(certificates, now):
    """A valid one, with an extension of 2 MiB."""
    huge = (x509.UnrecognizedExtension(PRIVATE, b"\x04\x84\x00\x20\x00\x00" + bytes(2 << 20)), False)
    leaf, _ = certificates.Issuer(now).leaf(extensions=(huge,))
    with pytest.raises(VerificationError) as caught:
        identity_of(certificates.der(leaf), now=now)
    assert caught.value.code == "bad-svid"


def test_bytes_after_the_certificate_are_refused(certificates, issuer, now):
    leaf, _ = issuer.leaf()
    with pytest.raises(VerificationError):
        identity_of(certificates.der(leaf) + b"\0", now=now)


@pytest.mark.filterwarnings("ignore")  # the library warns of some odd certificates before we refuse them
def test_a_flipped_byte_never_makes_another_name_or_another_error(certificates, issuer, now):
    """Every byte of a leaf, changed: an SVID or a refusal, never a crash."""
    leaf, _ = issuer.leaf("/store")
    good = certificates.der(leaf)
    choose = random.Random(7)
    for index in range(len(good)):
        raw = bytearray(good)
        raw[index] ^= 1 << choose.randrange(8)
        try:
            found = identity_of(bytes(raw), now=now).path
        except VerificationError as error:
            found = error.code
        assert found.startswith("/") or found == "bad-svid"


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(raw):
    with pytest.raises(VerificationError):
        identity_of(raw, now=1e9)


class TestThreeFiles:
    """Chain, key and bundle, against each other."""

    def test_make_one_value(self, issuer, svid_of, now):
        files = issuer.files("/store")
        svid = svid_of(files)
        assert str(svid.spiffe_id) == "spiffe://demo.test/store"
        assert (svid.chain_pem, svid.key_pem, svid.bundle_pem) == tuple(files.values())
        assert svid.not_after == now + 3600
        assert int(svid.serial, 16) > 0

    def test_show_no_key(self, issuer, svid_of):
        assert "PRIVATE" not in repr(svid_of(issuer.files()))
        assert "key_pem" not in repr(svid_of(issuer.files()))

    def test_with_intermediates(self, certificates, issuer, svid_of, now):
        middle = certificates.Issuer(now, parent=issuer, name="middle", path_length=0)
        files = middle.files("/store", chain=(middle.certificate,), bundle=issuer.pem)
        assert svid_of(files).spiffe_id.path == "/store"

    def test_an_anchor_may_be_an_intermediate(self, certificates, issuer, svid_of, now):
        middle = certificates.Issuer(now, parent=issuer, name="middle")
        assert svid_of(middle.files("/store")).spiffe_id.path == "/store"

    def test_an_anchor_without_a_name_of_its_own_is_the_bundle_s(self, certificates, svid_of, now):
        assert svid_of(certificates.Issuer(now, uris=()).files()).spiffe_id.trust_domain == "demo.test"

    def test_two_anchors_during_a_rotation_of_the_authority(self, certificates, issuer, svid_of, now):
        other = certificates.Issuer(now, name="next")
        old = certificates.Issuer(now, name="old", not_after=-10)
        assert svid_of(issuer.files(bundle=old.pem + other.pem + issuer.pem))

    @pytest.mark.parametrize("name", ["svid.pem", "bundle.pem", "svid_key.pem"])
    @pytest.mark.parametrize(
        "spoil",
        [
            lambda pem: b"",
            lambda pem: b"hello\n" + pem,
            lambda pem: pem + b"hello\n",
            lambda pem: pem.replace(b"\n", b"\r\n"),
            lambda pem: pem[: len(pem) // 2],
            lambda pem: pem.replace(b"BEGIN", b"BEGAN"),
            lambda pem: b"\xff" + pem,
            lambda pem: pem.replace(b"MI", b"AA", 1),
        ],
        ids=["empty", "text before", "text after", "CRLF", "cut", "armor", "not ASCII", "not DER"],
    )
    def test_a_file_that_does_not_parse_is_a_format_error(self, issuer, svid_of, name, spoil):
        files = issuer.files()
        files[name] = spoil(files[name])
        with pytest.raises(FormatError) as caught:
            svid_of(files)
        assert caught.value.code == "bad-svid"

    def test_a_final_newline_may_be_missing(self, issuer, svid_of):
        files = {name: raw.rstrip(b"\n") for name, raw in issuer.files().items()}
        assert svid_of(files)

    def test_two_keys_are_one_too_many(self, issuer, svid_of):
        files = issuer.files()
        files["svid_key.pem"] += issuer.files()["svid_key.pem"]
        with pytest.raises(FormatError) as caught:
            svid_of(files)
        assert caught.value.code == "bad-svid"

    def test_another_key_is_refused(self, issuer, svid_of):
        files = {**issuer.files(), "svid_key.pem": issuer.files()["svid_key.pem"]}
        with pytest.raises(UsageError) as caught:
            svid_of(files)
        assert caught.value.code == "bad-svid"

    def test_an_encrypted_key_is_refused(self, certificates, issuer, svid_of):
        leaf, key = issuer.leaf()
        files = {
            "svid.pem": certificates.pem(leaf),
            "svid_key.pem": certificates.key_pem(key, b"secret"),
            "bundle.pem": issuer.pem,
        }
        with pytest.raises(UsageError) as caught:
            svid_of(files)
        assert caught.value.code == "bad-svid"

    @pytest.mark.parametrize("name", ["svid.pem", "bundle.pem", "svid_key.pem"])
    def test_a_huge_file_is_refused_before_it_is_parsed(self, issuer, svid_of, name):
        files = issuer.files()
        files[name] *= 10_000
        with pytest.raises(LimitError) as caught:
            svid_of(files)
        assert caught.value.code == "too-large"

    def test_eleven_certificates_are_too_many(self, certificates, issuer, svid_of):
        files = issuer.files(chain=[issuer.certificate] * 10)
        with pytest.raises(LimitError) as caught:
            svid_of(files)
        assert caught.value.code == "chain-too-long"

    def refused(self, svid_of, files, code="bad-svid"):
        with pytest.raises(VerificationError) as caught:
            svid_of(files)
        assert caught.value.code == code

    def test_a_leaf_that_breaks_a_rule_is_refused(self, issuer, svid_of):
        self.refused(svid_of, issuer.files(not_after=-1))

    def test_the_bundle_of_another_authority_is_refused(self, certificates, issuer, svid_of, now):
        self.refused(svid_of, issuer.files(bundle=certificates.Issuer(now).pem))

    def test_a_missing_intermediate_is_refused(self, certificates, issuer, svid_of, now):
        middle = certificates.Issuer(now, parent=issuer, name="middle")
        self.refused(svid_of, middle.files(bundle=issuer.pem))

    def test_a_chain_in_the_wrong_order_is_refused(self, certificates, issuer, svid_of, now):
        upper = certificates.Issuer(now, parent=issuer, name="upper")
        lower = certificates.Issuer(now, parent=upper, name="lower")
        good = lower.files(chain=(lower.certificate, upper.certificate), bundle=issuer.pem)
        assert svid_of(good)
        self.refused(svid_of, lower.files(chain=(upper.certificate, lower.certificate), bundle=issuer.pem))

    def test_a_leaf_that_another_one_signed_is_refused_though_the_rest_of_the_chain_holds(
        self, certificates, issuer, svid_of, now
    ):
        """The intermediate leads to the bundle, and the leaf does not lead to the intermediate."""
        middle = certificates.Issuer(now, parent=issuer, name="middle")
        stranger = certificates.Issuer(now, name="middle")
        files = stranger.files(chain=(middle.certificate,), bundle=issuer.pem)
        self.refused(svid_of, files)

    def test_a_certificate_that_does_not_belong_to_the_chain_is_refused(
        self, certificates, issuer, svid_of, now
    ):
        stranger = certificates.Issuer(now, name="stranger")
        self.refused(svid_of, issuer.files(chain=(stranger.certificate,)))

    @pytest.mark.parametrize(
        "arguments",
        [{"ca": False}, {"ca": None}, {"not_after": -1}, {"not_before": 1}, {"path_length": 0}],
        ids=["no CA", "no basic constraints", "expired", "not yet valid", "path length"],
    )
    def test_an_upper_intermediate_that_may_not_issue_is_refused(
        self, certificates, issuer, svid_of, now, arguments
    ):
        upper = certificates.Issuer(now, parent=issuer, name="upper", **arguments)
        lower = certificates.Issuer(now, parent=upper, name="lower")
        files = lower.files(chain=(lower.certificate, upper.certificate), bundle=issuer.pem)
        self.refused(svid_of, files)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"ca": False},
            {"ca": None},
            {"not_after": -1},
            {"uris": ("spiffe://other.test",)},
            {"uris": ("x:y",)},
        ],
        ids=["no CA", "no basic constraints", "expired", "another trust domain", "no SPIFFE ID"],
    )
    def test_an_anchor_that_is_none_is_refused(self, certificates, svid_of, now, arguments):
        self.refused(svid_of, certificates.Issuer(now, **arguments).files())

    def test_an_anchor_whose_key_may_not_sign_certificates_is_refused(self, certificates, svid_of, now):
        usage = certificates.usage(digital_signature=True)
        self.refused(svid_of, certificates.Issuer(now, key_usage=usage).files())

    def test_a_bundle_with_a_second_domain_in_it_is_refused(self, certificates, issuer, svid_of, now):
        other = certificates.Issuer(now, domain="other.test")
        self.refused(svid_of, issuer.files(bundle=issuer.pem + other.pem))

    def test_name_constraints_are_a_clear_refusal(self, certificates, svid_of, now):
        constraint = x509.NameConstraints([x509.UniformResourceIdentifier("demo.test")], None)
        files = certificates.Issuer(now, extensions=((constraint, True),)).files()
        self.refused(svid_of, files, "unsupported-constraint")

    def test_the_boundary_is_the_caller_s_clock(self, issuer, now):
        files = tuple(issuer.files().values())
        assert svid_from_pem(*files, now=now + 3600)
        with pytest.raises(VerificationError):
            svid_from_pem(*files, now=now + 3601)


@pytest.mark.parametrize(
    ("which", "said"),
    [("leaf", "it"), ("between", "a CA of its chain"), ("anchor", "its anchor in the trust bundle")],
)
@pytest.mark.parametrize(
    ("times", "why"),
    [({"not_after": -1}, "expired at 20"), ({"not_before": 60}, "is not valid yet, but from 20")],
)
def test_who_has_to_renew_what_is_said(certificates, svid_of, now, which, said, times, why):
    """All three are another's to renew, and none of them shows its time in a file that people can read."""
    of = {which: times}
    root = certificates.Issuer(now, **of.get("anchor", {}))
    between = certificates.Issuer(now, name="between", parent=root, uris=(), **of.get("between", {}))
    leaf, key = between.leaf(**of.get("leaf", {}))
    files = {
        "svid.pem": certificates.pem(leaf, between.certificate),
        "svid_key.pem": certificates.key_pem(key),
        "bundle.pem": root.pem,
    }
    with pytest.raises(VerificationError) as caught:
        svid_of(files)
    assert caught.value.message.startswith(f"the SVID is refused: {said} {why}")
