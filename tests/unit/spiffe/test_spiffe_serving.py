"""The server over real sockets: who gets in, what they may take, rotation, and the end."""

import asyncio
import gc
import logging
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from trustkit.errors import FormatError, UnavailableError, UsageError
from trustkit.spiffe.connections import Connection
from trustkit.spiffe.door import Door
from trustkit.spiffe.listening import Limits
from trustkit.spiffe.mtls import client_context, connect
from trustkit.spiffe.names import SpiffeID
from trustkit.spiffe.serving import EXTENSION, serve_mtls
from trustkit.spiffe.svid import SVIDSource

STORE = SpiffeID("demo.test", "/store")
CALM = Limits(grace_seconds=2.0)
LARGE = 1 << 25
"""Bytes of an answer that no buffer between two sockets takes."""
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Application:
    """Answers every request with who asked; `seen` holds the scopes, `gate` holds requests to /slow back."""

    def __init__(self):
        self.seen = []
        self.bodies = []
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.told = threading.Semaphore(0)

    async def __call__(self, scope, receive, send):
        self.seen.append(scope)
        if scope["path"] == "/body":
            body, more = b"", True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            self.bodies.append(body)
        if scope["path"] == "/raise":
            raise ValueError("a secret of the application")
        if scope["path"] == "/large":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": bytes(LARGE)})
            return
        if scope["path"] == "/flood":
            await self._flood(send)
            return
        if scope["path"] == "/held":
            await self._held(send)
            return
        if scope["path"] == "/broken":
            await self._broken(send)
            return
        if scope["path"] == "/told":
            await self._told(receive)
            return
        if scope["path"] == "/slow":
            self.entered.set()
            await asyncio.get_running_loop().run_in_executor(None, self.gate.wait, 30)
        content = f"{scope['extensions'][EXTENSION]['peer']}\n".encode()
        headers = [(b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _held(self, send):
        """A large answer, whose end is held back."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(LARGE >> 20):
            await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
        await asyncio.get_running_loop().run_in_executor(None, self.gate.wait, 30)
        await send({"type": "http.response.body", "body": b""})

    async def _broken(self, send):
        """An answer that is never complete."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        self.entered.set()
        await asyncio.get_running_loop().run_in_executor(None, self.gate.wait, 30)
        raise ValueError

    async def _told(self, receive):
        """No answer; the request is read until the peer has gone."""
        while (await receive())["type"] != "http.disconnect":
            self.entered.set()
        self.told.release()

    async def _flood(self, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(10_000):
            await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
        self.told.release()
        await send({"type": "http.response.body", "body": b""})


class World:
    """A server in a thread, the files of its SVID, and clients of any kind."""

    def __init__(self, issuer, certificates, svid_of, now):
        self.issuer = issuer
        self.certificates = certificates
        self.svid_of = svid_of
        self.files = issuer.files("/store")
        self.now = now
        self.app = Application()
        self.port = 0
        self.raised = []

    def read(self, name):
        return self.files[name]

    @contextmanager
    def serving(self, limits=CALM, listen="127.0.0.1:0"):
        source = SVIDSource(self.read, lambda: self.now)
        stop, ready = threading.Event(), threading.Event()

        def announce(where):
            self.port = int(where.rpartition(":")[2])
            ready.set()

        def run():
            try:
                serve_mtls(
                    self.app,
                    listen=listen,
                    source=source,
                    clock=lambda: self.now,
                    announce=announce,
                    stop=stop,
                    limits=limits,
                )
            except BaseException as error:  # noqa: BLE001 - told to the test, which fails on it
                self.raised.append(error)
                ready.set()

        thread = threading.Thread(target=run)
        thread.start()
        ready.wait(10)
        try:
            yield stop
        finally:
            self.app.gate.set()
            stop.set()
            thread.join(20)
        assert not thread.is_alive()
        assert not self.raised

    def context(self, path="/sidecar", issuer=None):
        return client_context(self.svid_of((issuer or self.issuer).files(path)))

    def dial(self, context=None, expected=STORE):
        return connect(
            "127.0.0.1",
            self.port,
            context or self.context(),
            expected=expected,
            timeout_seconds=10,
            now=self.now,
        )

    def forged(self, *, issuer=None, chain=(), version=None, **leaf):
        """A client context that checks nothing and shows whatever it is told to."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if version:
            context.maximum_version = version
        if leaf:
            certificate, key = (issuer or self.issuer).leaf(**leaf)
            descriptor = os.memfd_create("forged")
            os.write(descriptor, self.certificates.key_pem(key) + self.certificates.pem(certificate, *chain))
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")
            os.close(descriptor)
        return context

    def bytes_for(self, context, sent=LAST):
        """Connect, send a request, and return every byte of application that comes back."""
        got = b""
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), 10) as plain,
                context.wrap_socket(plain) as tls,
            ):
                tls.sendall(sent)
                while piece := tls.recv(65536):
                    got += piece
        except OSError:
            pass
        return got


@pytest.fixture
def world(issuer, certificates, svid_of, now):
    return World(issuer, certificates, svid_of, now)


def answer(tls):
    """Read one answer with a Content-Length: status and body."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = tls.recv(4096)
        if not piece:
            raise ConnectionError(head)
        head += piece
    head, _, body = head.partition(b"\r\n\r\n")
    length = int(
        next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))[15:]
    )
    while len(body) < length:
        body += tls.recv(4096)
    return int(head.split()[1]), body


def drained(tls):
    """Read to the end; an abrupt one is an end too."""
    got = b""
    try:
        while piece := tls.recv(65536):
            got += piece
    except OSError:
        pass
    return got


def serial(tls):
    return tls.getpeercert(binary_form=True)


def test_the_application_is_told_who_asks(world):
    with world.serving(), world.dial() as tls:
        tls.sendall(GET)
        assert answer(tls) == (200, b"spiffe://demo.test/sidecar\n")
        [scope] = world.app.seen
        assert scope["extensions"]["trustkit"]["peer"] == SpiffeID("demo.test", "/sidecar")


def test_headers_name_nobody(world):
    """What a client says of itself, or a proxy of it, is text and not identity."""
    headers = b"X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Client-Cert: URI=spiffe://demo.test/admin\r\n"
    with world.serving(), world.dial() as tls:
        tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nForwarded: for=1.1.1.1\r\n" + headers + b"\r\n")
        assert answer(tls)[1] == b"spiffe://demo.test/sidecar\n"
        assert world.app.seen[0]["client"][0] == "127.0.0.1"


STRANGERS = {
    "without a certificate": {},
    "expired": {"path": "/sidecar", "not_after": -60},
    "not yet valid": {"path": "/sidecar", "not_before": 600},
    "two URI names": {"uris": ("spiffe://demo.test/sidecar", "spiffe://demo.test/admin")},
    "another trust domain under our CA": {"uris": ("spiffe://other.test/sidecar",)},
    "a DNS name only": {"uris": (), "dns": ("sidecar.demo.test",)},
    "no SPIFFE ID": {"uris": ("https://demo.test/sidecar",)},
    "no path": {"uris": ("spiffe://demo.test",)},
    "a CA": {"path": "/sidecar", "ca": True},
    "no key usage": {"path": "/sidecar", "key_usage": None},
    "client authentication only": {"path": "/sidecar", "extended": (ExtendedKeyUsageOID.CLIENT_AUTH,)},
}


@pytest.mark.parametrize("leaf", STRANGERS.values(), ids=STRANGERS.keys())
def test_a_stranger_gets_no_byte_and_is_never_seen(world, leaf):
    with world.serving():
        assert world.bytes_for(world.forged(**leaf)) == b""
        assert world.bytes_for(world.forged(path="/sidecar")) == b"" or world.app.seen
    assert [str(scope["extensions"][EXTENSION]["peer"]) for scope in world.app.seen] == [
        "spiffe://demo.test/sidecar"
    ]


@pytest.mark.parametrize("domain", ["demo.test", "other.test"])
def test_another_authority_s_client_gets_no_byte(world, certificates, now, domain):
    stranger = certificates.Issuer(now, domain=domain)
    with world.serving():
        assert world.bytes_for(world.forged(issuer=stranger, path="/sidecar")) == b""
        assert world.bytes_for(world.forged(issuer=stranger, path="/x", chain=(stranger.certificate,))) == b""
    assert not world.app.seen


def test_tls_1_2_gets_no_byte(world):
    with world.serving():
        assert world.bytes_for(world.forged(path="/sidecar", version=ssl.TLSVersion.TLSv1_2)) == b""
    assert not world.app.seen


def test_a_leaf_signed_by_a_leaf_gets_no_byte(world, issuer, certificates):
    """A workload's own SVID is no CA, whatever it signs."""
    middle, key = issuer.leaf("/sidecar", subject="middle")

    class Leaf:
        pass

    signer = Leaf()
    signer.key, signer.certificate = key, middle
    fake = certificates.Issuer(world.now)
    fake.key, fake.certificate = key, middle
    with world.serving():
        assert world.bytes_for(world.forged(issuer=fake, path="/admin", chain=(middle,))) == b""
    assert not world.app.seen


def test_a_request_in_the_clear_gets_no_byte(world):
    with world.serving(), socket.create_connection(("127.0.0.1", world.port), 10) as plain:
        plain.sendall(GET)
        assert b"HTTP" not in drained(plain)
    assert not world.app.seen


def test_a_peer_whose_svid_expires_on_a_kept_connection_is_closed(world):
    with world.serving(), world.dial(world.context()) as tls:
        tls.sendall(GET)
        assert answer(tls)[0] == 200
        world.now += 3601
        tls.sendall(GET)
        assert drained(tls) == b""
    assert len(world.app.seen) == 1


class TestRotation:
    def test_old_connections_go_on_and_new_handshakes_see_the_new_leaf(self, world):
        with world.serving(), world.dial() as old:
            old.sendall(GET)
            assert answer(old)[0] == 200
            world.files = world.issuer.files("/store")
            with world.dial() as new:
                assert serial(new) != serial(old)
                new.sendall(GET)
                assert answer(new)[0] == 200
            old.sendall(GET)
            assert answer(old)[0] == 200

    def test_a_transfer_is_not_cut(self, world):
        with world.serving(), world.dial() as tls:
            tls.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            assert world.app.entered.wait(10)
            world.files = world.issuer.files("/store")
            with world.dial():
                world.app.gate.set()
            assert answer(tls)[0] == 200

    @pytest.mark.parametrize("spoil", [{"svid.pem": b"garbage"}, {"svid_key.pem": b""}, {"bundle.pem": b""}])
    def test_a_broken_new_set_keeps_the_old(self, world, spoil):
        with world.serving(), world.dial() as first:
            world.files = {**world.issuer.files("/store"), **spoil}
            with world.dial() as second:
                assert serial(first) == serial(second)

    def test_a_new_bundle_lets_its_clients_in_and_the_old_ones_not(self, world, certificates, now):
        following = certificates.Issuer(now, name="following")
        both = world.issuer.pem + following.pem
        theirs = world.context(issuer=following)
        theirs_both = client_context(world.svid_of({**following.files("/sidecar", bundle=both)}))
        with world.serving():
            assert world.bytes_for(world.forged(issuer=following, path="/sidecar")) == b""
            world.files = world.issuer.files("/store", bundle=both)
            with world.dial(theirs_both) as tls:
                tls.sendall(GET)
                assert answer(tls)[0] == 200
            world.files = following.files("/store")
            with world.dial(theirs) as tls:
                tls.sendall(GET)
                assert answer(tls)[0] == 200
            seen = len(world.app.seen)
            assert world.bytes_for(world.forged(path="/sidecar")) == b""
            assert len(world.app.seen) == seen

    def test_an_expired_svid_of_ours_accepts_nobody_and_a_new_one_everybody(self, world):
        with world.serving():
            context = world.context()
            world.files = {**world.files, "svid.pem": b""}
            world.now += 3601
            assert world.bytes_for(context) == b""
            world.now -= 3601
            with world.dial(context):
                pass


class TestLimits:
    def test_a_handshake_that_never_ends_is_ended(self, world):
        with (
            world.serving(Limits(handshake_seconds=0.5)),
            socket.create_connection(("127.0.0.1", world.port), 10) as plain,
        ):
            assert drained(plain) == b""

    @pytest.mark.parametrize(
        "start",
        [
            b"",
            b"\r\n",
            b"GET / HT",
            b"GET / HTTP/1.1\r\nHost: x\r\n",
            b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
        ],
        ids=["nothing", "an empty line", "half a line", "half a head", "half a body"],
    )
    def test_half_a_request_is_not_waited_for_for_ever(self, world, start):
        with world.serving(Limits(arrival_seconds=0.5)), world.dial() as tls:
            tls.sendall(start)
            assert drained(tls) == b""

    def test_a_kept_connection_is_closed_when_nothing_more_comes(self, world):
        with world.serving(Limits(idle_seconds=0.5)), world.dial() as tls:
            tls.sendall(GET)
            assert answer(tls)[0] == 200
            assert drained(tls) == b""

    def test_a_kept_connection_cannot_be_held_by_empty_lines(self, world):
        with world.serving(Limits(arrival_seconds=2.0)), world.dial() as tls:
            tls.sendall(GET)
            assert answer(tls)[0] == 200
            tls.sendall(b"\r\n")
            assert drained(tls) == b""

    @pytest.mark.parametrize(
        "head",
        [
            b"GET /" + b"a" * 70_000,
            b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000,
            b"GET / HTTP/1.1\r\n" + b"a" * 70_000,
            b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 12_000,
            b"\r\n" * 35_000,
            b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 101 + b"\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 66_000 + b"\r\n\r\n",
        ],
        ids=["path", "value", "name", "headers", "empty lines", "101 headers", "a whole head"],
    )
    def test_a_head_beyond_its_limit_is_refused(self, world, head):
        limits = Limits(arrival_seconds=60.0)
        with world.serving(limits), world.dial() as tls:
            with suppress(OSError):
                tls.sendall(head)
            assert drained(tls)[:13] in {b"HTTP/1.1 400 ", b""}
        assert not world.app.seen

    def test_who_does_not_wait_for_an_answer_is_let_go(self, world):
        """A pipeline of requests that nobody reads the answers of would hold its place for ever."""
        with world.serving(Limits()), world.dial() as tls:
            tls.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % i for i in range(200)))
            got = b""
            with suppress(ConnectionError):
                while piece := tls.recv(65536):
                    got += piece
        assert len(world.app.seen) <= 3
        assert b"HTTP/1.1 400" in got

    @pytest.mark.parametrize(
        "refused",
        [
            GET,
            b"hello\r\n\r\n",
            b"GET /x HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 101 + b"\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: 1\r\n\r\n",
        ],
        ids=["one too many", "no HTTP", "101 headers", "trailers"],
    )
    def test_what_is_refused_is_told_after_the_answers_that_are_owed(self, world, refused):
        """All of it comes in one piece; an answer that comes before its turn is taken for another one's."""
        slow = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
        good = slow + GET * (2 if refused == GET else 1)
        with world.serving(Limits()), world.dial() as tls:
            tls.sendall(good + refused)
            assert world.app.entered.wait(10)
            tls.sendall(GET)  # nobody reads this
            time.sleep(0.2)
            world.app.gate.set()
            got = drained(tls)
        assert got.count(b"HTTP/1.1 200 OK") == good.count(b"GET")
        assert got.rpartition(b"HTTP/1.1 ")[2].startswith(b"400 ")
        assert got.count(b"HTTP/1.1 ") == good.count(b"GET") + 1
        assert len(world.app.seen) == good.count(b"GET")

    def test_trailers_are_refused(self, world):
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
        with world.serving(Limits()), world.dial() as tls:
            tls.sendall(head + b"X-Trailer: 1\r\n\r\n")
            got = b""
            with suppress(ConnectionError):
                while piece := tls.recv(65536):
                    got += piece
        assert world.app.bodies == []
        assert b"HTTP/1.1 400" in got

    def test_a_body_larger_than_a_head_may_be(self, world):
        body = bytes(300_000)
        with world.serving(), world.dial() as tls:
            tls.sendall(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            assert answer(tls)[0] == 200
            tls.sendall(GET)
            assert answer(tls)[0] == 200
        assert world.app.bodies == [body]

    def test_a_reader_that_reads_nothing_is_left(self, world):
        with world.serving(Limits(stall_seconds=0.5)), world.dial() as tls:
            tls.sendall(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(1.5)
            assert len(drained(tls)) < 10_000 * (1 << 16)

    @pytest.mark.parametrize("size", [0, 1_000_000], ids=["an answer", "a body that we do not read"])
    def test_a_pause_that_is_ours_is_not_the_peer_s_fault(self, world, size):
        """A slow answer takes longer than a request may: nobody is cut off for that, nor for the next one."""
        with world.serving(Limits(arrival_seconds=2.0)), world.dial() as tls:
            tls.sendall(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
            assert world.app.entered.wait(10)
            time.sleep(2.5)
            world.app.gate.set()
            assert answer(tls)[0] == 200
            tls.sendall(GET)
            assert answer(tls)[0] == 200


class TestPlaces:
    """The table of connections is full, and one more comes."""

    def asked(self, tls, path=b"/"):
        tls.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
        return answer(tls)[0]

    def ended(self, peer):
        """Say whether the other side ended this connection, and not our patience."""
        peer.settimeout(5)
        try:
            while peer.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def kept_waiting(self, world):
        """Say whether somebody who comes now is not even shaken hands with."""
        with socket.create_connection(("127.0.0.1", world.port), 10) as plain:
            plain.settimeout(0.3)
            try:
                world.context().wrap_socket(plain).close()
            except TimeoutError:
                return True
        return False

    def test_silent_strangers_do_not_keep_the_others_out(self, world):
        with world.serving(Limits(connections=4, handshake_seconds=100.0)):
            silent = [socket.create_connection(("127.0.0.1", world.port), 10) for _ in range(50)]
            with world.dial() as tls:
                assert self.asked(tls) == 200
            for plain in silent:
                plain.close()

    def test_the_longest_idle_goes_and_the_others_stay(self, world):
        three = Limits(connections=3)
        with world.serving(three), world.dial() as first, world.dial() as second, world.dial() as third:
            for tls in (second, third, first):
                assert self.asked(tls) == 200
            with world.dial() as newcomer:
                assert self.ended(second)
                for tls in (third, newcomer, first):
                    assert self.asked(tls) == 200

    def test_who_has_proved_nothing_goes_before_who_is_idle(self, world):
        with world.serving(Limits(connections=2, handshake_seconds=100.0)), world.dial() as idle:
            assert self.asked(idle) == 200
            with socket.create_connection(("127.0.0.1", world.port), 10) as silent:
                time.sleep(0.2)
                with world.dial() as newcomer:
                    assert self.asked(newcomer) == 200
                assert self.ended(silent)
            assert self.asked(idle) == 200

    @pytest.mark.parametrize(
        "start",
        [
            b"",
            b"GET / HTTP/1.1\r\nHost: x\r\nX: ",
            b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
        ],
        ids=["nothing", "half a head", "half a body"],
    )
    def test_half_a_request_holds_no_place(self, world, start):
        with world.serving(Limits(connections=1, arrival_seconds=100.0)), world.dial() as first:
            first.sendall(start)
            time.sleep(0.2)
            with world.dial() as newcomer:
                assert self.asked(newcomer) == 200
            assert self.ended(first)

    @pytest.mark.parametrize("rest", [b"", b"defghi"], ids=["open", "complete"])
    def test_an_answer_before_the_end_of_the_request_frees_the_place(self, world, rest):
        early = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"
        limits = Limits(connections=1, arrival_seconds=100.0)
        with world.serving(limits), world.dial() as first:
            first.sendall(early)
            assert answer(first)[0] == 200
            first.sendall(rest)
            time.sleep(0.2)
            with world.dial() as newcomer:
                assert self.asked(newcomer) == 200
            assert self.ended(first)

    def test_a_connection_goes_on_after_an_answer_before_the_end_of_the_request(self, world):
        with world.serving(Limits(connections=1)), world.dial() as first:
            first.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
            assert answer(first)[0] == 200
            first.sendall(b"defghi")
            assert self.asked(first) == 200

    def test_a_request_in_flight_is_answered_and_the_newcomer_waits(self, world):
        with world.serving(Limits(connections=1)), world.dial() as first:
            first.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            assert world.app.entered.wait(10)
            assert self.kept_waiting(world)
            world.app.gate.set()
            assert answer(first)[0] == 200
            with world.dial() as second:
                assert self.asked(second) == 200

    def test_an_answer_that_is_on_its_way_is_not_cut(self, world):
        with world.serving(Limits(connections=1, grace_seconds=0.1)), world.dial() as first:
            first.sendall(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
            assert first.recv(1)
            time.sleep(0.2)
            assert self.kept_waiting(world)
            assert first.recv(1)

    def test_an_answer_that_was_given_and_not_taken_yet_is_not_cut(self, world):
        """Its place goes to the newcomer, and the rest of the answer still to the peer."""
        with world.serving(Limits(connections=1, leave_seconds=60.0)), world.dial() as first:
            first.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            got = len(first.recv(1))
            time.sleep(0.3)
            with world.dial() as newcomer:
                assert self.asked(newcomer) == 200
            while piece := first.recv(1 << 20):
                got += len(piece)
            assert got > LARGE

    @pytest.mark.parametrize("kept", [b"keep-alive", b"close"])
    def test_who_does_not_take_the_rest_of_an_answer_is_not_waited_for(self, world, kept):
        with world.serving(Limits(connections=1, leave_seconds=0.2)), world.dial() as first:
            first.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: %s\r\n\r\n" % kept)
            got = len(first.recv(1))
            time.sleep(0.3)
            with world.dial() as newcomer:
                assert self.asked(newcomer) == 200
            time.sleep(0.5)
            assert got + len(drained(first)) < LARGE

    def test_who_waits_gets_in_once_somebody_goes(self, world):
        with world.serving(Limits(connections=1)), world.dial() as first:
            first.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            assert world.app.entered.wait(10)
            waiting = threading.Timer(0.2, first.close)
            waiting.start()
            with world.dial() as second:
                second.sendall(GET)
                assert answer(second)[0] == 200
            waiting.join()

    @pytest.mark.parametrize(("places", "depth"), [(4, 2), (4, 3), (16, 3)])
    def test_who_always_has_one_more_request_here_keeps_nobody_out(self, world, places, depth):
        """Every place is taken by a peer that never waits: two newcomers after another are answered."""
        over = threading.Event()
        with world.serving(Limits(connections=places)):
            context = world.context("/stranger")
            crowd = [
                threading.Thread(target=send_on_and_on, args=(world, context, depth, over))
                for _ in range(places)
            ]
            for thread in crowd:
                thread.start()
            try:
                time.sleep(0.5)
                for _ in range(2):
                    with world.dial() as newcomer:
                        assert self.asked(newcomer) == 200
            finally:
                over.set()
                for thread in crowd:
                    thread.join(20)

    def test_who_sent_more_than_was_answered_gets_the_answer_at_least(self, world):
        with world.serving(Limits(connections=1)), world.dial() as first:
            first.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + GET * 2)
            assert world.app.entered.wait(10)
            assert self.kept_waiting(world)
            with socket.create_connection(("127.0.0.1", world.port), 10):
                time.sleep(0.2)
                world.app.gate.set()
                assert drained(first).count(b"HTTP/1.1 200 OK") == 1
        assert len(world.app.seen) == 1

    def test_told_to_stop_while_somebody_waits(self, world):
        with world.serving(Limits(connections=1, grace_seconds=0.2)) as stop, world.dial() as first:
            first.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            assert world.app.entered.wait(10)
            with socket.create_connection(("127.0.0.1", world.port), 10) as waiting:
                time.sleep(0.2)
                stop.set()
                assert drained(waiting) == b""

    def test_an_answer_that_is_not_taken_holds_no_place(self, world):
        with world.serving(Limits(connections=1, patience_seconds=0.2)), world.dial() as first:
            first.sendall(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
            assert first.recv(1)
            time.sleep(0.5)
            with world.dial() as newcomer:
                assert self.asked(newcomer) == 200
            assert len(drained(first)) < 10_000 * (1 << 16)

    def test_who_is_idle_goes_before_who_does_not_take_an_answer(self, world):
        limits = Limits(connections=2, patience_seconds=0.2)
        with world.serving(limits), world.dial() as first, world.dial() as idle:
            first.sendall(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
            assert first.recv(1)
            time.sleep(0.5)
            with world.dial() as newcomer:
                assert self.asked(newcomer) == 200
                assert self.ended(idle)
            assert taken(first, LARGE) > LARGE

    def test_who_takes_an_answer_after_all_has_its_place_for_sure_again(self, world):
        limits = Limits(connections=1, patience_seconds=0.2, answer_lag_seconds=60.0)
        with world.serving(limits), world.dial() as first:
            first.sendall(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.5)
            assert taken(first, LARGE) > LARGE
            assert self.kept_waiting(world)
            world.app.gate.set()
            assert ends_well(first)


def send_on_and_on(world, context, depth, over):
    """Keep so many requests in flight, and come again when it is over."""
    while not over.is_set():
        with suppress(OSError, UnavailableError), world.dial(context) as tls:
            tls.settimeout(5)
            tls.sendall(GET * depth)
            while not over.is_set() and (piece := tls.recv(1 << 16)):
                tls.sendall(GET * piece.count(b"HTTP/1.1 "))
        over.wait(0.5)


def taken(tls, least, *, seconds=0.0):
    """Take at least so much of an answer, with a pause after each piece; return how much that was."""
    got = 0
    with suppress(ConnectionError):
        while got < least and (piece := tls.recv(1 << 16)):
            got += len(piece)
            time.sleep(seconds)
    return got


def ends_well(tls):
    """Say whether the last chunk of an answer comes."""
    got = b""
    while not got.endswith(b"\r\n0\r\n\r\n") and (piece := tls.recv(1 << 16)):
        got = got[-9:] + piece
    return got.endswith(b"\r\n0\r\n\r\n")


def connections_in_memory():
    """Count what is kept of connections: ours, or the loop's, which has large buffers."""
    gc.collect()
    return sum(
        isinstance(thing, Connection) or type(thing).__name__ == "SSLProtocol" for thing in gc.get_objects()
    )


def reset(tls):
    """End a connection as a crash does: no goodbye, and nothing more is read."""
    tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    tls.close()


def goodbye(tls):
    """Say that nothing more comes, and take nothing either."""
    tls.settimeout(0.1)
    with suppress(TimeoutError, ssl.SSLError):
        tls.unwrap()


class TestAnswers:
    """What a peer may do with what it is given."""

    BRISK = Limits(answer_bytes_per_second=1 << 26, answer_lag_seconds=0.5, grace_seconds=0.5)

    def test_who_takes_little_and_never_nothing_is_left_after_a_while(self, world):
        """About a megabyte in each second never was a stall, and kept a place for hours."""
        with world.serving(self.BRISK), world.dial() as tls:
            tls.sendall(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
            assert taken(tls, 1 << 26, seconds=0.01) < 1 << 26

    def test_who_takes_it_as_fast_as_it_must_gets_all_of_it(self, world):
        brisk = replace(self.BRISK, answer_bytes_per_second=1 << 19)
        with world.serving(brisk), world.dial() as tls:
            tls.sendall(b"GET /held HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert taken(tls, LARGE, seconds=0.001) > LARGE

    def test_a_pause_of_the_application_is_not_the_peer_s(self, world):
        with world.serving(Limits(stall_seconds=1.5, answer_lag_seconds=1.5)), world.dial() as tls:
            tls.sendall(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
            assert taken(tls, LARGE) > LARGE
            time.sleep(2.0)
            world.app.gate.set()
            assert ends_well(tls)

    def test_the_last_answer_of_a_connection_has_its_time_too(self, world):
        with world.serving(Limits(leave_seconds=0.2)), world.dial() as tls:
            tls.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert taken(tls, LARGE, seconds=0.002) > LARGE

    def test_one_large_write_may_take_longer_than_a_stall(self, world):
        """Nothing drains from the buffer below its mark meanwhile; but the peer takes, all the time."""
        with world.serving(Limits(stall_seconds=0.5)), world.dial() as tls:
            tls.sendall(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
            assert taken(tls, 1 << 21, seconds=0.02) >= 1 << 21
            world.app.gate.set()
            assert ends_well(tls)

    @pytest.mark.parametrize(
        ("asked", "begins"),
        [(GET, None), (b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n", "entered")],
        ids=["idle", "in an answer that breaks off"],
    )
    def test_who_is_gone_is_forgotten(self, world, asked, begins, monkeypatch):
        """However it went: a connection that is lost stays in memory for no timer."""
        monkeypatch.setattr(logging.getLogger("uvicorn"), "propagate", False)  # pytest keeps what is logged
        before = connections_in_memory()
        with world.serving(Limits()):
            for _ in range(20):
                tls = world.dial()
                tls.sendall(asked)
                assert tls.recv(1)
                assert begins is None or world.app.entered.wait(10)
                reset(tls)
            time.sleep(0.3)
            world.app.gate.set()
            for _ in range(50):
                if connections_in_memory() <= before + 2:
                    break
                time.sleep(0.1)
            assert connections_in_memory() <= before + 2

    def test_but_not_for_ever(self, world):
        with world.serving(Limits(stall_seconds=0.5)), world.dial() as tls:
            tls.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            time.sleep(1.5)
            assert taken(tls, LARGE) < LARGE

    def test_after_an_early_answer_and_the_rest_of_its_request_a_connection_is_idle(self, world):
        limits = Limits(idle_seconds=0.5, arrival_seconds=100.0)
        with world.serving(limits), world.dial() as tls:
            tls.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
            assert answer(tls)[0] == 200
            tls.sendall(b"defghi")
            assert tls.recv(1) == b""

    def test_who_says_goodbye_in_the_middle_of_an_answer_holds_neither_it_nor_a_place(self, world):
        with world.serving(Limits(connections=1, patience_seconds=60.0)), world.dial() as tls:
            tls.sendall(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
            assert tls.recv(1)
            time.sleep(0.3)
            goodbye(tls)
            assert world.app.told.acquire(timeout=5)
            with world.dial() as newcomer:
                newcomer.sendall(GET)
                assert answer(newcomer)[0] == 200

    @pytest.mark.parametrize("end", [reset, ssl.SSLSocket.close, goodbye])
    def test_whoever_is_gone_every_request_of_his_is_told(self, world, end):
        with world.serving(Limits()):
            tls = world.dial()
            tls.sendall(b"GET /told HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
            assert world.app.entered.wait(10)
            end(tls)
            assert world.app.told.acquire(timeout=5)
            tls.close()


MALFORMED = {
    "no HTTP": b"hello\r\n\r\n",
    "two lengths": b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length and chunks": (
        b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "a length that is negative": b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "CONNECT": b"CONNECT demo.test:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n",
    "a bare line end in a header": b"GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_request_is_refused(world, sent):
    with world.serving(), world.dial() as tls:
        tls.sendall(sent)
        assert b" 200 " not in drained(tls)


def test_an_application_that_raises_is_a_500_that_says_nothing(world, capfd):
    with world.serving(), world.dial() as tls:
        tls.sendall(b"GET /raise HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"500 Internal Server Error" in drained(tls)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


class TestTheEnd:
    def test_requests_in_flight_are_finished(self, world):
        with world.serving(Limits()) as stop, world.dial() as tls:
            tls.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            assert world.app.entered.wait(10)
            stop.set()
            time.sleep(0.3)
            with pytest.raises(UnavailableError):
                world.dial()
            world.app.gate.set()
            assert answer(tls)[0] == 200
            assert drained(tls) == b""

    def test_those_that_take_too_long_are_not(self, world):
        with world.serving(Limits(grace_seconds=0.2)) as stop, world.dial() as tls:
            tls.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            assert world.app.entered.wait(10)
            stop.set()
            assert drained(tls) == b""

    def test_idle_connections_and_handshakes_do_not_hold_it_up(self, world):
        with world.serving(Limits(handshake_seconds=100.0, grace_seconds=100.0)) as stop:
            silent = socket.create_connection(("127.0.0.1", world.port), 10)
            tls = world.dial()
            tls.sendall(GET)
            assert answer(tls)[0] == 200
            stop.set()
            assert drained(silent) == b""
            assert drained(tls) == b""
            tls.close()
            silent.close()


def test_what_peers_do_reaches_nobody_s_stderr(world, tmp_path):
    """Of a real process: answers to peers who crash, requests that are none, strangers, silent ones.

    What the loop says of them is said by the application here, too: when it says so by itself is its secret.
    """
    for name, raw in world.files.items():
        (tmp_path / name).write_bytes(raw)
    streaming = """
    asyncio.get_running_loop().call_exception_handler({"message": "socket.send() raised exception."})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(200):
        await asyncio.sleep(0.002)
        await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
"""
    program = PROGRAM.replace("    await asyncio.sleep(30)\n", streaming)
    process = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        world.port = int(process.stdout.readline().rpartition(":")[2])
        for _ in range(10):
            tls = world.dial()
            tls.sendall(GET * 3)
            assert process.stdout.readline() == "entered\n"
            tls.recv(1)
            reset(tls)
        for sent in (b"hello\r\n\r\n", GET[:9]):
            with world.dial() as tls:
                tls.sendall(sent)
        world.bytes_for(world.forged(path="/sidecar", not_after=-60))
        time.sleep(1.0)
        process.terminate()
        assert process.wait(20) == 0
        assert process.stderr.read() == ""


PROGRAM = """
import sys, time
from pathlib import Path
from trustkit.spiffe.door import Door
from trustkit.spiffe.listening import Limits
from trustkit.spiffe.serving import serve_mtls
from trustkit.spiffe.svid import SVIDSource

async def app(scope, receive, send):
    import asyncio
    print("entered", flush=True)
    await asyncio.sleep(30)

folder = Path(sys.argv[1])
source = SVIDSource(lambda name: (folder / name).read_bytes(), time.time)
serve_mtls(app, listen="127.0.0.1:0", source=source, clock=time.time,
           announce=lambda where: print(where, flush=True), limits=Limits(grace_seconds=20))
print("stopped", flush=True)
"""


def test_out_of_descriptors_it_waits_and_comes_back(world, tmp_path):
    """Fifty silent strangers exhaust forty descriptors; once they go, the server is as before."""
    for name, raw in world.files.items():
        (tmp_path / name).write_bytes(raw)
    limited = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))\n" + PROGRAM
    process = subprocess.Popen(
        [sys.executable, "-c", limited, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        world.port = int(process.stdout.readline().rpartition(":")[2])
        silent = [socket.create_connection(("127.0.0.1", world.port), 10) for _ in range(50)]
        time.sleep(0.5)
        for plain in silent:
            plain.close()
        with world.dial() as tls:
            tls.sendall(GET)
            assert process.stdout.readline() == "entered\n"
        process.terminate()
        assert process.wait(20) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("busy", [False, True])
def test_a_signal_ends_it_and_a_second_one_at_once(world, tmp_path, number, busy):
    for name, raw in world.files.items():
        (tmp_path / name).write_bytes(raw)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        world.port = int(process.stdout.readline().rpartition(":")[2])
        if busy:
            tls = world.dial()
            tls.sendall(GET)
            assert process.stdout.readline() == "entered\n"
        process.send_signal(number)
        if busy:
            time.sleep(0.5)
            assert process.poll() is None
            process.send_signal(number)
            assert drained(tls) == b""
            tls.close()
        assert process.stdout.readline() == "stopped\n"
        assert process.wait(20) == 0
        assert process.stderr.read() == ""


def test_an_svid_that_is_not_good_at_the_start_is_told(world):
    world.files["svid.pem"] = b""
    with pytest.raises(FormatError):
        serve_mtls(
            world.app,
            listen="127.0.0.1:0",
            source=SVIDSource(world.read, lambda: world.now),
            clock=lambda: world.now,
            announce=print,
        )


@pytest.mark.parametrize(
    ("listen", "kind", "code"),
    [
        ("127.0.0.1", UsageError, "bad-config"),
        ("127.0.0.1:65536", UsageError, "bad-config"),
        ("::1:80", UsageError, "bad-config"),
        ("[::1:80", UsageError, "bad-config"),
        (":80", UsageError, "bad-config"),
        ("127.0.0.1:-1", UsageError, "bad-config"),
        ("127.0.0.1:8\u0660", UsageError, "bad-config"),
        ("192.0.2.1:80", UnavailableError, "cannot-listen"),
        ("no-such-host.invalid:80", UnavailableError, "cannot-listen"),
        ("a..b:80", UnavailableError, "cannot-listen"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_told(world, listen, kind, code):
    with pytest.raises(kind) as caught:
        serve_mtls(
            world.app,
            listen=listen,
            source=SVIDSource(world.read, lambda: world.now),
            clock=lambda: world.now,
            announce=print,
        )
    assert caught.value.code == code


def test_a_port_that_is_taken_is_told(world):
    with world.serving(), pytest.raises(UnavailableError) as caught:
        serve_mtls(
            world.app,
            listen=f"127.0.0.1:{world.port}",
            source=SVIDSource(world.read, lambda: world.now),
            clock=lambda: world.now,
            announce=print,
        )
    assert caught.value.code == "cannot-listen"
    assert caught.value.message == (
        f"cannot listen on 127.0.0.1:{world.port}: Address already in use; another process listens there: "
        "end it, or choose another port"
    )


def test_an_announcement_that_raises_ends_it(world):
    def announce(where):
        raise UnavailableError("unwritable", "nobody listens")

    with pytest.raises(UnavailableError) as caught:
        serve_mtls(
            world.app,
            listen="127.0.0.1:0",
            source=SVIDSource(world.read, lambda: world.now),
            clock=lambda: world.now,
            announce=announce,
        )
    assert caught.value.code == "unwritable"


def test_a_server_that_can_accept_no_more_ends_instead_of_standing_there(world, monkeypatch):
    async def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Door, "accept", broken)
    with pytest.raises(RuntimeError):
        serve_mtls(
            world.app,
            listen="127.0.0.1:0",
            source=SVIDSource(world.read, lambda: world.now),
            clock=lambda: world.now,
            announce=print,
        )


def test_ipv6_is_spelled_in_brackets(world):
    said = []
    stop = threading.Event()
    stop.set()
    serve_mtls(
        world.app,
        listen="[::1]:0",
        source=SVIDSource(world.read, lambda: world.now),
        clock=lambda: world.now,
        announce=said.append,
        stop=stop,
    )
    assert said[0].startswith("[::1]:")
