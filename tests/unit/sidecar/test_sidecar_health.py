"""The probes: exact paths, nothing but a word, and nobody who dribbles keeps the kubelet out."""

import contextlib
import socket

import pytest

from trustkit.errors import UnavailableError
from trustkit.sidecar import health as room
from trustkit.sidecar.config import Address
from trustkit.sidecar.health import PLACES, Health


@pytest.fixture
def life():
    class Life:
        ready = False

    return Life()


@pytest.fixture
def served(life):
    with Health(Address("127.0.0.1", 0), ready=lambda: life.ready) as health:
        yield health.address


def test_ready_follows_the_model_and_alive_does_not(served, life, estates):
    assert estates.probe(served, "/healthz") == 200
    assert estates.probe(served, "/readyz") == 503
    life.ready = True
    assert estates.probe(served, "/readyz") == 200
    assert estates.probe(served, "/healthz") == 200


@pytest.mark.parametrize("path", ["/", "/readyz/", "/readyz?x", "/metrics", "http://x/readyz"])
def test_there_is_nothing_else(served, life, path, estates):
    life.ready = True
    assert estates.probe(served, path) == 404


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"HEAD /readyz HTTP/1.1\r\n\r\n", 503),
        (b"POST /readyz HTTP/1.1\r\n\r\n", 501),
        (b"GET /readyz HTTP/9.9\r\n\r\n", 505),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431),
    ],
)
def test_other_requests_are_no_reason_to_be_ready(served, request_line, status, estates):
    assert estates.probe(served, request=request_line) == status


def test_an_answer_names_no_software_and_no_model(served):
    host, _, port = served.rpartition(":")
    with socket.create_connection((host, int(port))) as plain:
        plain.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
        raw = plain.makefile("rb").read()
    head, _, body = raw.partition(b"\r\n\r\n")
    assert body == b"not ready\n"
    assert head.split(b"\r\n")[1:] == [
        b"content-type: text/plain",
        b"content-length: 10",
        b"cache-control: no-store",
    ]


@pytest.fixture
def patient(monkeypatch):
    """Nobody is closed for being silent, so that whoever is closed has lost its place."""
    monkeypatch.setattr(room._Answers, "timeout", 60.0)


def closed(plain):
    plain.settimeout(0.3)
    try:
        return plain.recv(1) == b""
    except TimeoutError:
        return False


def test_connections_that_say_nothing_do_not_keep_the_kubelet_out(patient, served, estates):
    host, _, port = served.rpartition(":")
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection((host, int(port)))) for _ in range(5 * PLACES)]
        assert estates.probe(served, "/healthz") == 200
        lost = 4 * PLACES + 1  # theirs, and one for the probe
        assert all(closed(plain) for plain in silent[:lost])
        assert not closed(silent[lost])
        assert not closed(silent[-1])


def test_the_oldest_alone_loses_its_place_and_only_where_all_are_taken(patient, served, estates):
    host, _, port = served.rpartition(":")
    with contextlib.ExitStack() as stack:

        def dial():
            return stack.enter_context(socket.create_connection((host, int(port))))

        silent = [dial() for _ in range(PLACES - 1)]
        for _ in range(3):  # each gives its place back
            assert estates.probe(served, "/healthz") == 200
        assert not closed(silent[0])
        silent.append(dial())
        assert estates.probe(served, "/healthz") == 200
        assert closed(silent[0])
        assert not any(closed(plain) for plain in (silent[1], silent[-1]))


def test_a_silent_connection_is_closed_after_a_while(served, monkeypatch):
    monkeypatch.setattr(room._Answers, "timeout", 0.05)
    host, _, port = served.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as plain:
        assert plain.recv(1) == b""


def test_a_caller_who_resets_is_no_event(served, capfd, estates):
    host, _, port = served.rpartition(":")
    for _ in range(5):
        plain = socket.create_connection((host, int(port)))
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        plain.sendall(b"GET /healthz")
        plain.close()
    assert estates.probe(served, "/healthz") == 200
    assert capfd.readouterr().err == ""


def test_an_address_in_use_is_unavailable(served):
    host, _, port = served.rpartition(":")
    with pytest.raises(UnavailableError) as caught:
        Health(Address(host, int(port)), ready=lambda: True)
    assert caught.value.code == "cannot-listen"


def test_a_host_that_is_none_is_unavailable():
    with pytest.raises(UnavailableError):
        Health(Address("no.such.host.invalid", 1), ready=lambda: True)


def test_ipv6_where_the_machine_has_it(life, estates):
    try:
        health = Health(Address("::1", 0), ready=lambda: life.ready)
    except UnavailableError:
        pytest.skip("there is no IPv6 loopback here")
    with health:
        assert health.address.startswith("[::1]:")
        host, port = "::1", int(health.address.rpartition(":")[2])
        with socket.create_connection((host, port)) as plain:
            plain.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert plain.recv(100).startswith(b"HTTP/1.0 200 ")
