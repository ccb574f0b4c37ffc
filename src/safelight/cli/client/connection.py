"""Calls to a server: sent again only where that is safe, with errors that say what the API said.

Everything sent here may be sent twice. A GET changes nothing, a DELETE asks for the same once more, a quote holds
nothing, and what orders work has an idempotency key, by which a repeat is the same order.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec
from aiohttp.http import HttpProcessingError

from safelight import __version__
from safelight.cli.client.exits import Answered, CommandFailed, Unreachable
from safelight.cli.client.output import note
from safelight.cli.client.profiles import Profile
from safelight.domain.event_stream import StreamEvent, parse_events
from safelight.domain.told_errors import ToldError, told_error

_FIRST_PATIENCE_SECONDS = 2.0
PATIENCE_SECONDS = 60.0
"""For how long a server that answered before may be away: as long as a restart takes."""

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 90.0  # GET waits for 60 s at most
_QUIET_SECONDS = 60.0  # a stream of events tells every 15 s that it lives
_PAUSES_SECONDS = (0.1, 0.3, 0.6, 1.0)
_BUFFER_BYTES = 1 << 20
_LONGEST_ANSWER_BYTES = 16 << 20
_LONGEST_ID = 200
_NO_EVENTS = "The server's stream of events is not one of Safelight's."

NETWORK_TROUBLE = (aiohttp.ClientError, TimeoutError, OSError)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is no error. ``body`` is as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """Calls with a profile's key, as an asynchronous context manager. Paths begin with ``/v2/``."""

    def __init__(self, profile: Profile, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.profile = profile
        self._patience_seconds = patience_seconds
        self._has_answered = False
        self._has_told_wait = False

    async def __aenter__(self) -> Connection:
        self._session = aiohttp.ClientSession(
            read_bufsize=_BUFFER_BYTES,
            headers={"User-Agent": f"safelight-cli/{__version__}"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """For what goes without the key: downloads."""
        return self._session

    async def get(self, path: str, **query: str | int | None) -> Answer:
        """Raises ``Answered`` or ``Unreachable``."""
        params = {name: str(value) for name, value in query.items() if value is not None}
        return await self._send("GET", path, params=params, timeout_seconds=_ANSWER_SECONDS)

    async def delete(self, path: str) -> Answer:
        """Raises ``Answered`` or ``Unreachable``."""
        return await self._send("DELETE", path, timeout_seconds=_ANSWER_SECONDS)

    async def post(self, path: str, body: bytes, *, key: str | None = None) -> Answer:
        """``key``: the idempotency key of what orders work. Its answer may take as long as the work does.

        Raises ``Answered`` or ``Unreachable``.
        """
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        return await self._send(
            "POST", path, body=body, headers=headers, timeout_seconds=None if key else _ANSWER_SECONDS
        )

    async def events(self, path: str, *, last_event_id: str = "") -> AsyncGenerator[StreamEvent, None]:
        """A stream's events until it ends. It is begun once: to go on is the caller's, who knows what it has.

        Raises ``Answered``, or ``Unreachable`` where it breaks off.
        """
        headers = self._headers() | ({"Last-Event-ID": last_event_id} if last_event_id else {})
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_QUIET_SECONDS)
        try:
            async with self._session.get(
                self.url(path), headers=headers, timeout=timeout, proxy=proxy_of(self.url(path)), allow_redirects=False
            ) as response:
                if response.status >= 300:
                    raise _error_of(await self._read(response))
                self._has_answered = True
                pieces = response.content.iter_any()
                async for event in parse_events(pieces, last_event_id, most_bytes=_LONGEST_ANSWER_BYTES):
                    checked_event_id(event.id)
                    yield event
        except (HttpProcessingError, ValueError):  # a line without end
            raise CommandFailed(_NO_EVENTS) from None
        except NETWORK_TROUBLE as error:
            raise self.unreachable(error) from None

    def url(self, path: str) -> str:
        return f"{self.profile.base_url}{path}"

    def unreachable(self, error: BaseException) -> Unreachable:
        """What is told of a failure below HTTP: where to, and nothing that the key or a signature stands in."""
        parts = urlsplit(self.profile.base_url)
        place = f"{parts.scheme}://{parts.netloc}"
        match error:
            case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
                why = "its certificate, or TLS itself, is not accepted"
            case aiohttp.ClientConnectorDNSError():
                why = "its name is not known"
            case aiohttp.ClientConnectorError() if error.os_error.errno:
                why = os.strerror(error.os_error.errno)
            case TimeoutError():
                why = "it does not answer in time"
            case _:
                why = "the connection broke off"
        hint = ""
        if self.profile.is_local and not self._has_answered:
            hint = " Is it running there? 'safelight up' starts one; SAFELIGHT_BASE_URL or a profile names another."
        return Unreachable(f"{place} cannot be reached: {why}.{hint}")

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.profile.key}"}

    async def _send(
        self,
        method: str,
        path: str,
        *,
        timeout_seconds: float | None,
        headers: Mapping[str, str] | None = None,
        **content: Any,
    ) -> Answer:
        began, attempt, may_have_arrived = time.monotonic(), 0, False
        while True:
            try:
                return await self._once(method, path, headers or {}, timeout_seconds, **content)
            except Answered as error:
                pause = _pause_of(error, attempt)
                if pause is None:
                    raise
                failure: CommandFailed = error
            except NETWORK_TROUBLE as error:
                failure, pause = self.unreachable(error), _pause(attempt)
                may_have_arrived |= not isinstance(error, aiohttp.ClientConnectorError)
                if isinstance(error, aiohttp.ClientConnectorCertificateError):
                    raise failure from None
            patience = self._patience_seconds if self._has_answered else _FIRST_PATIENCE_SECONDS
            if time.monotonic() - began + pause > patience:
                failure.may_have_arrived = may_have_arrived
                raise failure from None
            self._tell_wait(failure, time.monotonic() - began + pause)
            await asyncio.sleep(pause)
            attempt += 1

    async def _once(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        timeout_seconds: float | None,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=_CONNECT_SECONDS)
        async with self._session.request(
            method,
            self.url(path),
            params=params,
            data=body,
            headers=self._headers() | dict(headers),
            timeout=timeout,
            proxy=proxy_of(self.url(path)),
            allow_redirects=False,  # the key goes to this server alone
        ) as response:
            answer = await self._read(response)
        self._has_answered = True
        if answer.status >= 300:
            raise _error_of(answer)
        return answer

    async def _read(self, response: aiohttp.ClientResponse) -> Answer:
        body = bytearray()
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > _LONGEST_ANSWER_BYTES:
                raise CommandFailed("The server's answer is too long to be one of Safelight's.")
        return Answer(status=response.status, headers=response.headers, body=bytes(body))

    def _tell_wait(self, failure: CommandFailed, waited_seconds: float) -> None:
        if waited_seconds > 1 and self._has_answered and not self._has_told_wait:
            self._has_told_wait = True
            note(f"{failure} Trying again for up to {self._patience_seconds:.0f} s.")


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for an address.

    aiohttp's own way of asking would also read ~/.netrc, and then refuse the key beside what that says.
    """
    parts = urlsplit(url)
    if parts.hostname is None or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)


def checked_event_id(text: str) -> str:
    """An event's id that goes into a header and onto a terminal. Raises ``CommandFailed``."""
    if not (text.isascii() and text.isprintable()) or len(text) > _LONGEST_ID:
        raise CommandFailed(_NO_EVENTS)
    return text


def _error_of(answer: Answer) -> Answered:
    detail, body = told_error(answer.body), answer.body
    if detail is None:
        words = f"The server answered with status {answer.status}, and not as Safelight does. Is the address right?"
        code = "service_unavailable" if answer.status in (502, 503, 504) else "not_safelight"
        detail, body = ToldError(message=words, code=code), b""
    message = detail.message
    if detail.code == "invalid_api_key":  # the API speaks of a header, which nobody sets here
        message = (
            "The server does not take this API key. 'safelight login' keeps another, or SAFELIGHT_API_KEY gives one."
        )
    return Answered(
        message,
        code=detail.code,
        param=detail.param,
        http_status=answer.status,
        headers=answer.headers,
        body=body,
    )


def _pause_of(error: Answered, attempt: int) -> float | None:
    """Seconds until the same request may be sent again; None if it may not, or nothing would come of it."""
    if error.answer_code == "generation_failed":  # its repeat would be made anew, and fail alike
        return None
    should = error.headers.get("x-should-retry")
    again = should == "true" or (should is None and error.http_status in (408, 429, 502, 503, 504))
    if not again:
        return None
    asked = error.headers.get("retry-after", "")
    return max(_pause(attempt), float(asked)) if asked.isdecimal() else _pause(attempt)


def _pause(attempt: int) -> float:
    return _PAUSES_SECONDS[min(attempt, len(_PAUSES_SECONDS) - 1)]
