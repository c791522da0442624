"""Objects in Google Cloud Storage, over its JSON API: listed page by page, read range by range.

The law of this file: an object is the generation its listing said, a number that
no two writings of an object share, or it has changed. Every range is asked for
under that generation, and the answer's own headers are held against it before a
byte is read. No redirect is followed and no encoding undone: what is hashed are
the bytes that are stored. Where the store is and who asks are gcsfs's business
(its options, the environment, an instance's account), with the right to read
alone; no credential passes through here. The only importer of gcsfs.

Spec: https://cloud.google.com/storage/docs/json_api/v1/objects (list, get with alt=media).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from trustkit import strictjson
from trustkit.artifact.files import changed
from trustkit.errors import FormatError, LimitError, TrustkitError, extra_needed
from trustkit.storage.stores import (
    MAX_OBJECT,
    Listed,
    Pin,
    bad_answer,
    check_encrypted,
    no_bucket,
    unreadable,
)

if TYPE_CHECKING:
    from gcsfs.core import GCSFileSystem

PAUSES = (0.5, 2.0, 8.0)
"""How long to wait (seconds) before a question is asked again; after the last of them there is no answer."""
SILENCE = 60.0
"""Longest silence of a store (seconds)."""
LONGEST = 600.0
"""Longest that one answer may take (seconds), however steadily it drips."""
MAX_LISTING = 16 << 20
"""Largest page of a listing (bytes): a thousand of the longest names, escaped, are seven million."""
_FIELDS = "items(name,size,generation,crc32c,timeCreated),nextPageToken"
_GONE = frozenset((404, 412, 416))
_PASSING = frozenset((408, 429, 500, 502, 503, 504))
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")
_GENERATION = re.compile(r"[1-9][0-9]{0,18}")
_CRC32C = re.compile(r"[A-Za-z0-9+/]{6}==")
_STORED = {"Accept-Encoding": "gzip"}  # what is stored compressed comes as it is stored
_PLAIN = {"Accept-Encoding": "identity"}

Check = Callable[[Any], TrustkitError | None]


class _RefusedError(Exception):
    """The store answered with a status that is no success."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class GS:
    """One store, as this thread sees it.

    Raises:
        UsageError: ``extra-needed``; ``store-unencrypted`` for plain HTTP to another machine.
        UnavailableError: ``unreadable``: no session could be had.
    """

    def __init__(self) -> None:
        try:
            from aiohttp import ClientError, ClientTimeout
            from gcsfs.core import GCSFileSystem
            from gcsfs.retry import HttpError, NonRetryableError
            from google.auth.exceptions import GoogleAuthError
        except ModuleNotFoundError as error:
            raise extra_needed("gs://", error.name, "dask,gs") from None
        self._failures = (OSError, ClientError, GoogleAuthError, HttpError, NonRetryableError)
        self._timeout = ClientTimeout(total=LONGEST, sock_connect=SILENCE, sock_read=SILENCE)
        try:  # gcsfs keeps one for every thread
            self._fs: GCSFileSystem = GCSFileSystem(access="read_only", use_listings_cache=False)
        except (*self._failures, ValueError) as error:
            raise unreadable("the store", error) from None
        self._base = str(self._fs.base)  # read once: gcsfs looks into the environment each time
        check_encrypted(self._base)

    def pages(self, bucket: str, prefix: str, *, most: int = 1000) -> Iterator[list[Listed]]:
        """Yield the objects whose keys begin so, as `Store.pages` says."""
        asked = {"prefix": prefix, "maxResults": str(most), "fields": _FIELDS}
        seen: set[str] = set()
        while True:
            answer = self._page(bucket, asked)
            rows = answer.get("items", [])
            if not isinstance(rows, list):
                raise bad_answer("what is no listing")
            yield [_listed(row) for row in rows]
            token = answer.get("nextPageToken")
            if token is None:
                return
            if not isinstance(token, str) or not token or token in seen:
                raise bad_answer("a listing that does not end")
            seen.add(token)
            asked = {**asked, "pageToken": token}

    def read(self, bucket: str, key: str, pin: Pin, *, start: int, end: int) -> bytes:
        """Return a range of an object, as `Store.read` says."""
        part = {} if start == end else {"Range": f"bytes={start}-{end - 1}"}
        generation = pin.version.partition("/")[0]
        try:
            return self._asked(
                repr(key),
                f"b/{bucket}/o/{quote(key, safe='')}",
                {"alt": "media", "ifGenerationMatch": generation},
                headers={**_STORED, **part},
                check=lambda answer: _refusal(answer, key, pin, start=start, end=end),
                most=end - start,
            )
        except _RefusedError as refused:
            if refused.status in _GONE:
                raise changed(key) from None
            raise unreadable(repr(key), refused, f"HTTP{refused.status}") from None

    def _page(self, bucket: str, asked: dict[str, str]) -> strictjson.Object:
        what = f"the listing of {bucket!r}"
        try:
            raw = self._asked(what, f"b/{bucket}/o", asked, headers=_PLAIN, check=_encoded, most=MAX_LISTING)
            found = strictjson.parse(raw, max_bytes=MAX_LISTING, what="listing")
        except _RefusedError as refused:
            if refused.status == 404:
                raise no_bucket(bucket) from None
            raise unreadable(what, refused, f"HTTP{refused.status}") from None
        except (FormatError, LimitError):
            raise bad_answer("what is no listing") from None
        if not isinstance(found, dict):
            raise bad_answer("what is no listing")
        return found

    def _asked(
        self,
        what: str,
        path: str,
        query: Mapping[str, str],
        *,
        headers: Mapping[str, str],
        check: Check,
        most: int,
    ) -> bytes:
        """Ask, and ask again for what may pass; return the body of the first answer that is whole."""
        from fsspec.asyn import sync

        pauses = iter(PAUSES)
        while True:
            try:
                sent = dict(headers)
                self._fs.credentials.apply(sent)
                return bytes(sync(self._fs.loop, self._answer, path, query, sent, check=check, most=most))
            except _RefusedError as refused:
                pause = next(pauses, None) if refused.status in _PASSING else None
                if pause is None:
                    raise
            except self._failures as error:
                pause = next(pauses, None)
                if pause is None:
                    raise unreadable(what, error) from None
            Event().wait(pause)

    async def _answer(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str], *, check: Check, most: int
    ) -> bytes:
        session = await self._fs._set_session()  # noqa: SLF001 - it has no other door to its session
        async with session.get(
            self._base + path,
            params=query,
            headers=headers,
            allow_redirects=False,
            auto_decompress=False,
            timeout=self._timeout,
        ) as answer:
            if 300 <= answer.status < 400:
                raise bad_answer("the address of another place")
            if answer.status not in {200, 206}:
                raise _RefusedError(answer.status)
            refusal = check(answer)
            if refusal is not None:
                raise refusal
            return await _taken(answer, most)


async def _taken(answer: Any, most: int) -> bytes:
    """Read a body up to its end, and no further than it may be long."""
    raw = bytearray()
    async for block in answer.content.iter_any():
        raw += block
        if len(raw) > most:
            raise bad_answer("more than was asked for")
    return bytes(raw)


def _encoded(answer: Any) -> TrustkitError | None:
    return bad_answer("an encoding nobody asked for") if "Content-Encoding" in answer.headers else None


def _refusal(answer: Any, key: str, pin: Pin, *, start: int, end: int) -> TrustkitError | None:
    """Hold what an answer says of itself against the pin and the question, before any of it is read."""
    headers = answer.headers
    generation, _, crc32c = pin.version.partition("/")
    hashes = [part.strip() for said in headers.getall("X-Goog-Hash", ()) for part in said.split(",")]
    others = [part for part in hashes if part.startswith("crc32c=") and part != f"crc32c={crc32c}"]
    if headers.getall("X-Goog-Generation", ()) != [generation] or others:
        return changed(key)
    if start != end and headers.getall("Content-Range", ()) != [f"bytes {start}-{end - 1}/{pin.size}"]:
        return changed(key)
    if headers.getall("Content-Length", ()) != [str(end - start)]:
        return bad_answer(f"another length than was asked of {key!r}")
    return None


def _listed(row: strictjson.Value) -> Listed:
    if not isinstance(row, dict):
        raise bad_answer("what is no listing")
    key, written = row.get("name"), row.get("timeCreated")
    if not isinstance(key, str) or not key:
        raise bad_answer("an object without a name")
    size = int(_plain(row, "size", _SIZE))
    if size > MAX_OBJECT:
        raise bad_answer(f"an impossible size of {key!r}")
    version = f"{_plain(row, 'generation', _GENERATION)}/{_plain(row, 'crc32c', _CRC32C)}"
    return Listed(key, Pin(size, version, _seconds(written)))


def _plain(row: strictjson.Object, name: str, shape: re.Pattern[str]) -> str:
    value = row.get(name)
    if not isinstance(value, str) or shape.fullmatch(value) is None:
        raise bad_answer(f"no {name} of {row['name']!r}")
    return value


def _seconds(moment: object) -> int:
    """Return whole seconds since the epoch; what is no moment is none that anything was written at."""
    try:
        found = dt.datetime.fromisoformat(str(moment))
    except ValueError:
        return 0
    return max(int(found.timestamp()), 0) if found.tzinfo else 0
