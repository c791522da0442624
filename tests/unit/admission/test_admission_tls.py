"""Certificates that are renewed while the webhook runs: whole sets are taken, broken ones are not (E16)."""

import ssl
import time

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from admission.config import TLSConfig
from admission.tls import RenewedContext, tls_context
from trustkit.errors import UsageError
from trustkit.spiffe.authority import Authority

CLIENT_AUTH, SERVER_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


def config_of(webhook, **changes):
    folder = webhook.folder / "tls"
    files = {"certificate": "svid.pem", "private_key": "svid_key.pem", "client_ca": "bundle.pem", **changes}
    return TLSConfig(**{name: folder / file if file else None for name, file in files.items()})


def shaken(server, client):
    """Shake hands in memory and return the certificate that the client saw."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    there = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(6):
        for side in (here, there):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    here.do_handshake()
    there.do_handshake()
    return here.getpeercert(binary_form=True)


def test_a_set_of_files_makes_a_context(webhook):
    context = tls_context(config_of(webhook), now=time.time())
    assert (context.minimum_version, context.verify_mode) == (ssl.TLSVersion.TLSv1_3, ssl.CERT_REQUIRED)
    assert tls_context(config_of(webhook, client_ca=None), now=time.time()).verify_mode == ssl.CERT_NONE


@pytest.mark.parametrize(
    ("member", "content"),
    [
        ("certificate", None),
        ("private_key", None),
        ("client_ca", None),
        ("certificate", b"nothing"),
        ("private_key", b"nothing"),
        ("client_ca", b"nothing"),
        (
            "private_key",
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        ),
    ],
)
def test_a_set_that_is_not_whole_makes_none(webhook, member, content):
    config = config_of(webhook, **{member: "other.pem"})
    if content is not None:
        (webhook.folder / "tls" / "other.pem").write_bytes(content)
    for make in (
        lambda config: tls_context(config, now=time.time()),
        lambda config: RenewedContext(config, print, now=time.time),
    ):
        with pytest.raises(UsageError) as caught:
            make(config)
        assert caught.value.code == "bad-tls"


@pytest.mark.parametrize(
    ("member", "content", "why"),
    [
        ("certificate", None, "there is no file at"),
        ("private_key", None, "there is no file at"),
        ("client_ca", None, "there is no file at"),
        ("certificate", b"nothing", "there is no PEM certificate in it"),
        ("private_key", b"nothing", "there is no PEM private key in it"),
        ("client_ca", b"nothing", "there is no PEM certificate in it"),
        ("private_key", b"-----BEGIN ENCRYPTED PRIVATE KEY-----", "it is encrypted, and nobody is asked"),
        ("private_key", b"-----BEGIN PRIVATE KEY-----", "cannot be used: with the certificate"),
        ("client_ca", b"-----BEGIN CERTIFICATE-----", "cannot be used: "),
    ],
)
def test_what_makes_none_is_named(webhook, member, content, why):
    other = webhook.folder / "tls" / "other.pem"
    if content is not None:
        other.write_bytes(content + b"\n")
    with pytest.raises(UsageError) as caught:
        tls_context(config_of(webhook, **{member: "other.pem"}), now=time.time())
    assert caught.value.message.startswith(f"tls.{member} {str(other)!r} cannot be used: ")
    assert why in caught.value.message
    assert "_ssl.c" not in caught.value.message
    assert caught.value.evidence == {"field": f"tls.{member}", "file": str(other)}


def test_new_connections_get_the_new_certificate_and_old_files_are_left(webhook):
    alarms = []
    renewed = RenewedContext(config_of(webhook), alarms.append, now=time.time)
    first = shaken(renewed.current(), webhook.context())
    assert shaken(renewed.current(), webhook.context()) == first
    webhook.certify()
    second = shaken(renewed.current(), webhook.context())
    assert second != first
    assert shaken(renewed.current(), webhook.context()) == second
    assert alarms == []


def test_a_set_that_is_half_written_leaves_the_old_one_and_is_said_once(webhook):
    alarms = []
    renewed = RenewedContext(config_of(webhook), alarms.append, now=time.time)
    first = shaken(renewed.current(), webhook.context())
    certificate = webhook.folder / "tls" / "svid.pem"
    whole = certificate.read_bytes()
    for broken in (whole[:100], b""):
        certificate.write_bytes(broken)
        assert shaken(renewed.current(), webhook.context()) == first
        assert shaken(renewed.current(), webhook.context()) == first
    certificate.unlink()
    assert shaken(renewed.current(), webhook.context()) == first
    assert [alarm.code for alarm in alarms] == ["bad-tls"] * 3
    certificate.write_bytes(whole)
    assert shaken(renewed.current(), webhook.context()) == first
    assert len(alarms) == 3


def test_a_new_ca_counts_for_the_next_connection(webhook):
    renewed = RenewedContext(config_of(webhook), print, now=time.time)
    before = webhook.context()
    shaken(renewed.current(), before)
    other = Authority("demo.test", now=time.time(), lifetime_seconds=3600)
    webhook.certify(authority=other)
    shaken(renewed.current(), webhook.context())
    before.check_hostname = False
    before.verify_mode = ssl.CERT_NONE
    with pytest.raises(ssl.SSLError):
        shaken(renewed.current(), before)


def served(webhook, forger, **leaf):
    """Give the webhook a certificate of its own, good but for what is said."""
    issuer = forger.Issuer(time.time(), name="tls", uris=())
    certificate, key = issuer.leaf(**{"uris": (), "dns": ("webhook.trustkit.svc",), **leaf})
    folder = webhook.folder / "tls"
    (folder / "server.pem").write_bytes(forger.pem(certificate))
    (folder / "server.key").write_bytes(forger.key_pem(key))
    return config_of(webhook, certificate="server.pem", private_key="server.key")


USABLE = [{}, {"extended": None}, {"dns": (), "addresses": ("127.0.0.1",)}, {"extended": (SERVER_AUTH,)}]


@pytest.mark.parametrize("leaf", USABLE)
def test_a_certificate_that_clients_believe_is_served(webhook, forger, leaf):
    assert tls_context(served(webhook, forger, **leaf), now=time.time())


UNUSABLE = {
    "it has expired": ({"not_after": -5}, "the certificate expired at 20"),
    "it is not valid yet": ({"not_before": 600}, "the certificate is not valid yet, but from 20"),
    "it is for clients": ({"extended": (CLIENT_AUTH,)}, "extended key usage lacks serverAuth"),
    "it names no host": ({"dns": (), "uris": ("spiffe://demo.test/w",)}, "the certificate names no host"),
    "it has no names": ({"dns": ()}, "the certificate names no host"),
}


@pytest.mark.parametrize(("leaf", "why"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_certificate_that_no_client_believes_is_refused_before_anything_is_served(
    webhook, forger, leaf, why
):
    config = served(webhook, forger, **leaf)
    with pytest.raises(UsageError) as caught:
        RenewedContext(config, print, now=time.time)
    start = f"tls.certificate {str(config.certificate)!r} cannot be used: "
    assert caught.value.message.startswith(start)
    assert why in caught.value.message
    assert (caught.value.code, caught.value.evidence["field"]) == ("bad-tls", "tls.certificate")


def test_a_renewed_certificate_that_has_expired_leaves_the_old_one(webhook, forger):
    alarms = []
    config = served(webhook, forger)
    renewed = RenewedContext(config, alarms.append, now=time.time)
    before = renewed.current()
    served(webhook, forger, not_after=-5)
    assert renewed.current() is before
    [alarm] = alarms
    assert "the certificate expired at 20" in alarm.message


@pytest.mark.parametrize("words", [("check-config",), ("check-config", "--without-svid"), ("serve",)])
def test_no_program_calls_an_expired_certificate_valid(webhook, forger, words):
    tls = served(webhook, forger, not_after=-5)
    files = {"certificate": str(tls.certificate), "private_key": str(tls.private_key)}
    config = webhook.config(tls={**files, "client_ca": str(tls.client_ca)})
    done = webhook.run(words[0], "--config", config, *words[1:])
    assert (done.returncode, done.stdout) == (2, "")
    assert "the certificate expired at 20" in done.stderr
    assert done.stderr.endswith("; have a new one issued [bad-tls]\n")


def test_a_renewed_certificate_of_tomorrow_is_taken_once_it_is_valid(webhook, forger):
    """Clocks differ, and nobody writes the files again."""
    alarms, now = [], [time.time()]
    config = served(webhook, forger)
    renewed = RenewedContext(config, alarms.append, now=lambda: now[0])
    before = renewed.current()
    served(webhook, forger, not_before=600)
    for _ in range(3):
        now[0] += 100
        assert renewed.current() is before
    now[0] += 600
    assert renewed.current() is not before
    assert len(alarms) == 1
