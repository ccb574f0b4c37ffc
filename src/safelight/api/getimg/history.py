"""A workspace's generations: listed, followed, deleted before their time. All of it ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import get_args

from starlette.requests import Request
from starlette.responses import Response

from safelight.api.answer import HEARTBEAT_SECONDS, event_stream, json_response, server_sent_comment, server_sent_event
from safelight.api.auth import ApiState, api_state, principal, query_number, query_value
from safelight.api.getimg import wire
from safelight.api.waits import hold
from safelight.domain.errors import InvalidParameter
from safelight.domain.generations import GenerationType, State, WireStatus
from safelight.domain.ids import is_generation_id
from safelight.domain.text import quoted
from safelight.keeping.expire import delete_media
from safelight.keeping.receipts import receipt
from safelight.lifecycle.submit import check_idempotency_key, key_use
from safelight.lifecycle.views import GenerationView, follow, list_views, view_of_any_type

MAX_LIMIT = 100
_STATES = {status: tuple(state for state in State if state.on_the_wire == status) for status in get_args(WireStatus)}


async def list_generations(request: Request) -> Response:
    """The workspace's generations, newest first; or the one that an idempotency key stands for, if any."""
    type_, status, after = (query_value(request, name) for name in ("type", "status", "after"))
    key = query_value(request, "idempotency_key")
    if type_ is not None and type_ not in list(GenerationType):
        raise InvalidParameter(f"type {quoted(type_)} is not supported. Use image or video.", param="type")
    if status is not None and status not in _STATES:
        said = f"status {quoted(status)} is not supported. Use one of: {', '.join(_STATES)}."
        raise InvalidParameter(said, param="status")
    if after is not None and not is_generation_id(after):
        raise InvalidParameter("after is not an id. Use the id of the last generation you have.", param="after")
    limit = query_number(request, "limit", 20, least=1, most=MAX_LIMIT)
    state, workspace_id = api_state(request), principal(request).workspace_id
    if key is not None:
        found = await _of_key(state, workspace_id, key)
        found = [each for each in found if type_ in (None, each.type) and status in (None, each.state.on_the_wire)]
    else:
        found = await list_views(
            state.viewing,
            workspace_id,
            type_=GenerationType(type_) if type_ else None,
            states=_STATES[status] if status else None,
            after=after,
            limit=limit + 1,
        )
    listed = [wire.listed(item) for item in found[:limit]]
    return json_response(wire.GenerationList(data=listed, has_more=len(found) > limit))


async def stream_events(request: Request) -> Response:
    """One generation's events, from how it stands to its end."""
    state, workspace_id, generation_id = _named(request)
    if request.method == "GET":  # HEAD gets no stream, and waits for none
        hold(request, state.waits.place(principal(request)))
    first = await view_of_any_type(state.viewing, workspace_id, generation_id)
    return event_stream(_events(state, workspace_id, first))


async def delete_generation_media(request: Request) -> Response:
    """Delete a generation's files before their time; the receipt."""
    state, workspace_id, generation_id = _named(request)
    await delete_media(state.keeping, workspace_id, generation_id)
    return json_response(wire.receipt(await receipt(state.keeping, workspace_id, generation_id)))


async def get_receipt(request: Request) -> Response:
    """The receipt of a generation whose files are deleted."""
    state, workspace_id, generation_id = _named(request)
    return json_response(wire.receipt(await receipt(state.keeping, workspace_id, generation_id)))


async def _of_key(state: ApiState, workspace_id: int, key: str) -> list[GenerationView]:
    check_idempotency_key(key, param="idempotency_key")
    use = await key_use(state.submitting, workspace_id, key)
    return [] if use is None else [await view_of_any_type(state.viewing, workspace_id, use.generation_id)]


def _named(request: Request) -> tuple[ApiState, int, str]:
    return api_state(request), principal(request).workspace_id, request.path_params["id"]


async def _events(state: ApiState, workspace_id: int, first: GenerationView) -> AsyncIterator[bytes]:
    last_progress = None
    async for current in follow(state.viewing, workspace_id, first.id, quiet_seconds=HEARTBEAT_SECONDS):
        if current is None:
            yield server_sent_comment("still there")
        elif current.state.is_final:
            yield server_sent_event(current.state.on_the_wire, wire.listed(current))
        else:
            progress = wire.Progress(id=current.id, status="pending", progress=current.progress or 0.0)
            if progress != last_progress:
                last_progress = progress
                yield server_sent_event("progress", progress)
