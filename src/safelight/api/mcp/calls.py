"""The API as the tools call it, within the process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.types import Scope

from safelight.api.auth import api_state, principal
from safelight.api.waits import hold
from safelight.api.within import Answer, Within
from safelight.domain.errors import ServiceUnavailable
from safelight.domain.event_stream import parse_events
from safelight.mcp.api import Json, Refused, refusal_of

_DOWNLOADS = "/v2/downloads/"
# Only the process itself knows a file's ETag: so it sends the bytes, also where nginx or the store would.
_BY_ITSELF = {"if-match": "*"}


class WithinApi:
    """``safelight.mcp.api.Api`` for whoever sent a request."""

    def __init__(self, scope: Scope) -> None:
        self._within = Within(scope)
        self._request = Request(scope)

    async def get(self, path: str, query: Mapping[str, str]) -> Any:
        return _value_of(await self._within.call("GET", path, query=query))

    async def post(self, path: str, body: Json, key: str | None) -> Json:
        headers = {"idempotency-key": key} if key else {}
        content = msgspec.json.encode(body)
        del body
        call = self._within.call("POST", path, headers=headers, body=content)
        del content
        found: Json = _value_of(await call)
        return found

    async def delete(self, path: str) -> Json:
        found: Json = _value_of(await self._within.call("DELETE", path))
        return found

    async def events(self, path: str) -> AsyncIterator[tuple[str, Json]]:
        async with self._within.stream(path) as (status, pieces):
            if status != 200:
                raise refusal_of(status, b"".join([piece async for piece in pieces]))
            async for event in parse_events(pieces):
                yield event.name, msgspec.json.decode(event.data)

    async def download(self, url: str, most_bytes: int) -> bytes | None:
        """It counts as a part of the caller's own body would, until their request has ended."""
        memory = api_state(self._request).body_memory.of(principal(self._request))
        try:
            answer = await self._fetch("GET", url, most_bytes, hold(self._request, memory))
        except ServiceUnavailable as error:
            raise Refused(error.message, code=error.code) from None
        except ClientDisconnect:
            raise Refused("Nobody waits for it any more.", code=ServiceUnavailable.code) from None
        return answer.body

    async def size_of(self, url: str) -> int | None:
        answer = await self._fetch("HEAD", url, 0)
        length = answer.headers.get("content-length", "")
        return int(length) if length.isdecimal() else None

    async def _fetch(
        self, method: str, url: str, most_bytes: int, take: Callable[[int], None] = lambda size_bytes: None
    ) -> Answer:
        parts = urlsplit(url)
        path = _DOWNLOADS + parts.path.partition(_DOWNLOADS)[2]  # the public address may have a path of its own
        answer = await self._within.call(
            method, path, query=parts.query.encode(), headers=_BY_ITSELF, most_bytes=most_bytes, take=take
        )
        if answer.status != 200:
            raise refusal_of(answer.status, answer.body or b"")
        return answer


def _value_of(answer: Answer) -> Any:
    body = answer.body or b""
    if answer.status >= 300:
        raise refusal_of(answer.status, body)
    return msgspec.json.decode(body)
