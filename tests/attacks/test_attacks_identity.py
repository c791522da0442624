"""Impostors (threat model T10): in the place of a server, and at the door of one. The programs are real."""

import contextlib
import importlib.util
import os
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from trustkit.artifact.reference import Reference
from trustkit.errors import DeniedError, VerificationError
from trustkit.spiffe.authority import Authority
from trustkit.spiffe.mtls import client_context
from trustkit.spiffe.names import SpiffeID
from trustkit.spiffe.svid import svid_from_pem
from trustkit.storage.http import HTTPSource

DOMAIN = "demo.test"
STORE = SpiffeID(DOMAIN, "/store")
REQUEST = b"GET /acme/tiny-llm/1/recipients.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def certificates():
    """The forger: test folders are no packages, so it is loaded by its path."""
    path = Path(__file__).parents[1] / "simulators" / "certificates.py"
    spec = importlib.util.spec_from_file_location("trustkit_tests_certificates", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def forger(certificates, estate):
    """Certificates under the estate's own CA that the estate's issuer would never make."""
    issuer = certificates.Issuer(float(int(time.time())), domain=DOMAIN)
    issuer.key, issuer.certificate = estate.authority._key, estate.authority._certificate
    return issuer


def loaded(context, certificates, certificate, key):
    """Give a context a certificate and key that no rule was held against."""
    descriptor = os.memfd_create("forged")
    os.write(descriptor, certificates.key_pem(key) + certificates.pem(certificate))
    context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    os.close(descriptor)
    return context


class Impostor:
    """A server that checks nothing, shows what it was given, and keeps every byte that it hears."""

    def __init__(self, context):
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard = b""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        with contextlib.suppress(OSError):
            plain, _ = self._listener.accept()
            plain.settimeout(10)
            with plain, self._context.wrap_socket(plain, server_side=True) as tls:
                while piece := tls.recv(4096):
                    self.heard += piece

    def close(self):
        self._thread.join(20)
        self._listener.close()


def ours(estate, path="/sidecar"):
    """Our own SVID, as the estate's issuer makes it."""
    files = estate.authority.files(path, now=time.time(), lifetime_seconds=600)
    return svid_from_pem(*files.values(), now=time.time())


def source(port, svid, expected=STORE):
    return HTTPSource(
        Reference(f"127.0.0.1:{port}", "acme/tiny-llm/1"),
        context_of=lambda: client_context(svid),
        expected=expected,
        timeout_seconds=20.0,
        clock_now=time.time,
        monotonic=time.monotonic,
    )


def asked(port, svid, expected=STORE):
    """Ask for a document, and close."""
    with contextlib.closing(source(port, svid, expected)) as one:
        return one.document("recipients.json", max_bytes=1 << 20)


def answers(address, context):
    """Every byte of application that a server sends to a client with this context."""
    got = b""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), 10) as plain,
        context.wrap_socket(plain) as tls,
    ):
        tls.sendall(REQUEST)
        while piece := tls.recv(4096):
            got += piece
    return got


def careless():
    """A client context that believes every server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


WRONG = {
    "another workload's": {"path": "/sidecar"},
    "one below ours": {"path": "/store/1"},
    "one in other letters": {"path": "/Store"},
    "two names, ours among them": {"uris": (f"spiffe://{DOMAIN}/store", f"spiffe://{DOMAIN}/x")},
    "a host name in its place": {"uris": (), "dns": ("localhost",), "addresses": ("127.0.0.1",)},
    "ours on a certificate that may sign others": {"path": "/store", "ca": True},
}


@pytest.mark.parametrize("leaf", WRONG.values(), ids=WRONG.keys())
def test_the_wrong_spiffe_id_gets_no_byte(estate, certificates, forger, leaf):
    """A server of our own trust domain, and not the store: the request is never sent."""
    context = loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificates, *forger.leaf(**leaf))
    impostor = Impostor(context)
    with contextlib.closing(impostor), pytest.raises(VerificationError) as caught:
        asked(impostor.port, ours(estate))
    assert caught.value.code in {"peer-mismatch", "bad-svid", "peer-untrusted"}
    assert impostor.heard == b""


def test_the_right_one_gets_the_request(estate, certificates, forger):
    """The same rig with nothing forged: what the other tests do not hear would have been heard."""
    context = loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificates, *forger.leaf("/store"))
    impostor = Impostor(context)
    with contextlib.closing(impostor), contextlib.closing(source(impostor.port, ours(estate))) as store:
        threading.Timer(1.0, store.close).start()
        with contextlib.suppress(Exception):
            store.document("recipients.json", max_bytes=100)
    assert impostor.heard.startswith(b"GET /acme/tiny-llm/1/recipients.json HTTP/1.1\r\n")


@pytest.mark.parametrize("domain", [DOMAIN, "other.test"])
def test_another_trust_domain_is_refused(estate, certificates, forger, model, store, broker, domain):
    """Another authority's servers and clients, whatever their name; and our CA's, with another domain's."""
    now = time.time()
    stranger = Authority(domain, now=now, lifetime_seconds=600)
    theirs = svid_from_pem(*stranger.files("/store", now=now, lifetime_seconds=600).values(), now=now)
    foreign = (f"spiffe://{'other.test' if domain == DOMAIN else domain}/store",)

    for context, expected in (
        (presenting(theirs), SpiffeID(domain, "/store")),
        (loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificates, *forger.leaf(uris=foreign)), STORE),
        (
            loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificates, *forger.leaf(uris=foreign)),
            SpiffeID("other.test", "/store"),
        ),
    ):
        impostor = Impostor(context)
        with contextlib.closing(impostor), pytest.raises(VerificationError) as caught:
            asked(impostor.port, ours(estate), expected)
        assert caught.value.code in {"peer-untrusted", "peer-mismatch"}
        assert impostor.heard == b""

    for address in (store, broker):
        assert answers(address, presenting(theirs, careless())) == b""
        assert answers(address, loaded(careless(), certificates, *forger.leaf(uris=foreign))) == b""


def presenting(svid, context=None):
    """Give a context an SVID; without one, a server's that checks nobody."""
    context = context or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    descriptor = os.memfd_create("svid")
    os.write(descriptor, svid.key_pem + svid.chain_pem)
    context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    os.close(descriptor)
    return context


STRANGERS = {
    "no certificate": None,
    "an expired one": {"path": "/sidecar", "not_after": -60},
    "one that is not valid yet": {"path": "/sidecar", "not_before": 600},
    "two names": {"uris": (f"spiffe://{DOMAIN}/sidecar", f"spiffe://{DOMAIN}/admin")},
    "no SPIFFE ID": {"uris": (), "dns": ("sidecar",)},
    "for servers only": {"path": "/sidecar", "extended": (ExtendedKeyUsageOID.SERVER_AUTH,)},
}


@pytest.mark.parametrize("leaf", STRANGERS.values(), ids=STRANGERS.keys())
@pytest.mark.parametrize("version", ["TLSv1_3", "TLSv1_2"])
def test_a_stranger_gets_no_byte(certificates, forger, model, store, broker, leaf, version):
    context = careless()
    context.maximum_version = ssl.TLSVersion[version]
    if leaf is not None:
        loaded(context, certificates, *forger.leaf(**leaf))
    for address in (store, broker):
        assert answers(address, context) == b""


def test_a_member_of_the_trust_domain_who_is_no_reader_gets_no_byte_of_a_model(estate, model):
    process, address = estate.store(readers=[f"spiffe://{DOMAIN}/sidecar"])
    port = int(address.rpartition(":")[2])
    with process:
        wanted = asked(port, ours(estate))
        assert wanted == (model.folder / "recipients.json").read_bytes()
        for path in ("/other", "/sidecar/x", "/Sidecar", "/broker"):
            with pytest.raises(DeniedError) as caught:
                asked(port, ours(estate, path))
            assert caught.value.code == "store-refused"
            said = answers(address, presenting(ours(estate, path), careless()))
            assert said.startswith(b"HTTP/1.1 403 ")
            assert wanted not in said
