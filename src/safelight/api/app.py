"""The ASGI application, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Litestar
from litestar.types import ASGIApp

from safelight.api import health, reference
from safelight.api.access import AccessLog
from safelight.api.auth import ApiState
from safelight.api.bodies import MAX_BODY_BYTES
from safelight.api.downloads import Downloads
from safelight.api.errors import HANDLERS
from safelight.api.fair_use import FairUse
from safelight.api.getimg import billing, history, images, models, videos

ROUTES: list[Any] = [
    images.create_image,
    images.get_image,
    videos.create_video,
    videos.get_video,
    videos.cancel_video,
    history.list_generations,
    history.stream_events,
    history.delete_generation_media,
    history.get_receipt,
    models.list_models,
    models.get_model,
    billing.balance,
    billing.costs,
    billing.quote_image,
    billing.quote_video,
    health.healthz,
    health.readyz,
    reference.openapi,
    reference.docs,
]


def make_app(
    open_state: Callable[[], AbstractAsyncContextManager[ApiState]], *, most_open: int, most_refusals: int
) -> ASGIApp:
    """The application. ``open_state`` is entered when the server starts, and left when it stops.

    ``most_open``: requests that one address may have open. ``most_refusals``: wrong keys it may send in a minute.
    """

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with open_state() as state:
            app.state.api = state
            yield

    app = Litestar(
        route_handlers=ROUTES,
        lifespan=[lifespan],
        exception_handlers=HANDLERS,
        openapi_config=None,
        logging_config=None,
        request_max_body_size=MAX_BODY_BYTES,
        debug=False,
    )
    return AccessLog(FairUse(Downloads(app), most_open=most_open, most_refusals=most_refusals))
