"""Signed downloads: no API key, no redirect, the file's bytes; whole, in ranges, or only its headers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncGenerator
from typing import Any, cast
from urllib.parse import quote

import structlog
from litestar import Request, asgi
from litestar.types import HTTPScope, Receive, Scope, Send

from safelight.api.errors import error_response
from safelight.api.ranges import (
    Decision,
    NotModified,
    Part,
    Parts,
    PreconditionFailed,
    Unsatisfiable,
    Whole,
    decide,
    frame,
    strong_etag,
)
from safelight.api.state import ApiState
from safelight.domain.errors import DownloadExpired, InvalidSignature, MethodNotAllowed, SafelightError
from safelight.domain.media import EXTENSION_OF_MIME
from safelight.domain.ports import PresignedStore
from safelight.lifecycle.download import find_file
from safelight.lifecycle.expire import delete_delivered
from safelight.lifecycle.files import FileToSend
from safelight.lifecycle.services import Services
from safelight.lifecycle.thumbnails import VARIANT, thumbnail_of

log = structlog.get_logger()

_LONGEST_REDIRECT_SECONDS = 3600
_NEWS_SECONDS = 0.02
_PATHSEND = "http.response.pathsend"
_EMPTY = {"type": "http.response.body", "body": b"", "more_body": False}


@asgi("/v2/downloads", is_mount=True, copy_scope=True)
async def download(scope: Scope, receive: Receive, send: Send) -> None:
    """``/v2/downloads/{id}/{index}?exp=&sig=``, and the same with ``/thumbnail`` behind the index."""
    http = cast(HTTPScope, scope)
    state: ApiState = http["litestar_app"].state.api
    sending: _Sending | None = None
    try:
        if http["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed("A download takes GET and HEAD.")
        found = await _find(state.services, http["path"].strip("/").split("/"), http["query_string"])
        sending = _Sending(state, found, http, receive, cast(Any, send))
        await sending.send()
    except SafelightError as error:
        if sending is not None and sending.has_begun:
            raise _BrokenOff(error.message) from error  # the server ends the connection: the client knows it is short
        headers = {"allow": "GET, HEAD"} if isinstance(error, MethodNotAllowed) else None
        request: Request[Any, Any, Any] = Request(scope)
        await error_response(error, headers).to_asgi_response(None, request)(scope, receive, send)


class _BrokenOff(Exception):
    """The rest of a file cannot be had."""


async def _find(services: Services, path: list[str], query: bytes) -> FileToSend:
    match path:
        case [generation_id, index]:
            return await find_file(services, generation_id, index, query)
        case [generation_id, index, "thumbnail"]:
            original = await find_file(services, generation_id, index, query, variant=VARIANT)
            return await thumbnail_of(services, original)
        case _:
            raise InvalidSignature


class _Sending:
    """One answer to one request for one file. ``has_begun``: its head is on the way, and no error can replace it."""

    def __init__(self, state: ApiState, found: FileToSend, scope: HTTPScope, receive: Receive, send: Any) -> None:
        self.has_begun = False
        self._state = state
        self._store = state.services.store
        self._found = found
        self._scope = scope
        self._receive = receive
        self._raw_send = send
        self._head: dict[str, Any] = {}
        self._has_left = False
        self._path = self._store.local_path(found.key)

    async def send(self) -> None:
        """Answer as the request's headers ask. Raises ``DownloadExpired`` and ``ServiceUnavailable``."""
        decision = self._decision()
        if self._path is not None and not os.path.exists(self._path):  # noqa: PTH110, ASYNC240  (a third of the time)
            log.error("file is missing from the store", key=self._found.key)
            raise DownloadExpired
        match decision:
            case NotModified():
                self._start(304)
            case PreconditionFailed():
                self._start(412, {"content-length": "0"})
            case _ if await self._is_left_to_others():
                pass
            case Unsatisfiable():
                self._start(416, {"content-range": decision.content_range, "content-length": "0"})
            case Whole():
                await self._whole()
                return
            case Part(start, end):
                await self._part(start, end, decision.content_range(self._found.size_bytes))
            case Parts():
                await self._parts(decision)
        await self._end()

    async def _is_left_to_others(self) -> bool:
        """Whether nginx, or the object store, was told to send the file itself."""
        if not self._found.is_stored or any(name == b"if-range" for name, _ in self._scope["headers"]):
            return False  # only we notice a complete delivery, and only we know our ETag
        if self._path is not None and self._state.accel_prefix:
            location = f"{self._state.accel_prefix.rstrip('/')}/{quote(self._found.key)}"
            self._start(200, {"content-type": self._found.mime_type, "x-accel-redirect": location}, nginx_adds=True)
            return True
        if self._state.redirects and isinstance(self._store, PresignedStore):
            seconds = max(1, self._found.deletes_at_unix - int(time.time()))
            location = await self._store.presigned_url(self._found.key, min(seconds, _LONGEST_REDIRECT_SECONDS))
            self._start(307, {"location": location, "content-length": "0", "cache-control": "no-store"})
            return True
        return False

    def _decision(self) -> Decision:
        fields: dict[bytes, str] = {}
        for name, value in self._scope["headers"]:
            text = value.decode("latin-1")
            fields[name] = f"{fields[name]}, {text}" if name in fields else text
        return decide(
            size_bytes=self._found.size_bytes,
            etag=strong_etag(self._found.sha256.hex()),
            method=self._scope["method"],
            if_match=fields.get(b"if-match"),
            if_none_match=fields.get(b"if-none-match"),
            if_range=fields.get(b"if-range"),
            range_header=fields.get(b"range"),
        )

    def _start(self, status: int, headers: dict[str, str] | None = None, *, nginx_adds: bool = False) -> None:
        """Prepare the head. It goes out with the first of the body, so that what fails before is told as an error."""
        fields = {**_common_headers(self._found), **(headers or {})}
        if nginx_adds:
            del fields["accept-ranges"]  # it would be there twice
        encoded = [(name.encode(), value.encode()) for name, value in fields.items()]
        self._head = {"type": "http.response.start", "status": status, "headers": encoded}

    async def _send(self, message: dict[str, Any]) -> None:
        if not self.has_begun:
            self.has_begun = True
            await self._raw_send(self._head)
        await self._raw_send(message)

    async def _end(self) -> None:
        await self._send(_EMPTY)

    async def _whole(self) -> None:
        found = self._found
        self._start(200, {"content-type": found.mime_type, "content-length": str(found.size_bytes)})
        if self._scope["method"] == "HEAD":
            await self._end()
        elif self._path is not None and found.is_stored and _PATHSEND in (self._scope.get("extensions") or {}):
            await self._send({"type": _PATHSEND, "path": str(self._path)})
        else:
            is_delivered = await self._bytes((Part(0, found.size_bytes),), (b"",))
            await self._end()
            if is_delivered and not found.is_stored:
                await delete_delivered(self._state.services, found.generation_id, found.index)

    async def _part(self, start: int, end: int, content_range: str) -> None:
        headers = {"content-type": self._found.mime_type, "content-range": content_range}
        self._start(206, {**headers, "content-length": str(end - start)})
        await self._bytes((Part(start, end),), (b"",))

    async def _parts(self, decision: Parts) -> None:
        framing = frame(
            decision,
            size_bytes=self._found.size_bytes,
            mime_type=self._found.mime_type,
            boundary=secrets.token_hex(16),
        )
        length = str(framing.content_length)
        self._start(206, {"content-type": framing.content_type, "content-length": length})
        if await self._bytes(decision.parts, framing.heads):
            await self._send({"type": "http.response.body", "body": framing.tail, "more_body": True})

    async def _bytes(self, parts: tuple[Part, ...], heads: tuple[bytes, ...]) -> bool:
        """Send pieces, each behind its head; False if the client left before the last of them was handed over.

        The server tells that by ``receive`` alone and takes whatever is sent. When it has all, it says the same.
        """
        watch = asyncio.create_task(self._watch())
        try:
            for part, head in zip(parts, heads, strict=True):
                if not await self._piece(part, head):
                    return False
        except FileNotFoundError:
            log.error("file is missing from the store", key=self._found.key)
            raise DownloadExpired from None
        finally:
            watch.cancel()
        return True

    async def _piece(self, part: Part, head: bytes) -> bool:
        chunks = cast(AsyncGenerator[bytes], self._store.stream(self._found.key, part.start, part.end))
        sent_bytes, size_bytes = 0, part.end - part.start
        async with contextlib.aclosing(chunks):
            async for chunk in chunks:
                sent_bytes += len(chunk)
                # News of a client that left comes from another thread: let it in, and wait for it before the end of
                # what is delivered once.
                is_decisive = not self._found.is_stored and len(chunk) < sent_bytes == size_bytes
                await asyncio.sleep(_NEWS_SECONDS if is_decisive else 0)
                if self._has_left:
                    return False
                body = head + chunk if head else chunk
                await self._send({"type": "http.response.body", "body": body, "more_body": True})
                head = b""
        return True

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._has_left = True


def _common_headers(found: FileToSend) -> dict[str, str]:
    seconds_left = max(0, found.deletes_at_unix - int(time.time()))
    return {
        "etag": strong_etag(found.sha256.hex()),
        "accept-ranges": "bytes",
        "cache-control": f"private, max-age={seconds_left}",
        "content-disposition": f'inline; filename="{found.name}.{EXTENSION_OF_MIME[found.mime_type]}"',
        "content-security-policy": "default-src 'none'; sandbox",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "access-control-allow-origin": "*",
        "access-control-expose-headers": "accept-ranges, content-length, content-range, etag",
        "cross-origin-resource-policy": "cross-origin",
    }
