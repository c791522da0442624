"""The store as an application: regular files below one folder, whole or one range, to its readers alone.

The law of this file: who asks is known from the TLS connection alone; what is
asked for is one safe relative name, decoded once, opened from the root's
descriptor without following links. There is no listing, no upload, no redirect.
A file is read piece by piece from the descriptor that was opened, so memory does
not grow with it, and what replaces it meanwhile is not mixed in.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException

from trustkit import strictjson
from trustkit.artifact.names import check_name
from trustkit.errors import FormatError, LimitError, UnavailableError
from trustkit.spiffe.names import SpiffeID
from trustkit.spiffe.serving import EXTENSION
from trustkit.storage.local import open_below
from trustkit.store.ranges import Slice, matches, slice_of

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

CHUNK = 1 << 20
"""How much of a file is in memory for one answer (bytes)."""
MAX_PATH = 8192
"""Longest path of a request, encoded (bytes)."""

_HIDDEN = re.compile(rb"%(?![0-9A-Fa-f]{2})|%2[Ff]")
"""Escapes that are none, and slashes that would become separators only once decoded."""
_STAGING = re.compile(r"\..*\.staging-[0-9a-z]{8,64}")


def store_app(root: int, may_read: Callable[[SpiffeID], bool]) -> FastAPI:
    """Build the application.

    Args:
        root: Descriptor of the folder; it must stay open as long as the application serves.
        may_read: Whether a peer is a reader.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)

    @app.api_route("/{path:path}", methods=["GET", "HEAD"])
    async def read(request: Request) -> Response:
        """Answer with a file, or a range of it."""
        peer = request.scope.get("extensions", {}).get(EXTENSION, {}).get("peer")
        if not isinstance(peer, SpiffeID) or not may_read(peer):
            return _error(403, "store-refused", "this SPIFFE ID is not one of the readers")
        try:
            return await run_in_threadpool(_answer, root, request)
        except (FormatError, LimitError):
            # A link, a FIFO, an unsafe name: to a reader they are as absent as what does not exist.
            return _error(404, "not-found", "there is no such file")
        except UnavailableError as error:
            return _error(404 if error.code == "not-found" else 503, error.code, "there is no such file")

    @app.exception_handler(HTTPException)
    async def other(_: Request, error: HTTPException) -> Response:
        """Answer what no route takes."""
        if error.status_code == 405:
            return _error(405, "bad-method", "the store answers GET and HEAD", Allow="GET, HEAD")
        return _error(404, "not-found", "there is no such file")

    return app


def _answer(root: int, request: Request) -> Response:
    """Open what was asked for, once, and say what of it is sent."""
    descriptor = open_below(root, _name(request))
    handed_over = False
    try:
        status = os.fstat(descriptor)
        etag = f'"{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ino:x}"'
        headers = {"ETag": etag, "Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff"}
        code = _precondition(request, etag)
        if code:
            return Response(None, code, headers)
        wanted = slice_of(_range(request, etag), status.st_size)
        if wanted is None:
            return _error(
                416,
                "bad-range",
                "one range inside the file, no more",
                **{"Content-Range": f"bytes */{status.st_size}"},
            )
        headers["Content-Length"] = str(wanted.stop - wanted.start)
        if wanted.partial:
            headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{status.st_size}"
        if request.method == "HEAD":
            return Response(None, 206 if wanted.partial else 200, headers, "application/octet-stream")
        handed_over = True
        return _Streamed(descriptor, wanted, headers)
    finally:
        if not handed_over:
            os.close(descriptor)


class _Streamed(StreamingResponse):
    """Sends bytes of an open file, stops when the reader has gone, and closes the file in any case."""

    def __init__(self, descriptor: int, wanted: Slice, headers: dict[str, str]) -> None:
        self._descriptor = descriptor
        super().__init__(
            _pieces(descriptor, wanted), 206 if wanted.partial else 200, headers, "application/octet-stream"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._descriptor)


async def _pieces(descriptor: int, wanted: Slice) -> AsyncIterator[bytes]:
    position = wanted.start
    while position < wanted.stop:
        piece = await run_in_threadpool(os.pread, descriptor, min(CHUNK, wanted.stop - position), position)
        if not piece:  # it shrank: the length that was announced is not kept, and so the connection ends
            raise UnavailableError("unreadable", "a file became shorter while it was sent")
        position += len(piece)
        yield piece


def _name(request: Request) -> str:
    """Return the one relative name that a request's path spells.

    Raises:
        FormatError: ``unsafe-name``.
        LimitError: ``name-too-long``.
    """
    raw: bytes = request.scope["raw_path"]
    if len(raw) > MAX_PATH:
        raise LimitError("name-too-long", f"a path has at most {MAX_PATH} bytes", limit=MAX_PATH)
    if not raw.startswith(b"/") or _HIDDEN.search(raw) or request.scope["query_string"]:
        raise FormatError("unsafe-name", "the path of a file is plain, without a query")
    try:
        name = check_name(unquote_to_bytes(raw[1:]).decode("utf-8"))
    except UnicodeDecodeError:
        raise FormatError("unsafe-name", "the path of a file is UTF-8") from None
    if any(_STAGING.fullmatch(component) for component in name.split("/")):
        raise FormatError("unsafe-name", "what is still being made is nobody's to read")
    return name


def _precondition(request: Request, etag: str) -> int:
    """Return the status that a precondition calls for (RFC 9110, section 13.2.2), or 0."""
    match, none = request.headers.getlist("if-match"), request.headers.getlist("if-none-match")
    if match and not matches(", ".join(match), etag, weak=False):
        return 412
    return 304 if none and matches(", ".join(none), etag, weak=True) else 0


def _range(request: Request, etag: str) -> str | None:
    """Return the range that counts: none where ``If-Range`` names another version; two are one bad one."""
    condition = request.headers.get("if-range")
    if condition is not None and not matches(condition, etag, weak=False):
        return None
    ranges = request.headers.getlist("range")
    return ",".join(ranges) if ranges else None


def _error(status: int, code: str, message: str, **headers: str) -> Response:
    body = strictjson.to_bytes({"code": code, "message": message})
    return Response(body, status, headers, "application/json")
