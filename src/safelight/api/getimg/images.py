"""Image generations: made while the client waits."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from safelight.api.answer import json_response
from safelight.api.auth import api_state, principal
from safelight.api.getimg import requests, wire
from safelight.api.submission import accepted_headers, failure_response, make, read_submission, with_rate_headers
from safelight.domain.generations import GenerationType
from safelight.lifecycle.views import note_seen, view


async def create_image(request: Request) -> Response:
    """Make an image and answer with it."""

    async def answer() -> Response:
        submission = await read_submission(request, requests.ImageGenerationBody)
        made = await make(request, submission)
        if made.error is not None:
            return failure_response(request, made, made.error)
        return json_response(wire.completed_image(made.view), headers=accepted_headers(made.accepted))

    return await with_rate_headers(request, GenerationType.IMAGE, answer)


async def get_image(request: Request) -> Response:
    """An image generation again, for its own workspace."""
    services, workspace_id = api_state(request).viewing, principal(request).workspace_id
    found = await view(services, workspace_id, request.path_params["id"], GenerationType.IMAGE)
    if request.method == "GET":  # HEAD shows nobody anything
        await note_seen(services, found)
    return json_response(wire.image(found))
