"""HTTP requests to addresses that others name.

An address is checked three times: the URL's own, if it spells one; every one that a name resolves to; and,
whatever happened before, the one a socket is made for. Nothing is taken from the environment: no proxy,
cookie or password.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import cache
from io import BytesIO
from types import MappingProxyType
from typing import Literal

import aiohttp
import msgspec
from aiohappyeyeballs import AddrInfoType
from yarl import URL

import safelight
from safelight.domain.headers import coding_in
from safelight.outbound.policy import OutboundPolicy, literal
from safelight.outbound.resolver import CheckedResolver, Lookup, OutboundRefused, Reason, SystemLookup, approved
from safelight.outbound.urls import AddressRefused, Target, UrlRefused, parse_reachable, parse_redirect

Method = Literal["GET", "POST", "PUT", "DELETE"]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK_BYTES = 64 * 1024
_CONNECT_SECONDS = 15.0
_HEARTBEAT_SECONDS = 20.0

Body = bytes | BytesIO | aiohttp.FormData | None
NEVER_SENT: frozenset[Reason] = frozenset({"bad_url", "denied_address", "unresolved", "unreachable", "tls"})
"""Reasons for which a request certainly never went out."""


class Answer(msgspec.Struct, frozen=True):
    """A whole answer: names of ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class AnswerStream:
    """An answer whose body is still to be read, once."""

    def __init__(self, response: aiohttp.ClientResponse, target: Target, max_bytes: int) -> None:
        self._response = response
        self._max_bytes = max_bytes
        self.target = target
        self.status = response.status
        self.headers: Mapping[str, str] = {
            name.lower(): ", ".join(response.headers.getall(name)) for name in response.headers
        }

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces of at most 64 KiB. Raises ``OutboundRefused`` as soon as it is over the cap."""
        _check_encoding(self.headers)
        if (self._response.content_length or 0) > self._max_bytes:
            raise OutboundRefused("too_large", f"announces {self._response.content_length} bytes")
        received_bytes = 0
        async for chunk in self._response.content.iter_chunked(_CHUNK_BYTES):
            received_bytes += len(chunk)
            if received_bytes > self._max_bytes:
                raise OutboundRefused("too_large", f"over {self._max_bytes} bytes")
            yield chunk

    async def read(self) -> bytes:
        """The whole body."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def read_start(self, within_seconds: float) -> bytes:
        """The body's first bytes up to the cap, in whatever coding: those that come in this time. The rest is left
        unread, and a body that breaks off is as good as one that ends."""
        start = bytearray()
        with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(within_seconds):
                async for chunk in self._response.content.iter_chunked(_CHUNK_BYTES):
                    start += chunk
                    if len(start) >= self._max_bytes:
                        break
        return bytes(start[: self._max_bytes])


class GuardedClient:
    """Makes requests within ``policy``. Every method raises ``OutboundRefused`` and nothing else of its own.

    ``lookup`` resolves names (default: the system's), ``ssl_context`` verifies servers (default: the system's
    authorities, and no way to turn it off here). A connection is kept for the next request for ``keep_alive_seconds``.
    Belongs to one event loop.
    """

    def __init__(
        self,
        policy: OutboundPolicy,
        *,
        lookup: Lookup | None = None,
        ssl_context: ssl.SSLContext | None = None,
        max_connections: int = 64,
        max_connections_per_host: int = 8,
        keep_alive_seconds: float = 0,
    ) -> None:
        self._policy = policy
        self._system_lookup: SystemLookup | None = None
        if lookup is None:
            # A look-up goes on after its request was given up: none is to wait for those that hang.
            lookup = self._system_lookup = SystemLookup(2 * max_connections)
        self._resolver = CheckedResolver(policy, lookup)
        self._ssl_context = ssl_context or _of_the_system()
        self._max_connections = max_connections
        self._max_connections_per_host = max_connections_per_host
        self._keep_alive_seconds = keep_alive_seconds
        self._session: aiohttp.ClientSession | None = None
        self._sockets: aiohttp.ClientSession | None = None

    async def get(
        self,
        url: str,
        *,
        max_bytes: int,
        deadline_seconds: float,
        headers: Mapping[str, str] | None = None,
        max_redirects: int = 3,
    ) -> Answer:
        """The answer to a GET, held in memory. See ``stream``."""
        async with self.stream(
            url,
            max_bytes=max_bytes,
            deadline_seconds=deadline_seconds,
            headers=headers,
            max_redirects=max_redirects,
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def post(
        self,
        url: str,
        body: bytes,
        *,
        headers: Mapping[str, str],
        deadline_seconds: float,
        max_bytes: int,
        body_seconds: float,
    ) -> Answer:
        """The answer to a POST. Follows no redirect.

        Of its body, what comes in ``body_seconds`` and is no more than ``max_bytes``, left as coded: however long and
        slow a body is, the answer counts once its status and headers are there.
        """
        async with self._exchange("POST", url, body, headers, max_bytes, deadline_seconds, 0) as answer:
            return Answer(answer.status, answer.headers, await answer.read_start(body_seconds))

    async def send(
        self,
        method: Method,
        url: str,
        body: Body = None,
        *,
        headers: Mapping[str, str],
        deadline_seconds: float,
        max_bytes: int,
    ) -> Answer:
        """The answer to any request, held in memory. Follows no redirect.

        A refusal for one of ``NEVER_SENT`` tells that the request never went out; after any other it may have.
        """
        opened = self.open(method, url, body, headers=headers, deadline_seconds=deadline_seconds, max_bytes=max_bytes)
        async with opened as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    @contextlib.asynccontextmanager
    async def open(
        self,
        method: Method,
        url: str,
        body: Body = None,
        *,
        headers: Mapping[str, str],
        deadline_seconds: float,
        max_bytes: int,
    ) -> AsyncIterator[AnswerStream]:
        """As ``send``, with the answer's body to be read inside the ``async with``."""
        async with self._exchange(method, url, body, headers, max_bytes, deadline_seconds, 0) as answer:
            yield answer

    @contextlib.asynccontextmanager
    async def stream(
        self,
        url: str,
        *,
        max_bytes: int,
        deadline_seconds: float,
        headers: Mapping[str, str] | None = None,
        headers_everywhere: Mapping[str, str] | None = None,
        max_redirects: int = 3,
    ) -> AsyncIterator[AnswerStream]:
        """The answer to a GET, of any status, with its body to be read inside the ``async with``.

        ``deadline_seconds`` spans everything, redirects and reading included. Each redirect is read and
        checked as the first URL is; ``headers`` go to the first URL's origin only, ``headers_everywhere`` along
        with redirects too. A body in any content coding is refused.
        """
        async with self._exchange(
            "GET", url, None, headers or {}, max_bytes, deadline_seconds, max_redirects, headers_everywhere or {}
        ) as answer:
            yield answer

    @contextlib.asynccontextmanager
    async def websocket(
        self, url: str, *, headers: Mapping[str, str], max_message_bytes: int
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket (RFC 6455) at an ``http`` or ``https`` URL that is checked as a request's. Follows no redirect.

        A longer message than ``max_message_bytes`` closes it, and so does a peer that is silent to pings.
        """
        target = self._parsed(url)
        try:
            with self._approving(target) as checked:
                async with self._opened_sockets().ws_connect(
                    checked, headers=headers, max_msg_size=max_message_bytes, heartbeat=_HEARTBEAT_SECONDS
                ) as socket:
                    yield socket
        except OutboundRefused as refused:
            refused.target = refused.target or target.loggable
            raise
        except (aiohttp.ClientError, ssl.SSLError, OSError) as error:
            raise _translated(error, target) from error

    async def close(self) -> None:
        """Close every connection."""
        if self._sockets is not None:
            await self._sockets.close()
        if self._session is not None:
            await self._session.close()
        if self._system_lookup is not None:
            self._system_lookup.close()

    @contextlib.asynccontextmanager
    async def _exchange(
        self,
        method: Method,
        url: str,
        body: Body,
        headers: Mapping[str, str],
        max_bytes: int,
        deadline_seconds: float,
        max_redirects: int,
        headers_everywhere: Mapping[str, str] = MappingProxyType({}),
    ) -> AsyncIterator[AnswerStream]:
        target = first = self._parsed(url)
        try:
            async with asyncio.timeout(deadline_seconds) as deadline, contextlib.AsyncExitStack() as opened:
                for followed in range(max_redirects + 1):
                    sent = {**(headers if target.origin == first.origin else {}), **headers_everywhere}
                    response = await opened.enter_async_context(self._request(method, target, body, sent))
                    location = response.headers.get("Location")
                    if response.status not in _REDIRECTS or location is None or max_redirects == 0:
                        break
                    if followed == max_redirects:
                        raise OutboundRefused("too_many_redirects", f"more than {max_redirects}")
                    await opened.aclose()
                    target = self._redirected(target, location)
                yield AnswerStream(response, target, max_bytes)
        except OutboundRefused as refused:
            refused.target = refused.target or target.loggable
            raise
        except aiohttp.ConnectionTimeoutError as error:
            raise OutboundRefused("unreachable", f"not within {_CONNECT_SECONDS} s", target=target.loggable) from error
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise OutboundRefused("timeout", f"after {deadline_seconds} s", target=target.loggable) from error
        except (aiohttp.ClientError, ssl.SSLError, OSError) as error:
            raise _translated(error, target) from error

    @contextlib.asynccontextmanager
    async def _request(
        self, method: str, target: Target, body: Body, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        with self._approving(target) as url:
            ours = {"User-Agent": f"Safelight/{safelight.__version__}", "Accept-Encoding": "identity"}
            async with self._opened_session().request(
                method, url, data=body, headers={**headers, **ours}, allow_redirects=False
            ) as response:
                yield response

    @contextlib.contextmanager
    def _approving(self, target: Target) -> Iterator[URL]:
        """The URL to ask for; what is asked for inside may connect to the addresses that are approved for it."""
        url = URL(target.url, encoded=True)
        if (url.raw_host, url.port, url.scheme) != (target.host, target.port, target.scheme):
            raise OutboundRefused("bad_url", "read in two ways", target=target.loggable)
        token = approved.set(set())
        try:
            if literal(target.host) is not None:  # aiohttp asks no resolver for these
                self._resolver.approve(target.host, target.port, [target.host])
            yield url
        finally:
            with contextlib.suppress(ValueError):  # closed from another context
                approved.reset(token)

    def _parsed(self, url: str) -> Target:
        try:
            return parse_reachable(url, self._policy)
        except AddressRefused:
            raise OutboundRefused("denied_address", "spelled by the URL") from None
        except UrlRefused as refused:
            raise OutboundRefused("bad_url", str(refused)) from None

    def _redirected(self, target: Target, location: str) -> Target:
        try:
            return parse_redirect(location, target, self._policy)
        except UrlRefused as refused:
            raise OutboundRefused("bad_redirect", str(refused)) from None

    def _opened_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=self._resolver,
                use_dns_cache=False,
                ssl=self._ssl_context,
                limit=self._max_connections,
                limit_per_host=self._max_connections_per_host,
                force_close=not self._keep_alive_seconds,
                keepalive_timeout=self._keep_alive_seconds or None,
                socket_factory=_socket_to_approved,
            )
            self._session = _session(connector)
        return self._session

    def _opened_sockets(self) -> aiohttp.ClientSession:
        """For WebSockets: aiohttp follows redirects to them and cannot be told not to, so each one ends the request."""
        if self._sockets is None:
            watch = aiohttp.TraceConfig()
            watch.on_request_redirect.append(_refuse_redirect)
            self._sockets = _session(self._opened_session().connector, is_owner=False, watches=[watch])
        return self._sockets


@cache
def _of_the_system() -> ssl.SSLContext:
    """Verifies by the system's authorities. Reading them takes 20 ms of processor and half a MiB: once a process."""
    return ssl.create_default_context()


async def _refuse_redirect(session: object, context: object, params: object) -> None:
    raise OutboundRefused("bad_redirect", "of a WebSocket")


def _session(
    connector: aiohttp.BaseConnector | None, *, is_owner: bool = True, watches: list[aiohttp.TraceConfig] | None = None
) -> aiohttp.ClientSession:
    """A session that takes nothing from the environment and keeps nothing."""
    return aiohttp.ClientSession(
        connector=connector,
        connector_owner=is_owner,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS),
        trace_configs=watches,
    )


def _socket_to_approved(info: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, address = info
    if address[0] not in approved.get(set()):
        raise OSError(errno.EACCES, "this address has not been checked")
    return socket.socket(family, kind, protocol)


def _check_encoding(headers: Mapping[str, str]) -> None:
    if coding := coding_in(headers.get("content-encoding")):
        raise OutboundRefused("encoded", coding[:40])


def _translated(error: Exception, target: Target) -> OutboundRefused:
    # aiohttp puts the URL into some messages, with a query that may hold a signature.
    said = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    query = target.path.partition("?")[2]
    detail = f"{type(error).__name__}: {said.replace(query, '') if query else said}"[:300]
    where = target.loggable
    if isinstance(error, aiohttp.ClientSSLError):
        return OutboundRefused("tls", detail, target=where)
    if isinstance(error, aiohttp.ClientConnectorError):
        return OutboundRefused("unreachable", detail, target=where)
    return OutboundRefused("broken_answer", detail, target=where)
