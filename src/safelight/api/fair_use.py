"""One address must not take the server from everybody else: bounds on what it has open, and on keys it guesses."""

from __future__ import annotations

import time
from collections import OrderedDict

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safelight.api.auth import SUSPECT
from safelight.api.errors import error_response
from safelight.domain.errors import RateLimited

_WINDOW_SECONDS = 60.0
_MOST_ADDRESSES = 50_000


class _Use(msgspec.Struct):
    open_requests: int = 0
    refusals: int = 0
    window_start: float = 0.0


class FairUse:
    """Wraps an ASGI app. Counts per process and client address; behind a proxy that is the proxy's.

    An address that sends many wrong keys goes on with the right ones that it used before; downloads and health are
    not touched by that.
    """

    def __init__(self, app: ASGIApp, *, most_open: int, most_refusals: int) -> None:
        self._app = app
        self._most_open = most_open
        self._most_refusals = most_refusals
        self._uses: OrderedDict[str, _Use] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        use = self._use_of(client[0] if client else "")
        if use.open_requests >= self._most_open:
            message = "Too many requests from this address are open. Wait for some to end."
            await error_response(scope, RateLimited(message, retry_after_seconds=1))(scope, receive, send)
            return
        scope[SUSPECT] = use.refusals >= self._most_refusals

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 401:
                use.refusals += 1
            await send(message)

        use.open_requests += 1
        try:
            await self._app(scope, receive, send_counted)
        finally:
            use.open_requests -= 1

    def _use_of(self, address: str) -> _Use:
        use = self._uses.setdefault(address, _Use())
        now = time.monotonic()
        if now - use.window_start >= _WINDOW_SECONDS:
            use.window_start, use.refusals = now, 0
            self._uses.move_to_end(address)
        while len(self._uses) > _MOST_ADDRESSES:
            self._uses.popitem(last=False)
        return use
