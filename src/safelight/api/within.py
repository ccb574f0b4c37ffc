"""Calls to the API from within the process, by what serves a client in another protocol.

Each is a request like any other: it has the caller's own key, so every rule of limits, money and tenancy is that of the
routes. It takes no part in ``fair_use``, which has counted the request that it is made for, and has no line of its own
in the access log.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from starlette.types import ASGIApp, Message, Scope

from safelight.api.auth import SUSPECT
from safelight.api.dialect import WAY_IN
from safelight.api.waits import holding

ANSWERS = "answers"
"""In the state that the server hands to every request: the application behind ``fair_use``."""

Headers = list[tuple[bytes, bytes]]

_TAKEN = (b"authorization", b"user-agent", b"traceparent", b"tracestate")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """``body``: None where it is longer than was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None


class Within:
    """Calls on behalf of whoever sent a request."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._app: ASGIApp = scope["state"][ANSWERS]

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | bytes = b"",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        most_bytes: int | None = None,
        take: Callable[[int], None] = lambda size_bytes: None,
    ) -> Answer:
        """One call and its whole answer. ``take`` is told of each piece's size before it is kept, and may raise."""
        start: Message = {}
        received: bytearray | None = bytearray()

        async def send(message: Message) -> None:
            nonlocal start, received
            if message["type"] == "http.response.start":
                start = message
            elif received is not None:
                take(len(message.get("body", b"")))
                received += message.get("body", b"")
                if most_bytes is not None and len(received) > most_bytes:
                    received = None

        scope, receive = self._scope_of(method, path, query, headers, body), _Body(body).receive
        del body  # an image takes its time, and whoever makes it lets its pictures go
        with holding(scope):
            await self._app(scope, receive, send)
        fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
        answered = None if received is None else bytes(received)
        return Answer(status=start["status"], headers=fields, body=answered)

    @contextlib.asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """The status of a GET and the pieces of its answer as they come. On the way out the call is ended."""
        pieces: asyncio.Queue[Message | None] = asyncio.Queue(maxsize=16)
        scope = self._scope_of("GET", path, b"", None, b"")

        async def run() -> None:
            try:
                with holding(scope):
                    await self._app(scope, _Body(b"").receive, pieces.put)
            finally:
                with contextlib.suppress(asyncio.QueueFull):
                    pieces.put_nowait(None)

        async def bodies() -> AsyncIterator[bytes]:
            while (message := await pieces.get()) is not None:
                yield message.get("body", b"")
                if not message.get("more_body", False):
                    return

        task = asyncio.create_task(run(), name="within")
        try:
            start = await pieces.get()
            assert start is not None, "the application answers every request"
            yield start["status"], bodies()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _scope_of(
        self, method: str, path: str, query: Mapping[str, str] | bytes, headers: Mapping[str, str] | None, body: bytes
    ) -> Scope:
        outer = self._scope
        fields: Headers = [field for field in outer["headers"] if field[0] in _TAKEN]
        fields += [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
        if body:
            fields += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        inner: dict[str, Any] = {name: outer[name] for name in ("type", "asgi", "http_version", "scheme")}
        inner |= {name: outer.get(name) for name in ("client", "server")}
        return inner | {
            "method": method,
            "path": path,
            "raw_path": quote(path).encode(),
            "query_string": query if isinstance(query, bytes) else urlencode(query).encode(),
            "root_path": "",
            "headers": fields,
            "state": outer["state"],
            SUSPECT: outer.get(SUSPECT, False),
            WAY_IN: outer.get(WAY_IN),
        }


class _Body:
    """What the application receives: a body, and then nothing, as a client that stays."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body

    async def receive(self) -> Message:
        if self._body is None:
            await asyncio.Event().wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}
