"""The first page: what is left, what is under way, and what was made last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts.costs import daily_costs
from safelight.accounts.workspaces import get_workspace
from safelight.api.dialect import Route
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import visit_of
from safelight.lifecycle.views import list_views

_NEWEST = 8
_DAYS = 7


async def show(request: Request) -> Response:
    """The overview of one workspace; without one, how to make it."""
    visit = visit_of(request)
    if visit.viewer.principal is None:
        return visit.page("no_workspace.html")
    scope, db = visit.principal.scope, visit.state.keeping.db
    now = datetime.now(UTC)
    costs = await daily_costs(scope, db, now - timedelta(days=_DAYS - 1), now)
    newest = await list_views(
        visit.state.viewing, scope.workspace_id, type_=None, states=None, after=None, limit=_NEWEST
    )
    return visit.page(
        "overview.html",
        block="live",
        workspace=await get_workspace(scope, db),
        spent_nanos=sum(each.cost_nanos for each in costs),
        days=_DAYS,
        newest=newest,
    )


ROUTES = (Route("GET", PREFIX, show),)
