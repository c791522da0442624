"""Two machines over real sockets: who is believed; the others are told nothing (threats C10, C19, G09)."""

import contextlib
import dataclasses
import os
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from trustkit.errors import UnavailableError, VerificationError
from trustkit.spiffe.mtls import (
    ServerContexts,
    TrustContext,
    check_peer,
    client_context,
    connect,
    server_context,
)
from trustkit.spiffe.names import SpiffeID
from trustkit.spiffe.svid import SVIDSource

STORE = SpiffeID("demo.test", "/store")


class Peer:
    """A TLS server in a thread: `heard` is all the application data it got, `error` what went wrong."""

    def __init__(self, context):
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard = b""
        self.error = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        with contextlib.suppress(TimeoutError):
            self._listener.settimeout(10)
            plain, _ = self._listener.accept()
            plain.settimeout(10)
            try:
                if self._context is None:
                    self.heard = plain.recv(100)
                    plain.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                else:
                    plain = self._context.wrap_socket(plain, server_side=True)
                    self.heard = plain.recv(100)
                    plain.sendall(b"pong")
            except OSError as error:
                self.error = error
            finally:
                plain.close()

    def close(self):
        self._thread.join()
        self._listener.close()


@pytest.fixture
def peer():
    peers = []

    def start(context):
        peers.append(Peer(context))
        return peers[-1]

    yield start
    for one in peers:
        one.close()


@pytest.fixture
def ours(issuer, svid_of):
    return svid_of(issuer.files("/sidecar"))


@pytest.fixture
def dial(ours, now):
    def go(port, expected=STORE, context=None):
        return connect(
            "127.0.0.1", port, context or client_context(ours), expected=expected, timeout_seconds=10, now=now
        )

    return go


def lenient(issuer, certificates, chain=(), **leaf):
    """A server that checks nothing and shows whatever leaf it is given: the attacker's."""
    certificate, key = issuer.leaf(**leaf)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    name = f"/proc/self/fd/{os.memfd_create('forged')}"
    descriptor = int(name.rsplit("/", 1)[1])
    os.write(descriptor, certificates.key_pem(key) + certificates.pem(certificate, *chain))
    context.load_cert_chain(name)
    os.close(descriptor)
    return context


def test_two_good_machines_talk(peer, dial, issuer, svid_of):
    server = peer(server_context(svid_of(issuer.files("/store"))))
    with dial(server.port) as tls:
        assert tls.version() == "TLSv1.3"
        tls.sendall(b"ping")
        assert tls.recv(10) == b"pong"
    assert server.heard == b"ping"


REFUSED = {
    "another path": ({"path": "/broker"}, "peer-mismatch"),
    "a longer path": ({"path": "/store/x"}, "peer-mismatch"),
    "another trust domain under the same CA": ({"uris": ("spiffe://other.test/store",)}, "peer-mismatch"),
    "two URI names, one of them right": (
        {"uris": ("spiffe://demo.test/store", "spiffe://demo.test/x")},
        "bad-svid",
    ),
    "a DNS name only": ({"uris": (), "dns": ("localhost",), "addresses": ("127.0.0.1",)}, "bad-svid"),
    "an upper-case trust domain": ({"uris": ("spiffe://DEMO.test/store",)}, "bad-svid"),
    "no key usage": ({"path": "/store", "key_usage": None}, "bad-svid"),
    "expired": ({"path": "/store", "not_after": -60}, "peer-untrusted"),
    "not yet valid": ({"path": "/store", "not_before": 600}, "peer-untrusted"),
}


@pytest.mark.parametrize(("leaf", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_a_server_of_our_ca_that_is_not_the_expected_one_is_sent_nothing(
    peer, dial, issuer, certificates, leaf, code
):
    server = peer(lenient(issuer, certificates, **leaf))
    with pytest.raises(VerificationError) as caught:
        dial(server.port)
    assert caught.value.code == code
    server.close()
    assert server.heard == b""


@pytest.mark.parametrize("domain", ["demo.test", "other.test"])
def test_a_server_of_another_ca_is_sent_nothing(peer, dial, certificates, now, domain):
    stranger = certificates.Issuer(now, domain=domain)
    server = peer(lenient(stranger, certificates, path="/store"))
    with pytest.raises(VerificationError) as caught:
        dial(server.port, expected=SpiffeID(domain, "/store"))
    assert caught.value.code == "peer-untrusted"
    server.close()
    assert server.heard == b""


def test_an_expected_id_of_another_domain_is_not_found_under_our_bundle(peer, dial, issuer, certificates):
    """Even where that is the very ID that was asked for: a bundle speaks for one trust domain."""
    server = peer(lenient(issuer, certificates, uris=("spiffe://other.test/store",)))
    with pytest.raises(VerificationError) as caught:
        dial(server.port, expected=SpiffeID("other.test", "/store"))
    assert caught.value.code == "peer-mismatch"
    server.close()
    assert server.heard == b""


def test_a_server_that_stops_at_tls_1_2_is_not_talked_to(peer, dial, issuer, certificates):
    context = lenient(issuer, certificates, path="/store")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    server = peer(context)
    with pytest.raises(UnavailableError) as caught:
        dial(server.port)
    assert caught.value.code == "connect-failed"


def test_a_server_without_tls_is_not_talked_to(peer, dial):
    with pytest.raises(UnavailableError) as caught:
        dial(peer(None).port)
    assert caught.value.code == "connect-failed"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "no-such-host.invalid", "a" * 64 + ".invalid", "host..invalid", "\udcff"]
)
def test_nobody_there_is_unavailable(ours, now, host):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(UnavailableError) as caught:
        connect(host, port, client_context(ours), expected=STORE, timeout_seconds=5, now=now)
    assert caught.value.code == "connect-failed"


def test_a_server_that_never_shakes_hands_is_left(ours, now):
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(UnavailableError) as caught:
        connect(
            "127.0.0.1",
            silent.getsockname()[1],
            client_context(ours),
            expected=STORE,
            timeout_seconds=0.2,
            now=now,
        )
    assert caught.value.code == "connect-failed"


def test_a_context_from_elsewhere_is_a_mistake_of_ours(now):
    with pytest.raises(TypeError):
        connect("127.0.0.1", 1, ssl.create_default_context(), expected=STORE, timeout_seconds=1, now=now)


CLIENTS = {
    "no certificate": None,
    "expired": {"not_after": -60},
    "not yet valid": {"not_before": 600},
    "for servers only": {"extended": (ExtendedKeyUsageOID.SERVER_AUTH,)},
}


@pytest.mark.parametrize("leaf", CLIENTS.values(), ids=CLIENTS.keys())
def test_our_server_context_refuses_a_client(peer, issuer, certificates, svid_of, leaf):
    server = peer(server_context(svid_of(issuer.files("/store"))))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if leaf is not None:
        certificate, key = issuer.leaf(**leaf)
        descriptor = os.memfd_create("forged")
        os.write(descriptor, certificates.key_pem(key) + certificates.pem(certificate))
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
        os.close(descriptor)
    got = b""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", server.port), 10) as plain,
        context.wrap_socket(plain) as tls,
    ):
        tls.sendall(b"ping")
        got = tls.recv(10)
    server.close()
    assert got == b""
    assert isinstance(server.error, ssl.SSLError)
    assert server.heard == b""


def test_an_intermediate_in_the_bundle_is_an_anchor(peer, dial, issuer, certificates, svid_of, now):
    middle = certificates.Issuer(now, parent=issuer, name="middle")
    server = peer(server_context(svid_of(middle.files("/store"))))
    with dial(server.port, context=client_context(svid_of(middle.files("/sidecar")))) as tls:
        tls.sendall(b"ping")
        assert tls.recv(10) == b"pong"


def test_a_chain_with_an_intermediate_is_sent_and_believed(peer, dial, issuer, certificates, svid_of, now):
    middle = certificates.Issuer(now, parent=issuer, name="middle")
    files = middle.files("/store", chain=(middle.certificate,), bundle=issuer.pem)
    server = peer(server_context(svid_of(files)))
    with dial(server.port) as tls:
        tls.sendall(b"ping")
        assert tls.recv(10) == b"pong"


def test_the_key_is_never_in_a_file_of_the_file_system(issuer, svid_of, monkeypatch, tmp_path):
    """Without a folder for temporary files nothing changes, and no descriptor stays."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "absent"))
    before = sorted(Path("/proc/self/fd").iterdir())
    for _ in range(3):
        server_context(svid_of(issuer.files()))
        client_context(svid_of(issuer.files()))
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_what_the_tls_library_does_not_take_is_a_refusal(issuer, certificates, svid_of):
    """Forged by swapping the key after our own check; nobody is asked for a passphrase at the terminal."""
    key = issuer.leaf()[1]
    for raw in (certificates.key_pem(key), certificates.key_pem(key, b"secret")):
        with pytest.raises(VerificationError) as caught:
            server_context(dataclasses.replace(svid_of(issuer.files()), key_pem=raw))
        assert caught.value.code == "bad-svid"


def test_nothing_is_resumed_and_nothing_older_is_spoken(ours):
    context = server_context(ours)
    assert context.num_tickets == 0
    assert context.minimum_version == context.maximum_version == ssl.TLSVersion.TLSv1_3
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert client_context(ours).verify_mode == ssl.CERT_REQUIRED


def test_contexts_follow_the_source_and_are_built_once(issuer, now):
    files = issuer.files("/store")
    contexts = ServerContexts(SVIDSource(lambda name: files[name], lambda: now))
    first = contexts.current()
    assert contexts.current() is first
    files.update(issuer.files("/store"))
    assert contexts.current() is not first


def test_a_peer_without_a_certificate_is_no_peer(now, ours):
    class Bare:
        def getpeercert(self, binary_form):
            return None

    with pytest.raises(VerificationError) as caught:
        check_peer(Bare(), client_context(ours), now=now)
    assert caught.value.code == "bad-svid"


def test_whoever_may_end_the_waiting_is_given_the_socket_before_the_handshake(
    peer, ours, issuer, svid_of, now
):
    server, given = peer(server_context(svid_of(issuer.files("/store")))), []

    def begun(tls):
        given.append((tls, tls.version()))

    with connect(
        "127.0.0.1",
        server.port,
        client_context(ours),
        expected=STORE,
        timeout_seconds=10,
        now=now,
        begun=begun,
    ) as tls:
        assert given == [(tls, None)]


def test_whoever_refuses_it_then_closes_it(peer, ours, issuer, svid_of, now):
    server, given = peer(server_context(svid_of(issuer.files("/store")))), []

    def begun(tls):
        given.append(tls)
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        connect(
            "127.0.0.1",
            server.port,
            client_context(ours),
            expected=STORE,
            timeout_seconds=10,
            now=now,
            begun=begun,
        )
    assert given[0].fileno() == -1


def test_a_peer_that_has_gone_before_the_handshake_is_unavailable(peer, dial, monkeypatch):
    """As when it resets the connection in the instant in which it is made."""

    def wrapped(*_, **__):
        raise OSError(107, "Transport endpoint is not connected")

    monkeypatch.setattr(TrustContext, "wrap_socket", wrapped)
    with pytest.raises(UnavailableError) as caught:
        dial(peer(None).port)
    assert caught.value.code == "connect-failed"
