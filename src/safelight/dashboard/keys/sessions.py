"""Who is in at the dashboard now, and ending that. An operator sees the operators' sessions too."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts.audit import Action
from safelight.accounts.sessions import end_session_of, list_sessions
from safelight.api.dialect import Route
from safelight.dashboard.exports import export, routes_of_files
from safelight.dashboard.reading import read_fields
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import visit_of
from safelight.domain.roles import Role

_COLUMNS = ("person", "role", "key_id", "created_at", "last_seen_at", "expires_at", "user_agent")


async def show(request: Request) -> Response:
    """Sessions that are open, the one seen last first."""
    visit = visit_of(request)
    sessions = await list_sessions(visit.principal.scope, visit.state.keeping.db, operators=visit.viewer.is_operator)
    return visit.page("keys/sessions.html", sessions=sessions, secret=visit.viewer.secret)


async def give_file(request: Request) -> Response:
    """The same as a file."""
    visit = visit_of(request)
    sessions = await list_sessions(visit.principal.scope, visit.state.keeping.db, operators=visit.viewer.is_operator)
    rows = map(msgspec.structs.asdict, sessions)
    return export(request, f"sessions-{visit.principal.workspace}", _COLUMNS, rows)


async def end(request: Request) -> Response:
    """End one of them, within a second everywhere."""
    visit, fields = visit_of(request), await read_fields(request)
    name = fields.text("session")
    await end_session_of(visit.principal.scope, visit.state.keeping.db, name, operators=visit.viewer.is_operator)
    await visit.audit(Action.SESSION_END, name[:12])
    return visit.redirect("/keys/sessions", visit.own, said="session_ended")


ROUTES = (
    Route("GET", f"{PREFIX}/keys/sessions", show, role=Role.ADMIN),
    *routes_of_files("/keys/sessions", give_file, Role.ADMIN),
    Route("POST", f"{PREFIX}/keys/sessions/end", end, role=Role.ADMIN),
)
