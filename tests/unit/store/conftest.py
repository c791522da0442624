"""A store over real sockets in this process, broken by writing to its folder; SVIDs to ask it with."""

import os
import threading
import time
from pathlib import Path

import pytest

from trustkit.spiffe.authority import Authority
from trustkit.spiffe.listening import Limits
from trustkit.spiffe.mtls import client_context, connect
from trustkit.spiffe.names import SpiffeID
from trustkit.spiffe.serving import serve_mtls
from trustkit.spiffe.svid import SVIDSource, svid_from_pem
from trustkit.store.app import store_app


class Reply:
    """A whole answer: status, headers by lower-case name, body."""

    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = {line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in lines}


class World:
    """The store, its root, and whoever asks."""

    def __init__(self, folder):
        self.now = time.time()
        self.root = folder / "root"
        self.root.mkdir()
        self.authority = Authority("demo.test", now=self.now, lifetime_seconds=3600)
        self.readers = {"/sidecar"}
        self.port = 0
        self._stop = threading.Event()
        files = self.files("/store")
        source = SVIDSource(files.__getitem__, time.time)
        ready = threading.Event()
        self._descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)

        def announce(where):
            self.port = int(where.rpartition(":")[2])
            ready.set()

        self._thread = threading.Thread(
            target=serve_mtls,
            args=(store_app(self._descriptor, lambda peer: peer.path in self.readers),),
            kwargs={
                "listen": "127.0.0.1:0",
                "source": source,
                "clock": time.time,
                "announce": announce,
                "stop": self._stop,
                "limits": Limits(grace_seconds=2.0),
            },
        )
        self._thread.start()
        assert ready.wait(20)

    def files(self, path):
        return self.authority.files(path, now=self.now, lifetime_seconds=3600)

    def dial(self, path="/sidecar"):
        files = self.files(path)
        svid = svid_from_pem(*files.values(), now=self.now)
        return connect(
            "127.0.0.1",
            self.port,
            client_context(svid),
            expected=SpiffeID("demo.test", "/store"),
            timeout_seconds=20,
            now=self.now,
        )

    def raw(self, request, path="/sidecar"):
        """Send a request as it is and return all that comes back."""
        with self.dial(path) as tls:
            tls.sendall(request)
            got = b""
            while piece := tls.recv(1 << 16):
                got += piece
        return got

    def ask(self, target, *lines, method="GET", path="/sidecar"):
        head = "\r\n".join(
            [f"{method} {target} HTTP/1.1", "Host: store", "Connection: close", *lines, "", ""]
        )
        return Reply(self.raw(head.encode("latin-1"), path))

    def close(self):
        self._stop.set()
        self._thread.join(20)
        os.close(self._descriptor)
        assert not self._thread.is_alive()


@pytest.fixture
def world(tmp_path):
    one = World(tmp_path)
    (one.root / "m/blobs").mkdir(parents=True)
    (one.root / "m/blobs/a").write_bytes(bytes(range(100)))
    (one.root / "m/doc.json").write_bytes(b"{}")
    (one.root / "m/empty").write_bytes(b"")
    (tmp_path / "secret").write_bytes(b"secret")
    yield one
    one.close()


@pytest.fixture
def svids(tmp_path):
    """Write SVID directories: by path, into a folder."""
    now = time.time()
    authority = Authority("demo.test", now=now, lifetime_seconds=3600)

    def write(path, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        for name, raw in authority.files(path, now=now, lifetime_seconds=3600).items():
            (folder / name).write_bytes(raw)
        return folder

    return write
