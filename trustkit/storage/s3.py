"""Objects in S3, and in whatever speaks its protocol: listed page by page, read range by range.

The law of this file: an object is what its listing said, ETag, size and time of
writing, or it has changed. Every range is asked for under that ETag, and the
answer's own headers are held against it, since not every store heeds the
condition; nothing is read that could be longer than what was asked for. Where
the store is and who asks are s3fs's business (its options, the environment, an
instance's role); no credential passes through here. The only importer of s3fs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from trustkit.artifact.files import changed
from trustkit.errors import TrustkitError, UnavailableError, extra_needed
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
    from s3fs import S3FileSystem

TRIES = 3
"""How often a range is asked for before it cannot be read; s3fs tries each of them several times."""
MAX_ETAG = 256
"""Longest ETag (characters)."""
_GONE = frozenset((404, 412, 416))


class S3:
    """One store, as this thread sees it.

    Raises:
        UsageError: ``extra-needed``; ``store-unencrypted`` for plain HTTP to another machine.
        UnavailableError: ``unreadable``: no session could be had.
    """

    def __init__(self) -> None:
        try:
            import s3fs
            from aiohttp import ClientError
            from botocore.exceptions import BotoCoreError
        except ModuleNotFoundError as error:
            raise extra_needed("s3://", error.name, "dask") from None
        self._failures = (OSError, TimeoutError, BotoCoreError, ClientError)
        self._fs: S3FileSystem = s3fs.S3FileSystem(
            use_listings_cache=False
        )  # s3fs keeps one for every thread
        try:
            endpoint = str(self._fs.s3.meta.endpoint_url)
        except self._failures as error:
            raise _unreadable("the store", error) from None
        check_encrypted(endpoint)

    def pages(self, bucket: str, prefix: str, *, most: int = 1000) -> Iterator[list[Listed]]:
        """Yield the objects whose keys begin so, as `Store.pages` says."""
        more: dict[str, str] = {}
        seen: set[str] = set()
        while True:
            answer = self._page(bucket, prefix, most, more)
            yield [_listed(row) for row in answer.get("Contents", ())]
            if answer.get("IsTruncated") is not True:
                return
            token = answer.get("NextContinuationToken")
            if not isinstance(token, str) or token in seen:
                raise bad_answer("a listing that does not end")
            seen.add(token)
            more = {"ContinuationToken": token}

    def read(self, bucket: str, key: str, pin: Pin, *, start: int, end: int) -> bytes:
        """Return a range of an object, as `Store.read` says."""
        tried = 0
        while True:
            tried += 1
            try:
                return self._read(bucket, key, pin, start=start, end=end)
            except self._failures as error:
                if _status(error) in _GONE:
                    raise changed(key) from None
                if tried == TRIES or isinstance(error, PermissionError):
                    raise _unreadable(repr(key), error) from None

    def _page(self, bucket: str, prefix: str, most: int, more: dict[str, str]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._fs.call_s3(
                "list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=most, **more
            )
        except FileNotFoundError:
            raise no_bucket(bucket) from None
        except self._failures as error:
            raise _unreadable(f"the listing of {bucket!r}", error) from None
        return answer

    def _read(self, bucket: str, key: str, pin: Pin, *, start: int, end: int) -> bytes:
        from fsspec.asyn import sync

        part = {} if start == end else {"Range": f"bytes={start}-{end - 1}"}
        answer = self._fs.call_s3("get_object", Bucket=bucket, Key=key, IfMatch=pin.version, **part)
        refusal = _refusal(answer, key, pin, start=start, end=end)
        raw: bytes = sync(self._fs.loop, _taken, answer["Body"], wanted=refusal is None)
        if refusal is not None:
            raise refusal
        if len(raw) != end - start:
            raise OSError("the answer was cut")
        return raw


async def _taken(body: Any, *, wanted: bool) -> bytes:
    """Read a body whole, or none of it, in the thread that its connection belongs to."""
    try:
        return bytes(await body.read()) if wanted else b""
    finally:
        body.close()


def _refusal(answer: dict[str, Any], key: str, pin: Pin, *, start: int, end: int) -> TrustkitError | None:
    """Hold what an answer says of itself against the pin and the question, before any of it is read."""
    if (answer.get("ETag"), _seconds(answer.get("LastModified"))) != (pin.version, pin.written):
        return changed(key)
    if start != end and answer.get("ContentRange") != f"bytes {start}-{end - 1}/{pin.size}":
        return changed(key)
    if answer.get("ContentLength") != end - start:
        return bad_answer(f"another length than was asked of {key!r}")
    return None


def _listed(row: dict[str, Any]) -> Listed:
    key, size, etag = row.get("Key"), row.get("Size"), row.get("ETag")
    if not isinstance(key, str) or not isinstance(size, int) or not 0 <= size <= MAX_OBJECT:
        raise bad_answer("an object without a key, or of no possible size")
    if not isinstance(etag, str) or not 0 < len(etag) <= MAX_ETAG:
        raise bad_answer(f"no ETag of {key!r}")
    return Listed(key, Pin(size, etag, _seconds(row.get("LastModified"))))


def _seconds(moment: object) -> int:
    """Return whole seconds since the epoch; what is no moment is none that anything was written at."""
    return max(int(moment.timestamp()), 0) if isinstance(moment, dt.datetime) else 0


def _status(error: BaseException) -> int | None:
    """Return the HTTP status behind an error of s3fs."""
    response = getattr(error.__cause__ or error, "response", None)
    metadata = response.get("ResponseMetadata") if isinstance(response, dict) else None
    return metadata.get("HTTPStatusCode") if isinstance(metadata, dict) else None


def _unreadable(what: str, error: BaseException) -> UnavailableError:
    response = getattr(error.__cause__ or error, "response", None)
    return unreadable(
        what, error, response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    )
