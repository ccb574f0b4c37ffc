"""Video generations: accepted at once, made by a worker, polled to completion."""

from __future__ import annotations

from litestar import Response, delete, get, post

from safelight.api.answer import json_response
from safelight.api.auth import api_state, principal, require_key
from safelight.api.getimg import wire
from safelight.api.submission import REPLAYED, Departure, HttpRequest, rate_headers, read_submission, with_rate_headers
from safelight.domain.errors import InvalidParameter
from safelight.domain.generations import GenerationType
from safelight.lifecycle.cancel import Cancellation, cancel
from safelight.lifecycle.submit import submit
from safelight.lifecycle.views import note_seen, view_after

MAX_WAIT_SECONDS = 60


@post("/v2/videos/generations", status_code=202, before_request=require_key)
async def create_video(request: HttpRequest) -> Response[bytes]:
    """Accept a video; the answer goes out once its row, hold and job are committed."""

    async def answer() -> Response[bytes]:
        submission = await read_submission(request, wire.VideoGenerationBody)
        departure = Departure()
        async with departure.watched(request):
            accepted = await submit(api_state(request).submitting, submission, has_left=departure.has_left)
        headers = rate_headers(accepted.window) | ({REPLAYED: "true"} if accepted.is_replay else {})
        pending = wire.PendingGeneration(id=accepted.id, status="pending")
        return json_response(pending, status=202, headers=headers)

    return await with_rate_headers(request, GenerationType.VIDEO, answer)


@get("/v2/videos/generations/{generation_id:str}", before_request=require_key)
async def get_video(request: HttpRequest, generation_id: str) -> Response[bytes]:
    """How a video stands; with ``wait``, once it has ended or the wait is over."""

    async def answer() -> Response[bytes]:
        services, workspace_id = api_state(request).viewing, principal(request).workspace_id
        found = await view_after(services, workspace_id, generation_id, GenerationType.VIDEO, _wait_seconds(request))
        await note_seen(services, found)
        return json_response(wire.video(found), headers=rate_headers(found.window))

    return await with_rate_headers(request, GenerationType.VIDEO, answer)


@delete("/v2/videos/generations/{generation_id:str}", status_code=200, before_request=require_key)
async def cancel_video(request: HttpRequest, generation_id: str) -> Response[bytes]:
    """Cancel a video, as far as it still can be."""
    state, workspace_id = api_state(request), principal(request).workspace_id
    became, found = await cancel(state.running, state.viewing, workspace_id, generation_id, GenerationType.VIDEO)
    return json_response(
        wire.CanceledVideo(id=found.id, status=found.state.on_the_wire, cancellation=became.value),
        status=202 if became is Cancellation.REQUESTED else 200,
    )


def _wait_seconds(request: HttpRequest) -> float:
    text = request.query_params.get("wait", "0")
    if not (text.isascii() and text.isdecimal() and int(text[:6]) <= MAX_WAIT_SECONDS):
        raise InvalidParameter(f"wait {text!r} is not supported. Use 0 to {MAX_WAIT_SECONDS} seconds.", param="wait")
    return float(text)
