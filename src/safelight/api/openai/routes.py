"""What the dialect takes: every route, and the shape of an error."""

from __future__ import annotations

from safelight.api.dialect import Dialect, Route
from safelight.api.openai import images, models
from safelight.api.openai.errors import STATUSES, error_body

DIALECT = Dialect(
    prefix="/v1/",
    statuses=STATUSES,
    error_body=error_body,
    routes=(
        Route("POST", "/v1/images/generations", images.generate),
        Route("POST", "/v1/images/edits", images.edit),
        Route("POST", "/v1/images/variations", images.vary),
        Route("GET", "/v1/models", models.list_models),
        Route("GET", "/v1/models/{name:path}", models.get_model),
    ),
)
