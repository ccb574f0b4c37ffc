"""Signed downloads: no API key, no redirect, the file's bytes; whole, in ranges, or only its headers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast
from urllib.parse import quote

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safelight.api.access import note_route
from safelight.api.auth import ApiState, state_of
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
from safelight.domain.errors import DownloadExpired, InvalidSignature, MethodNotAllowed
from safelight.domain.media import EXTENSION_OF_MIME
from safelight.domain.ports import PresignedStore
from safelight.domain.signing import REFERENCE
from safelight.keeping.download import find_file, find_reference
from safelight.keeping.expire import claim_end, delete_delivered, release_end
from safelight.keeping.files import FileToSend
from safelight.keeping.services import KeepingServices
from safelight.keeping.thumbnails import VARIANT, thumbnail_of
from safelight.telemetry import observe

log = structlog.get_logger()

Fields = Mapping[bytes, bytes]

_BELOW = "/v2/downloads/"
_TEMPLATE = "/v2/downloads/{id}/{index}"
_LONGEST_REDIRECT_SECONDS = 3600
_NEWS_SECONDS = 0.02
_METHODS = "GET, HEAD, OPTIONS"

ALWAYS = [
    # A browser that opens a link makes a page of its own around it: that one may play the link, and lay it out.
    (b"content-security-policy", b"default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; sandbox"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"accept-ranges, allow, content-disposition, content-length, content-range, etag, retry-after, "
        b"x-request-id, x-should-retry",
    ),
    (b"cross-origin-resource-policy", b"cross-origin"),
]
_PREFLIGHT = {
    "allow": _METHODS,
    "access-control-allow-methods": _METHODS,
    "access-control-allow-headers": "*, authorization",  # which ``*`` does not cover (Fetch, section 3.3.4)
    "access-control-max-age": "86400",
}


class DownloadHeaders:
    """Wraps an ASGI app: every answer below ``/v2/downloads``, whoever makes it, may be read by scripts of any origin,
    without credentials, and gives whoever opens it no authority."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_below(scope):
            send = _with_headers(send)
        await self._app(scope, receive, send)


class Downloads:
    """Wraps the application: answers what lies below ``/v2/downloads`` and passes the rest on.

    ``/v2/downloads/{id}/{index}?exp=&sig=``, and the same with ``/thumbnail`` or, for backends, ``/reference`` behind
    the index. The application's router and middleware would take longer than most of these answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_below(scope):
            await _answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_below(scope: Scope) -> bool:
    return f"{scope['path']}/".startswith(_BELOW)


def _with_headers(send: Send) -> Send:
    """``send``, with the headers in its answer that every download has."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *ALWAYS]
        await send(message)

    return send_with_headers


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    note_route(scope, _TEMPLATE)
    if scope["method"] == "OPTIONS":
        await Response(status_code=204, headers=_PREFLIGHT)(scope, receive, send)
        return
    try:
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"{scope['method']} is not supported here. Use: {_METHODS}.")
        found = await _find(state_of(scope).keeping, scope["path"].split("/")[3:], scope["query_string"])
    except Exception as error:
        allow = {"allow": _METHODS} if isinstance(error, MethodNotAllowed) else None
        await error_response(scope, error, allow)(scope, receive, send)
    else:
        await _send_file(found, scope, receive, send)


async def _send_file(found: FileToSend, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a GET or HEAD with a file: whole, in ranges, or only its headers, as the request's headers ask."""
    sending = _Sending(state_of(scope), found, scope, receive, send)
    try:
        await sending.send()
    except Exception as error:
        if sending.has_begun:
            raise  # the server ends the connection: the client knows it is short
        await error_response(scope, error)(scope, receive, send)


class FileResponse(Response):
    """A file as the answer of a route."""

    def __init__(self, found: FileToSend) -> None:
        super().__init__()
        self._found = found

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _send_file(self._found, scope, receive, _with_headers(send))


async def _find(services: KeepingServices, path: list[str], query: bytes) -> FileToSend:
    match path:
        case [generation_id, index]:
            return await find_file(services, generation_id, index, query)
        case [generation_id, index, "thumbnail"]:
            original = await find_file(services, generation_id, index, query, variant=VARIANT)
            return await thumbnail_of(services, original)
        case [generation_id, index, variant] if variant == REFERENCE:
            return await find_reference(services, generation_id, index, query)
        case _:
            raise InvalidSignature


class _Sending:
    """One answer to one request for one file. ``has_begun``: its head is on the way, and no error can replace it."""

    def __init__(self, state: ApiState, found: FileToSend, scope: Scope, receive: Receive, send: Send) -> None:
        self.has_begun = False
        self._state = state
        self._store = state.keeping.store
        self._found = found
        self._is_head = scope["method"] == "HEAD"
        self._asked = _conditions(scope)
        self._receive = receive
        self._raw_send = send
        self._head: dict[str, Any] = {}
        self._has_left = False

    async def send(self) -> None:
        """Answer as the request's headers ask. Raises ``DownloadExpired`` and ``ServiceUnavailable``."""
        decision = self._decision()
        size_bytes, mime_type = self._found.size_bytes, self._found.mime_type.encode()
        match decision:
            case NotModified():
                await self._without_bytes(304, {})
            case PreconditionFailed():
                await self._without_bytes(412, {b"content-length": b"0"})
            case _ if await self._is_left_to_others():
                pass
            case Unsatisfiable():
                content_range = decision.content_range.encode()
                await self._without_bytes(416, {b"content-range": content_range, b"content-length": b"0"})
            case Whole():
                await self._whole({b"content-type": mime_type, b"content-length": b"%d" % size_bytes})
            case Part(start, end):
                content_range = decision.content_range(size_bytes).encode()
                length = b"%d" % (end - start)
                self._start(
                    206, {b"content-type": mime_type, b"content-range": content_range, b"content-length": length}
                )
                await self._bytes(self._stored(decision), end - start)
            case Parts():
                await self._parts(decision)

    async def _is_left_to_others(self) -> bool:
        """Whether nginx, or the object store, was told to send the file itself."""
        if not self._found.is_stored or b"if-range" in self._asked or b"if-match" in self._asked:
            return False  # only we notice a complete delivery, and only we know our ETag
        if self._state.accel_prefix and self._store.local_path(self._found.key):
            location = f"{self._state.accel_prefix.rstrip('/')}/{quote(self._found.key)}".encode()
            await self._without_bytes(
                200, {b"content-type": self._found.mime_type.encode(), b"x-accel-redirect": location}, nginx_adds=True
            )
            return True
        if self._state.redirects and isinstance(self._store, PresignedStore):
            seconds = max(1, self._found.deletes_at_unix - int(time.time()))
            link = await self._store.presigned_url(
                self._found.key,
                min(seconds, _LONGEST_REDIRECT_SECONDS),
                method="HEAD" if self._is_head else "GET",  # which whoever follows asks with (RFC 9110, 15.4.8)
            )
            fields = {b"location": link.encode(), b"content-length": b"0", b"cache-control": b"no-store"}
            await self._without_bytes(307, fields)
            return True
        return False

    def _decision(self) -> Decision:
        asked = {name: value.decode("latin-1") for name, value in self._asked.items()}
        return decide(
            size_bytes=self._found.size_bytes,
            etag=strong_etag(self._found.sha256.hex()),
            method="HEAD" if self._is_head else "GET",
            if_match=asked.get(b"if-match"),
            if_none_match=asked.get(b"if-none-match"),
            if_range=asked.get(b"if-range"),
            range_header=asked.get(b"range"),
        )

    def _start(self, status: int, more: Fields, *, nginx_adds: bool = False) -> None:
        """Prepare the head. It goes out with the first of the body, so that what fails before can be an error."""
        fields = {**_common_headers(self._found), **more}
        if nginx_adds:
            del fields[b"accept-ranges"]  # it would be there twice
        self._head = {"type": "http.response.start", "status": status, "headers": list(fields.items())}

    async def _send(self, body: bytes, *, more_body: bool) -> None:
        if not self.has_begun:
            self.has_begun = True
            await self._raw_send(self._head)
        await self._raw_send({"type": "http.response.body", "body": body, "more_body": more_body})
        observe.downloaded(len(body))

    async def _without_bytes(self, status: int, more: Fields, *, nginx_adds: bool = False) -> None:
        """An answer with nothing of the file in it, if that is still there: where it is sent, opening it tells."""
        path = self._store.local_path(self._found.key)
        if path is not None and not os.path.exists(path):  # noqa: PTH110, ASYNC240  (a third of the time)
            raise self._missing()
        self._start(status, more, nginx_adds=nginx_adds)
        await self._send(b"", more_body=False)

    async def _whole(self, fields: Fields) -> None:
        found = self._found
        if self._is_head:
            await self._without_bytes(200, fields)
            return
        self._start(200, fields)
        if found.is_stored:
            await self._bytes(self._stored(Part(0, found.size_bytes)), found.size_bytes)
        else:
            await self._whole_once()

    async def _whole_once(self) -> None:
        """The whole of a file that is delivered once, and its deletion.

        Of several downloads at once one gets the last piece. The others end short of it, or with ``DownloadExpired``
        where nothing was sent yet; so a download that breaks off takes nothing from one that goes on or comes later.
        """
        found, services = self._found, self._state.keeping
        is_claimed = False

        async def pieces() -> AsyncGenerator[bytes]:
            nonlocal is_claimed
            left_bytes = found.size_bytes
            async with contextlib.aclosing(self._stored(Part(0, found.size_bytes))) as stored:
                async for piece in stored:
                    left_bytes -= len(piece)
                    if not left_bytes:
                        if self.has_begun:  # news of a client that left comes from another thread: wait for it
                            await asyncio.sleep(_NEWS_SECONDS)
                        if self._has_left:
                            return
                        is_claimed = await claim_end(services, found.generation_id, found.index)
                        if not is_claimed and self.has_begun:
                            return
                        if not is_claimed:
                            raise DownloadExpired("The file is delivered once, and another download was first.")
                    yield piece

        is_sent = False
        try:
            is_sent = await self._bytes(pieces(), found.size_bytes)
        finally:
            if is_claimed and is_sent:
                await delete_delivered(services, found.generation_id, found.index)
            elif is_claimed:
                await release_end(services, found.generation_id, found.index)

    async def _parts(self, decision: Parts) -> None:
        framing = frame(
            decision,
            size_bytes=self._found.size_bytes,
            mime_type=self._found.mime_type,
            boundary=secrets.token_hex(16),
        )
        length = b"%d" % framing.content_length
        self._start(206, {b"content-type": framing.content_type.encode(), b"content-length": length})

        async def framed() -> AsyncGenerator[bytes]:
            for part, head in zip(decision.parts, framing.heads, strict=True):
                yield head
                async with contextlib.aclosing(self._stored(part)) as pieces:
                    async for piece in pieces:
                        yield piece
            yield framing.tail

        await self._bytes(framed(), framing.content_length)

    def _stored(self, part: Part) -> AsyncGenerator[bytes]:
        return cast(AsyncGenerator[bytes], self._store.stream(self._found.key, part.start, part.end))

    async def _bytes(self, pieces: AsyncGenerator[bytes], left_bytes: int) -> bool:
        """Send the pieces of a body of that length; False if the client left before the last was handed over.

        The server tells that by ``receive`` alone and takes whatever is sent. When it has all, it says the same.
        """
        watch: asyncio.Task[None] | None = None
        try:
            async with contextlib.aclosing(pieces):
                async for piece in pieces:
                    left_bytes -= len(piece)
                    if self._has_left:
                        return False
                    if watch is None and left_bytes:
                        watch = asyncio.create_task(self._watch(), name="watch")
                    await self._send(piece, more_body=left_bytes > 0)
        except FileNotFoundError:
            raise self._missing() from None
        finally:
            if watch is not None:
                watch.cancel()
        if not self.has_begun:
            await self._send(b"", more_body=False)  # of an empty file
        return True

    def _missing(self) -> DownloadExpired:
        log.error("file is missing from the store", key=self._found.key)
        return DownloadExpired()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._has_left = True


def _conditions(scope: Scope) -> Fields:
    """The request's fields that say what of a file is wanted; repeated ones are joined."""
    asked: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in (b"range", b"if-range", b"if-match", b"if-none-match"):
            asked[name] = b"%b, %b" % (asked[name], value) if name in asked else value
    return asked


def _common_headers(found: FileToSend) -> Fields:
    seconds_left = max(0, found.deletes_at_unix - int(time.time()))
    file_name = f"{found.name}.{EXTENSION_OF_MIME[found.mime_type]}"
    return {
        b"etag": strong_etag(found.sha256.hex()).encode(),
        b"accept-ranges": b"bytes",
        b"cache-control": b"private, max-age=%d" % seconds_left,
        b"content-disposition": f'inline; filename="{file_name}"'.encode(),
    }
