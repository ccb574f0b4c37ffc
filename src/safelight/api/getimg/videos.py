"""Video generations: accepted at once, made by a worker, polled to completion."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from safelight.api.answer import json_response
from safelight.api.auth import api_state, principal, query_number
from safelight.api.departure import while_there
from safelight.api.getimg import requests, wire
from safelight.api.submission import accept, accepted_headers, rate_headers, read_submission, with_rate_headers
from safelight.api.waits import hold
from safelight.domain.generations import GenerationType
from safelight.lifecycle.cancel import Cancellation, cancel
from safelight.lifecycle.views import note_seen, view_after

MAX_WAIT_SECONDS = 60


async def create_video(request: Request) -> Response:
    """Accept a video; the answer goes out once its row, hold and job are committed."""

    async def answer() -> Response:
        accepted = await accept(request, await read_submission(request, requests.VideoGenerationBody))
        pending = wire.PendingGeneration(id=accepted.id, status="pending")
        return json_response(pending, status=202, headers=accepted_headers(accepted))

    return await with_rate_headers(request, GenerationType.VIDEO, answer)


async def get_video(request: Request) -> Response:
    """How a video stands; with ``wait``, once it has ended or the wait is over."""

    async def answer() -> Response:
        state, sender = api_state(request), principal(request)
        services, video_id, is_head = state.viewing, request.path_params["id"], request.method == "HEAD"
        wait_seconds = query_number(request, "wait", 0, least=0, most=MAX_WAIT_SECONDS, unit=" seconds")
        if is_head:  # it tells of no end that would be worth waiting for, and shows nobody any
            wait_seconds = 0
        if wait_seconds:
            hold(request, state.waits.place(sender))
        looking = view_after(services, sender.workspace_id, video_id, GenerationType.VIDEO, wait_seconds)
        found = await (while_there(request, looking) if wait_seconds else looking)
        if not is_head:
            await note_seen(services, found)
        return json_response(wire.video(found), headers=rate_headers(found.window))

    return await with_rate_headers(request, GenerationType.VIDEO, answer)


async def cancel_video(request: Request) -> Response:
    """Cancel a video, as far as it still can be."""
    state, workspace_id, video_id = api_state(request), principal(request).workspace_id, request.path_params["id"]
    became, found = await cancel(state.running, state.viewing, workspace_id, video_id, GenerationType.VIDEO)
    return json_response(
        wire.CanceledVideo(id=found.id, status=found.state.on_the_wire, cancellation=became.value),
        status=202 if became is Cancellation.REQUESTED else 200,
    )
