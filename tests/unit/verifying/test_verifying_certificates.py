"""Certificates of signers: who is believed under a root, and every way not to be. Real keys, real signatures.

The boundary of every rule is tested on both sides; the forger and the bundles
are written without the code under test.
"""

import base64
import datetime as dt
import json
import warnings

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import NameOID

from trustkit.attest.bundle import CertificateChain, PublicKeyHint
from trustkit.digest import digest_of
from trustkit.errors import FormatError, LimitError, UsageError, VerificationError
from trustkit.spiffe.certificates import certificate_from_der, has_usable_key
from trustkit.verifying.authorities import (
    MAX_CERTIFICATE_AUTHORITIES,
    MAX_IDENTITIES,
    MAX_ROOTS,
    ders_from_pem,
)
from trustkit.verifying.certificates import check_signs, describe, identity_of
from trustkit.verifying.chains import line_above
from trustkit.verifying.policy import parse_policy, policy_from_roots
from trustkit.verifying.presenting import check_signer
from trustkit.verifying.signers import has_signed
from trustkit.verifying.verify import verify_manifest, verify_statement

NOW = 1_800_000_000.0
SIGNS = (Usage.CODE_SIGNING,)
ML = ["email:ml@example.com"]
ODD = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")


@pytest.fixture(scope="session")
def payload(oms_payload):
    return oms_payload({"a": b"x"})


@pytest.fixture(scope="session")
def root(forger):
    return forger.Issuer(NOW, name="root", uris=())


@pytest.fixture(scope="session")
def between(forger, root):
    return forger.Issuer(NOW, name="between", parent=root, uris=())


class Person:
    """Somebody who signs bundles with a key, as the conftest's people do."""

    hint = "00" * 32

    def __init__(self, key):
        self.key = key

    def sign(self, message):
        size = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[self.key.curve.key_size]
        return self.key.sign(message, ec.ECDSA(size))


@pytest.fixture(scope="session")
def leaf_of():
    """Issue a certificate for a signer; good unless told otherwise."""

    def make(issuer, **how):
        how = {"uris": (), "emails": ("ml@example.com",), "extended": SIGNS, **how}
        return issuer.leaf(**how)

    return make


@pytest.fixture(scope="session")
def bundle_of(bundled, payload, forger):
    """Sign with a leaf's key, and carry these certificates."""

    def make(leaf, *others, more=(), content=None):
        certificate, key = leaf
        chain = [{"rawBytes": base64.b64encode(forger.der(c)).decode()} for c in (certificate, *others)]
        material = {"x509CertificateChain": {"certificates": chain}, "tlogEntries": []}
        return bundled(content or payload, Person(key), *more, material=material)

    return make


def believed(bundle, policy, at=NOW):
    return verify_manifest(bundle, policy, at=at).signers


def refused(code, bundle, policy, at=NOW, kind=VerificationError):
    with pytest.raises(kind) as caught:
        verify_manifest(bundle, policy, at=at)
    assert caught.value.code == code, caught.value
    return caught.value


@pytest.fixture(scope="session")
def under(root):
    """The policy of a bare root."""
    return policy_from_roots(root.pem)


# -- who is believed -----------------------------------------------------------------------------------


def test_a_leaf_under_a_root(root, leaf_of, bundle_of, under, forger):
    leaf = leaf_of(root)
    [signer] = believed(bundle_of(leaf), under)
    spki = (
        leaf[1]
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    assert (signer.authority, signer.identity) == ("ca", "email:ml@example.com")
    assert signer.fingerprint == digest_of(spki)
    assert signer.valid_until == leaf[0].not_valid_after_utc.timestamp()


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_each_curve_signs(root, leaf_of, bundle_of, under, curve):
    assert believed(bundle_of(leaf_of(root, key=ec.generate_private_key(curve))), under)


def test_a_leaf_below_an_intermediate_and_the_certificates_in_any_order(
    forger, root, between, leaf_of, bundle_of, under
):
    stranger = forger.Issuer(NOW, name="stranger")
    twin = forger.Issuer(NOW, name="between", parent=root, uris=())
    leaf = leaf_of(between)
    for others in (
        (between.certificate,),
        (between.certificate, root.certificate),
        (root.certificate, stranger.certificate, twin.certificate, between.certificate, stranger.certificate),
    ):
        [signer] = believed(bundle_of(leaf, *others), under)
        assert signer.identity == "email:ml@example.com"


def test_the_evidence_ends_with_the_first_certificate_of_the_path(forger, root, leaf_of, bundle_of, under):
    short = forger.Issuer(NOW, name="short", parent=root, uris=(), not_after=60)
    [signer] = believed(bundle_of(leaf_of(short), short.certificate), under)
    assert signer.valid_until == NOW + 60


def test_a_leaf_that_is_a_ca_and_bears_its_issuers_name(root, forger, leaf_of, bundle_of, under):
    """So the reference's own fixtures are made."""
    between = forger.Issuer(NOW, name="intermediate-ca", parent=root, uris=())
    leaf = leaf_of(between, subject="intermediate-ca", ca=True, emails=())
    [signer] = believed(bundle_of(leaf, between.certificate), under)
    assert signer.identity == "cn:intermediate-ca"


def test_a_ca_that_the_caller_names_ends_the_path_whoever_issued_it(between, leaf_of, bundle_of):
    assert believed(bundle_of(leaf_of(between)), policy_from_roots(between.pem))


def test_the_leaf_itself_may_be_named(root, forger, leaf_of, bundle_of):
    leaf = leaf_of(root)
    assert believed(bundle_of(leaf), policy_from_roots(forger.pem(leaf[0])))
    another = leaf_of(root)
    refused("certificate-untrusted", bundle_of(another), policy_from_roots(forger.pem(leaf[0])))


def test_roots_of_rsa_and_a_second_root(forger, root, leaf_of, bundle_of):
    key = rsa.generate_private_key(65537, 2048)
    other = forger.Issuer(NOW, name="rsa", uris=(), key=key)
    policy = policy_from_roots(b"Our roots, in words\n" + root.pem + b"\nand:\n" + other.pem)
    assert believed(bundle_of(leaf_of(other)), policy)
    assert believed(bundle_of(leaf_of(root)), policy)


def test_a_leaf_without_basic_constraints_or_names(root, leaf_of, bundle_of, under):
    [signer] = believed(bundle_of(leaf_of(root, ca=None, emails=(), subject="")), under)
    assert signer.identity is None


# -- the signature, and the key behind it --------------------------------------------------------------


def test_a_genuine_certificate_does_not_replace_a_signature(
    root, leaf_of, bundle_of, under, bundled, payload
):
    error = refused("wrong-signer", bundle_of((leaf_of(root)[0], leaf_of(root)[1])), under)
    assert "it was edited" in error.message
    value = json.loads(bundle_of(leaf_of(root)))
    value["dsseEnvelope"]["payload"] = base64.b64encode(payload + b" ").decode()
    refused("wrong-signer", json.dumps(value).encode(), under)


def test_the_leaf_is_the_first_certificate_and_no_other(root, leaf_of, bundle_of, under):
    signer, other = leaf_of(root), leaf_of(root)
    refused("wrong-signer", bundle_of((other[0], signer[1]), signer[0]), under)


# -- roots come from the caller ------------------------------------------------------------------------


def test_no_root_comes_from_the_bundle_or_the_system(forger, leaf_of, bundle_of, under):
    mallory = forger.Issuer(NOW, name="root", uris=())
    error = refused("certificate-untrusted", bundle_of(leaf_of(mallory), mallory.certificate), under)
    assert isinstance(error.evidence["reason"], str)


def test_a_missing_intermediate(between, leaf_of, bundle_of, under):
    refused("certificate-untrusted", bundle_of(leaf_of(between)), under)


def test_a_self_signed_leaf(forger, leaf_of, bundle_of, under):
    alone = forger.Issuer(NOW, name="alone", uris=(), key_usage=forger.usage(digital_signature=True))
    bundle = bundle_of((alone.certificate, alone.key))
    refused("certificate-untrusted", bundle, under)
    assert believed(bundle, policy_from_roots(alone.pem))


# -- time ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (-100.5, "certificate-not-yet-valid"),
        (-101, "certificate-not-yet-valid"),
        (-100, None),
        (0, None),
        (100, None),
        (100.9, None),
        (101, "certificate-expired"),
    ],
)
@pytest.mark.parametrize("where", ["leaf", "between", "root"])
def test_every_certificate_of_the_path_is_held_against_its_time(
    forger, leaf_of, bundle_of, where, seconds, code
):
    if where == "leaf" and seconds == -100.5:
        seconds = -101
    span = {"not_before": -100, "not_after": 100}
    top = forger.Issuer(NOW, name="top", uris=(), **(span if where == "root" else {}))
    middle = forger.Issuer(NOW, name="mid", parent=top, uris=(), **(span if where == "between" else {}))
    bundle = bundle_of(leaf_of(middle, **(span if where == "leaf" else {})), middle.certificate)
    policy = policy_from_roots(top.pem)
    if code is None or seconds == -100.5:
        at = NOW + (seconds if code is None else -100)
        assert believed(bundle, policy, at=at)
    else:
        assert refused(code, bundle, policy, at=NOW + seconds).exit_code == 1


def test_without_a_time_no_certificate_is_believed(root, leaf_of, bundle_of, under, people, bundled, payload):
    refused("certificate-time-unknown", bundle_of(leaf_of(root)), under, at=None)


def test_an_expired_stranger_in_the_bundle_harms_nobody(forger, root, leaf_of, bundle_of, under):
    old = forger.Issuer(NOW, name="old", not_after=-10)
    assert believed(bundle_of(leaf_of(root), old.certificate), under)


def test_an_expired_root_beside_its_successor(forger, leaf_of, bundle_of):
    key = ec.generate_private_key(ec.SECP256R1())
    old = forger.Issuer(NOW, name="same", uris=(), key=key, not_after=-10)
    new = forger.Issuer(NOW, name="same", uris=(), key=key)
    assert believed(bundle_of(leaf_of(new)), policy_from_roots(old.pem + new.pem))


# -- what a leaf must be -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "extended", "good"),
    [
        ({"digital_signature": True}, None, True),
        ({"digital_signature": True}, SIGNS, True),
        (None, SIGNS, True),
        (None, (Usage.ANY_EXTENDED_KEY_USAGE,), True),
        ({"digital_signature": True}, (Usage.SERVER_AUTH, Usage.CODE_SIGNING), True),
        (None, None, False),
        ({"content_commitment": True}, SIGNS, False),
        ({"key_cert_sign": True}, None, False),
        ({"digital_signature": True}, (Usage.SERVER_AUTH,), False),
        ({"digital_signature": True}, (Usage.SERVER_AUTH, Usage.CLIENT_AUTH), False),
        ({"digital_signature": True}, (Usage.EMAIL_PROTECTION,), False),
        ({"digital_signature": True}, (Usage.TIME_STAMPING,), False),
    ],
)
def test_what_a_leaf_may_be_used_for(forger, root, leaf_of, bundle_of, under, usage, extended, good):
    said = None if usage is None else forger.usage(**usage)
    leaf = leaf_of(root, key_usage=said, extended=extended)
    chain = CertificateChain((forger.der(leaf[0]),))
    if good:
        assert believed(bundle_of(leaf), under)
        assert check_signer(chain, at=NOW) == "email:ml@example.com"
    else:
        refused("certificate-not-for-signing", bundle_of(leaf), under)
        with pytest.raises(VerificationError, match="certificate-not-for-signing"):
            check_signer(chain, at=NOW)


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
)
def test_a_key_that_oms_does_not_have(root, leaf_of, forger, key):
    """Nothing that it signed can be verified, so nothing is signed with it."""
    leaf = leaf_of(root, key=key)
    with pytest.raises(VerificationError, match="certificate-not-for-signing"):
        check_signer(CertificateChain((forger.der(leaf[0]),)), at=NOW)


def test_a_key_of_an_unknown_kind(root, leaf_of, forger):
    raw = forger.der(leaf_of(root)[0])
    named = bytes.fromhex("06072a8648ce3d0201")  # id-ecPublicKey
    assert raw.count(named) == 1
    strange = raw.replace(named, bytes.fromhex("06072a8648ce3d027f"))
    with pytest.raises(FormatError, match="bad-certificate"):
        check_signer(CertificateChain((strange,)), at=NOW)
    with pytest.raises(VerificationError, match="certificate-not-for-signing"):
        check_signs(certificate_from_der(strange, "it"), at=NOW)


def test_a_curve_that_oms_does_not_have(root, leaf_of):
    leaf, _ = leaf_of(root, key=ec.generate_private_key(ec.SECP256K1()))
    with pytest.raises(VerificationError, match="certificate-not-for-signing"):
        check_signs(leaf, at=NOW)


def rsa_key(bits, exponent):
    """An RSA public key of this form; whoever has to check with it does not ask for its factors."""
    modulus = (1 << bits - 1) + (1 << bits // 2) + 1
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


@pytest.mark.parametrize(
    ("key", "good"),
    [
        (ec.generate_private_key(ec.SECP256R1()).public_key(), True),
        (ec.generate_private_key(ec.SECP384R1()).public_key(), True),
        (ec.generate_private_key(ec.SECP521R1()).public_key(), True),
        (ed25519.Ed25519PrivateKey.generate().public_key(), True),
        (rsa_key(2048, 65537), True),
        (rsa_key(4096, 2**32 - 1), True),
        (rsa_key(2047, 65537), False),
        (rsa_key(4097, 65537), False),
        (rsa_key(3072, 2**32 + 1), False),
        (rsa_key(3072, 2**3000 + 1), False),
        (ec.generate_private_key(ec.SECP256K1()).public_key(), False),
        (ec.generate_private_key(ec.SECP224R1()).public_key(), False),
        (ed448.Ed448PrivateKey.generate().public_key(), False),
        (x25519.X25519PrivateKey.generate().public_key(), False),
    ],
)
def test_keys_that_cost_too_much_or_prove_too_little(root, bundle_of, under, forger, leaf_of, key, good):
    """A signature of RSA costs as many multiplications as its exponent has bits, and strangers choose it."""
    owner = ec.generate_private_key(ec.SECP256R1())
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "other")]))
        .issuer_name(root.certificate.subject)
        .public_key(key)
        .serial_number(7)
        .not_valid_before(root.certificate.not_valid_before_utc)
        .not_valid_after(root.certificate.not_valid_after_utc)
        .add_extension(x509.ExtendedKeyUsage(SIGNS), critical=False)
        .sign(root.key, hashes.SHA256())
    )
    assert has_usable_key(made) == good
    if not good:
        refused("bad-certificate", bundle_of((made, owner)), under, kind=FormatError)
    assert believed(bundle_of(leaf_of(root), made), under)  # beside the leaf it is a stranger


def test_who_signs_now_and_who_does_not(root, leaf_of, forger):
    assert check_signer(PublicKeyHint("ab"), at=NOW) is None
    assert (
        check_signer(CertificateChain((forger.der(leaf_of(root, emails=(), subject="")[0]),)), at=NOW) is None
    )
    late = CertificateChain((forger.der(leaf_of(root, not_after=-1)[0]),))
    with pytest.raises(VerificationError, match="certificate-expired"):
        check_signer(late, at=NOW)


# -- what a CA must be ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        {"ca": False},
        {"ca": None},
        {"key_usage": "digital_signature"},
        {"extensions": ((ODD, True),)},
        {"extensions": ((x509.ExtendedKeyUsage([Usage.SERVER_AUTH]), False),)},
        {"extensions": ((x509.PolicyConstraints(0, None), True),)},
        {"key": ed25519.Ed25519PrivateKey.generate()},
        {"key": rsa.generate_private_key(65537, 1024)},
        {"key": ec.generate_private_key(ec.SECP256K1())},
    ],
)
@pytest.mark.parametrize("place", ["between", "root"])
def test_a_certificate_in_a_place_that_it_cannot_fill(forger, root, leaf_of, bundle_of, how, place):
    how = dict(how)
    if "key_usage" in how:
        how["key_usage"] = forger.usage(**{how["key_usage"]: True})
    parent = root if place == "between" else None
    issuer = forger.Issuer(NOW, name="odd", parent=parent, uris=(), **_self_signing(how, parent))
    leaf_hash = None if isinstance(issuer.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    bundle = bundle_of(leaf_of(issuer, hash_algorithm=leaf_hash), issuer.certificate)
    roots = root.pem if place == "between" else issuer.pem
    refused("certificate-untrusted", bundle, policy_from_roots(roots))


def _self_signing(how, parent):
    """The forger signs with SHA-256; an Ed25519 root needs its own way, so it stands below another."""
    if isinstance(how.get("key"), ed25519.Ed25519PrivateKey) and parent is None:
        return {**how, "key": rsa.generate_private_key(65537, 1024)}
    return how


def test_extended_key_usages_of_a_ca_that_allow_signing(forger, root, leaf_of, bundle_of, under):
    for allowed in (SIGNS, (Usage.ANY_EXTENDED_KEY_USAGE,), (Usage.SERVER_AUTH, Usage.CODE_SIGNING)):
        said = ((x509.ExtendedKeyUsage(allowed), True),)
        ca = forger.Issuer(NOW, name="typed", parent=root, uris=(), extensions=said)
        assert believed(bundle_of(leaf_of(ca), ca.certificate), under)


@pytest.mark.parametrize(
    ("length", "below", "good"), [(0, 0, True), (0, 1, False), (1, 1, True), (1, 2, False)]
)
def test_the_path_length_of_a_root(forger, leaf_of, bundle_of, length, below, good):
    top = forger.Issuer(NOW, name="top", uris=(), path_length=length)
    chain = [top]
    for number in range(below):
        chain.append(forger.Issuer(NOW, name=f"ca{number}", parent=chain[-1], uris=()))
    bundle = bundle_of(leaf_of(chain[-1]), *(issuer.certificate for issuer in chain[1:]))
    if good:
        assert believed(bundle, policy_from_roots(top.pem))
    else:
        refused("certificate-untrusted", bundle, policy_from_roots(top.pem))


def test_ten_certificates_and_no_more(forger, root, leaf_of, bundle_of, under):
    chain = [root]
    for number in range(9):
        chain.append(forger.Issuer(NOW, name=f"ca{number}", parent=chain[-1], uris=()))
    others = [issuer.certificate for issuer in chain[1:]]
    assert believed(bundle_of(leaf_of(chain[-1]), *others), under)
    refused(
        "chain-too-long", bundle_of(leaf_of(chain[-1]), *others, root.certificate), under, kind=LimitError
    )


def test_circles_and_crowds_cost_little(forger, root, leaf_of, bundle_of, under):
    """Nine CAs of one name and one key, each of which could have issued each other."""
    key = ec.generate_private_key(ec.SECP256R1())
    crowd = [forger.Issuer(NOW, name="loop", uris=(), key=key) for _ in range(9)]
    others = [issuer.certificate for issuer in crowd]
    leaf = leaf_of(crowd[0])
    assert line_above(leaf[0], others) == (others[0],)
    refused("certificate-untrusted", bundle_of(leaf, *others), under)


def test_of_a_bundle_one_line_above_the_leaf_is_kept(forger, root, leaf_of):
    """So each authority tries as many certificates as the path is long, whatever the bundle brings."""
    top = forger.Issuer(NOW, name="top", uris=())
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(4)]
    ring = [forger.Issuer(NOW, name="loop", uris=(), key=key) for key in keys]
    ring = [
        forger.Issuer(NOW, name="loop", uris=(), key=key, parent=above)
        for key, above in zip(keys, ring[1:] + ring[:1], strict=True)
    ]
    one = forger.Issuer(NOW, name="one", uris=(), parent=top)
    two = forger.Issuer(NOW, name="two", uris=(), parent=one)
    twin = forger.Issuer(NOW, name="two", uris=(), parent=one)
    again = forger.Issuer(NOW, name="one", uris=(), parent=root, key=one.key)
    leaf, _ = leaf_of(two)

    def line(leaf, *issuers):
        return line_above(leaf, [issuer.certificate for issuer in issuers])

    assert line(leaf, top, twin, root, one, again, two) == (two.certificate, one.certificate, top.certificate)
    assert line(leaf, again, one, two, root) == (two.certificate, again.certificate, root.certificate)
    assert line(leaf, top, one, twin) == ()  # nobody beside it signed it
    assert line(leaf_of(ring[2])[0], *ring) == (ring[2].certificate,)
    short = forger.Issuer(NOW, name="short", uris=(), key=rsa.generate_private_key(65537, 1024))
    assert line(leaf_of(short)[0], short) == ()


@pytest.mark.parametrize(
    "extension",
    [ODD, x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)])],
)
def test_an_unknown_critical_extension_of_a_leaf(root, leaf_of, bundle_of, under, extension):
    refused("certificate-untrusted", bundle_of(leaf_of(root, extensions=((extension, True),))), under)
    assert believed(bundle_of(leaf_of(root, extensions=((extension, False),))), under)


def constrained(forger, root, *, critical=True, permitted=None, excluded=None):
    said = ((x509.NameConstraints(permitted, excluded), critical),)
    return forger.Issuer(NOW, name="narrow", parent=root, uris=(), extensions=said)


@pytest.mark.parametrize("critical", [True, False])
def test_name_constraints_are_honoured_or_refused(forger, root, leaf_of, bundle_of, under, critical):
    mail = constrained(forger, root, critical=critical, permitted=[x509.RFC822Name("example.com")])
    assert believed(bundle_of(leaf_of(mail), mail.certificate), under)
    bad = bundle_of(leaf_of(mail, emails=("ml@example.org",)), mail.certificate)
    refused("certificate-untrusted", bad, under)

    host = constrained(forger, root, critical=critical, excluded=[x509.DNSName("evil.example")])
    assert believed(bundle_of(leaf_of(host, dns=("good.example",)), host.certificate), under)
    refused(
        "certificate-untrusted", bundle_of(leaf_of(host, dns=("a.evil.example",)), host.certificate), under
    )

    uri = constrained(
        forger, root, critical=critical, permitted=[x509.UniformResourceIdentifier("a.example")]
    )
    refused("certificate-untrusted", bundle_of(leaf_of(uri, uris=("spiffe://b/x",)), uri.certificate), under)

    name = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme")]))
    odd = constrained(forger, root, critical=critical, permitted=[name])
    refused("certificate-untrusted", bundle_of(leaf_of(odd), odd.certificate), under)


def test_a_common_name_proves_nothing_below_a_name_constraint(forger, root, leaf_of, bundle_of):
    narrow = constrained(forger, root, permitted=[x509.RFC822Name("example.com")])
    policy = policy_from_roots(root.pem, ["cn:boss", "email:other@example.com"])
    refused("identity-mismatch", bundle_of(leaf_of(narrow, subject="boss"), narrow.certificate), policy)
    assert believed(bundle_of(leaf_of(root, subject="boss")), policy)[0].identity == "cn:boss"


def test_below_a_name_constraint_a_common_name_is_nobodys_identity(forger, root, leaf_of, bundle_of, under):
    host = constrained(forger, root, permitted=[x509.DNSName("a.example")])
    alone = bundle_of(leaf_of(host, subject="boss", emails=()), host.certificate)
    assert believed(alone, under)[0].identity is None
    refused("identity-mismatch", alone, policy_from_roots(root.pem, ["cn:boss"]))
    named = bundle_of(leaf_of(host, subject="boss", emails=(), dns=("m.a.example",)), host.certificate)
    assert believed(named, under)[0].identity == "dns:m.a.example"
    other = bundle_of(leaf_of(host), host.certificate)  # a kind that the constraint does not mention
    assert believed(other, under)[0].identity == "email:ml@example.com"


def test_weak_signatures(forger, root, leaf_of, bundle_of, under):
    """The library makes no SHA-1 any more, so the name of the algorithm is changed in both its places."""
    raw = forger.der(leaf_of(root)[0])
    sha256, sha1 = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06072a8648ce3d0401")
    assert raw.count(sha256) == 2
    weak = _shorter(raw, sha256, sha1)
    value = json.loads(bundle_of(leaf_of(root)))
    chain = value["verificationMaterial"]["x509CertificateChain"]["certificates"]
    chain[0]["rawBytes"] = base64.b64encode(weak).decode()
    refused("certificate-untrusted", json.dumps(value).encode(), under)


def _shorter(raw, old, new):
    """Replace both algorithm names, and mend the lengths around them."""
    outer = 4
    body_length = int.from_bytes(raw[outer + 2 : outer + 4])
    body = raw[outer : outer + 4 + body_length]
    rest = raw[outer + 4 + body_length :]

    def mended(part):
        return part.replace(b"\x30\x0a" + old, b"\x30\x09" + new)

    inside, tail = mended(body[4:]), mended(rest)
    inner = b"\x30\x82" + len(inside).to_bytes(2) + inside
    return b"\x30\x82" + (len(inner) + len(tail)).to_bytes(2) + inner + tail


# -- identities ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "identity", "good"),
    [
        ({"emails": ("a@b.example",)}, "email:a@b.example", True),
        ({"emails": ("x@b.example", "a@b.example")}, "email:a@b.example", True),
        ({"uris": ("https://ci.example/train",)}, "uri:https://ci.example/train", True),
        ({"dns": ("host.example",)}, "dns:host.example", True),
        ({"emails": ("a@b.example",)}, "email:A@b.example", False),
        ({"emails": ("a@b.example",)}, "email:b.example", False),
        ({"emails": ("a@b.example",)}, "dns:b.example", False),
        ({"dns": ("*.example",)}, "dns:host.example", False),
        ({"uris": ("https://ci.example/train/2",)}, "uri:https://ci.example/train", False),
        ({"emails": ("a@b.example",), "subject": "a"}, "cn:a", True),
        ({"emails": (), "subject": "host.example"}, "dns:host.example", False),
        ({"emails": (), "subject": "a@b.example"}, "email:a@b.example", False),
    ],
)
def test_names_match_exactly_and_by_kind(root, leaf_of, bundle_of, names, identity, good):
    policy = policy_from_roots(root.pem, [identity])
    bundle = bundle_of(leaf_of(root, **names))
    if good:
        assert believed(bundle, policy)[0].identity == identity
    else:
        error = refused("identity-mismatch", bundle, policy)
        assert identity not in error.evidence["identities"]


@pytest.mark.parametrize(
    "text", ["", "ml@example.com", "email:", "mail:a@b", "cn:", "uri", "email:a\nb", "dns:" + "x" * 2048]
)
def test_an_identity_says_its_kind(root, text):
    with pytest.raises(UsageError, match="bad-identity") as caught:
        policy_from_roots(root.pem, [text])
    assert caught.value.message.startswith(f"identities: {text[:64]!r} is no identity; write uri:")
    assert identity_of("uri:urn:x") == "uri:urn:x"


def test_two_common_names_are_none(forger, root, leaf_of, bundle_of):
    certificate, key = leaf_of(root)
    two = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in ("a", "b")])
    made = (
        x509.CertificateBuilder()
        .subject_name(two)
        .issuer_name(root.certificate.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(certificate.not_valid_after_utc)
        .add_extension(x509.ExtendedKeyUsage(SIGNS), critical=False)
        .sign(root.key, hashes.SHA256())
    )
    refused("identity-mismatch", bundle_of((made, key)), policy_from_roots(root.pem, ["cn:a", "cn:b"]))


# -- bundles that are not of this kind -----------------------------------------------------------------


def test_a_bundle_of_a_key_under_a_policy_of_certificates(people, bundled, payload, under):
    refused("unsupported-material", bundled(payload, people["alice"]), under)


def test_a_bundle_of_a_strange_key_where_keys_are_believed_too(root, people, bundled, payload, policy_with):
    policy = policy_with(entry(roots={"pem": root.pem.decode()}, identities=ML), "alice")
    refused("wrong-signer", bundled(payload, people["mallory"]), policy)


def test_a_keyless_bundle_proves_nothing_to_a_certificate_authority(
    root, leaf_of, forger, bundled, payload, under
):
    certificate, key = leaf_of(root)
    material = {
        "certificate": {"rawBytes": base64.b64encode(forger.der(certificate)).decode()},
        "tlogEntries": [{}],
    }
    refused("unsupported-material", bundled(payload, Person(key), material=material), under)


@pytest.mark.parametrize("place", [0, 1])
def test_certificates_that_do_not_parse(root, leaf_of, bundle_of, under, place):
    value = json.loads(bundle_of(leaf_of(root), root.certificate))
    value["verificationMaterial"]["x509CertificateChain"]["certificates"][place]["rawBytes"] = "QUJD"
    assert refused("bad-certificate", json.dumps(value).encode(), under, kind=FormatError).exit_code == 3
    value["verificationMaterial"]["x509CertificateChain"]["certificates"][place]["rawBytes"] = "A" * 90_000
    refused("too-large", json.dumps(value).encode(), under, kind=LimitError)


@pytest.mark.parametrize("place", [0, 1])
def test_a_signature_of_which_the_last_bit_does_not_count(root, leaf_of, bundle_of, under, forger, place):
    """DER allows that where the bit is 0, the library reads over it, and nobody signed it."""
    leaf, key = next(made for made in (leaf_of(root) for _ in range(99)) if not made[0].signature[-1] & 1)
    raw, size = bytearray(forger.der(leaf)), len(leaf.signature)
    assert raw[-size - 1] == 0
    raw[-size - 1] = 1
    value = json.loads(bundle_of((leaf, key), leaf))
    assert believed(json.dumps(value).encode(), under)
    chain = value["verificationMaterial"]["x509CertificateChain"]["certificates"]
    chain[place]["rawBytes"] = base64.b64encode(raw).decode()
    refused("bad-certificate", json.dumps(value).encode(), under, kind=FormatError)


@pytest.mark.parametrize("how", ["error", "ignore"])
@pytest.mark.parametrize("number", [0, -1])
@pytest.mark.parametrize("place", [0, 1])
def test_a_serial_number_that_is_not_positive(root, leaf_of, bundle_of, under, forger, place, number, how):
    """The library only warns of it, and what becomes of warnings is not ours to say."""
    leaf, key = leaf_of(root, serial=1)
    odd = forger.der(leaf).replace(b"\x02\x01\x01", b"\x02\x01" + number.to_bytes(1, signed=True), 1)
    value = json.loads(bundle_of((leaf, key), leaf))
    chain = value["verificationMaterial"]["x509CertificateChain"]["certificates"]
    chain[place]["rawBytes"] = base64.b64encode(odd).decode()
    with warnings.catch_warnings():
        warnings.simplefilter(how)
        before = list(warnings.filters)
        refused("bad-certificate", json.dumps(value).encode(), under, kind=FormatError)
        assert warnings.filters == before


def test_reading_certificates_leaves_the_filters_of_warnings_alone(root, leaf_of, forger, monkeypatch):
    """They belong to the process: two threads that change them leave them changed."""
    odd = forger.der(leaf_of(root, serial=1)[0]).replace(b"\x02\x01\x01", b"\x02\x01\x00", 1)
    monkeypatch.setattr(warnings, "catch_warnings", None)
    monkeypatch.setattr(warnings, "simplefilter", None)
    with pytest.raises(FormatError, match="bad-certificate"):
        certificate_from_der(odd, "it")


@pytest.mark.parametrize(
    ("how", "code", "kind"),
    [("error", "bad-certificate", FormatError), ("ignore", "certificate-untrusted", VerificationError)],
)
def test_a_name_that_the_library_warns_of(root, leaf_of, bundle_of, under, forger, how, code, kind):
    """A country of eight letters is an error of ours even where warnings are made errors."""
    leaf = leaf_of(root)
    raw = forger.der(leaf[0])
    odd = raw.replace(bytes.fromhex("0603550403"), bytes.fromhex("0603550406"))
    assert odd != raw
    value = json.loads(bundle_of(leaf))
    [certificate] = value["verificationMaterial"]["x509CertificateChain"]["certificates"]
    certificate["rawBytes"] = base64.b64encode(odd).decode()
    with warnings.catch_warnings():
        warnings.simplefilter(how)
        refused(code, json.dumps(value).encode(), under, kind=kind)


def test_two_extensions_of_one_kind_are_unreadable(root, leaf_of, bundle_of, under, forger):
    certificate, _ = leaf_of(
        root,
        extensions=(
            (ODD, False),
            (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.6"), b"\x05\x00"), False),
        ),
    )
    raw = forger.der(certificate)
    doubled = raw.replace(bytes.fromhex("06042a030406"), bytes.fromhex("06042a030405"))
    assert doubled != raw
    with pytest.raises(FormatError, match="bad-certificate"):
        describe(doubled)


# -- policies ------------------------------------------------------------------------------------------


def entry(name="ml-ca", roles=("author",), **said):
    return {"name": name, "roles": list(roles), "certificate": said}


@pytest.fixture(scope="session")
def policy_with(people, no_files):
    """Parse a policy of these authorities; alice, bob and carol are keys."""

    def make(*authorities, read_file=no_files, **spec):
        listed = [
            authority
            if isinstance(authority, dict)
            else {"name": authority, "roles": ["author"], "key": {"pem": people[authority].pem.decode()}}
            for authority in authorities
        ]
        document = {
            "apiVersion": "trustkit.dev/v1alpha1",
            "kind": "VerificationPolicy",
            "metadata": {"name": "house"},
            "spec": {"authorities": listed, **spec},
        }
        return parse_policy(json.dumps(document).encode(), read_file=read_file)

    return make


def test_a_policy_of_certificates(root, leaf_of, bundle_of, policy_with):
    pem = root.pem.decode()
    policy = policy_with(entry(roots={"pem": pem}, identities=["email:ml@example.com"]))
    [signer] = believed(bundle_of(leaf_of(root)), policy)
    assert (signer.authority, signer.identity) == ("ml-ca", "email:ml@example.com")
    refused("identity-mismatch", bundle_of(leaf_of(root, emails=("x@example.com",))), policy)
    assert policy.keys_of() == ()
    public = root.key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert policy.signing() == {digest_of(public)}
    asked = []

    def read_file(name):
        asked.append(name)
        return root.pem

    policy = policy_with(entry(roots={"file": "roots.pem"}), read_file=read_file)
    assert asked == ["roots.pem"]
    assert believed(bundle_of(leaf_of(root)), policy)


@pytest.mark.parametrize(
    ("asked", "extended", "good"),
    [
        ("codeSigning", SIGNS, True),
        ("codeSigning", (Usage.ANY_EXTENDED_KEY_USAGE,), False),
        ("codeSigning", None, False),
        ("1.3.6.1.4.1.99999.1", (x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"),), True),
        ("1.3.6.1.4.1.99999.1", SIGNS, False),
    ],
)
def test_a_policy_may_insist_on_an_extended_key_usage(
    root, leaf_of, bundle_of, policy_with, asked, extended, good
):
    policy = policy_with(entry(roots={"pem": root.pem.decode()}, extendedKeyUsage=asked))
    bundle = bundle_of(leaf_of(root, extended=extended))
    if good:
        assert believed(bundle, policy)
    else:
        refused("certificate-not-for-signing", bundle, policy)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({}, "bad-policy"),
        ({"roots": {}}, "bad-policy"),
        ({"roots": {"pem": "PEM", "file": "x"}}, "bad-policy"),
        ({"roots": {"pem": "no certificate"}}, "bad-policy"),
        ({"roots": {"pem": "PEM"}, "identities": []}, "bad-policy"),
        ({"roots": {"pem": "PEM"}, "identities": [1]}, "bad-policy"),
        ({"roots": {"pem": "PEM"}, "identities": ["nobody"]}, "bad-identity"),
        ({"roots": {"pem": "PEM"}, "identities": ["cn:a", "cn:a"]}, "bad-identity"),
        (
            {"roots": {"pem": "PEM"}, "identities": [f"cn:{n}" for n in range(MAX_IDENTITIES + 1)]},
            "bad-identity",
        ),
        ({"roots": {"pem": "PEM"}, "identity": ["cn:a"]}, "bad-policy"),
        ({"roots": {"pem": "PEM"}, "extendedKeyUsage": "serverauth"}, "bad-policy"),
        ({"roots": {"pem": "PEM"}, "extendedKeyUsage": "9.9"}, "bad-policy"),
        ({"roots": {"pem": "PEM"}, "extendedKeyUsage": "0.99.1"}, "bad-policy"),
        ({"roots": {"pem": "KEY"}}, "private-key-given"),
    ],
)
def test_a_policy_is_exact_about_certificates(root, forger, policy_with, said, code):
    text = json.dumps(said).replace('"PEM"', json.dumps(root.pem.decode()))
    text = text.replace('"KEY"', json.dumps(forger.key_pem(root.key).decode()))
    with pytest.raises(UsageError) as caught:
        policy_with(entry(**json.loads(text)))
    assert caught.value.code == code
    if said.get("identities") is not None:
        assert "spec.authorities[0].certificate.identities" in caught.value.message


def test_an_authority_is_of_one_kind(root, policy_with, people):
    both = {**entry(roots={"pem": root.pem.decode()}), "key": {"pem": people["alice"].pem.decode()}}
    for wrong in (both, {"name": "neither", "roles": ["author"]}):
        with pytest.raises(UsageError, match="exactly one of key and certificate"):
            policy_with(wrong)


def test_caps_of_a_policy(root, policy_with):
    pem = root.pem.decode()
    many = [entry(name=f"ca-{n}", roots={"pem": pem}) for n in range(MAX_CERTIFICATE_AUTHORITIES + 1)]
    policy_with(*many[1:])
    with pytest.raises(UsageError, match="may be certificates"):
        policy_with(*many)
    assert len(ders_from_pem(root.pem * MAX_ROOTS, "x", most=MAX_ROOTS)) == MAX_ROOTS
    with pytest.raises(LimitError, match="chain-too-long"):
        policy_from_roots(root.pem * (MAX_ROOTS + 1))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ],
)
def test_files_that_are_no_roots(raw, root):
    for file in (raw, root.pem + raw or b"x"):
        if file == root.pem:
            continue
        lone = file.startswith(b"-----BEGIN PUBLIC KEY-----")  # what somebody took for a root, and says so
        kind, code = (UsageError, "public-key-given") if lone else (FormatError, "bad-certificate")
        with pytest.raises(kind, match=code):
            policy_from_roots(file)


def test_the_digest_of_a_bare_policy_is_what_it_means(root, between):
    one, other = policy_from_roots(root.pem + between.pem), policy_from_roots(between.pem + root.pem)
    assert one.digest == other.digest
    assert one.digest != policy_from_roots(root.pem).digest
    assert policy_from_roots(root.pem, ["cn:a"]).digest != policy_from_roots(root.pem).digest


# -- thresholds ----------------------------------------------------------------------------------------


def test_a_key_and_a_certificate_reach_a_threshold(root, leaf_of, bundle_of, policy_with, people):
    policy = policy_with(entry(roots={"pem": root.pem.decode()}, identities=ML), "alice", threshold=2)
    signers = believed(bundle_of(leaf_of(root), more=[people["alice"]]), policy)
    assert {signer.authority: signer.identity for signer in signers} == {
        "ml-ca": "email:ml@example.com",
        "alice": None,
    }
    refused("below-threshold", bundle_of(leaf_of(root)), policy)
    refused("below-threshold", bundle_of(leaf_of(root), more=[people["mallory"]]), policy)


def test_who_is_missing_is_named_with_what_his_certificate_was_refused_for(
    root, leaf_of, bundle_of, policy_with, people
):
    policy = policy_with(entry(roots={"pem": root.pem.decode()}, identities=["cn:x"]), "alice", threshold=2)
    error = refused("below-threshold", bundle_of(leaf_of(root), more=[people["alice"]]), policy)
    assert "valid from 'alice', none from 'ml-ca' (identity-mismatch); get" in error.message
    assert (error.evidence["signers"], error.evidence["missing"]) == (["alice"], ["ml-ca"])


def test_two_leaves_of_one_authority_count_once(root, leaf_of, bundle_of, policy_with):
    one, two = leaf_of(root), leaf_of(root)
    policy = policy_with(entry(roots={"pem": root.pem.decode()}, identities=ML), "alice", threshold=2)
    bundle = bundle_of(one, two[0], more=[Person(two[1])])
    assert refused("below-threshold", bundle, policy).evidence["signers"] == ["ml-ca"]


def test_one_certificate_that_two_authorities_believe_counts_once(root, leaf_of, bundle_of, policy_with):
    said = {"roots": {"pem": root.pem.decode()}, "identities": ML}
    policy = policy_with(entry("one", **said), entry("two", **said), "alice", threshold=2)
    error = refused("below-threshold", bundle_of(leaf_of(root)), policy)
    assert error.evidence["signers"] == ["one", "two"]


def test_one_key_believed_for_itself_and_for_its_certificate_counts_once(
    root, leaf_of, bundle_of, policy_with, people
):
    policy = policy_with(entry(roots={"pem": root.pem.decode()}, identities=ML), "alice", "bob", threshold=2)
    leaf = leaf_of(root, key=people["alice"].key)
    refused("below-threshold", bundle_of(leaf), policy)
    assert len(believed(bundle_of(leaf, more=[people["bob"]]), policy)) == 3


def test_a_threshold_that_certificates_alone_cannot_reach_is_no_policy(root, policy_with):
    said = {"roots": {"pem": root.pem.decode()}, "identities": ML}
    with pytest.raises(UsageError, match="authors that one bundle can have"):
        policy_with(entry("one", **said), entry("two", **said), threshold=2)
    policy_with(entry("one", **said), entry("two", **said), "alice", threshold=2)


def test_a_threshold_does_not_count_authors_whom_nobody_named(root, policy_with):
    """Alice's key, and a certificate that alice got from the same house, are one person."""
    pem = {"pem": root.pem.decode()}
    with pytest.raises(UsageError, match="list identities") as caught:
        policy_with(entry(roots=pem), "alice", "bob", threshold=2)
    assert caught.value.code == "bad-policy"
    assert policy_with(entry(roots=pem), "alice", "bob", threshold=1).threshold == 1
    assert policy_with(entry(roots=pem, roles=("publisher",)), "alice", "bob", threshold=2).threshold == 2
    assert policy_with(entry(roots=pem, identities=ML), "alice", threshold=2).threshold == 2


def test_the_most_telling_refusal_is_told(forger, root, leaf_of, bundle_of, policy_with):
    other = forger.Issuer(NOW, name="other", uris=())
    policy = policy_with(
        entry("other", roots={"pem": other.pem.decode()}),
        entry("ours", roots={"pem": root.pem.decode()}, identities=["cn:nobody"]),
    )
    refused("identity-mismatch", bundle_of(leaf_of(root)), policy)


def test_roles_are_kept_apart(root, leaf_of, bundle_of, policy_with, people):
    policy = policy_with(entry(roles=("publisher",), roots={"pem": root.pem.decode()}), "alice")
    refused("unsupported-material", bundle_of(leaf_of(root)), policy)
    assert verify_statement(bundle_of(leaf_of(root)), policy, role="publisher", at=NOW).signers


# -- for people ----------------------------------------------------------------------------------------


def test_a_certificate_is_described(root, leaf_of, forger):
    raw = forger.der(leaf_of(root)[0])
    said = describe(raw)
    assert (said.subject, said.issuer) == ("CN=workload", "CN=root")
    assert said.identities == ("email:ml@example.com", "cn:workload")
    begins = dt.datetime.fromtimestamp(NOW - 3600, dt.UTC)
    assert said.not_before == begins.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert said.fingerprint == str(digest_of(raw))


def test_who_has_signed_already(people, bundled, payload):
    from trustkit.attest.bundle import parse_bundle
    from trustkit.attest.dsse import pae

    envelope = parse_bundle(bundled(payload, people["alice"], people["bob"])).envelope
    content = pae(envelope.payload_type, envelope.payload)
    assert has_signed(people["bob"].pem, content, envelope)
    assert not has_signed(people["mallory"].pem, content, envelope)


def test_the_usage_that_a_certificate_has_is_named_and_the_one_that_is_asked_for(root, leaf_of):
    leaf, _ = leaf_of(root, extended=(Usage.CODE_SIGNING,))
    with pytest.raises(VerificationError) as caught:
        check_signs(leaf, at=NOW, purposes=frozenset((Usage.SERVER_AUTH,)))
    assert caught.value.message.endswith(
        "its extended key usage is 1.3.6.1.5.5.7.3.3, and 1.3.6.1.5.5.7.3.1 is asked for"
    )
