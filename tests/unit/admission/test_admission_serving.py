"""What a caller may take of the real server on a real socket: heads bounded in bytes, number and time."""

import asyncio
import contextlib
import logging
import socket
import threading

import pytest

from admission import serving
from admission.app import health_app
from admission.serving import MAX_HEAD_BYTES, MAX_HEADERS
from trustkit.spiffe.listening import address_of, bound


@contextlib.contextmanager
def running(app):
    """Run one server of the face in a thread of its own; it says nothing on stderr."""
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())
    listener, server = bound("127.0.0.1:0"), serving._server(app, None)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        yield address_of(listener)
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()


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
def test_a_head_has_its_time_and_no_more(monkeypatch, begun):
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.2)
    one = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    with running(health_app(lambda: True)) as address:
        assert said(address, begun) in {b"", b"reset"}
        if begun:
            answer = said(address, one, begun)
            assert answer == b"reset" or answer.count(b"HTTP/1.1 200 OK") == 1


def test_the_next_request_may_take_longer_to_begin_than_a_head(monkeypatch):
    """A kept connection is idle, not late: the API server keeps its own for a minute and a half."""
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.2)
    one = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    with running(health_app(lambda: True)) as address:
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=20) as plain:
            for pause in (0.5, 0.5, 0):
                plain.sendall(one)
                answer = b""
                while not answer.endswith(b"ok\n"):
                    answer += plain.recv(65536)
                assert answer.startswith(b"HTTP/1.1 200")
                threading.Event().wait(pause)
