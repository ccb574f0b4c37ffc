"""What the dialect takes: every route, and the shape of an error."""

from __future__ import annotations

from safelight.api.dialect import Dialect, Route
from safelight.api.getimg import billing, events, history, images, models, videos
from safelight.api.getimg.openapi import describe
from safelight.api.getimg.wire import error_body
from safelight.api.reference import reference_routes
from safelight.domain.roles import Role

DIALECT = Dialect(
    name="v2",
    prefix="",
    error_body=error_body,
    routes=(
        Route("POST", "/v2/images/generations", images.create_image, role=Role.GENERATE),
        Route("GET", "/v2/images/generations/{id}", images.get_image),
        Route("POST", "/v2/images/generations/quote", billing.quote_image),
        Route("POST", "/v2/videos/generations", videos.create_video, role=Role.GENERATE),
        Route("GET", "/v2/videos/generations/{id}", videos.get_video),
        Route("DELETE", "/v2/videos/generations/{id}", videos.cancel_video, role=Role.GENERATE),
        Route("POST", "/v2/videos/generations/quote", billing.quote_video),
        Route("GET", "/v2/generations", history.list_generations),
        Route("GET", "/v2/generations/{id}/events", history.stream_events),
        Route("DELETE", "/v2/generations/{id}/media", history.delete_generation_media, role=Role.GENERATE),
        Route("GET", "/v2/generations/{id}/receipt", history.get_receipt),
        Route("GET", "/v2/events", events.follow_events),
        Route("POST", "/v2/events", events.send_test_event, role=Role.GENERATE),
        Route("GET", "/v2/models", models.list_models),
        Route("GET", "/v2/models/{model}", models.get_model),
        Route("GET", "/v2/billing/balance", billing.balance),
        Route("GET", "/v2/billing/costs", billing.costs),
        *reference_routes(describe, document="/openapi.json", page="/docs"),
    ),
)
