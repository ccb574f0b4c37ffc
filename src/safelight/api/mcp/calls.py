"""The API as the tools call it, within the process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.types import Scope

from safelight.api.within import Answer, Within
from safelight.mcp.api import Json, parse_events, refusal_of

_DOWNLOADS = "/v2/downloads/"
# Only the process itself knows a file's ETag: so it sends the bytes, also where nginx or the store would.
_BY_ITSELF = {"if-match": "*"}


class WithinApi:
    """``safelight.mcp.api.Api`` for whoever sent a request."""

    def __init__(self, scope: Scope) -> None:
        self._within = Within(scope)

    async def get(self, path: str, query: Mapping[str, str]) -> Any:
        return _value_of(await self._within.call("GET", path, query=query))

    async def post(self, path: str, body: Json, key: str | None) -> Json:
        headers = {"idempotency-key": key} if key else {}
        found: Json = _value_of(await self._within.call("POST", path, headers=headers, body=msgspec.json.encode(body)))
        return found

    async def delete(self, path: str) -> Json:
        found: Json = _value_of(await self._within.call("DELETE", path))
        return found

    async def events(self, path: str) -> AsyncIterator[tuple[str, Json]]:
        async with self._within.stream(path) as (status, pieces):
            if status != 200:
                raise refusal_of(status, b"".join([piece async for piece in pieces]))
            async for event in parse_events(pieces):
                yield event

    async def download(self, url: str, most_bytes: int) -> bytes | None:
        answer = await self._fetch("GET", url, most_bytes)
        return answer.body

    async def size_of(self, url: str) -> int | None:
        answer = await self._fetch("HEAD", url, 0)
        length = answer.headers.get("content-length", "")
        return int(length) if length.isdecimal() else None

    async def _fetch(self, method: str, url: str, most_bytes: int) -> Answer:
        parts = urlsplit(url)
        path = _DOWNLOADS + parts.path.partition(_DOWNLOADS)[2]  # the public address may have a path of its own
        answer = await self._within.call(
            method, path, query=parts.query.encode(), headers=_BY_ITSELF, most_bytes=most_bytes
        )
        if answer.status != 200:
            raise refusal_of(answer.status, answer.body or b"")
        return answer


def _value_of(answer: Answer) -> Any:
    body = answer.body or b""
    if answer.status >= 300:
        raise refusal_of(answer.status, body)
    return msgspec.json.decode(body)
