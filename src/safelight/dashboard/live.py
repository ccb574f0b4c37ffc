"""One stream a tab: what moves in the workspace that it shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response

from safelight.api.answer import HEARTBEAT_SECONDS, event_stream, server_sent_comment, server_sent_event
from safelight.api.dialect import Route
from safelight.api.waits import hold
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import Visit, visit_of
from safelight.domain.errors import ServiceUnavailable

_LOOK_SECONDS = 1.0


async def stream(request: Request) -> Response:
    """Events ``moved``, each a list of ``{id, type, state, progress, is_new}``, until the session ends."""
    visit = visit_of(request)
    principal = visit.principal
    if request.method == "HEAD":
        return event_stream(_nothing())
    hold(request, visit.state.waits.place(principal))
    return event_stream(_moves(visit, principal.workspace_id))


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield


async def _moves(visit: Visit, workspace_id: int) -> AsyncIterator[bytes]:
    quiet_seconds = 0.0
    yield server_sent_comment("here")
    moves = visit.site.watching.moves(visit.state.viewing, workspace_id, quiet_seconds=_LOOK_SECONDS)
    async with aclosing(moves):  # type: ignore[type-var]
        async for moved in moves:
            if not await _is_still_in(visit):
                return
            quiet_seconds = 0.0 if moved else quiet_seconds + _LOOK_SECONDS
            if moved:
                yield server_sent_event("moved", moved)
            elif quiet_seconds >= HEARTBEAT_SECONDS:
                quiet_seconds = 0.0
                yield server_sent_comment("still there")


async def _is_still_in(visit: Visit) -> bool:
    """Whether the session is there still; while the database is away nobody can say, and nothing is told."""
    while not visit.state.viewing.changes.is_ending:
        try:
            return await visit.is_still_in()
        except ServiceUnavailable:
            await asyncio.sleep(_LOOK_SECONDS)
    return False


ROUTES = (Route("GET", f"{PREFIX}/live", stream),)
