"""Requests to a backend's HTTP API: as the connection says, with its key, and with what is certain of each told apart.

Whether a request that got no answer ever went out decides whether an order may be given again, so it is a value.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

import aiohttp
import msgspec

from safelight.domain.connections import HttpConnectionSettings
from safelight.domain.errors import ConfigurationError
from safelight.domain.headers import retry_after_seconds
from safelight.domain.outcomes import Answer, Failed, FailureClass, InlineBytes, LocalFile, Pending, RemoteFile, Unknown
from safelight.outbound.client import NEVER_SENT, AnswerStream, Body, GuardedClient, Method
from safelight.outbound.inline_media import MediaInJson, decoded
from safelight.outbound.policy import OutboundPolicy
from safelight.outbound.resolver import OutboundRefused

DEADLINE_SECONDS = 60.0
MAX_BYTES = 192 * 1024 * 1024
"""Room for an image of 128 MiB as base64."""
MAX_STREAMED_BYTES = 2 * 1024 * 1024 * 1024
"""Of an answer whose media go to disk as they come."""

_KEEP_ALIVE_SECONDS = 3.0
"""Less than servers keep a silent connection (5 s is common), so that an order meets none that is being closed."""
_MAX_CONNECTIONS = 512
_LARGE_BYTES = 1024 * 1024
"""A body over this is sent in pieces, so that one upload does not hold up the event loop."""
_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_MOST_PARTS = 2_000_000
"""Of a document: small ones take many times their bytes in memory, and all are read in one go. A picture is one."""
_REQUEST_IDS = ("x-request-id", "request-id", "x-fal-request-id", "cf-ray")

T = TypeVar("T")
_anything = msgspec.json.Decoder(Any)


class Reply(msgspec.Struct, frozen=True):
    """An answer, of any status. Names of ``headers`` are in lower case.

    ``media``: what was written to disk as it came, by the name that stands for it in ``body``. Of an answer other than
    2xx, or that is broken off or no JSON, nothing stays there.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    media: Mapping[str, Path | None] = {}

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def content_type(self) -> str:
        """The media type alone, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """The body as JSON; None if it is none."""
        return self.read(_anything)

    def read(self, decoder: msgspec.json.Decoder[T]) -> T | None:
        """The body in a shape of JSON; None if it has another, or more parts than are read."""
        if len(self.body) > _MOST_PARTS and sum(map(self.body.count, (b",", b"[", b"{"))) > _MOST_PARTS:
            return None
        try:
            return decoder.decode(self.body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None

    def inline(self, text: str) -> LocalFile | InlineBytes | None:
        """The media that a text of the body is, as base64 or a data URL; None: it is neither, or is empty."""
        if text in self.media:
            path = self.media[text]
            return None if path is None else LocalFile(path)
        return InlineBytes(data) if (data := decoded(text)) else None

    def drop_media(self) -> None:
        """Delete what was written to disk, as nobody will read it: a job that is asked about again writes it anew."""
        for path in self.media.values():
            if path is not None:
                path.unlink(missing_ok=True)

    def retry_after_seconds(self) -> float | None:
        """What it asks to be left alone for (``retry-after-ms`` and ``Retry-After``), if it does."""
        milliseconds = self.headers.get("retry-after-ms", "")
        if milliseconds.isascii() and milliseconds.isdecimal():
            return int(milliseconds[:12]) / 1000
        return retry_after_seconds(self.headers.get("retry-after"), datetime.now(UTC)) or None

    def answer(self, *, code: str | None = None, words: str | None = None) -> Answer:
        """What was said, for the operator; the body's own text where no ``words`` are given and it is an error."""
        if words is None and not self.is_ok:
            words = self.body[:4096].decode("utf-8", "replace")
        request_id = next((self.headers[name] for name in _REQUEST_IDS if name in self.headers), None)
        return Answer(status=self.status, code=code, request_id=request_id, words=words)


class NotSent(msgspec.Struct, frozen=True):
    """The request certainly never went out."""

    detail: str

    def failed(self) -> Failed:
        return Failed(FailureClass.TRANSIENT, self.detail)


class NoReply(msgspec.Struct, frozen=True):
    """The request may have gone out, and no whole answer came."""

    detail: str

    def unknown(self) -> Unknown:
        return Unknown(self.detail)


Exchange = Reply | NotSent | NoReply


def remedy_of(lost: NotSent | NoReply, otherwise: str) -> str:
    """What an operator may do about a backend that did not answer."""
    if not lost.detail.startswith("tls:"):
        return otherwise
    return (
        "Name the host as its certificate does. For an authority of your own, SSL_CERT_FILE names its certificates. "
        "A server without TLS has http:// in base_url."
    )


class BackendApi:
    """The API behind a connection's ``base_url``. Belongs to one event loop.

    ``headers`` carry the key: they go to the origin of ``base_url`` and to no other. Raises ``ConfigurationError``.
    """

    def __init__(self, settings: HttpConnectionSettings, headers: Mapping[str, str]) -> None:
        for name, value in headers.items():
            if not value.isascii() or not value.isprintable():
                raise ConfigurationError(f"header {name}: a line break or a foreign character is in it. Correct it.")
        self.base_url = settings.base_url.rstrip("/")
        parts = urlsplit(self.base_url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        self.allow = (f"{host}:{port}", *settings.allow)
        """Its own address, which the operator wrote, and what else the connection may reach."""
        self._headers = dict(headers)
        self._origin = _origin(self.base_url)
        policy = OutboundPolicy.parse(self.allow, setting="allow")
        self._client = GuardedClient(
            policy,
            max_connections=_MAX_CONNECTIONS,
            max_connections_per_host=_MAX_CONNECTIONS,
            keep_alive_seconds=_KEEP_ALIVE_SECONDS,
        )

    def url(self, path: str) -> str:
        """The address of a path behind ``base_url`` (``/images``), or an absolute one as it is."""
        return path if "://" in path else f"{self.base_url}/{path.lstrip('/')}"

    def file(self, url: str, *, with_key: bool = False) -> RemoteFile:
        """Media at an address that an answer told, relative ones behind the API's origin."""
        absolute = urljoin(f"{self.base_url}/", url)
        is_ours = with_key and _origin(absolute) == self._origin
        return RemoteFile(absolute, headers=self._headers if is_ours else {}, allow=self.allow)

    async def call(
        self,
        method: Method,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: object = msgspec.UNSET,
        form: aiohttp.FormData | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
        max_bytes: int = MAX_BYTES,
        media_in: Callable[[], Path] | None = None,
    ) -> Exchange:
        """Make one request, and never a second.

        The body is ``json``, or ``form``, or else ``body`` as it is, whose type then stands in ``headers``. With
        ``media_in`` (``Job.make_workdir``) long base64 in the answer is written to files there as it comes, and the
        answer may have ``MAX_STREAMED_BYTES``: see ``Reply.inline``.
        """
        url = self.url(path) + (f"?{urlencode(query)}" if query else "")
        sent = {"Accept": "*/*", **(self._headers if _origin(url) == self._origin else {}), **(headers or {})}
        if json is not msgspec.UNSET:
            body, sent["Content-Type"] = msgspec.json.encode(json), "application/json"
        content: Body = io.BytesIO(body) if body and len(body) > _LARGE_BYTES else (form or body)
        most = max_bytes if media_in is None else MAX_STREAMED_BYTES
        opened = self._client.open(
            method, url, content, headers=sent, deadline_seconds=deadline_seconds, max_bytes=most
        )
        try:
            async with opened as answer:
                return await _received(answer, media_in)
        except OutboundRefused as refused:
            return NotSent(str(refused)) if refused.reason in NEVER_SENT else NoReply(str(refused))

    def websocket(
        self, path: str, query: Mapping[str, str]
    ) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """A WebSocket behind ``base_url``, with the key. Raises ``OutboundRefused`` when entered."""
        url = f"{self.url(path)}?{urlencode(query)}"
        return self._client.websocket(url, headers=self._headers, max_message_bytes=_MAX_MESSAGE_BYTES)

    async def close(self) -> None:
        await self._client.close()


def failure_of(reply: Reply, answer: Answer | None = None) -> Failed | Unknown:
    """What an answer other than 2xx to an order comes to, by its status alone (RFC 9110, section 15).

    A gateway that gave up waiting says nothing of the server behind it, and neither does a bare 500: unknown. A
    redirect is not followed, as an order is given once.
    """
    said, status = answer or reply.answer(), reply.status
    wait = reply.retry_after_seconds()
    match status:
        case 401 | 403 | 407:
            return Failed(FailureClass.AUTH, answer=said)
        case 402:
            return Failed(FailureClass.QUOTA, answer=said)
        case 429:
            return Failed(FailureClass.RATE_LIMITED, "", wait, said)
        case 404 | 405 | 410 | 501:
            return Failed(FailureClass.PERMANENT, answer=said)
        case 425 | 503:
            return Failed(FailureClass.TRANSIENT, "", wait, said)
        case 500 if reply.json() is not None:
            return Failed(FailureClass.TRANSIENT, "", wait, said)
        case _ if 300 <= status < 400:
            return Failed(
                FailureClass.PERMANENT, "it redirects: write the address it leads to as base_url", answer=said
            )
        case _ if 400 <= status < 500 and status not in (408, 409, 499):
            return Failed(FailureClass.BAD_INPUT, answer=said)
        case _:
            return Unknown(f"HTTP {status} says nothing of the order", said)


def not_told(
    reply: Reply, answer: Answer | None = None, *, noun: str = "job", wait_seconds: float | None = None
) -> Pending | Unknown:
    """What an answer other than 2xx to a question about a job comes to, if it is not that there is none.

    A server that does not say how a job stands says nothing of it. ``noun``: what the backend calls a job.
    ``wait_seconds``: what it asks to be left alone for, where it says so in its own way.
    """
    said = answer or reply.answer()
    if reply.status == 429:
        return Pending(poll_after_seconds=wait_seconds or reply.retry_after_seconds(), answer=said)
    return Unknown(f"HTTP {reply.status} says nothing of the {noun}", said)


async def _received(answer: AnswerStream, media_in: Callable[[], Path] | None) -> Reply:
    if media_in is None:
        return Reply(answer.status, answer.headers, await answer.read())
    reading = MediaInJson(media_in)
    try:
        async for piece in answer.chunks():
            reading.feed(piece)
    except BaseException:
        reading.discard()
        raise
    reply = Reply(answer.status, answer.headers, reading.end(), reading.files)
    if reply.media and not (reply.is_ok and reply.json() is not None):
        reply.drop_media()
    return reply


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)
