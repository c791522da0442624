"""Google Cloud Storage's JSON API in memory, as far as objects are listed, read, written and removed.

Breakable by assigning to attributes of a `Cloud`. It is met by gcsfs itself, which also fills it, so what a
real client could not read or write here would fail a test. Spec: https://cloud.google.com/storage/docs/json_api/v1.
"""

import base64
import datetime as dt
import hashlib
import json
import re
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

TOKEN = "a token, which is a secret"
_OBJECT = re.compile(r"(/download)?/storage/v1/b/([^/]+)/o/([^/]+)")
_LIST = re.compile(r"/storage/v1/b/([^/]+)/o")
_UPLOAD = re.compile(r"/upload/storage/v1/b/([^/]+)/o")


def crc32c(content):
    """Return the CRC-32C of some bytes as the API writes it."""
    import google_crc32c

    return base64.b64encode(google_crc32c.Checksum(content).digest()).decode()


class Stored(NamedTuple):
    """One writing of an object."""

    content: bytes
    generation: int
    crc32c: str
    created: str
    encoding: str | None = None

    def resource(self, bucket, key):
        """Return what a listing says of it; numbers are text there."""
        return {
            "kind": "storage#object",
            "bucket": bucket,
            "name": key,
            "size": str(len(self.content)),
            "generation": str(self.generation),
            "metageneration": "1",
            "crc32c": self.crc32c,
            "md5Hash": base64.b64encode(hashlib.md5(self.content).digest()).decode(),
            "timeCreated": self.created,
            "updated": self.created,
        }


class Cloud:
    """One bucket behind a server in a thread.

    Attributes:
        name: The bucket.
        endpoint: Where the server listens.
        account: File with the credentials of a service account, whose tokens this issues and demands.
        objects: What was written, by key.
        hidden: Keys that no listing names.
        rows: Members put over those of every row of a listing; None takes one away.
        listing: Members put over those of every page.
        listing_headers: Headers put over those of every page.
        headers: Headers put over those of every range; None takes one away.
        heedless: Whether conditions on the generation are ignored.
        cut: How many bytes of a range are sent before the connection ends.
        statuses: With what the next requests are answered, one each.
        redirect: Where requests for objects are sent.
        page: Most rows of a page.
        asked: Path, query and headers of every request.
    """

    def __init__(self, name, endpoint, account):
        self.name, self.endpoint, self.account = name, endpoint, account
        self.objects = {}
        self.asked = []
        self._generations = count(1_764_000_000_000_001)
        self.mend()

    @property
    def surroundings(self):
        """What a process needs in its environment to find this, and nothing else."""
        return {"GOOGLE_APPLICATION_CREDENTIALS": self.account, "STORAGE_EMULATOR_HOST": self.endpoint}

    def mend(self):
        """Make it honest again."""
        self.hidden, self.rows, self.listing, self.headers = set(), {}, {}, {}
        self.heedless, self.cut, self.redirect, self.page = False, None, None, 1000
        self.statuses, self.listing_headers = [], {}

    def put(self, key, content, *, encoding=None):
        """Write an object: each writing has a generation of its own."""
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.objects[key] = Stored(content, next(self._generations), crc32c(content), now, encoding)

    def remove(self, key):
        """Remove an object."""
        del self.objects[key]

    def fill(self, prefix, table):
        """Write many objects below a prefix, and return the address of the folder they make."""
        for name, content in table.items():
            self.put(f"{prefix}/{name}", content)
        return f"gs://{self.name}/{prefix}"

    def listed(self, query):
        """Answer a listing."""
        prefix, after = query.get("prefix", ""), query.get("pageToken", "")
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key not in self.hidden)
        keys = [key for key in keys if key > after]
        most = min(int(query.get("maxResults", "1000")), self.page)
        rows = [{**self.objects[key].resource(self.name, key), **self.rows} for key in keys[:most]]
        answer = {"kind": "storage#objects"}
        if rows:  # the API leaves an empty list out
            answer["items"] = [{k: v for k, v in row.items() if v is not None} for row in rows]
        if keys[most:]:
            answer["nextPageToken"] = keys[most - 1] if most else keys[0]
        return {**answer, **self.listing}


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud = None

    def log_message(self, *_):
        pass

    def _asked(self):
        split = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(split.query).items()}
        self.cloud.asked.append((split.path, query, dict(self.headers)))
        return split.path, query

    def do_GET(self):
        path, query = self._asked()
        if self.cloud.statuses:
            self._refuse(self.cloud.statuses.pop(0))
        elif self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._refuse(401)
        elif found := _LIST.fullmatch(path):
            known = unquote(found[1]) == self.cloud.name
            if known:
                self._send(200, self.cloud.listed(query), self.cloud.listing_headers)
            else:
                self._refuse(404)
        elif found := _OBJECT.fullmatch(path):
            self._object(unquote(found[3]), query)
        else:
            self._refuse(404)

    def do_POST(self):
        """Issue a token, or take a multipart upload, as clients send small objects."""
        path, query = self._asked()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if path == "/token":
            return self._send(200, {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})
        assert _UPLOAD.fullmatch(path), path
        boundary = re.search(r"boundary=['\"]?([^'\";]+)", self.headers["Content-Type"])[1].encode()
        _, about, content, _ = re.split(rb"\r?\n?--" + re.escape(boundary), body)
        key = query.get("name") or json.loads(re.split(rb"\r?\n\r?\n", about, maxsplit=1)[1])["name"]
        self.cloud.put(key, re.split(rb"\r?\n\r?\n", content, maxsplit=1)[1])
        return self._send(200, self.cloud.objects[key].resource(self.cloud.name, key))

    def _object(self, key, query):
        stored = self.cloud.objects.get(key)
        if self.cloud.redirect is not None:
            return self._send(307, b"", {"Location": self.cloud.redirect})
        wanted = query.get("ifGenerationMatch")
        if stored is None:
            return self._refuse(404)
        if wanted not in {None, str(stored.generation)} and not self.cloud.heedless:
            return self._refuse(412)
        if query.get("alt") != "media":
            return self._send(200, stored.resource(self.cloud.name, key))
        return self._media(stored)

    def _media(self, stored):
        content, status = stored.content, 200
        headers = {
            "Content-Type": "application/octet-stream",
            "X-Goog-Generation": str(stored.generation),
            "X-Goog-Hash": f"crc32c={stored.crc32c}",
            "X-Goog-Stored-Content-Length": str(len(content)),
        }
        if stored.encoding:
            assert "gzip" in self.headers["Accept-Encoding"], "would have been decompressed on the way"
            headers["Content-Encoding"] = stored.encoding
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
            if first > last:
                return self._refuse(416)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            content, status = content[first : last + 1], 206
        return self._send(status, content, {**headers, **self.cloud.headers})

    def _refuse(self, status):
        self._send(status, {"error": {"code": status, "message": "what the store says\x1b[2J"}})

    def _send(self, status, body, headers=()):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(raw)), **dict(headers)}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.cloud.cut is not None and status == 206:
            raw, self.close_connection = raw[: self.cloud.cut], True
        self.wfile.write(raw)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Say nothing of clients that hang up on a lie; they should."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def service_account(endpoint):
    """Make the credentials of a service account whose tokens come from here."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return {
        "type": "service_account",
        "project_id": "tests",
        "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "client_email": "tester@tests.example",
        "token_uri": f"{endpoint}/token",
    }


@contextmanager
def cloud(folder, name="models_eu"):
    """Start the server, with a bucket in it, for whoever has the variables in `Cloud.surroundings`."""
    requests = type("Requests", (_Requests,), {})
    with _Server(("127.0.0.1", 0), requests) as server:
        endpoint = f"http://127.0.0.1:{server.server_port}"
        account = folder / "account.json"
        account.write_text(json.dumps(service_account(endpoint)))
        requests.cloud = Cloud(name, endpoint, str(account))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield requests.cloud
        finally:
            server.shutdown()
            thread.join()
