"""Image generations: made while the client waits."""

from __future__ import annotations

import asyncio

from litestar import Response, get, post

from safelight.api import wire
from safelight.api.answer import json_response
from safelight.api.errors import error_response
from safelight.api.generations import (
    REPLAYED,
    Departure,
    HttpRequest,
    rate_headers,
    read_submission,
    with_rate_headers,
)
from safelight.api.state import ApiState, api_state, principal, require_key
from safelight.domain.errors import (
    ContentPolicyViolation,
    GenerationFailed,
    GenerationUnknown,
    InvalidParameter,
    SafelightError,
    ServiceUnavailable,
)
from safelight.domain.orders import GenerationType
from safelight.lifecycle.submit import Accepted, submit
from safelight.lifecycle.views import GenerationView, ended_view, note_seen, view

_ERROR_OF_CODE: dict[str | None, type[SafelightError]] = {
    error.code: error for error in (ContentPolicyViolation, GenerationFailed, InvalidParameter, ServiceUnavailable)
}


@post("/v2/images/generations", status_code=200, before_request=require_key)
async def create_image(request: HttpRequest) -> Response[bytes]:
    """Make an image and answer with it."""

    async def answer() -> Response[bytes]:
        submission = await read_submission(request, wire.ImageGenerationBody)
        departure = Departure()
        async with departure.watched(request):
            accepted = await submit(api_state(request).services, submission, has_left=departure.has_left)
            made = await _made(request, accepted, departure)
        headers = rate_headers(accepted.window) | ({REPLAYED: "true"} if accepted.is_replay else {})
        if made.state.on_the_wire == "failed":
            if submission.idempotency_key is not None:  # under the same key nothing else will come of it
                headers["x-should-retry"] = "false"
            return error_response(_error_of(made), headers)
        return json_response(wire.completed_image(made), headers=headers)

    return await with_rate_headers(request, GenerationType.IMAGE, answer)


@get("/v2/images/generations/{generation_id:str}", before_request=require_key)
async def get_image(request: HttpRequest, generation_id: str) -> Response[bytes]:
    """An image generation again, for its own workspace."""
    services = api_state(request).services
    found = await view(services, principal(request).workspace_id, generation_id, GenerationType.IMAGE)
    await note_seen(services, found)
    return json_response(wire.image(found))


async def _made(request: HttpRequest, accepted: Accepted, departure: Departure) -> GenerationView:
    """Wait for the end, good or bad. The work goes on if the client leaves meanwhile."""
    state = api_state(request)
    workspace_id, waits = principal(request).workspace_id, accepted.is_replay
    found = await _run_here(state, accepted, departure)
    if found is None:
        found = await ended_view(state.services, workspace_id, accepted.id, GenerationType.IMAGE, waits=waits)
    await note_seen(state.services, found, seen=not departure.has_left())
    if not found.state.is_final:
        raise GenerationUnknown(
            f"The outcome is not known yet. GET /v2/images/generations/{accepted.id} tells it; nothing is lost."
        )
    return found


async def _run_here(state: ApiState, accepted: Accepted, departure: Departure) -> GenerationView | None:
    """Run it if it is ours to run; the image if it is completed, so that it need not be read back."""
    if accepted.claim is None:
        return None
    run = state.runner.start(accepted.claim, is_unseen=departure.has_left)
    await asyncio.wait([run])
    return None if run.cancelled() or run.exception() else run.result()


def _error_of(failed: GenerationView) -> SafelightError:
    return _ERROR_OF_CODE.get(failed.error_code, GenerationFailed)(failed.error_message)
