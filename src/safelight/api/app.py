"""The ASGI application, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from typing import Any

from granian.utils.proxies import wrap_asgi_with_proxy_headers
from starlette.types import ASGIApp, Receive, Scope, Send

from safelight.api import health, hints, index
from safelight.api.access import AccessLog
from safelight.api.auth import STATE, ApiState
from safelight.api.by_proxies import ByProxies
from safelight.api.dialect import DIALECTS, Dialect, in_order
from safelight.api.downloads import DownloadHeaders, Downloads
from safelight.api.fair_use import FairUse
from safelight.api.headers import HeadersOnce
from safelight.api.paths import Paths
from safelight.api.routing import make_router
from safelight.api.told import Told
from safelight.api.unread import Unread
from safelight.api.within import ANSWERS
from safelight.node.connections import Connections, peer_of


def make_app(
    open_state: Callable[[], AbstractAsyncContextManager[ApiState]],
    dialects: Sequence[Dialect],
    *,
    most_open: int,
    most_refusals: int,
    capacity: int = 8192,
    proxies: Sequence[str] = (),
    trusted_header: str | None = None,
    connections: Connections | None = None,
) -> ASGIApp:
    """The application. ``open_state`` is entered when the server starts, and left when it stops.

    ``most_open``: requests that one address may have open, of ``capacity`` in all. ``most_refusals``: wrong keys it may
    send in a minute. ``proxies``: networks whose word on whom they speak for is believed, and no other's in
    ``trusted_header``. ``connections``: the watch of this process's, which is told of each request.
    """

    ordered = in_order(dialects)

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
        async with open_state() as state, AsyncExitStack() as stack:
            for dialect in ordered:
                await stack.enter_async_context(dialect.opened())
            yield {STATE: state, DIALECTS: ordered, ANSWERS: answers}

    routes = [*health.ROUTES, *hints.ROUTES, *index.ROUTES, *(route for dialect in ordered for route in dialect.routes)]
    answers = Downloads(make_router(routes, lifespan))
    fair = FairUse(
        Unread(HeadersOnce(answers), connections), most_open=most_open, capacity=capacity, most_refusals=most_refusals
    )
    app: ASGIApp = AccessLog(Paths(DownloadHeaders(fair)))
    if proxies:
        app = wrap_asgi_with_proxy_headers(app, list(proxies))
    if trusted_header is not None:
        app = ByProxies(app, trusted_header, proxies)

    if connections is None:
        return app
    told, answering = Told(app, connections), connections.answering

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        peer = peer_of(scope)
        with nullcontext() if peer is None else answering(peer):
            await told(scope, receive, send)

    return answer
