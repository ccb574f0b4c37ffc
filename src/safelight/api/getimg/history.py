"""A workspace's generations: listed, followed, deleted before their time. All of it ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from litestar import Response, delete, get
from litestar.response import ServerSentEvent, ServerSentEventMessage

from safelight.api.answer import encode, json_response
from safelight.api.auth import ApiState, api_state, principal, require_key
from safelight.api.getimg import wire
from safelight.api.submission import HttpRequest
from safelight.domain.errors import InvalidParameter
from safelight.domain.generations import GenerationType, State
from safelight.domain.ids import is_generation_id
from safelight.keeping.expire import delete_media
from safelight.keeping.receipts import receipt
from safelight.lifecycle.views import GenerationView, list_views, view_of_any_type

MAX_LIMIT = 100
_STATES = {
    "pending": (State.QUEUED, State.RUNNING, State.UNKNOWN),
    "completed": (State.COMPLETED,),
    "failed": (State.FAILED, State.CANCELED),
}
_HEARTBEAT_SECONDS = 15.0


@get("/v2/generations", before_request=require_key)
async def list_generations(request: HttpRequest) -> Response[bytes]:
    """The workspace's generations, newest first."""
    query = request.query_params
    type_, status, after = query.get("type"), query.get("status"), query.get("after")
    if type_ is not None and type_ not in list(GenerationType):
        raise InvalidParameter(f"type {type_!r} is not supported. Use image or video.", param="type")
    if status is not None and status not in _STATES:
        raise InvalidParameter(f"status {status!r} is not supported. Use one of: {', '.join(_STATES)}.", param="status")
    if after is not None and not is_generation_id(after):
        raise InvalidParameter("after is not an id. Use the id of the last generation you have.", param="after")
    limit = _limit(query.get("limit", "20"))
    found = await list_views(
        api_state(request).viewing,
        principal(request).workspace_id,
        type_=GenerationType(type_) if type_ else None,
        states=_STATES[status] if status else None,
        after=after,
        limit=limit + 1,
    )
    listed = [wire.listed(item) for item in found[:limit]]
    return json_response(wire.GenerationList(data=listed, has_more=len(found) > limit))


@get("/v2/generations/{generation_id:str}/events", before_request=require_key)
async def stream_events(request: HttpRequest, generation_id: str) -> ServerSentEvent:
    """One generation's events, from how it stands to its end."""
    state, workspace_id = api_state(request), principal(request).workspace_id
    first = await view_of_any_type(state.viewing, workspace_id, generation_id)
    return ServerSentEvent(_events(state, workspace_id, first))


@delete("/v2/generations/{generation_id:str}/media", status_code=200, before_request=require_key)
async def delete_generation_media(request: HttpRequest, generation_id: str) -> Response[bytes]:
    """Delete a generation's files before their time; the receipt."""
    services, workspace_id = api_state(request).keeping, principal(request).workspace_id
    await delete_media(services, workspace_id, generation_id)
    return json_response(wire.receipt(await receipt(services, workspace_id, generation_id)))


@get("/v2/generations/{generation_id:str}/receipt", before_request=require_key)
async def get_receipt(request: HttpRequest, generation_id: str) -> Response[bytes]:
    """The receipt of a generation whose files are deleted."""
    given = await receipt(api_state(request).keeping, principal(request).workspace_id, generation_id)
    return json_response(wire.receipt(given))


async def _events(state: ApiState, workspace_id: int, current: GenerationView) -> AsyncIterator[ServerSentEventMessage]:
    services = state.viewing
    with services.changes.subscribed(current.id) as changed:
        told = None
        while True:
            changed.clear()
            current = await view_of_any_type(services, workspace_id, current.id)
            if current.state.is_final:
                yield ServerSentEventMessage(event=current.state.on_the_wire, data=_text(wire.listed(current)))
                return
            progress = wire.Progress(id=current.id, status="pending", progress=current.progress or 0.0)
            if progress != told:
                told = progress
                yield ServerSentEventMessage(event="progress", data=_text(progress))
            try:
                async with asyncio.timeout(_HEARTBEAT_SECONDS):
                    await changed.wait()
            except TimeoutError:
                yield ServerSentEventMessage(comment="still there")


def _text(body: object) -> str:
    return encode(body).decode()


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:6]) <= MAX_LIMIT):
        raise InvalidParameter(f"limit {text!r} is not supported. Use 1 to {MAX_LIMIT}.", param="limit")
    return int(text)
