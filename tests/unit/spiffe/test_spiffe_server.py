"""The certificate of a server whose clients know no SPIFFE: every rule, and what is left to the client."""

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from trustkit.errors import UsageError
from trustkit.spiffe.server import check_server_certificate

CODE_SIGNING = ExtendedKeyUsageOID.CODE_SIGNING
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
ANY = ObjectIdentifier("2.5.29.37.0")


@pytest.fixture
def made(certificates, issuer):
    """Make the PEM of a server's certificate, good but for what is said."""

    def make(**leaf):
        return certificates.pem(issuer.leaf(**{"uris": (), "dns": ("webhook.trustkit.svc",), **leaf})[0])

    return make


GOOD = {
    "for servers and clients": {},
    "for servers": {"extended": (SERVER_AUTH,)},
    "for servers and something else": {"extended": (CODE_SIGNING, SERVER_AUTH)},
    "for anything": {"extended": (ANY,)},
    "for what is not said": {"extended": None},
    "an address": {"dns": (), "addresses": ("127.0.0.1",)},
    "a host beside a SPIFFE ID": {"uris": ("spiffe://demo.test/webhook",)},
    "until this second": {"not_after": 0},
    "from this second on": {"not_before": 0},
}


@pytest.mark.parametrize("leaf", GOOD.values(), ids=GOOD.keys())
def test_a_certificate_of_a_server_is_taken(made, now, leaf):
    check_server_certificate(made(**leaf), now=now)


BAD = {
    "a second too old": ({"not_after": -1}, "the certificate expired at 20"),
    "a second too young": ({"not_before": 1}, "the certificate is not valid yet, but from 20"),
    "for code": ({"extended": (CODE_SIGNING,)}, "extended key usage lacks serverAuth"),
    "without names": ({"dns": ()}, "the certificate names no host"),
    "with a name in the subject alone": (
        {"dns": (), "subject": "webhook.trustkit.svc"},
        "the certificate names no host",
    ),
    "with other names": (
        {"dns": (), "uris": ("spiffe://demo.test/webhook",), "emails": ("ml@example.com",)},
        "the certificate names no host",
    ),
}


@pytest.mark.parametrize(("leaf", "why"), BAD.values(), ids=BAD.keys())
def test_a_certificate_that_no_client_believes_is_refused(made, now, leaf, why):
    with pytest.raises(UsageError, match=why) as caught:
        check_server_certificate(made(**leaf), now=now)
    assert caught.value.code == "bad-tls"


def test_the_first_certificate_is_the_server_s(made, now, issuer):
    check_server_certificate(made() + issuer.pem, now=now)
    with pytest.raises(UsageError, match="the certificate"):
        check_server_certificate(issuer.pem + made(), now=now)


@pytest.mark.parametrize(
    "raw", [b"", b"nothing", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_refused(now, raw):
    with pytest.raises(UsageError, match="does not parse"):
        check_server_certificate(raw, now=now)


def test_what_another_reader_would_serve_is_refused(forger):
    issuer = forger.Issuer(0.0, uris=())
    certificate, _ = issuer.leaf(uris=(), dns=("localhost",))
    pem = forger.pem(certificate)
    check_server_certificate(pem, now=0.0)
    trusted = pem.replace(b" CERTIFICATE", b" TRUSTED CERTIFICATE")
    with pytest.raises(UsageError) as caught:
        check_server_certificate(trusted + pem, now=0.0)
    assert caught.value.code == "bad-tls"
