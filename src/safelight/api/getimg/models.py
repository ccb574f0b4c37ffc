"""The catalog, as clients see it."""

from __future__ import annotations

from litestar import Response, get

from safelight.api.answer import json_response
from safelight.api.auth import api_state, require_key
from safelight.api.getimg import wire
from safelight.api.submission import HttpRequest
from safelight.domain.errors import InvalidParameter
from safelight.domain.generations import GenerationType
from safelight.domain.text import quoted


@get("/v2/models", before_request=require_key)
async def list_models(request: HttpRequest) -> Response[bytes]:
    """Every model, or those of one type."""
    wanted = request.query_params.get("type")
    if wanted is not None and wanted not in list(GenerationType):
        raise InvalidParameter(f"type {quoted(wanted)} is not supported. Use image or video.", param="type")
    models = api_state(request).submitting.catalog.models.values()
    return json_response([wire.model_entry(model) for model in models if wanted in (None, model.type)])


@get("/v2/models/{model_id:str}", before_request=require_key)
async def get_model(request: HttpRequest, model_id: str) -> Response[bytes]:
    """One model."""
    return json_response(wire.model_entry(api_state(request).submitting.catalog.find(model_id)))
