"""The catalog, as clients see it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from safelight.api.answer import json_response
from safelight.api.auth import api_state, query_value
from safelight.api.getimg import wire
from safelight.domain.errors import InvalidParameter
from safelight.domain.generations import GenerationType
from safelight.domain.text import quoted


async def list_models(request: Request) -> Response:
    """Every model, or those of one type."""
    wanted = query_value(request, "type")
    if wanted is not None and wanted not in list(GenerationType):
        raise InvalidParameter(f"type {quoted(wanted)} is not supported. Use image or video.", param="type")
    models = api_state(request).submitting.catalog.models.values()
    return json_response([wire.model_entry(model) for model in models if wanted in (None, model.type)])


async def get_model(request: Request) -> Response:
    """One model."""
    return json_response(wire.model_entry(api_state(request).submitting.catalog.find(request.path_params["model"])))
