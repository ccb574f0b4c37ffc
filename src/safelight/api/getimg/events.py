"""All of a workspace's events, followed in their order from any of them on; and test events. Ours."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from safelight.api.answer import (
    HEARTBEAT_SECONDS,
    event_stream,
    json_response,
    server_sent_comment,
    server_sent_event,
    server_sent_id,
)
from safelight.api.auth import SUSPECT, api_state, principal, query_value, require_key
from safelight.api.bodies import read_body
from safelight.api.getimg import requests, wire
from safelight.api.getimg.examples import EVENTS
from safelight.api.waits import hold
from safelight.domain.errors import InvalidParameter, NotFound, SafelightError
from safelight.domain.events import EventType
from safelight.domain.text import quoted
from safelight.lifecycle.events import event_body
from safelight.lifecycle.followers import FollowedEvent, Place, events_behind, place_behind, tell_test_event
from safelight.lifecycle.services import ViewServices

_EVENT_ID = re.compile(r"evt_[0-9a-f]{32}", re.ASCII)


async def follow_events(request: Request) -> Response:
    """What happens in the workspace: from an event on, or from now on."""
    state, workspace_id = api_state(request), principal(request).workspace_id
    types, (after, param) = _types(request), _after(request)
    if request.method == "HEAD":  # gets no stream, and follows nothing
        return event_stream(_nothing())
    hold(request, state.waits.place(principal(request)))
    place = await place_behind(state.viewing.db, workspace_id, after, param=param)
    return event_stream(_stream(request, place, types))


async def send_test_event(request: Request) -> Response:
    """Tell the workspace of an event for which nothing happened."""
    body, _ = await read_body(request, requests.TestEventBody)
    db, workspace_id, type_ = api_state(request).viewing.db, principal(request).workspace_id, EventType(body.type)
    event_id = await tell_test_event(db, workspace_id, type_, EVENTS[type_])
    return json_response(wire.TestEvent(id=event_id, type=body.type), status=202)


def _types(request: Request) -> Collection[str]:
    """The types that are asked for: all of them by default."""
    text = query_value(request, "types")
    types = list(EventType) if text is None else [name.strip() for name in text.split(",")]
    unknown = [name for name in types if name not in set(EventType)]
    if unknown:
        said = f"types has {quoted(unknown[0])}. Use some of these, with commas between: {', '.join(EventType)}."
        raise InvalidParameter(said, param="types")
    return types


def _after(request: Request) -> tuple[str | None, str]:
    """The event after which to go on, if any, and what says so: the header, which is the newer one of the two."""
    header = request.headers.get("last-event-id")
    after, param = (header, "Last-Event-ID") if header else (query_value(request, "after"), "after")
    if after is not None and not _EVENT_ID.fullmatch(after):
        raise InvalidParameter(f"{param} is not an event's id. Use the id of the last event you have.", param=param)
    return after, param


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield


async def _stream(request: Request, place: Place, types: Collection[str]) -> AsyncIterator[bytes]:
    """The events, while the key is good for them.

    Where this ends, the client comes back with the last id that it was told, and hears why, if it may not go on.
    """
    services, workspace_id = api_state(request).viewing, principal(request).workspace_id
    looks = services.changes.looks(workspace_id)
    key = ("key", request.headers.get("authorization"), request.scope.get(SUSPECT, False))
    yield server_sent_id(place.event_id) + b"\r\n"
    try:
        async for events in events_behind(services, workspace_id, place, quiet_seconds=HEARTBEAT_SECONDS):
            await looks.find(key, partial(require_key, request))
            for event in events:
                told = None
                if not event.is_beginning and event.type in types:
                    told = await looks.find(event.event_id, partial(_told, services, event))
                if told:
                    yield told
            if not events:
                yield server_sent_comment("still there")
            elif not told:
                yield server_sent_id(events[-1].event_id) + b"\r\n"
    except SafelightError:
        return


async def _told(services: ViewServices, event: FollowedEvent) -> bytes | None:
    """One event as it goes out; None: what it told of is erased."""
    try:
        body = await event_body(services, wire.as_its_get_answers, event)
    except NotFound:
        return None
    return server_sent_id(event.event_id) + server_sent_event(event.type, msgspec.Raw(body))
