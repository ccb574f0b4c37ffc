"""One stream a tab: what moves in the workspace that it shows."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response

from safelight.api.answer import HEARTBEAT_SECONDS, event_stream, server_sent_comment, server_sent_event
from safelight.api.dialect import Route
from safelight.api.waits import hold
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import Visit, visit_of
from safelight.domain.errors import SafelightError

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
    try:
        async for moved in visit.site.watching.moves(visit.state.viewing, workspace_id, quiet_seconds=_LOOK_SECONDS):
            if not await visit.is_still_in():
                return
            quiet_seconds = 0.0 if moved else quiet_seconds + _LOOK_SECONDS
            if moved:
                yield server_sent_event("moved", moved)
            elif quiet_seconds >= HEARTBEAT_SECONDS:
                quiet_seconds = 0.0
                yield server_sent_comment("still there")
    except SafelightError:
        return


ROUTES = (Route("GET", f"{PREFIX}/live", stream),)
