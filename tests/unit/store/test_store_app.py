"""The store over real sockets: exact bytes to readers, nothing to others, and no way around its root."""

import asyncio
import contextlib
import json
import os
import resource
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trustkit.store.app import store_app

BLOB = bytes(range(100))


def code(reply):
    return json.loads(reply.body)["code"]


class TestFiles:
    def test_a_whole_one(self, world):
        reply = world.ask("/m/blobs/a")
        assert (reply.status, reply.body) == (200, BLOB)
        assert reply.headers["content-length"] == "100"
        assert reply.headers["accept-ranges"] == "bytes"
        assert reply.headers["content-type"] == "application/octet-stream"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "server" not in reply.headers
        assert "content-range" not in reply.headers
        assert "content-encoding" not in reply.headers

    def test_an_empty_one(self, world):
        reply = world.ask("/m/empty")
        assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"", "0")

    def test_only_its_head(self, world):
        for lines, status, length in (((), 200, "100"), (("Range: bytes=10-19",), 206, "10")):
            reply = world.ask("/m/blobs/a", *lines, method="HEAD")
            assert (reply.status, reply.body, reply.headers["content-length"]) == (status, b"", length)

    def test_a_head_reads_nothing_of_a_huge_one(self, world):
        with (world.root / "huge").open("wb") as file:
            file.truncate(1 << 42)
        reply = world.ask("/huge", method="HEAD")
        assert (reply.status, reply.headers["content-length"]) == (200, str(1 << 42))

    def test_no_answer_leaves_a_file_open(self, world, open_in):
        tag = world.ask("/m/blobs/a").headers["etag"]
        for lines in (
            (),
            ("Range: bytes=0-9",),
            ("Range: bytes=200-",),
            (f"If-None-Match: {tag}",),
            ('If-Match: "x"',),
        ):
            for method in ("GET", "HEAD"):
                for _ in range(4):
                    world.ask("/m/blobs/a", *lines, method=method)
        assert len(open_in(world.root)) <= 4

    def test_names_in_utf_8_and_escaped(self, world):
        (world.root / "m/ä b%c").write_bytes(b"odd")
        assert world.ask("/m/%C3%A4%20b%25c").body == b"odd"

    def test_a_file_that_lies_deep(self, world):
        name = "/".join("d" * 200)
        (world.root / name).parent.mkdir(parents=True)
        (world.root / name).write_bytes(b"deep")
        assert world.ask(f"/{name}").body == b"deep"

    def test_a_big_one_comes_whole_and_does_not_fill_the_memory(self, world):
        piece = os.urandom(1 << 20)
        with (world.root / "big").open("wb") as file:
            for _ in range(64):
                file.write(piece)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with world.dial() as tls:
            tls.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            size, head = 0, tls.recv(1 << 16)
            size += len(head.partition(b"\r\n\r\n")[2])
            while got := tls.recv(1 << 16):
                size += len(got)
        assert size == 64 << 20
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10

    def test_many_requests_on_one_connection(self, world):
        with world.dial() as tls:
            for _ in range(20):
                tls.sendall(b"GET /m/doc.json HTTP/1.1\r\nHost: x\r\n\r\n")
                got = b""
                while not got.endswith(b"{}"):
                    got += tls.recv(4096)
                assert got.startswith(b"HTTP/1.1 200 OK\r\n")


class TestRanges:
    @pytest.mark.parametrize(
        ("said", "start", "stop"),
        [
            ("bytes=0-0", 0, 1),
            ("bytes=10-19", 10, 20),
            ("bytes=99-99", 99, 100),
            ("bytes=90-1000", 90, 100),
            ("bytes=50-", 50, 100),
            ("bytes=-5", 95, 100),
            ("bytes=-1000", 0, 100),
            ("BYTES=0-9", 0, 10),
            (f"bytes=0-{'9' * 18}", 0, 100),
        ],
    )
    def test_one_is_served(self, world, said, start, stop):
        reply = world.ask("/m/blobs/a", f"Range: {said}")
        assert (reply.status, reply.body) == (206, BLOB[start:stop])
        assert reply.headers["content-range"] == f"bytes {start}-{stop - 1}/100"
        assert reply.headers["content-length"] == str(stop - start)

    @pytest.mark.parametrize(
        "said",
        [
            "bytes=100-",
            "bytes=100-200",
            "bytes=20-10",
            "bytes=-0",
            "bytes=-",
            "bytes=",
            "bytes=a-b",
            "bytes=0-9,20-29",
            "bytes=0-9, ",
            "bytes= 0-9",
            "bytes=+0-9",
            "bytes=0x0-0x9",
            "items=0-9",
            "bytes",
            "",
            f"bytes={'9' * 19}-",
            f"bytes=0-{'9' * 30}",
            f"bytes=-{'9' * 1000}",
            "bytes=" + ",".join(["0-1"] * 10_000),
            "bytes=" + ",".join(f"{i}-" for i in range(8_000)),
            "bytes=0-" + "0" * 60_000,
        ],
        ids=lambda said: said[:24] or "empty",
    )
    def test_what_is_not_one_is_416(self, world, said):
        reply = world.ask("/m/blobs/a", f"Range: {said}")
        assert (reply.status, reply.headers["content-range"], code(reply)) == (
            416,
            "bytes */100",
            "bad-range",
        )

    def test_two_headers_are_not_one_range(self, world):
        assert world.ask("/m/blobs/a", "Range: bytes=0-1", "Range: bytes=2-3").status == 416

    @pytest.mark.parametrize("said", ["bytes=0-0", "bytes=0-", "bytes=-1"])
    def test_an_empty_file_has_none(self, world, said):
        reply = world.ask("/m/empty", f"Range: {said}")
        assert (reply.status, reply.headers["content-range"]) == (416, "bytes */0")

    def test_a_sparse_file_is_served_at_its_end(self, world):
        with (world.root / "sparse").open("wb") as file:
            file.truncate(1 << 40)
        reply = world.ask("/sparse", f"Range: bytes={(1 << 40) - 3}-")
        assert (reply.status, reply.body) == (206, b"\0\0\0")


class TestVersions:
    def test_a_tag_stays_as_long_as_the_file_and_changes_with_it(self, world):
        tags = [world.ask("/m/blobs/a").headers["etag"] for _ in range(2)]
        assert tags[0] == tags[1]
        path = world.root / "m/blobs/a"
        path.write_bytes(bytes(100))
        tags.append(world.ask("/m/blobs/a").headers["etag"])
        path.unlink()
        path.write_bytes(bytes(99))
        tags.append(world.ask("/m/blobs/a", "Range: bytes=0-1").headers["etag"])
        os.utime(path, ns=(1, 1))
        tags.append(world.ask("/m/blobs/a", method="HEAD").headers["etag"])
        assert len(set(tags)) == 4

    def test_a_range_of_another_version_is_the_whole_of_this_one(self, world):
        tag = world.ask("/m/blobs/a").headers["etag"]
        assert world.ask("/m/blobs/a", "Range: bytes=0-9", f"If-Range: {tag}").status == 206
        for other in ('"other"', f"W/{tag}", "Wed, 25 Nov 2026 00:00:00 GMT"):
            assert world.ask("/m/blobs/a", "Range: bytes=0-9", f"If-Range: {other}").status == 200

    def test_conditions(self, world):
        tag = world.ask("/m/blobs/a").headers["etag"]
        for line, status in (
            (f"If-Match: {tag}", 200),
            (f'If-Match: "x", {tag}', 200),
            ("If-Match: *", 200),
            ('If-Match: "x"', 412),
            (f"If-Match: W/{tag}", 412),
            (f"If-None-Match: {tag}", 304),
            (f"If-None-Match: W/{tag}", 304),
            ("If-None-Match: *", 304),
            ('If-None-Match: "x"', 200),
            ("If-None-Match: ", 200),
        ):
            reply = world.ask("/m/blobs/a", line)
            assert (reply.status, reply.headers["etag"]) == (status, tag), line
            assert reply.body == (BLOB if status == 200 else b"")


class TestPeers:
    @pytest.mark.parametrize("target", ["/m/blobs/a", "/absent", "/m", "/../x", "/"])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_who_is_no_reader_learns_nothing(self, world, target, method):
        replies = [world.ask(target, method=method, path=path) for path in ("/other", "/sidecar/x")]
        assert {reply.status for reply in replies} == {403}
        assert method == "HEAD" or code(replies[0]) == "store-refused"

    def test_readers_are_asked_for_at_every_request(self, world):
        assert world.ask("/m/doc.json", path="/other").status == 403
        world.readers.add("/other")
        assert world.ask("/m/doc.json", path="/other").status == 200

    def test_a_request_without_a_peer_is_refused(self, tmp_path):
        """As it would come from a server that is not ours."""
        said = []

        async def send(message):
            said.append(message)

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/x",
            "raw_path": b"/x",
            "query_string": b"",
            "headers": [],
        }
        descriptor = os.open(tmp_path, os.O_RDONLY)
        try:
            for extensions in (
                None,
                {},
                {"trustkit": {}},
                {"trustkit": {"peer": "spiffe://demo.test/sidecar"}},
            ):
                here = scope if extensions is None else {**scope, "extensions": extensions}
                asyncio.run(store_app(descriptor, lambda _: True)(here, receive, send))
        finally:
            os.close(descriptor)
        assert [message["status"] for message in said if "status" in message] == [403] * 4


OUTSIDE = {
    "dot-dot": "/m/../../secret",
    "dot-dot, escaped": "/m/%2e%2e/%2e%2e/secret",
    "dot-dot, half escaped": "/m/.%2e/../secret",
    "dot-dot, escaped twice": "/m/%252e%252e/secret",
    "an escaped slash": "/m%2fdoc.json",
    "escaped slashes to climb": "/..%2F..%2fsecret",
    "two slashes": "//m/doc.json",
    "two slashes within": "/m//doc.json",
    "three slashes": "///etc/passwd",
    "a slash at the end": "/m/doc.json/",
    "a dot": "/./m/doc.json",
    "a folder": "/m",
    "a folder with a slash": "/m/",
    "the root": "/",
    "NUL": "/m/doc.json%00",
    "NUL in between": "/m%00/doc.json",
    "a line end": "/m/doc.json%0a",
    "CRLF": "/m/doc.json%0d%0aX:%20y",
    "a backslash": "/m\\doc.json",
    "an escaped backslash": "/m%5cdoc.json",
    "a drive": "/C:%5csecret",
    "a query": "/m/doc.json?x",
    "a broken escape": "/m/%zz",
    "half an escape": "/m/doc.json%2",
    "not UTF-8": "/m/%ff%fe",
    "overlong UTF-8": "/%c0%ae%c0%ae/secret",
    "very long": "/" + "a/" * 4100,
    "a very long name": "/" + "a" * 300,
    "too deep": "/" + "a/" * 301 + "b",
}


class TestPaths:
    @pytest.mark.parametrize("target", OUTSIDE.values(), ids=OUTSIDE.keys())
    def test_tricks_are_not_found(self, world, target):
        reply = world.ask(target)
        assert reply.status in ({404, 503} if target == "/" + "a" * 300 else {404})
        assert b"secret" not in reply.body
        assert b"{}" not in reply.body

    @pytest.mark.parametrize(
        "request_line", ["GET m/doc.json HTTP/1.1", "GET * HTTP/1.1", "GET /m/d\x00c HTTP/1.1"]
    )
    def test_targets_that_are_none_are_refused(self, world, request_line):
        got = world.raw(f"{request_line}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert got.split(b" ")[1] in {b"400", b"404"}

    def test_an_absolute_target_means_its_path(self, world):
        reply = world.ask("http://elsewhere/m/doc.json")
        assert (reply.status, reply.body) == (200, b"{}")

    @pytest.mark.parametrize(
        "kind", ["link", "link out", "folder link", "dangling", "fifo", "socket", "loop"]
    )
    def test_links_and_special_files_are_not_there(self, world, tmp_path, kind):
        path = world.root / "m/x"
        target = "/m/x"
        if kind == "link":
            path.symlink_to("doc.json")
        elif kind == "link out":
            path.symlink_to(tmp_path / "secret")
        elif kind == "folder link":
            path.symlink_to(tmp_path)
            target = "/m/x/secret"
        elif kind == "dangling":
            path.symlink_to("nowhere")
        elif kind == "loop":
            path.symlink_to("x")
        elif kind == "fifo":
            os.mkfifo(path)
        else:
            os.mknod(path, 0o140600)
        reply = world.ask(target)
        assert reply.status in {404, 503}
        assert b"secret" not in reply.body

    def test_what_is_still_being_made_is_not_there(self, world):
        staging = world.root / ".m.staging-0123456789abcdef"
        staging.mkdir()
        (staging / "doc").write_bytes(b"half")
        assert world.ask("/.m.staging-0123456789abcdef/doc").status == 404
        (world.root / ".hidden").write_bytes(b"served")
        assert world.ask("/.hidden").body == b"served"

    def test_a_file_that_cannot_be_read_is_unavailable(self, world, monkeypatch):
        def failing(*_, **__):
            raise OSError(5, "Input/output error")

        real = os.open
        monkeypatch.setattr(
            os, "open", lambda path, *a, **k: failing() if path == b"a" else real(path, *a, **k)
        )
        reply = world.ask("/m/blobs/a")
        assert (reply.status, code(reply)) == (503, "unreadable")

    @given(st.text(st.characters(codec="latin-1", min_codepoint=0x21, max_codepoint=0x7E), max_size=30))
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_other_path_is_an_answer_and_no_secret(self, world, text):
        got = world.raw(f"GET /{text} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert got.split(b" ")[1] in {b"400", b"404"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_only_get_and_head_are_answered(world, method):
    reply = world.ask("/m/doc.json", "Content-Length: 0", method=method)
    assert (reply.status, code(reply), reply.headers["allow"]) == (405, "bad-method", "GET, HEAD")


def test_a_body_nobody_wants_does_not_disturb(world):
    got = world.raw(
        b"GET /m/doc.json HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    )
    assert got.endswith(b"\r\n\r\n{}")


def test_a_file_that_shrinks_while_it_is_sent_ends_the_connection(world):
    """Never padded, never mixed with other bytes: the announced length is not reached."""
    path = world.root / "shrinking"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    with world.dial() as tls:
        tls.sendall(b"GET /shrinking HTTP/1.1\r\nHost: x\r\n\r\n")
        got = len(tls.recv(100))
        os.truncate(path, 1 << 20)
        while piece := tls.recv(1 << 20):
            got += len(piece)
    assert got < 64 << 20


def test_a_file_that_is_replaced_while_it_is_sent_is_sent_as_it_was(world):
    path = world.root / "replaced"
    path.write_bytes(b"a" * (16 << 20))
    with world.dial() as tls:
        tls.sendall(b"GET /replaced HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = tls.recv(1000)
        (world.root / "new").write_bytes(b"b" * (16 << 20))
        (world.root / "new").replace(path)
        while piece := tls.recv(1 << 20):
            got += piece
    assert got.partition(b"\r\n\r\n")[2] == b"a" * (16 << 20)


@pytest.mark.parametrize("requests", [1, 3], ids=["one request", "three at once"])
def test_a_reader_that_goes_away_is_noticed_and_the_file_closed(world, requests):
    with (world.root / "huge").open("wb") as file:
        file.truncate(1 << 40)

    def opened():
        links = []
        for descriptor in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                links.append(descriptor.readlink())
        return sum(link.name == "huge" for link in links)

    for _ in range(3):
        with world.dial() as tls:
            tls.sendall(b"GET /huge HTTP/1.1\r\nHost: x\r\n\r\n" * requests)
            assert tls.recv(1 << 16)
    for _ in range(200):
        if not opened():
            break
        time.sleep(0.05)
    assert not opened()


def test_many_readers_at_once(world):
    wrong = []

    def work():
        for start in range(0, 90, 9):
            reply = world.ask("/m/blobs/a", f"Range: bytes={start}-{start + 9}")
            if reply.body != BLOB[start : start + 10]:
                wrong.append(start)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
