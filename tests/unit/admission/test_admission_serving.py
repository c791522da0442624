"""What a caller may take of the real server on a real socket: heads, times, and a place."""

import contextlib
import dataclasses
import socket
import ssl
import threading

import pytest

from admission.app import health_app
from admission.serving import HEALTH_LIMITS, KEEP_ALIVE_SECONDS, MAX_CONNECTIONS, webhook_limits
from trustkit.spiffe.door import Door, keep_open
from trustkit.spiffe.listening import address_of, bound

MAX_HEAD_BYTES = HEALTH_LIMITS.head_bytes
MAX_HEADERS = HEALTH_LIMITS.headers
HASTY = dataclasses.replace(HEALTH_LIMITS, arrival_seconds=0.2)
ONE = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"


@contextlib.contextmanager
def running(app, limits=HEALTH_LIMITS):
    """Keep one plain door open in a thread of its own; it says nothing on stderr."""
    listener, stop, ready = bound("127.0.0.1:0"), threading.Event(), threading.Event()
    address = address_of(listener)
    door = Door(app, lambda: None, limits)
    thread = threading.Thread(target=keep_open, args=([(door, listener)], ready.set, stop))
    thread.start()
    try:
        assert ready.wait(20)
        assert door.open
        yield address
    finally:
        stop.set()
        thread.join(30)
        assert not door.open


@pytest.fixture(scope="module")
def health():
    with running(health_app(lambda: True)) as address:
        yield address


def said(address, *parts, seconds=20):
    """Send parts as they are and return all that comes back until the other side closes."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as plain:
        try:
            for part in parts:
                plain.sendall(part)
            raw = b""
            while chunk := plain.recv(65536):
                raw += chunk
        except ConnectionError:
            return b"reset"
    return raw


def test_a_head_without_end_is_refused(health):
    for head in (
        b"GET /" + b"x" * (2 * MAX_HEAD_BYTES),
        b"GET / HTTP/1.1\r\nx: " + b"y" * (2 * MAX_HEAD_BYTES),
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * MAX_HEAD_BYTES,
    ):
        answer = said(health, head)
        assert answer == b"reset" or answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(("count", "status"), [(MAX_HEADERS - 2, b"200"), (MAX_HEADERS + 1, b"400")])
def test_headers_are_counted(health, count, status):
    head = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    answer = said(health, head + b"a: b\r\n" * count + b"\r\n")
    assert answer.split()[1] == status


NO_HTTP = [b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0" * 100, b"nonsense\r\n\r\n"]


@pytest.mark.parametrize("garbage", NO_HTTP)
def test_what_is_no_http_is_refused_and_nobody_is_hurt(health, estates, garbage):
    assert said(health, garbage).startswith(b"HTTP/1.1 400 ")
    assert estates.probe(health, "/healthz") == 200


def test_connections_are_kept_for_the_next_request(health):
    one = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    assert said(health, one, one, last).count(b"HTTP/1.1 200 OK") == 3


async def measure(scope, receive, send):
    """An application that says how long a body was."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"%d" % size
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def test_a_long_body_is_no_long_head():
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
    body = b"x" * (20 * MAX_HEAD_BYTES)
    last = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n"
    with running(measure) as address:
        answer = said(
            address, head % len(body), body, head % len(body) + body[:70_000], body[70_000:], last + b"ab"
        )
    sizes = [part.partition(b"HTTP/1.1")[0] for part in answer.split(b"\r\n\r\n")[1:]]
    assert sizes == [b"%d" % len(body), b"%d" % len(body), b"2"]


@pytest.mark.parametrize("begun", [b"", b"G", b"GET /healthz HTTP/1.1\r\nhost:"])
def test_a_head_has_its_time_and_no_more(begun):
    with running(health_app(lambda: True), HASTY) as address:
        assert said(address, begun) in {b"", b"reset"}
        if begun:
            answer = said(address, ONE, begun)
            assert answer == b"reset" or answer.count(b"HTTP/1.1 200 OK") == 1


def test_a_head_that_dribbles_has_no_more_time():
    with running(health_app(lambda: True), HASTY) as address:
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=20) as plain:
            assert _cut(plain, b"GET /healthz HTTP/1.1\r\nx: " + b"y" * 1000)


def _cut(plain, sent):
    """Send byte by byte; say whether the other side ended it before the last."""
    try:
        for byte in sent:
            plain.sendall(bytes((byte,)))
            threading.Event().wait(0.02)
    except OSError:
        return True
    return False


def test_the_next_request_may_take_longer_to_begin_than_a_head():
    """A kept connection is idle, not late: the API server keeps its own for a minute and a half."""
    with running(health_app(lambda: True), HASTY) as address:
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=20) as plain:
            for pause in (0.5, 0.5, 0):
                plain.sendall(ONE)
                answer = b""
                while not answer.endswith(b"ok\n"):
                    answer += plain.recv(65536)
                assert answer.startswith(b"HTTP/1.1 200")
                threading.Event().wait(pause)


def test_the_probes_get_in_however_many_say_nothing(estates):
    patient = dataclasses.replace(HEALTH_LIMITS, arrival_seconds=100.0)
    with running(health_app(lambda: True), patient) as address, contextlib.ExitStack() as idle:
        host, _, port = address.rpartition(":")
        for _ in range(3 * patient.connections):
            idle.enter_context(socket.create_connection((host, int(port)), timeout=20))
        assert estates.probe(address, "/healthz") == 200


def test_a_webhook_full_of_idle_connections_lets_the_api_server_in(webhook, tools):
    """Whoever reaches the port, here with a certificate too, keeps connections and asks nothing more."""
    process, address, _ = webhook.serve()
    context, port = webhook.context(), int(address.rpartition(":")[2])
    pod = tools.review(tools.pod("run"))
    kept = b"POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
    with process, contextlib.ExitStack() as stack:

        def dial():
            plain = socket.create_connection(("127.0.0.1", port), timeout=20)
            return stack.enter_context(context.wrap_socket(plain, server_hostname="localhost"))

        connections = [dial() for _ in range(MAX_CONNECTIONS)]
        for tls in connections:
            tls.sendall(kept)
            assert tls.recv(4096).startswith(b"HTTP/1.1 404 ")
        for _ in range(50):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
        for _ in range(3):
            assert webhook.ask(address, pod)[0] == 200
        assert _ended(connections[0]), "the longest idle made room"
        connections[-1].settimeout(0.5)
        assert not _ended(connections[-1]), "the last one stayed"


def _ended(tls):
    try:
        while tls.recv(4096):
            pass
    except TimeoutError:
        return False
    except (ssl.SSLError, ConnectionError):
        return True
    return True


def test_what_a_webhook_allows_its_callers():
    limits = webhook_limits(5.0)
    assert limits.handshake_seconds <= limits.arrival_seconds == 10.0
    assert limits.idle_seconds == KEEP_ALIVE_SECONDS > 90
    assert webhook_limits(30.0).arrival_seconds == 35.0
