"""The broker's client against brokers with a good SVID and bad manners, and against the real one."""

import dataclasses
import socket
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trustkit.digest import digest_of
from trustkit.errors import (
    DeniedError,
    FormatError,
    LimitError,
    SealError,
    TrustkitError,
    UnavailableError,
    VerificationError,
)
from trustkit.sealing.keys import Dek
from trustkit.sealing.recipients import ephemeral_opener, recipient_from_raw
from trustkit.sealing.release import (
    MAX_ANSWER_BYTES,
    Refusal,
    ReleaseAnswer,
    answer_to_bytes,
    parse_request,
    refusal_to_bytes,
)
from trustkit.sidecar.config import Address
from trustkit.sidecar.keys import KeyService
from trustkit.spiffe.authority import Authority
from trustkit.spiffe.mtls import client_context
from trustkit.spiffe.names import SpiffeID
from trustkit.spiffe.svid import svid_from_pem


@pytest.fixture(scope="module")
def context_of(estate):
    files = estate.authority.files("/sidecar", now=time.time(), lifetime_seconds=3600)
    svid = svid_from_pem(*files.values(), now=time.time())
    return lambda: client_context(svid)


@pytest.fixture
def service_at(context_of):
    def make(address, *, expected="/broker", timeout_seconds=20.0):
        host, _, port = address.rpartition(":")
        return KeyService(
            address=Address(host, int(port)),
            expected=SpiffeID("demo.test", expected),
            context_of=context_of,
            timeout_seconds=timeout_seconds,
            now=time.time,
            monotonic=time.monotonic,
        )

    return make


@pytest.fixture
def asked(estate, model, service_at):
    """Ask the broker at an address for the model's key."""
    context = estate.proof(model).descriptor.context

    def ask(address, **more):
        return service_at(address, **more).key_for(estate.documents(model), context)

    return ask


def refused(asked, address, **more):
    with pytest.raises(TrustkitError) as caught:
        asked(address, **more)
    return caught.value


def test_the_real_broker_gives_the_key(asked, broker):
    with asked(broker) as dek:
        assert len(dek.key) == 32


def test_every_request_has_a_key_of_its_own(asked, estates, estate):
    no = estates.answer(403, refusal_to_bytes(Refusal("no-grant", "no")))
    with estates.Scripted(estate, [no]) as evil:
        for _ in range(3):
            refused(asked, evil.address)
        keys = {parse_request(body).ephemeral_key for body in evil.requests}
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (403, DeniedError, "key-denied"),
        (400, FormatError, "key-request-refused"),
        (413, LimitError, "key-request-refused"),
        (429, UnavailableError, "broker-unavailable"),
        (503, UnavailableError, "broker-unavailable"),
        (500, UnavailableError, "broker-unavailable"),
        (408, UnavailableError, "broker-unavailable"),
        (404, UnavailableError, "broker-unavailable"),
        (301, UnavailableError, "broker-unavailable"),
        (206, UnavailableError, "broker-unavailable"),
    ],
)
def test_a_refusal_is_told_apart_from_a_broker_that_is_away(asked, estate, estates, status, kind, code):
    said = estates.answer(status, refusal_to_bytes(Refusal("some-code", "and why")))
    with estates.Scripted(estate, [said]) as evil:
        error = refused(asked, evil.address)
    assert (type(error), error.code) == (kind, code)
    assert error.message.count("[some-code] and why") == 1


@pytest.mark.parametrize("status", [403, 400, 413, 503])
def test_a_refusal_that_names_its_code_itself_has_it_once(asked, estate, estates, status):
    said = estates.answer(status, refusal_to_bytes(Refusal("no-grant", "[no-grant] no; [other] and")))
    with estates.Scripted(estate, [said]) as evil:
        error = refused(asked, evil.address)
    assert error.message.count("[no-grant]") == 1
    assert ": [no-grant] no; [other] and" in error.message


GARBAGE = {
    "nothing": b"",
    "no HTTP": b"SSH-2.0-x\r\n",
    "a head that ends": b"HTTP/1.1 200 OK\r\ncontent-le",
    "a status that is none": b"HTTP/1.1 abc OK\r\n\r\n",
    "a body that ends": b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{",
    "endless headers": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000 + b"\r\n",
    "an endless header": b"HTTP/1.1 200 OK\r\na: " + b"b" * 200_000 + b"\r\n\r\n",
    "no JSON": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{",
    "another document": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    "too much": b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (MAX_ANSWER_BYTES + 1),
    "an encoding": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
    "a refusal that is none": b"HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno",
    "a page of a proxy": b"HTTP/1.1 403 No\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
    "a bad chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_a_broker_that_cannot_answer(asked, estate, estates, name):
    with estates.Scripted(estate, [GARBAGE[name]]) as evil:
        error = refused(asked, evil.address)
    assert (type(error), error.code) == (UnavailableError, "broker-unavailable")
    assert error.message.isprintable()


@given(st.binary(max_size=300))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_body_of_an_answer_is_an_error_of_the_tree(asked, estate, estates, body):
    for status in (200, 403):
        with estates.Scripted(estate, [estates.answer(status, body)]) as evil:
            assert refused(asked, evil.address).code == "broker-unavailable"


def test_a_broker_that_resets_is_away(asked, estate, estates):
    with estates.Scripted(estate, [lambda tls: tls.close()]) as evil:
        assert refused(asked, evil.address).code == "broker-unavailable"


def test_a_refusal_before_the_request_was_read_counts(service_at, estate, estates, model):
    """A broker may refuse what claims too much and hang up; a broken pipe does not hide its answer."""

    def early(tls):
        tls.recv(100)
        tls.sendall(estates.answer(413, refusal_to_bytes(Refusal("too-large", "too large"))))
        tls.shutdown(socket.SHUT_RDWR)

    large = dataclasses.replace(estate.documents(model), author_bundle=b"x" * 30_000_000)
    with estates.Scripted(estate, [early]) as evil, pytest.raises(LimitError) as caught:
        service_at(evil.address).key_for(large, estate.proof(model).descriptor.context)
    assert caught.value.code == "key-request-refused"


def test_a_request_above_the_real_brokers_cap_is_a_limit(service_at, estate, model):
    process, address = estate.broker(config=estate.broker_config(limits={"body_max_bytes": 100_000}))
    with process:
        for size in (100_000, 30_000_000):
            large = dataclasses.replace(estate.documents(model), author_bundle=b"x" * size)
            with pytest.raises(LimitError) as caught:
                service_at(address).key_for(large, estate.proof(model).descriptor.context)
            assert caught.value.code == "key-request-refused"


def test_one_deadline_holds_for_a_whole_attempt(asked, estate, estates):
    def dribble(tls):
        estates.request_of(tls)
        for byte in b"HTTP/1.1 200 OK\r\nx-slow: " + b"x" * 10_000:
            tls.sendall(bytes([byte]))
            time.sleep(0.001)

    with estates.Scripted(estate, [dribble]) as evil:
        error = refused(asked, evil.address, timeout_seconds=0.5)
    assert (type(error), error.code) == (UnavailableError, "broker-unavailable")


def test_a_broker_that_reads_nothing_is_given_up(asked, estate, estates, model):
    with estates.Scripted(estate, [lambda tls: time.sleep(30)]) as evil:
        error = refused(asked, evil.address, timeout_seconds=0.5)
    assert error.code == "broker-unavailable"


def test_the_deadline_is_kept_while_sending(service_at, estate, estates, model):
    large = dataclasses.replace(estate.documents(model), author_bundle=b"x" * 30_000_000)
    context = estate.proof(model).descriptor.context
    with (
        estates.Scripted(estate, [lambda tls: time.sleep(30)]) as evil,
        pytest.raises(UnavailableError) as caught,
    ):
        service_at(evil.address, timeout_seconds=1.0).key_for(large, context)
    assert caught.value.code == "broker-unavailable"


def test_nobody_there_is_unavailable(asked):
    assert (refused(asked, "127.0.0.1:1").code, refused(asked, "127.0.0.1:1").exit_code) == (
        "connect-failed",
        5,
    )


@pytest.mark.parametrize("path", ["/store", "/broker2", "/sidecar", "/Broker"])
def test_another_machine_of_the_trust_domain_sees_no_byte(asked, estate, estates, path):
    with estates.Scripted(estate, [estates.answer(200, b"{}")], path=path) as evil:
        error = refused(asked, evil.address)
        assert (type(error), error.code) == (VerificationError, "peer-mismatch")
        assert evil.requests in ([], [b""])


def test_the_broker_of_another_authority_sees_no_byte(asked, estate, estates):
    other = Authority("demo.test", now=time.time(), lifetime_seconds=3600)
    with estates.Scripted(estate, [estates.answer(200, b"{}")], authority=other) as evil:
        error = refused(asked, evil.address)
        assert (type(error), error.code) == (VerificationError, "peer-untrusted")
        assert evil.requests in ([], [b""])


def wrapping(estate, estates, model, dek, *, info=None, key=None, header=b""):
    """A broker that wraps a key of its choice, and adds a header."""
    context = estate.proof(model).descriptor.context

    def serve(tls):
        request = parse_request(estates.request_of(tls))
        recipient = recipient_from_raw(key or request.ephemeral_key)
        wrapped = recipient.wrap(dek, info or context.to_bytes())
        answer = estates.answer(200, answer_to_bytes(ReleaseAnswer(wrapped, digest_of(b"record"))))
        tls.sendall(answer.replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n", 1))

    return serve


@pytest.fixture
def own_dek():
    return Dek(bytearray(range(32)))


def test_another_key_than_the_signed_one_is_refused(asked, estate, estates, model, own_dek):
    with estates.Scripted(estate, [wrapping(estate, estates, model, own_dek)]) as evil:
        error = refused(asked, evil.address)
    assert (type(error), error.code) == (SealError, "key-commitment-mismatch")


@pytest.mark.parametrize("encoding", [b"gzip", b"identity", b""])
def test_an_encoding_that_was_not_asked_for_is_refused_whatever_the_body_is(
    asked, estate, estates, model, own_dek, encoding
):
    """The body is a good answer, as far as anybody reads it: without the header it gets further."""
    header = b"content-encoding: " + encoding + b"\r\n"
    for sent, code in ((b"x-encoding: y\r\n", "key-commitment-mismatch"), (header, "broker-unavailable")):
        with estates.Scripted(estate, [wrapping(estate, estates, model, own_dek, header=sent)]) as evil:
            error = refused(asked, evil.address)
        assert error.code == code
    assert "encoding" in error.message


def test_a_key_wrapped_in_another_context_is_refused(asked, estate, estates, model, own_dek):
    with estates.Scripted(estate, [wrapping(estate, estates, model, own_dek, info=b"another")]) as evil:
        error = refused(asked, evil.address)
    assert (type(error), error.code) == (SealError, "wrong-context")


def test_a_key_wrapped_for_somebody_else_is_refused(asked, estate, estates, model, own_dek):
    _, other = ephemeral_opener()
    with estates.Scripted(estate, [wrapping(estate, estates, model, own_dek, key=other)]) as evil:
        error = refused(asked, evil.address)
    assert (type(error), error.code) == (SealError, "wrong-context")


def test_an_answer_recorded_before_is_of_no_use(asked, broker, estate, estates, model):
    """The key pair is made for one request: a replayed answer opens with nothing."""
    recorded = []

    def record_and_replay(tls):
        body = estates.request_of(tls)
        if not recorded:
            recorded.append(estate.post(broker, "/sidecar", body)[2])
        tls.sendall(estates.answer(200, recorded[0]))

    with estates.Scripted(estate, [record_and_replay]) as evil:
        asked(evil.address).wipe()
        error = refused(asked, evil.address)
    assert (type(error), error.code) == (SealError, "wrong-context")


@pytest.mark.parametrize("length", [0, 1, 79, 81, 2000])
def test_a_wrapped_key_of_any_length_is_refused(asked, estate, estates, length):
    said = estates.answer(200, answer_to_bytes(ReleaseAnswer(bytes(length), digest_of(b"record"))))
    with estates.Scripted(estate, [said]) as evil:
        error = refused(asked, evil.address)
    assert (type(error), error.code) == (SealError, "wrong-context")
