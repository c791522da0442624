"""Certificates that are renewed while the webhook runs: whole sets are taken, broken ones are not (E16)."""

import ssl
import time

import pytest

from admission.config import TLSConfig
from admission.tls import RenewedContext, tls_context
from trustkit.errors import UsageError
from trustkit.spiffe.authority import Authority


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
    context = tls_context(config_of(webhook))
    assert (context.minimum_version, context.verify_mode) == (ssl.TLSVersion.TLSv1_3, ssl.CERT_REQUIRED)
    assert tls_context(config_of(webhook, client_ca=None)).verify_mode == ssl.CERT_NONE


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
    for make in (tls_context, lambda config: RenewedContext(config, print)):
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
        tls_context(config_of(webhook, **{member: "other.pem"}))
    assert caught.value.message.startswith(f"tls.{member} {str(other)!r} cannot be used: ")
    assert why in caught.value.message
    assert "_ssl.c" not in caught.value.message
    assert caught.value.evidence == {"field": f"tls.{member}", "file": str(other)}


def test_new_connections_get_the_new_certificate_and_old_files_are_left(webhook):
    alarms = []
    renewed = RenewedContext(config_of(webhook), alarms.append)
    first = shaken(renewed.current(), webhook.context())
    assert shaken(renewed.current(), webhook.context()) == first
    webhook.certify()
    second = shaken(renewed.current(), webhook.context())
    assert second != first
    assert shaken(renewed.current(), webhook.context()) == second
    assert alarms == []


def test_a_set_that_is_half_written_leaves_the_old_one_and_is_said_once(webhook):
    alarms = []
    renewed = RenewedContext(config_of(webhook), alarms.append)
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
    renewed = RenewedContext(config_of(webhook), print)
    before = webhook.context()
    shaken(renewed.current(), before)
    other = Authority("demo.test", now=time.time(), lifetime_seconds=3600)
    webhook.certify(authority=other)
    shaken(renewed.current(), webhook.context())
    before.check_hostname = False
    before.verify_mode = ssl.CERT_NONE
    with pytest.raises(ssl.SSLError):
        shaken(renewed.current(), before)
