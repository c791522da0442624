"""The client of a store, against a store that lies: each fault a typed error, and never a misplaced byte."""

import contextlib
import os
import re
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trustkit.artifact.reference import Reference
from trustkit.errors import (
    DeniedError,
    FormatError,
    LimitError,
    SealError,
    TrustkitError,
    UnavailableError,
    VerificationError,
)
from trustkit.spiffe.mtls import client_context, server_context
from trustkit.spiffe.names import SpiffeID
from trustkit.spiffe.svid import svid_from_pem
from trustkit.storage import http
from trustkit.storage.http import HTTPSource, Retry

BLOB = bytes(range(100))
RANGED = re.compile("ange|206|total|satisfiable|multipart")
STALLS = frozenset(("a body that stalls", "no answer"))
CLASSES = {
    "truncated": SealError,
    "store-redirects": VerificationError,
    "source-changed": VerificationError,
    "store-refused": DeniedError,
}


def table():
    """The names of the fault table, read as text: parameters are needed before fixtures are."""
    text = (Path(__file__).parents[2] / "simulators/evil_store.py").read_text(encoding="utf-8")
    return re.findall(r'^    "([^"]+)": \(', text.split("\nFAULTS = {", 1)[1], re.MULTILINE)


class World:
    """An evil store of demo.test, and sources that read from it."""

    def __init__(self, evil, certificates):
        self.evil = evil
        self.certificates = certificates
        self.now = float(int(time.time()))
        self.issuer = certificates.Issuer(self.now)
        self.store = evil.EvilStore(server_context(self.svid("/store")))
        self.store.files = {"/m/blob": BLOB, "/m/doc": b"{}", "/m/empty": b"", "/m/a%20b/%C3%A9": b"odd"}
        self.store.wait = self.wait
        self.skipped = 0.0
        self.pauses = []
        self.sources = []

    def svid(self, path, issuer=None):
        files = (issuer or self.issuer).files(path)
        return svid_from_pem(files["svid.pem"], files["svid_key.pem"], files["bundle.pem"], now=self.now)

    def source(self, *, timeout=10.0, retry=None, expected="/store", context=None, path="m", port=None):
        svid = self.svid("/sidecar")
        self.sources.append(
            HTTPSource(
                Reference(f"127.0.0.1:{port or self.store.port}", path),
                context_of=context or (lambda: client_context(svid)),
                expected=SpiffeID("demo.test", expected),
                timeout_seconds=timeout,
                clock_now=lambda: self.now,
                monotonic=lambda: time.monotonic() + self.skipped,
                retry=retry,
            )
        )
        return self.sources[-1]

    def wait(self, seconds):
        """Let a drip take no real time: the clients' clock jumps. What is longer is waited for."""
        self.skipped += 20 * seconds if seconds < 1.0 else 0.0
        time.sleep(seconds if seconds >= 1.0 else 0.01)

    def retry(self, **arguments):
        return Retry(self.pauses.append, lambda: 0.5, **arguments)

    def close(self):
        for source in self.sources:
            source.close()
        self.store.close()


@pytest.fixture
def world(evil, certificates):
    with contextlib.closing(World(evil, certificates)) as one:
        yield one


def read(source, start=10, stop=20, name="blob"):
    into = bytearray(stop - start)
    source.read_range(name, start, memoryview(into))
    return bytes(into)


class TestReading:
    def test_a_range_is_the_bytes_of_that_place(self, world):
        source = world.source()
        assert read(source) == BLOB[10:20]
        assert read(source, 0, 100) == BLOB
        assert read(source, 99, 100) == BLOB[99:]

    def test_every_range_of_a_blob(self, world):
        source = world.source()
        for start in range(0, 100, 7):
            for stop in range(start + 1, 101, 11):
                assert read(source, start, stop) == BLOB[start:stop]
        assert world.store.connections == 1

    def test_an_empty_range_asks_nothing(self, world):
        assert read(world.source(), 5, 5) == b""
        assert world.store.requests == []

    def test_a_document_is_all_of_it(self, world):
        source = world.source()
        assert source.document("doc", max_bytes=2) == b"{}"
        assert source.document("empty", max_bytes=0) == b""

    def test_a_length_is_what_the_store_says(self, world):
        assert world.source().length("blob") == 100
        assert world.store.requests[0][0] == "HEAD"

    def test_what_is_sent_is_plain(self, world):
        read(world.source())
        method, path, headers = world.store.requests[0]
        assert (method, path) == ("GET", "/m/blob")
        assert headers.pop("user-agent").startswith("trustkit/")
        assert headers == {
            "host": f"127.0.0.1:{world.store.port}",
            "accept-encoding": "identity",
            "range": "bytes=10-19",
        }

    def test_a_whole_document_is_asked_for_without_a_range(self, world):
        world.source().document("doc", max_bytes=2)
        world.source().length("doc")
        assert not [headers for _, _, headers in world.store.requests if "range" in headers]

    def test_names_are_escaped(self, world):
        assert world.source().document("a b/é", max_bytes=10) == b"odd"

    def test_names_that_need_it_most_are_escaped(self, world):
        for name in ("a?b", "a#b", "a%2e%2e", "a;b", "a b", "a@b:c"):
            with pytest.raises(UnavailableError):
                world.source().document(name, max_bytes=10)
        assert [path for _, path, _ in world.store.requests] == [
            "/m/a%3Fb",
            "/m/a%23b",
            "/m/a%252e%252e",
            "/m/a%3Bb",
            "/m/a%20b",
            "/m/a%40b%3Ac",
        ]

    @pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a\r\nX: y", "a//b", ""])
    def test_names_that_are_unsafe_are_not_asked_for(self, world, name):
        with pytest.raises(FormatError) as caught:
            world.source().document(name, max_bytes=10)
        assert caught.value.code == "unsafe-name"
        assert world.store.requests == []

    def test_a_document_beyond_its_cap_is_not_read(self, world):
        with pytest.raises(LimitError) as caught:
            world.source().document("blob", max_bytes=99)
        assert caught.value.code == "too-large"

    def test_a_document_that_is_announced_as_huge_takes_no_memory(self, world):
        world.store.faults = [world.evil.header("Content-Length", "9" * 18)]
        with pytest.raises(LimitError):
            world.source().document("doc", max_bytes=1 << 30)

    def test_a_blob_that_ends_before_is_truncated(self, world):
        source = world.source()
        for start, stop in ((90, 101), (100, 101), (500, 600)):
            with pytest.raises(SealError) as caught:
                read(source, start, stop)
            assert caught.value.code == "truncated"

    def test_what_is_not_there_is_said_to_be_absent(self, world):
        source = world.source()
        for ask in (
            lambda: source.document("nope", max_bytes=1),
            lambda: read(source, name="nope"),
            lambda: source.length("nope"),
        ):
            with pytest.raises(UnavailableError) as caught:
                ask()
            assert caught.value.code == "not-found"
        assert world.store.connections == 1, "short answers keep the connection"

    def test_threads_share_a_source(self, world):
        source, wrong, start = world.source(), [], threading.Barrier(6)

        def work(number):
            start.wait()
            for turn in range(20):
                first = (number * 13 + turn * 7) % 80
                if read(source, first, first + 20) != BLOB[first : first + 20]:
                    wrong.append((number, turn))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert world.store.connections <= 6


class TestFaults:
    @pytest.mark.parametrize("name", table())
    def test_of_a_range(self, world, name):
        """A typed error, no second request, and the next read is right again."""
        fault, code = world.evil.FAULTS[name]
        source = world.source(timeout=3.0 if name in STALLS else 20.0)
        assert read(source) == BLOB[10:20]
        world.store.faults = [
            fault,
            fault,
        ]  # the second for an end that only shows a kept connection was stale
        with pytest.raises(TrustkitError) as caught:
            read(source)
        assert (caught.value.code, type(caught.value)) == (code, CLASSES.get(code, UnavailableError))
        assert len(world.store.requests) in {2, 3}
        world.store.faults = []
        assert read(source) == BLOB[10:20]

    @pytest.mark.parametrize("name", [name for name in table() if not RANGED.search(name)])
    def test_of_a_document(self, world, name):
        fault, code = world.evil.FAULTS[name]
        source = world.source(timeout=3.0 if name in STALLS else 20.0)
        world.store.faults = [fault]
        with pytest.raises(TrustkitError) as caught:
            source.document("blob", max_bytes=1000)
        assert caught.value.code == code
        world.store.faults = []
        assert source.document("blob", max_bytes=1000) == BLOB

    def test_of_a_length(self, world):
        evil, source = world.evil, world.source()
        for fault, code in (
            (evil.header("Content-Length", None), "bad-answer"),
            (evil.added(("Content-Length", "100")), "bad-answer"),
            (evil.added(("Transfer-Encoding", "chunked")), "bad-answer"),
            (evil.status("206 Partial"), "bad-range"),
            (evil.status("403 No"), "store-refused"),
            (evil.cut(60, evil.CLOSE), "store-failed"),
        ):
            world.store.faults = [fault]
            with pytest.raises(TrustkitError) as caught:
                source.length("blob")
            assert caught.value.code == code
        assert source.length("blob") == 100

    @pytest.mark.parametrize("how", ["RESET", "CLOSE"])
    def test_an_end_after_any_byte(self, world, how):
        """Every place at which an answer can break off, head and body."""
        evil, source = world.evil, world.source()
        read(source)
        whole = len(
            world.evil.EvilStore._answer(world.store, "GET", "/m/blob", {"range": "bytes=10-19"}).raw()
        )
        for count in range(whole):
            world.store.faults = [evil.cut(count, getattr(evil, how))] * 2
            with pytest.raises(UnavailableError) as caught:
                read(source)
            assert caught.value.code in {"store-failed", "bad-answer"}
            world.store.faults = []
        assert read(source) == BLOB[10:20]

    def test_one_byte_writes_are_no_fault(self, world):
        world.store.always = lambda answer: [bytes((byte,)) for byte in answer.raw()]
        source = world.source()
        assert read(source) == BLOB[10:20]
        assert source.document("doc", max_bytes=2) == b"{}"

    def test_an_answer_to_nobody_is_not_taken_for_the_next(self, world):
        """A second answer, sent while nobody asks: it is noticed, and the connection is not used again."""
        source = world.source()
        other = world.evil.EvilStore._answer(world.store, "GET", "/m/blob", {"range": "bytes=50-59"})
        sent = threading.Event()

        def fault(answer):
            yield answer.raw()
            yield 1.0
            yield other.raw()
            sent.set()

        world.store.faults = [fault]
        assert read(source) == BLOB[10:20]
        assert sent.wait(20)
        time.sleep(0.2)
        assert read(source, 50, 60) == BLOB[50:60]
        assert read(source, 30, 40) == BLOB[30:40]
        assert world.store.connections == 2

    def test_an_answer_that_asks_to_be_the_last_is_the_last(self, world):
        world.store.always = world.evil.header("Connection", "close")
        source = world.source()
        assert [read(source) for _ in range(3)] == [BLOB[10:20]] * 3
        assert world.store.connections == 3

    def test_before_the_handshake(self, world):
        evil = world.evil
        for steps in (
            [evil.CLOSE],
            [evil.RESET],
            [b"HTTP/1.1 400 Bad Request\r\n\r\n", evil.CLOSE],
            [b"\x16\x03"],
        ):
            world.store.before_handshake = [steps]
            with pytest.raises(UnavailableError) as caught:
                read(world.source())
            assert caught.value.code == "connect-failed"

    def test_a_handshake_that_stalls(self, world):
        world.store.before_handshake = [[8.0]]
        with pytest.raises(UnavailableError) as caught:
            read(world.source(timeout=0.3))
        assert caught.value.code == "connect-failed"

    def test_nobody_there(self, world):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        with pytest.raises(UnavailableError) as caught:
            read(world.source(port=port))
        assert caught.value.code == "connect-failed"

    def test_no_time_left_at_all(self, world):
        with pytest.raises(UnavailableError) as caught:
            read(world.source(timeout=0.0))
        assert caught.value.code == "store-timeout"
        assert world.store.connections == 0


class TestVersions:
    """Ranges of one blob come from one version of it (threats G02)."""

    def test_another_tag_is_noticed(self, world):
        source = world.source()
        read(source)
        world.store.etag = '"2"'
        with pytest.raises(VerificationError) as caught:
            read(source, 20, 30)
        assert caught.value.code == "source-changed"

    def test_another_length_is_noticed(self, world):
        source = world.source()
        read(source)
        world.store.files["/m/blob"] = BLOB + b"!"
        with pytest.raises(VerificationError) as caught:
            read(source, 20, 30)
        assert caught.value.code == "source-changed"

    def test_a_tag_that_is_gone_is_noticed(self, world):
        source = world.source()
        read(source)
        world.store.faults = [world.evil.header("ETag", None)]
        with pytest.raises(VerificationError) as caught:
            read(source, 20, 30)
        assert caught.value.code == "source-changed"

    def test_a_store_without_tags_is_read_by_length_alone(self, world):
        world.store.always = world.evil.header("ETag", None)
        source = world.source()
        assert [read(source, first, first + 10) for first in (0, 50)] == [BLOB[:10], BLOB[50:60]]

    def test_other_blobs_are_other_versions(self, world):
        source = world.source()
        read(source)
        world.store.etag = '"2"'
        world.store.files["/m/other"] = BLOB
        assert read(source, name="other") == BLOB[10:20]

    def test_a_new_source_starts_anew(self, world):
        read(world.source())
        world.store.etag = '"2"'
        assert read(world.source()) == BLOB[10:20]

    def test_of_very_many_blobs_the_oldest_are_forgotten(self, world, monkeypatch):
        monkeypatch.setattr(http, "_MAX_REMEMBERED", 2)
        world.store.files.update({f"/m/{name}": BLOB for name in "abc"})
        source = world.source()
        for name in "abc":
            read(source, name=name)
        world.store.etag = '"2"'
        assert read(source, name="a") == BLOB[10:20]
        with pytest.raises(VerificationError):
            read(source, name="c")


class TestWho:
    def test_the_wrong_store_is_asked_nothing(self, world):
        with pytest.raises(VerificationError) as caught:
            read(world.source(expected="/other"))
        assert caught.value.code == "peer-mismatch"
        assert world.store.requests == []

    def test_a_store_of_another_authority_is_asked_nothing(self, world):
        stranger = world.svid("/sidecar", world.certificates.Issuer(world.now))
        with pytest.raises(VerificationError) as caught:
            read(world.source(context=lambda: client_context(stranger)))
        assert caught.value.code == "peer-untrusted"
        assert world.store.requests == []

    def test_a_store_that_does_not_know_us_has_refused(self, world):
        """It trusts another authority than ours; we trust both."""
        other = world.certificates.Issuer(world.now)
        svid = world.svid("/store")
        deaf = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        deaf.verify_mode = ssl.CERT_REQUIRED
        deaf.load_verify_locations(cadata=other.pem.decode())
        descriptor = os.memfd_create("svid")
        os.write(descriptor, svid.key_pem + svid.chain_pem)
        deaf.load_cert_chain(f"/proc/self/fd/{descriptor}")
        os.close(descriptor)
        world.store.context = deaf
        for _ in range(10):
            with pytest.raises(DeniedError) as caught:
                read(world.source())
            assert caught.value.code == "store-refused"
        world.store.hasty = True
        told = []
        for _ in range(40):
            with pytest.raises((DeniedError, UnavailableError)) as caught:
                read(world.source())
            told.append(caught.value.code)
        assert set(told) <= {"store-refused", "store-failed"}
        assert "store-refused" in told

    def test_our_own_svid_that_is_no_more_is_told(self, world):
        def expired():
            raise UnavailableError("svid-expired", "ended")

        with pytest.raises(UnavailableError) as caught:
            read(world.source(context=expired))
        assert caught.value.code == "svid-expired"

    def test_each_new_connection_uses_today_s_context(self, world):
        asked = []
        svid = world.svid("/sidecar")

        def today():
            asked.append(1)
            return client_context(svid)

        source = world.source(context=today)
        read(source)
        read(source)
        assert len(asked) == 1
        world.store.hang_up()
        read(source)
        assert len(asked) == 2

    def test_a_kept_connection_to_an_svid_that_expired_is_not_used(self, world):
        source = world.source()
        read(source)
        world.now += 3601
        with pytest.raises(VerificationError) as caught:
            read(source)
        assert caught.value.code == "bad-svid"
        assert len(world.store.requests) == 1


class TestKeeping:
    def test_a_connection_is_used_again(self, world):
        source = world.source()
        for _ in range(10):
            read(source)
        assert world.store.connections == 1

    def test_one_that_was_closed_meanwhile_is_replaced_without_a_word(self, world):
        source = world.source()
        for turn in range(1, 5):
            read(source)
            assert world.store.connections == turn
            world.store.hang_up()

    def test_one_that_is_closed_under_the_request_is_replaced_once(self, world):
        """The store closes an idle connection in the very moment in which we ask on it."""
        source = world.source()
        read(source)
        world.store.faults = [world.evil.raw(world.evil.CLOSE)]
        assert read(source) == BLOB[10:20]
        assert (world.store.connections, len(world.store.requests)) == (2, 3)
        world.store.faults = [world.evil.raw(world.evil.CLOSE)] * 2
        with pytest.raises(UnavailableError):
            read(source)

    def test_a_new_one_that_is_closed_under_the_request_is_a_failure(self, world):
        world.store.faults = [world.evil.raw(world.evil.CLOSE)]
        with pytest.raises(UnavailableError):
            read(world.source())
        assert len(world.store.requests) == 1

    def test_one_is_given_up_rather_than_read_through_a_long_error(self, world):
        source = world.source()
        for body, connections in ((b"x" * 1000, 1), (b"x" * 100_000, 2)):
            world.store.faults = [world.evil.status("500 Oops", body=body)]
            with pytest.raises(UnavailableError):
                read(source)
            assert read(source) == BLOB[10:20]
            assert world.store.connections == connections

    def test_one_that_breaks_in_the_middle_is_a_failure(self, world):
        source = world.source()
        read(source)
        world.store.faults = [world.evil.cut(-1, world.evil.CLOSE)]
        with pytest.raises(UnavailableError):
            read(source)

    def test_after_the_close_none_is_kept_and_none_made(self, world):
        source = world.source()
        read(source)
        source.close()
        source.close()
        with pytest.raises(UnavailableError):
            read(source)

    def test_a_close_ends_the_waiting_of_others(self, world):
        source, outcome = world.source(timeout=60.0, retry=world.retry()), []
        world.store.always = world.evil.raw(30.0)

        def wait():
            try:
                read(source)
            except UnavailableError as error:
                outcome.append(error.code)

        waiting = threading.Thread(target=wait)
        waiting.start()
        while not world.store.requests:
            time.sleep(0.01)
        source.close()
        waiting.join(20)
        assert outcome == ["store-failed"]
        assert world.pauses == []


class TestRetry:
    def test_what_is_unavailable_is_asked_for_again(self, world):
        evil = world.evil
        world.store.faults = [evil.FAULTS[name][0] for name in ("unavailable", "reset in the body", "gzip")]
        assert read(world.source(retry=world.retry())) == BLOB[10:20]
        assert world.pauses == [0.2 * 0.75, 0.4 * 0.75, 0.8 * 0.75]

    def test_but_not_for_ever(self, world):
        world.store.always = world.evil.status("503 No")
        with pytest.raises(UnavailableError):
            read(world.source(retry=world.retry(attempts=3)))
        assert len(world.store.requests) == 3
        assert len(world.pauses) == 2

    def test_pauses_grow_to_their_limit(self, world):
        world.store.always = world.evil.status("503 No")
        with pytest.raises(UnavailableError):
            read(world.source(retry=world.retry(attempts=8, most_seconds=1.0)))
        assert world.pauses == [pytest.approx(0.75 * pause) for pause in (0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0)]

    @pytest.mark.parametrize(
        ("said", "pause"),
        [
            ("1", 1.0),
            ("315360000", 5.0),
            ("9" * 40, 0.15),
            ("Fri, 31 Dec 2038 23:59:59 GMT", 0.15),
            ("-5", 0.15),
            ("0", 0.15),
            ("1.5", 0.15),
        ],
    )
    @pytest.mark.parametrize("status", ["429 Slow Down", "503 Unavailable"])
    def test_the_store_may_ask_for_a_longer_pause_within_the_limit(self, world, status, said, pause):
        world.store.faults = [world.evil.status(status, ("Retry-After", said))]
        read(world.source(retry=world.retry()))
        assert world.pauses == [pytest.approx(pause)]

    @pytest.mark.parametrize(
        "name", ["not found", "forbidden", "moved to http", "not satisfiable, and short"]
    )
    def test_what_was_refused_or_is_absent_is_not_asked_for_again(self, world, name):
        world.store.faults = [world.evil.FAULTS[name][0]]
        with pytest.raises(TrustkitError):
            read(world.source(retry=world.retry()))
        assert len(world.store.requests) == 1
        assert world.pauses == []

    def test_a_connection_that_fails_is_tried_again(self, world):
        world.store.before_handshake = [[world.evil.RESET], [world.evil.CLOSE]]
        assert read(world.source(retry=world.retry())) == BLOB[10:20]
        assert len(world.pauses) == 2

    def test_without_it_there_is_one_attempt(self, world):
        world.store.faults = [world.evil.status("503 No")]
        with pytest.raises(UnavailableError):
            read(world.source())
        assert len(world.store.requests) == 1


def test_a_reference_without_a_port_means_443():
    source = HTTPSource(
        Reference("store.invalid", "m"),
        context_of=lambda: None,
        expected=SpiffeID("demo.test", "/store"),
        timeout_seconds=1.0,
        clock_now=time.time,
        monotonic=time.monotonic,
    )
    assert source._address == ("store.invalid", 443)


def test_the_whole_fault_table_is_tried(evil):
    assert table() == list(evil.FAULTS)
    assert len(table()) > 60


@given(
    place=st.integers(0, 160),
    cut=st.integers(0, 12),
    put=st.binary(max_size=12)
    | st.sampled_from(
        [b"\r\n", b"\n", b"\0", b": ", b"Content-Length: 7\r\n", b"\r\n\r\n", b"HTTP/1.1 206 OK\r\n"]
    ),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_answer_with_anything_in_it_is_the_right_bytes_or_an_error(world, place, cut, put):
    """Bytes cut out of and put into a head, or put before a body, whose own bytes are another's to check."""
    source = world.source(timeout=20.0)

    def fault(answer):
        raw = answer.raw()
        at = min(place, len(raw) - len(answer.body))
        return [raw[:at] + put + raw[at + cut :], world.evil.CLOSE]

    world.store.faults = [fault]
    with contextlib.suppress(UnavailableError, VerificationError, DeniedError, SealError):
        read(source)
    source.close()
    world.store.faults = []
    assert len(world.store.requests) == 1
    world.store.requests.clear()
