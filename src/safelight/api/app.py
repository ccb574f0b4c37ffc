"""The ASGI application, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from starlette.types import ASGIApp

from safelight.api import health
from safelight.api.access import AccessLog
from safelight.api.auth import STATE, ApiState
from safelight.api.dialect import DIALECTS, Dialect, in_order
from safelight.api.downloads import Downloads
from safelight.api.fair_use import FairUse
from safelight.api.routing import make_router


def make_app(
    open_state: Callable[[], AbstractAsyncContextManager[ApiState]],
    dialects: Sequence[Dialect],
    *,
    most_open: int,
    most_refusals: int,
) -> ASGIApp:
    """The application. ``open_state`` is entered when the server starts, and left when it stops.

    ``most_open``: requests that one address may have open. ``most_refusals``: wrong keys it may send in a minute.
    """

    ordered = in_order(dialects)

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
        async with open_state() as state:
            yield {STATE: state, DIALECTS: ordered}

    routes = [*health.ROUTES, *(route for dialect in ordered for route in dialect.routes)]
    app = Downloads(make_router(routes, lifespan))
    return AccessLog(FairUse(app, most_open=most_open, most_refusals=most_refusals))
