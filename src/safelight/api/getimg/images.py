"""Image generations: made while the client waits."""

from __future__ import annotations

from litestar import Response, get, post

from safelight.api.answer import json_response
from safelight.api.auth import api_state, principal, require_key
from safelight.api.errors import error_response
from safelight.api.getimg import wire
from safelight.api.submission import (
    REPLAYED,
    Departure,
    HttpRequest,
    rate_headers,
    read_submission,
    with_rate_headers,
)
from safelight.domain.errors import (
    ContentPolicyViolation,
    GenerationFailed,
    InvalidParameter,
    SafelightError,
    ServiceUnavailable,
)
from safelight.domain.generations import GenerationType
from safelight.lifecycle.make import make_image
from safelight.lifecycle.views import GenerationView, note_seen, view

_ERROR_OF_CODE: dict[str | None, type[SafelightError]] = {
    error.code: error for error in (ContentPolicyViolation, GenerationFailed, InvalidParameter, ServiceUnavailable)
}


@post("/v2/images/generations", status_code=200, before_request=require_key)
async def create_image(request: HttpRequest) -> Response[bytes]:
    """Make an image and answer with it."""

    async def answer() -> Response[bytes]:
        state, submission = api_state(request), await read_submission(request, wire.ImageGenerationBody)
        departure = Departure()
        async with departure.watched(request):
            made = await make_image(
                state.submitting, state.viewing, state.runner, submission, has_left=departure.has_left
            )
        accepted = made.accepted
        headers = rate_headers(accepted.window) | ({REPLAYED: "true"} if accepted.is_replay else {})
        if made.view.state.on_the_wire == "failed":
            if submission.idempotency_key is not None:  # under the same key nothing else will come of it
                headers["x-should-retry"] = "false"
            return error_response(_error_of(made.view), headers)
        return json_response(wire.completed_image(made.view), headers=headers)

    return await with_rate_headers(request, GenerationType.IMAGE, answer)


@get("/v2/images/generations/{generation_id:str}", before_request=require_key)
async def get_image(request: HttpRequest, generation_id: str) -> Response[bytes]:
    """An image generation again, for its own workspace."""
    services = api_state(request).viewing
    found = await view(services, principal(request).workspace_id, generation_id, GenerationType.IMAGE)
    await note_seen(services, found)
    return json_response(wire.image(found))


def _error_of(failed: GenerationView) -> SafelightError:
    return _ERROR_OF_CODE.get(failed.error_code, GenerationFailed)(failed.error_message)
