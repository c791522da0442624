"""A range server over real TLS sockets that answers well, or as badly as it is told.

Broken by attribute: `faults` holds what happens to the next requests, one each;
`always` what happens to all of them; `hasty` closes right behind a TLS alert. A
fault takes the good answer and returns the steps that are really taken: bytes
to send, seconds to `wait`, `RESET`, `CLOSE`.
"""

import contextlib
import re
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field

RESET = object()
CLOSE = object()
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


@dataclass
class Answer:
    """A good answer, before anything is done to it."""

    method: str
    status: str
    headers: list
    body: bytes
    start: int = 0
    total: int = 0

    def with_header(self, name, value):
        """Replace a header, or take it away."""
        self.headers = [(n, v) for n, v in self.headers if n.lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))
        return self

    def head(self):
        lines = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def raw(self):
        return self.head() + (b"" if self.method == "HEAD" else self.body)


@dataclass
class EvilStore:
    """The server; `files` are what it has, `requests` what it was asked, `connections` how often."""

    context: ssl.SSLContext
    files: dict = field(default_factory=dict)
    faults: list = field(default_factory=list)
    always: object = None
    before_handshake: list = field(default_factory=list)
    hasty: bool = False
    wait: object = time.sleep
    etag: str = '"1"'
    requests: list = field(default_factory=list)
    connections: int = 0

    def __post_init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._open = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def hang_up(self):
        """Close every connection that is open, as a server does with idle ones."""
        with self._lock:
            connections = list(self._open)
        for plain in connections:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(plain, socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain):
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(plain.close)
            plain.settimeout(20)
            if self.before_handshake:
                self._act(plain, self.before_handshake.pop(0))
                return
            plain = self.context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
            stack.callback(plain.close)
            try:
                plain.do_handshake()
            except ssl.SSLError:
                if self.hasty:
                    return
                while socket.socket.recv(plain, 65536):  # so that the alert arrives before the end does
                    pass
                return
            with self._lock:
                self._open.add(plain)
            stack.callback(self._open.discard, plain)
            buffer = b""
            while True:
                while b"\r\n\r\n" not in buffer:
                    piece = plain.recv(65536)
                    if not piece:
                        return
                    buffer += piece
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                if not self._act(plain, self._steps(head.decode("latin-1"))):
                    return

    def _steps(self, head):
        first, *rest = head.split("\r\n")
        method, path, _ = first.split(" ")
        headers = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in rest}
        self.requests.append((method, path, headers))
        answer = self._answer(method, path, headers)
        with self._lock:
            fault = self.faults.pop(0) if self.faults else self.always
        return [answer.raw()] if fault is None else fault(answer)

    def _answer(self, method, path, headers):
        content = self.files.get(path)
        if content is None:
            return Answer(method, "404 Not Found", [("Content-Length", "2")], b"no")
        common = [("ETag", self.etag), ("Accept-Ranges", "bytes")]
        found = _RANGE.fullmatch(headers.get("range", ""))
        if found is None:
            length = ("Content-Length", str(len(content)))
            return Answer(method, "200 OK", [*common, length], content, 0, len(content))
        start, stop = int(found[1]), min(int(found[2]) + 1, len(content))
        if start >= stop:
            unsatisfied = [("Content-Range", f"bytes */{len(content)}"), ("Content-Length", "0")]
            return Answer(method, "416 Range Not Satisfiable", unsatisfied, b"")
        body = content[start:stop]
        said = [
            ("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}"),
            ("Content-Length", str(len(body))),
        ]
        return Answer(method, "206 Partial Content", [*common, *said], body, start, len(content))

    def _act(self, plain, steps):
        """Take the steps; say whether the connection goes on."""
        for step in steps:
            if step is RESET:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            if step is CLOSE:
                return False
            if isinstance(step, bytes):
                plain.sendall(step)
            else:
                self.wait(step)
        return True


# The fault table: what the store does, and by which code the client must say so.


def header(name, value):
    return lambda answer: [answer.with_header(name, value).raw()]


def added(*lines):
    """Headers beside the good ones."""

    def fault(answer):
        answer.headers += lines
        return [answer.raw()]

    return fault


def status(text, *headers, body=b""):
    def fault(answer):
        answer.status, answer.body = text, body
        answer.headers = [("Content-Length", str(len(body))), *headers]
        return [answer.raw()]

    return fault


def whole_file(answer):
    answer.status = "200 OK"
    return [answer.with_header("Content-Range", None).raw()]


def ranged(start=0, stop=0, total=0):
    """Say another range than is sent."""

    def fault(answer):
        first, last = answer.start + start, answer.start + len(answer.body) - 1 + stop
        return [answer.with_header("Content-Range", f"bytes {first}-{last}/{answer.total + total}").raw()]

    return fault


def more_than_asked(answer):
    answer.body += b"!"
    answer.with_header("Content-Length", str(len(answer.body)))
    return ranged(stop=1)(answer)


def less_than_asked(answer):
    answer.body = answer.body[:-1]
    answer.with_header("Content-Length", str(len(answer.body)))
    return ranged()(answer)


def chunked(answer):
    answer.with_header("Content-Length", None).with_header("Transfer-Encoding", "chunked")
    return [answer.head(), b"%x\r\n" % len(answer.body), answer.body, b"\r\n0\r\n\r\n"]


def without_length(answer):
    return [answer.with_header("Content-Length", None).raw(), CLOSE]


def multipart(answer):
    body = b"--b\r\nContent-Range: bytes 0-9/100\r\n\r\n" + answer.body + b"\r\n--b--\r\n"
    answer.headers = [
        ("Content-Type", "multipart/byteranges; boundary=b"),
        ("Content-Length", str(len(body))),
    ]
    answer.body = body
    return [answer.raw()]


def without_colon(answer):
    return [answer.raw().replace(b"ETag: ", b"nonsense ")]


def cut(count, how):
    """End after so many bytes of head and body; negative counts from the end."""
    return lambda answer: [answer.raw()[:count], how]


def longer(answer):
    return [answer.raw() + b"surplus"]


def raw(*steps):
    return lambda answer: list(steps)


def dripping_head(answer):
    for index in range(len(answer.raw())):
        yield answer.raw()[index : index + 1]
        yield 0.2


def dripping_body(answer):
    yield answer.head()
    for index in range(len(answer.body)):
        yield answer.body[index : index + 1]
        yield 0.2


def continuing_for_ever(answer):
    while True:
        yield b"HTTP/1.1 100 Continue\r\n\r\n" * 50
        yield 0.01


FAULTS = {
    "200 instead of 206": (whole_file, "bad-range"),
    "multipart/byteranges": (multipart, "bad-answer"),
    "no Content-Range": (header("Content-Range", None), "bad-range"),
    "Content-Range of another unit": (header("Content-Range", "items 0-9/100"), "bad-range"),
    "Content-Range that is no range": (header("Content-Range", "bytes x-y/z"), "bad-range"),
    "Content-Range without a total": (header("Content-Range", "bytes 10-19/*"), "bad-range"),
    "Content-Range with huge numbers": (
        header("Content-Range", f"bytes {'9' * 30}-{'9' * 30}/{'9' * 31}"),
        "bad-range",
    ),
    "two Content-Ranges": (added(("Content-Range", "bytes 0-9/100")), "bad-range"),
    "a range that starts later": (ranged(start=1), "bad-range"),
    "a range that is elsewhere": (ranged(start=5, stop=5), "bad-range"),
    "a range that is inverted": (ranged(stop=-11), "bad-range"),
    "a range beyond its total": (header("Content-Range", "bytes 10-19/15"), "bad-range"),
    "a longer range": (more_than_asked, "bad-range"),
    "a shorter range": (less_than_asked, "bad-range"),
    "a range as asked with another length": (header("Content-Length", "9"), "bad-range"),
    "a total below what was signed": (header("Content-Range", "bytes 10-14/15"), "truncated"),
    "no Content-Length": (without_length, "bad-answer"),
    "two equal Content-Lengths": (added(("Content-Length", "10")), "bad-answer"),
    "two Content-Lengths": (added(("content-length", "11")), "bad-answer"),
    "Content-Lengths in a list": (header("Content-Length", "10, 10"), "bad-answer"),
    "a negative Content-Length": (header("Content-Length", "-10"), "bad-answer"),
    "a signed Content-Length": (header("Content-Length", "+10"), "bad-answer"),
    "a Content-Length in Arabic digits": (header("Content-Length", "\xb2\xb3"), "bad-answer"),
    "a Content-Length of forty digits": (header("Content-Length", "1" * 40), "bad-answer"),
    "chunks": (chunked, "bad-answer"),
    "chunks and a Content-Length": (added(("Transfer-Encoding", "chunked")), "bad-answer"),
    "gzip": (added(("Content-Encoding", "gzip")), "bad-answer"),
    "an unknown encoding": (added(("Content-Encoding", "identity, x")), "bad-answer"),
    "a folded header": (added(("X", "a\r\n b"), ("Content-Length", "10\r\n 1")), "bad-answer"),
    "a header without a colon": (without_colon, "bad-answer"),
    "a header of 1 MiB": (added(("X", "a" * (1 << 20))), "bad-answer"),
    "a hundred thousand headers": (added(*[("X", "a")] * 100_000), "bad-answer"),
    "a status line of 1 MiB": (raw(b"HTTP/1.1 206 " + b"a" * (1 << 20)), "bad-answer"),
    "a status that is no number": (raw(b"HTTP/1.1 abc OK\r\n\r\n"), "bad-answer"),
    "a status of 7": (raw(b"HTTP/1.1 7 OK\r\n\r\n"), "bad-answer"),
    "HTTP/2": (raw(b"HTTP/2 206 OK\r\n\r\n"), "bad-answer"),
    "no HTTP": (raw(b"\x00\x01\x02\r\n\r\n"), "bad-answer"),
    "early hints": (raw(b"HTTP/1.1 103 Early Hints\r\n\r\n"), "store-failed"),
    "switching protocols": (raw(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"), "store-failed"),
    "no content": (status("204 No Content"), "store-failed"),
    "moved to http": (status("301 Moved", ("Location", "http://127.0.0.1/")), "store-redirects"),
    "found at the metadata address": (
        status("302 Found", ("Location", "http://169.254.169.254/")),
        "store-redirects",
    ),
    "see a file": (status("303 See Other", ("Location", "file:///etc/passwd")), "store-redirects"),
    "not modified": (status("304 Not Modified"), "store-redirects"),
    "temporarily elsewhere": (status("307 Temporary", ("Location", "/elsewhere")), "store-redirects"),
    "permanently elsewhere": (status("308 Permanent", ("Location", "//other/")), "store-redirects"),
    "bad request": (status("400 Bad Request"), "store-failed"),
    "unauthorized": (status("401 Unauthorized"), "store-refused"),
    "forbidden": (status("403 Forbidden", body=b"{}"), "store-refused"),
    "not found": (status("404 Not Found", body=b"no"), "not-found"),
    "gone": (status("410 Gone"), "not-found"),
    "not satisfiable, and short": (status("416 No", ("Content-Range", "bytes */15")), "truncated"),
    "not satisfiable, and long enough": (status("416 No", ("Content-Range", "bytes */100")), "bad-range"),
    "not satisfiable, for no reason": (status("416 No"), "bad-range"),
    "too many requests": (status("429 Slow Down", ("Retry-After", "1")), "store-failed"),
    "an error": (status("500 Oops", body=b"x" * 100_000), "store-failed"),
    "a bad gateway": (status("502 Bad Gateway"), "store-failed"),
    "unavailable": (status("503 Unavailable"), "store-failed"),
    "a status of 999": (status("999 ?"), "store-failed"),
    "closed at once": (raw(CLOSE), "store-failed"),
    "reset at once": (raw(RESET), "store-failed"),
    "closed in the status": (cut(5, CLOSE), "bad-answer"),
    "closed in the head": (cut(40, CLOSE), "store-failed"),
    "reset in the head": (cut(40, RESET), "store-failed"),
    "closed before the body": (cut(-10, CLOSE), "store-failed"),
    "closed in the body": (cut(-1, CLOSE), "store-failed"),
    "reset in the body": (cut(-1, RESET), "store-failed"),
    "bytes after the body": (longer, "bad-answer"),
    "a head that drips": (dripping_head, "store-timeout"),
    "a body that drips": (dripping_body, "store-timeout"),
    "a body that stalls": (lambda answer: [answer.head(), answer.body[:3], 8.0], "store-timeout"),
    "no answer": (raw(8.0), "store-timeout"),
    "continue for ever": (continuing_for_ever, "store-timeout"),
}
