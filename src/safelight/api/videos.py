"""Video generations: accepted at once, made by a worker, polled to completion."""

from __future__ import annotations

from litestar import Response, get, post

from safelight.api import wire
from safelight.api.answer import json_response
from safelight.api.generations import REPLAYED, HttpRequest, rate_headers, read_submission, with_rate_headers
from safelight.api.state import api_state, principal, require_key
from safelight.domain.orders import GenerationType
from safelight.lifecycle.submit import submit
from safelight.lifecycle.views import view


@post("/v2/videos/generations", status_code=202, guards=[require_key])
async def create_video(request: HttpRequest) -> Response[bytes]:
    """Accept a video; the answer goes out once its row, hold and job are committed."""

    async def answer() -> Response[bytes]:
        submission = await read_submission(request, wire.VideoGenerationBody)
        accepted = await submit(api_state(request).services, submission)
        headers = rate_headers(accepted.window) | ({REPLAYED: "true"} if accepted.is_replay else {})
        pending = wire.PendingGeneration(id=accepted.id, status="pending")
        return json_response(pending, status=202, headers=headers)

    return await with_rate_headers(request, GenerationType.VIDEO, answer)


@get("/v2/videos/generations/{generation_id:str}", guards=[require_key])
async def get_video(request: HttpRequest, generation_id: str) -> Response[bytes]:
    """How a video stands."""

    async def answer() -> Response[bytes]:
        services = api_state(request).services
        found = await view(services, principal(request).workspace_id, generation_id, GenerationType.VIDEO)
        return json_response(wire.video(found))

    return await with_rate_headers(request, GenerationType.VIDEO, answer)
