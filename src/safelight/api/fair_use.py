"""No one client takes the server from everybody else: bounds on what is open for it, and on keys it guesses.

They count in one process, and health is not counted. What takes its time is bounded by key and workspace too, and
bodies by the memory that they take (``waits``).
"""

from __future__ import annotations

import time
from collections import OrderedDict

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safelight.api import health
from safelight.api.auth import SUSPECT
from safelight.api.errors import error_response
from safelight.api.waits import holding
from safelight.domain.errors import Crowded
from safelight.domain.shares import Shares
from safelight.node.connections import client_of

_WINDOW_SECONDS = 60.0
_MOST_ADDRESSES = 50_000


class _Use(msgspec.Struct):
    refusals: int = 0
    window_start: float = 0.0


class FairUse:
    """Wraps an ASGI app. ``most_open``: requests that one address may have open; ``capacity``: those of all addresses.

    An address that sends many wrong keys goes on with the right ones that it used before; downloads are not touched by
    that.
    """

    def __init__(self, app: ASGIApp, *, most_open: int, capacity: int, most_refusals: int) -> None:
        self._app = app
        self._open = Shares(capacity, most=most_open)
        self._most_refusals = most_refusals
        self._uses: OrderedDict[str, _Use] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in health.PATHS:
            await self._app(scope, receive, send)
            return
        client = client_of(scope["client"][0] if scope.get("client") else "")
        if self._open.take(client):
            try:
                await self._serve(client, scope, receive, send)
            finally:
                self._open.give_back(client)
        else:
            message = "Too many requests from this address are open. Wait for some to end, or close some."
            # Without its connection, which would be one more that is idle.
            refusal = error_response(scope, Crowded(message, retry_after_seconds=1), {"connection": "close"})
            await refusal(scope, receive, send)

    async def _serve(self, client: str, scope: Scope, receive: Receive, send: Send) -> None:
        use = self._use_of(client)
        scope[SUSPECT] = use.refusals >= self._most_refusals

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 401:
                use.refusals += 1
            await send(message)

        with holding(scope):
            await self._app(scope, receive, send_counted)

    def _use_of(self, client: str) -> _Use:
        use = self._uses.setdefault(client, _Use())
        now = time.monotonic()
        if now - use.window_start >= _WINDOW_SECONDS:
            use.window_start, use.refusals = now, 0
            self._uses.move_to_end(client)
        while len(self._uses) > _MOST_ADDRESSES:
            self._uses.popitem(last=False)
        return use
