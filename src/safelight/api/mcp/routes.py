"""The dialect, and what goes before the SDK: the key, the host, the size of a body, the session's name.

A request of the revision 2025-11-25 belongs to a session, that of 2026-07-28 to none. Nothing is kept of a session: its
name, made at ``initialize``, says which requests are one client's, to whatever process of whatever node they come.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import secrets
from collections.abc import AsyncIterator
from typing import Any, cast

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from safelight.api.bodies import receive_body
from safelight.api.dialect import WAY_IN, Dialect, Route
from safelight.api.mcp.calls import WithinApi
from safelight.api.mcp.hosts import allowed
from safelight.domain.errors import SafelightError
from safelight.mcp.keys import Origin
from safelight.mcp.server import Caller, Context, make_server
from safelight.node.settings import Settings

MAX_BODY_BYTES = 4 * 1024 * 1024
SESSION = "mcp-session-id"
_NAME = "mcp"
_TELL_TOO_MUCH = ("mcp", "sse_starlette")  # to those who look for a fault: each message, and each piece of an answer
_REFUSED = -32600  # an invalid request (JSON-RPC 2.0, section 5.1)


def open_dialect(settings: Settings) -> Dialect:
    """The dialect of one process, which can be opened once."""
    for name in _TELL_TOO_MUCH:
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.getEffectiveLevel(), logging.INFO))
    manager = StreamableHTTPSessionManager(
        make_server(_caller_of),
        stateless=True,
        security_settings=allowed(settings),
        max_request_body_size=MAX_BODY_BYTES,
    )

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        async with manager.run():
            yield

    async def answer(request: Request) -> Response:
        request.scope[WAY_IN] = _NAME
        return _Answer(manager, await receive_body(request, MAX_BODY_BYTES))

    return Dialect(
        name=_NAME,
        prefix="/mcp/",
        # A tool's calls go through the routes of others with the same key, and need what those need.
        routes=(Route("POST", "/mcp", answer),),
        error_body=error_body,
        opened=opened,
    )


def error_body(error: SafelightError) -> dict[str, Any]:
    """What goes out before there is a request to answer: an error of JSON-RPC that has no id."""
    data = {"code": error.code, "param": error.param}
    return {"jsonrpc": "2.0", "id": None, "error": {"code": _REFUSED, "message": error.message, "data": data}}


def _caller_of(ctx: Context) -> Caller:
    request = cast(Request, ctx.request)
    key = request.headers.get("authorization", "")
    origin = Origin(who=hashlib.sha256(key.encode()).hexdigest(), session=request.headers.get(SESSION))
    return Caller(api=WithinApi(request.scope), origin=origin)


class _Answer(Response):
    """What the SDK answers to a body that has been read."""

    def __init__(self, manager: StreamableHTTPSessionManager, body: bytes) -> None:
        super().__init__()
        self._manager = manager
        self._body: bytes | None = body
        self._begins_session = _is_initialize(body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def replay() -> Message:
            if self._body is None:
                return await receive()
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start" and self._begins_session and message["status"] == 200:
                name = (SESSION.encode(), secrets.token_hex(16).encode())
                message = {**message, "headers": [*message["headers"], name]}
            await send(message)

        await self._manager.handle_request(scope, replay, send_named)


def _is_initialize(body: bytes) -> bool:
    if b'"initialize"' not in body:
        return False
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return False  # the SDK says what is wrong with it
    return isinstance(document, dict) and document.get("method") == "initialize"
